"""The audit trail: who did what, each entry bound to the one before by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.access import AuditBreak, AuditCheck, AuditHead
from hooktui.store.audit_guards import missing_triggers, wrong_numbers
from hooktui.store.audit_key import (
    ChainKey,
    LastEntry,
    chain_of,
    make_chain_key,
    note_last,
)
from hooktui.store.tables import AUDIT, inserted_id
from hooktui.store.vault import Vault

FIRST = bytes(32)
"""What the first entry names as the hash before it."""

CHECKED_AT_ONCE = 20_000
"""Entries that one look takes in: a tenth of a second, and nobody waits behind it."""

_NO_KEY = "the key of the trail was removed or changed in the database: nothing can be proved"

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


def append(conn: Connection, entry: Entry, vault: Vault) -> None:
    """Add an entry to the end of the chain; without a key where that was removed.

    It becomes the noted last entry only where the one before it was: a trail that was cut off
    shows that for good.
    """
    chain = chain_of(conn, vault)
    newest = conn.execute(select(AUDIT.c.id, AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1))
    last, previous = newest.first() or (0, None)
    row = row_of(entry, previous, None if chain is None else chain[0])
    made = conn.execute(insert(AUDIT).values(**row))
    if chain is not None:
        key, noted = chain
        if noted.is_entry(last, previous, key):
            note_last(conn, key, inserted_id(made), row["hash"])


def start_keyed_chain(conn: Connection, vault: Vault) -> None:
    """Make the key of the chain; a trail that has entries says in a further one that it did."""
    first = make_chain_key(conn, vault)
    if first > 1:
        entry = Entry(
            at_ms=now_ms(), actor=SERVER, action="audit.key", target="audit trail",
            after={"keyed_from": first},
        )  # fmt: skip
        append(conn, entry, vault)


class Row(TypedDict):
    """An entry as its columns, all but its id."""

    at_ms: int
    account_id: AccountId | None
    user: str
    role: str
    origin: str
    action: str
    target: str
    before: str | None
    after: str | None
    result: str
    previous: bytes
    hash: bytes


def row_of(entry: Entry, previous: bytes | None, key: ChainKey | None) -> Row:
    """Return the row of an entry, all but its id, after the hash of the one before it."""
    row: Row = {
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
        "previous": previous or FIRST,
        "hash": b"",
    }
    row["hash"] = chain_hash(row["previous"], {**row}, key)
    return row


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """An entry as somebody noted it elsewhere: the chain must still have it, as it was."""

    id: int
    hash: bytes


def check_chain(
    conn: Connection,
    vault: Vault,
    after: int = 0,
    most: int = CHECKED_AT_ONCE,
    known: KnownEntry | None = None,
) -> AuditCheck:
    """Look whether the entries behind one (0: from the first) continue the chain to its end.

    Args:
        conn: reads.
        vault: opens the key of the chain.
        after: the entry behind which to look; it was looked at before.
        most: entries to look at.
        known: what must be in the chain: a backup of the database that was put back whole, or
            what somebody with the vault's key wrote, fits together all the same.
    """
    chain = chain_of(conn, vault)
    if chain is None:
        return _broken(0, None, max(after, 1), _NO_KEY)
    key, noted = chain
    last = _link(conn, after)
    if last is None:
        return _broken(0, None, after, "the entry that was looked at just before is gone")
    entries, head, previous = 0, None, last
    rows = select(AUDIT).where(AUDIT.c.id > after).order_by(AUDIT.c.id).limit(most + 1)
    for row in conn.execute(rows).mappings():
        if entries == most:
            return AuditCheck(entries, head, None, after, key.first)
        wrong = _wrong(row, previous, after, known, key)
        if wrong is not None:
            return _broken(entries, head, int(row["id"]), wrong)
        entries, after, previous = entries + 1, int(row["id"]), row["hash"]
        head = AuditHead(after, to_rfc3339(row["at_ms"]), previous.hex())
    if known is not None and known.id > after:
        return _broken(entries, head, known.id, f"the trail ends with entry {after}: it was cut")
    wrong = end_is_wrong(conn, key, noted)
    if wrong is not None:
        return _broken(entries, head, max(after, 1), wrong)
    return AuditCheck(entries, head, None, None, key.first)


@dataclass(frozen=True, slots=True)
class TrailState:
    """The last entry as ``ID:HASH``, if there is one, and what is wrong at the end, if anything."""

    head: str | None
    wrong: str | None


def trail_state(conn: Connection, vault: Vault) -> TrailState:
    """Look at the end of the trail and at its guards; cheap."""
    row = conn.execute(
        select(AUDIT.c.id, AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)
    ).first()
    head = None if row is None else f"{row[0]}:{row[1].hex()}"
    chain = chain_of(conn, vault)
    return TrailState(head, _NO_KEY if chain is None else end_is_wrong(conn, *chain))


def end_is_wrong(conn: Connection, key: ChainKey, noted: LastEntry) -> str | None:
    """Return what is wrong with the end of the trail or its guards, None: nothing; cheap.

    An entry may have been added behind the noted one since that was read.
    """
    newest = conn.execute(select(func.max(AUDIT.c.id))).scalar() or 0
    if newest < noted.id:
        return f"entry {noted.id} was the last one, and the trail ends with {newest}: it was cut"
    last_hash = conn.execute(select(AUDIT.c.hash).where(AUDIT.c.id == noted.id)).scalar()
    if last_hash is None and noted.id:
        return f"entry {noted.id} was the last one, and is not there any more: the trail was cut"
    if not noted.is_entry(noted.id, last_hash, key):
        return "which entry is the last one was changed in the database"
    if missing := missing_triggers(conn):
        named = ", ".join(missing)
        return f"entries can be changed in the database: it lacks the trigger {named}"
    return wrong_numbers(conn, newest)


def _link(conn: Connection, after: int) -> bytes | None:
    if after == 0:
        return FIRST
    return conn.execute(select(AUDIT.c.hash).where(AUDIT.c.id == after)).scalar()


def _wrong(
    row: RowMapping, previous: bytes, before: int, known: KnownEntry | None, key: ChainKey
) -> str | None:
    """Return what is wrong with an entry, None: it continues the chain."""
    values = {name: row[name] for name in _COLUMNS}
    keyed = key if row["id"] >= key.first else None
    if row["hash"] != chain_hash(row["previous"], values, keyed):
        return "it was changed: its hash does not fit what it says"
    if row["previous"] != previous:
        place = f"entry {before}" if before else "the beginning"
        return f"it does not continue {place}: what stood between was removed, or written anew"
    if known is not None and row["id"] == known.id and row["hash"] != known.hash:
        return "its hash is not the one that was noted: the trail was rewritten up to here"
    if known is not None and before < known.id < row["id"]:
        return f"entry {known.id}, whose hash was noted, is not there"
    return None


def _broken(entries: int, head: AuditHead | None, entry: int, reason: str) -> AuditCheck:
    return AuditCheck(entries, head, AuditBreak(entry, reason), None)


def chain_hash(previous: bytes, values: Mapping[str, object], key: ChainKey | None) -> bytes:
    """Return the hash of an entry: over the hash before it and all that it says.

    Without a key for entries from before the chain was keyed.
    """
    content = previous + msgspec.json.encode([values[name] for name in _COLUMNS])
    return hashlib.sha256(content).digest() if key is None else key.hash(content)


def _json(values: Mapping[str, object] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values, order="sorted").decode()
