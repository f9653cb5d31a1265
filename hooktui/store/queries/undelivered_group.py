"""One undelivered group with the state of its alert."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select

from hooktui.domain.alerts import AlertType, key_of
from hooktui.domain.causes import HELD, SKIPPED
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, HookId, encode, time_of
from hooktui.domain.wire.undelivered import UndeliveredExample, UndeliveredGroup
from hooktui.store.queries.alerts import alert_of, unresolved
from hooktui.store.queries.engine import is_paused
from hooktui.store.queries.hooks import no_hook
from hooktui.store.tables import DELIVERY, HOOK, HOOK_STATE, in_account


def undelivered_group(
    conn: Connection, account: AccountId | None, hook: HookId, cause: str
) -> UndeliveredGroup:
    """Return the undelivered group of a hook and a cause.

    Raises:
        NotFound: there is no such hook in the account (None: in any), or no such group.
    """
    columns = (
        HOOK.c.name,
        HOOK.c.active,
        HOOK_STATE.c.waiting,
        HOOK_STATE.c.skipped,
        HOOK_STATE.c.skipped_first,
        HOOK_STATE.c.skipped_last,
        HOOK_STATE.c.breaker_until,
    )
    rows = select(*columns).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    rows = rows.where(HOOK.c.id == hook, HOOK.c.deleted_at.is_(None), in_account(HOOK, account))
    found = conn.execute(rows).first()
    if found is None:
        raise no_hook(hook)
    state = _GroupHook(*found)
    if cause == SKIPPED:
        group = _Group(state.skipped, 0, state.skipped_first, state.skipped_last)
    elif cause == HELD:
        group = _held(conn, hook, state)
    else:
        group = _entries(conn, _of_group(hook, cause))
    if not group.number or group.oldest is None or group.newest is None:
        raise NotFound(f"hook {hook} has no undelivered events with the cause {cause} now")
    alert = next(iter(unresolved(conn, [key_of(AlertType.GAVE_UP, hook, cause)])), None)
    shown = None if alert is None else alert_of(alert)
    waits_for = (
        "disabled"
        if not state.active
        else "breaker"
        if state.breaker_until is not None
        else "paused"
        if is_paused(conn)
        else None
    )
    return UndeliveredGroup(
        hook=hook,
        name=state.name,
        cause=cause,
        count=group.number,
        gave_up=group.gave_up,
        retrying=0 if cause in (HELD, SKIPPED) else group.number - group.gave_up,
        oldest_at=to_rfc3339(time_of(group.oldest)),
        newest_at=to_rfc3339(time_of(group.newest)),
        waits_for=waits_for,
        example=None if cause == SKIPPED else _example(conn, group.newest),
        state="open" if shown is None else shown.state,
        state_by=None if shown is None else shown.changed_by,
        state_until=None if shown is None else shown.snoozed_until,
        alert=None if shown is None else shown.id,
    )


class _GroupHook(NamedTuple):
    """A hook and the counters of its groups."""

    name: str
    active: bool
    waiting: int
    skipped: int
    skipped_first: int | None
    skipped_last: int | None
    breaker_until: int | None


class _Group(NamedTuple):
    """The count of a group, its dead letters, and the ids of its oldest and newest entry."""

    number: int
    gave_up: int
    oldest: int | None
    newest: int | None


def _of_group(hook: HookId, cause: str) -> ColumnElement[bool]:
    return and_(
        DELIVERY.c.hook_id == hook, DELIVERY.c.cause == cause, DELIVERY.c.cause.is_not(None)
    )


def _held(conn: Connection, hook: HookId, state: _GroupHook) -> _Group:
    waiting = DELIVERY.c.status.in_([literal_column("'pending'"), literal_column("'sending'")])
    held = and_(DELIVERY.c.hook_id == hook, waiting, DELIVERY.c.cause.is_(None))
    group = _entries(conn, held)
    return _Group(0, 0, None, None) if state.active else group


def _entries(conn: Connection, entries: ColumnElement[bool]) -> _Group:
    of_entries = select(
        func.count(),
        func.count(DELIVERY.c.finished_at),
        func.min(DELIVERY.c.id),
        func.max(DELIVERY.c.id),
    )
    return _Group(*conn.execute(of_entries.where(entries)).one())


def _example(conn: Connection, delivery: int) -> UndeliveredExample | None:
    columns = (DELIVERY.c.event_type, DELIVERY.c.last_code, DELIVERY.c.last_error)
    row = conn.execute(select(*columns).where(DELIVERY.c.id == delivery)).first()
    if row is None:
        return None
    event_type, code, error = row
    return UndeliveredExample(
        delivery=encode("dlv", delivery),
        event_type=event_type,
        last_status=error if code is None else code,
    )
