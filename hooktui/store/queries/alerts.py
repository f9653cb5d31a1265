"""Alerts: lists, counts, the hooks that get them, and the look for alerts that depend on time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    Connection,
    Select,
    and_,
    case,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from hooktui.domain.alert_events import Facts, summary
from hooktui.domain.alerts import CAUGHT_UP_MS, AlertState, AlertStatus, AlertType, Resolution
from hooktui.domain.catalogue import OPERATOR_GROUP
from hooktui.domain.clock import optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import NotFound
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.ids import AccountId, HookId, encode
from hooktui.domain.wire.alerts import Alert, AlertCounts, AlertHook, AlertPath
from hooktui.domain.wire.pages import Page
from hooktui.store.queries.engine import is_paused
from hooktui.store.queries.hooks import first_due
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.tables import (
    ALERT,
    DELIVERY,
    HOOK,
    HOOK_STATE,
    AlertRow,
    in_account,
    maker_of,
)

_MAX_BOUND: Final = 10_000
"""Values that a query names one by one; PostgreSQL accepts 32,767."""
UNRESOLVED: Final = ALERT.c.state != literal_column("'resolved'")  # literal, for the partial index


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """An alert as it is stored."""

    id: int
    account: AccountId
    kind: AlertType
    key: str
    hook: HookId | None
    cause: str | None
    replay: int | None
    hooks_notified: int
    facts: Facts
    status: AlertStatus


_row = maker_of(AlertRow)


def _record(row: AlertRow) -> AlertRecord:
    return AlertRecord(
        id=row.id,
        account=AccountId(row.account_id),
        kind=AlertType(row.type),
        key=row.key,
        hook=None if row.hook_id is None else HookId(row.hook_id),
        cause=row.cause,
        replay=row.replay_id,
        hooks_notified=row.hooks_notified,
        facts=msgspec.json.decode(row.facts, type=dict[str, Any]),
        status=msgspec.convert(row, AlertStatus, from_attributes=True),
    )


def _records(conn: Connection, alerts: Select[Any]) -> list[AlertRecord]:
    return [_record(_row(*row)) for row in conn.execute(alerts)]


def alert_of(record: AlertRecord) -> Alert:
    """Return an alert as it is shown."""
    status = record.status
    hook = record.facts.get("hook") or {}
    return Alert(
        id=encode("alr", record.id),
        account=record.account,
        type=record.kind.value,
        key=record.key,
        state=status.state.value,
        summary=summary(record.kind, status, record.facts),
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


def alerts_by_id(conn: Connection, alerts: Iterable[int]) -> dict[int, Alert]:
    """Return the existing alerts among ids, by id."""
    rows = select(ALERT).where(ALERT.c.id.in_(list(alerts)))
    return {record.id: alert_of(record) for record in _records(conn, rows)}


def newest_alert(conn: Connection, key: str) -> AlertRecord | None:
    """Return the alert of a key that is not resolved, else the newest one.

    Ids of another server may be ahead of this one's, if the clock was set back.
    """
    first = case((UNRESOLVED, 0), else_=1)
    rows = select(ALERT).where(ALERT.c.key == key).order_by(first, ALERT.c.id.desc())
    return next(iter(_records(conn, rows.limit(1))), None)


def unresolved(conn: Connection, keys: Sequence[str]) -> list[AlertRecord]:
    """Return the alerts of keys that are not resolved."""
    rows = select(ALERT).where(ALERT.c.key.in_(keys), UNRESOLVED)
    return _records(conn, rows.order_by(ALERT.c.id))


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

    Args:
        conn: a read connection.
        account: whose hooks; None: of all accounts.
        hooks: the hooks that subscribe; None: they are searched.
    """
    rows = select(*_PATH_COLUMNS).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    rows = rows.where(HOOK.c.deleted_at.is_(None), in_account(HOOK, account))
    if hooks is None or len(hooks) > _MAX_BOUND:
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


# The look


@dataclass(frozen=True, slots=True)
class AlertSubject:
    """What an alert is about."""

    kind: AlertType
    key: str
    account: AccountId
    hook: HookId | None = None
    cause: str | None = None
    replay: int | None = None


@dataclass(frozen=True, slots=True)
class FoundOpening:
    """An alert that a look opens."""

    subject: AlertSubject
    facts: Mapping[str, object]
    count: int = 1


@dataclass(slots=True)
class LookResult:
    """The changes that a look found to be due.

    Attributes:
        snoozed: alerts whose snooze has ended.
        empty: alerts whose subject is gone, unless it is back when they are to end.
        ended: alerts that ended otherwise, each with how.
        opened: alerts that open.
        announced: alerts whose event is due.
    """

    snoozed: list[int] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    ended: list[tuple[int, Resolution]] = field(default_factory=list)
    opened: list[FoundOpening] = field(default_factory=list)
    announced: list[int] = field(default_factory=list)

    def parts(self, max_alerts: int) -> Iterable[LookResult]:
        """Return the same in parts of a few alerts each."""
        lists = [getattr(self, one.name) for one in fields(self)]
        for start in range(0, max(map(len, lists)), max_alerts):
            yield LookResult(*(some[start : start + max_alerts] for some in lists))


@dataclass(frozen=True, slots=True)
class Late:
    """The backlog of an account whose oldest delivery is due since a time (ms)."""

    account: AccountId
    oldest_due_ms: int
    waiting: int
    hooks: tuple[tuple[int, str, int], ...]

    def facts(self, now_ms: int) -> dict[str, object]:
        """Return the fields of the event."""
        return {
            "waiting": self.waiting,
            "oldest_due_at": to_rfc3339(self.oldest_due_ms),
            "late_s": (now_ms - self.oldest_due_ms) // 1000,
            "hooks": [
                {"id": hook, "name": name, "waiting": count} for hook, name, count in self.hooks
            ],
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look read.

    Attributes:
        alerts: the alerts that may change, or whose event may be due.
        empty: the ids of those whose subject is gone.
        late: the accounts with deliveries that are due for over a minute; None: all sending is
            paused.
    """

    alerts: tuple[AlertRecord, ...]
    empty: tuple[int, ...]
    late: Mapping[AccountId, Late] | None


_MAX_NAMED: Final = 5


def look(conn: Connection, now_ms: int, accounts: Collection[AccountId]) -> Seen:
    """Read what a look decides on; ``accounts`` are those with hooks that subscribe to alerts."""
    news = or_(
        ALERT.c.announced.is_(None),
        ALERT.c.announced != AlertState.OPEN.value,
        ALERT.c.announced_count.is_(None),
        ALERT.c.count > ALERT.c.announced_count,
    )
    many = len(accounts) > _MAX_BOUND
    in_accounts = true() if many else ALERT.c.account_id.in_(accounts)
    may_change = or_(
        and_(ALERT.c.state == AlertState.SNOOZED.value, ALERT.c.snoozed_until <= now_ms),
        ALERT.c.type.in_(_MEASURED),
        and_(ALERT.c.state == AlertState.OPEN.value, in_accounts, news),
    )
    rows = select(ALERT).where(UNRESOLVED, may_change)
    late = None if is_paused(conn) else _late(conn, now_ms)
    return Seen(
        alerts=tuple(sorted(_records(conn, rows), key=lambda alert: alert.id)),
        empty=tuple(sorted(alert.id for alert in gone(conn))),
        late=late,
    )


_MEASURED: Final = (
    AlertType.QUEUE_BEHIND.value, AlertType.DISK_LOW.value, AlertType.EXPIRING.value,
)  # fmt: skip


class Gone(NamedTuple):
    """An alert whose subject is gone."""

    id: int
    type: str
    hook: int
    cause: str | None
    opened_at: int
    last_success_at: int | None

    @property
    def resolution(self) -> Resolution:
        """How it ends, unless a person has ended it."""
        delivered = (self.last_success_at or 0) >= self.opened_at
        if self.type == AlertType.HOOK_FAILING or delivered:
            return Resolution.DELIVERED
        return Resolution.CLEARED


def gone(
    conn: Connection, hooks: Collection[int] | None = None, alerts: Collection[int] | None = None
) -> list[Gone]:
    """Return the alerts about groups that are empty and hooks that fail no more.

    Args:
        conn: the connection of the transaction.
        hooks: only alerts of these.
        alerts: only these.
    """
    in_group = exists().where(
        DELIVERY.c.hook_id == ALERT.c.hook_id,
        DELIVERY.c.cause == ALERT.c.cause,
        DELIVERY.c.cause.is_not(None),
    )
    kept = case(
        (ALERT.c.cause == SKIPPED, HOOK_STATE.c.skipped > 0),
        (ALERT.c.cause == HELD, and_(not_(HOOK.c.active), HOOK_STATE.c.waiting > 0)),
        else_=in_group,
    )
    fails = HOOK_STATE.c.failed_since_success > 0
    groups = (AlertType.GAVE_UP.value, AlertType.EXPIRING.value)
    lasts = case(
        (ALERT.c.type.in_(groups), kept),
        (ALERT.c.type == AlertType.HOOK_FAILING.value, fails),
        else_=literal_column("1 = 1"),
    )
    columns = (ALERT.c.id, ALERT.c.type, ALERT.c.hook_id, ALERT.c.cause, ALERT.c.opened_at)
    ended = (
        select(*columns, HOOK_STATE.c.last_success_at)
        .join(HOOK, HOOK.c.id == ALERT.c.hook_id)
        .join(HOOK_STATE, HOOK_STATE.c.hook_id == ALERT.c.hook_id)
        .where(UNRESOLVED, not_(func.coalesce(lasts, false())))
    )
    if hooks is not None:
        ended = ended.where(ALERT.c.hook_id.in_(hooks))
    if alerts is not None:
        ended = ended.where(ALERT.c.id.in_(alerts))
    return [Gone(*row) for row in conn.execute(ended)]


class _LateHook(NamedTuple):
    """A hook with deliveries that are due."""

    account_id: int
    id: int
    name: str
    waiting: int
    due_first: int | None
    due_again: int | None

    @property
    def oldest(self) -> int:
        """When its oldest delivery was due."""
        return min(due for due in (self.due_first, self.due_again) if due is not None)


def _late(conn: Connection, now_ms: int) -> dict[AccountId, Late]:
    """Return the accounts whose oldest due delivery is late, of hooks that could send it."""
    columns = (HOOK.c.account_id, HOOK.c.id, HOOK.c.name, HOOK_STATE.c.waiting)
    hooks = select(*columns, *first_due()).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    sending = (HOOK.c.deleted_at.is_(None), HOOK.c.active, HOOK_STATE.c.breaker_until.is_(None))
    found = hooks.where(*sending, HOOK_STATE.c.waiting > 0).subquery()
    since = now_ms - CAUGHT_UP_MS
    late = select(found).where(or_(found.c.due_first < since, found.c.due_again < since))
    by_account: dict[AccountId, list[_LateHook]] = {}
    for row in conn.execute(late):
        hook = _LateHook(*row)
        by_account.setdefault(AccountId(hook.account_id), []).append(hook)
    return {
        account: Late(
            account,
            min(hook.oldest for hook in hooks),
            sum(hook.waiting for hook in hooks),
            tuple(
                (hook.id, hook.name, hook.waiting)
                for hook in sorted(hooks, key=lambda one: one.oldest)[:_MAX_NAMED]
            ),
        )
        for account, hooks in by_account.items()
    }


class Expiring(NamedTuple):
    """The dead letters of a group that retention deletes soon."""

    hook: int
    cause: str
    account: int
    name: str
    number: int
    example: int
    waiting: int


def expiring(conn: Connection, ended_before_ms: int) -> list[Expiring]:
    """Return the groups with dead letters that ended before a time."""
    old = (
        select(
            DELIVERY.c.hook_id,
            DELIVERY.c.cause,
            func.count().label("count"),
            func.max(DELIVERY.c.id).label("example"),
        )
        .where(DELIVERY.c.cause.is_not(None), DELIVERY.c.finished_at < ended_before_ms)
        .group_by(DELIVERY.c.hook_id, DELIVERY.c.cause)
        .subquery()
    )
    rows = (
        select(
            old.c.hook_id,
            old.c.cause,
            HOOK.c.account_id,
            HOOK.c.name,
            old.c.count,
            old.c.example,
            HOOK_STATE.c.waiting,
        )
        .join(HOOK, HOOK.c.id == old.c.hook_id)
        .join(HOOK_STATE, HOOK_STATE.c.hook_id == old.c.hook_id)
        .where(HOOK.c.deleted_at.is_(None))
    )
    return [Expiring(*row) for row in conn.execute(rows)]
