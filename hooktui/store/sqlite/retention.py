"""Retention: old rows go a little at a time, so that sending never waits for it.

An event goes with its deliveries and attempts once it is older than the retention period, none of
its deliveries waits, and none ended since. The body of an event goes earlier, when all of its
deliveries were delivered: nothing is left to send again. Readers look for old rows; the writer only
drops them, in transactions of about the usual size. Between other work it also trims the feed and
drops old idempotency keys.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from hooktui.domain.errors import DiskFull
from hooktui.domain.hook_failures import RULE_MS
from hooktui.domain.ids import AccountId, floor_at
from hooktui.store.attempt_stats import DAY_MS
from hooktui.store.contract import Keep, Purged
from hooktui.store.planning.accept import KEY_KEPT_MS
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.transaction import Operation, Work

P = ParamSpec("P")
R = TypeVar("R")
OperationT = TypeVar("OperationT", bound=Operation[Any])

SCANNED_AT_ONCE = 1000
"""Events that one read looks at: some milliseconds in a worker thread."""
ROWS_AT_ONCE = 500
"""Rows that one transaction drops; what accepting takes as its target too."""
BYTES_AT_ONCE = 1024 * 1024
"""``secure_delete`` writes zeros over what goes, so bytes cost as much as rows."""
_STATS_AT_ONCE = 2000
_LEAST_PAUSE_S = 0.002


class Old(NamedTuple):
    """An event that may go, and the size of its body."""

    event: int
    size: int


class Scan(NamedTuple):
    """What a look at the oldest events found; ``after`` is None when it saw the last of them."""

    found: list[Old]
    after: int | None


def old_events(conn: Connection, after: int, before_ms: int, account: AccountId | None) -> Scan:
    """Look for events from before a time of which nothing waits or ended since."""
    values = (before_ms, after, floor_at(before_ms), account, account, SCANNED_AT_ONCE)
    return _scan(conn, sql.SCAN_OLD_EVENTS, values)


def old_bodies(conn: Connection, after: int, before_ms: int) -> Scan:
    """Look for bodies from before a time that nobody will send again."""
    values = (before_ms, after, floor_at(before_ms), SCANNED_AT_ONCE)
    return _scan(conn, sql.SCAN_OLD_BODIES, values)


def _scan(conn: Connection, statement: str, values: tuple[object, ...]) -> Scan:
    rows = conn.exec_driver_sql(statement, values).all()
    found = [Old(event, size) for event, size, may_go in rows if may_go]
    return Scan(found, rows[-1][0] if len(rows) == SCANNED_AT_ONCE else None)


class DropEvents(Operation[Purged]):
    """Drop events with all that belongs to them, until a transaction has enough.

    Attributes:
        left: the events that had no turn, or are not gone entirely.
    """

    def __init__(self, events: Sequence[Old], before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self.left = deque(events)
        self._before_ms = before_ms
        self._rows = self._bytes = 0

    def apply(self, work: Work) -> Purged:
        """Drop them."""
        events = deliveries = attempts = 0
        while self.left and not self._enough():
            event, size = self.left[0]
            if work.raw.execute(sql.EVENT_IN_USE, (event, self._before_ms)).fetchone():
                self.left.popleft()  # sent again since it was looked at
                continue
            gone = self._drop_deliveries(work, event)
            deliveries += gone[0]
            attempts += gone[1]
            if work.raw.execute(sql.DELIVERY_OF_EVENT, (event,)).fetchone():
                break  # too many for one transaction; the next goes on with this event
            self._rows += 1
            self._bytes += size
            events += work.raw.execute(sql.DROP_EVENT, (event,)).rowcount
            self.left.popleft()
        return Purged(events=events, deliveries=deliveries, attempts=attempts)

    def _drop_deliveries(self, work: Work, event: int) -> tuple[int, int]:
        dropped = attempts = 0
        ids = work.raw.execute(sql.DELIVERIES_OF_EVENT, (event, ROWS_AT_ONCE)).fetchall()
        for (delivery,) in ids:
            if self._enough():
                break
            count, size = work.raw.execute(sql.SIZE_OF_ATTEMPTS, (delivery,)).fetchone()
            work.raw.execute(sql.DROP_ATTEMPTS, (delivery,))
            work.raw.execute(sql.DROP_DELIVERY, (delivery,))
            self._rows += count + 1
            self._bytes += size
            dropped += 1
            attempts += count
        return dropped, attempts

    def _enough(self) -> bool:
        return self._rows >= ROWS_AT_ONCE or self._bytes >= BYTES_AT_ONCE


class DropBodies(Operation[int]):
    """Drop the bytes of events, until a transaction has enough; returns how many went.

    Attributes:
        left: the events that had no turn.
    """

    def __init__(self, events: Sequence[Old], before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self.left = deque(events)
        self._before_ms = before_ms

    def apply(self, work: Work) -> int:
        """Drop them."""
        rows = size = 0
        while self.left and rows < ROWS_AT_ONCE and size < BYTES_AT_ONCE:
            event = self.left.popleft()
            rows += work.raw.execute(sql.DROP_BODY, (event.event, self._before_ms)).rowcount
            size += event.size
        return rows


class DropStats(Operation[int]):
    """Drop the counts of attempts from before a time, some at once; returns how many rows went."""

    def __init__(self, before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._before_ms = before_ms

    def apply(self, work: Work) -> int:
        """Drop them."""
        return work.raw.execute(sql.DROP_STATS, (self._before_ms, _STATS_AT_ONCE)).rowcount


class Room(Protocol):
    """What retention needs of a store."""

    async def read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query."""
        ...

    async def submit(self, operation: Operation[R]) -> R:
        """Run an operation in the writer's next transaction."""
        ...

    async def copy_log(self) -> None:
        """Bring the log into the database, as far as no reader is in the way."""
        ...

    async def cut_log(self) -> bool:
        """Free the room that the log takes; False when a reader holds it for too long."""
        ...


class Sweep:
    """Goes once over what is old, from the oldest on.

    Args:
        room: the store.
        rest: how long to pause for each second of work: what leaves others their turn.
    """

    def __init__(self, room: Room, rest: Callable[[], float]) -> None:
        self._room = room
        self._rest = rest

    async def events(
        self, before_ms: int, account: AccountId | None, after: int, until: Callable[[], bool]
    ) -> Purged:
        """Drop old events after a place, until it is time to stop; says where to go on.

        The log comes first into the database: on a disk that drops fill later, it could not grow.
        """
        await self._room.copy_log()
        events = deliveries = attempts = 0
        while True:
            scan = await self._room.read(old_events, after, before_ms, account)
            left: Sequence[Old] = scan.found
            while left:
                operation, gone = await self._paced(self._run(partial(DropEvents, left, before_ms)))
                events += gone.events
                deliveries += gone.deliveries
                attempts += gone.attempts
                left = list(operation.left)
                if left and until():
                    return Purged(events, deliveries, attempts, after=left[0].event - 1)
            if scan.after is None or until():
                return Purged(events, deliveries, attempts, after=scan.after)
            after = scan.after

    async def bodies(self, before_ms: int) -> int:
        """Drop old bodies; return how many. The log comes first, as with events."""
        await self._room.copy_log()
        gone, after = 0, 0
        while True:
            scan = await self._paced(self._room.read(old_bodies, after, before_ms))
            left: Sequence[Old] = scan.found
            while left:
                operation, some = await self._paced(self._run(partial(DropBodies, left, before_ms)))
                gone += some
                left = list(operation.left)
            if scan.after is None:
                return gone
            after = scan.after

    async def stats(self, before_ms: int) -> int:
        """Drop old counts; return how many."""
        gone = 0
        while True:
            _, some = await self._paced(self._run(partial(DropStats, before_ms)))
            if not some:
                return gone
            gone += some

    async def _run(self, make: Callable[[], OperationT]) -> tuple[OperationT, Any]:
        """Run an operation, on a full disk once more after the log was cut.

        What is dropped goes through the log first, and a reader may keep the log from being used
        again: then the log fills a disk that has room enough for each transaction.
        """
        operation = make()
        try:
            return operation, await self._room.submit(operation)
        except DiskFull:
            if not await self._room.cut_log():
                raise
        operation = make()  # the first one has counted what it did not drop
        return operation, await self._room.submit(operation)

    async def _paced(self, work: Awaitable[R]) -> R:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        result = await work
        await asyncio.sleep(max(_LEAST_PAUSE_S, (loop.time() - start_s) * self._rest()))
        return result


async def keep_to(keep: Keep, sweep: Sweep, now_ms: int) -> tuple[int, int]:
    """Drop all that is older than what is kept; return how many events and how many bodies."""
    bodies = events = 0
    if keep.days:
        before_ms = now_ms - round(keep.days * DAY_MS)
        events = (await sweep.events(before_ms, None, 0, lambda: False)).events
        # The 5-day rule looks at these counts, however little else is kept.
        await sweep.stats(min(before_ms, now_ms - RULE_MS))
    if keep.bodies_days and (not keep.days or keep.bodies_days < keep.days):
        bodies = await sweep.bodies(now_ms - round(keep.bodies_days * DAY_MS))
    return events, bodies


MOST_FEED_ROWS = 100_000
MOST_FEED_ITEMS = 1_000_000
"""At full load a row holds hundreds of items; this many are some 80 MB."""
_AT_ONCE = 500


class TrimFeed(Operation[tuple[int, int]]):
    """Drop the oldest feed rows over a limit, a few at a time; returns rows and items dropped."""

    def __init__(self, rows_over: int, items_over: int) -> None:
        super().__init__()
        self._rows_over = rows_over
        self._items_over = items_over

    def apply(self, work: Work) -> tuple[int, int]:
        """Drop them."""
        rows = items = last = 0
        for pos, count in work.raw.execute(sql.OLDEST_FEED, (_AT_ONCE,)):
            if rows >= self._rows_over and items >= self._items_over:
                break
            rows, items, last = rows + 1, items + count, pos
        work.raw.execute(sql.TRIM_FEED, (last,))
        work.feed_rows -= rows
        work.feed_items -= items
        return rows, items


class ForgetKeys(Operation[int]):
    """Drop idempotency keys that are too old to count, a few at a time; returns how many."""

    def apply(self, work: Work) -> int:
        """Drop them."""
        oldest = work.now_ms - KEY_KEPT_MS
        return work.raw.execute(sql.FORGET_KEYS, (oldest, _AT_ONCE)).rowcount
