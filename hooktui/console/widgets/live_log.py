"""The live log: what is delivered, as it happens. Draws a ring buffer line by line.

Lines are put into the buffer by whoever follows the feed; a burst of any size makes one repaint, at
most four a second, and only while the log is seen. Not following *is* paused: the picture stands
still, and a chip counts what is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from hooktui.console.keys import move_bindings
from hooktui.console.log_buffer import LogBuffer, LogLine
from hooktui.console.log_words import line_text, log_columns, subject_of
from hooktui.console.signs import Signs
from hooktui.console.widgets.columns import Placed, place
from hooktui.console.widgets.log_search import LogSearch
from hooktui.console.widgets.log_wrap import INDENT, continuation, rows_from, top_for
from hooktui.console.widgets.painted import Piece, Pieces, Tone
from hooktui.console.widgets.search import Found, highlighted
from hooktui.console.widgets.table import MARGIN, Table
from hooktui.domain.filters import Filter

REPAINT_S: Final = 0.25
"""Between two repaints while following; a slow line gets no more than it can take."""

CHIP_S: Final = 1.0
"""Between two counts of new lines while paused."""


class LiveLog(Table, inherit_bindings=False):
    """The lines of a buffer, the newest at the bottom.

    Args:
        buffer: where the lines are.
        clock: returns "now" in milliseconds, for filters like ``since:10m``.
        names: names of hooks by id; may grow later.
        signs: what is drawn for states.
        caption: whether line 0 names the log (for a pane) or the columns (for a screen).
    """

    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    class FromLog(Message):
        """A message of a log."""

        def __init__(self, log: LiveLog) -> None:
            super().__init__()
            self.log_widget = log

        @property
        def control(self) -> LiveLog:
            """The log that sent it."""
            return self.log_widget

    class Opened(FromLog):
        """Enter, or a double click, on a line; ``delivery`` is its delivery's id."""

        def __init__(self, log: LiveLog, delivery: str) -> None:
            super().__init__(log)
            self.delivery = delivery

    class StateChanged(FromLog):
        """Following began or ended, or other lines are shown, or more are new."""

        def can_replace(self, message: Message) -> bool:
            """Only the latest state counts."""
            return isinstance(message, LiveLog.StateChanged)

    def __init__(
        self,
        buffer: LogBuffer,
        clock: Callable[[], int],
        names: Mapping[int, str],
        signs: Signs,
        *,
        caption: bool = False,
        id: str | None = None,  # noqa: A002 - as in every widget
    ) -> None:
        super().__init__(id=id)
        self.buffer = buffer
        self.following = True
        self.filter: Filter | None = None
        self.hooks: frozenset[int] | None = None
        self.signs = signs
        self._clock = clock
        self._names = names
        self._caption = caption
        self._shown: deque[int] = deque()
        self._waiting: deque[int] = deque()
        self._read_to = 0
        self._cursor: int | None = None
        self._due = False
        self._drawn_at = 0.0
        self._placed: list[Placed[LogLine]] = []
        self._columns = log_columns(names, signs)
        self.wrapped = False
        self.marks: set[int] = set()
        self._search = LogSearch(lambda line: line_text(line, names))
        self._rows: list[tuple[int, int]] = []
        self._rows_for: tuple[int, ...] = ()

    # -- what others ask and tell

    @property
    def cursor_line(self) -> LogLine | None:
        """The line under the cursor; while following, the newest one."""
        number = self._cursor if self._cursor is not None else self._newest
        if number is None or number < self.buffer.first:
            return None
        return self.buffer[number]

    def follow(self, following: bool) -> None:
        """Follow the newest lines, or stand still."""
        if following == self.following:
            return
        self.following = following
        self._cursor = None if following else self._newest
        self._let_in()
        self.catch_up()
        self.refresh()
        self.post_message(self.StateChanged(self))

    def show_only(self, wanted: Filter | None = None, hooks: frozenset[int] | None = None) -> None:
        """Show lines that fit a filter and belong to some hooks; None: all of them."""
        if (wanted, hooks) == (self.filter, self.hooks):
            return
        self.filter, self.hooks = wanted, hooks
        self._shown.clear()
        self._waiting.clear()
        self._search.begin(self._search.needle, ())
        self._rows_for = ()
        self._read_to = self.buffer.first
        self._read()
        self._let_in()
        self._cursor = None if self.following else self._newest
        self._count_rows()
        self.scroll_top(self._last_top)
        self.refresh()
        self.post_message(self.StateChanged(self))

    def catch_up(self) -> None:
        """Draw what has come since; called when the log is seen again."""
        self._due = False
        if not self.is_attached or not self._seen:
            return
        self._drawn_at = monotonic()
        if self.following:
            if self._read() or self.top != self._last_top:
                self._count_rows()
                self.scroll_top(self._last_top)
                self.refresh()
            return
        if self._read():
            self._count_rows()
            self.refresh(Region(0, 0, self.size.width, 1))
            self.post_message(self.StateChanged(self))

    def state(self) -> Pieces:
        """Return whether it follows, what is new, and what it is narrowed to."""
        pieces: list[Piece] = []
        if self.following:
            pieces.append(("following", "quiet"))
        else:
            pieces.append(("paused", "warn"))
            chip = f" {self.signs.dot} {self.new:,} new, f follows" if self.new else ""
            pieces.append((chip, "accent"))
        if self.hooks is not None:
            hooks = ", ".join(str(hook) for hook in sorted(self.hooks)[:5])
            more = ", …" if len(self.hooks) > 5 else ""
            pieces.append((f" {self.signs.dot} hook {hooks}{more}", "accent"))
        if self.marks:
            pieces.append((f" {self.signs.dot} {len(self.marks):,} marked", "accent"))
        if self.filter is not None:
            pieces.append((f" {self.signs.dot} filter: {self.filter}", "accent"))
        return pieces

    # -- the buffer

    def on_mount(self) -> None:
        """Hear of new lines."""
        self.buffer.listeners.append(self._grown)
        self._read()

    def on_unmount(self) -> None:
        """Hear of nothing any more."""
        self.buffer.listeners.remove(self._grown)

    def on_show(self) -> None:
        """Catch up with what came while it was hidden."""
        self.catch_up()

    def _grown(self) -> None:
        """Repaint soon; many calls make one repaint, and none while nobody looks."""
        if self._due or not self._seen:
            return
        self._due = True
        pause = REPAINT_S if self.following else CHIP_S
        self.set_timer(max(self._drawn_at + pause - monotonic(), 0.01), self.catch_up)

    @property
    def _seen(self) -> bool:
        # Not `is_current`: that holds for a screen below another one, too.
        in_front = self.is_attached and self.app.screen is self.screen
        return in_front and self.display and self.size.height > 0

    def _read(self) -> int:
        """Take in the lines since the last time; return how many of them are shown."""
        fitting = [
            (number, line) for number, line in self.buffer.since(self._read_to) if self._fits(line)
        ]
        self._read_to = self.buffer.end
        self._search.take(fitting)
        self._search.forget(self.buffer.first)
        (self._shown if self.following else self._waiting).extend(n for n, _ in fitting)
        gone = 0
        while self._waiting and self._waiting[0] < self.buffer.first:
            self._waiting.popleft()
        while self._shown and self._shown[0] < self.buffer.first:
            self._shown.popleft()
            gone += 1
        if gone and not self.following:
            # The ring is full: the same lines stay where they are on the screen.
            self._renumber(gone)
        if not self._shown:
            self._let_in()  # what stood still has fallen out of the ring
        if self._cursor is not None and self._cursor < self.buffer.first:
            self._cursor = self._shown[0] if self._shown else None
        return len(fitting)

    def _renumber(self, gone: int) -> None:
        """Count on from other lines: so many before the top have gone; the picture stays."""
        top = self.top - gone
        if top < 0:
            self.scroll_top(0)
            self.refresh()
            return
        # Without the watchers, which would repaint what is there already.
        self.set_reactive(LiveLog.scroll_y, float(top))
        self.set_reactive(LiveLog.scroll_target_y, float(top))
        self._place_scrollbar()

    def _let_in(self) -> None:
        """Show the lines that came while the picture stood still."""
        if self._waiting:
            self._shown.extend(self._waiting)
            self._waiting.clear()
            self._count_rows()
            self.refresh()

    @property
    def new(self) -> int:
        """Lines that came while the log stands still."""
        return len(self._waiting)

    def _fits(self, line: LogLine) -> bool:
        if line.note:
            return True
        if self.hooks is not None and line.hook not in self.hooks:
            return False
        return self.filter is None or self.filter.matches(
            subject_of(line, self._names), self._clock()
        )

    @property
    def _newest(self) -> int | None:
        return self._shown[-1] if self._shown else None

    @property
    def _last_top(self) -> int:
        if self.wrapped:
            return top_for(len(self._shown) - 1, self.rows_high, self._height)
        return max(len(self._shown) - self.rows_high, 0)

    # -- moving

    def action_move(self, name: str) -> None:
        """Move the cursor; the first move stops following, so that the line stays under it."""
        if not self._shown:
            return
        if self.following:
            self.follow(False)
        at = self._position()
        high = self.rows_high
        to = {
            "up": at - 1, "down": at + 1, "page_up": at - high, "page_down": at + high,
            "first": 0, "last": len(self._shown) - 1,
        }[name]  # fmt: skip
        if name == "last" or to >= len(self._shown):
            self._let_in()
            to = len(self._shown) - 1 if name == "last" else to
            self.post_message(self.StateChanged(self))
        self._go_to(to)

    def action_open(self) -> None:
        """Open the delivery of the line under the cursor."""
        line = self.cursor_line
        if line is not None and line.delivery:
            self.post_message(self.Opened(self, line.delivery))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a line; a double click opens it."""
        rows = self._on_screen()
        if not 0 < event.y <= len(rows):
            return
        position = rows[event.y - 1][0]
        self.follow(False)
        self._go_to(position)
        if event.chain == 2:
            self.action_open()

    def on_mouse_scroll_up(self) -> None:
        """Scrolling back stops following."""
        if self._shown:
            self.follow(False)

    def _position(self) -> int:
        """Return where the cursor is among the lines that are shown."""
        if self._cursor is None:
            return len(self._shown) - 1
        low, high = 0, len(self._shown)
        while low < high:  # numbers are in order, so the half that matters is known
            middle = (low + high) // 2
            if self._shown[middle] < self._cursor:
                low = middle + 1
            else:
                high = middle
        return min(low, len(self._shown) - 1)

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

    # -- drawing

    def on_resize(self) -> None:
        """Place the columns anew."""
        self._placed = place(self._columns, self.line_width - MARGIN)
        self._count_rows()
        if self.following:
            self.scroll_top(self._last_top)
        self.refresh()

    def on_focus(self) -> None:
        """Show the cursor as the place where keys go."""
        self.refresh()

    def on_blur(self) -> None:
        """Show the cursor as resting."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the caption or the titles (line 0), or a line of the log."""
        if y == 0:
            return self._caption_line() if self._caption else self.draw_heading(self._placed)
        rows = self._on_screen()
        if y > len(rows):
            return self.strip(self._empty(y), self.line_width)
        position, part = rows[y - 1]
        number = self._shown[position]
        if number < self.buffer.first:
            return self.strip((), self.line_width)
        return highlighted(self._line(number, part), self._search.needle)

    def _line(self, number: int, part: int) -> Strip:
        line = self.buffer[number]
        at_cursor = not self.following and number == self._cursor
        over = self.cursor_style() if at_cursor else None
        if part:
            rest = continuation(self._columns, self._placed, line, self.line_width)
            text: Pieces = ((" " * INDENT, "quiet"), (rest[part - 1], "quiet"))
            return self.strip(text, self.line_width, over)
        if line.note:
            text = ((f"  {self.signs.rule} {line.note}", "warn"),)
            return self.strip(text, self.line_width, over)
        return self.draw_row(self._placed, line, over=over, marked=number in self.marks)

    # -- wrapped lines

    def toggle_wrap(self) -> bool:
        """Wrap long lines, or cut them again; return whether they are wrapped now."""
        self.wrapped = not self.wrapped
        self._rows_for = ()
        self._count_rows()
        at = self._position() if self._shown else 0
        top = self._last_top if self.following else min(self.top, at)
        self.scroll_top(top)
        self.refresh()
        return self.wrapped

    def _count_rows(self) -> None:
        """Say how far the log can be scrolled: until its last line ends at the bottom."""
        count = len(self._shown)
        self.show_count(self._last_top + self.rows_high if self.wrapped and count else count)

    def _height(self, position: int) -> int:
        number = self._shown[position]
        if not self.wrapped or number < self.buffer.first or self.buffer[number].note:
            return 1
        line = self.buffer[number]
        return 1 + len(continuation(self._columns, self._placed, line, self.line_width))

    def _on_screen(self) -> list[tuple[int, int]]:
        """Return ``(position, part of the line)`` of each row that is seen; worked out once."""
        newest = self._newest
        known = (self.top, self.rows_high, len(self._shown), self.line_width, newest or 0)
        if known != self._rows_for:
            self._rows_for = known
            self._rows = rows_from(self.top, self.rows_high, len(self._shown), self._height)
        return self._rows

    # -- marks, and the search

    def toggle_mark(self) -> None:
        """Mark or unmark the line under the cursor, and go to the next one."""
        if not self._shown:
            return
        self.follow(False)
        position = self._position()
        self.marks ^= {self._shown[position]}
        self.marks = {number for number in self.marks if number >= self.buffer.first}
        self._go_to(position + 1)
        self.refresh()
        self.post_message(self.StateChanged(self))

    def clear_marks(self) -> bool:
        """Unmark everything; return whether anything was marked."""
        was = bool(self.marks)
        self.marks.clear()
        if was:
            self.refresh()
            self.post_message(self.StateChanged(self))
        return was

    def chosen_text(self) -> tuple[int, str]:
        """Return the marked lines, else the one under the cursor, and how many those are."""
        numbers = sorted(number for number in self.marks if number >= self.buffer.first)
        line = self.cursor_line
        lines = [self.buffer[number] for number in numbers] or ([] if line is None else [line])
        return len(lines), "\n".join(line_text(one, self._names) for one in lines)

    def search(self, text: str) -> Found | None:
        """Search from the cursor backwards, for the newest is what matters; empty: end it."""
        numbers = (*self._shown, *self._waiting)
        there = ((number, self.buffer[number]) for number in numbers if number >= self.buffer.first)
        self._search.begin(text, there)
        self.refresh()
        return self._go_to_match(forward=False, stay=True) if text else None

    def search_on(self, *, forward: bool) -> Found | None:
        """Go to the next match, which is a newer line, or to the one before."""
        return self._go_to_match(forward=forward) if self._search.needle else None

    def _go_to_match(self, *, forward: bool, stay: bool = False) -> Found | None:
        newest = self._newest
        here = self._cursor if self._cursor is not None else newest
        gone = self._search.go(-1 if here is None else here, forward=forward, stay=stay)
        if gone is None:
            return Found(0, 0)
        number, found = gone
        self.follow(False)
        if newest is not None and number > newest:
            self._let_in()
        self._cursor, old = number, self._cursor
        position = self._position()
        self._cursor = old
        self._go_to(position)
        return found

    def _caption_line(self) -> Strip:
        name: Tone = "strong" if self.has_focus else "plain"
        rule = self.signs.rule
        left: list[Piece] = [(f"{rule} ", "quiet"), ("Live log", name), ("  ", "plain")]
        left += self.state()
        left.append((f" {rule * self.line_width}", "quiet"))
        strip = self.segments(left)
        return Strip(strip).crop(0, self.line_width)

    def _empty(self, y: int) -> Pieces:
        if self._shown or y != 1:
            return ()
        if self.filter is not None or self.hooks is not None:
            return (("  nothing fits yet", "quiet"),)
        return (("  quiet so far: every attempt of a delivery shows here as it happens", "quiet"),)
