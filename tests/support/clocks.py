"""Clocks that a test moves."""

from __future__ import annotations

from hooktui.domain import clock

START_MS = 1_800_000_000_000


class Clock:
    """A wall clock and a steady one; both stand still until they are moved.

    Attributes:
        ms: Unix time of the wall clock, in milliseconds.
    """

    def __init__(self) -> None:
        self.ms = START_MS
        self._steady_ms = 5_000

    def now_ms(self) -> int:
        return self.ms

    def steady_ms(self) -> int:
        return self._steady_ms

    def steady_s(self) -> float:
        return self.steady_ms() / 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.jump(seconds)
        self._steady_ms += round(seconds * 1000)

    def jump(self, seconds: float) -> None:
        """Set the wall clock, forward or back."""
        self.ms += round(seconds * 1000)


class RunningClock(Clock):
    """The real clocks, changed by as much as a test moves them; ``ms`` is the difference."""

    def __init__(self) -> None:
        self.ms = self._steady_ms = 0

    def now_ms(self) -> int:
        return clock.now_ms() + self.ms

    def steady_ms(self) -> int:
        return clock.steady_ms() + self._steady_ms
