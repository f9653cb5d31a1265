"""Counts what a replay would send: read only, in parts of a bounded time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Annotated, Final

import msgspec
from sqlalchemy import Connection, func, select

from hooktui.domain.errors import Refused
from hooktui.domain.ids import HookId, ceiling_at, floor_at
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import Act, PairSelection, ReplaySkip
from hooktui.store.attempt_stats import COLUMNS, DAY_MS, percentile_ms
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import read_opaque, write_opaque
from hooktui.store.queries.replay_candidates import (
    PairCount,
    ReplayWalk,
    count_rows,
    first_cursor,
    is_countable,
    next_pairs,
)
from hooktui.store.tables import DELIVERY, EVENT, HOOK_STATS

COUNT_S: Final = 2.0
"""How long one call counts; the next one continues."""
_ROWS: Final = 2_000
_ROWS_COUNTED: Final = 5_000
"""Rows that the database counts in one statement, about 20 ms."""
_REST, _REST_WHEN_BUSY = 1, 6
"""Pauses as multiples of the work before them: a person waits, but events that arrive go first."""


@dataclass(frozen=True, slots=True)
class PlanPosition:
    """Where a count continues: the hook by its index in the selection, and the cursor there.

    ``bound`` is the highest id of the deliveries that it counts, ``ids_ahead`` as in `ReplayWalk`.
    """

    hook: int
    cursor: int
    bound: int
    ids_ahead: bool = False


@dataclass(slots=True)
class CountedHook:
    """The pairs of one hook that were counted; ``first`` and ``last`` are ids of events."""

    selected: int = 0
    retrying: int = 0
    duplicates: int = 0
    first: int | None = None
    last: int | None = None
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, pairs: PairCount) -> None:
        """Add pairs of which the replay does the same."""
        if isinstance(pairs.verdict, ReplaySkip):
            self.skipped[pairs.verdict.value] += pairs.number
            return
        self.selected += pairs.number
        self.retrying += pairs.number if pairs.verdict is Act.RETRY else 0
        self.duplicates += pairs.number if pairs.duplicates else 0
        self.first = pairs.first if self.first is None else min(self.first, pairs.first)
        self.last = pairs.last if self.last is None else max(self.last, pairs.last)


@dataclass(slots=True)
class CountedPairs:
    """The counts of one call by hook, and where the next one continues; None: complete."""

    hooks: dict[HookId, CountedHook] = field(default_factory=dict)
    next: PlanPosition | None = None


_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_WRITTEN: Final = msgspec.json.Decoder(tuple[str, _Number, _Number, _Number, bool])


def first_position(conn: Connection, now_ms: int) -> PlanPosition:
    """Return where a count of all that is stored now begins."""
    ids = [conn.execute(select(func.max(one.c.id))).scalar() for one in (EVENT, DELIVERY)]
    bound = max(floor_at(now_ms + 1), *(each or 0 for each in ids))
    return PlanPosition(0, 0, bound, bound > ceiling_at(now_ms))


def write_position(position: PlanPosition | None) -> str | None:
    """Return the text of a position; None stays None."""
    if position is None:
        return None
    return write_opaque(["plan", *astuple(position)])


def read_position(text: str) -> PlanPosition:
    """Return the position in a text.

    Raises:
        Refused: it is not the ``next`` of a plan.
    """
    values = read_opaque(text, _WRITTEN)
    if values is None or values[0] != "plan":
        raise Refused.field("/after", "after must be the next of the previous plan")
    return PlanPosition(*values[1:])


def count_pairs(
    conn: Connection,
    selection: PairSelection,
    hooks: Sequence[LiveHook],
    start: PlanPosition,
    busy: Callable[[], bool] = lambda: False,
) -> CountedPairs:
    """Count the pairs that a replay would send, hook by hook, for `COUNT_S` at most.

    Args:
        conn: a read connection.
        selection: what is selected.
        hooks: the hooks of the selection, in order.
        start: where to continue.
        busy: returns whether events come in; called from the thread of the query.
    """
    pace = Pace(conn, lambda: _REST_WHEN_BUSY if busy() else _REST)
    counted = CountedPairs()
    end_s = time.monotonic() + COUNT_S
    cursor = start.cursor
    for index in range(start.hook, len(hooks)):
        hook = hooks[index]
        walk = ReplayWalk(selection, hook, None, start.bound, start.ids_ahead)
        sums = counted.hooks[hook.id] = CountedHook()
        cursor = max(cursor, first_cursor(selection))
        complete = False
        while not complete:
            if time.monotonic() > end_s:
                counted.next = replace(start, hook=index, cursor=cursor)
                return counted
            counts, cursor, complete = _next_counts(conn, walk, cursor, pace)
            for count in counts:
                sums.add(count)
            pace.rest_when_due()
        cursor = 0
    return counted


def _next_counts(
    conn: Connection, walk: ReplayWalk, cursor: int, pace: Pace
) -> tuple[Sequence[PairCount], int, bool]:
    """Return counts of the next pairs, the cursor after them, and whether nothing is left."""
    if is_countable(walk):
        counted = count_rows(conn, walk, cursor, _ROWS_COUNTED)
        return counted.counts, counted.end, counted.complete
    found = next_pairs(conn, walk, cursor, pace, _ROWS, duplicates=True)
    counts = [
        PairCount(pair.verdict, 1, pair.duplicate, pair.event, pair.event) for pair in found.pairs
    ]
    return counts, found.end, found.complete


def median_durations(
    conn: Connection, hooks: Sequence[HookId], now_ms: int
) -> Mapping[HookId, int]:
    """Return the median duration (ms) of the attempts of hooks in the last day."""
    sums = [func.sum(HOOK_STATS.c[name]) for name in COLUMNS]
    lately = (
        select(HOOK_STATS.c.hook_id, *sums)
        .where(HOOK_STATS.c.hook_id.in_(list(hooks)), HOOK_STATS.c.bucket > now_ms - DAY_MS)
        .group_by(HOOK_STATS.c.hook_id)
    )
    medians = {}
    for hook, *counts in conn.execute(lately):
        median = percentile_ms([int(count) for count in counts], 0.5)
        if median is not None:
            medians[HookId(hook)] = median
    return medians
