"""A question with a few answers; the safe one has the focus, each has its key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from hooktui.console.base import HouseModal
from hooktui.console.widgets.choices import Note
from hooktui.console.widgets.short_list import ShortList, ShortRow

_WIDTH = 72
"""Cells of the dialog, where there are as many: sentences read well at that width."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to answer: its key, what it does in words, and what the question returns."""

    key: str
    words: str
    value: str


class Question(HouseModal[str]):
    """Asks, and returns the value of the chosen answer; Esc returns None.

    Args:
        title: the question in one line.
        details: what hangs on it; may be untrusted.
        answers: the first one has the focus, so let it be the safe one.
    """

    DEFAULT_CSS = """
    Question #title { text-style: bold; }
    Question ShortList { margin-top: 1; }
    """

    def __init__(self, title: str, details: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._title = title
        self._details = details
        self._answers = tuple(answers)

    def compose(self) -> ComposeResult:
        """Lay out title, details and answers."""
        with Vertical(classes="dialog") as dialog:
            dialog.styles.width = _WIDTH
            dialog.styles.max_width = "96%"
            yield Note(id="title")
            yield Note(id="details")
            yield ShortList([ShortRow(a.value, a.key, a.words) for a in self._answers])

    def on_mount(self) -> None:
        """Fill in the words."""
        self.query_one("#title", Note).show(self._title, "strong")
        self.query_one("#details", Note).show(self._details, "plain")

    async def action_verb(self, name: str) -> None:
        """Answer nothing on q, too: quitting here would lose what the question is about."""
        if name in ("back", "quit"):
            self.dismiss(None)

    def on_short_list_chosen(self, message: ShortList.Chosen) -> None:
        """Return the answer that was chosen from the list."""
        self.dismiss(message.row.value)

    def on_key(self, event: events.Key) -> None:
        """Return the answer whose key was pressed."""
        for answer in self._answers:
            if event.character == answer.key:
                event.stop()
                self.dismiss(answer.value)
                return
