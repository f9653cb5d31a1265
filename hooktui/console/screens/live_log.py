"""The live log, full screen: follow, pause, filter, open a delivery."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult

from hooktui.console.base import Changes, HouseScreen
from hooktui.console.widgets.filter_bar import FilterBar, open_filter
from hooktui.console.widgets.live_log import LiveLog
from hooktui.console.widgets.painted import Pieces
from hooktui.domain.errors import Refused
from hooktui.domain.filters import Filter, parse

THINKING_S = 0.5
"""A filter is half typed most of the time; only after a pause it is wrong."""


class LiveLogScreen(HouseScreen):
    """Every attempt of every delivery as it happens."""

    PLACE = "Live log"
    VERBS: ClassVar[tuple[str, ...]] = ("open", "follow", "filter")

    def __init__(self) -> None:
        super().__init__()
        self._text = ""
        self._wrong = ""

    def compose_body(self) -> ComposeResult:
        """The log."""
        house = self.house
        # Kept, not looked up: names may come in while the screen is being taken away.
        self._lines = LiveLog(
            house.log_buffer, house.clock, house.hook_names, house.signs, id="log"
        )
        yield self._lines

    @property
    def log_lines(self) -> LiveLog:
        """The log."""
        return self._lines

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another screen was in front."""
        super().on_screen_resume()
        self.log_lines.catch_up()

    async def changed(self, changes: Changes) -> None:
        """Call hooks by their names, as soon as those are known."""
        if await self.house.learn_names(changes):
            self.log_lines.refresh()

    def heading(self) -> tuple[Pieces, Pieces]:
        """Return whether it follows, what is new, and the filter."""
        left = ((f" {self.PLACE}  ", "strong"), *self.log_lines.state())
        return left, self.house.places(self.PLACE)

    def on_live_log_state_changed(self) -> None:
        """Draw the chip."""
        self.refresh_frame()

    def on_live_log_opened(self, message: LiveLog.Opened) -> None:
        """Open the delivery of a line."""
        self.house.open_delivery(message.delivery)

    def why_not(self, name: str) -> str | None:
        """Add: there is no line yet."""
        reason = super().why_not(name)
        if reason is None and name == "open" and self.is_mounted:
            line = self.log_lines.cursor_line
            if line is None or not line.delivery:
                return "there is no delivery under the cursor yet"
        return reason

    def verb_open(self) -> None:
        """Open the delivery of the line under the cursor."""
        self.log_lines.action_open()

    def verb_follow(self) -> None:
        """Follow, or stand still."""
        self.log_lines.follow(not self.log_lines.following)

    def verb_back(self) -> None:
        """Take the filter away; then go back."""
        if self._text:
            self._set_text("")
        else:
            super().verb_back()

    async def verb_filter(self) -> None:
        """Let the admin type a filter; the log narrows while typing."""
        hint = "such as status:failed hook:12 -event:job.* took:>2s"
        await open_filter(self, self._text, hint)

    def on_filter_bar_typed(self, message: FilterBar.Typed) -> None:
        """Narrow the log; what is wrong is said at its column, and the last good filter stays."""
        self._set_text(message.text)

    def on_filter_bar_left(self, message: FilterBar.Left) -> None:
        """Go back to the log."""
        self.query(FilterBar).remove()
        self.log_lines.focus()
        if not message.kept:
            self._set_text("")

    def _set_text(self, text: str) -> None:
        try:
            wanted = _log_filter(text)
        except Refused as error:
            self._wrong = error.detail
            self.set_timer(THINKING_S, partial(self._tell_wrong, error.detail))
            return
        self._wrong = ""
        self._text = text.strip()
        self.clear_notice()
        self.log_lines.show_only(wanted, self.log_lines.hooks)

    def _tell_wrong(self, detail: str) -> None:
        """Say what is wrong, unless the next letter has mended it."""
        if detail == self._wrong and self.query(FilterBar):
            self.notice(detail, "warn")


def _log_filter(text: str) -> Filter | None:
    """Return the filter of a text; None for an empty one.

    Raises:
        Refused: it is no filter, or asks for what log lines do not hold.
    """
    if not text.strip():
        return None
    wanted = parse(text)
    if wanted.needs_data:
        raise Refused("log lines hold no bodies, so data. terms find nothing here; leave them out")
    return wanted
