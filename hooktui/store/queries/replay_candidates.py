"""Finds the pairs of event and hook that a replay may send, in bounded reads after a cursor.

Modes ``failed`` and ``sent`` walk the deliveries of a hook, the others the events of its account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal_column, select

from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.filters.terms import Filter, Subject
from hooktui.domain.ids import DeliveryId, EventId
from hooktui.domain.live_hook import LiveHook, wants
from hooktui.domain.replays import (
    STEP_DELIVERIES,
    Act,
    Newest,
    PairSelection,
    ReplayMode,
    ReplaySkip,
    after_filters,
    assess_pair,
)
from hooktui.store.contract import ReplayCandidate
from hooktui.store.queries import filter_sql
from hooktui.store.queries.deliveries import matching_steps
from hooktui.store.queries.delivery_indexes import undelivered_pairs
from hooktui.store.queries.events import bodies_by_id, event_subject
from hooktui.store.queries.pace import Pace
from hooktui.store.tables import DELIVERY, EVENT, HOOK

MAX_ROWS: Final = 5_000
"""Deliveries that one read looks at."""
MAX_EVENTS: Final = 500
"""Events that one read looks at."""
_CANDIDATES: Final = 2 * STEP_DELIVERIES
ONE: Final[ColumnElement[int]] = literal_column("1")
ZERO: Final[ColumnElement[int]] = literal_column("0")
_CHUNK: Final = 500
_FIRST_CHUNK: Final = 50
_QUICK_S: Final = 0.05
"""A chunk that takes no longer is followed by one of twice the size."""
SEARCH_S: Final = 0.5
"""Then a search for candidates ends with what it found: others wait for its connection."""
_TEXTS_AT_ONCE: Final = 50
"""Events whose bodies are in memory at the same time: at most 12.5 MB."""


@dataclass(frozen=True, slots=True)
class ReplayWalk:
    """The walk of one hook of a replay, or of a plan.

    Attributes:
        selection: what is selected.
        hook: the hook, as of the read.
        replay: the replay; None for a plan.
        bound: the highest id of deliveries that were created before the replay.
        ids_ahead: whether ids were ahead of the clock then, because it had been set back. So were
            those of events in the range.
    """

    selection: PairSelection
    hook: LiveHook
    replay: int | None
    bound: int
    ids_ahead: bool = False


class FoundPair(NamedTuple):
    """A pair that the walk came to, and what a replay does with it.

    ``duplicate`` says, in a plan, whether a delivery of it was delivered before.
    """

    cursor: int
    event: EventId
    verdict: Act | ReplaySkip
    delivery: DeliveryId | None
    state: tuple[int, str, str | None] | None
    size: int
    duplicate: bool = False


@dataclass(slots=True)
class FoundPairs:
    """The pairs that a read came to, in their order.

    ``end`` is the cursor after all of them, ``complete`` says that nothing is left after it,
    ``rows`` is the number of rows that were read.
    """

    end: int
    complete: bool
    rows: int
    pairs: list[FoundPair] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FoundCandidates:
    """The candidates that a read found; see `ReplayStep` for the fields."""

    candidates: Sequence[ReplayCandidate]
    end: int
    skipped: Mapping[str, int]
    complete: bool


def first_cursor(selection: PairSelection) -> int:
    """Return the cursor at the start of a walk: deliveries have higher ids than their events."""
    return max(selection.first_event - 1, 0)


def last_cursor(walk: ReplayWalk) -> int:
    """Return the cursor at the end of a walk."""
    if walk.selection.mode.walks_events and not walk.ids_ahead:
        return min(walk.bound, walk.selection.last_event)
    return walk.bound


def next_candidates(conn: Connection, walk: ReplayWalk, cursor: int) -> FoundCandidates:
    """Return the next pairs to send after a cursor, oldest first, found in about half a second."""
    pace = Pace(conn)
    candidates: list[ReplayCandidate] = []
    skipped: Counter[str] = Counter()
    limit = MAX_EVENTS if walk.selection.mode.walks_events else MAX_ROWS
    rows, complete, chunk = 0, False, _FIRST_CHUNK
    begun_s = monotonic()
    while (
        rows < limit
        and not complete
        and len(candidates) < _CANDIDATES
        and monotonic() - begun_s < SEARCH_S
    ):
        chunk_s = monotonic()
        found = next_pairs(conn, walk, cursor, pace, min(chunk, limit - rows))
        if monotonic() - chunk_s < _QUICK_S:
            chunk = min(2 * chunk, _CHUNK)
        rows += found.rows
        complete = found.complete
        for pair in found.pairs:
            if isinstance(pair.verdict, ReplaySkip):
                skipped[pair.verdict.value] += 1
                continue
            candidates.append(
                ReplayCandidate(
                    pair.cursor, pair.event, pair.delivery, pair.state, pair.size, dict(skipped)
                )
            )
            skipped.clear()
        cursor = found.end
    return FoundCandidates(candidates, cursor, dict(skipped), complete)


def next_pairs(
    conn: Connection, walk: ReplayWalk, cursor: int, pace: Pace, max_rows: int
) -> FoundPairs:
    """Return the pairs among the next rows after a cursor; pause while filters are matched."""
    find = _pairs_of_events if walk.selection.mode.walks_events else _pairs_of_deliveries
    return find(conn, walk, cursor, pace, max_rows)


# By delivery


class _Row(NamedTuple):
    """A delivery, its event, and the newest delivery of the same pair."""

    id: DeliveryId
    event: EventId
    event_type: str
    status: str
    cause: str | None
    replay: int | None
    attempts: int
    newest: int
    accepted_ms: int
    size: int
    purged: bool
    fits: bool
    delivered: bool

    @property
    def state(self) -> tuple[int, str, str | None]:
        """What may change while it is a candidate."""
        return self.attempts, self.status, self.cause


def _pairs_of_deliveries(
    conn: Connection, walk: ReplayWalk, cursor: int, pace: Pace, max_rows: int
) -> FoundPairs:
    selection = walk.selection
    outside = filter_of(walk)[1]
    if selection.mode is ReplayMode.FAILED:
        ids = _undelivered_ids(conn, walk, cursor, max_rows)
        query = _rows_query(walk).where(DELIVERY.c.id.in_(ids))
        rows = sorted((_Row(*row) for row in conn.execute(query)), key=lambda row: row.id)
    else:
        query = deliveries_after(walk, cursor, max_rows)
        rows = [_Row(*row) for row in conn.execute(query)]
        ids = [row.id for row in rows]
    pace.rest_when_due()
    complete = len(ids) < max_rows
    end = max(cursor, walk.bound if complete else ids[-1])
    found = FoundPairs(end, complete, len(ids))
    assessed = []
    for row in rows:
        if selection.contains(row.accepted_ms) and selection.includes_type(row.event_type):
            # A newer delivery than this one is older than the bound, or supersedes it.
            newest = Newest(row.newest, row.status, row.cause, row.replay)
            verdict = assess_pair(
                selection, newest, candidate=row.id, replay=walk.replay, bound=walk.bound
            )
            if verdict is not None:
                assessed.append((row, verdict))
    # Only on these the part of the filter outside SQL decides.
    undecided = [row.id for row, act in assessed if isinstance(act, Act) and row.fits]
    fitting = _fitting(conn, pace, outside, undecided)
    ordered = walk.hook.settings.ordered
    for row, verdict in assessed:
        fits = row.fits and (fitting is None or row.id in fitting)
        result = after_filters(
            verdict, selection, fits=fits, purged=bool(row.purged), ordered=ordered
        )
        if result is not None:
            pair = FoundPair(
                row.id, row.event, result, row.id, row.state, row.size, bool(row.delivered)
            )
            found.pairs.append(pair)
    return found


def deliveries_after(walk: ReplayWalk, cursor: int, max_rows: int) -> Select[Any]:
    """Return the query of the next deliveries of the walk's hook; its columns are `_Row`."""
    return (
        _rows_query(walk)
        .where(
            DELIVERY.c.hook_id == walk.hook.id, DELIVERY.c.id > cursor, DELIVERY.c.id <= walk.bound
        )
        .order_by(DELIVERY.c.id)
        .limit(max_rows)
    )


def was_delivered(walk: ReplayWalk, event: ColumnElement[int]) -> ColumnElement[int]:
    """Return whether an event was delivered to the walk's hook, as 1 or 0."""
    other = DELIVERY.alias("other")
    delivered = select(other.c.id).where(
        other.c.event_id == event,
        other.c.hook_id == walk.hook.id,
        other.c.status == DeliveryStatus.DELIVERED.value,
    )
    return case((delivered.exists(), ONE), else_=ZERO)


def _rows_query(walk: ReplayWalk) -> Select[Any]:
    inside, _ = filter_of(walk)
    other = DELIVERY.alias("other")
    newest = select(func.max(other.c.id)).where(
        other.c.event_id == DELIVERY.c.event_id, other.c.hook_id == walk.hook.id
    )
    is_plan = walk.replay is None
    delivered = was_delivered(walk, DELIVERY.c.event_id) if is_plan else ZERO
    return (
        select(
            DELIVERY.c.id,
            DELIVERY.c.event_id,
            DELIVERY.c.event_type,
            DELIVERY.c.status,
            DELIVERY.c.cause,
            DELIVERY.c.replay_id,
            DELIVERY.c.attempts,
            newest.scalar_subquery().label("newest"),
            EVENT.c.created_at,
            EVENT.c.size,
            EVENT.c.body.is_(None).label("purged"),
            (ONE if inside is None else case((inside, ONE), else_=ZERO)).label("fits"),
            delivered.label("delivered"),
        )
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .join(HOOK, HOOK.c.id == DELIVERY.c.hook_id)
    )


def _undelivered_ids(conn: Connection, walk: ReplayWalk, cursor: int, max_rows: int) -> list[int]:
    """Return the next undelivered rows: the index has them by cause, each cause in order."""
    chosen, hook = walk.selection.cause, walk.hook.id
    hooks = select(HOOK.c.id).where(HOOK.c.id == hook)
    causes = [chosen] if chosen else [cause for _, cause in undelivered_pairs(conn, hooks)]
    ids: list[int] = []
    for cause in causes:
        of_cause = select(DELIVERY.c.id).where(
            DELIVERY.c.hook_id == hook,
            DELIVERY.c.cause == cause,
            DELIVERY.c.id > cursor,
            DELIVERY.c.id <= walk.bound,
        )
        ids += conn.execute(of_cause.order_by(DELIVERY.c.id).limit(max_rows)).scalars()
    return sorted(ids)[:max_rows]


def filter_of(walk: ReplayWalk) -> tuple[ColumnElement[bool] | None, Filter | None]:
    """Return the part of a replay's filter in SQL, and the part outside it; None: all matches."""
    parsed = walk.selection.parsed_filter
    if parsed is None:
        return None, None
    inside, outside = filter_sql.conditions(parsed, now_ms())
    return (and_(*inside) if inside else None), outside


def _fitting(
    conn: Connection, pace: Pace, outside: Filter | None, deliveries: Sequence[int]
) -> set[int] | None:
    """Return the deliveries that match the words and ``data.`` terms; None: all."""
    if outside is None:
        return None
    fitting: set[int] = set()
    for start in range(0, len(deliveries), _TEXTS_AT_ONCE):
        part = deliveries[start : start + _TEXTS_AT_ONCE]
        fitting |= pace.run(matching_steps(conn, part, outside, now_ms()))
    return fitting


# By event


class _Event(NamedTuple):
    """An event, and the newest of its deliveries to the hook."""

    id: EventId
    type: str
    created_at: int
    size: int
    purged: bool
    newest: int | None


def _pairs_of_events(
    conn: Connection, walk: ReplayWalk, cursor: int, pace: Pace, max_rows: int
) -> FoundPairs:
    selection = walk.selection
    query = events_after(walk, cursor, max_rows)
    events = [_Event(*row) for row in conn.execute(query)]
    pace.rest_when_due()
    complete = len(events) < max_rows
    end = max(cursor, last_cursor(walk) if complete else events[-1].id)
    found = FoundPairs(end, complete, len(events))
    events = [event for event in events if selection.contains(event.created_at)]
    sent = _newest_rows(conn, walk, events)
    fitting = _fitting(conn, pace, filter_of(walk)[1], [row.id for row in sent.values()])
    for event, fits in _wanted(conn, pace, walk, events, sent):
        pair = _pair_of_event(walk, event, sent.get(event.id), fits=fits, fitting=fitting)
        if pair is not None:
            found.pairs.append(pair)
    return found


def events_after(walk: ReplayWalk, cursor: int, max_rows: int) -> Select[Any]:
    """Return the query of the next events of the account; its columns are `_Event`."""
    newest = select(func.max(DELIVERY.c.id)).where(
        DELIVERY.c.event_id == EVENT.c.id, DELIVERY.c.hook_id == walk.hook.id
    )
    return (
        select(
            EVENT.c.id, EVENT.c.type, EVENT.c.created_at, EVENT.c.size,
            EVENT.c.body.is_(None).label("purged"), newest.scalar_subquery().label("newest"),
        )
        .where(
            EVENT.c.account_id == walk.hook.account,
            EVENT.c.id > cursor,
            EVENT.c.id <= last_cursor(walk),
        )
        .order_by(EVENT.c.id)
        .limit(max_rows)
    )  # fmt: skip


def _pair_of_event(
    walk: ReplayWalk, event: _Event, row: _Row | None, *, fits: bool, fitting: set[int] | None
) -> FoundPair | None:
    newest = None
    if row is not None:
        newest = Newest(row.id, row.status, row.cause, row.replay)
        fits = bool(row.fits) and (fitting is None or row.id in fitting)
    verdict = assess_pair(
        walk.selection, newest, candidate=None, replay=walk.replay, bound=walk.bound
    )
    result = after_filters(
        verdict, walk.selection, fits=fits, purged=bool(event.purged),
        ordered=walk.hook.settings.ordered,
    )  # fmt: skip
    if result is None:
        return None
    state = None if row is None else row.state
    duplicate = row is not None and bool(row.delivered)
    return FoundPair(event.id, event.id, result, None, state, event.size, duplicate)


def _newest_rows(conn: Connection, walk: ReplayWalk, events: Sequence[_Event]) -> dict[int, _Row]:
    """Return the newest deliveries of pairs, by event; none where only others are selected."""
    if walk.selection.mode is ReplayMode.NEVER_SENT:
        return {}
    ids = [event.newest for event in events if event.newest is not None]
    query = _rows_query(walk)
    rows = [_Row(*row) for row in conn.execute(query.where(DELIVERY.c.id.in_(ids)))] if ids else []
    return {row.event: row for row in rows}


def _wanted(
    conn: Connection,
    pace: Pace,
    walk: ReplayWalk,
    events: Sequence[_Event],
    sent: Mapping[int, _Row],
) -> Iterator[tuple[_Event, bool]]:
    """Yield the events that the hook wants or was sent, and whether the selection's filter fits."""
    hook, selection = walk.hook, walk.selection
    parsed = selection.parsed_filter
    concerned = []
    for event in events:
        unsent = event.newest is None and wants(hook, event.type)
        if (unsent or event.id in sent) and selection.includes_type(event.type):
            concerned.append(event)
    for start in range(0, len(concerned), _TEXTS_AT_ONCE):
        part = concerned[start : start + _TEXTS_AT_ONCE]
        unsent_ids = [event.id for event in part if event.newest is None]
        bodies: Mapping[int, bytes] = {}
        if unsent_ids and any(map(filter_sql.needs_body, (hook.filter, parsed))):
            bodies = bodies_by_id(conn, unsent_ids)
        for event in part:
            if event.newest is not None:
                yield event, True
                continue
            body = bodies.get(event.id)
            subject = event_subject(event.id, event.type, event.created_at, body)
            if event.purged or _matches(pace, hook.filter, subject, 0):
                yield event, _matches(pace, parsed, subject, now_ms())


def _matches(pace: Pace, parsed: Filter | None, subject: Subject, now: int) -> bool:
    return parsed is None or pace.run(parsed.match_once_steps(subject, now))
