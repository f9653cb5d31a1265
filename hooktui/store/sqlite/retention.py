"""Retention on SQLite: small deletions of old rows, of the feed and of idempotency keys.

Readers scan for old rows; the writer only deletes them, in transactions of the usual size.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from hooktui.domain.errors import DiskFull
from hooktui.domain.ids import AccountId, HookId
from hooktui.store.base import Store
from hooktui.store.changes.alerts import count_expired
from hooktui.store.contract import Purged
from hooktui.store.planning.retention import OldEvent, Scan, scan_old
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.connections import Readers, copy_log, truncate
from hooktui.store.sqlite.disk_guard import LOG_BYTES
from hooktui.store.sqlite.files import free_bytes
from hooktui.store.sqlite.transaction import Operation, WriteTransaction
from hooktui.store.sqlite.writer import Writer

R = TypeVar("R")

ROWS_AT_ONCE = 500
"""Rows that one transaction deletes, the same as the target of accepting."""
BYTES_AT_ONCE = 1024 * 1024
"""``secure_delete`` overwrites deleted bytes with zeros, so bytes cost as much as rows."""
_STATS_AT_ONCE = 2000
READERS_END_WITHIN_S = 10.0
"""Reads of people end within seconds; a backup may take longer."""
_READERS_POLL_S = 0.02


class DropEvents(Operation[tuple[Purged, list[OldEvent]]]):
    """Delete events with all that belongs to them, up to the size of a transaction.

    Also returns the events that are not, or not completely, deleted.
    """

    def __init__(self, events: Sequence[OldEvent], before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._left = deque(events)
        self._before_ms = before_ms
        self._rows = self._bytes = 0
        self._dead_letters = Counter[tuple[HookId, str]]()

    def execute(self, work: WriteTransaction) -> tuple[Purged, list[OldEvent]]:
        """Delete them."""
        events = deliveries = attempts = 0
        while self._left and not self._enough():
            event, size = self._left[0]
            if work.raw.execute(sql.EVENT_IN_USE, (event, self._before_ms)).fetchone():
                self._left.popleft()  # sent again since the scan
                continue
            gone = self._drop_deliveries(work, event)
            deliveries += gone[0]
            attempts += gone[1]
            if work.raw.execute(sql.DELIVERY_OF_EVENT, (event,)).fetchone():
                break  # too many for one transaction; the next continues here
            self._rows += 1
            self._bytes += size
            events += work.raw.execute(sql.DROP_EVENT, (event,)).rowcount
            self._left.popleft()
        count_expired(work.conn, self._dead_letters)
        dropped = Purged(events, deliveries, attempts, dead_letters=self._dead_letters)
        return dropped, list(self._left)

    def _drop_deliveries(self, work: WriteTransaction, event: int) -> tuple[int, int]:
        dropped = attempts = 0
        ids = work.raw.execute(sql.DELIVERIES_OF_EVENT, (event, ROWS_AT_ONCE)).fetchall()
        for delivery, hook, cause in ids:
            if self._enough():
                break
            count, size = work.raw.execute(sql.SIZE_OF_ATTEMPTS, (delivery,)).fetchone()
            work.raw.execute(sql.DROP_ATTEMPTS, (delivery,))
            work.raw.execute(sql.DROP_DELIVERY, (delivery,))
            if cause is not None:
                self._dead_letters[hook, cause] += 1
            self._rows += count + 1
            self._bytes += size
            dropped += 1
            attempts += count
        return dropped, attempts

    def _enough(self) -> bool:
        return self._rows >= ROWS_AT_ONCE or self._bytes >= BYTES_AT_ONCE


class DropBodies(Operation[tuple[int, list[OldEvent]]]):
    """Delete the bodies of events, up to the size of a transaction.

    Returns how many, and the remaining events.
    """

    def __init__(self, events: Sequence[OldEvent], before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._left = deque(events)
        self._before_ms = before_ms

    def execute(self, work: WriteTransaction) -> tuple[int, list[OldEvent]]:
        """Delete them."""
        rows = size = 0
        while self._left and rows < ROWS_AT_ONCE and size < BYTES_AT_ONCE:
            event = self._left.popleft()
            rows += work.raw.execute(sql.DROP_BODY, (event.id, self._before_ms)).rowcount
            size += event.size_bytes
        return rows, list(self._left)


class Drop(Operation[int]):
    """Run a statement that deletes some old rows; returns how many."""

    def __init__(self, statement: str, *values: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._statement = statement
        self._values = values

    def execute(self, work: WriteTransaction) -> int:
        """Delete them."""
        return work.raw.execute(self._statement, self._values).rowcount


class DropReplay(Operation[int]):
    """Delete one replay that ended before a time; returns how many."""

    def __init__(self, before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._before_ms = before_ms

    def execute(self, work: WriteTransaction) -> int:
        """Delete it with its hooks; its deliveries keep its id."""
        found = work.raw.execute(sql.OLD_REPLAY, (self._before_ms,)).fetchone()
        if found is None:
            return 0
        work.raw.execute(sql.DROP_WALKS, found)
        return work.raw.execute(sql.DROP_REPLAY, found).rowcount


class Retention:
    """Scans and deletes old rows of an SQLite store; see `planning.retention.RetentionStore`."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        raw: sqlite3.Connection,
        readers: Readers,
        folder: Path,
    ) -> None:
        self._store = store
        self._writer = writer
        self._raw = raw
        self._readers = readers
        self._folder = folder

    async def prepare(self) -> None:
        """Copy the log into the database: it could not grow on a disk that the deletions fill."""
        await self._writer.between(partial(copy_log, self._raw))

    async def scan_events(self, after: int, before_ms: int, account: AccountId | None) -> Scan:
        """Find old events."""
        return await self._store.scan(scan_old, sql.SCAN_OLD_EVENTS, after, before_ms, account)

    async def scan_bodies(self, after: int, before_ms: int) -> Scan:
        """Find bodies that will not be sent again."""
        return await self._store.scan(scan_old, sql.SCAN_OLD_BODIES, after, before_ms)

    async def drop_events(
        self, events: Sequence[OldEvent], before_ms: int
    ) -> tuple[Purged, Sequence[OldEvent]]:
        """Delete as many events as fit in one transaction."""
        return await self._run(partial(DropEvents, events, before_ms))

    async def drop_bodies(
        self, events: Sequence[OldEvent], before_ms: int
    ) -> tuple[int, Sequence[OldEvent]]:
        """Delete as many bodies as fit in one transaction."""
        return await self._run(partial(DropBodies, events, before_ms))

    async def drop_stats(self, before_ms: int) -> int:
        """Delete some statistics."""
        return await self._run(partial(Drop, sql.DROP_STATS, before_ms, _STATS_AT_ONCE))

    async def drop_alerts(self, before_ms: int) -> int:
        """Delete some resolved alerts."""
        return await self._run(partial(Drop, sql.DROP_ALERTS, before_ms, ROWS_AT_ONCE))

    async def drop_replays(self, before_ms: int) -> int:
        """Delete a replay that ended."""
        return await self._run(partial(DropReplay, before_ms))

    async def _run(self, make: Callable[[], Operation[R]]) -> R:
        """Run an operation; before the disk is full, truncate the log.

        Deleted pages go through the log first, and a reader may keep the log from being reused.
        Then the log fills a disk that has enough space for each transaction. If it does so all the
        same, the operation runs once more.
        """
        if free_bytes(self._folder) < LOG_BYTES:
            await self._cut_log()
        try:
            return await self._store.submit(make())
        except DiskFull:
            if not await self._cut_log():
                raise
        return await self._store.submit(make())  # the first one counted rows it did not delete

    async def _cut_log(self) -> bool:
        """Truncate the log as soon as there is no reader; False if there was one for 10 s."""
        give_up_s = time.monotonic() + READERS_END_WITHIN_S
        while self._readers.in_use or not await self._writer.between(partial(truncate, self._raw)):
            if time.monotonic() > give_up_s:
                return False
            await asyncio.sleep(_READERS_POLL_S)
        return True


class TrimFeed(Operation[None]):
    """Delete the oldest feed rows over a limit, a few at a time."""

    def __init__(self, rows_over: int, items_over: int) -> None:
        super().__init__()
        self._rows_over = rows_over
        self._items_over = items_over

    def execute(self, work: WriteTransaction) -> None:
        """Delete them."""
        rows = items = last = 0
        for pos, count in work.raw.execute(sql.OLDEST_FEED, (ROWS_AT_ONCE,)):
            if rows >= self._rows_over and items >= self._items_over:
                break
            rows, items, last = rows + 1, items + count, pos
        work.raw.execute(sql.TRIM_FEED, (last,))
        work.feed_rows -= rows
        work.feed_items -= items
