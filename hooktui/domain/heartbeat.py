"""The pulse of a loop: how long it has been at one step, for whoever watches whether it moves."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pulse:
    """A loop beats before each step and rests while there is nothing to do.

    Args:
        name: of the loop, for people.
        clock: seconds, monotonic.

    Attributes:
        done_count: steps that came to what they are for.
        done_s: seconds that those took.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._since_s: float | None = None
        self.done_count = 0
        self.done_s = 0.0

    def beat(self) -> None:
        """Begin a step."""
        self._since_s = self._clock()

    def done(self) -> None:
        """Count the step: it came to what it is for."""
        self.done_count += 1
        self.done_s += self.age_s

    def rest(self) -> None:
        """Wait for something to do."""
        self._since_s = None

    @property
    def age_s(self) -> float:
        """How long the step has taken; 0 at rest."""
        since_s = self._since_s
        return 0.0 if since_s is None else self._clock() - since_s
