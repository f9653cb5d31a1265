"""A clock that jumped far ahead may be wrong: for a while nothing is dropped for its age."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hooktui.domain.clock import format_duration
from hooktui.store.attempt_stats import DAY_MS

_log = logging.getLogger(__name__)

DOUBTED_FOR_MS = 2 * 3600 * 1000
"""Time to set a wrong clock right."""
DOUBTFUL_MS = DAY_MS
"""A smaller jump makes little difference to what is kept for days."""


class ClockTrust:
    """Whether a clock may be trusted with what is dropped for its age.

    Args:
        steady: milliseconds since whenever, by a clock that nobody sets.
    """

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._since_ms: int | None = None

    @property
    def trusted(self) -> bool:
        """Whether the clock did not jump far ahead lately."""
        return self._since_ms is None or self._steady() - self._since_ms >= DOUBTED_FOR_MS

    def moved(self, by_ms: int) -> None:
        """Take note that the clock was set."""
        if by_ms > DOUBTFUL_MS:
            self._begin("the clock was set forward")

    def away(self, for_ms: int) -> None:
        """Take note of how long, by this clock, nothing was written before this start."""
        if for_ms > DOUBTFUL_MS:
            self._begin(f"no server has written here for {format_duration(for_ms / 1000)}")

    def _begin(self, why: str) -> None:
        self._since_ms = self._steady()
        wait = format_duration(DOUBTED_FOR_MS / 1000)
        _log.warning("%s; nothing is dropped for its age for %s, in case it is wrong", why, wait)
