"""Token bucket and throughput meter.

The bucket limits a hook to its ``rate_per_s`` without a timer for each delivery. Times are
arguments, in milliseconds; no clock is read here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

BURST_S = 0.1
"""How much of a rate may go at once: enough to work in batches, little enough that no second holds
more than a tenth over the rate (or one delivery, for slow rates)."""


@dataclass(slots=True)
class TokenBucket:
    """Tokens that grow at a rate up to a burst; each attempt takes one. It starts full."""

    rate_per_s: float
    tokens: float
    at_ms: int

    @classmethod
    def full(cls, rate_per_s: float, now_ms: int) -> TokenBucket:
        """Return a bucket that has all its tokens."""
        return cls(rate_per_s, _burst(rate_per_s), now_ms)

    def whole(self, now_ms: int) -> int:
        """Return how many tokens there are at a time; a clock that was set back adds none."""
        elapsed_s = max(now_ms - self.at_ms, 0) / 1000
        self.tokens = min(self.tokens + elapsed_s * self.rate_per_s, _burst(self.rate_per_s))
        self.at_ms = now_ms
        return int(self.tokens + _ROUNDING)

    def take(self, count: int) -> None:
        """Take tokens that ``whole`` said are there."""
        self.tokens -= count

    def put_back(self, count: int) -> None:
        """Return tokens of attempts that did not come about."""
        self.tokens = min(self.tokens + count, _burst(self.rate_per_s))

    def next_at_ms(self, now_ms: int) -> int:
        """Return when a whole token is there: now, or later."""
        if self.whole(now_ms) >= 1:
            return now_ms
        return now_ms + max(ceil((1 - self.tokens) * 1000 / self.rate_per_s), 1)

    def change_rate(self, rate_per_s: float, now_ms: int) -> None:
        """Go on at another rate, with the tokens that are there as far as they fit."""
        self.whole(now_ms)
        self.rate_per_s = rate_per_s
        self.tokens = min(self.tokens, _burst(rate_per_s))


_ROUNDING = 1e-9  # ten times a tenth of a token is one token


def _burst(rate_per_s: float) -> float:
    return max(rate_per_s * BURST_S, 1.0)


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
