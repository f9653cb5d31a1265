"""What a form's events and filter would have meant for the latest events, and a look at some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import Vertical

from hooktui.console.delivery_words import moment
from hooktui.console.widgets.choices import FoldTitle
from hooktui.console.widgets.short_list import ShortList, ShortRow
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.wire.hooks import Change, DryRun, TriedEvent, in_words

MOST_ROWS: Final = 6
"""Events that are named: a look at some, which leaves the fields their room on 80 by 24."""

_MOMENT: Final = 9
"""Cells of most moments, such as ``Mon 09:41`` and ``09:41:17``."""

_WORDS: Final[dict[str, str]] = {
    Change.SAME: "sent",
    Change.MORE: "newly sent",
    Change.FEWER: "no longer sent",
}


class DryRunLines(Vertical):
    """One line with the result; opened, the latest events that it is about (Enter shows one)."""

    DEFAULT_CSS = """
    DryRunLines { height: auto; padding: 0 1; display: none; }
    DryRunLines.-some { display: block; }
    DryRunLines ShortList { display: none; }
    DryRunLines.-open ShortList { display: block; }
    """

    def compose(self) -> ComposeResult:
        """The line, and the events."""
        yield FoldTitle("Would have got", id="dry-run-title")
        yield ShortList((), id="tried")

    @property
    def title(self) -> FoldTitle:
        """The line with the result."""
        return self.query_one(FoldTitle)

    def fold(self) -> None:
        """Show or hide the events, as the line says."""
        self.set_class(self.title.opened and bool(self.query_one(ShortList).rows), "-open")

    def clear(self) -> None:
        """Show nothing: there is nothing that could be tried."""
        self._show("", ())
        self.remove_class("-some")

    def wait(self) -> None:
        """Say that the answer to what is typed now is on its way."""
        self.title.summarise("trying it on the latest events …")
        self.add_class("-some")

    def fail(self, why: str) -> None:
        """Say why there is no answer."""
        self._show(why, ())

    def show(self, run: DryRun, now_ms: int) -> None:
        """Show what came out."""
        since = "" if run.since is None else f", since {moment(from_rfc3339(run.since), now_ms)}"
        some = some_of(run)
        width = max((cell_len(one.type) for one in some), default=0)
        self._show(f"{in_words(run)}{since}", [tried_row(one, now_ms, width) for one in some])

    def _show(self, words: str, rows: Sequence[ShortRow]) -> None:
        self.add_class("-some")
        self.title.summarise(words)
        self.query_one(ShortList).show(rows)
        self.fold()


def some_of(run: DryRun) -> list[TriedEvent]:
    """Return the few events to name: changes first, of each kind some."""
    kinds = [[one for one in run.data if one.change == change] for change in Change]
    kinds.sort(key=lambda kind: bool(kind) and kind[0].change == Change.SAME)
    some: list[TriedEvent] = []
    left = [kind for kind in kinds if kind]
    while left:
        kind = left.pop(0)
        some += kind[: -(-(MOST_ROWS - len(some)) // (len(left) + 1))]
    return some


def tried_row(one: TriedEvent, now_ms: int, width: int) -> ShortRow:
    """Return the line of an event: what becomes of it, its type, when it came.

    Args:
        one: the event.
        now_ms: now, for its time.
        width: cells of the longest type, so that what follows stands in columns.
    """
    came = f"{moment(from_rfc3339(one.created_at), now_ms):<{_MOMENT}}"
    words = f"{set_cell_size(one.type, width)}  {came}  {one.id}"
    return ShortRow(one.id, _WORDS.get(one.change, one.change), words)
