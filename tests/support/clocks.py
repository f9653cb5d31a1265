"""Clocks that a test turns."""

from __future__ import annotations

START_MS = 1_800_000_000_000


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def turn(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
