"""What is counted for whoever watches the installation."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from hooktui.store.tables import HOOK, HOOK_STATE


def hooks_by_state(conn: Connection) -> dict[str, int]:
    """Return how many hooks are active, disabled, or left alone for a while (breaker open)."""
    is_open = HOOK_STATE.c.breaker_until.is_not(None).label("is_open")
    counted = select(HOOK.c.active, is_open, func.count().label("number"))
    counted = counted.join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    rows = conn.execute(counted.where(HOOK.c.deleted_at.is_(None)).group_by(HOOK.c.active, is_open))
    found = {"active": 0, "disabled": 0, "breaker_open": 0}
    for row in rows:
        state = "disabled" if not row.active else "breaker_open" if row.is_open else "active"
        found[state] += row.number
    return found
