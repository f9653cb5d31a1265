"""Events with their bodies and skips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, exists, func, select

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import NotFound
from hooktui.domain.filters.data import Stored
from hooktui.domain.filters.terms import (
    Filter,
    FilterKey,
    Subject,
    Term,
    TimeBound,
)
from hooktui.domain.ids import AccountId, EventId, ceiling_at, decode, encode, floor_at
from hooktui.domain.wire.events import Event, EventCounts, EventDetail, Skip
from hooktui.domain.wire.pages import Page
from hooktui.store.queries.deliveries import deliveries_of_event
from hooktui.store.queries.expressions import is_type_or_group
from hooktui.store.queries.filter_sql import needs_body, only_value
from hooktui.store.queries.pages import PagedQuery, PageRequest, RowCheck, page_of
from hooktui.store.tables import DELIVERY, EVENT, EventRow, in_account, maker_of


class _Row(NamedTuple):
    """An event; ``body`` is read only where a filter searches it."""

    id: int
    account_id: int
    type: str
    created_at: int
    size: int
    deliveries: int
    skipped: int
    body: bytes | None = None


_SHOWN = [EVENT.c[name] for name in _Row._fields if name != "body"]
_event_row = maker_of(EventRow)
_MAX_COUNTED = 200
"""Maximum number of deliveries of an event whose statuses a list counts."""


def list_events(
    conn: Connection,
    account: AccountId,
    page: PageRequest,
    event_type: str | None = None,
    q: Filter | None = None,
) -> Page[Event]:
    """Return a page of an account's events, of one type or group, that match a filter.

    Raises:
        Refused: the page request is not acceptable.
    """
    now = now_ms()
    bounds = [EVENT.c.account_id == account]
    columns = [*_SHOWN]
    keep: RowCheck[_Row] | None = None
    if q is not None and q.terms:
        bounds += [EVENT.c.id >= floor_at(ms) for ms in _borders(q, FilterKey.SINCE, now)]
        bounds += [EVENT.c.id < ceiling_at(ms) for ms in _borders(q, FilterKey.UNTIL, now)]
        bounds += [EVENT.c.id.in_(_ids(term)) for term in q.required(FilterKey.ID)]
        if needs_body(q):
            columns.append(EVENT.c.body)
        keep = _fits(q, now)
    walk, rows = select(EVENT.c.id).where(*bounds), select(*columns).where(*bounds)
    if event_type is not None:
        rows = rows.where(is_type_or_group(EVENT.c.type, event_type))
    sorts: dict[str, ColumnElement[int] | None] = {"id": None, "created_at": None}
    listing = PagedQuery(rows, _Row, EVENT.c.id, sorts, keep, walk, narrowed=event_type is not None)
    return page_of(conn, page, listing, lambda rows: _counted(conn, rows))


def get_event(
    conn: Connection, account: AccountId | None, event: EventId, limit: int | None = None
) -> EventDetail | None:
    """Return an event with its deliveries and skips, in an account or (None) in any.

    Returns:
        None if it was sent to more than ``limit`` hooks, because reading takes long.

    Raises:
        NotFound: there is no such event there.
    """
    row = find_event(conn, account, event)
    if limit is not None and row.deliveries > limit:
        return None
    return EventDetail(
        id=encode("evt", event),
        type=row.type,
        account=row.account_id,
        created_at=to_rfc3339(row.created_at),
        size=row.size,
        body=None if row.body is None else row.body.decode("utf-8", "replace"),
        deliveries=deliveries_of_event(conn, event),
        skips=tuple(
            Skip(hook=hook, reason=reason) for hook, reason in reasons_of(row.skips).items()
        ),
    )


def find_event(conn: Connection, account: AccountId | None, event: EventId) -> EventRow:
    """Return the row of an event, in an account or (None) in any.

    Raises:
        NotFound: there is no such event there.
    """
    wanted = select(EVENT).where(EVENT.c.id == event, in_account(EVENT, account))
    row = conn.execute(wanted).first()
    if row is None:
        raise NotFound(f"there is no event {encode('evt', event)} here; see: hooktui events list")
    return _event_row(*row)


def events_by_id(conn: Connection, events: Iterable[int]) -> dict[int, Event]:
    """Return the existing events among ids, by id."""
    query = select(*_SHOWN).where(EVENT.c.id.in_(list(events)))
    return {row.id: _event(row) for row in starmap(_Row, conn.execute(query))}


def bodies_by_id(conn: Connection, events: Iterable[int]) -> dict[int, bytes]:
    """Return the bodies of events, by id, without purged ones."""
    query = select(EVENT.c.id, EVENT.c.body).where(EVENT.c.id.in_(list(events)))
    return {row.id: row.body for row in conn.execute(query) if row.body is not None}


def _counted(conn: Connection, rows: Sequence[_Row]) -> list[Event]:
    """Return events with the counts of their deliveries by status.

    The deliveries' rows are counted: under a millisecond for a page of usual events. Events with
    very many deliveries have no counts, because the rows are read one by one.
    """
    few = [row.id for row in rows if row.deliveries <= _MAX_COUNTED]
    per_event: dict[int, dict[str, int]] = {event: {} for event in few}
    keys = (DELIVERY.c.event_id, DELIVERY.c.status)
    grouped = select(*keys, func.count()).where(DELIVERY.c.event_id.in_(few)).group_by(*keys)
    for event, status, count in conn.execute(grouped) if few else ():
        per_event[event][status] = count
    failed = [event for event in few if DeliveryStatus.FAILED in per_event[event]]
    superseded = _superseded(conn, failed) if failed else {}
    return [_event(row, _counts(per_event.get(row.id), superseded.get(row.id, 0))) for row in rows]


def _superseded(conn: Connection, events: Sequence[int]) -> Mapping[int, int]:
    """Return by event how many failed deliveries have a newer one that is better."""
    newer = DELIVERY.alias("newer")
    better = exists().where(
        newer.c.event_id == DELIVERY.c.event_id,
        newer.c.hook_id == DELIVERY.c.hook_id,
        newer.c.id > DELIVERY.c.id,
        newer.c.status.not_in([DeliveryStatus.FAILED.value, DeliveryStatus.CANCELLED.value]),
    )
    failed = (
        select(DELIVERY.c.event_id, func.count())
        .where(
            DELIVERY.c.event_id.in_(events),
            DELIVERY.c.status == DeliveryStatus.FAILED.value,
            better,
        )
        .group_by(DELIVERY.c.event_id)
    )
    return {row[0]: row[1] for row in conn.execute(failed)}


def _counts(counts: Mapping[str, int] | None, superseded: int) -> EventCounts | None:
    if counts is None:
        return None
    return EventCounts(
        delivered=counts.get(DeliveryStatus.DELIVERED, 0),
        failed=counts.get(DeliveryStatus.FAILED, 0),
        superseded=superseded,
        waiting=counts.get(DeliveryStatus.PENDING, 0) + counts.get(DeliveryStatus.SENDING, 0),
        cancelled=counts.get(DeliveryStatus.CANCELLED, 0),
    )


def _event(row: _Row, counts: EventCounts | None = None) -> Event:
    return Event(
        id=encode("evt", row.id),
        type=row.type,
        account=row.account_id,
        created_at=to_rfc3339(row.created_at),
        size=row.size,
        deliveries=row.deliveries,
        skipped=row.skipped,
        counts=counts,
    )


def _borders(query: Filter, key: FilterKey, now: int) -> list[int]:
    """Return the times (ms) before, or after, which no event matches a term of a filter."""
    values = (only_value(term) for term in query.terms if term.key is key)
    return [value.at_ms(now) for value in values if isinstance(value, TimeBound)]


def _ids(term: Term) -> list[int]:
    """Return the ids of events in a term; those of deliveries match no event."""
    return [decode("evt", text) for text in map(str, term.values) if text.startswith("evt_")]


def _fits(query: Filter, now: int) -> RowCheck[_Row]:
    return lambda row: query.match_once_steps(
        event_subject(row.id, row.type, row.created_at, row.body), now
    )


def event_subject(event: int, event_type: str, created_ms: int, body: bytes | None) -> Subject:
    """Return an event as filters read it."""

    def words() -> str:
        text = (body or b"").decode("utf-8", "replace")
        return f"{encode('evt', event)}\n{event_type}\n{text}"

    return Subject(
        at_ms=created_ms,
        event_type=event_type,
        ids=(encode("evt", event),),
        words=words,
        data=partial(Stored, body),
    )


def reasons_of(column: str | None) -> dict[int, str]:
    """Return the skip reasons by hook, from an event's column.

    Plain numbers and strings: as many objects would trigger a garbage collection of all live hooks,
    which takes half a second with 100,000.
    """
    if column is None:
        return {}
    groups = msgspec.json.decode(column, type=list[tuple[str, list[int]]])
    return {hook: reason for reason, hooks in groups for hook in hooks}
