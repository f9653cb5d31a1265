"""Small controls of forms and dialogs: check box, choice, short list, foldable heading, note.

Each takes one line (a note or list as many as it needs) and has no border, so that a form fits
into a terminal of 80 by 24.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from hooktui.console.registry import BY_NAME, cursor_after, move_bindings
from hooktui.console.widgets.styled import LineWidget, StyledText, StyleName, wrapped
from hooktui.domain.text import visible

T = TypeVar("T")

_MARK, _OPEN = BY_NAME["mark"], BY_NAME["open"]


class Control(LineWidget, can_focus=True):
    """A focusable line; Space and Enter change its value."""

    DEFAULT_CSS = "Control { height: 1; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(_MARK.keys, "act", _MARK.label, show=False, id=_MARK.id),
        Binding(_OPEN.keys, "act", _OPEN.label, show=False, id=_OPEN.id),
    ]

    @dataclass
    class Changed(Message):
        """Posted when the value has changed."""

        sender: Control

    def pieces(self) -> Sequence[StyledText]:
        """Return the text of the line."""
        raise NotImplementedError

    def action_act(self) -> None:
        """Change the value by one step."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """Draw the line, in the style of the cursor if it has the focus."""
        over = self.tone("cursor") if self.has_focus else None
        return self.strip(self.pieces(), self.size.width, over)

    def changed(self) -> None:
        """Redraw the control and post `Changed`."""
        self.refresh()
        self.post_message(self.Changed(self))

    def on_click(self, event: events.Click) -> None:
        """Change the value on a click."""
        event.stop()
        self.action_act()


class TickBox(Control):
    """A check box: ``[x] words``."""

    def __init__(self, words: str, *, ticked: bool, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.words = words
        self.ticked = ticked

    def pieces(self) -> Sequence[StyledText]:
        """Return the box and its label."""
        box: StyledText = ("[x] ", "good") if self.ticked else ("[ ] ", "plain")
        return (box, (self.words, "plain"))

    def action_act(self) -> None:
        """Tick or untick the box."""
        self.ticked = not self.ticked
        self.changed()


class Choice(Control):
    """A choice of a few words in one line: ``(x) sha256  ( ) sha1``; left and right also choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Previous", show=False, id="choice.left"),
        Binding("right", "step(1)", "Next", show=False, id="choice.right"),
    ]

    def __init__(
        self,
        options: Sequence[str],
        chosen: int = 0,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self.options = tuple(options)
        self.chosen = chosen

    @property
    def value(self) -> str:
        """The chosen word."""
        return self.options[self.chosen]

    @property
    def _gap(self) -> int:
        """Blanks between two words; only one if more would hide the last word."""
        width = sum(len(option) + 4 for option in self.options)
        return 3 if width + 3 * (len(self.options) - 1) <= self.size.width else 1

    def pieces(self) -> Sequence[StyledText]:
        """Return all words, with the chosen one marked."""
        shown: list[StyledText] = []
        for index, option in enumerate(self.options):
            here = index == self.chosen
            tone: StyleName = "good" if here else "quiet"
            gap = " " * self._gap if index < len(self.options) - 1 else ""
            shown += [("(x) " if here else "( ) ", tone), (option + gap, tone)]
        return shown

    def action_act(self) -> None:
        """Choose the next word, after the last the first."""
        self._choose((self.chosen + 1) % len(self.options))

    def action_step(self, by: int) -> None:
        """Choose the previous or next word, without wrapping around."""
        self._choose(max(0, min(len(self.options) - 1, self.chosen + by)))

    def on_click(self, event: events.Click) -> None:
        """Choose the word that was clicked."""
        event.stop()
        event.prevent_default()  # else the base class chooses the word after it
        end = 0
        for index, option in enumerate(self.options):
            end += len(option) + 4 + self._gap
            if event.x < end:
                self._choose(index)
                return

    def _choose(self, index: int) -> None:
        if index != self.chosen:
            self.chosen = index
            self.changed()


class FoldTitle(Control):
    """A heading that shows or hides the fields below it, with a summary of them beside it."""

    def __init__(self, title: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.title = title
        self.opened = False
        self.summary = ""

    def summarise(self, summary: str) -> None:
        """Update the summary."""
        if summary != self.summary:
            self.summary = summary
            self.refresh()

    def pieces(self) -> Sequence[StyledText]:
        """Return the fold marker, the title and the summary."""
        sign: StyledText = ("▾ " if self.opened else "▸ ", "quiet")
        return (sign, (self.title, "strong"), (f"  {self.summary}", "quiet"))

    def action_act(self) -> None:
        """Fold or unfold the fields."""
        self.opened = not self.opened
        self.changed()


class Note(LineWidget):
    """A short, wrapped text below a field; an empty one takes no space."""

    DEFAULT_CSS = "Note { height: auto; width: 1fr; display: none; &.-some { display: block; } }"

    text = ""
    _tone: StyleName = "quiet"

    def __init__(self, text: str = "", tone: StyleName = "quiet", *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.show(text, tone)

    def show(self, text: str, tone: StyleName = "quiet") -> None:
        """Update the text; an empty text hides the note."""
        if (text, tone) != (self.text, self._tone):
            self.text, self._tone = text, tone
            self.set_class(bool(text), "-some")
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines of the wrapped text."""
        return len(self._wrapped(width))

    def render_line(self, y: int) -> Strip:
        """Draw one line of the text."""
        lines = self._wrapped(self.size.width)
        return self.strip(((lines[y], self._tone),) if y < len(lines) else (), self.size.width)

    def _wrapped(self, width: int) -> list[str]:
        return [
            line
            for paragraph in self.text.split("\n")
            for line in wrapped(visible(paragraph), max(10, width)) or [""]
        ]


class Rows(LineWidget, Generic[T], can_focus=True):
    """Rows, all of which are drawn, and a cursor; Enter or a click acts on one."""

    DEFAULT_CSS = "Rows { height: auto; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    def __init__(self, rows: Sequence[T], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.rows = tuple(rows)
        self.cursor = 0

    def show_rows(self, rows: Sequence[T]) -> None:
        """Update the rows; redraw only if they differ."""
        if tuple(rows) != self.rows:
            self.rows = tuple(rows)
            self.cursor = max(0, min(self.cursor, len(self.rows) - 1))
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of rows, at least one."""
        return max(1, len(self.rows))

    def action_move(self, name: str) -> None:
        """Move the cursor by one of the list moves."""
        count = len(self.rows)
        self.move_to(cursor_after(name, self.cursor, count=count, page=count))

    def action_open(self) -> None:
        """Act on the row under the cursor."""
        raise NotImplementedError

    def on_click(self, event: events.Click) -> None:
        """Act on the row that was clicked."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y < len(self.rows):
            self.move_to(offset.y)
            self.action_open()

    def move_to(self, target: int) -> None:
        """Move the cursor to a row."""
        before, self.cursor = self.cursor, target
        width = self.size.width
        self.refresh(Region(0, before, width, 1), Region(0, target, width, 1))


@dataclass(frozen=True, slots=True)
class ShortRow:
    """A row: its value, its key or name, and a description."""

    value: str
    name: str
    words: str = ""


class ShortList(Rows[ShortRow]):
    """A short list of rows; Enter or a click chooses one."""

    @dataclass
    class Chosen(Message):
        """Posted when a row is chosen."""

        row: ShortRow

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.size.width
        if y >= len(self.rows):
            return self.strip((), width)
        row = self.rows[y]
        names = max(cell_len(row.name) for row in self.rows)
        over = self.tone("cursor") if y == self.cursor and self.has_focus else None
        name = " " + row.name + " " * (names - cell_len(row.name) + 2)
        return self.strip(((name, "accent"), (row.words, "plain")), width, over)

    def action_open(self) -> None:
        """Choose the row under the cursor."""
        if self.rows:
            self.post_message(self.Chosen(self.rows[self.cursor]))
