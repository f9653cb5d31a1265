"""The audit trail: who did what, each entry bound to the one before by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, insert, select

from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Role
from hooktui.store.contract import Actor
from hooktui.store.tables import AUDIT

FIRST = bytes(32)
"""What the first entry names as the hash before it."""

SERVER = Actor("hooktui", Role.ADMIN, "the server itself")
"""Who changed a hook when no person did."""

_COLUMNS = (
    "at_ms", "account_id", "user", "role", "origin", "action", "target", "before", "after",
    "result",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act. ``before`` and ``after`` show what changed, with sensitive values masked."""

    at_ms: int
    actor: Actor
    action: str
    target: str
    account: AccountId | None = None
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None
    result: str = "done"


def disabled(hook: HookId, account: AccountId, reason: DisabledReason, at_ms: int) -> Entry:
    """Return the entry of a hook that the server disabled by itself."""
    return Entry(
        at_ms=at_ms,
        actor=SERVER,
        action="hook.change",
        target=f"hook {hook}",
        account=account,
        before={"active": True},
        after={"active": False, "disabled_reason": reason.value},
    )


def append(conn: Connection, entry: Entry) -> None:
    """Add an entry to the end of the chain."""
    previous = conn.execute(select(AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)).scalar()
    conn.execute(insert(AUDIT).values(**row_of(entry, previous)))


def row_of(entry: Entry, previous: bytes | None) -> dict[str, object]:
    """Return the row of an entry, all but its id, after the hash of the one before it."""
    values = {
        "at_ms": entry.at_ms,
        "account_id": entry.account,
        "user": entry.actor.user,
        "role": entry.actor.role.value,
        "origin": entry.actor.origin,
        "action": entry.action,
        "target": entry.target,
        "before": _json(entry.before),
        "after": _json(entry.after),
        "result": entry.result,
    }
    before = previous or FIRST
    return {**values, "previous": before, "hash": chain_hash(before, values)}


def first_broken(conn: Connection) -> int | None:
    """Return the id of the first entry that does not continue the chain, or None."""
    previous = FIRST
    for row in conn.execute(select(AUDIT).order_by(AUDIT.c.id)).mappings():
        expected = chain_hash(previous, {name: row[name] for name in _COLUMNS})
        if row["previous"] != previous or row["hash"] != expected:
            return int(row["id"])
        previous = row["hash"]
    return None


def chain_hash(previous: bytes, values: Mapping[str, object]) -> bytes:
    """Return the hash of an entry: over the hash before it and all that it says."""
    content = msgspec.json.encode([values[name] for name in _COLUMNS])
    return hashlib.sha256(previous + content).digest()


def _json(values: Mapping[str, object] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values, order="sorted").decode()
