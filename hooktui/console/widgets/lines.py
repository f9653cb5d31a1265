"""A few fixed lines of pieces, and the line of tabs."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from hooktui.console.keys import KeyOf
from hooktui.console.widgets.painted import Painted, Piece, Pieces


class Lines(Painted):
    """Lines that are cut, not wrapped."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self.lines: tuple[Pieces, ...] = ()

    def show(self, lines: Sequence[Pieces]) -> None:
        """Show other lines; writes to the terminal only when they differ."""
        if tuple(lines) != self.lines:
            layout = len(lines) != len(self.lines)
            self.lines = tuple(lines)
            self.refresh(layout=layout)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many as there are."""
        return max(1, len(self.lines))

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        return self.strip(self.lines[y] if y < len(self.lines) else (), self.size.width)


class TabLine(Painted):
    """The names of tabs, the open one marked; a click opens one, keys are the screen's."""

    DEFAULT_CSS = "TabLine { height: 1; width: 1fr; }"

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, names: Sequence[str], key: KeyOf, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.names = tuple(names)
        self._key = key
        self.chosen = 0

    def choose(self, number: int) -> None:
        """Mark another tab as the open one; the ends are ends."""
        number = max(0, min(len(self.names) - 1, number))
        if number != self.chosen:
            self.chosen = number
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the names."""
        pieces: list[Piece] = [(" ", "plain")]
        for number, name in enumerate(self.names):
            here = number == self.chosen
            pieces.append((f"[{name}]" if here else f" {name} ", "strong" if here else "quiet"))
            pieces.append((" ", "plain"))
        pieces.append((f" {self._key('previous')} or {self._key('next')} changes", "quiet"))
        return self.strip(pieces, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Tell which name was clicked."""
        end = 1
        for number, name in enumerate(self.names):
            end += len(name) + 3
            if event.x < end:
                self.post_message(self.Chosen(number))
                return
