"""The list widget of the console, which draws only the visible rows, whatever their number.

A key repaints two lines. Rows are loaded from a `PageSource` as needed; the cursor stays on the
chosen row (by its id) when rows are reloaded or sorted, and marks stay on their rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.worker import Worker

from hooktui.console.registry import move_bindings
from hooktui.console.widgets.list_choice import Load, Marks, RowChoice, StaleReason, search_chosen
from hooktui.console.widgets.page_window import MAX_PAGES, PAGE, PageSource, PageWindow
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.table import Column, Table
from hooktui.domain.errors import HooktuiError
from hooktui.domain.text import counted

T = TypeVar("T")

_NEAR = 30
"""Distance in rows from the edge of the rows in memory at which the next page is fetched."""


class WindowedList(Table, Generic[T], inherit_bindings=False):
    """A list over a window of rows.

    ``row_id`` returns the permanent id of a row; ``empty`` is the text of the empty list: its
    purpose, and the one key to start with; ``sort`` is the initial one, as a column's ``sort``.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    @dataclass
    class FromList(Message):
        """Base class of the messages of a list."""

        listing: WindowedList[Any]

    class Opened(FromList):
        """Posted on Enter, or a double click, on the row under the cursor."""

    class Moved(FromList):
        """Posted when the cursor is on another row, or its row has changed or disappeared."""

        def can_replace(self, message: Message) -> bool:
            """Return whether a message is a move in the same list; only the last one matters."""
            return isinstance(message, WindowedList.Moved) and message.listing is self.listing

    class MarksChanged(FromList):
        """Posted when the set of marked rows has changed."""

    @dataclass
    class Failed(FromList):
        """Posted when a load has failed; the list keeps its rows, unless another list failed."""

        error: HooktuiError

    def __init__(
        self,
        columns: Sequence[Column[T]],
        source: PageSource[T],
        row_id: Callable[[T], Hashable],
        *,
        empty: Sequence[StyledLine] = (),
        markable: bool = True,
        sort: str | None = None,
        descending: bool = False,
        id: str | None = None,  # noqa: A002 - as in every widget
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.window = PageWindow(source, row_id)
        self.window.sort, self.window.descending = sort, descending
        self.row_id = row_id
        self.empty = tuple(empty)
        self.markable = markable
        self.cursor = 0
        self.marks: Marks[T] = Marks()
        self.loaded = False
        self._unloaded: tuple[StyledLine, ...] = ()
        self.choice = RowChoice()
        self._asked = self._arrived = 0  # counts of lists in another order, or with other rows
        self._is_another = self._is_missing = False
        self._strips: dict[Hashable, tuple[T, tuple[bool, bool, bool, int], Strip]] = {}
        self._painted: dict[int, Strip] = {}
        self._drawn: dict[int, T] = {}
        self._lost_row = False  # the last load did not find the chosen row
        self._loading = asyncio.Lock()
        self._moves_ahead: list[str] = []

    # -- for other modules

    @property
    def cursor_row(self) -> T | None:
        """The row under the cursor, if there is one."""
        return self.window.row(self.cursor)

    @property
    def selected(self) -> list[T]:
        """The rows that a command acts on: the marked ones, else the one under the cursor.

        The row is returned as it was drawn, so that a command acts on the state on the screen.
        """
        if self.marks:
            return list(self.marks.values())
        row = self.cursor_row
        if row is None:
            return []
        drawn = self._drawn.get(self.cursor - self.top + 1)
        return [row if drawn is None or self.row_id(drawn) != self.row_id(row) else drawn]

    @property
    def stale_reason(self) -> StaleReason | None:
        """The reason why a command must not act on the row under the cursor; None if it may."""
        row = self.cursor_row
        if self._arrived < self._asked:
            return "loading"
        if row is None:
            return "hidden" if self.window.total else None
        if self.choice.row not in (None, self.row_id(row)):
            return "replaced"
        in_sight = self.display and self.top <= self.cursor < self.top + self.size.height - 1
        return None if in_sight else "hidden"

    @property
    def undrawn(self) -> bool:
        """Whether the row under the cursor is new there and has not been drawn yet."""
        return self.choice.row is None and self.cursor_row is not None

    def show_cursor(self) -> None:
        """Choose the row under the cursor and scroll to it, as a notice asks to check it."""
        if self.cursor_row is None:
            self.select(self.choice.row)
        else:
            self._lost_row = False
            self._go_to(self.cursor)

    def ask_to_check(self) -> None:
        """Let no command act on the row under the cursor before the user has seen it there."""
        self.choice.choose(object())  # the id of no row

    def select(self, identity: Hashable) -> None:
        """Move the cursor to a row as soon as it is listed, such as one that was just created."""
        self.choice.choose(identity, awaited=True)
        if not self.put_cursor_on(identity) and self.loaded:
            self._in_background(self.reload)

    def counted(self, noun: str) -> str:
        """Return the number of rows with a noun; empty until the number is known."""
        if not self.loaded:
            return ""
        if self._is_another:
            return self.glyphs.ellipsis  # the number is that of the previous list
        about = "about " if self.window.estimated else ""
        return about + counted(self.window.total, noun)

    def explain(self, lines: Sequence[StyledLine]) -> None:
        """Set the text that is drawn until rows are loaded: why there are none yet."""
        self._unloaded = tuple(lines)
        if not self.loaded:
            self._refresh_differences()

    async def load(self) -> None:
        """Load the list from its start; it may contain other rows than before."""
        self._asked += 1
        await self._load(PageWindow.to_start, "filter")

    def load_anew(self) -> None:
        """Load the list from its start in the background, because it is another list now."""
        self._asked += 1
        self._is_another = True
        _: Worker[None] = self.run_worker(self.load, group="load", exclusive=True)

    async def reload(self) -> None:
        """Reload the visible rows, or the first page; the cursor stays on its row."""
        if self._is_missing:
            await self.load()
            return
        top = self.top

        async def again(window: PageWindow[T]) -> None:
            await window.load_again(top, top + self.rows_high)

        await self._load(again, "reload")

    async def sort_by(self, sort: str | None, *, descending: bool) -> None:
        """Sort the list; the cursor stays on its row."""
        before = self.window.sort, self.window.descending
        self._asked += 1
        self.window.sort, self.window.descending = sort, descending
        failed = not await self._load(PageWindow.to_start, "sort")
        if failed and (self.window.sort, self.window.descending) == (sort, descending):
            self.window.sort, self.window.descending = before

    def next_sort(self) -> str | None:
        """Return the sort after the current one, among the visible columns."""
        sorts = [p.column.sort for p in self._placed if p.column.sort is not None]
        if self.window.sort not in sorts:
            return sorts[0] if sorts else None
        return sorts[(sorts.index(self.window.sort) + 1) % len(sorts)]

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor, and move to the next one."""
        row = self.cursor_row
        if row is None or not self.markable:
            return
        identity = self.row_id(row)
        if self.marks.pop(identity, None) is None:
            self.marks[identity] = row
        self.refresh_row(self.cursor)
        self.post_message(self.MarksChanged(self))
        self._go_to(self.cursor + 1)

    def mark_all(self, max_rows: int) -> int:
        """Mark the rows in memory, until ``max_rows`` are marked; return the number of these."""
        if self.markable:
            self._mark(self.window.rows(), max_rows)
        return len(self.marks)

    async def mark_every(self, max_rows: int) -> int:
        """Mark rows of the whole list, until ``max_rows`` are marked; return the number of these.

        Raises:
            HooktuiError: the server did not return them; the marks are unchanged.
        """
        if not self.markable:
            return 0
        request = self._asked
        rows = await self.window.all_rows(max_rows)
        if request == self._asked:  # otherwise another list was requested in the meantime
            self._mark(rows, max_rows)
        return len(self.marks)

    def _mark(self, rows: Iterable[T], max_rows: int) -> None:
        """Mark rows in their order, until ``max_rows`` are marked, also those marked before."""
        for row in rows:
            identity = self.row_id(row)
            if identity in self.marks or len(self.marks) < max_rows:
                self.marks[identity] = row
        self._marks_changed()

    def unmark(self, identities: Iterable[Hashable]) -> None:
        """Unmark some rows, whether or not they are in memory."""
        marked = len(self.marks)
        for identity in identities:
            self.marks.pop(identity, None)
        if len(self.marks) < marked:
            self._marks_changed()

    def clear_marks(self) -> bool:
        """Unmark all rows; return whether any row was marked."""
        if not self.marks:
            return False
        self.marks.clear()
        self._marks_changed()
        return True

    def _marks_changed(self) -> None:
        self.refresh()
        self.post_message(self.MarksChanged(self))

    def put_cursor_on(self, identity: Hashable) -> bool:
        """Move the cursor to a row by its id; return whether that row is in memory."""
        position = self.window.find(identity)
        if position is not None:
            self._go_to(position)
        return position is not None

    def put(self, row: T) -> None:
        """Show a row in its new state, until the list is loaded again."""
        self.window.put(row)
        self._refresh_differences()

    def refresh_times(self) -> None:
        """Redraw rows, whose text may depend on the time; only lines that differ are written."""
        self._strips.clear()
        self._refresh_differences()

    # -- loading

    async def _load(self, fetch: Callable[[PageWindow[T]], Awaitable[None]], load: Load) -> bool:
        """Fetch rows and show them; return whether that succeeded.

        They are fetched into a copy: until the cursor's row has been searched for among them, the
        list that is visible, and that commands act on, remains unchanged.
        """
        async with self._loading:
            request, fresh = self._asked, self.window.copy()
            try:
                await fetch(fresh)
                if self._follows(load):
                    await search_chosen(self.choice, fresh, load)
            except HooktuiError as error:
                if self._is_another and load == "filter" and request == self._asked:
                    self._drop_rows()
                self._arrived, self._is_another = request, False
                self.post_message(self.Failed(self, error))
                return False
            if self._asked != (self._arrived if load in ("reload", "page") else request):
                return True  # another list was requested in the meantime; drop these rows
            self._take_over(fresh, load)
            if load in ("filter", "sort"):
                self._arrived, self._is_another, self._is_missing = request, False, False
            self._refresh_differences()
        self.post_message(self.Moved(self))
        self.call_later(self._fetch_near)
        moves, self._moves_ahead = self._moves_ahead, []
        for name in moves:
            self.action_move(name)
        return True

    def _drop_rows(self) -> None:
        """Drop the rows of the previous list, such as those of another filter."""
        self.window = self.window.empty()
        self.marks.filtered()
        self.loaded, self._is_missing = False, True
        self.show_count(0)
        self._refresh_differences()

    def _follows(self, load: Load) -> bool:
        """Return whether the chosen row is searched for beyond the fetched rows."""
        if load == "reload":  # not if it is already missing, or was scrolled out of view
            return self.choice.awaited or self.stale_reason is None
        return load != "page"

    def _take_over(self, fresh: PageWindow[T], load: Load) -> None:
        """Show the fetched rows: update size, marks, cursor, and the line of the cursor."""
        anew = load in ("filter", "sort")
        offset, at_top = self.cursor - self.top, self.top == 0
        if anew:
            self._needs.clear()
            self._strips.clear()  # so that all rows are measured again
            offset = max(0, min(offset, self.rows_high - 1))
        self.window, self.loaded = fresh, True
        self.show_count(fresh.total)
        if load == "filter":
            self.marks.filtered()
        self.marks.loaded(fresh.rows(), self.row_id)
        if load == "page":
            position = fresh.find(self.choice.row)
        else:
            position = self.choice.settle(fresh.find, filtered=load == "filter")
            self._lost_row = position is None
        if position is None and anew:
            self.cursor = 0
            self.scroll_top(0)
        elif position is None:
            self.cursor = max(0, min(self.cursor, fresh.total - 1))
        elif position != self.cursor or anew:
            self.cursor = position
            if not at_top or position >= self.rows_high:
                self.scroll_top(position - offset)

    def _fetch_near(self) -> None:
        """Fetch the next or previous page if the visible rows are near the edge of the window."""
        if not self.loaded or self._loading.locked() or self._arrived < self._asked:
            return
        window, top = self.window, self.top
        if top + self.rows_high + _NEAR > window.end and window.has_more:
            self._in_background(partial(self._load, PageWindow.load_next, "page"))
        elif top - _NEAR < window.first and window.has_before:
            self._in_background(partial(self._load, PageWindow.load_previous, "page"))

    def _in_background(self, work: Callable[[], Coroutine[None, None, object]]) -> None:
        """Run a load in a worker; a later one replaces it."""
        _: Worker[object] = self.run_worker(work, group="rows", exclusive=True)

    # -- moving

    def action_move(self, name: str) -> None:
        """Move the cursor; before the first load, queue the move until there are rows."""
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
                self._jump(PageWindow.to_start, 0)
            case "last":
                self._jump(PageWindow.to_end, self.window.total - 1)

    def action_open(self) -> None:
        """Open the row under the cursor; without one, Enter is a key of the screen.

        Raises:
            SkipAction: there is no row; the screen says why.
        """
        if self.cursor_row is None:
            raise SkipAction
        self.post_message(self.Opened(self))

    def _jump(self, fetch: Callable[[PageWindow[T]], Awaitable[None]], position: int) -> None:
        if self.window.row(position) is not None or not self.window.total:
            self._go_to(position)
            return

        async def jump() -> None:
            shown = await self._load(fetch, "page")
            if shown and self._arrived == self._asked:
                self._go_to(0 if position == 0 else self.window.total - 1)

        self._in_background(jump)

    def _go_to(self, position: int, top: int | None = None) -> None:
        """Move the cursor to a position; scroll only if it would be out of view."""
        lowest, highest = self.window.first, self.window.end - 1
        position = max(lowest, min(position, highest))
        if highest < lowest:
            return
        old, self.cursor = self.cursor, position
        row = self.window.row(position)
        if row is not None and not self._lost_row:
            self.choice.choose(self.row_id(row))
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
        """Fetch the rows that come into view, and lay out the columns for them."""
        super().watch_scroll_y(old_value, new_value)
        self._place_columns()
        self._fetch_near()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to a row; a double click opens it, a click on a heading sorts by it."""
        if event.y == 0:
            self._click_heading(event.x)
            return
        drawn = self._drawn.get(event.y)
        # The click is for the row that was drawn there, even if the list has changed since.
        if drawn is not None and self.put_cursor_on(self.row_id(drawn)) and event.chain == 2:
            self.action_open()

    def _click_heading(self, x: int) -> None:
        column = self.column_at(x)
        if column is None or column.sort is None:
            return
        turned = column.sort == self.window.sort and not self.window.descending
        self.run_worker(self.sort_by(column.sort, descending=turned), group="sort")

    # -- drawing

    def on_resize(self) -> None:
        """Lay out the columns again, and keep the cursor in view."""
        self._strips.clear()  # of another width
        self._place_columns()
        self.show_count(self.window.total)
        if self.cursor >= self.top + self.rows_high:
            self.scroll_top(self.cursor - self.rows_high + 1)
        self.refresh()

    def _place_columns(self) -> None:
        """Lay out the columns for the visible rows; widths only change for longer texts."""
        seen = map(self.window.row, range(self.top, self.top + self.rows_high))
        unmeasured = [row for row in seen if row is not None and not self._is_drawn(row)]
        if self.place_columns(self.columns, unmeasured):
            self._strips.clear()
            self.refresh()

    def _is_drawn(self, row: T) -> bool:
        """Return whether a row has a cached line; it was measured before that was drawn."""
        cached = self._strips.get(self.row_id(row))
        return cached is not None and cached[0] == row

    def notify_style_update(self) -> None:
        """Clear the cached lines, which have the colours of the previous theme."""
        super().notify_style_update()
        self._strips.clear()

    def _refresh_differences(self) -> None:
        """Repaint only the lines that differ from those painted last."""
        self._place_columns()
        for y in range(self.size.height):
            if self._line(y) != self._painted.get(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draw the heading (line 0) or a row; record which row is drawn and which is chosen."""
        position = self.top + y - 1
        row = self.window.row(position) if y else None
        self._drawn.pop(y, None)
        if row is not None:
            self._drawn[y] = row
        if row is not None and position == self.cursor:
            self._lost_row = False
            if self.choice.row is None:
                self.choice.row = self.row_id(row)
        strip = self._painted[y] = self._line(y)
        return strip

    def _line(self, y: int) -> Strip:
        if y == 0:
            return self.draw_heading(self.window.sort, descending=self.window.descending)
        position = self.top + y - 1
        row = self.window.row(position)
        if row is not None:
            return self._row(position, row)
        if not self.loaded:
            text = self._unloaded[y - 1] if y <= len(self._unloaded) else ()
        elif self.window.total == 0:
            text = self.empty[y - 2] if 2 <= y < 2 + len(self.empty) else ()
        else:
            seen = position < self.window.total
            text = ((f"  {self.glyphs.ellipsis}", "quiet"),) if seen else ()
        return self.strip(text, self.line_width)

    def _row(self, position: int, row: T) -> Strip:
        identity = self.row_id(row)
        at_cursor, marked = position == self.cursor, identity in self.marks
        chosen = at_cursor and self.choice.row in (None, identity) and self.has_focus
        state = (at_cursor, chosen, marked, self.line_width)
        cached = self._strips.get(identity)
        if cached is not None and cached[1] == state and cached[0] == row:
            return cached[2]
        over = self.tone("cursor" if chosen else "blurred") if at_cursor else None
        strip = self.draw_row(row, over=over, marked=marked)
        if len(self._strips) > 2 * PAGE * MAX_PAGES:
            self._strips.clear()
        self._strips[identity] = (row, state, strip)
        return strip
