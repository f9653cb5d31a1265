"""Counts what a replay would send: read only, in parts of a bounded time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    case,
    func,
    literal,
    literal_column,
    select,
)

from hooktui.domain.clock import DAY_MS
from hooktui.domain.errors import Refused
from hooktui.domain.ids import HookId, ceiling_at, floor_at
from hooktui.domain.live_hook import LiveHook, wants
from hooktui.domain.replays import (
    Act,
    Newest,
    PairSelection,
    ReplayMode,
    ReplaySkip,
    after_filters,
    assess_pair,
)
from hooktui.store.attempt_stats import COLUMNS, percentile_ms
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import read_opaque, write_opaque
from hooktui.store.queries.replay_candidates import (
    ONE,
    ZERO,
    ReplayWalk,
    deliveries_after,
    events_after,
    filter_of,
    first_cursor,
    last_cursor,
    next_pairs,
    was_delivered,
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


class PairCount(NamedTuple):
    """Pairs of which a replay does the same; ``first`` and ``last`` are ids of their events."""

    verdict: Act | ReplaySkip
    number: int
    duplicates: bool
    first: int
    last: int


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
    newest_ids = [
        conn.execute(select(func.max(table.c.id))).scalar() for table in (EVENT, DELIVERY)
    ]
    bound = max(floor_at(now_ms + 1), *(newest or 0 for newest in newest_ids))
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

    ``hooks`` are those of the selection, in order. ``busy`` returns whether events come in; it is
    called from the thread of the query.
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
        return _count_rows(conn, walk, cursor)
    found = next_pairs(conn, walk, cursor, pace, _ROWS)
    counts = [
        PairCount(pair.verdict, 1, pair.duplicate, pair.event, pair.event) for pair in found.pairs
    ]
    return counts, found.end, found.complete


def is_countable(walk: ReplayWalk) -> bool:
    """Return whether the database alone can count the pairs of a walk.

    It cannot evaluate filters of bodies, and in mode ``failed`` reads each cause by itself.
    """
    mode = walk.selection.mode
    if mode is ReplayMode.FAILED:
        return False
    if mode.walks_events:
        return walk.selection.filter is None and walk.hook.filter is None
    return filter_of(walk)[1] is None


def _count_rows(
    conn: Connection, walk: ReplayWalk, cursor: int
) -> tuple[Sequence[PairCount], int, bool]:
    """Count the pairs among the next rows; see `_next_counts`.

    The rows are grouped by all that decides on a pair, so each group is assessed once.
    """
    query = _keys_of_events if walk.selection.mode.walks_events else _keys_of_deliveries
    rows = query(walk, cursor).subquery("keys")
    keys = [rows.c[name] for name in _Keys._fields]
    sums = (func.count(), func.min(rows.c.event), func.max(rows.c.event), func.max(rows.c.cursor))
    counts: list[PairCount] = []
    seen, end = 0, cursor
    for *values, count, first, last, reached in conn.execute(select(*keys, *sums).group_by(*keys)):
        seen += count
        end = max(end, reached)
        group = _Keys(*values)
        verdict = _assess_group(walk, group)
        if verdict is not None:
            counts.append(PairCount(verdict, count, bool(group.delivered), first, last))
    complete = seen < _ROWS_COUNTED
    return counts, max(cursor, last_cursor(walk)) if complete else end, complete


class _Keys(NamedTuple):
    """All that decides on a pair; ``newest`` is 0 without a delivery, 1 for the row's own one.

    2 is a newer one than the row's, 3 one that is newer than the bound, too.
    """

    event_type: str
    in_range: bool
    newest: int
    status: str | None
    cause: str | None
    purged: bool
    fits: bool
    delivered: bool


def _assess_group(walk: ReplayWalk, group: _Keys) -> Act | ReplaySkip | None:
    selection, hook = walk.selection, walk.hook
    if not group.in_range or not selection.includes_type(group.event_type):
        return None
    newest = None
    if group.newest:
        newest = Newest(group.newest, group.status or "", group.cause, None)
    elif not wants(hook, group.event_type):
        return None
    return after_filters(
        assess_pair(selection, newest, candidate=1, replay=None, bound=2),
        selection,
        fits=bool(group.fits),
        purged=bool(group.purged),
        ordered=hook.settings.ordered,
    )


def _in_range(walk: ReplayWalk, accepted_ms: ColumnElement[int]) -> ColumnElement[int]:
    since_ms, until_ms = walk.selection.since_ms or 0, walk.selection.until_ms
    return case((accepted_ms.between(since_ms, until_ms), ONE), else_=ZERO)


def _keys_of_deliveries(walk: ReplayWalk, cursor: int) -> Select[Any]:
    rows = deliveries_after(walk, cursor, _ROWS_COUNTED).subquery("found")
    newest = case(
        (rows.c.newest == rows.c.id, ONE),
        (rows.c.newest > walk.bound, literal_column("3")),
        else_=literal_column("2"),
    )
    return select(
        rows.c.event_type, _in_range(walk, rows.c.created_at).label("in_range"),
        newest.label("newest"), rows.c.status, rows.c.cause, rows.c.purged, rows.c.fits,
        rows.c.delivered, rows.c.event_id.label("event"), rows.c.id.label("cursor"),
    )  # fmt: skip


def _keys_of_events(walk: ReplayWalk, cursor: int) -> Select[Any]:
    rows = events_after(walk, cursor, _ROWS_COUNTED).subquery("found")
    own = case(
        (rows.c.newest.is_(None), ZERO),
        (rows.c.newest > walk.bound, literal_column("3")),
        else_=ONE,
    )
    columns = (
        rows.c.type.label("event_type"), _in_range(walk, rows.c.created_at).label("in_range"),
        own.label("newest"), rows.c.purged, ONE.label("fits"), rows.c.id.label("event"),
        rows.c.id.label("cursor"),
    )  # fmt: skip
    if walk.selection.mode is ReplayMode.NEVER_SENT:
        nothing = literal(None, Text())
        unknown = (nothing.label("status"), nothing.label("cause"), ZERO.label("delivered"))
        return select(*columns, *unknown)
    delivered = was_delivered(walk, rows.c.id).label("delivered")
    state = (DELIVERY.c.status, DELIVERY.c.cause, delivered)
    return select(*columns, *state).outerjoin_from(rows, DELIVERY, DELIVERY.c.id == rows.c.newest)


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
