"""Refuses events while there is still room to purge and to checkpoint: a full disk cannot delete.

What counts is the disk, and the pages that a purge left free inside the database. Half of the
reserve must be free on the disk itself: the log is written there before anything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from hooktui.domain.errors import DiskFull

RESERVE_BYTES = 64 * 1024 * 1024
"""Room for the log of a purge and for the checkpoint that brings it into the database."""
_MEASURED_FOR_S = 0.2
_SHARE_UNMEASURED = 16
"""An answer is good for so long, and for so small a share of the reserve: a fast disk fills at
hundreds of MB a second, and what comes in is written twice, to the log and to the database."""


class DiskGuard:
    """Knows whether events may still be taken in.

    Args:
        reserve: bytes that accepting leaves.
        free_on_disk: bytes that are left on the disk, once all that was taken lies there.
        free_inside: bytes that are free inside the database; asked only when the disk is short.
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
        """Whether there was no room when it was looked at last."""
        return not self._room

    def check(self, size: int = 0) -> None:
        """Refuse when there is no room for more events, of ``size`` bytes.

        Raises:
            DiskFull: says how much is free and how much must stay.
        """
        now = self._monotonic()
        self._come_in += size
        if (
            now - self._measured_at >= _MEASURED_FOR_S
            or self._come_in * _SHARE_UNMEASURED > self._reserve
        ):
            self._measured_at, self._come_in = now, size
            self._free = self._free_on_disk()
            self._room = self._free >= self._reserve or (
                self._free >= self._reserve // 2
                and self._free + self._free_inside() >= self._reserve
            )
        if not self._room:
            raise DiskFull(
                f"the disk is nearly full ({self._free >> 20} MiB are left, "
                f"{self._reserve >> 20} MiB are kept for tidying); nothing was stored. Free some "
                "room, or drop old events with: hooktui purge --older-than 7d"
            )
