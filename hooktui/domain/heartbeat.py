"""The heartbeat of a loop: how long its current step has taken."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT_S: Final = 60.0


class Heartbeat:
    """The state of a loop, which starts it before each step and sets it idle while it waits.

    Attributes:
        finished_count: number of finished steps.
        finished_s: their total duration in seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._since_s: float | None = None
        self._recent: deque[tuple[float, float]] = deque()  # end and duration, longest first
        self.finished_count = 0
        self.finished_s = 0.0

    def start(self) -> None:
        """Start a step."""
        self._since_s = self._clock()

    def finish(self) -> None:
        """End the current step and count it."""
        took_s = self.age_s
        self.finished_count += 1
        self.finished_s += took_s
        while self._recent and self._recent[-1][1] <= took_s:
            self._recent.pop()
        self._recent.append((self._clock(), took_s))

    def idle(self) -> None:
        """Set it idle: the loop waits for work."""
        self._since_s = None

    def longest_s(self) -> float:
        """Return the duration of the longest step of the last minute, the current one included."""
        while self._recent and self._recent[0][0] < self._clock() - KEPT_S:
            self._recent.popleft()
        return max(self.age_s, self._recent[0][1] if self._recent else 0.0)

    @property
    def age_s(self) -> float:
        """How long the current step has taken, in seconds; 0 while idle."""
        since_s = self._since_s
        return 0.0 if since_s is None else self._clock() - since_s
