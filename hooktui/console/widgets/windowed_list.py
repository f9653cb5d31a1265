"""The list of the console: draws only the rows that are seen, whatever the number.

One key repaints two lines. Rows come from a `PageSource` as they are needed; the cursor stays on the
same row (by its id) when rows are loaded again, and so do the marks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hooktui.console.keys import move_bindings
from hooktui.console.signs import UNICODE, Signs
from hooktui.console.widgets.columns import GAP, Column, Placed, blank, pieces_of, place
from hooktui.console.widgets.painted import Painted, Pieces, fit
from hooktui.console.widgets.window import MOST_PAGES, PAGE, PageSource, Window
from hooktui.domain.errors import HooktuiError

T = TypeVar("T")

MARGIN = 2
"""Cells before the first column: the mark, and a space."""

_NEAR = 30
"""Rows before the edge of what is in memory at which the next page is fetched."""


class WindowedList(Painted, ScrollView, Generic[T], inherit_bindings=False):
    """A list over a window of rows.

    Args:
        columns: what to show; they drop by priority where there is no room.
        source: where rows come from.
        row_id: what identifies a row for ever.
        empty: what to say where there is nothing: what this is, and the one key to start.
        markable: whether rows can be marked.
        sort: the sort to begin with, as a column's ``sort``.
        descending: whether that is turned round.
    """

    can_focus = True
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]
    DEFAULT_CSS = """
    WindowedList {
        height: 1fr; width: 1fr;
        overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1;
        background: $background;
    }
    """

    class FromList(Message):
        """A message of a list; `control` is the list, for ``@on(..., selector)``."""

        def __init__(self, listing: WindowedList[Any]) -> None:
            super().__init__()
            self.listing = listing

        @property
        def control(self) -> WindowedList[Any]:
            """The list that sent it."""
            return self.listing

    class Opened(FromList):
        """Enter, or a double click, on the row under the cursor."""

    class Moved(FromList):
        """The cursor stands on another row, or that row changed, or there is none."""

        def can_replace(self, message: Message) -> bool:
            """Of many moves only the last one counts."""
            return isinstance(message, WindowedList.Moved)

    class MarksChanged(FromList):
        """Other rows are marked."""

    class Failed(FromList):
        """The source did not give rows; what was there stays."""

        def __init__(self, listing: WindowedList[Any], error: HooktuiError) -> None:
            super().__init__(listing)
            self.error = error

    def __init__(
        self,
        columns: Sequence[Column[T]],
        source: PageSource[T],
        row_id: Callable[[T], Hashable],
        *,
        empty: Sequence[Pieces] = (),
        markable: bool = True,
        sort: str | None = None,
        descending: bool = False,
        signs: Signs = UNICODE,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.window = Window(source, row_id)
        self.window.sort, self.window.descending = sort, descending
        self.row_id = row_id
        self.empty = tuple(empty)
        self.markable = markable
        self.signs = signs
        self.cursor = 0
        self.marks: dict[Hashable, T] = {}
        self.loaded = False
        self._placed: list[Placed[T]] = []
        self._strips: dict[Hashable, tuple[T, tuple[bool, bool, bool], Strip]] = {}
        self._loading = asyncio.Lock()

    # -- what others ask and tell

    @property
    def cursor_row(self) -> T | None:
        """The row under the cursor, if there is one."""
        return self.window.row(self.cursor)

    @property
    def selected(self) -> list[T]:
        """The marked rows, else the one under the cursor, else nothing: what a verb acts on."""
        if self.marks:
            return list(self.marks.values())
        row = self.cursor_row
        return [] if row is None else [row]

    async def load(self) -> None:
        """Load the list from its start."""
        await self._load(self.window.to_start)

    async def reload(self) -> None:
        """Load what is seen again; the cursor stays on its row."""
        top = self._top
        await self._load(lambda: self.window.again(top, top + self._rows_high))

    async def sort_by(self, sort: str | None, *, descending: bool) -> None:
        """Show the list in another order, from its start."""
        self.window.sort, self.window.descending = sort, descending
        self._go_to(0)
        await self.load()

    def next_sort(self) -> str | None:
        """Return the sort after the current one, among the columns that are shown."""
        sorts = [p.column.sort for p in self._placed if p.column.sort is not None]
        if self.window.sort not in sorts:
            return sorts[0] if sorts else None
        return sorts[(sorts.index(self.window.sort) + 1) % len(sorts)]

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor, and go to the next one."""
        row = self.cursor_row
        if row is None or not self.markable:
            return
        identity = self.row_id(row)
        if self.marks.pop(identity, None) is None:
            self.marks[identity] = row
        self._refresh_row(self.cursor)
        self.post_message(self.MarksChanged(self))
        self._go_to(self.cursor + 1)

    def mark_all(self) -> int:
        """Mark the rows that are in memory; return how many are marked then."""
        if self.markable:
            self.marks.update({self.row_id(row): row for row in self.window.rows()})
            self.refresh()
            self.post_message(self.MarksChanged(self))
        return len(self.marks)

    def clear_marks(self) -> bool:
        """Unmark everything; return whether anything was marked."""
        if not self.marks:
            return False
        self.marks.clear()
        self.refresh()
        self.post_message(self.MarksChanged(self))
        return True

    def put_cursor_on(self, identity: Hashable) -> bool:
        """Put the cursor on a row by its id; return whether that row is in memory."""
        position = self.window.find(identity)
        if position is not None:
            self._go_to(position)
        return position is not None

    def refresh_times(self) -> None:
        """Draw rows again whose text depends on the clock; writes only lines that differ."""
        with self._only_differences():
            self._strips.clear()

    # -- loading

    async def _load(self, fetch: Callable[[], Awaitable[None]]) -> None:
        async with self._loading:
            row = self.cursor_row
            identity = None if row is None else self.row_id(row)
            offset = self.cursor - self._top
            at_top = self._top == 0
            try:
                await fetch()
            except HooktuiError as error:
                self.post_message(self.Failed(self, error))
                return
            with self._only_differences():
                self._settle(identity, offset, at_top=at_top)
            self.post_message(self.Moved(self))

    def _settle(self, identity: Hashable, offset: int, *, at_top: bool) -> None:
        """Take over what was loaded: size, cursor, marks, and the place of the cursor's line."""
        self.loaded = True
        self._resize()
        for marked, row in [(self.row_id(r), r) for r in self.window.rows()]:
            if marked in self.marks:
                self.marks[marked] = row
        position = None if identity is None else self.window.find(identity)
        if position is not None and position != self.cursor:
            self.cursor = position
            if not at_top or position > self._rows_high:
                self._scroll(position - offset)
        self.cursor = max(0, min(self.cursor, self.window.total - 1))

    def _fetch_near(self) -> None:
        """Fetch the page that the eye or the cursor will need next."""
        if not self.loaded or self._loading.locked():
            return
        window, top = self.window, self._top
        if top + self._rows_high + _NEAR > window.end and window.has_more:
            self.run_worker(self._load(window.more), group=f"rows of {self.id}", exclusive=True)
        elif top - _NEAR < window.first and window.has_before:
            self.run_worker(self._load(window.before), group=f"rows of {self.id}", exclusive=True)

    # -- moving

    def action_move(self, name: str) -> None:
        """Move the cursor."""
        high = self._rows_high
        match name:
            case "up":
                self._go_to(self.cursor - 1)
            case "down":
                self._go_to(self.cursor + 1)
            case "page_up":
                self._go_to(self.cursor - high, top=self._top - high)
            case "page_down":
                self._go_to(self.cursor + high, top=self._top + high)
            case "first":
                self._jump(self.window.to_start, 0)
            case "last":
                self._jump(self.window.to_end, self.window.total - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.cursor_row is not None:
            self.post_message(self.Opened(self))

    def _jump(self, fetch: Callable[[], Awaitable[None]], position: int) -> None:
        if self.window.row(position) is not None or not self.window.total:
            self._go_to(position)
            return

        async def jump() -> None:
            await self._load(fetch)
            self._go_to(0 if position == 0 else self.window.total - 1)

        self.run_worker(jump(), group=f"rows of {self.id}", exclusive=True)

    def _go_to(self, position: int, top: int | None = None) -> None:
        """Put the cursor on a position; scroll only when it would be out of sight."""
        lowest, highest = self.window.first, self.window.end - 1
        position = max(lowest, min(position, highest))
        if highest < lowest:
            return
        old, self.cursor = self.cursor, position
        before = self._top
        if top is not None:
            self._scroll(top)
        if position < self._top:
            self._scroll(position)
        elif position >= self._top + self._rows_high:
            self._scroll(position - self._rows_high + 1)
        if self._top == before:
            self._refresh_row(old)
            self._refresh_row(position)
        self._fetch_near()
        if old != position:
            self.post_message(self.Moved(self))

    @property
    def _top(self) -> int:
        """The position of the first row that is seen."""
        return round(self.scroll_offset.y)

    @property
    def _rows_high(self) -> int:
        """Rows that are seen at once, below the heading."""
        return max(self.size.height - 1, 1)

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=max(top, 0), animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Fetch what comes into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._fetch_near()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a row; a double click opens it, one on a heading sorts by it."""
        if event.y == 0:
            self._click_heading(event.x)
            return
        position = self._top + event.y - 1
        if self.window.row(position) is None:
            return
        self._go_to(position)
        if event.chain == 2:
            self.action_open()

    def _click_heading(self, x: int) -> None:
        start = MARGIN
        for placed in self._placed:
            if start <= x < start + placed.width and placed.column.sort is not None:
                again = placed.column.sort == self.window.sort
                turned = not self.window.descending if again else False
                self.run_worker(self.sort_by(placed.column.sort, descending=turned))
                return
            start += placed.width + GAP

    # -- drawing

    def on_resize(self) -> None:
        """Place the columns anew, and keep the cursor in sight."""
        self._placed = place(self.columns, self._width - MARGIN - 1)
        self._strips.clear()
        self._resize()
        if self.cursor >= self._top + self._rows_high:
            self._scroll(self.cursor - self._rows_high + 1)

    def on_focus(self) -> None:
        """Show the cursor as the place where keys go."""
        self._refresh_row(self.cursor)

    def on_blur(self) -> None:
        """Show the cursor as resting."""
        self._refresh_row(self.cursor)

    def notify_style_update(self) -> None:
        """Forget lines in the colours of another theme."""
        super().notify_style_update()
        self._strips.clear()

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _resize(self) -> None:
        size = Size(self._width, self.window.total + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def _refresh_row(self, position: int) -> None:
        y = position - self._top + 1
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    @contextmanager
    def _only_differences(self) -> Iterator[None]:
        """Repaint only the lines that a change makes different."""
        lines = range(self.size.height)
        before = [self.render_line(y) for y in lines]
        yield
        for y, old in zip(lines, before, strict=True):
            if self.render_line(y) != old:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draw the heading (line 0) or a row."""
        if y == 0:
            return self._heading()
        position = self._top + y - 1
        row = self.window.row(position)
        if row is not None:
            return self._row(position, row)
        if not self.loaded:
            text: Pieces = ((f"  loading{self.signs.ellipsis}", "quiet"),) if y == 1 else ()
        elif self.window.total == 0:
            text = self.empty[y - 2] if 2 <= y < 2 + len(self.empty) else ()
        else:
            seen = position < self.window.total
            text = ((f"  {self.signs.ellipsis}", "quiet"),) if seen else ()
        return self.strip(text, self._width)

    def _heading(self) -> Strip:
        segments = [Segment(" " * MARGIN, self.tone("quiet"))]
        for number, placed in enumerate(self._placed):
            title = placed.column.title
            if placed.column.sort is not None and placed.column.sort == self.window.sort:
                title += " " + (self.signs.down if self.window.descending else self.signs.up)
            segments += self._cell(placed, ((title, "quiet"),), None)
            if number < len(self._placed) - 1:
                segments.append(Segment(" " * GAP, self.tone("quiet")))
        return Strip(fit(segments, self._width)).adjust_cell_length(self._width, self.tone("plain"))

    def _row(self, position: int, row: T) -> Strip:
        identity = self.row_id(row)
        state = (position == self.cursor, self.has_focus, identity in self.marks)
        cached = self._strips.get(identity)
        if cached is not None and cached[1] == state and cached[0] == row:
            return cached[2]
        strip = self._draw(row, *state)
        if len(self._strips) > 2 * PAGE * MOST_PAGES:
            self._strips.clear()
        self._strips[identity] = (row, state, strip)
        return strip

    def _draw(self, row: T, under_cursor: bool, focused: bool, marked: bool) -> Strip:
        over: Style | None = None
        if under_cursor:
            over = self.tone("cursor" if focused else "blurred")
        mark: Pieces = ((self.signs.marked if marked else " ", "accent"), (" ", "plain"))
        segments = self.segments(mark, over)
        for number, placed in enumerate(self._placed):
            segments += self._cell(placed, pieces_of(placed.column.cell(row)), over)
            if number < len(self._placed) - 1:
                segments += self.segments((blank(GAP),), over)
        base = self.tone("plain")
        return Strip(fit(segments, self._width)).adjust_cell_length(
            self._width, base if over is None else base + over
        )

    def _cell(self, placed: Placed[T], pieces: Pieces, over: Style | None) -> list[Segment]:
        segments = fit(self.segments(pieces, over), placed.width, self.signs.ellipsis)
        room = placed.width - sum(segment.cell_length for segment in segments)
        padding = self.segments((blank(room),), over) if room > 0 else []
        return padding + segments if placed.column.align == "right" else segments + padding
