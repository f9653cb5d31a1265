"""How much is going on: counts over the last minute."""

from __future__ import annotations

import time
from collections.abc import Callable

_SECONDS = 60


class Rate:
    """Counts occurrences and says how many there were each second, over the last minute.

    A ring of one counter a second: O(1) to count, no timer.

    Attributes:
        total: all that were ever counted.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = 0
        self._counts = [0] * _SECONDS
        self._second = int(clock())
        self._born = clock()

    def add(self, count: int = 1) -> None:
        """Count occurrences that happen now."""
        self._advance()
        self.total += count
        self._counts[self._second % _SECONDS] += count

    def per_second(self) -> float:
        """Return the average over the last minute, or since the start when that is shorter."""
        self._advance()
        age_s = min(max(self._clock() - self._born, 1.0), float(_SECONDS))
        return sum(self._counts) / age_s

    def _advance(self) -> None:
        second = int(self._clock())
        for passed in range(self._second + 1, min(second, self._second + _SECONDS) + 1):
            self._counts[passed % _SECONDS] = 0
        self._second = max(second, self._second)
