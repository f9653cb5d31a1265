"""The breaker of a hook: a receiver that is down is asked now and then, not by everything at once.

It only delays. While it is open, the oldest due delivery is the probe; the schedule of a delivery
is not touched, and no delivery fails because of it.

    closed → (10 failures in a row) → open → (30 s) → half open → closed, or open for twice as long
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hooktui.domain.deliveries import Answer, ErrorClass

FAILURES_TO_OPEN = 10
FIRST_PROBE_AFTER_MS, LONGEST_WAIT_MS = 30_000, 600_000

_ANSWERED = frozenset({None, ErrorClass.STATUS, ErrorClass.REDIRECT})
# What never left this machine, or was cut off by us, says nothing about the receiver.
_NO_WORD = frozenset({ErrorClass.ADDRESS_REFUSED, ErrorClass.INTERRUPTED})


class BreakerState(StrEnum):
    """What a breaker lets through: everything, nothing, or one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failures in a row (failed probes included), and until when nothing goes out if it is open."""

    failures: int = 0
    until_ms: int | None = None

    def state(self, now_ms: int) -> BreakerState:
        """Return its state: half open when a probe may go, or is under way."""
        if self.until_ms is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_ms < self.until_ms else BreakerState.HALF_OPEN


CLOSED = Breaker()


def receiver_is_down(answer: Answer) -> bool | None:
    """Return whether an answer tells of a receiver that is down or overrun; None: it tells nothing.

    Network errors, timeouts, 429 and 5xx do. Any other status comes from a receiver that is up,
    also one that refuses this event.
    """
    if answer.error in _NO_WORD:
        return None
    if answer.error in _ANSWERED:
        code = answer.status_code or 0
        return code == 429 or code >= 500
    return True


def after_attempt(
    breaker: Breaker, answer: Answer, started_at_ms: int, finished_at_ms: int
) -> Breaker:
    """Return the breaker after an attempt (never a ping), in the order in which they end."""
    down = receiver_is_down(answer)
    if down is None:
        return breaker
    if not down:
        return CLOSED
    if breaker.until_ms is not None and started_at_ms < breaker.until_ms:
        return breaker  # it was under way when the breaker opened: no probe
    failures = breaker.failures + 1
    if failures < FAILURES_TO_OPEN:
        return Breaker(failures)
    # The exponent is bounded, for a receiver may be down for months.
    doublings = min(failures - FAILURES_TO_OPEN, 10)
    wait_ms = min(FIRST_PROBE_AFTER_MS << doublings, LONGEST_WAIT_MS)
    return Breaker(failures, finished_at_ms + wait_ms)


def probe_at_ms(until_ms: int, now_ms: int) -> int:
    """Return when the probe may go: at ``until_ms``, or now if the clock was set back since."""
    return until_ms if until_ms - now_ms <= LONGEST_WAIT_MS else now_ms
