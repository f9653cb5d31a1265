"""Which hooks are being left alone for a while, because their receivers failed in a row."""

from __future__ import annotations

from sqlalchemy import Connection, select

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.ids import AccountId
from hooktui.domain.wire.server import OpenBreaker
from hooktui.store.tables import HOOK, HOOK_STATE, in_account

_MOST = 20


def open_breakers(conn: Connection, account: AccountId | None) -> tuple[OpenBreaker, ...]:
    """Return the open breakers of an account, or (None) of all, whose probe is next first."""
    columns = (HOOK.c.id, HOOK.c.name, HOOK_STATE.c.breaker_until, HOOK_STATE.c.failures_in_a_row)
    wanted = select(*columns).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    wanted = wanted.where(HOOK_STATE.c.breaker_until.is_not(None), HOOK.c.deleted_at.is_(None))
    wanted = wanted.where(HOOK.c.active, in_account(HOOK, account))
    rows = conn.execute(wanted.order_by(HOOK_STATE.c.breaker_until, HOOK.c.id).limit(_MOST))
    return tuple(
        OpenBreaker(
            hook=row.id,
            name=row.name,
            probe_at=to_rfc3339(row.breaker_until),
            failures=row.failures_in_a_row,
        )
        for row in rows
    )
