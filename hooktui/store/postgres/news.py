"""What a server asks to learn what the others did: the feed, the hooks, the key, the time."""

from __future__ import annotations

import time

from sqlalchemy import Connection, text

from hooktui.domain.hooks import LiveHook
from hooktui.domain.ids import HookId
from hooktui.store.keys import ID_BYTES, Vault
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.postgres import sql
from hooktui.store.postgres.clock import DatabaseClock

_INSTALLATION = text("SELECT live_version, sealed FROM installation")


def changed_hooks(
    conn: Connection, vault: Vault, known: int, now_ms: int
) -> tuple[int, bytes, dict[HookId, LiveHook | None]]:
    """Return the version of the hooks, the key that seals, and what changed since a version."""
    version, sealed = conn.execute(_INSTALLATION).one()
    key = sealed[:ID_BYTES]
    if known < 0:
        return version, key, load_live_hooks(conn, vault, now_ms)
    changed = conn.execute(text(sql.CHANGED_HOOKS), {"known": known}).scalars().all()
    hooks = [HookId(hook) for hook in changed]
    return version, key, load_live_hooks(conn, vault, now_ms, hooks) if hooks else {}


def look(conn: Connection, clock: DatabaseClock) -> tuple[int, int]:
    """Return the newest line of the feed and the version of the hooks; the clock hears the time."""
    asked_ns = time.monotonic_ns()
    newest, version, database_ms = conn.execute(text(sql.NEWEST)).one()
    clock.heard(database_ms, asked_ns)
    return newest, version
