"""A list of a few fixed lines to choose from: answers, hook types, languages, forms of a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from hooktui.console.keys import move_bindings
from hooktui.console.widgets.painted import Painted


@dataclass(frozen=True, slots=True)
class ShortRow:
    """One line: what it stands for, its key or name, and what it is."""

    value: str
    name: str
    words: str = ""


class ShortList(Painted, can_focus=True):
    """Lines to choose from with Enter or a click."""

    DEFAULT_CSS = "ShortList { height: auto; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    class Chosen(Message):
        """A line was chosen."""

        def __init__(self, sender: ShortList, row: ShortRow) -> None:
            super().__init__()
            self.sender = sender
            self.row = row

        @property
        def control(self) -> ShortList:
            """The list it was chosen from."""
            return self.sender

    def __init__(self, rows: Sequence[ShortRow], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.rows = tuple(rows)
        self.cursor = 0

    def show(self, rows: Sequence[ShortRow]) -> None:
        """Show other lines."""
        if tuple(rows) != self.rows:
            self.rows = tuple(rows)
            self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line each."""
        return max(1, len(self.rows))

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.size.width
        if y >= len(self.rows):
            return self.strip((), width)
        row = self.rows[y]
        names = max(cell_len(one.name) for one in self.rows)
        over = self.tone("cursor") if y == self.cursor and self.has_focus else None
        name = " " + row.name + " " * (names - cell_len(row.name) + 2)
        return self.strip(((name, "accent"), (row.words, "plain")), width, over)

    def action_move(self, name: str) -> None:
        """Move the cursor by one of the house's moves."""
        last = max(0, len(self.rows) - 1)
        steps = {"up": -1, "down": 1, "page_up": -last, "page_down": last, "first": -last}
        self._move_to(max(0, min(last, self.cursor + steps.get(name, last))))

    def action_open(self) -> None:
        """Choose the line under the cursor."""
        if self.rows:
            self.post_message(self.Chosen(self, self.rows[self.cursor]))

    def on_click(self, event: events.Click) -> None:
        """Choose the line that was clicked."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < len(self.rows):
            self._move_to(offset.y)
            self.action_open()

    def on_focus(self) -> None:
        """Draw the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Take the cursor away."""
        self.refresh()

    def _move_to(self, target: int) -> None:
        before, self.cursor = self.cursor, target
        width = self.size.width
        self.refresh(Region(0, before, width, 1), Region(0, target, width, 1))
