"""Events with their bodies and skips."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, select

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.errors import NotFound
from hooktui.domain.filters import Ago, At, Filter, Key, Subject, parse
from hooktui.domain.ids import AccountId, EventId, encode, floor_at
from hooktui.domain.objects import Event, EventDetail, Page, Skip
from hooktui.store.delivery_queries import deliveries_of_event
from hooktui.store.filter_sql import parsed_body
from hooktui.store.pages import Keep, Listing, PageRequest, page_of
from hooktui.store.tables import EVENT, in_account

_SHOWN = [column for column in EVENT.c if column.name not in ("body", "skips")]


def list_events(
    conn: Connection,
    account: AccountId,
    page: PageRequest,
    event_type: str | None = None,
    q: Filter | str | None = None,
) -> Page[Event]:
    """Return a page of an account's events, of one type or group, that fit a filter.

    Raises:
        Refused: the page request or the filter is not acceptable.
    """
    walk = select(EVENT.c.id).where(EVENT.c.account_id == account)
    rows = select(*_SHOWN).where(EVENT.c.account_id == account)
    if event_type is not None:
        group = EVENT.c.type.startswith(event_type + ".", autoescape=True)
        rows = rows.where((EVENT.c.type == event_type) | group)
    keep: Keep | None = None
    wanted = parse(q) if isinstance(q, str) else q
    if wanted is not None and wanted.terms:
        oldest = floor_at(_since_ms(wanted))
        rows, walk = rows.where(EVENT.c.id >= oldest), walk.where(EVENT.c.id >= oldest)
        if any(term.key in (Key.DATA, Key.WORD) for term in wanted.terms):
            rows = rows.add_columns(EVENT.c.body)
        keep = _fits(wanted)
    sorts: dict[str, ColumnElement[int] | None] = {"id": None, "created_at": None}
    listing = Listing(rows, EVENT.c.id, sorts, keep, walk, narrowed=event_type is not None)
    return page_of(conn, page, listing, lambda some: [_event(row) for row in some])


def get_event(conn: Connection, account: AccountId | None, event: EventId) -> EventDetail:
    """Return an event with its deliveries and skips, in an account or (None) in any.

    Raises:
        NotFound: there is no such event there.
    """
    wanted = select(EVENT).where(EVENT.c.id == event, in_account(EVENT, account))
    row = conn.execute(wanted).mappings().first()
    if row is None:
        raise NotFound(f"there is no event {encode('evt', event)} in this account")
    return EventDetail(
        id=encode("evt", event),
        type=row["type"],
        account=row["account_id"],
        created_at=to_rfc3339(row["created_at"]),
        size=row["size"],
        body=None if row["body"] is None else row["body"].decode("utf-8", "replace"),
        deliveries=deliveries_of_event(conn, event),
        skips=_skips(row["skips"]),
    )


def events_by_id(conn: Connection, events: Iterable[int]) -> dict[int, Event]:
    """Return events that exist, by id."""
    wanted = select(*_SHOWN).where(EVENT.c.id.in_(list(events)))
    return {row["id"]: _event(row) for row in conn.execute(wanted).mappings()}


def bodies_by_id(conn: Connection, events: Iterable[int]) -> dict[int, bytes]:
    """Return the bodies of events, by id; those that were purged are left out."""
    wanted = select(EVENT.c.id, EVENT.c.body).where(EVENT.c.id.in_(list(events)))
    return {row.id: row.body for row in conn.execute(wanted) if row.body is not None}


def _event(row: RowMapping) -> Event:
    return Event(
        id=encode("evt", row["id"]),
        type=row["type"],
        account=row["account_id"],
        created_at=to_rfc3339(row["created_at"]),
        size=row["size"],
        deliveries=row["deliveries"],
        skipped=row["skipped"],
    )


def _since_ms(wanted: Filter) -> int:
    """Return the time (ms) before which no event fits a filter, as far as its ``since:`` say."""
    values = [t.values[0] for t in wanted.terms if len(t.values) == 1 and not t.negated]
    agos = [now_ms() - value.ms for value in values if isinstance(value, Ago)]
    return max([0, *agos, *(value.ms for value in values if isinstance(value, At))])


def _fits(wanted: Filter) -> Keep:
    now = now_ms()
    return lambda row: wanted.matches(_subject(row), now)


def _subject(row: RowMapping) -> Subject:
    identity = encode("evt", row["id"])
    return Subject(
        at_ms=row["created_at"],
        event_type=row["type"],
        words=lambda: (
            f"{identity}\n{row['type']}\n{(row['body'] or b'').decode('utf-8', 'replace')}"
        ),
        data=lambda: parsed_body(row["body"]),
    )


def _skips(column: str | None) -> tuple[Skip, ...]:
    if column is None:
        return ()
    groups = msgspec.json.decode(column, type=list[tuple[str, list[int]]])
    return tuple(Skip(hook=hook, reason=reason) for reason, hooks in groups for hook in hooks)
