"""The check of alerts that depend on time: its reads, its input and its result."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple

from sqlalchemy import (
    Connection,
    and_,
    case,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from hooktui.domain.alerts import (
    CAUGHT_UP_MS,
    LONGEST_SNOOZE_MS,
    AlertState,
    AlertType,
    Resolution,
)
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.ids import AccountId, HookId
from hooktui.store.queries.alerts import MAX_BOUND, UNRESOLVED, AlertRecord, AlertSubject, records
from hooktui.store.queries.engine import is_paused
from hooktui.store.queries.expressions import fetch_without_sort, has_row
from hooktui.store.queries.filter_sql import is_open, is_pending
from hooktui.store.queries.hooks import first_due
from hooktui.store.tables import ALERT, DELIVERY, HOOK, HOOK_STATE


@dataclass(frozen=True, slots=True)
class AlertOpening:
    """An alert that a check opens."""

    subject: AlertSubject
    facts: Mapping[str, object]
    count: int = 1


@dataclass(slots=True)
class CheckResult:
    """The changes that a check found to be due.

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
    opened: list[AlertOpening] = field(default_factory=list)
    announced: list[int] = field(default_factory=list)

    def parts(self, max_alerts: int) -> Iterable[CheckResult]:
        """Return the same in parts of a few alerts each."""
        lists = [getattr(self, attribute.name) for attribute in fields(self)]
        for start in range(0, max(map(len, lists)), max_alerts):
            yield CheckResult(*(alerts[start : start + max_alerts] for alerts in lists))


@dataclass(frozen=True, slots=True)
class Late:
    """The backlog of an account whose oldest delivery is due since a time (ms)."""

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
class CheckInput:
    """The alerts and the backlogs that a check decides on.

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


def check_input(conn: Connection, now_ms: int, accounts: Collection[AccountId]) -> CheckInput:
    """Return the input of a check; ``accounts`` have hooks that subscribe to alerts."""
    news = or_(
        ALERT.c.announced.is_(None),
        ALERT.c.announced != AlertState.OPEN.value,
        ALERT.c.announced_count.is_(None),
        ALERT.c.count > ALERT.c.announced_count,
    )
    many = len(accounts) > MAX_BOUND
    in_accounts = true() if many else ALERT.c.account_id.in_(accounts)
    until = ALERT.c.snoozed_until
    over = or_(until <= now_ms, until > now_ms + LONGEST_SNOOZE_MS)
    may_change = or_(
        and_(ALERT.c.state == AlertState.SNOOZED.value, over),
        ALERT.c.type.in_(_MEASURED),
        and_(ALERT.c.state == AlertState.OPEN.value, in_accounts, news),
    )
    rows = select(ALERT).where(UNRESOLVED, may_change)
    late = None if is_paused(conn) else _late(conn, now_ms)
    return CheckInput(
        alerts=tuple(sorted(records(conn, rows), key=lambda alert: alert.id)),
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
    """Return the alerts, of some hooks or among some, whose group is empty or hook works again."""
    in_group = select(DELIVERY.c.id).where(
        DELIVERY.c.hook_id == ALERT.c.hook_id,
        DELIVERY.c.cause == ALERT.c.cause,
        DELIVERY.c.cause.is_not(None),
    )
    held = select(DELIVERY.c.id).where(
        is_open(), is_pending(), DELIVERY.c.hook_id == ALERT.c.hook_id, DELIVERY.c.cause.is_(None)
    )
    kept = case(
        (ALERT.c.cause == SKIPPED, HOOK_STATE.c.skipped > 0),
        (ALERT.c.cause == HELD, and_(not_(HOOK.c.active), has_row(held))),
        else_=has_row(in_group),
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

    account_id: AccountId
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
    for row in fetch_without_sort(conn, late):
        hook = _LateHook(*row)
        by_account.setdefault(hook.account_id, []).append(hook)
    return {
        account: Late(
            min(hook.oldest for hook in hooks),
            sum(hook.waiting for hook in hooks),
            tuple(
                (hook.id, hook.name, hook.waiting)
                for hook in sorted(hooks, key=lambda hook: hook.oldest)[:_MAX_NAMED]
            ),
        )
        for account, hooks in by_account.items()
    }


class Expiring(NamedTuple):
    """The dead letters of a group that retention deletes soon."""

    hook: HookId
    cause: str
    account: AccountId
    name: str
    number: int
    example: int
    waiting: int


def expiring(conn: Connection, ended_before_ms: int) -> list[Expiring]:
    """Return the groups with dead letters that ended before a time."""
    group = (DELIVERY.c.hook_id, DELIVERY.c.cause)
    counts = (func.count().label("count"), func.max(DELIVERY.c.id).label("example"))
    ended = (DELIVERY.c.cause.is_not(None), DELIVERY.c.finished_at < ended_before_ms)
    old = select(*group, *counts).where(*ended).group_by(*group).subquery()
    hook = (old.c.hook_id, old.c.cause, HOOK.c.account_id, HOOK.c.name)
    rows = (
        select(*hook, old.c.count, old.c.example, HOOK_STATE.c.waiting)
        .join(HOOK, HOOK.c.id == old.c.hook_id)
        .join(HOOK_STATE, HOOK_STATE.c.hook_id == old.c.hook_id)
        .where(HOOK.c.deleted_at.is_(None))
    )
    return [Expiring(*row) for row in conn.execute(rows)]
