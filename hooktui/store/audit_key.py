"""The key of the audit trail's chain, and the authenticated note of its last entry.

The key is random, encrypted by the vault, and stays the same when the vault's keys are rotated, so
old entries stay verifiable. The id of the first keyed entry is stored with it; earlier entries were
hashed without a key. Database access without the vault's key is not enough to append an entry, to
change one, or to make another one the last.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    cast,
    insert,
    select,
    update,
)

from hooktui.store.tables import AUDIT, AUDIT_CHAIN
from hooktui.store.vault import ValueMoved, Vault

_PLACE: Final = ("audit_chain", 1)
_KEY_BYTES: Final = 32


class _Content(msgspec.Struct):
    """The encrypted content."""

    key: str
    first: int


@dataclass(frozen=True, slots=True)
class ChainKey:
    """The key and the id of the first entry that was hashed with it."""

    value: bytes = field(repr=False)
    first: int

    def hash(self, content: bytes) -> bytes:
        """Return the hash of an entry."""
        return hmac.digest(self.value, b"entry" + content, "sha256")

    def mark(self, last: int, last_hash: bytes) -> bytes:
        """Return the proof that an entry is the last one."""
        return hmac.digest(self.value, b"last%d:" % last + last_hash, "sha256")


@dataclass(frozen=True, slots=True)
class LastEntry:
    """The last entry as noted when it was written."""

    id: int
    mark: bytes

    def is_entry(self, entry: int, hashed: bytes | None, key: ChainKey) -> bool:
        """Return whether the note names this entry (0: none) and was made with the key."""
        return entry == self.id and hmac.compare_digest(self.mark, key.mark(entry, hashed or b""))


def make_chain_key(conn: Connection, vault: Vault) -> int:
    """Create the key of a trail, empty or not; return the first entry that it will hash."""
    last, last_hash = newest_entry(conn)
    key = ChainKey(secrets.token_bytes(_KEY_BYTES), last + 1)
    mark = key.mark(last, last_hash or b"")
    conn.execute(insert(AUDIT_CHAIN).values(id=1, last=last, mark=mark, sealed=_sealed(key, vault)))
    return key.first


def as_bytes(column: Column[bytes]) -> ColumnElement[bytes]:
    """Return a column whose values are bytes: SQLite also keeps values of another type."""
    return cast(column, LargeBinary).label(column.name)


def newest_entry(conn: Connection) -> tuple[int, bytes | None]:
    """Return the id and the hash of the newest entry; 0 and None if there is none."""
    newest = select(AUDIT.c.id, as_bytes(AUDIT.c.hash)).order_by(AUDIT.c.id.desc()).limit(1)
    row = conn.execute(newest).first()
    return (0, None) if row is None else (row.id, row.hash)


def chain_of(conn: Connection, vault: Vault) -> tuple[ChainKey, LastEntry] | None:
    """Return the key and the note; None if they were removed or the key was changed.

    Raises:
        KeyProblem: the vault lacks the key that encrypted the chain's key.
    """
    last, mark, sealed = AUDIT_CHAIN.c.last, AUDIT_CHAIN.c.mark, AUDIT_CHAIN.c.sealed
    row = conn.execute(select(cast(last, BigInteger), as_bytes(mark), as_bytes(sealed))).first()
    if row is None:
        return None
    key = _opened_key(row[2], vault)
    return None if key is None else (key, LastEntry(row[0], row[1]))


def _opened_key(sealed: bytes, vault: Vault) -> ChainKey | None:
    """Return the key from its column; None if it was changed."""
    try:
        content = msgspec.json.decode(vault.decrypt(sealed, *_PLACE), type=_Content)
    except ValueMoved:
        return None
    return ChainKey(bytes.fromhex(content.key), content.first)


def encrypt_key_again(conn: Connection, vault: Vault) -> None:
    """Encrypt the key with the vault's newest key; an unreadable key stays as it is."""
    chain = chain_of(conn, vault)
    if chain is not None:
        conn.execute(update(AUDIT_CHAIN).values(sealed=_sealed(chain[0], vault)))


def _sealed(key: ChainKey, vault: Vault) -> bytes:
    content = msgspec.json.encode(_Content(key.value.hex(), key.first))
    return vault.encrypt(content.decode(), *_PLACE)


def note_last(conn: Connection, key: ChainKey, last: int, last_hash: bytes) -> None:
    """Note an entry as the last one."""
    conn.execute(update(AUDIT_CHAIN).values(last=last, mark=key.mark(last, last_hash)))
