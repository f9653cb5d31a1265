"""Checkpoints: the log of SQLite (WAL) goes into the database, by the writer alone.

In normal running the writer's own PASSIVE checkpoints do it after a commit. What they cannot do is
make a log small again that grew while a reader held it; that is looked after here, between
transactions and only while nobody reads, since TRUNCATE would wait for readers.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

R = TypeVar("R")
_log = logging.getLogger(__name__)

LARGE_WAL_BYTES = 32 * 1024 * 1024
"""Twice what the automatic checkpoints let it grow to."""
READERS_END_WITHIN_S = 10.0
"""Reads of people end within seconds; a backup may take longer."""
_READERS_POLL_S = 0.02
SMALL_WAL_BYTES = 1024 * 1024
HUGE_WAL_BYTES = 256 * 1024 * 1024
"""From here on somebody should know: a reader holds it, and it takes the room of events."""


def truncate(raw: sqlite3.Connection) -> bool:
    """Bring all of the log into the database and cut it; False when a reader was in the way.

    For the writer, outside of a transaction. Its ``busy_timeout`` is 0, so this waits for nobody.
    """
    blocked, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not blocked


def copy_log(raw: sqlite3.Connection) -> None:
    """Bring into the database what no reader is in the way of, without waiting for any.

    For the writer, outside of a transaction.
    """
    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


class ReaderCount(Protocol):
    """Knows whether somebody reads."""

    @property
    def in_use(self) -> bool:
        """Whether somebody reads now."""
        ...


class BetweenTransactions(Protocol):
    """Runs functions between two transactions of the writer."""

    async def between(self, function: Callable[[], R]) -> R:
        """Run one."""
        ...


async def truncate_between_reads(
    writer: BetweenTransactions, raw: sqlite3.Connection, readers: ReaderCount
) -> bool:
    """Cut the log as soon as nobody reads; False when there was always a reader, for 10 s."""
    give_up_s = time.monotonic() + READERS_END_WITHIN_S
    while readers.in_use or not await writer.between(partial(truncate, raw)):
        if time.monotonic() > give_up_s:
            return False
        await asyncio.sleep(_READERS_POLL_S)
    return True


@dataclass(slots=True)
class WalWatch:
    """Decides what to do about the size of the log, and warns when it grows out of hand.

    Attributes:
        read: whether somebody reads now.
        busy: whether the writer has work.
        short: whether the disk is: then even a small log is better cut.
    """

    read: Callable[[], bool]
    busy: Callable[[], bool]
    short: Callable[[], bool]
    _warned_at: int = HUGE_WAL_BYTES // 2

    def wants_truncate(self, size: int) -> bool:
        """Return whether the log should be cut now."""
        if size >= 2 * self._warned_at:
            self._warned_at = size
            _log.warning(
                "the log of the database has grown to %d MiB: a reader holds it (a long backup, or"
                " an open sqlite3 shell)",
                size >> 20,
            )
        elif size < LARGE_WAL_BYTES:
            self._warned_at = HUGE_WAL_BYTES // 2
        large = SMALL_WAL_BYTES if self.short() else LARGE_WAL_BYTES
        return size > large and not self.read() and not self.busy()
