"""Token bucket and throughput meter.

A bucket limits a rate without a timer for each use: of a hook's attempts, of a caller's calls, of
its entries in the audit trail. Its times are arguments, in milliseconds; it reads no clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from hooktui.domain.clock import DAY_MS

BURST_S = 0.1
"""The burst in seconds of the rate: enough to work in batches, and small enough that no second
exceeds the rate by more than a tenth (or one use, for slow rates)."""
SPACED_S = 0.01
"""The burst of a rate that 429 responses ask for: the receiver may refuse two requests at once."""
_LONGEST_WAIT_MS = 366 * DAY_MS
"""However slow a rate is: no time leaves the range of a clock."""
_ROUNDING = 1e-9  # ten times 0.1 token is one token


@dataclass(slots=True)
class TokenBucket:
    """Tokens that are added at a rate up to a burst; each use takes one.

    Attributes:
        rate_per_s: tokens added per second.
        burst: maximum number of tokens, at least 1.
        tokens: current number; negative after a larger use.
        at_ms: the time of ``tokens``.
    """

    rate_per_s: float
    burst: float
    tokens: float
    at_ms: int

    @classmethod
    def full(cls, rate_per_s: float, now_ms: int, burst: float | None = None) -> TokenBucket:
        """Return a full bucket; the default burst is a tenth of a second's tokens."""
        most = burst_of(rate_per_s) if burst is None else burst
        return cls(rate_per_s, most, most, now_ms)

    def whole(self, now_ms: int) -> int:
        """Return the number of whole tokens at a time; a clock that was set back adds none."""
        elapsed_s = max(now_ms - self.at_ms, 0) / 1000
        self.tokens = min(self.tokens + elapsed_s * self.rate_per_s, self.burst)
        self.at_ms = now_ms
        return int(self.tokens + _ROUNDING)

    def is_full(self, now_ms: int) -> bool:
        """Return whether it holds its burst."""
        self.whole(now_ms)
        return self.tokens >= self.burst

    def take(self, count: int) -> None:
        """Take tokens; more than available become a debt."""
        self.tokens -= count

    def put_back(self, count: int) -> None:
        """Return tokens that were not used."""
        self.tokens = min(self.tokens + count, self.burst)

    def next_at_ms(self, now_ms: int) -> int:
        """Return when a whole token is available: now, or later."""
        if self.whole(now_ms) >= 1:
            return now_ms
        wait_ms = min((1 - self.tokens) * 1000 / self.rate_per_s, _LONGEST_WAIT_MS)
        return now_ms + max(ceil(wait_ms), 1)

    def change_rate(self, rate_per_s: float, now_ms: int, burst_s: float = BURST_S) -> None:
        """Continue at another rate, with the tokens that fit its burst."""
        self.whole(now_ms)
        self.rate_per_s = rate_per_s
        self.burst = burst_of(rate_per_s, burst_s)
        self.tokens = min(self.tokens, self.burst)


def burst_of(rate_per_s: float, burst_s: float = BURST_S) -> float:
    """Return the tokens of a burst, at least one."""
    return max(rate_per_s * burst_s, 1.0)


class SecondCounts:
    """Counts occurrences of the last seconds: a ring of one counter per second, without a timer.

    Times are arguments, in seconds of a clock that is never set back.
    """

    __slots__ = ("_counts", "_second")

    def __init__(self, seconds: int) -> None:
        self._counts = [0] * seconds
        self._second = 0

    def add(self, now_s: float, count: int) -> None:
        """Count occurrences at a time."""
        second = int(now_s)
        if second != self._second:
            self._advance(second)
        self._counts[self._second % len(self._counts)] += count

    def total(self, now_s: float) -> int:
        """Return how many occurred in the seconds up to a time."""
        self._advance(int(now_s))
        return sum(self._counts)

    def _advance(self, second: int) -> None:
        size = len(self._counts)
        for passed in range(max(self._second, second - size) + 1, second + 1):
            self._counts[passed % size] = 0
        self._second = max(second, self._second)


_SECONDS = 60


class ThroughputMeter:
    """Counts occurrences and averages them per second over the last minute.

    Attributes:
        total: all occurrences since the start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = 0
        self._counts = SecondCounts(_SECONDS)
        self._born_s = clock()

    def add(self, count: int = 1) -> None:
        """Count occurrences that happen now."""
        self.total += count
        self._counts.add(self._clock(), count)

    def per_second(self) -> float:
        """Return the average over the last minute, or since the start if that is shorter."""
        now_s = self._clock()
        return self._counts.total(now_s) / min(max(now_s - self._born_s, 1.0), _SECONDS)
