"""The audit trail: who did what, each entry bound to the one before by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select

from hooktui.domain.audit_trail import AuditBreak, AuditCheck, AuditHead
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Role
from hooktui.store.contract import Actor
from hooktui.store.tables import AUDIT

FIRST = bytes(32)
"""What the first entry names as the hash before it."""

CHECKED_AT_ONCE = 20_000
"""Entries that one look takes in: a tenth of a second, and nobody waits behind it."""

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
        "role": "none" if entry.actor.role is None else entry.actor.role.value,
        "origin": entry.actor.origin,
        "action": entry.action,
        "target": entry.target,
        "before": _json(entry.before),
        "after": _json(entry.after),
        "result": entry.result,
    }
    before = previous or FIRST
    return {**values, "previous": before, "hash": chain_hash(before, values)}


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """An entry as somebody noted it elsewhere: the chain must still have it, as it was."""

    id: int
    hash: bytes


def check_chain(
    conn: Connection, after: int = 0, most: int = CHECKED_AT_ONCE, known: KnownEntry | None = None
) -> AuditCheck:
    """Look whether the entries behind one (0: from the first) continue the chain.

    Args:
        conn: reads.
        after: the entry behind which to look; it was looked at before.
        most: entries to look at.
        known: what must be in the chain; a trail that was cut off, or written anew from some
            entry on, fits together all the same.
    """
    last = _link(conn, after)
    if last is None:
        return _broken(0, None, after, "the entry that was looked at just before is gone")
    entries, head, previous = 0, None, last
    rows = select(AUDIT).where(AUDIT.c.id > after).order_by(AUDIT.c.id).limit(most + 1)
    for row in conn.execute(rows).mappings():
        if entries == most:
            return AuditCheck(entries, head, None, after)
        wrong = _wrong(row, previous, after, known)
        if wrong is not None:
            return _broken(entries, head, int(row["id"]), wrong)
        entries, after, previous = entries + 1, int(row["id"]), row["hash"]
        head = AuditHead(after, to_rfc3339(row["at_ms"]), previous.hex())
    if known is not None and known.id > after:
        return _broken(entries, head, known.id, f"the trail ends with entry {after}: it was cut")
    return AuditCheck(entries, head, None, None)


def _link(conn: Connection, after: int) -> bytes | None:
    if after == 0:
        return FIRST
    return conn.execute(select(AUDIT.c.hash).where(AUDIT.c.id == after)).scalar()


def _wrong(row: RowMapping, previous: bytes, before: int, known: KnownEntry | None) -> str | None:
    """Return what is wrong with an entry, None: it continues the chain."""
    if row["hash"] != chain_hash(row["previous"], {name: row[name] for name in _COLUMNS}):
        return "it was changed: its hash does not fit what it says"
    if row["previous"] != previous:
        place = f"entry {before}" if before else "the beginning"
        return f"it does not continue {place}: what stood between was removed, or written anew"
    if known is not None and row["id"] == known.id and row["hash"] != known.hash:
        return "its hash is not the one that was noted: the trail was written anew up to here"
    if known is not None and before < known.id < row["id"]:
        return f"entry {known.id}, whose hash was noted, is not there"
    return None


def _broken(entries: int, head: AuditHead | None, entry: int, reason: str) -> AuditCheck:
    return AuditCheck(entries, head, AuditBreak(entry, reason), None)


def chain_hash(previous: bytes, values: Mapping[str, object]) -> bytes:
    """Return the hash of an entry: over the hash before it and all that it says."""
    content = msgspec.json.encode([values[name] for name in _COLUMNS])
    return hashlib.sha256(previous + content).digest()


def _json(values: Mapping[str, object] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values, order="sorted").decode()
