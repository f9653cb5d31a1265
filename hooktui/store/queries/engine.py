"""Queries of the engine: pause, breakers, hooks by state, missing causes, secrets of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap

from sqlalchemy import Connection, func, or_, select

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.ids import AccountId, HookId, floor_at, time_of
from hooktui.domain.live_hook import LiveSecret
from hooktui.domain.wire.server import EngineState, OpenBreaker, Pause
from hooktui.store.live_hooks import SEALED_SECRETS, SealedSecret, live_secret
from hooktui.store.queries.expressions import has_row
from hooktui.store.tables import (
    CAUSE_BACKFILL,
    DELIVERY,
    EVENT,
    FEED,
    HOOK,
    HOOK_STATE,
    PAUSE,
    SECRET,
    in_account,
)
from hooktui.store.vault import Vault


def engine_state(conn: Connection) -> EngineState:
    """Return whether all sending is paused, since when and by which actor."""
    row = conn.execute(select(PAUSE.c.at_ms, PAUSE.c.user)).first()
    if row is None:
        return EngineState(paused=None)
    at_ms, user = row
    return EngineState(paused=Pause(at=to_rfc3339(at_ms), by=user))


def is_paused(conn: Connection) -> bool:
    """Return whether all sending is paused."""
    return conn.execute(select(PAUSE.c.id)).first() is not None


def causes_are_missing(conn: Connection) -> bool:
    """Return whether deliveries of an earlier version may lack their cause."""
    return conn.execute(select(CAUSE_BACKFILL.c.id)).first() is not None


def hooks_by_state(conn: Connection) -> dict[str, int]:
    """Return how many hooks are active, disabled, or have an open breaker."""
    is_open = HOOK_STATE.c.breaker_until.is_not(None).label("is_open")
    counted = select(HOOK.c.active, is_open, func.count().label("number"))
    counted = counted.join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    rows = conn.execute(counted.where(HOOK.c.deleted_at.is_(None)).group_by(HOOK.c.active, is_open))
    counts = {"active": 0, "disabled": 0, "breaker_open": 0}
    for row in rows:
        state = "disabled" if not row.active else "breaker_open" if row.is_open else "active"
        counts[state] += row.number
    return counts


_MAX_BREAKERS = 20


def open_breakers(conn: Connection, account: AccountId | None) -> tuple[OpenBreaker, ...]:
    """Return the open breakers of an account, or (None) of all, ordered by their next probe."""
    columns = (HOOK.c.id, HOOK.c.name, HOOK_STATE.c.breaker_until, HOOK_STATE.c.failures_in_a_row)
    query = select(*columns).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    query = query.where(HOOK_STATE.c.breaker_until.is_not(None), HOOK.c.deleted_at.is_(None))
    query = query.where(HOOK.c.active, in_account(HOOK, account))
    rows = conn.execute(query.order_by(HOOK_STATE.c.breaker_until, HOOK.c.id).limit(_MAX_BREAKERS))
    return tuple(
        OpenBreaker(
            hook=row.id,
            name=row.name,
            probe_at=to_rfc3339(row.breaker_until),
            failures=row.failures_in_a_row,
        )
        for row in rows
    )


def signing_secrets(
    conn: Connection, vault: Vault, hook: HookId, ids: Sequence[int]
) -> list[LiveSecret]:
    """Return the given secrets of a hook that still exist, newest first."""
    query = SEALED_SECRETS.where(SECRET.c.hook_id == hook, SECRET.c.id.in_(list(ids)))
    rows = conn.execute(query.order_by(SECRET.c.id.desc()))
    return [live_secret(row, vault) for row in starmap(SealedSecret, rows)]


def deleted_hooks_with_backlog(conn: Connection) -> list[HookId]:
    """Return the deleted hooks with deliveries that are not cancelled, or have a cause, yet."""
    left = select(HOOK.c.id).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    with_cause = select(DELIVERY.c.id).where(
        DELIVERY.c.hook_id == HOOK.c.id, DELIVERY.c.cause.is_not(None)
    )
    left = left.where(
        HOOK.c.deleted_at.is_not(None), or_(HOOK_STATE.c.waiting > 0, has_row(with_cause))
    )
    return [HookId(hook) for hook in conn.execute(left).scalars()]


def stored_before(conn: Connection, at_ms: int) -> int | None:
    """Return when anything was last stored before a time (ms); None: never, or it is forgotten."""
    events = select(func.max(EVENT.c.id)).where(EVENT.c.id < floor_at(at_ms))
    newest = conn.execute(events).scalar_one()
    # The empty row of a feed has no time.
    changes = select(func.max(FEED.c.at_ms)).where(FEED.c.at_ms.between(1, at_ms - 1))
    times = (None if newest is None else time_of(newest), conn.execute(changes).scalar_one())
    return max((time_ms for time_ms in times if time_ms is not None), default=None)
