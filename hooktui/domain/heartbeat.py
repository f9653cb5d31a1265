"""The heartbeat of a loop: how long its current step has taken."""

from __future__ import annotations

import time
from collections.abc import Callable


class Heartbeat:
    """The state of a loop, which starts it before each step and sets it idle while it waits.

    Args:
        name: of the loop, for messages.
        clock: monotonic seconds.

    Attributes:
        finished_count: number of finished steps.
        finished_s: their total duration in seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._since_s: float | None = None
        self.finished_count = 0
        self.finished_s = 0.0

    def start(self) -> None:
        """Start a step."""
        self._since_s = self._clock()

    def finish(self) -> None:
        """End the current step and count it."""
        self.finished_count += 1
        self.finished_s += self.age_s

    def idle(self) -> None:
        """Set it idle: the loop waits for work."""
        self._since_s = None

    @property
    def age_s(self) -> float:
        """Return how long the current step has taken; 0 while idle."""
        since_s = self._since_s
        return 0.0 if since_s is None else self._clock() - since_s
