"""Refuses events while there is still space to purge and to checkpoint: a full disk cannot delete.

The free space is that of the disk and of the pages that a purge freed inside the database. Half of
the reserve must be free on the disk itself, because the log is written there first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from hooktui.domain.errors import DiskFull
from hooktui.domain.text import in_bytes

RESERVE_BYTES = 64 * 1024 * 1024
"""Space for the log of a purge and for the checkpoint that copies it into the database."""
LOG_BYTES = 4 * 1024 * 1024
"""Space for the log of some deletions and of the results that come in meanwhile."""
_MEASURED_FOR_S = 0.2
_SHARE_UNMEASURED = 16
"""A measurement is valid for this long, and for this share of the reserve: a fast disk fills at
hundreds of MB a second, and each event is written twice, to the log and to the database."""


class DiskGuard:
    """Decides whether there is room for more events.

    Args:
        reserve: bytes that accepting leaves free.
        free_on_disk: bytes free on the disk once the log is copied into the database. If it raises,
            the next check measures again.
        free_inside: bytes free inside the database; called only if the disk is nearly full.
        monotonic: seconds.
    """

    def __init__(
        self,
        reserve: int,
        free_on_disk: Callable[[], int],
        free_inside: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reserve = reserve
        self._free_on_disk = free_on_disk
        self._free_inside = free_inside
        self._monotonic = monotonic
        self._measured_at = -_MEASURED_FOR_S
        self._free = self._come_in = 0
        self._room = True

    @property
    def short(self) -> bool:
        """Whether there was no room at the last measurement."""
        return not self._room

    def bytes_for_events(self, free: int) -> int:
        """Return how many bytes events may use, of those free on the disk and in the database."""
        return free + self._free_inside() if free >= self._reserve // 2 else free

    def check(self, size: int = 0) -> None:
        """Check that there is room for more events of ``size`` bytes.

        Raises:
            DiskFull: there is not; names the free and the reserved space.
        """
        now = self._monotonic()
        self._come_in += size
        if (
            now - self._measured_at >= _MEASURED_FOR_S
            or self._come_in * _SHARE_UNMEASURED > self._reserve
        ):
            self._free = self._free_on_disk()
            self._measured_at, self._come_in = now, size
            enough = self._free >= self._reserve
            self._room = enough or self.bytes_for_events(self._free) >= self._reserve
        if not self._room:
            raise DiskFull(
                f"the disk is nearly full ({in_bytes(self._free)} are free, "
                f"{in_bytes(self._reserve)} are reserved); nothing was stored. Free some "
                "space, or delete old events with: hooktui purge --older-than 7d"
            )
