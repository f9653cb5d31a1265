"""The heartbeat of a loop: how long its current step has taken."""

from __future__ import annotations

import time
from collections.abc import Callable


class Heartbeat:
    """A loop starts it before each step, and sets it idle while there is nothing to do.

    Args:
        name: of the loop, for messages.
        clock: seconds, monotonic.

    Attributes:
        finished_count: steps that did their work.
        finished_s: the seconds that those took.
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
        """Count the current step: it did its work."""
        self.finished_count += 1
        self.finished_s += self.age_s

    def idle(self) -> None:
        """Wait for something to do."""
        self._since_s = None

    @property
    def age_s(self) -> float:
        """How long the current step has taken; 0 while idle."""
        since_s = self._since_s
        return 0.0 if since_s is None else self._clock() - since_s
