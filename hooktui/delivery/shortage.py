"""Resource shortages of this machine while sending: counted, logged once a minute, waited for.

The receiver is not to blame, so an affected attempt does not count (`MachineShort`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final

from hooktui.domain.clock import now_ms
from hooktui.domain.machine import Condition, Shortage, next_wait_s

_log = logging.getLogger(__name__)

LOG_EVERY_S: Final = 60.0


class MachineShort(Exception):
    """This machine lacks a resource, so an attempt was not made; ``str(error)`` is one line."""

    def __init__(self, condition: Condition) -> None:
        super().__init__(f"this machine {condition.words}")
        self.condition = condition


class Shortages:
    """Counts shortages and decides when to try again."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._counts: Counter[Condition] = Counter()
        self._unlogged: Counter[Condition] = Counter()
        self._logged_at: float | None = None
        self._last: Condition | None = None
        self._at_ms = 0
        self._until = 0.0
        self._wait_s = 0.0

    def note(self, condition: Condition, what: str) -> None:
        """Count a shortage, and log it if the last line is a minute old.

        Args:
            condition: the missing resource.
            what: the work that was not done, such as "an attempt".
        """
        self._last, self._at_ms = condition, now_ms()
        self._counts[condition] += 1
        self._unlogged[condition] += 1
        now = self._clock()
        if self._logged_at is not None and now - self._logged_at < LOG_EVERY_S:
            return
        self._logged_at = now
        times = ", ".join(f"{name} {count}" for name, count in self._unlogged.items())
        self._unlogged.clear()
        _log.warning(
            "this machine %s: %s has to wait (counts: %s); %s",
            condition.words, what, times, condition.advice,
        )  # fmt: skip

    def wait(self) -> None:
        """Start nothing for a while; longer each time that the last wait did not help."""
        now = self._clock()
        if now >= self._until:
            since_s = now - self._until if self._wait_s else None
            self._wait_s = next_wait_s(self._wait_s, since_s)
            self._until = now + self._wait_s

    @property
    def wait_s(self) -> float:
        """Seconds to wait before the next start; 0: no wait."""
        return max(self._until - self._clock(), 0.0) if self._until else 0.0

    @property
    def seen(self) -> Shortage | None:
        """The last shortage, if there was one."""
        if self._last is None:
            return None
        return Shortage(self._last, self._at_ms, dict(self._counts))
