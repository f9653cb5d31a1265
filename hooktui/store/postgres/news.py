"""What a server asks to learn what the others did: the feed, the hooks, the key, the time."""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import Connection, text

from hooktui.domain.ids import HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.store.keys import ID_BYTES, Vault
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.pause import is_paused
from hooktui.store.postgres import sql
from hooktui.store.postgres.clock import DatabaseClock

_INSTALLATION = text("SELECT live_version, sealed FROM installation")


class News(NamedTuple):
    """What people changed: the version of that, the key that seals, the pause, and the hooks."""

    version: int
    key: bytes
    paused: bool
    hooks: dict[HookId, LiveHook | None]


def changed_hooks(conn: Connection, vault: Vault, known: int, now_ms: int) -> News:
    """Return what people changed since a version; below 0: all hooks."""
    version, sealed = conn.execute(_INSTALLATION).one()
    if known < 0:
        hooks = load_live_hooks(conn, vault, now_ms)
    else:
        rows = conn.execute(text(sql.CHANGED_HOOKS), {"known": known}).scalars().all()
        changed = [HookId(hook) for hook in rows]
        hooks = load_live_hooks(conn, vault, now_ms, changed) if changed else {}
    return News(version, sealed[:ID_BYTES], is_paused(conn), hooks)


def look(conn: Connection, clock: DatabaseClock) -> tuple[int, int]:
    """Return the newest line of the feed and the version of the hooks; the clock hears the time."""
    asked_ns = time.monotonic_ns()
    newest, version, database_ms = conn.execute(text(sql.NEWEST)).one()
    clock.heard(database_ms, asked_ns)
    return newest, version
