"""The audit trail: who did what, each entry bound to the one before by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, func, insert, select, text

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.access import AuditBreak, AuditCheck, AuditHead
from hooktui.store.audit_key import (
    ChainKey,
    LastEntry,
    as_bytes,
    chain_of,
    make_chain_key,
    newest_entry,
    note_last,
)
from hooktui.store.tables import AUDIT, inserted_id
from hooktui.store.vault import Vault

FIRST = bytes(32)
"""The previous hash of the first entry."""

CHECKED_AT_ONCE = 20_000
"""Entries checked by one call: about 0.1 s, so other queries are not delayed."""

_NO_KEY = "the key of the trail was removed or changed in the database: nothing can be proved"

SERVER = Actor("hooktui", Role.ADMIN, "the server itself")
"""The actor of changes that no person made."""

_REFUSE: Final = "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
ON_SQLITE: Final = {
    "audit_refuses_update": f"CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit {_REFUSE}",
    "audit_refuses_delete": f"CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit {_REFUSE}",
    "audit_refuses_replace": f"""CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) {_REFUSE}""",  # noqa: S608
}
_TRIGGERS: Final = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
_TRIGGER: Final = text(
    """SELECT count(*) FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE t.tgrelid = 'audit'::regclass AND t.tgname = 'audit_refuses' AND t.tgtype = 58
    AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL AND t.tgattr::text = ''
    AND btrim(p.prosrc) = 'BEGIN RAISE EXCEPTION ''the audit trail is append-only''; END'"""
)  # 58: before update, delete and truncate, for each statement; on all columns, unconditionally
_GIVEN_ON_SQLITE: Final = text("SELECT max(seq) FROM sqlite_sequence WHERE name = 'audit'")
_GIVEN: Final = text(
    """SELECT last_value FROM pg_sequences
    WHERE format('%I.%I', schemaname, sequencename)
      = pg_get_serial_sequence('audit', 'id')"""
)


def append(
    conn: Connection,
    vault: Vault,
    at_ms: int,
    actor: Actor,
    action: str,
    target: str,
    *,
    account: AccountId | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    result: str = "done",
) -> None:
    """Append an entry to the chain, without a hash key if the key was removed.

    ``before`` and ``after`` hold the changes, sensitive values masked. The entry is noted as the
    last one only if the entry before it was: a truncated trail stays detectable.
    """
    chain = chain_of(conn, vault)
    last, previous = newest_entry(conn)
    row = Row(
        at_ms=at_ms,
        account_id=account,
        user=actor.user,
        role="none" if actor.role is None else actor.role.value,
        origin=actor.origin,
        action=action,
        target=target,
        before=_json(before),
        after=_json(after),
        result=result,
        previous=previous or FIRST,
        hash=b"",
    )
    hashed = chain_hash(row.previous, row._asdict(), None if chain is None else chain[0])
    made = conn.execute(insert(AUDIT).values(**row._replace(hash=hashed)._asdict()))
    if chain is not None:
        key, noted = chain
        if noted.is_entry(last, previous, key):
            note_last(conn, key, inserted_id(made), hashed)


def start_keyed_chain(conn: Connection, vault: Vault) -> None:
    """Create the key of the chain; a trail that has entries records this in a new entry."""
    first = make_chain_key(conn, vault)
    if first > 1:
        after = {"keyed_from": first}
        append(conn, vault, now_ms(), SERVER, "audit.key", "audit trail", after=after)


class Row(NamedTuple):
    """The columns of an entry except its id."""

    at_ms: int
    account_id: int | None
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


ROW_COLUMNS: Final[list[ColumnElement[Any]]] = [
    *(AUDIT.c[name] for name in Row._fields[:-2]),
    as_bytes(AUDIT.c.previous),
    as_bytes(AUDIT.c.hash),
]


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """An entry as noted outside the database; the chain must still contain it unchanged."""

    id: int
    hash: bytes


def check_chain(
    conn: Connection,
    vault: Vault,
    after: int = 0,
    limit: int = CHECKED_AT_ONCE,
    known: KnownEntry | None = None,
) -> AuditCheck:
    """Check whether the entries after one (0: from the first) continue the chain to its end.

    ``limit`` entries at most are checked. ``known`` is an entry that the chain must contain: a
    restored backup, or a trail rewritten with the vault's key, is consistent in itself and found
    only by this.
    """
    chain = chain_of(conn, vault)
    if chain is None:
        return _broken(0, None, max(after, 1), _NO_KEY)
    key, noted = chain
    last = _link(conn, after)
    if last is None:
        return _broken(0, None, after, "the entry that was checked last is missing")
    entries, head, previous = 0, None, last
    rows = select(AUDIT.c.id, *ROW_COLUMNS).where(AUDIT.c.id > after).order_by(AUDIT.c.id)
    for entry, *values in conn.execute(rows.limit(limit + 1)):
        if entries == limit:
            return AuditCheck(entries, head, None, after, key.first)
        row = Row(*values)
        fault = _entry_fault(entry, row, previous, after, known, key)
        if fault is not None:
            return _broken(entries, head, entry, fault)
        entries, after, previous = entries + 1, entry, row.hash
        head = AuditHead(after, to_rfc3339(row.at_ms), previous.hex())
    if known is not None and known.id > after:
        return _broken(entries, head, known.id, f"the trail ends at entry {after}: truncated")
    fault = _end_fault(conn, key, noted)
    if fault is not None:
        return _broken(entries, head, max(after, 1), fault)
    return AuditCheck(entries, head, None, None, key.first)


@dataclass(frozen=True, slots=True)
class TrailState:
    """The last entry as ``ID:HASH`` and the fault at the end of the trail, each None if absent."""

    head: str | None
    fault: str | None


def trail_state(conn: Connection, vault: Vault) -> TrailState:
    """Check the end of the trail and its guards without reading all entries."""
    last, last_hash = newest_entry(conn)
    head = None if last_hash is None else f"{last}:{last_hash.hex()}"
    chain = chain_of(conn, vault)
    return TrailState(head, _NO_KEY if chain is None else _end_fault(conn, *chain))


def _end_fault(conn: Connection, key: ChainKey, noted: LastEntry) -> str | None:
    """Return the fault at the end of the trail or in its guards; None: no fault. Cheap.

    An entry may have been added after ``noted`` was read.
    """
    newest = conn.execute(select(func.max(AUDIT.c.id))).scalar() or 0
    if newest < noted.id:
        return f"entry {noted.id} was the last one, but the trail ends at {newest}: truncated"
    last_hash = conn.execute(select(as_bytes(AUDIT.c.hash)).where(AUDIT.c.id == noted.id)).scalar()
    if last_hash is None and noted.id:
        return f"entry {noted.id} was the last one, but is missing: the trail was truncated"
    if not noted.is_entry(noted.id, last_hash, key):
        return "the note of the last entry was changed in the database"
    if missing := _missing_triggers(conn):
        named = ", ".join(missing)
        return f"entries can be changed in the database: it lacks the trigger {named}"
    return _numbers_fault(conn, newest)


def _missing_triggers(conn: Connection) -> list[str]:
    """Return the names of triggers that protect entries and are missing or changed."""
    if conn.dialect.name != "sqlite":
        return [] if conn.execute(_TRIGGER).scalar_one() else ["audit_refuses"]
    triggers = {name.lower(): _plain(sql or "") for name, sql in conn.execute(_TRIGGERS)}
    return [name for name, sql in ON_SQLITE.items() if triggers.get(name) != _plain(sql)]


def _numbers_fault(conn: Connection, last: int) -> str | None:
    """Return why the database's entry counter contradicts the last entry; None: it does not.

    SQLite gives each number once; PostgreSQL skips those of transactions that were rolled back.
    """
    if conn.dialect.name == "sqlite":
        given = conn.execute(_GIVEN_ON_SQLITE).scalar() or 0
        is_right = given == last
    else:
        given = conn.execute(_GIVEN).scalar() or 0
        is_right = given >= last
    if is_right:
        return None
    return f"numbers up to {given} were given to entries, but the last one is {last}"


def _plain(sql: str) -> str:
    return " ".join(sql.split()).lower()


def _link(conn: Connection, after: int) -> bytes | None:
    if after == 0:
        return FIRST
    return conn.execute(select(as_bytes(AUDIT.c.hash)).where(AUDIT.c.id == after)).scalar()


def _entry_fault(
    entry: int, row: Row, previous: bytes, before: int, known: KnownEntry | None, key: ChainKey
) -> str | None:
    """Return why an entry does not continue the chain; None: it does."""
    keyed = key if entry >= key.first else None
    if row.hash != chain_hash(row.previous, row._asdict(), keyed):
        return "it was changed: its hash does not match its content"
    if row.previous != previous:
        place = f"entry {before}" if before else "the beginning"
        return f"it does not continue {place}: entries between them were removed or replaced"
    if known is not None and entry == known.id and row.hash != known.hash:
        return "its hash differs from the noted one: the trail was rewritten up to here"
    if known is not None and before < known.id < entry:
        return f"entry {known.id}, whose hash was noted, is missing"
    return None


def _broken(entries: int, head: AuditHead | None, entry: int, reason: str) -> AuditCheck:
    return AuditCheck(entries, head, AuditBreak(entry, reason), None)


def chain_hash(previous: bytes, values: Mapping[str, object], key: ChainKey | None) -> bytes:
    """Return the hash of an entry over the previous hash and its own content.

    ``key`` is None for entries written before the chain was keyed.
    """
    content = previous + msgspec.json.encode([values[name] for name in Row._fields[:-2]])
    return hashlib.sha256(content).digest() if key is None else key.hash(content)


def _json(values: Mapping[str, object] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values, order="sorted").decode()
