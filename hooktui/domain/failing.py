"""The 5-day rule: a hook that has failed for so long, again and again, is disabled.

The rule of the contract is "no success for 5 days with at least 10 failed attempts spread over
them". Spread over them means: on at least three of the five days. Not on each, for the waits of the
default schedule reach 26 hours; and a burst on one or two days, with silence before and after it,
says nothing about five.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DAYS = 5
RULE_MS = DAYS * 86_400_000
LEAST_FAILURES = 10
LEAST_DAYS = 3


@dataclass(frozen=True, slots=True)
class Failing:
    """Failures since the last success: when the first of them began, and how many."""

    since_ms: int | None = None
    failed: int = 0

    def long_enough(self, now_ms: int) -> bool:
        """Return whether the rule may hold, so that it is worth counting the days."""
        return (
            self.since_ms is not None
            and self.since_ms <= now_ms - RULE_MS
            and self.failed >= LEAST_FAILURES
        )


def spread_over_the_days(failed: Mapping[int, int]) -> bool:
    """Return whether failures are spread over the five days.

    Args:
        failed: failed attempts by age in whole days (0: the last 24 hours).
    """
    lately = [count for day, count in failed.items() if day < DAYS and count]
    return sum(lately) >= LEAST_FAILURES and len(lately) >= LEAST_DAYS
