"""Checks the rows of a store in either database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, text

from hooktui.doctor.rules import (
    assess_alerts,
    assess_leases,
    assess_newest,
    assess_tokens,
    assess_waiting,
)
from hooktui.domain.clock import from_rfc3339, now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.ids import time_of
from hooktui.domain.text import counted
from hooktui.domain.wire.diagnosis import Check
from hooktui.store import queries
from hooktui.store.audit import trail_state
from hooktui.store.key_ring import find_keys, keys_are_there
from hooktui.store.key_rotation import count_by_key
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.migrations import HEAD, at_head
from hooktui.store.vault import Vault

_LEASES = text(
    "SELECT count(*), count(*) FILTER (WHERE lease_until < :now) FROM delivery"
    " WHERE status = 'sending'"
)
_ENDLESS = text("SELECT id, name FROM token WHERE expires_at IS NULL ORDER BY id")
_NEWEST = text("SELECT max(id) FROM event")


def check_rows(
    conn: Connection,
    key: Callable[[Connection, Path], Check],
    key_file: Path,
    now: int,
    *,
    working: bool,
) -> Iterator[Check]:
    """Check schema, key file, leases, backlog, and tokens in a read-only transaction.

    ``key`` checks the key file, unless systemd or the environment provides the keys; ``now`` is the
    time of the store; ``working``: a server is running on it.
    """
    schema = _schema(conn)
    yield schema
    if schema.state != "ok":
        return
    opens = key(conn, key_file)
    yield opens
    if opens.state != "fail":
        yield check_trail(conn, key_file)
    held, expired = conn.execute(_LEASES, {"now": now}).one()
    yield assess_leases(held, expired, working=working)
    backlog = queries.backlog(conn, None, now)
    due = backlog.oldest_due_at
    late_s = None if due is None else (now - from_rfc3339(due)) / 1000
    yield assess_waiting(backlog.count, backlog.held, late_s, working=working)
    alerts = queries.alert_counts(conn, None)
    yield assess_alerts(queries.alert_path(conn, None), alerts.open)
    newest = conn.execute(_NEWEST).scalar()
    yield assess_newest(None if newest is None else time_of(newest), now)
    yield assess_tokens([(row.id, row.name) for row in conn.execute(_ENDLESS)])


def check_key(conn: Connection, key_file: Path) -> Check:
    """Decrypt everything that a start would decrypt."""
    try:
        ring = find_keys(key_file)
        hooks = load_live_hooks(conn, Vault(ring.keys), now_ms())
        counts = count_by_key(conn)
    except HooktuiError as error:
        return Check("key file", "fail", error.detail, "restore the key file of this database")
    refused = [hook for hook, live in hooks.items() if live and live.refusal]
    if refused:
        named = ", ".join(map(str, refused[:5]))
        value = (
            f"nothing is sent to {counted(len(refused), 'hook')}, such as {named}: the encrypted"
            " values do not belong to the account, hook and URL"
        )
        return Check(
            "key file",
            "fail",
            value,
            "the database was changed outside hooktui: restore a backup, or delete and create them",
        )
    opens = f"decrypts the secrets of {'all ' * (len(hooks) > 1)}{counted(len(hooks), 'hook')}"
    if ring.kind == "environment":
        value = f"{opens}; the keys come from {ring.source}"
        return Check("key file", "warn", value, "use a file: programs can read the environment")
    older = sum(values for key, values in counts.items() if key != ring.keys[0].id)
    if older:
        value = f"{opens}; an older key encrypts {counted(older, 'value')}"
        return Check("key file", "warn", value, "finish the rotation: hooktui keys rotate")
    return Check("key file", "ok", opens)


def check_trail(conn: Connection, key_file: Path) -> Check:
    """Check the end of the audit trail and its guards, not all of its entries."""
    if not keys_are_there(key_file):  # nothing was ever written
        return Check("audit trail", "ok", "empty")
    try:
        state = trail_state(conn, Vault(find_keys(key_file).keys))
    except HooktuiError as error:
        return Check("audit trail", "fail", error.detail, "restore the key file of this database")
    if state.fault is not None:
        advice = "find out who changed the database; hooktui audit verify names the first bad entry"
        return Check("audit trail", "fail", state.fault, advice)
    if state.head is None:
        return Check("audit trail", "ok", "empty")
    return Check("audit trail", "ok", f"the last entry is {state.head[:24]}…")


def _schema(conn: Connection) -> Check:
    try:
        if at_head(conn):
            return Check("schema", "ok", HEAD)
    except HooktuiError as error:
        return Check("schema", "fail", error.detail, "upgrade hooktui, or restore a backup")
    return Check("schema", "warn", f"older than {HEAD}", "the next start migrates it; back it up")
