"""Retention on PostgreSQL: small deletions of old rows, by one of the servers of a database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from hooktui.domain.errors import Unavailable
from hooktui.slices import end_tasks
from hooktui.store.base import Store, repeat
from hooktui.store.changes.alerts import count_expired
from hooktui.store.contract import Purged
from hooktui.store.planning.retention import (
    MAX_FEED_ITEMS,
    MAX_FEED_ROWS,
    Deletions,
    OldEvent,
    paced,
)
from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.connections import FAULTS, Raw, reason_of
from hooktui.store.postgres.pools import run_over
from hooktui.store.postgres.transaction import Operation, WriteTransaction

FIRST_TRIMMED_S: Final = 5.0  # a start has more urgent work
TRIMMED_EVERY_S: Final = 30.0
HELD_EVERY_S: Final = 15.0
SILENT_S: Final = 60
"""After this PostgreSQL ends the session of a process that is stopped, and another server works."""
IDLE_TIMEOUT_SINCE: Final = 14
"""The first version of PostgreSQL with this limit; before it, the lock of such a process stays."""
SWEPT_EVERY: Final = 120
"""Runs between two passes: one pass an hour."""
DROPPED_AT_ONCE: Final = 200
DELIVERIES_AT_ONCE: Final = 1000
_ROWS_AT_ONCE: Final = 2000


class DropEvents(Operation[tuple[Purged, Sequence[OldEvent]]]):
    """Delete some events with all that belongs to them.

    Also returns the others, and those with too many deliveries for one transaction.
    """

    def __init__(self, events: Sequence[OldEvent], before_ms: int) -> None:
        self._events = [event.id for event in events[:DROPPED_AT_ONCE]]
        self._others = events[DROPPED_AT_ONCE:]
        super().__init__(len(self._events) * 3)
        self._before_ms = before_ms

    async def run(self, work: WriteTransaction) -> tuple[Purged, Sequence[OldEvent]]:
        """Delete them, unless they were sent again since the scan."""
        await work.raw.execute(sql.LOCK_ALERTS)  # for the dead letters, before any row
        locked = [row[0] for row in await work.raw.fetch(sql.LOCK_EVENTS, self._events)]
        rows = await work.raw.fetch(sql.UNUSED_EVENTS, locked, self._before_ms)
        unused = [row[0] for row in rows]
        (_, _, deliveries, attempts), *lost = await work.raw.fetch(
            sql.DROP_DELIVERIES, unused, DELIVERIES_AT_ONCE
        )
        dead_letters = {(hook, cause): count for hook, cause, count, _ in lost}
        if dead_letters:
            await run_over(work.raw, partial(count_expired, dead_letters=dead_letters))
        gone = {row[0] for row in await work.raw.fetch(sql.DROP_EVENTS, unused)}
        left = [OldEvent(event) for event in unused if event not in gone]
        dropped = Purged(len(gone), deliveries, attempts, dead_letters=dead_letters)
        return dropped, [*left, *self._others]


class DropBodies(Operation[tuple[int, Sequence[OldEvent]]]):
    """Delete the bodies of some events; returns how many, and the other events."""

    def __init__(self, events: Sequence[OldEvent], before_ms: int) -> None:
        self._events = [event.id for event in events[:DROPPED_AT_ONCE]]
        self._others = events[DROPPED_AT_ONCE:]
        super().__init__(len(self._events))
        self._before_ms = before_ms

    async def run(self, work: WriteTransaction) -> tuple[int, Sequence[OldEvent]]:
        """Delete them, unless they were sent again since the scan."""
        locked = [row[0] for row in await work.raw.fetch(sql.LOCK_EVENTS, self._events)]
        dropped = await work.raw.fetch(sql.DROP_BODIES, locked, self._before_ms)
        return len(dropped), self._others


class Drop(Operation[int]):
    """Run a statement that deletes some old rows; returns how many."""

    def __init__(self, statement: str, *values: int) -> None:
        super().__init__(_ROWS_AT_ONCE)
        self._statement = statement
        self._values = values

    async def run(self, work: WriteTransaction) -> int:
        """Delete them."""
        done = await work.raw.execute(self._statement, *self._values)
        return int(done.split()[-1])


DELETIONS: Final = Deletions(
    find_events=sql.SCAN_OLD_EVENTS,
    find_bodies=sql.SCAN_OLD_BODIES,
    events=DropEvents,
    bodies=DropBodies,
    stats=lambda before_ms: Drop(sql.DROP_STATS, before_ms, _ROWS_AT_ONCE),
    replays=lambda before_ms: Drop(sql.DROP_REPLAYS, before_ms),
    alerts=lambda before_ms: Drop(sql.DROP_ALERTS, before_ms, _ROWS_AT_ONCE),
    keys=lambda before_ms: Drop(sql.FORGET_KEYS, before_ms, _ROWS_AT_ONCE),
)


class RetentionWorker:
    """Deletes old rows and checks alerts, at the server that holds the retention lock.

    ``connect`` opens the connection whose session holds that lock.
    """

    def __init__(self, store: Store, connect: Callable[[], Awaitable[Raw]]) -> None:
        self._store = store
        self._connect = connect

    async def run(self) -> None:
        """Try again and again to hold the lock, until it is cancelled."""
        await repeat("retention", self._work, FIRST_TRIMMED_S, TRIMMED_EVERY_S)

    async def _work(self) -> None:
        raw = await self._connect()
        try:
            if raw.get_server_version().major >= IDLE_TIMEOUT_SINCE:
                await raw.execute(f"SET idle_session_timeout = '{SILENT_S}s'")
            await self._work_while_locked(raw)
        except FAULTS as error:
            reason = reason_of(error)
            raise Unavailable(f"the connection to the database was lost ({reason})") from error
        finally:
            await raw.close()

    async def _work_while_locked(self, raw: Raw) -> None:
        """Trim and check alerts while the lock is held, however long a deletion takes."""
        tasks: list[asyncio.Task[None]] = []
        try:
            # Taken again each time, which shows that both ends of the session are still alive.
            while await raw.fetchval("SELECT pg_try_advisory_lock($1)", locks.RETENTION):
                if not tasks:  # deletions may take hours
                    checks = self._store.keep_checking_alerts()
                    tasks = [
                        asyncio.create_task(self._trim_again(), name="trim"),
                        asyncio.create_task(checks, name="alerts"),
                    ]
                ended, _ = await asyncio.wait(
                    tasks, timeout=HELD_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in ended:
                    task.result()
        finally:
            await end_tasks(tasks)

    async def _trim_again(self) -> None:
        rounds = 0
        while True:
            await self.trim()
            if rounds % SWEPT_EVERY == 1:
                await self._store.delete_old()
            rounds += 1
            await asyncio.sleep(TRIMMED_EVERY_S)

    async def trim(self) -> None:
        """Trim the feed and the idempotency keys to their limits."""
        rows, items = await self._store.own_read(_count_feed)
        while rows > MAX_FEED_ROWS or items > MAX_FEED_ITEMS:
            last = 0
            for pos, count in await self._store.own_read(_oldest_feed):
                if rows <= MAX_FEED_ROWS and items <= MAX_FEED_ITEMS:
                    break
                rows, items, last = rows - 1, items - count, pos
            trimmed = self._store.submit(Drop(sql.TRIM_FEED, last))
            await paced(trimmed, self._store.rest)
        await self._store.forget_keys()


def _count_feed(conn: Connection) -> tuple[int, int]:
    rows, items = conn.execute(text(sql.COUNT_FEED)).one()
    return rows, items


def _oldest_feed(conn: Connection) -> list[tuple[int, int]]:
    rows = conn.execute(text(sql.OLDEST_FEED), {"most": _ROWS_AT_ONCE}).all()
    return [(pos, items) for pos, items in rows]
