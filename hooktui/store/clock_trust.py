"""Suspends deletion by age for a while after the clock jumped far ahead, as it may be wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hooktui.domain.clock import DAY_MS, format_duration

_log = logging.getLogger(__name__)

DOUBTED_FOR_MS = 2 * 3600 * 1000
"""Time for an operator to correct a wrong clock."""
DOUBTFUL_MS = DAY_MS
"""A smaller jump hardly matters to data that is kept for days."""


class ClockTrust:
    """Whether a clock may be trusted for deletion by age.

    Args:
        steady: monotonic clock in milliseconds.
    """

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._since_ms: int | None = None

    @property
    def trusted(self) -> bool:
        """Whether the clock has not jumped far ahead recently."""
        return self._since_ms is None or self._steady() - self._since_ms >= DOUBTED_FOR_MS

    def clock_set(self, by_ms: int) -> None:
        """Record that the clock was set."""
        if by_ms > DOUBTFUL_MS:
            self._begin("the clock was set forward")

    def gap_observed(self, for_ms: int) -> None:
        """Record how long, by this clock, nothing was written before this start."""
        if for_ms > DOUBTFUL_MS:
            self._begin(f"no server has written here for {format_duration(for_ms / 1000)}")

    def restarted(self, now_ms: int, earlier_ms: int | None) -> None:
        """Record when something was last stored more than `DOUBTED_FOR_MS` before this start.

        After a jump of the clock and a restart, what was stored in between hides the gap. A false
        alarm only delays the deletion.
        """
        if self.trusted and earlier_ms is not None:
            self.gap_observed(now_ms - earlier_ms)

    def _begin(self, why: str) -> None:
        self._since_ms = self._steady()
        wait = format_duration(DOUBTED_FOR_MS / 1000)
        _log.warning("%s; deletion by age is suspended for %s, as it may be wrong", why, wait)
