"""Help: the list of the commands of a screen; choosing one runs it."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from hooktui.console.frame.dialogs import ConsoleDialog
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import BY_NAME, LINE_COMMANDS, MOVES, bindings
from hooktui.console.widgets.chrome import Offer
from hooktui.console.widgets.controls import Note
from hooktui.console.widgets.page_window import OnePage
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList


class HelpScreen(ConsoleDialog[str]):
    """List of the commands of a screen with their keys; returns the name of the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("help")]
    DEFAULT_CSS = """
    HelpScreen > .dialog { width: 84; max-width: 96%; padding: 0 1; }
    HelpScreen Note { margin: 0 2; }
    HelpScreen #moves { min-height: 2; }
    HelpScreen WindowedList { background: $surface; }
    """

    def __init__(self, screen: ConsoleScreen) -> None:
        super().__init__()
        self._for_screen = screen
        self._moves = ""
        self._offers = [
            Offer(screen.command(name), screen.disabled_reason(name))
            for name in screen.commands_here()
        ]
        if "command" in screen.commands_here():
            self._offers += [Offer(command, None) for command in LINE_COMMANDS]

    def compose(self) -> ComposeResult:
        """Compose the list."""
        with Vertical(classes="dialog"):
            title = f"{self._for_screen.HEADING}: keys; {self.shell.key('open')} runs one"
            yield Note(title, "strong", id="title")
            yield WindowedList(
                _columns(),
                OnePage(lambda: self._offers),
                lambda offer: offer.command.name,
                markable=False,
            )
            yield Note(id="moves")

    def on_mount(self) -> None:
        """Set up the list, and the keys that move in it."""
        # Keys without labels: they are self-explanatory, and must fit one line of 80 cells.
        self._moves = "  ".join(self.shell.key(command.name) for command in MOVES) + "  move"
        self.query_one("#moves", Note).show(self._moves, "quiet")
        listing = self.query_one(WindowedList)
        listing.styles.height = len(self._offers) + 1
        self.run_worker(listing.load())

    def on_resize(self, event: events.Resize) -> None:
        """Limit the height of the list: a dialog has at most nine tenths of the screen."""
        self.query_one(WindowedList).styles.max_height = max(1, event.size.height * 9 // 10 - 7)

    def on_windowed_list_moved(self, message: WindowedList.Moved) -> None:
        """Show the whole reason below the list, because a narrow terminal cuts it in the row."""
        offer: Offer | None = message.listing.cursor_row
        reason = None if offer is None else offer.disabled_reason
        self.query_one("#moves", Note).show(reason or self._moves, "warn" if reason else "quiet")

    def on_windowed_list_opened(self, message: WindowedList.Opened) -> None:
        """Return the name of the command under the cursor."""
        offer: Offer | None = message.listing.cursor_row
        self.dismiss(None if offer is None else offer.command.name)

    async def action_command(self, name: str) -> None:
        """Close the help also on the key that opened it."""
        await super().action_command("back" if name == "help" else name)


def _columns() -> tuple[Column[Offer], ...]:
    def key(offer: Offer) -> StyledLine:
        key = offer.command.key or BY_NAME["command"].key
        return ((key, "quiet" if offer.disabled_reason else "accent"),)

    def words(offer: Offer) -> StyledLine:
        command = offer.command
        if offer.disabled_reason is None:
            typed = "" if command.keys else f": {command.usage}"
            return ((command.help + typed, "plain"),)
        # Without the hint, which is shown below the list for the row under the cursor.
        return ((f"{command.help}: {offer.disabled_reason.partition(';')[0]}", "quiet"),)

    return (
        Column(name="key", cell=key, width=6),
        Column(name="what", title="description", cell=words, width=30, grow=1),
    )
