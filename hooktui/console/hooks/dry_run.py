"""Dry run of a hook form: its events and filter, applied to the latest events while typing.

The result unfolds to a list, and each event opens in a dialog over the form, which keeps its input.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import partial
from typing import Final, cast

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.worker import Worker

from hooktui.client import calls
from hooktui.console.formatting import moment
from hooktui.console.frame.dialogs import ConsoleDialog
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.form_values import top_field
from hooktui.console.widgets.controls import FoldTitle, Note, ShortList, ShortRow
from hooktui.console.widgets.document_lines import Section
from hooktui.console.widgets.document_view import DocumentView
from hooktui.domain.errors import FieldError, HooktuiError
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.wire.hooks import CHANGE_WORDS, Change, DryRun, Hook, TriedEvent, dry_run_words

MAX_ROWS: Final = 6
"""Maximum events in the list: a sample that leaves room for the fields on 80 by 24 cells."""

_MOMENT: Final = 9
"""Width in cells of most times, such as ``Mon 09:41`` and ``09:41:17``."""

TYPED_S: Final = 0.4
"""Seconds without typing before the server is called."""

_GROUP: Final = "dry run"


class DryRunLines(Vertical):
    """Foldable line with the result; unfolded, it lists the latest events (Enter opens one).

    Attributes:
        title: the line with the result.
    """

    DEFAULT_CSS = """
    DryRunLines { height: auto; padding: 0 1; display: none; }
    DryRunLines.-some { display: block; }
    DryRunLines ShortList { display: none; }
    DryRunLines.-open ShortList { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.title = FoldTitle("Would have received", id="dry-run-title")
        self._events = ShortList((), id="tried")
        self._asked: tuple[Sequence[str], str | None] | None = None

    def compose(self) -> ComposeResult:
        """Compose the line and the list of events."""
        yield self.title
        yield self._events

    def try_out(
        self, hook: Hook | None, settings: HookSettings, errors: Sequence[FieldError]
    ) -> None:
        """Schedule a dry run of events and filter, unless the same one has been requested already.

        ``hook`` is None for a new one.
        """
        wrong = {top_field(error.pointer) for error in errors} & {"events", "filter"}
        requested = None if wrong else (settings.events, settings.filter)
        if requested == self._asked:
            return
        self._asked = requested
        if requested is None:
            self.workers.cancel_group(self, _GROUP)
            self._show("", ())
            self.remove_class("-some")  # there is nothing to test
            return
        self.title.summarise("testing with the latest events …")
        self.add_class("-some")
        ask = partial(self._ask, hook, *requested)
        _: Worker[None] = self.run_worker(ask, group=_GROUP, exclusive=True)

    async def _ask(self, hook: Hook | None, events: Sequence[str], filter_text: str | None) -> None:
        await asyncio.sleep(TYPED_S)
        form = cast("ConsoleScreen", self.screen)
        fields: dict[str, object] = {"events": list(events), "filter": filter_text}
        if hook is not None:
            fields["hook"] = hook.id
        try:
            run = await form.send(calls.dry_run(form.shell.account.number, fields))
        except HooktuiError as error:
            self._asked = None  # the next change requests it again
            self._show(str(error), ())
            return
        now_ms = form.shell.clock()
        since = "" if run.since is None else f", since {moment(run.since, now_ms)}"
        rows = shown_events(run)
        width = max((cell_len(event.type) for event in rows), default=0)
        self._show(
            f"{dry_run_words(run)}{since}", [tried_row(event, now_ms, width) for event in rows]
        )

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Open the selected event."""
        self.app.push_screen(EventDialog(message.row.value))

    def fold(self) -> None:
        """Show or hide the events, depending on whether the line is unfolded."""
        self.set_class(self.title.opened and bool(self._events.rows), "-open")

    def _show(self, words: str, rows: Sequence[ShortRow]) -> None:
        self.add_class("-some")
        self.title.summarise(words)
        self._events.show_rows(rows)
        self.fold()


def shown_events(run: DryRun) -> list[TriedEvent]:
    """Return at most ``MAX_ROWS`` events: some of each kind, those with a change first."""
    changes_first = sorted(Change, key=lambda change: change == Change.SAME)
    kinds = [[event for event in run.data if event.change == change] for change in changes_first]
    kinds = [kind for kind in kinds if kind]
    events: list[TriedEvent] = []
    for number, kind in enumerate(kinds):
        share = math.ceil((MAX_ROWS - len(events)) / (len(kinds) - number))
        events += kind[:share]
    return events


def tried_row(event: TriedEvent, now_ms: int, width: int) -> ShortRow:
    """Return the row of an event: its result, its type, when it was received, and its id.

    ``width`` is that of the longest type in cells, which aligns the next column.
    """
    created = f"{moment(event.created_at, now_ms):<{_MOMENT}}"
    words = f"{set_cell_size(event.type, width)}  {created}  {event.id}"
    return ShortRow(event.id, CHANGE_WORDS.get(event.change, event.change), words)


class EventDialog(ConsoleDialog[None]):
    """Dialog that shows one event; Esc closes it."""

    QUITS = False
    DEFAULT_CSS = """
    EventDialog > .dialog { width: 96; max-width: 96%; height: 90%; padding: 0 1; }
    """

    def __init__(self, event_id: str) -> None:
        super().__init__()
        self._event_id = event_id

    def compose(self) -> ComposeResult:
        """Compose the title and the body."""
        with Vertical(classes="dialog"):
            title = f"Event {self._event_id}; {self.shell.key('back')} goes back to the form"
            yield Note(title, "strong", id="title")
            yield DocumentView(id="body")

    def on_mount(self) -> None:
        """Load the event."""
        self.run_worker(self._read())

    async def _read(self) -> None:
        try:
            event = await self.shell.connection.send(calls.get_event(self._event_id))
        except HooktuiError as error:
            sections = [Section("Not loaded", text=str(error), kind="words")]
        else:
            received = moment(event.created_at, self.shell.clock())
            title, note = event.type, f"received {received}"
            if event.body is None:
                sections = [Section(title, note, text="Its body is purged.", kind="words")]
            else:
                sections = [Section(title, note, text=event.body)]
        if self.query("#body"):
            view = self.query_one(DocumentView)
            view.show(sections)
            view.focus()
