"""The clock of all servers: the database's time, advanced by this process's monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hooktui.store.clock_trust import ClockTrust

_CORRECTED_MS: Final = 1_000
"""A larger step back means that the clock of the database was set."""


class DatabaseClock:
    """Returns the database's time without a query each time.

    Args:
        fixed: milliseconds since the epoch, for tests that set the clock.

    Attributes:
        trust: whether the clock may be trusted for deletion by age.
    """

    def __init__(self, fixed: Callable[[], int] | None = None) -> None:
        self._fixed = fixed
        self._ahead_ns = time.time_ns() - time.monotonic_ns()
        self._is_set = False
        self._last_ms = 0
        self.trust = ClockTrust(lambda: time.monotonic_ns() // 1_000_000)

    def now_ms(self) -> int:
        """Return milliseconds since the epoch.

        A small correction does not set it back: rates would count its time twice.
        """
        if self._fixed is not None:
            return self._fixed()
        now = (time.monotonic_ns() + self._ahead_ns) // 1_000_000
        if not 0 < self._last_ms - now < _CORRECTED_MS:
            self._last_ms = now
        return self._last_ms

    def set_from(self, database_ms: int, asked_ns: int) -> int:
        """Set the clock from the database's time, requested at a monotonic time; return it."""
        if self._fixed is not None:
            return self._fixed()
        received_ns = time.monotonic_ns()
        # The database read its clock between request and response; assume the middle.
        ahead_ns = database_ms * 1_000_000 - (asked_ns + received_ns) // 2
        if self._is_set:
            self.trust.clock_set((ahead_ns - self._ahead_ns) // 1_000_000)
        self._ahead_ns, self._is_set = ahead_ns, True
        return database_ms
