"""The adaptive rate of a hook: how many deliveries a second a receiver that responds 429 gets.

There is no rate until the first 429. Then the rate is what the receiver took in the last ten
seconds. It grows every ten seconds, faster the longer no 429 comes, and shrinks by a tenth at each
further 429. All times are arguments, in seconds of a monotonic clock.

What the receiver took says little if it was offered little: a hook that was idle, or ten attempts
at once at a receiver that spaces its requests and takes one of them. Such a rate doubles every
second, and the next 429 undoes the last doubling.
"""

from __future__ import annotations

from hooktui.domain.rates import SecondCounts

_MEMORY_S = 10
"""Seconds over which accepted deliveries are counted, and between two increases."""
_MIN_PER_S = 0.02
_MIN_FIRST_PER_S, _MIN_AGAIN_PER_S = 0.5, 0.2
_SHRINK = 0.9
_FIRST_GROWTH, _GROWTH_OF_GROWTH, _MAX_GROWTH = 0.05, 1.5, 1.0
_DOUBLES_EVERY_S = 1.0
_NO_LIMIT_PER_S = 5_000.0
"""A rate above it is dropped: the limit alone decides."""
_LONGEST_WAIT_S, _MIN_WAIT_S = 60.0, 0.2


class AdaptiveRate:
    """The rate that a receiver's 429 responses allow.

    Attributes:
        per_s: deliveries a second; None while the receiver never responded 429.
        closed_until_s: nothing starts before it.
    """

    __slots__ = (
        "_accepted", "_changed_s", "_doubles", "_first_start_s", "_grows_at_s", "_growth",
        "_lowers", "_taken_per_s", "closed_until_s", "per_s",
    )  # fmt: skip

    def __init__(self) -> None:
        self.per_s: float | None = None
        self.closed_until_s = 0.0
        self._first_start_s: float | None = None
        self._changed_s = self._grows_at_s = 0.0
        self._growth = _FIRST_GROWTH
        self._lowers = self._doubles = False
        self._taken_per_s: float | None = None
        self._accepted = SecondCounts(_MEMORY_S)

    def started(self, now_s: float) -> None:
        """Note that an attempt began."""
        if self._first_start_s is None:
            self._first_start_s = now_s

    def accepted(self, now_s: float, count: int) -> None:
        """Note responses that were not 429."""
        self._accepted.add(now_s, count)
        if self.per_s is not None and now_s > self._grows_at_s:
            if self._doubles:
                self._taken_per_s = self.per_s
                self.per_s *= 2
                self._grows_at_s = now_s + _DOUBLES_EVERY_S
            else:
                self.per_s *= 1 + self._growth
                self._growth = min(self._growth * _GROWTH_OF_GROWTH, _MAX_GROWTH)
                self._grows_at_s = now_s + _MEMORY_S
            if self.per_s > _NO_LIMIT_PER_S:
                self.per_s = None

    def refused(
        self, now_s: float, began_s: float, median_s: float, retry_after_s: float | None
    ) -> None:
        """Note a 429: nothing starts for two response times, then at a lower rate.

        Args:
            now_s: the time of the response.
            began_s: the start of its attempt; one that began before the last change says nothing
                about the present rate.
            median_s: the usual response time.
            retry_after_s: the receiver's ``Retry-After``, obeyed up to a minute.
        """
        if retry_after_s:
            self._close_until(now_s + min(retry_after_s, _LONGEST_WAIT_S))
        if began_s >= self._changed_s and not self._lowers:
            self._lowers = True  # once the responses on their way have been counted
            self._close_until(now_s + max(2 * median_s, _MIN_WAIT_S))

    def reopen(self, now_s: float) -> None:
        """Set the lower rate once the time without starts is over."""
        if not self._lowers or now_s < self.closed_until_s:
            return
        self._lowers = False
        age_s = now_s - (now_s if self._first_start_s is None else self._first_start_s)
        seen = self._accepted.total(now_s) / max(min(age_s, _MEMORY_S), 1.0)
        if self.per_s is None:
            rate = max(seen, _MIN_FIRST_PER_S)
            self._doubles = True
        else:
            rate = self._taken_per_s or self.per_s * _SHRINK
            self._doubles = False
            if now_s - self._changed_s > _MEMORY_S:
                self._doubles = seen < rate / 2  # it sent less than it could
                rate = min(rate, max(seen, _MIN_AGAIN_PER_S))
        self.per_s = max(rate, _MIN_PER_S)
        self._taken_per_s = None
        self._changed_s = now_s
        self._grows_at_s = now_s + (_DOUBLES_EVERY_S if self._doubles else _MEMORY_S)
        self._growth = _FIRST_GROWTH

    def _close_until(self, until_s: float) -> None:
        self.closed_until_s = max(self.closed_until_s, until_s)
