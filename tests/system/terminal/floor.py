"""An empty Textual app in the console's frame: the cost of the library, in the same run.

python -m tests.system.terminal.floor ROWS        a list that draws only what is seen
python -m tests.system.terminal.floor log         a RichLog that gets 1,000 lines a second
"""

from __future__ import annotations

import sys

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

FIRST_ROW = "row 00000001"
_BATCH_S, _BATCH = 0.02, 20
_CURSOR = Style(reverse=True)


class PlainList(ScrollView, can_focus=True):
    """Numbered rows of the width of the screen."""

    BINDINGS = [  # noqa: RUF012 - as the base class declares it
        Binding("up", "move(-1)"), Binding("down", "move(1)"),
        Binding("pageup", "move(-36)"), Binding("pagedown", "move(36)"),
    ]  # fmt: skip

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows, self.at = rows, 0
        self.virtual_size = Size(100, rows)

    def action_move(self, by: int) -> None:
        old, self.at = self.at, max(0, min(self.at + by, self.rows - 1))
        top = round(self.scroll_offset.y)
        if not top <= self.at < top + self.size.height:
            self.scroll_to(y=max(top + by, 0), animate=False, force=True)
            return
        for row in (old, self.at):
            self.refresh(Region(0, row - top, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        number = round(self.scroll_offset.y) + y
        text = f"row {number + 1:08} " + "words of a row " * 6 if number < self.rows else ""
        style = _CURSOR if number == self.at else self.rich_style
        return Strip([Segment(text[: self.size.width].ljust(self.size.width), style)])


class Floor(App[None]):
    """Heading, body, status line, line of keys."""

    CSS = "Static { height: 1; background: $panel; } RichLog { height: 1fr; }"
    BINDINGS = [("q", "quit", "Quit")]  # noqa: RUF012

    def __init__(self, body: str) -> None:
        super().__init__()
        self._what = body

    def compose(self) -> ComposeResult:
        yield Static("heading", markup=False)
        yield self._body()
        yield Static("status", markup=False)
        yield Static("keys", markup=False)

    def _body(self) -> Widget:
        if self._what == "log":
            from textual.widgets import RichLog

            return RichLog(max_lines=10_000)
        return PlainList(int(self._what))

    def on_mount(self) -> None:
        if self._what == "log":
            self.set_interval(_BATCH_S, self._write)

    def _write(self) -> None:
        from textual.widgets import RichLog

        log = self.query_one(RichLog)
        for number in range(_BATCH):
            log.write(f"12:00:00 ✓ 200  1 Data warehouse  job.failed  #1  {number} ms  2 B")


if __name__ == "__main__":
    Floor(sys.argv[1]).run()
