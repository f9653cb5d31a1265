"""The list of the console: draws only the rows that are seen, whatever their number.

One key repaints two lines. Rows come from a `PageSource` as they are needed; the cursor stays on
the same row (by its id) when rows are loaded again, and so do the marks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.worker import Worker

from hooktui.console.keys import move_bindings
from hooktui.console.signs import UNICODE, Signs
from hooktui.console.times import counted
from hooktui.console.widgets.columns import Column, Placed, place
from hooktui.console.widgets.painted import Pieces
from hooktui.console.widgets.table import MARGIN, Table, column_at
from hooktui.console.widgets.window import MOST_PAGES, PAGE, PageSource, Window
from hooktui.domain.errors import HooktuiError

T = TypeVar("T")

_NEAR = 30
"""Rows before the edge of what is in memory at which the next page is fetched."""


class WindowedList(Table, Generic[T], inherit_bindings=False):
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

    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

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
            return isinstance(message, WindowedList.Moved) and message.listing is self.listing

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
        id: str | None = None,  # noqa: A002 - as in every widget
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
        self._is_another = False
        self._cursor_on: Hashable = None
        self._placed: list[Placed[T]] = []
        self._strips: dict[Hashable, tuple[T, tuple[bool, bool, bool, int], Strip]] = {}
        self._painted: dict[int, Strip] = {}
        self._loading = asyncio.Lock()
        self._moves_ahead: list[str] = []

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

    def counted(self, noun: str) -> str:
        """Return how many rows there are, with their name; nothing before that is known."""
        if not self.loaded:
            return ""
        if self._is_another:
            return self.signs.ellipsis  # the number is that of the list before
        about = "about " if self.window.estimated else ""
        return about + counted(self.window.total, noun)

    async def load(self) -> None:
        """Load the list from its start."""
        await self._load(self.window.to_start)

    def load_anew(self) -> None:
        """Load the list from its start, in the background: it is another one by now."""
        self._is_another = True
        _: Worker[None] = self.run_worker(self.load, group="load", exclusive=True)

    async def reload(self) -> None:
        """Load what is seen again; the cursor stays on its row."""
        top = self.top
        await self._load(lambda: self.window.again(top, top + self.rows_high))

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
        self.refresh_row(self.cursor)
        self.post_message(self.MarksChanged(self))
        self._go_to(self.cursor + 1)

    def mark_all(self) -> int:
        """Mark the rows that are in memory; return how many are marked then."""
        if self.markable:
            self.marks.update({self.row_id(row): row for row in self.window.rows()})
            self.refresh()
            self.post_message(self.MarksChanged(self))
        return len(self.marks)

    def unmark(self, identities: Iterable[Hashable]) -> None:
        """Unmark some rows, whether they are in memory or gone."""
        marked = len(self.marks)
        for identity in identities:
            self.marks.pop(identity, None)
        if len(self.marks) < marked:
            self.refresh()
            self.post_message(self.MarksChanged(self))

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
        self._strips.clear()
        self._refresh_differences()

    # -- loading

    async def _load(self, fetch: Callable[[], Awaitable[None]]) -> None:
        async with self._loading:
            self._note_cursor()
            try:
                await fetch()
            except HooktuiError as error:
                self._is_another = False
                self.post_message(self.Failed(self, error))
                return
            # Where it stands by now: it may have been moved while the rows were on their way.
            self._settle(self._cursor_on, self.cursor - self.top, at_top=self.top == 0)
            self._refresh_differences()
        self.post_message(self.Moved(self))
        self.call_later(self._fetch_near)
        moves, self._moves_ahead = self._moves_ahead, []
        for name in moves:
            self.action_move(name)

    def _note_cursor(self) -> None:
        row = self.cursor_row
        self._cursor_on = None if row is None else self.row_id(row)

    def _settle(self, identity: Hashable, offset: int, *, at_top: bool) -> None:
        """Take over what was loaded: size, cursor, marks, and the place of the cursor's line."""
        self.loaded, self._is_another = True, False
        self.show_count(self.window.total)
        for row in self.window.rows() if self.marks else ():
            if self.row_id(row) in self.marks:
                self.marks[self.row_id(row)] = row
        position = None if identity is None else self.window.find(identity)
        if position is not None and position != self.cursor:
            self.cursor = position
            if not at_top or position > self.rows_high:
                self.scroll_top(position - offset)
        self.cursor = max(0, min(self.cursor, self.window.total - 1))

    def _fetch_near(self) -> None:
        """Fetch the page that the eye or the cursor will need next."""
        if not self.loaded or self._loading.locked():
            return
        window, top = self.window, self.top
        if top + self.rows_high + _NEAR > window.end and window.has_more:
            self._fetch_in_background(window.more)
        elif top - _NEAR < window.first and window.has_before:
            self._fetch_in_background(window.before)

    def _fetch_in_background(self, fetch: Callable[[], Awaitable[None]]) -> None:
        self._in_background(partial(self._load, fetch))

    def _in_background(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run one piece of loading; a later one takes its place."""
        _: Worker[None] = self.run_worker(work, group="rows", exclusive=True)

    # -- moving

    def action_move(self, name: str) -> None:
        """Move the cursor; before there are rows, as soon as there are."""
        if not self.loaded:
            self._moves_ahead.append(name)
            return
        high = self.rows_high
        match name:
            case "up":
                self._go_to(self.cursor - 1)
            case "down":
                self._go_to(self.cursor + 1)
            case "page_up":
                self._go_to(self.cursor - high, top=self.top - high)
            case "page_down":
                self._go_to(self.cursor + high, top=self.top + high)
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

        self._in_background(jump)

    def _go_to(self, position: int, top: int | None = None) -> None:
        """Put the cursor on a position; scroll only when it would be out of sight."""
        lowest, highest = self.window.first, self.window.end - 1
        position = max(lowest, min(position, highest))
        if highest < lowest:
            return
        old, self.cursor = self.cursor, position
        self._note_cursor()
        before = self.top
        if top is not None:
            self.scroll_top(top)
        if position < self.top:
            self.scroll_top(position)
        elif position >= self.top + self.rows_high:
            self.scroll_top(position - self.rows_high + 1)
        if self.top == before:
            self.refresh_row(old)
            self.refresh_row(position)
        self._fetch_near()
        if old != position:
            self.post_message(self.Moved(self))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Fetch what comes into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._fetch_near()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a row; a double click opens it, one on a heading sorts by it."""
        if event.y == 0:
            self._click_heading(event.x)
            return
        position = self.top + event.y - 1
        if self.window.row(position) is None:
            return
        self._go_to(position)
        if event.chain == 2:
            self.action_open()

    def _click_heading(self, x: int) -> None:
        column = column_at(self._placed, x)
        if column is None or column.sort is None:
            return
        turned = column.sort == self.window.sort and not self.window.descending
        self.run_worker(self.sort_by(column.sort, descending=turned))

    # -- drawing

    def on_resize(self) -> None:
        """Place the columns anew, and keep the cursor in sight."""
        self._placed = place(self.columns, self.line_width - MARGIN)
        self._strips.clear()
        self.show_count(self.window.total)
        if self.cursor >= self.top + self.rows_high:
            self.scroll_top(self.cursor - self.rows_high + 1)
        self.refresh()

    def on_focus(self) -> None:
        """Show the cursor as the place where keys go."""
        self.refresh_row(self.cursor)

    def on_blur(self) -> None:
        """Show the cursor as resting."""
        self.refresh_row(self.cursor)

    def notify_style_update(self) -> None:
        """Forget lines in the colours of another theme."""
        super().notify_style_update()
        self._strips.clear()

    def _refresh_differences(self) -> None:
        """Repaint only the lines that are not what was painted last."""
        for y in range(self.size.height):
            if self._line(y) != self._painted.get(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draw the heading (line 0) or a row."""
        strip = self._painted[y] = self._line(y)
        return strip

    def _line(self, y: int) -> Strip:
        if y == 0:
            return self.draw_heading(
                self._placed, self.window.sort, descending=self.window.descending
            )
        position = self.top + y - 1
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
        return self.strip(text, self.line_width)

    def _row(self, position: int, row: T) -> Strip:
        identity = self.row_id(row)
        at_cursor = position == self.cursor
        state = (
            at_cursor,
            at_cursor and self.has_focus,
            identity in self.marks,
            self.line_width,
        )
        cached = self._strips.get(identity)
        if cached is not None and cached[1] == state and cached[0] == row:
            return cached[2]
        over = self.cursor_style() if at_cursor else None
        strip = self.draw_row(self._placed, row, over=over, marked=state[2])
        if len(self._strips) > 2 * PAGE * MOST_PAGES:
            self._strips.clear()
        self._strips[identity] = (row, state, strip)
        return strip
