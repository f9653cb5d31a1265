"""A screen that shows a secret for a while: it counts down, and leaves nothing behind."""

from __future__ import annotations

from typing import Final

from textual.timer import Timer

from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.chrome import Heading
from hooktui.console.widgets.redactable import Redactable
from hooktui.console.widgets.styled import StyledText


class Revealing(ConsoleScreen):
    """Counts down while its `Redactable` widget shows something in clear, then masks it."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds_left = 0
        self._count_down: Timer | None = None

    @property
    def redactable(self) -> Redactable:
        """What is shown in clear, or masked."""
        return self.query_one(Redactable)

    def how_long(self) -> StyledText:
        """Return for how long it stays visible, for the heading."""
        if self._seconds_left:
            return (f"  hidden again in {self._seconds_left} s", "warn")
        return ("  masked", "quiet")

    def begin_count_down(self) -> None:
        """Mask what is shown now in half a minute."""
        self._end_count_down()
        self._seconds_left = REVEAL_S
        self._count_down = self.set_interval(1, self._tick)
        self.refresh_frame()

    def hide_again(self) -> None:
        """Mask it now."""
        self._end_count_down()
        self.redactable.hide()
        self.refresh_frame()

    def on_screen_suspend(self) -> None:
        """Leave nothing revealed behind another screen."""
        if self.redactable.revealed:
            self.hide_again()

    def _tick(self) -> None:
        self._seconds_left -= 1
        if self._seconds_left <= 0:
            self.hide_again()
        else:  # only the line that counts: this is written to the terminal each second
            self.query_one(Heading).show(*self.heading())

    def _end_count_down(self) -> None:
        if self._count_down is not None:
            self._count_down.stop()
            self._count_down = None
        self._seconds_left = 0


REVEAL_S: Final = 30
"""Long enough to type or compare it, short enough for a screen that somebody walks away from."""
