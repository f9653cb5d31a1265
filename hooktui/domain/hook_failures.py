"""The circuit breaker of a hook, and the 5-day rule.

The breaker only delays. While it is open, the oldest due delivery is the probe; the retry schedule
of a delivery does not change, and no delivery fails because of it.

    closed → (10 failures in a row) → open → (30 s) → half open → closed, or open for twice as long

The 5-day rule of the contract disables a hook after "no success for 5 days with at least 10 failed
attempts spread over them". Spread over them means: on at least three of the five days. Not on each,
because the waits of the default schedule reach 26 hours; and a burst on one or two days, with
silence before and after it, proves nothing about five.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hooktui.domain.clock import DAY_MS
from hooktui.domain.deliveries import ErrorClass, Exchange

FAILURES_TO_OPEN = 10
_SPACED_S = {7: 0.5, 8: 1.5, 9: 3.0}
"""Waits after so many failures in a row, of one attempt at a time, and the last one after more."""
FIRST_PROBE_AFTER_MS, LONGEST_WAIT_MS = 30_000, 600_000

_RESPONDED = frozenset({None, ErrorClass.STATUS, ErrorClass.REDIRECT})
# An attempt that never left this machine, or that we cut off, does not concern the receiver.
_SHOWS_NOTHING = frozenset({ErrorClass.ADDRESS_REFUSED, ErrorClass.INTERRUPTED})


class BreakerState(StrEnum):
    """The state of a breaker: sends all deliveries, none, or one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row (failed probes included), and until when an open breaker blocks."""

    failures: int = 0
    until_ms: int | None = None

    def state(self, now_ms: int) -> BreakerState:
        """Return its state: half open when a probe may be sent or is in flight."""
        if self.until_ms is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_ms < self.until_ms else BreakerState.HALF_OPEN

    @property
    def stored_state(self) -> str:
        """Its state as it is stored, which does not depend on the time."""
        return (BreakerState.CLOSED if self.until_ms is None else BreakerState.OPEN).value


CLOSED = Breaker()


def waits_for(
    *, active: bool, breaker_until_ms: int | None, paused: bool, now_ms: int
) -> str | None:
    """Return what keeps the deliveries of a hook from being sent; None: nothing known."""
    if not active:
        return "disabled"
    if Breaker(until_ms=breaker_until_ms).state(now_ms) is BreakerState.OPEN:
        return "breaker"
    return "paused" if paused else None


def receiver_is_down(exchange: Exchange) -> bool | None:
    """Return whether a receiver is down or overloaded; None: the exchange does not show it.

    Network errors, timeouts, 429 and 5xx show it. Any other status comes from a receiver that is
    up, even if it rejects this event.
    """
    if exchange.error in _SHOWS_NOTHING:
        return None
    if exchange.error in _RESPONDED:
        code = exchange.status_code or 0
        return code == 429 or code >= 500
    return True


_OPEN_WITHIN_MS = LONGEST_WAIT_MS + 60_000
"""No breaker is open for longer after the start of an attempt, unless the clock was set back."""


def after_attempt(
    breaker: Breaker, exchange: Exchange, started_at_ms: int, finished_at_ms: int
) -> Breaker:
    """Return the breaker after an attempt (never a ping), in the order of their ends."""
    down = receiver_is_down(exchange)
    if down is None:
        return breaker
    if not down:
        return CLOSED
    until_ms = breaker.until_ms
    if until_ms is not None and started_at_ms < until_ms <= started_at_ms + _OPEN_WITHIN_MS:
        return breaker  # it was in flight when the breaker opened: not a probe
    failures = breaker.failures + 1
    if failures < FAILURES_TO_OPEN:
        return Breaker(failures)
    # The exponent is bounded, because a receiver may be down for months.
    doublings = min(failures - FAILURES_TO_OPEN, 10)
    wait_ms = min(FIRST_PROBE_AFTER_MS << doublings, LONGEST_WAIT_MS)
    return Breaker(failures, finished_at_ms + wait_ms)


def wait_after_s(failures: int) -> float:
    """Return how long to wait after failures in a row, if one attempt at a time is made.

    A receiver that restarts refuses ten attempts within milliseconds, and an open breaker would
    keep its deliveries for 30 s.
    """
    return _SPACED_S.get(min(failures, FAILURES_TO_OPEN - 1), 0.0)


def probe_at_ms(until_ms: int, now_ms: int) -> int:
    """Return when the probe may be sent: at ``until_ms``, or now if the clock was set back."""
    return until_ms if until_ms - now_ms <= LONGEST_WAIT_MS else now_ms


DAYS = 5
RULE_MS = DAYS * DAY_MS
MIN_FAILURES = 10
MIN_DAYS = 3


@dataclass(frozen=True, slots=True)
class FailureStreak:
    """Failures since the last success: the time of the first, and their number."""

    since_ms: int | None = None
    failed: int = 0

    def long_enough(self, now_ms: int) -> bool:
        """Return whether the rule may apply, so that the days must be counted."""
        return (
            self.since_ms is not None
            and self.since_ms <= now_ms - RULE_MS
            and self.failed >= MIN_FAILURES
        )


def spread_across_days(failed: Mapping[int, int]) -> bool:
    """Return whether failures are spread over the five days.

    Args:
        failed: failed attempts by age in whole days (0: the last 24 hours). Those of the future
            were counted by a clock that was wrong.
    """
    lately = [count for day, count in failed.items() if 0 <= day < DAYS and count]
    return sum(lately) >= MIN_FAILURES and len(lately) >= MIN_DAYS
