"""Drawing of log lines: columns, the line under the cursor, long lines cut or wrapped.

`LiveLog` selects the lines. A search updates its matches as lines are added and dropped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from rich.cells import cell_len, chop_cells
from textual.strip import Strip

from hooktui.console.log.columns import line_text, log_columns
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.widgets.styled import StyledLine, StyledText, StyleName
from hooktui.console.widgets.table import Column, Placed, Table
from hooktui.console.widgets.text_search import SearchMatch, folded, highlighted, step
from hooktui.domain.filters.terms import Filter
from hooktui.domain.text import visible


class LogSearch:
    """Search in the texts of lines that keeps the numbers of the matching lines in order."""

    def __init__(self, text_of: Callable[[LogLine], str]) -> None:
        self._text_of = text_of
        self.needle = ""
        self._found: deque[int] = deque()

    def begin(self, text: str, lines: Iterable[tuple[int, LogLine]]) -> None:
        """Start a search for another text in the existing lines."""
        self.needle = folded(text)
        self._found.clear()
        self.take(lines)

    def take(self, lines: Iterable[tuple[int, LogLine]]) -> None:
        """Search lines that were added; do nothing without a search text."""
        if self.needle:
            self._found.extend(
                number for number, line in lines if self.needle in folded(self._text_of(line))
            )

    def forget(self, first: int) -> None:
        """Remove the matches before a line number."""
        while self._found and self._found[0] < first:
            self._found.popleft()

    def go(self, here: int, *, forward: bool, stay: bool = False) -> tuple[int, SearchMatch] | None:
        """Return line number and position of the match after (or before) a line; None: no match."""
        if not self._found:
            return None
        # A list: indexing the middle of a deque takes linear time.
        matches = list(self._found)
        at, wrapped = step(matches, here, forward=forward, stay=stay)
        return matches[at], SearchMatch(at + 1, len(matches), wrapped)


class LogTable(Table, inherit_bindings=False):
    """Table of those lines of the buffer whose numbers are in ``_shown``, in order.

    ``caption``: line 0 shows a caption (in a pane), else the column titles (on a screen).
    """

    def __init__(self, shell: Shell, *, caption: bool) -> None:
        super().__init__(id="log")
        self.shell = shell
        self.buffer = shell.log_buffer
        self.following = True
        self.wrapped = False
        self.filter: Filter | None = None
        self.hooks: frozenset[int] | None = None
        self.marks: set[int] = set()
        self._names = shell.account.hook_names  # grows later
        self._caption = caption
        self._shown: deque[int] = deque()
        self._kept: dict[int, LogLine] = {}  # for a paused log: the ring buffer drops lines
        self._cursor: int | None = None
        self._columns = log_columns(shell.account.name_of, shell.glyphs)
        self._search = LogSearch(lambda line: line_text(line, self._names))
        self._rows: list[tuple[int, int]] = []
        self._rows_for: tuple[int, ...] = ()

    def state(self) -> StyledLine:
        """Return the state that the caption shows after the name."""
        raise NotImplementedError

    @property
    def cursor_line(self) -> LogLine | None:
        """The line under the cursor; while following, the newest one."""
        number = self._cursor if self._cursor is not None else self._newest
        return None if number is None else self._at(number)

    def _at(self, number: int) -> LogLine | None:
        """Return a line by its number; None if it was dropped."""
        if number >= self.buffer.first:
            return self.buffer[number]
        return self._kept.get(number) if number >= self.buffer.cleared else None

    @property
    def _newest(self) -> int | None:
        return self._shown[-1] if self._shown else None

    @property
    def _last_top(self) -> int:
        if self.wrapped:
            return top_for(len(self._shown) - 1, self.rows_high, self._height)
        return max(len(self._shown) - self.rows_high, 0)

    def _position(self) -> int:
        """Return the position of the cursor among the shown lines; without one, the last one."""
        return len(self._shown) - 1 if self._cursor is None else self._position_of(self._cursor)

    def _position_of(self, number: int) -> int:
        """Return the position of a line by its number; of the next one if it is not shown."""
        return min(bisect_left(self._shown, number), len(self._shown) - 1)

    def _go_to(self, position: int) -> None:
        old = self._position()
        position = max(0, min(position, len(self._shown) - 1))
        self._cursor = self._shown[position]
        before = self.top
        if position < before:
            self.scroll_top(position)
        elif self.wrapped:
            self.scroll_top(max(before, top_for(position, self.rows_high, self._height)))
            self.refresh()
        elif position >= before + self.rows_high:
            self.scroll_top(position - self.rows_high + 1)
        if self.top == before:
            self.refresh_row(old)
            self.refresh_row(position)

    def on_resize(self) -> None:
        """Lay out the columns again."""
        self._count_rows()
        if self.following:
            self.scroll_top(self._last_top)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Render the caption or the column titles (line 0), or a row of the log."""
        if y == 0:
            return self._caption_line() if self._caption else self.draw_heading()
        rows = self._on_screen()
        if y > len(rows):
            return self.strip(self._empty(y), self.line_width)
        position, part = rows[y - 1]
        number = self._shown[position]
        line = self._at(number)
        if line is None:
            return self.strip((), self.line_width)
        return highlighted(self._line(number, line, part), self._search.needle)

    def _line(self, number: int, line: LogLine, part: int) -> Strip:
        at_cursor = not self.following and number == self._cursor
        over = self.tone("cursor" if self.has_focus else "blurred") if at_cursor else None
        if part:
            rest = continuation(self._columns, self._placed, line, self.line_width)
            text: StyledLine = ((" " * INDENT, "quiet"), (rest[part - 1], "quiet"))
            return self.strip(text, self.line_width, over)
        if line.note:
            text = ((f"  {self.glyphs.rule} {line.note}", "warn"),)
            return self.strip(text, self.line_width, over)
        return self.draw_row(line, over=over, marked=number in self.marks)

    def _caption_line(self) -> Strip:
        name: StyleName = "strong" if self.has_focus else "plain"
        rule = self.glyphs.rule
        left: list[StyledText] = [(f"{rule} ", "quiet"), ("Live log", name), ("  ", "plain")]
        left += self.state()
        left.append((f" {rule * self.line_width}", "quiet"))
        strip = self.segments(left)
        return Strip(strip).crop(0, self.line_width)

    def _empty(self, y: int) -> StyledLine:
        if self._shown or y != 1:
            return ()
        if self.filter is not None or self.hooks is not None:
            return (("  no match yet", "quiet"),)
        return (("  no attempt yet: each one is shown here as it happens", "quiet"),)

    # -- wrapped lines

    def toggle_wrap(self) -> str:
        """Wrap long lines, or cut them again; return a message about the new state."""
        self.wrapped = not self.wrapped
        self._rows_for = ()
        self._count_rows()
        at = self._position() if self._shown else 0
        lowest = top_for(at, self.rows_high, self._height)  # with the cursor in the last row
        self.scroll_top(self._last_top if self.following else max(min(self.top, at), lowest))
        self.refresh()
        return "long lines are wrapped" if self.wrapped else "lines are cut"

    def _count_rows(self) -> None:
        """Update the scroll range: at its end, the last line is at the bottom."""
        self._place_columns(max(len(self._shown) - self.rows_high, 0))
        count = len(self._shown)
        self.show_count(self._last_top + self.rows_high if self.wrapped and count else count)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Lay out the columns for the lines that become visible."""
        super().watch_scroll_y(old_value, new_value)
        self._place_columns(self.top)

    def _place_columns(self, top: int) -> None:
        lines = map(self._at, islice(self._shown, top, top + self.rows_high))
        if self.place_columns(self._columns, (line for line in lines if line and not line.note)):
            self._rows_for = ()
            self.refresh()

    def _height(self, position: int) -> int:
        line = self._at(self._shown[position]) if self.wrapped else None
        if line is None or line.note:
            return 1
        return 1 + len(continuation(self._columns, self._placed, line, self.line_width))

    def _on_screen(self) -> list[tuple[int, int]]:
        """Return ``(position, part of the line)`` of each visible row; the result is cached."""
        newest = self._newest
        known = (self.top, self.rows_high, len(self._shown), self.line_width, newest or 0)
        if known != self._rows_for:
            self._rows_for = known
            self._rows = rows_from(self.top, self.rows_high, len(self._shown), self._height)
        return self._rows


INDENT: Final = 12
"""Indent of continuation rows in cells: below the result, so that times stay a column."""

MAX_ROWS: Final = 8
"""Maximum rows of one line; longer texts are shown in full on the delivery screen."""

Height = Callable[[int], int]
"""Returns the number of rows of the line at a position."""


def continuation(
    columns: Sequence[Column[LogLine]], placed: Sequence[Placed[LogLine]], line: LogLine, width: int
) -> list[str]:
    """Return the texts of a line that do not fit into its columns, split into indented rows."""
    room = max(width - INDENT, 10)
    widths = {cell.column.name: cell.width for cell in placed}
    cut = []
    for column in columns:
        text = visible(column.text(line))
        # Of the hidden columns, only the reason is worth a row of its own.
        shown = widths.get(column.name, 0 if column.name == "detail" else 1_000_000)
        if cell_len(text) > shown:
            cut.append(text)
    if not cut:
        return []
    return chop_cells(" · ".join(cut), room)[: MAX_ROWS - 1]


def rows_from(top: int, high: int, count: int, height: Height) -> list[tuple[int, int]]:
    """Return ``(position, part)`` for each row of the screen, starting with the top line."""
    rows: list[tuple[int, int]] = []
    for position in range(top, count):
        rows += [(position, part) for part in range(height(position))]
        if len(rows) >= high:
            break
    return rows[:high]


def top_for(last: int, high: int, height: Height) -> int:
    """Return the top line for which a line's last row is the last row of the screen."""
    position, left = last, high
    while position >= 0 and (left := left - height(position)) >= 0:
        position -= 1
    return min(position + 1, max(last, 0))
