"""The keys of a place; choosing one runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from hooktui.console.frame.screen import ConsoleDialog, ConsoleScreen
from hooktui.console.registry import MOVES, Verb, bindings
from hooktui.console.widgets.controls import Note
from hooktui.console.widgets.page_window import Wanted
from hooktui.console.widgets.styled import Pieces
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.wire.pages import Page


@dataclass(frozen=True, slots=True)
class _Line:
    """A verb, and why it is not possible."""

    verb: Verb
    why_not: str | None


class HelpScreen(ConsoleDialog[str]):
    """Lists the verbs of a screen with their keys; returns the name of the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("help")]
    DEFAULT_CSS = """
    HelpScreen > .dialog { width: 84; max-width: 96%; padding: 0 1; }
    HelpScreen Note { margin: 0 2; }
    HelpScreen #moves { min-height: 2; }
    HelpScreen WindowedList { background: $surface; }
    """

    def __init__(self, place: ConsoleScreen) -> None:
        super().__init__()
        self._place = place
        self._moves = ""
        self._lines = [_Line(place.verb(name), place.why_not(name)) for name in place.verbs_here()]

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(classes="dialog"):
            yield Note(id="title")
            yield WindowedList(
                _columns(),
                self,
                lambda line: line.verb.name,
                markable=False,
                signs=self.shell.signs,
            )
            yield Note(id="moves")

    def on_mount(self) -> None:
        """Fill in the words."""
        # Keys without labels: they say it themselves, and must fit one line at 80 cells.
        self._moves = "  ".join(self.shell.key(verb.name) for verb in MOVES) + "  move"
        runs = f"{self.shell.key('open')} runs one"
        self.query_one("#title", Note).show(f"{self._place.PLACE}: keys; {runs}", "strong")
        self.query_one("#moves", Note).show(self._moves, "quiet")
        listing = self.query_one(WindowedList)
        listing.styles.height = len(self._lines) + 1
        self.run_worker(listing.load())

    def on_resize(self, event: events.Resize) -> None:
        """Leave room for what stands around the list; a dialog has nine tenths of the height."""
        self.query_one(WindowedList).styles.max_height = max(1, event.size.height * 9 // 10 - 7)

    async def page(self, wanted: Wanted) -> Page[_Line]:
        """Return all verbs: there are fewer than a page holds."""
        return Page(data=self._lines, total=len(self._lines))

    def on_windowed_list_moved(self, message: WindowedList.Moved) -> None:
        """Tell the whole reason under the list: a narrow terminal cuts it in the line."""
        line: _Line | None = message.listing.cursor_row
        reason = None if line is None else line.why_not
        self.query_one("#moves", Note).show(reason or self._moves, "warn" if reason else "quiet")

    def on_windowed_list_opened(self, message: WindowedList.Opened) -> None:
        """Return the verb."""
        line: _Line | None = message.listing.cursor_row
        self.dismiss(None if line is None else line.verb.name)

    async def action_verb(self, name: str) -> None:
        """Close also on the key that opened it."""
        await super().action_verb("back" if name == "help" else name)


def _columns() -> tuple[Column[_Line], ...]:
    def key(line: _Line) -> Pieces:
        return ((line.verb.key, "quiet" if line.why_not else "accent"),)

    def words(line: _Line) -> Pieces:
        if line.why_not is None:
            return ((line.verb.help, "plain"),)
        # The reason alone: what else there is to say stands under the list, at the cursor.
        return ((f"{line.verb.help}: {line.why_not.partition(';')[0]}", "quiet"),)

    return (
        Column(name="key", title="key", cell=key, width=6),
        Column(name="what", title="what it does", cell=words, width=30, grow=1),
    )
