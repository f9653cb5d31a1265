"""Asks for a name; Esc gives none."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from hooktui.console.base import HouseModal
from hooktui.console.widgets.choices import Note
from hooktui.domain.hook_settings import check_name


class NameQuestion(HouseModal[str]):
    """One line to type a name into; returns it once Enter was pressed on a good one."""

    DEFAULT_CSS = """
    NameQuestion > .dialog { width: 64; max-width: 96%; }
    NameQuestion Input { margin-top: 1; }
    """

    def __init__(self, title: str, details: str) -> None:
        super().__init__()
        self._title = title
        self._details = details

    def compose(self) -> ComposeResult:
        """Lay out the words and the line."""
        with Vertical(classes="dialog"):
            yield Note(id="title")
            yield Note(id="details")
            yield Input(placeholder="its name", compact=True)
            yield Note(id="wrong")

    def on_mount(self) -> None:
        """Fill in the words."""
        self.query_one("#title", Note).show(self._title, "strong")
        back = self.house.key("back")
        self.query_one("#details", Note).show(f"{self._details} Enter makes it, {back} does not.")
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Judge what is typed."""
        self.query_one("#wrong", Note).show(check_name(event.value.strip()) or "", "warn")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the name, or say what is wrong with it."""
        name = event.value.strip()
        wrong = check_name(name) or ("" if name else f"type a name, or {self.house.key('back')}")
        if wrong:
            self.query_one("#wrong", Note).show(wrong, "bad")
        else:
            self.dismiss(name)
