"""Screen of the live log: follow, pause, filter, search, mark, copy, open a delivery."""

from __future__ import annotations

from textual.app import ComposeResult

from hooktui.console.frame.filtering import FilterPart
from hooktui.console.frame.parts import acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.frame.searching import SearchPart
from hooktui.console.log.live_log import LiveLog
from hooktui.console.shell.log_buffer import LogLine
from hooktui.console.shell.session_state import ScreenState
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import TERMS, parse
from hooktui.domain.filters.terms import Filter, FilterTerms
from hooktui.domain.text import counted
from hooktui.domain.wire.replays import ReplaySelection


class LiveLogScreen(ConsoleScreen):
    """Screen that shows all delivery attempts as they happen.

    Attributes:
        log_lines: the widget of the log.
    """

    HEADING = "Live log"
    FILTER_TERMS = FilterTerms({key: TERMS.values[key] for key in TERMS.values if key != "data."})
    COMMAND_NAMES = (
        "open", "follow", "filter", "search", "mark", "copy", "wrap", "match_before", "replay",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(
            open=lambda: self.log_lines.action_open(),
            follow=lambda: self.log_lines.follow(not self.log_lines.following),
            mark=lambda: self.log_lines.toggle_mark(),
            copy=self.copy,
            replay=acts_on(lambda: self.log_lines.cursor_line, self._replay),
        )
        self.search = SearchPart(self, lambda: self.log_lines)
        self.filter = FilterPart(
            self,
            "such as status:failed hook:12 -event:job.* took:>2s",
            check=_log_filter,
            changed=self._filtered,
            focus=lambda: self.log_lines.focus(),
            loads=False,
        )
        self.parts = (self.search, self.filter)

    def compose_body(self) -> ComposeResult:
        """Compose the log."""
        self.log_lines = LiveLog(self.shell)
        yield self.log_lines

    def on_screen_resume(self) -> None:
        """Draw the lines added while another screen was in the foreground."""
        self.log_lines.catch_up()

    def show_names(self) -> None:
        """Redraw the log."""
        super().show_names()
        self.log_lines.refresh()

    def heading(self) -> StyledLine:
        """Return the heading: the state of the log, and the search text."""
        left: list[StyledText] = [(f" {self.HEADING}  ", "strong"), *self.log_lines.state()]
        if self.search.text:
            left.append((f" {self.shell.glyphs.dot} search: {self.search.text}", "accent"))
        return left

    def on_live_log_state_changed(self) -> None:
        """Redraw the state of the log in the heading."""
        self.refresh_frame()

    def on_live_log_opened(self, message: LiveLog.Opened) -> None:
        """Open the delivery of a line."""
        self.shell.navigation.open_delivery(message.delivery)

    # -- the filter

    def _filtered(self) -> None:
        self.log_lines.show_only(_log_filter(self.filter.text), self.log_lines.hooks)

    def save_state(self) -> ScreenState:
        """Return the filter."""
        return {"filter": self.filter.text}

    def load_state(self, state: ScreenState) -> None:
        """Restore the filter."""
        self.filter.restore(str(state.get("filter") or ""))

    # -- commands

    def own_disabled_reason(self, name: str) -> str | None:
        """Return that there is no line, delivery or hook to act on."""
        line = self.log_lines.cursor_line
        if name == "open" and not self.log_lines.cursor_delivery:
            return "there is no delivery under the cursor yet"
        if name == "replay" and (line is None or not line.hook):
            return "there is no hook under the cursor yet"
        if name in ("mark", "copy") and line is None:
            return "there is no line yet"
        return None

    def _replay(self, line: LogLine) -> None:
        """Plan a replay of the undelivered events of the line's hook."""
        self.shell.navigation.open_replay_form(ReplaySelection(hooks=(line.hook,)))

    async def copy(self) -> None:
        """Copy the marked lines, else the one under the cursor."""
        count, text = self.log_lines.chosen_text()
        what = counted(count, "line") if self.log_lines.marks else "the line"
        await self.copy_text(text, what)

    def back(self) -> None:
        """End the search, then unmark, then remove the filter, then close the screen."""
        narrowed = self.search.end() or self.log_lines.clear_marks() or self.filter.clear()
        if not narrowed:
            super().back()


def _log_filter(text: str) -> Filter | None:
    """Return the filter of a text; None for an empty one.

    Raises:
        Refused: it is not a filter, or tests a field that log lines do not have.
    """
    if not text.strip():
        return None
    parsed = parse(text)
    if parsed.needs_data:
        raise Refused("log lines have no bodies; remove the data. terms")
    return parsed
