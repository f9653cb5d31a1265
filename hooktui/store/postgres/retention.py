"""Keeping house in PostgreSQL: what is old goes, a little at a time, by one server of them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from sqlalchemy import Connection, text

from hooktui.domain.errors import HooktuiError
from hooktui.domain.hook_failures import RULE_MS
from hooktui.domain.ids import AccountId, floor_at
from hooktui.store.attempt_stats import DAY_MS
from hooktui.store.contract import Keep, Purged
from hooktui.store.planning.accept import KEY_KEPT_MS
from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.connections import FAULTS
from hooktui.store.postgres.transaction import Operation, Work
from hooktui.store.sqlite.retention import MOST_FEED_ITEMS, MOST_FEED_ROWS

if TYPE_CHECKING:
    from hooktui.store.postgres.connections import Raw

R = TypeVar("R")
_log = logging.getLogger(__name__)

TIDIED_EVERY_S: Final = 30.0
SWEPT_EVERY: Final = 120
"""Times of that: once an hour."""
SCANNED_AT_ONCE: Final = 1000
DROPPED_AT_ONCE: Final = 200
DELIVERIES_AT_ONCE: Final = 1000
_ROWS_AT_ONCE: Final = 2000
_REST, _REST_WHEN_BUSY, _REST_OF_PURGE = 4, 20, 1
"""Pauses, in times of what the last step took: a share of 20 %, 5 % and 50 %."""
_LEAST_PAUSE_S: Final = 0.002


class DropEvents(Operation[tuple[Purged, list[int]]]):
    """Drop events with all that belongs to them; also returns those that are not gone entirely."""

    def __init__(self, events: Sequence[int], before_ms: int) -> None:
        super().__init__(len(events) * 3)
        self._events = events
        self._before_ms = before_ms

    async def run(self, work: Work) -> tuple[Purged, list[int]]:
        """Drop them, unless they are sent again since they were looked at."""
        locked = [row[0] for row in await work.raw.fetch(sql.LOCK_EVENTS, self._events)]
        rows = await work.raw.fetch(sql.UNUSED_EVENTS, locked, self._before_ms)
        unused = [row[0] for row in rows]
        deliveries, attempts = await work.raw.fetchrow(
            sql.DROP_DELIVERIES, unused, DELIVERIES_AT_ONCE
        )
        gone = {row[0] for row in await work.raw.fetch(sql.DROP_EVENTS, unused)}
        left = [event for event in unused if event not in gone]
        return Purged(events=len(gone), deliveries=deliveries, attempts=attempts), left


class DropBodies(Operation[int]):
    """Drop the bytes of events; returns how many went."""

    def __init__(self, events: Sequence[int], before_ms: int) -> None:
        super().__init__(len(events))
        self._events = events
        self._before_ms = before_ms

    async def run(self, work: Work) -> int:
        """Drop them, unless they are sent again since they were looked at."""
        locked = [row[0] for row in await work.raw.fetch(sql.LOCK_EVENTS, self._events)]
        return len(await work.raw.fetch(sql.DROP_BODIES, locked, self._before_ms))


class Drop(Operation[int]):
    """Run a statement that drops some old rows; returns how many."""

    def __init__(self, statement: str, *values: int) -> None:
        super().__init__(_ROWS_AT_ONCE)
        self._statement = statement
        self._values = values

    async def run(self, work: Work) -> int:
        """Drop them."""
        done = await work.raw.execute(self._statement, *self._values)
        return int(done.split()[-1])


class Room(Protocol):
    """What housekeeping needs of the store."""

    @property
    def clock(self) -> Callable[[], int]:
        """What tells the time."""
        ...

    @property
    def clock_is_trusted(self) -> bool:
        """Whether what is old by it may be dropped."""
        ...

    @property
    def busy(self) -> bool:
        """Whether work waits for a transaction."""
        ...

    async def read(self, query: Callable[[Connection], R], /) -> R:
        """Run a query."""
        ...

    async def submit(self, operation: Operation[R]) -> R:
        """Run an operation in the next transaction."""
        ...


class House:
    """Tidies, at one of the servers of a database: whoever got the lock, as long as it lives.

    Args:
        room: the store.
        connect: opens the connection whose session holds that lock.
        keep: how long things are kept.
    """

    def __init__(self, room: Room, connect: Callable[[], Awaitable[Raw]], keep: Keep) -> None:
        self._room = room
        self._connect = connect
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; a start has better things to do than to tidy, so it waits at first."""
        self._task = asyncio.create_task(self._run(), name="house")

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def purge(
        self, before_ms: int, within_s: float, account: AccountId | None, after: int
    ) -> Purged:
        """Drop old events for so long at most; says where to go on."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        return await self._drop_events(
            before_ms, account, after, lambda: loop.time() > end_s, lambda: _REST_OF_PURGE
        )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TIDIED_EVERY_S)
            try:
                raw = await self._connect()
            except HooktuiError as error:
                _log.warning("no connection for retention: %s", error)
                continue
            try:
                await self._tidy_while_locked(raw)
            except (HooktuiError, *FAULTS) as error:
                _log.warning("tidying stopped early: %s", error)
            finally:
                with contextlib.suppress(*FAULTS):
                    await raw.close(timeout=2)

    async def _tidy_while_locked(self, raw: Raw) -> None:
        rounds = 0
        while await raw.fetchval("SELECT pg_try_advisory_lock($1)", locks.HOUSE):
            # Taken again each round, which shows that the session still lives.
            await self.tidy()
            if rounds % SWEPT_EVERY == 1:
                await self.sweep()
            rounds += 1
            await asyncio.sleep(TIDIED_EVERY_S)

    async def tidy(self) -> None:
        """Drop what the feed and the idempotency keys have too much of."""
        rows, items = await self._room.read(_count_feed)
        while rows > MOST_FEED_ROWS or items > MOST_FEED_ITEMS:
            oldest = await self._room.read(_oldest_feed)
            place = 0
            while place < len(oldest) and (rows > MOST_FEED_ROWS or items > MOST_FEED_ITEMS):
                rows, items, place = rows - 1, items - oldest[place][1], place + 1
            await self._paced(Drop(sql.TRIM_FEED, oldest[place - 1][0]), self._rest)
        before_ms = self._room.clock() - KEY_KEPT_MS
        while await self._paced(Drop(sql.FORGET_KEYS, before_ms, _ROWS_AT_ONCE), self._rest):
            pass

    async def sweep(self) -> None:
        """Drop all that is older than what is kept, unless the clock may be wrong."""
        if not self._room.clock_is_trusted:
            return
        keep, now_ms, bodies, events = self._keep, self._room.clock(), 0, 0
        if keep.days:
            before_ms = now_ms - round(keep.days * DAY_MS)
            gone = await self._drop_events(before_ms, None, 0, lambda: False, self._rest)
            events = gone.events
            # The 5-day rule looks at these counts, however little else is kept.
            old_ms = min(before_ms, now_ms - RULE_MS)
            while await self._paced(Drop(sql.DROP_STATS, old_ms, _ROWS_AT_ONCE), self._rest):
                pass
        if keep.bodies_days and (not keep.days or keep.bodies_days < keep.days):
            bodies = await self._drop_bodies(now_ms - round(keep.bodies_days * DAY_MS))
        if events or bodies:
            _log.info("retention events=%d bodies=%d", events, bodies)

    async def _drop_events(
        self,
        before_ms: int,
        account: AccountId | None,
        after: int,
        until: Callable[[], bool],
        rest: Callable[[], float],
    ) -> Purged:
        events = deliveries = attempts = 0
        next_after: int | None = after
        while next_after is not None:
            scan = partial(_old_events, after=next_after, before_ms=before_ms, account=account)
            left, next_after = await self._room.read(scan)
            while left:
                some, left = left[:DROPPED_AT_ONCE], left[DROPPED_AT_ONCE:]
                gone, undone = await self._paced(DropEvents(some, before_ms), rest)
                left = undone + left
                events += gone.events
                deliveries += gone.deliveries
                attempts += gone.attempts
                if left and until():
                    return Purged(events, deliveries, attempts, after=left[0] - 1)
            if until():
                break
        return Purged(events, deliveries, attempts, after=next_after)

    async def _drop_bodies(self, before_ms: int) -> int:
        gone, after = 0, 0
        while True:
            scan = partial(_old_bodies, after=after, before_ms=before_ms)
            left, next_after = await self._room.read(scan)
            while left:
                some, left = left[:DROPPED_AT_ONCE], left[DROPPED_AT_ONCE:]
                gone += await self._paced(DropBodies(some, before_ms), self._rest)
            if next_after is None:
                return gone
            after = next_after

    def _rest(self) -> float:
        return _REST_WHEN_BUSY if self._room.busy else _REST

    async def _paced(self, operation: Operation[R], rest: Callable[[], float]) -> R:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        result = await self._room.submit(operation)
        await asyncio.sleep(max(_LEAST_PAUSE_S, (loop.time() - start_s) * rest()))
        return result


def _old_events(
    conn: Connection, after: int, before_ms: int, account: AccountId | None
) -> tuple[list[int], int | None]:
    """Return events of which nothing waits or ended since, and where to look on (None: nowhere)."""
    return _scan(conn, sql.SCAN_OLD_EVENTS, after, before_ms, {"account": account})


def _old_bodies(conn: Connection, after: int, before_ms: int) -> tuple[list[int], int | None]:
    """Return events whose bodies nobody will send again, and where to look on."""
    return _scan(conn, sql.SCAN_OLD_BODIES, after, before_ms, {})


def _scan(
    conn: Connection, statement: str, after: int, before_ms: int, more: dict[str, int | None]
) -> tuple[list[int], int | None]:
    values = {
        "after": after, "before": before_ms, "floor": floor_at(before_ms), "most": SCANNED_AT_ONCE,
    }  # fmt: skip
    rows = conn.execute(text(statement), {**values, **more}).all()
    old = [event for event, may_go in rows if may_go]
    return old, rows[-1][0] if len(rows) == SCANNED_AT_ONCE else None


def _count_feed(conn: Connection) -> tuple[int, int]:
    rows, items = conn.execute(text(sql.COUNT_FEED)).one()
    return rows, items


def _oldest_feed(conn: Connection) -> list[tuple[int, int]]:
    rows = conn.execute(text(sql.OLDEST_FEED), {"most": _ROWS_AT_ONCE}).all()
    return [(pos, items) for pos, items in rows]
