"""One retention pass for both databases: scan, delete a batch, pause, repeat.

An event is deleted with its deliveries and attempts once it is older than the retention period and
all of its deliveries ended before that. The body of an event is deleted earlier, when all of its
deliveries were delivered, because it will not be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, select, text

from hooktui.domain.clock import DAY_MS
from hooktui.domain.hook_failures import RULE_MS
from hooktui.domain.ids import AccountId, floor_at, time_of
from hooktui.domain.wire.server import RetentionDays
from hooktui.store.contract import DeadLetters, Purged
from hooktui.store.tables import EVENT
from hooktui.store.write_queue import Operation

P = ParamSpec("P")
R = TypeVar("R")

SCANNED_AT_ONCE = 1000
"""Events read by one scan: some milliseconds."""
REST, REST_WHEN_BUSY, REST_OF_PURGE = 4, 20, 1
"""Pauses as multiples of the last step's duration: a share of 20 %, 5 % and 50 %."""
_MIN_PAUSE_S = 0.002
_LAST_ID = 2**63 - 1
MAX_FEED_ROWS = 100_000
MAX_FEED_ITEMS = 1_000_000
"""Limit of the change feed. At full load a row holds hundreds of items; this is about 80 MB."""


class OldEvent(NamedTuple):
    """An event that may be deleted, and the size of its body if that affects the duration."""

    id: int
    size_bytes: int = 0


class Scan(NamedTuple):
    """The old events of a scan; ``after`` is where the next one starts, None at the end."""

    events: Sequence[OldEvent]
    after: int | None


@dataclass(frozen=True, slots=True)
class Deletions:
    """The statements and operations of a database that find and delete what is old.

    Attributes:
        find_events: finds events from before a time whose deliveries all ended before it; for
            `scan_old`, like the next.
        find_bodies: finds events from before a time whose bodies will not be sent again.
        events: deletes some events with their deliveries and attempts, and returns the others; like
            the next, it skips those that are in use again since the scan.
        bodies: deletes the bodies of some events, and returns how many, and the others.
        stats: deletes some statistics from before a time; it returns how many, 0 when none is left,
            like the following.
        replays: deletes a replay that ended before a time.
        alerts: deletes some alerts that were resolved before a time.
        keys: deletes some idempotency keys that were used before a time.
    """

    find_events: str
    find_bodies: str
    events: Callable[[Sequence[OldEvent], int], Operation[tuple[Purged, Sequence[OldEvent]]]]
    bodies: Callable[[Sequence[OldEvent], int], Operation[tuple[int, Sequence[OldEvent]]]]
    stats: Callable[[int], Operation[int]]
    replays: Callable[[int], Operation[int]]
    alerts: Callable[[int], Operation[int]]
    keys: Callable[[int], Operation[int]]


class RetentionStore(Protocol):
    """The part of a store that a retention pass uses."""

    DELETIONS: ClassVar[Deletions]

    async def scan(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query of up to a second."""

    async def prepare_deletions(self) -> None:
        """Prepare to delete many rows."""

    async def delete(self, make: Callable[[], Operation[R]]) -> R:
        """Run an operation that deletes rows."""


def scan_old(
    conn: Connection,
    statement: str,
    after: int,
    before_ms: int,
    account: AccountId | None = None,
) -> Scan:
    """Run the statement of a database that finds old events or bodies.

    Its columns are the id, the size if it matters, and whether the event may go. Ids are ahead of
    the clock once it was wrong and set back: then they do not show which events are old.
    """
    floor = _LAST_ID if _ids_are_ahead(conn) else floor_at(before_ms)
    values = {
        "after": after, "before": before_ms, "floor": floor, "account": account,
        "most": SCANNED_AT_ONCE,
    }  # fmt: skip
    rows = conn.execute(text(statement), values).all()
    events = [OldEvent(*event) for *event, may_go in rows if may_go]
    return Scan(events, rows[-1][0] if len(rows) == SCANNED_AT_ONCE else None)


def _ids_are_ahead(conn: Connection) -> bool:
    newest = select(EVENT.c.id, EVENT.c.created_at).order_by(EVENT.c.id.desc()).limit(1)
    row = conn.execute(newest).first()
    return row is not None and time_of(row.id) - row.created_at > DAY_MS


@dataclass(frozen=True, slots=True)
class RetentionPass:
    """Deletes old rows, oldest first.

    Attributes:
        store: scans and deletes.
        rest: pause in seconds per second of work, to leave time to other work.
        expired: called with the dead letters of each deletion.
    """

    store: RetentionStore
    rest: Callable[[], float]
    expired: Callable[[DeadLetters], None] = lambda _: None

    async def apply(self, keep: RetentionDays, now_ms: int) -> tuple[int, int]:
        """Delete everything older than the retention periods; return the events and bodies."""
        bodies = events = 0
        if keep.days:
            before_ms = now_ms - round(keep.days * DAY_MS)
            events = (await self.drop_events(before_ms)).events
            # The 5-day rule needs these statistics even if the retention periods are shorter.
            stats_ms = min(before_ms, now_ms - RULE_MS)
            for drop, ended_ms in (
                (self._deletions.stats, stats_ms),
                (self._deletions.replays, before_ms),
                (self._deletions.alerts, before_ms),
            ):
                while await self._delete(partial(drop, ended_ms)):
                    pass
        if keep.bodies_days and (not keep.days or keep.bodies_days < keep.days):
            bodies = await self._drop_bodies(now_ms - round(keep.bodies_days * DAY_MS))
        return events, bodies

    async def drop_events(
        self,
        before_ms: int,
        account: AccountId | None = None,
        after: int = 0,
        time_is_up: Callable[[], bool] = lambda: False,
    ) -> Purged:
        """Delete old events after an id until the time is up; the result says where to resume."""
        await self.store.prepare_deletions()
        total = Purged()
        while True:
            found = self.store.scan(
                scan_old, self._deletions.find_events, after, before_ms, account
            )
            left, next_after = await paced(found, self.rest)
            while left:
                dropped, left = await self._delete(partial(self._deletions.events, left, before_ms))
                self.expired(dropped.dead_letters)
                total = Purged(
                    total.events + dropped.events,
                    total.deliveries + dropped.deliveries,
                    total.attempts + dropped.attempts,
                )
                if left and time_is_up():
                    return replace(total, after=left[0].id - 1)
            if next_after is None or time_is_up():
                return replace(total, after=next_after)
            after = next_after

    async def _drop_bodies(self, before_ms: int) -> int:
        await self.store.prepare_deletions()
        total, after = 0, 0
        while True:
            found = self.store.scan(scan_old, self._deletions.find_bodies, after, before_ms)
            left, next_after = await paced(found, self.rest)
            while left:
                dropped, left = await self._delete(partial(self._deletions.bodies, left, before_ms))
                total += dropped
            if next_after is None:
                return total
            after = next_after

    @property
    def _deletions(self) -> Deletions:
        return self.store.DELETIONS

    async def _delete(self, make: Callable[[], Operation[R]]) -> R:
        return await paced(self.store.delete(make), self.rest)


async def paced(work: Awaitable[R], rest: Callable[[], float]) -> R:
    """Run a step, then pause for a multiple of its duration."""
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    result = await work
    await asyncio.sleep(max(_MIN_PAUSE_S, (loop.time() - start_s) * rest()))
    return result
