"""Deliveries with their attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    literal,
    literal_column,
    select,
    tuple_,
)

from hooktui.domain.clock import now_ms, optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import NotFound
from hooktui.domain.failure_causes import last_status
from hooktui.domain.filters.data import Stored
from hooktui.domain.filters.terms import Filter, FilterKey, Subject
from hooktui.domain.ids import AccountId, DeliveryId, EventId, encode
from hooktui.domain.json_text import Steps
from hooktui.domain.wire.deliveries import Attempt, Delivery, Phases, Response
from hooktui.domain.wire.pages import Page
from hooktui.store.queries import filter_sql
from hooktui.store.queries.delivery_indexes import DeliveryQuery, key_scan
from hooktui.store.queries.expressions import is_type_or_group
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import PagedQuery, PageRequest, RowCheck, page_of
from hooktui.store.tables import (
    ATTEMPT,
    DELIVERY,
    EVENT,
    HOOK,
    HOOK_STATE,
    PAUSE,
    AttemptRow,
    Big,
    in_account,
    maker_of,
)


class _Row(NamedTuple):
    """A delivery and its hook; the texts that words and ``data.`` search are optional."""

    id: int
    account_id: int
    hook_id: int
    event_id: int
    event_type: str
    trigger: str
    status: str
    attempts: int
    next_attempt_at: int | None
    created_at: int
    finished_at: int | None
    duration_ms: int | None
    last_code: int | None
    last_error: str | None
    reason: str | None
    cause: str | None
    replay_id: int | None
    hook_active: bool
    hook_deleted_at: int | None
    breaker_until: int | None
    paused_at: int | None
    event_body: bytes | None = None
    hook_name: str | None = None
    hook_url: str | None = None
    error_detail: str | None = None
    answer_body: bytes | None = None


_attempt_row = maker_of(AttemptRow)
_COLUMNS = [DELIVERY.c[name] for name in _Row._fields if name in DELIVERY.c]
_SORTS: dict[str, ColumnElement[Any] | None] = {"id": None, "created_at": None}
_EVERYTHING = DeliveryQuery()
_OPEN_READ, _OPEN_READ_WITH_BODIES = 1000, 50
"""Open deliveries that one query reads; bodies have up to 256 KiB."""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery with all of its stored data.

    ``body`` is None once purged; ``last_started_at_ms`` and ``last_secret_ids`` are those of the
    newest attempt.
    """

    delivery: Delivery
    attempts: tuple[Attempt, ...]
    body: bytes | None
    last_started_at_ms: int | None
    last_secret_ids: tuple[int, ...]


def list_deliveries(
    conn: Connection, account: AccountId, page: PageRequest, query: DeliveryQuery = _EVERYTHING
) -> Page[Delivery]:
    """Return a page of an account's deliveries.

    Raises:
        Refused: the page request or the filter is not acceptable.
    """
    now = now_ms()
    scan = key_scan(conn, account, query, now)
    inside, outside = filter_sql.conditions(scan.filter, now)
    inside += _conditions(scan.query)
    rows = _deliveries().where(*scan.conditions, *inside)
    keep: RowCheck[_Row] | None = None
    if outside is not None:
        rows, keep = _with_text(rows, outside), _fits(outside, now)
    listing = PagedQuery(
        rows, _Row, DELIVERY.c.id, _SORTS, keep, scan.keys, narrowed=bool(inside), parts=scan.parts
    )
    return page_of(conn, page, listing, lambda some: [_delivery(row) for row in some])


class OpenPart(NamedTuple):
    """Open deliveries that match; ``after`` (hook, delivery) is where the next part begins."""

    pending: list[int]
    sending: int
    after: tuple[int, int] | None


def find_open(
    conn: Connection, account: AccountId, q: Filter, until_ms: int, after: tuple[int, int]
) -> OpenPart:
    """Find open deliveries that match a filter and were created up to a time, some at a time.

    Relative times of the filter count back from that time, which is the same for all parts.
    """
    hooks = select(HOOK.c.id).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    hooks = hooks.where(HOOK.c.account_id == account, HOOK_STATE.c.waiting > 0)
    hook = conn.execute(hooks.where(HOOK.c.id >= after[0]).order_by(HOOK.c.id).limit(1)).scalar()
    if hook is None:
        return OpenPart([], 0, None)
    inside, outside = filter_sql.conditions(q, until_ms)
    max_rows = _OPEN_READ if outside is None else _OPEN_READ_WITH_BODIES
    begin = after[1] if hook == after[0] else 0
    chosen = [filter_sql.is_open(), DELIVERY.c.hook_id == hook, DELIVERY.c.id > begin]
    keys = select(DELIVERY.c.id).where(*chosen).order_by(DELIVERY.c.id).limit(max_rows)
    ids = conn.execute(keys).scalars().all()
    if not ids:
        return OpenPart([], 0, (hook + 1, 0))
    rows = _deliveries().where(DELIVERY.c.id.in_(ids), DELIVERY.c.created_at <= until_ms)
    rows = rows.where(filter_sql.is_open(), *inside)
    if outside is not None:
        rows = _with_text(rows, outside)
    found = list(starmap(_Row, conn.execute(rows.order_by(DELIVERY.c.id))))
    if outside is not None:
        pace, keep = Pace(conn), _fits(outside, until_ms)
        found = [row for row in found if pace.run(keep(row))]
    pending = [row.id for row in found if row.status == DeliveryStatus.PENDING]
    return OpenPart(pending, len(found) - len(pending), (hook, ids[-1]))


def get_delivery(
    conn: Connection, account: AccountId | None, delivery: DeliveryId
) -> DeliveryRecord:
    """Return a delivery of an account, or (None) of any, with its attempts and body.

    Raises:
        NotFound: there is no such delivery there.
    """
    query = _deliveries().add_columns(EVENT.c.body).join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
    query = query.where(DELIVERY.c.id == delivery, in_account(DELIVERY, account))
    found = conn.execute(query).first()
    if found is None:
        raise no_delivery(delivery)
    row = _Row(*found)
    made = select(ATTEMPT).where(ATTEMPT.c.delivery_id == delivery)
    attempts = list(starmap(_attempt_row, conn.execute(made.order_by(ATTEMPT.c.number))))
    last = attempts[-1] if attempts else None
    return DeliveryRecord(
        _delivery(row),
        tuple(_attempt(attempt) for attempt in attempts),
        row.event_body,
        None if last is None else last.started_at,
        () if last is None else msgspec.json.decode(last.secret_ids, type=tuple[int, ...]),
    )


def no_delivery(delivery: DeliveryId) -> NotFound:
    """Return the error for a delivery that does not exist in this account."""
    return NotFound(
        f"there is no delivery {encode('dlv', delivery)} here; see: hooktui deliveries list"
    )


def deliveries_of_event(
    conn: Connection, event: EventId, hooks: Sequence[int] | None = None
) -> tuple[Delivery, ...]:
    """Return all deliveries of an event (to the given hooks only), oldest first."""
    query = _deliveries().where(DELIVERY.c.event_id == event).order_by(DELIVERY.c.id)
    if hooks is not None:
        # The plus disables the hook's index: an event has fewer deliveries than a hook.
        query = query.where(literal_column("+delivery.hook_id", Big).in_(hooks))
    return tuple(_delivery(row) for row in starmap(_Row, conn.execute(query)))


def deliveries_by_id(conn: Connection, deliveries: Iterable[int]) -> dict[int, Delivery]:
    """Return the existing deliveries among ids, by id."""
    query = _deliveries().where(DELIVERY.c.id.in_(list(deliveries)))
    return {row.id: _delivery(row) for row in starmap(_Row, conn.execute(query))}


def attempts_by_key(
    conn: Connection, attempts: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Attempt]:
    """Return the existing attempts among keys, by delivery and number."""
    keys = list(attempts)
    key = tuple_(ATTEMPT.c.delivery_id, ATTEMPT.c.number)
    rows = conn.execute(select(ATTEMPT).where(key.in_(keys)))
    return {(row.delivery_id, row.number): _attempt(row) for row in starmap(_attempt_row, rows)}


def _delivery(row: _Row) -> Delivery:
    held = row.status == DeliveryStatus.PENDING and not row.hook_active
    return Delivery(
        id=encode("dlv", row.id),
        event=encode("evt", row.event_id),
        event_type=row.event_type,
        hook=row.hook_id,
        account=row.account_id,
        trigger=row.trigger,
        status=row.status,
        held=held and row.hook_deleted_at is None,
        reason=row.reason,
        attempts=row.attempts,
        next_attempt_at=optional_rfc3339(row.next_attempt_at),
        created_at=to_rfc3339(row.created_at),
        finished_at=optional_rfc3339(row.finished_at),
        duration_ms=row.duration_ms,
        last_status=last_status(row.last_error, row.last_code),
        cause=row.cause,
        replay=None if row.replay_id is None else encode("rpl", row.replay_id),
        probe_at=optional_rfc3339(row.breaker_until),
        paused=row.paused_at is not None,
    )


def _deliveries() -> Select[Any]:
    hook = (HOOK.c.active.label("hook_active"), HOOK.c.deleted_at.label("hook_deleted_at"))
    until = select(HOOK_STATE.c.breaker_until).where(HOOK_STATE.c.hook_id == DELIVERY.c.hook_id)
    pending = filter_sql.has_any_status(DeliveryStatus.PENDING)
    waits = [
        case((pending, query.scalar_subquery()), else_=None)
        for query in (until, select(PAUSE.c.at_ms).limit(1))
    ]
    return select(*_COLUMNS, *hook, *waits).join(HOOK, HOOK.c.id == DELIVERY.c.hook_id)


def _conditions(query: DeliveryQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.hook is not None:
        # The plus disables the hook's index: another one is already chosen.
        conditions.append(literal_column("+delivery.hook_id", Big) == literal(query.hook))
    if query.event_type is not None:
        conditions.append(is_type_or_group(DELIVERY.c.event_type, query.event_type))
    if query.status is not None:
        conditions.append(filter_sql.has_status(query.status))
    if query.trigger is not None:
        conditions.append(DELIVERY.c.trigger == query.trigger.value)
    return conditions


def _with_text(rows: Select[Any], outside: Filter) -> Select[Any]:
    """Add the columns that words and ``data.`` search."""
    rows = rows.add_columns(EVENT.c.body.label("event_body"))
    rows = rows.join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
    if not _searches_words(outside):
        return rows
    newest = and_(ATTEMPT.c.delivery_id == DELIVERY.c.id, ATTEMPT.c.number == DELIVERY.c.attempts)
    rows = rows.add_columns(
        HOOK.c.name.label("hook_name"),
        HOOK.c.url.label("hook_url"),
        ATTEMPT.c.error_detail,
        ATTEMPT.c.body.label("answer_body"),
    )
    return rows.outerjoin(ATTEMPT, newest)


def _searches_words(outside: Filter) -> bool:
    return any(term.key is FilterKey.WORD for term in outside.terms)


def _fits(outside: Filter, now: int) -> RowCheck[_Row]:
    return lambda row: outside.match_once_steps(_subject(row), now)


def _subject(row: _Row) -> Subject:
    return Subject(
        at_ms=row.created_at, words=lambda: _words(row), data=lambda: Stored(row.event_body)
    )


_BODIES = (
    select(DELIVERY.c.id, DELIVERY.c.created_at, EVENT.c.body)
    .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
    .where(DELIVERY.c.id.in_(bindparam("deliveries", expanding=True)))
)


def matching_steps(
    conn: Connection, deliveries: Sequence[int], outside: Filter, now: int
) -> Steps[set[int]]:
    """Return the deliveries, of a few, that match the terms of a filter outside SQL."""
    if _searches_words(outside):
        rows = _with_text(_deliveries().where(DELIVERY.c.id.in_(deliveries)), outside)
        found = [(row.id, _subject(row)) for row in starmap(_Row, conn.execute(rows).all())]
    else:  # reading nothing but the bodies takes a third less
        bodies = conn.execute(_BODIES, {"deliveries": deliveries}).all()
        found = [(row.id, Subject(at_ms=row[1], data=partial(Stored, row[2]))) for row in bodies]
    matching = set()
    for identity, subject in found:
        yield
        if (yield from outside.match_once_steps(subject, now)):
            matching.add(identity)
    return matching


def _words(row: _Row) -> str:
    parts = [
        encode("dlv", row.id), encode("evt", row.event_id), row.event_type, row.status,
        row.trigger, row.reason, row.last_error, row.last_code, row.hook_name,
        row.hook_url, row.error_detail, _text(row.answer_body), _text(row.event_body),
    ]  # fmt: skip
    return "\n".join(str(part) for part in parts if part is not None)


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        delivery=encode("dlv", row.delivery_id),
        number=row.number,
        started_at=to_rfc3339(row.started_at),
        outcome=row.outcome,
        status_code=row.status_code,
        error=row.error,
        error_detail=row.error_detail,
        phases_ms=Phases(
            dns=row.dns_ms,
            connect=row.connect_ms,
            tls=row.tls_ms,
            first_byte=row.first_byte_ms,
            total=row.total_ms,
        ),
        reused_connection=bool(row.reused_connection),
        address=row.address,
        response=None if row.status_code is None else _response(row),
        retry_after_s=row.retry_after_s,
        server=row.server,
    )


def _response(row: AttemptRow) -> Response:
    return Response(
        headers=msgspec.json.decode(row.headers or "[]", type=tuple[tuple[str, str], ...]),
        body=_text(row.body) or "",
        truncated=bool(row.truncated),
        size=row.size,
    )
