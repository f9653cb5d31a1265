"""The keys of a place; choosing one runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll

from hooktui.console.base import HouseModal, HouseScreen
from hooktui.console.keys import BY_NAME, MOVES, bindings
from hooktui.console.widgets.choices import Note
from hooktui.console.widgets.short_list import ShortList, ShortRow


class HelpScreen(HouseModal[str]):
    """Lists the verbs of a screen with their keys; returns the name of the chosen one."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("help")]
    DEFAULT_CSS = """
    HelpScreen > .dialog { width: 76; max-width: 96%; max-height: 96%; padding: 0 1; }
    HelpScreen Note { margin: 0 1; }
    """

    def __init__(self, place: HouseScreen) -> None:
        super().__init__()
        self._place = place

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with VerticalScroll(classes="dialog", can_focus=False):
            yield Note(id="title")
            yield ShortList(list(self._rows()))
            yield Note(id="moves")

    def on_mount(self) -> None:
        """Fill in the words."""
        moves = "  ".join(f"{verb.key}: {verb.label}" for verb in MOVES)
        self.query_one("#title", Note).show(f"{self._place.PLACE}: keys; Enter runs one", "strong")
        self.query_one("#moves", Note).show(moves, "quiet")

    def _rows(self) -> Iterator[ShortRow]:
        for name in self._place.verbs_here():
            verb = BY_NAME[name]
            reason = self._place.why_not(name)
            words = verb.help if reason is None else f"{verb.help} (not now: {reason})"
            yield ShortRow(name, verb.key, words)

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Return the verb."""
        self.dismiss(message.row.value)

    async def action_verb(self, name: str) -> None:
        """Close on Esc, and on the key that opened it."""
        self.dismiss(None)
