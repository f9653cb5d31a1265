"""What the writer tidies between the work of others: old feed rows, old idempotency keys."""

from __future__ import annotations

from hooktui.store import queue_sql as sql
from hooktui.store.accepting import KEY_KEPT_MS
from hooktui.store.work import Operation, Work

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
