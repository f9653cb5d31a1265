"""The list of hook types; choosing one opens its form. Only types that work are in it."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult

from hooktui.console.base import HouseScreen
from hooktui.console.widgets.choices import Note
from hooktui.console.widgets.short_list import ShortList, ShortRow

TYPES: Final = (ShortRow("web", "Webhook", "POSTs each event, signed, to an HTTP or HTTPS URL"),)
"""What can be made, the most usual first."""


class HookTypes(HouseScreen):
    """Which type the new hook has."""

    PLACE = "New hook"
    VERBS = ("open", "back")
    DEFAULT_CSS = """
    HookTypes > Note { margin: 1 1 1 1; height: auto; }
    HookTypes > ShortList { height: 1fr; }
    """

    def compose_body(self) -> ComposeResult:
        """Lay out the list under one sentence."""
        yield Note(id="hint")
        yield ShortList(TYPES, id="types")

    def on_mount(self) -> None:
        """Say what to do."""
        self.query_one("#hint", Note).show("Choose where the new hook sends its events:")

    def verb_open(self) -> None:
        """Open the form of the type under the cursor."""
        self.query_one(ShortList).action_open()

    def on_short_list_chosen(self) -> None:
        """Open the form of the type that was chosen, in place of this list."""
        from hooktui.console.screens.form import HookForm

        self.app.switch_screen(HookForm(None))
