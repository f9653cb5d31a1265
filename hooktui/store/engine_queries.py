"""What the engine looks up: when something is due (on SQLite), and what signed an attempt."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from hooktui.domain.ids import HookId
from hooktui.domain.live_hook import LiveSecret
from hooktui.store import queue_sql as sql
from hooktui.store.keys import Vault
from hooktui.store.live_hooks import live_secret
from hooktui.store.tables import HOOK, SECRET


def next_due(conn: Connection, hooks: Sequence[tuple[HookId, bool]]) -> dict[HookId, int]:
    """Return when (ms) something of hooks is due; each comes with whether it is ordered."""
    found: dict[HookId, int] = {}
    for hook, ordered in hooks:
        statements = (sql.FIRST_IN_LINE_DUE,) if ordered else (sql.NEXT_FIRST_TRY, sql.NEXT_RETRY)
        times = [conn.exec_driver_sql(each, (hook,)).scalar() for each in statements]
        due = [due_ms for due_ms in times if due_ms is not None]
        if due:
            found[hook] = min(due)
    return found


def signing_secrets(
    conn: Connection, vault: Vault, hook: HookId, ids: Sequence[int]
) -> list[LiveSecret]:
    """Return those of a hook's secrets that still exist, newest first."""
    wanted = select(SECRET, HOOK.c.account_id).join(HOOK, HOOK.c.id == SECRET.c.hook_id)
    wanted = wanted.where(SECRET.c.hook_id == hook, SECRET.c.id.in_(list(ids)))
    rows = conn.execute(wanted.order_by(SECRET.c.id.desc())).mappings()
    return [live_secret(row, vault) for row in rows]
