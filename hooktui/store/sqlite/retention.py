"""Retention on SQLite: small deletions of old rows, of the feed and of idempotency keys.

Readers scan for old rows; the writer only deletes them, in transactions of the usual size.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from hooktui.domain.ids import HookId
from hooktui.store.changes.alerts import count_expired
from hooktui.store.contract import Purged
from hooktui.store.planning.retention import Deletions, OldEvent
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.transaction import Operation, WriteTransaction

ROWS_AT_ONCE = 500
"""Rows that one transaction deletes, the same as the target of accepting."""
BYTES_AT_ONCE = 1024 * 1024
"""``secure_delete`` overwrites deleted bytes with zeros, so bytes cost as much as rows."""
_STATS_AT_ONCE = 2000


class DropEvents(Operation[tuple[Purged, Sequence[OldEvent]]]):
    """Delete events with all that belongs to them, up to the size of a transaction.

    Also returns the events that are not, or not completely, deleted.
    """

    def __init__(self, events: Sequence[OldEvent], before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._left = deque(events)
        self._before_ms = before_ms
        self._rows = self._bytes = 0
        self._dead_letters = Counter[tuple[HookId, str]]()

    def execute(self, work: WriteTransaction) -> tuple[Purged, Sequence[OldEvent]]:
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


class DropBodies(Operation[tuple[int, Sequence[OldEvent]]]):
    """Delete the bodies of events, up to the size of a transaction.

    Returns how many, and the remaining events.
    """

    def __init__(self, events: Sequence[OldEvent], before_ms: int) -> None:
        super().__init__(ROWS_AT_ONCE)
        self._left = deque(events)
        self._before_ms = before_ms

    def execute(self, work: WriteTransaction) -> tuple[int, Sequence[OldEvent]]:
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


DELETIONS = Deletions(
    find_events=sql.SCAN_OLD_EVENTS,
    find_bodies=sql.SCAN_OLD_BODIES,
    events=DropEvents,
    bodies=DropBodies,
    stats=lambda before_ms: Drop(sql.DROP_STATS, before_ms, _STATS_AT_ONCE),
    replays=DropReplay,
    alerts=lambda before_ms: Drop(sql.DROP_ALERTS, before_ms, ROWS_AT_ONCE),
    keys=lambda before_ms: Drop(sql.FORGET_KEYS, before_ms, ROWS_AT_ONCE),
)


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
