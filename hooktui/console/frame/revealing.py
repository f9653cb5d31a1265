"""Text that is revealed on the screen for 30 seconds, but never in a screenshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from textual.timer import Timer

from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.styled import LineWidget, StyledText

REVEALED_CLASS: Final = "-revealed"
"""CSS class of a revealed widget; screenshots mask such widgets."""

MASK: Final = "•" * 26
"""The mask of every text; its fixed length reveals nothing about the text."""


class Redactable(LineWidget):
    """A widget that draws a mask unless it is revealed."""

    in_picture = False

    @property
    def revealed(self) -> bool:
        """Whether the text is readable."""
        raise NotImplementedError

    def hide(self) -> None:
        """Mask the text and discard it."""
        raise NotImplementedError

    @contextmanager
    def masked(self) -> Iterator[None]:
        """Draw the mask while a screenshot is taken."""
        self.in_picture = True
        self.refresh()
        try:
            yield
        finally:
            self.in_picture = False
            self.refresh()


REVEAL_S: Final = 30
"""Seconds until masking: enough to type or compare a secret, few for an unattended screen."""


class RevealTimer:
    """Countdown in the heading of a screen while a widget is revealed; masks it at the end."""

    def __init__(self, screen: ConsoleScreen, widget: Callable[[], Redactable]) -> None:
        self._screen, self._widget = screen, widget
        self._seconds_left = 0
        self._timer: Timer | None = None

    def words(self) -> StyledText:
        """Return the remaining time for the heading, or that the secret is masked."""
        if self._seconds_left:
            return (f"  hidden again in {self._seconds_left} s", "warn")
        return ("  masked", "quiet")

    def start(self) -> None:
        """Start the countdown to the masking of the revealed widget."""
        self._stop()
        self._seconds_left = REVEAL_S
        self._timer = self._screen.set_interval(1, self._tick)
        self._screen.refresh_frame()

    def hide(self) -> None:
        """Mask the widget now."""
        self._stop()
        if self._widget().revealed:
            self._widget().hide()
            self._screen.refresh_frame()

    def _tick(self) -> None:
        self._seconds_left -= 1
        if self._seconds_left <= 0:
            self.hide()
        else:  # only the heading: it is written to the terminal every second
            self._screen.draw_heading()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._seconds_left = 0
