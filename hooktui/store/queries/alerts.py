"""Alerts: lists, counts, and the hooks that get them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, case, func, literal_column, or_, select

from hooktui.domain.alert_events import Facts, summary
from hooktui.domain.alerts import AlertState, AlertStatus, AlertType
from hooktui.domain.catalogue import OPERATOR_GROUP
from hooktui.domain.clock import optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, HookId, encode
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.wire.alerts import Alert, AlertCounts, AlertHook, AlertPath
from hooktui.domain.wire.pages import Page
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.tables import ALERT, HOOK, HOOK_STATE, AlertRow, in_account, maker_of

MAX_BOUND: Final = 10_000
"""Values that a query names one by one; PostgreSQL accepts 32,767."""
UNRESOLVED: Final = ALERT.c.state != literal_column("'resolved'")  # literal, for the partial index


@dataclass(frozen=True, slots=True)
class AlertSubject:
    """What an alert is about."""

    kind: AlertType
    key: str
    account: AccountId
    hook: HookId | None = None
    cause: str | None = None
    replay: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord(AlertSubject):
    """An alert as it is stored."""

    id: int
    hooks_notified: int
    facts: Facts
    status: AlertStatus


def hook_facts(hook: int, name: str, live: LiveHook | None) -> dict[str, object]:
    """Return the field ``hook`` of an alert; a hook that is not live has no host."""
    return {"id": hook, "name": name, "host": None if live is None else live.target.host_header}


_row = maker_of(AlertRow)


def _record(row: AlertRow) -> AlertRecord:
    return AlertRecord(
        id=row.id,
        account=row.account_id,
        kind=AlertType(row.type),
        key=row.key,
        hook=row.hook_id,
        cause=row.cause,
        replay=row.replay_id,
        hooks_notified=row.hooks_notified,
        facts=msgspec.json.decode(row.facts, type=dict[str, Any]),
        status=msgspec.convert(row, AlertStatus, from_attributes=True),
    )


def records(conn: Connection, alerts: Select[Any]) -> list[AlertRecord]:
    """Return the alerts that a query selects."""
    return [_record(_row(*row)) for row in conn.execute(alerts)]


def alert_of(record: AlertRecord, *, ended: bool = True) -> Alert:
    """Return an alert as it is shown; ``ended`` False: its summary is that before its end."""
    status = record.status
    summed = status if ended else replace(status, state=AlertState.OPEN)
    hook = record.facts.get("hook") or {}
    return Alert(
        id=encode("alr", record.id),
        account=record.account,
        type=record.kind.value,
        key=record.key,
        state=status.state.value,
        summary=summary(record.kind, summed, record.facts),
        hook=record.hook,
        hook_name=hook.get("name"),
        cause=record.cause,
        replay=None if record.replay is None else encode("rpl", record.replay),
        count=status.count,
        opened_at=to_rfc3339(status.opened_at),
        changed_at=to_rfc3339(status.changed_at),
        changed_by=status.changed_by,
        snoozed_until=optional_rfc3339(status.snoozed_until),
        resolved_at=optional_rfc3339(status.resolved_at),
        resolution=None if status.resolution is None else status.resolution.value,
        announced_at=optional_rfc3339(status.announced_at),
        hooks_notified=record.hooks_notified,
    )


def alert_record(conn: Connection, account: AccountId | None, alert: int) -> AlertRecord:
    """Return an alert of an account, or (None) of any.

    Raises:
        NotFound: there is no such alert there.
    """
    rows = select(ALERT).where(ALERT.c.id == alert, in_account(ALERT, account))
    row = conn.execute(rows).first()
    if row is None:
        raise NotFound(f"there is no alert {encode('alr', alert)} here; see: hooktui alerts list")
    return _record(_row(*row))


def get_alert(conn: Connection, account: AccountId | None, alert: int) -> Alert:
    """Return an alert of an account, or (None) of any, as it is shown.

    Raises:
        NotFound: there is no such alert there.
    """
    return alert_of(alert_record(conn, account, alert))


def alerts_by_id(conn: Connection, alerts: Iterable[int]) -> dict[int, AlertRecord]:
    """Return the existing alerts among ids, by id."""
    rows = select(ALERT).where(ALERT.c.id.in_(list(alerts)))
    return {record.id: record for record in records(conn, rows)}


def newest_alert(conn: Connection, key: str) -> AlertRecord | None:
    """Return the alert of a key that is not resolved, else the newest one.

    Ids of another server may be ahead of this one's, if the clock was set back.
    """
    first = case((UNRESOLVED, 0), else_=1)
    rows = select(ALERT).where(ALERT.c.key == key).order_by(first, ALERT.c.id.desc())
    return next(iter(records(conn, rows.limit(1))), None)


def unresolved(conn: Connection, keys: Sequence[str]) -> list[AlertRecord]:
    """Return the alerts of keys that are not resolved."""
    rows = select(ALERT).where(ALERT.c.key.in_(keys), UNRESOLVED)
    return records(conn, rows.order_by(ALERT.c.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertQuery:
    """Conditions on alerts that all must hold; without a state or key, not resolved ones."""

    state: AlertState | None = None
    type: AlertType | None = None
    hook: HookId | None = None
    key: str | None = None


def list_alerts(
    conn: Connection, account: AccountId, page: PageRequest, query: AlertQuery
) -> Page[Alert]:
    """Return a page of an account's alerts, newest first.

    Raises:
        Refused: the page request is not acceptable.
    """
    rows = select(ALERT).where(ALERT.c.account_id == account)
    if query.state is not None:
        rows = rows.where(ALERT.c.state == query.state.value)
    elif query.key is None:
        rows = rows.where(UNRESOLVED)
    if query.type is not None:
        rows = rows.where(ALERT.c.type == query.type.value)
    if query.hook is not None:
        rows = rows.where(ALERT.c.hook_id == query.hook)
    if query.key is not None:
        rows = rows.where(ALERT.c.key == query.key)
    listing = PagedQuery(rows, _row, ALERT.c.id, {"id": None})
    return page_of(conn, page, listing, lambda some: [alert_of(_record(row)) for row in some])


def alert_counts(conn: Connection, account: AccountId | None) -> AlertCounts:
    """Return how many alerts of an account, or (None) of all, are not resolved, by state."""
    counted = select(ALERT.c.state, func.count()).where(UNRESOLVED, in_account(ALERT, account))
    rows = conn.execute(counted.group_by(ALERT.c.state))
    return AlertCounts(**{state: int(number) for state, number in rows})


def alerts_by_type(conn: Connection) -> dict[str, int]:
    """Return how many alerts are not resolved, by type."""
    counted = select(ALERT.c.type, func.count()).where(UNRESOLVED).group_by(ALERT.c.type)
    found = {kind: int(number) for kind, number in conn.execute(counted)}
    return {kind.value: found.get(kind.value, 0) for kind in AlertType}


def alert_path(
    conn: Connection, account: AccountId | None, hooks: Collection[HookId] | None = None
) -> AlertPath:
    """Return whether the hooks that subscribe to operator alerts work.

    If ``account`` is None, those of all accounts; if ``hooks`` is None, they are searched.
    """
    rows = select(*_PATH_COLUMNS).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    rows = rows.where(HOOK.c.deleted_at.is_(None), in_account(HOOK, account))
    if hooks is None or len(hooks) > MAX_BOUND:
        events = or_(
            HOOK.c.events.contains(f'"{OPERATOR_GROUP}"', autoescape=True),
            HOOK.c.events.contains(f'"{OPERATOR_GROUP}.', autoescape=True),
        )
        rows = rows.where(events)
    else:
        rows = rows.where(HOOK.c.id.in_(hooks))
    found = [_alert_hook(_PathRow(*row)) for row in conn.execute(rows.order_by(HOOK.c.id))]
    if not found:
        return AlertPath(state="none")
    return AlertPath(
        state="failing" if any(hook.state != "ok" for hook in found) else "ok", hooks=tuple(found)
    )


class _PathRow(NamedTuple):
    """The state of a hook that subscribes to alerts."""

    id: int
    name: str
    active: bool
    disabled_reason: str | None
    disabled_at: int | None
    failing_alert: int | None
    failing_since: int | None


_PATH_COLUMNS = [
    HOOK_STATE.c[name] if name in HOOK_STATE.c else HOOK.c[name] for name in _PathRow._fields
]


def _alert_hook(row: _PathRow) -> AlertHook:
    state, since_ms = "ok", None
    if not row.active and row.disabled_reason != DisabledReason.BY_HAND:
        state, since_ms = "disabled", row.disabled_at
    elif row.active and row.failing_alert is not None:
        state, since_ms = "failing", row.failing_since
    return AlertHook(hook=row.id, name=row.name, state=state, since=optional_rfc3339(since_ms))
