"""Live log of delivery attempts, drawn line by line from a ring buffer.

The feed follower fills the buffer. A burst of any size causes one repaint, at most four a second,
and only while the log is visible. If it does not follow, the log is paused: it does not scroll, and
its state shows the number of new lines.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Final

from textual import events
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.timer import Timer

from hooktui.console.log.columns import line_text, subject_of
from hooktui.console.log.log_table import LogTable
from hooktui.console.registry import move_bindings
from hooktui.console.shell.contract import Shell
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.text_search import SearchMatch
from hooktui.domain.filters.terms import Filter

REPAINT_S: Final = 0.25
"""Seconds between two repaints while following, so that a slow terminal can keep up."""

CHIP_S: Final = 1.0
"""Seconds between two counts of new lines while paused."""


class LiveLog(LogTable, inherit_bindings=False):
    """Widget that shows the lines of a buffer, newest at the bottom."""

    BINDINGS: ClassVar[list[BindingType]] = [*move_bindings()]

    set_timer = set_reliable_timer

    @dataclass
    class Opened(Message):
        """Posted on Enter or a double click on a line; ``delivery`` is the delivery's id."""

        delivery: str

    class StateChanged(Message):
        """Posted when following starts or stops, other lines are shown, or new lines arrive."""

        def can_replace(self, message: Message) -> bool:
            """Return whether ``message`` is an older state: only the latest one matters."""
            return isinstance(message, LiveLog.StateChanged)

    def __init__(self, shell: Shell, *, caption: bool = False) -> None:
        super().__init__(shell, caption=caption)
        self._waiting: deque[int] = deque()
        self._missed = 0  # new lines that the buffer has dropped meanwhile
        self._cleared = self.buffer.cleared
        self._read_to = 0
        self._due: Timer | None = None
        self._drawn_at = 0.0

    # -- public methods

    def follow(self, following: bool) -> None:
        """Follow the newest lines, or pause."""
        if following == self.following:
            return
        self.following = following
        self._cursor = None if following else self._newest
        self._show_waiting()
        self._keep_shown_lines()
        self.catch_up()
        self.refresh()
        self.post_message(self.StateChanged())

    def show_only(self, parsed: Filter | None = None, hooks: frozenset[int] | None = None) -> None:
        """Show only lines that match a filter and belong to some hooks; None: no restriction."""
        if (parsed, hooks) == (self.filter, self.hooks):
            return
        self.filter, self.hooks = parsed, hooks
        self._forget_lines(self.buffer.first)
        self._needs.clear()
        self._search.begin(self._search.needle, ())
        self._rows_for = ()
        self._read()
        self._show_waiting()
        self._keep_shown_lines()
        self._cursor = None if self.following else self._newest
        self._count_rows()
        self.scroll_top(self._last_top)
        self.refresh()
        self.post_message(self.StateChanged())

    def catch_up(self) -> None:
        """Draw the lines added since the last repaint; called when the log is visible again."""
        if self._due is not None:  # called before the timer is due; two would alternate endlessly
            self._due.stop()
            self._due = None
        if not self.is_attached or not self._is_visible:
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
            if self._caption:
                self.refresh(Region(0, 0, self.size.width, 1))
            self.post_message(self.StateChanged())

    def state(self) -> StyledLine:
        """Return the state: following or paused, new lines, hooks, marks and filter."""
        pieces: list[StyledText] = []
        if self.following:
            pieces.append(("following", "quiet"))
        else:
            pieces.append(("paused", "warn"))
            follows = f"{self.shell.key('follow')} follows"
            chip = f" {self.glyphs.dot} {self.new:,} new, {follows}" if self.new else ""
            pieces.append((chip, "accent"))
        if self.hooks is not None:
            hooks = ", ".join(str(hook) for hook in sorted(self.hooks)[:5])
            rest = ", …" if len(self.hooks) > 5 else ""
            pieces.append((f" {self.glyphs.dot} hook {hooks}{rest}", "accent"))
        if self.marks:
            pieces.append((f" {self.glyphs.dot} {len(self.marks):,} marked", "accent"))
        if self.filter is not None:
            pieces.append((f" {self.glyphs.dot} filter: {self.filter}", "accent"))
        return pieces

    # -- the buffer

    def on_mount(self) -> None:
        """Set up the notification of new lines."""
        self.buffer.listeners.append(self._lines_added)
        self._read()

    def on_unmount(self) -> None:
        """Stop the notification of new lines."""
        self.buffer.listeners.remove(self._lines_added)

    def on_show(self) -> None:
        """Draw the lines added while the log was hidden."""
        self.catch_up()

    def _lines_added(self) -> None:
        """Schedule a repaint; many calls cause one, and none while the log is not visible."""
        if self._due is not None or not self._is_visible:
            return
        pause = REPAINT_S if self.following else CHIP_S
        self._due = self.set_timer(max(self._drawn_at + pause - monotonic(), 0.01), self.catch_up)

    @property
    def _is_visible(self) -> bool:
        # Not `is_current`: that is also true for a screen below another one.
        in_front = self.is_attached and self.app.screen is self.screen
        return in_front and self.display and self.size.height > 0

    def _read(self) -> int:
        """Read the lines added since the last call; return how many of them match."""
        if self._cleared != self.buffer.cleared:
            self._cleared = self.buffer.cleared
            self._forget_lines(self.buffer.cleared)
        if not self.following and self.filter is None and self.hooks is None:
            self._missed += max(self.buffer.first - self._read_to, 0)  # while the log was hidden
        fitting = [
            (number, line) for number, line in self.buffer.since(self._read_to) if self._fits(line)
        ]
        self._read_to = self.buffer.end
        self._search.take(fitting)
        (self._shown if self.following else self._waiting).extend(n for n, _ in fitting)
        while self._waiting and self._waiting[0] < self.buffer.first:
            self._waiting.popleft()
            self._missed += 1
        if self.following:
            self._drop_gone()
        if not self._shown:
            self._show_waiting()
        self._search.forget(self._shown[0] if self._shown else self.buffer.first)
        if self._cursor is not None and self._at(self._cursor) is None:
            self._cursor = self._shown[0] if self._shown else None
        return len(fitting)

    def _forget_lines(self, read_to: int) -> None:
        """Remove all lines from the log; the next read starts at a number."""
        self._shown.clear()
        self._waiting.clear()
        self._missed = 0
        self._read_to = read_to

    def _show_waiting(self) -> int:
        """Show the lines added while the log was paused; return how many were dropped."""
        if not self._waiting:
            return 0
        self._shown.extend(self._waiting)
        self._waiting.clear()
        self._missed = 0
        gone = self._drop_gone()
        self._keep_shown_lines()
        self._count_rows()
        self.refresh()
        return gone

    def _keep_shown_lines(self) -> None:
        """Keep the lines of a paused log in memory, even if the buffer drops them."""
        shown = () if self.following else self._shown
        lines = {number: self._at(number) for number in shown}
        self._kept = {number: line for number, line in lines.items() if line is not None}

    def _drop_gone(self) -> int:
        """Remove the lines that the buffer has dropped; return their number."""
        gone = 0
        while self._shown and self._shown[0] < self.buffer.first:
            self._shown.popleft()
            gone += 1
        if gone:
            self._forget_marks()
        return gone

    def _forget_marks(self) -> None:
        """Unmark the lines that are no longer in memory."""
        self.marks = {number for number in self.marks if self._at(number) is not None}

    @property
    def new(self) -> int:
        """The number of lines added while the log is paused."""
        return len(self._waiting) + self._missed

    def _fits(self, line: LogLine) -> bool:
        if line.note and not line.alert:
            return True  # a remark about the log itself
        if self.hooks is not None and line.hook not in self.hooks:
            return False
        return self.filter is None or self.filter.matches(
            subject_of(line, self._names), self.shell.clock()
        )

    # -- cursor

    def action_move(self, name: str) -> None:
        """Move the cursor; the first move stops following, so that the line stays in its place."""
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
            to -= self._show_waiting()
            to = len(self._shown) - 1 if name == "last" else to
            self.post_message(self.StateChanged())
        self._go_to(to)

    def action_open(self) -> None:
        """Open the delivery of the line under the cursor; without one, Enter is the screen's.

        Raises:
            SkipAction: there is no delivery; the screen says so.
        """
        if not self.cursor_delivery:
            raise SkipAction
        self.open_line()

    @property
    def cursor_delivery(self) -> str:
        """The id of the delivery of the line under the cursor; empty: it has none."""
        line = self.cursor_line
        return "" if line is None else line.delivery

    def open_line(self) -> None:
        """Open the delivery of the line under the cursor, if it has one."""
        if self.cursor_delivery:
            self.post_message(self.Opened(self.cursor_delivery))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the clicked line; a double click opens it."""
        rows = self._on_screen()
        if not 0 < event.y <= len(rows):
            return
        position = rows[event.y - 1][0]
        self.follow(False)
        self._go_to(position)
        if event.chain == 2:
            self.open_line()

    def on_mouse_scroll_up(self) -> None:
        """Stop following when the user scrolls back."""
        if self._shown:
            self.follow(False)

    # -- marks and search

    def toggle_mark(self) -> None:
        """Mark or unmark the line under the cursor, and move to the next one."""
        if not self._shown:
            return
        self.follow(False)
        position = self._position()
        self.marks ^= {self._shown[position]}
        self._forget_marks()
        self._go_to(position + 1)
        self.refresh()
        self.post_message(self.StateChanged())

    def clear_marks(self) -> bool:
        """Unmark all lines; return whether any was marked."""
        was = bool(self.marks)
        self.marks.clear()
        if was:
            self.refresh()
            self.post_message(self.StateChanged())
        return was

    def chosen_text(self) -> tuple[int, str]:
        """Return number and text of the marked lines, else of the line under the cursor."""
        marked = [line for number in sorted(self.marks) if (line := self._at(number)) is not None]
        line = self.cursor_line
        lines = marked or ([] if line is None else [line])
        return len(lines), "\n".join(line_text(line, self._names) for line in lines)

    def search(self, text: str) -> SearchMatch | None:
        """Search backwards from the cursor: newer lines matter more; empty: end the search."""
        numbers = (*self._shown, *self._waiting)
        there = ((number, self._at(number)) for number in numbers)
        self._search.begin(text, [(number, line) for number, line in there if line is not None])
        self.refresh()
        return self._go_to_match(forward=False, stay=True) if text else None

    def search_on(self, *, forward: bool) -> SearchMatch | None:
        """Move to the next match, which is a newer line, or to the previous one."""
        return self._go_to_match(forward=forward) if self._search.needle else None

    def _go_to_match(self, *, forward: bool, stay: bool = False) -> SearchMatch | None:
        newest = self._newest
        here = self._cursor if self._cursor is not None else newest
        gone = self._search.go(-1 if here is None else here, forward=forward, stay=stay)
        if gone is None:
            return SearchMatch(0, 0)
        number, match = gone
        self.follow(False)
        if newest is not None and number > newest:
            self._show_waiting()
        self._go_to(self._position_of(number))
        return match
