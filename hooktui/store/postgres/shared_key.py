"""The encrypting key of a database that several servers share.

The value in ``installation`` is encrypted with that key, so each server knows it as of the last
change of any of them. A session of a server holds a lock for each key that the server has; so a
rotation detects servers that lack the new key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    select,
    text,
    update,
)

from hooktui.domain.errors import Conflict
from hooktui.store.postgres import locks, sql
from hooktui.store.tx import Tx
from hooktui.store.vault import ID_BYTES, Vault

INSTALLATION: Final = Table(
    "installation",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("live_version", BigInteger),
    Column("sealed", LargeBinary),
)
"""Values that the servers of one database share; one row. SQLite has no such table."""
_CONTENT, _PLACE = "hooktui", ("installation", 1)

_WITHOUT: Final = text(f"""
SELECT server.objid::bigint FROM pg_locks AS server
WHERE server.locktype = 'advisory' AND server.classid = {locks.SERVERS} AND server.granted
  AND server.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND NOT EXISTS (
    SELECT 1 FROM pg_locks AS key WHERE key.locktype = 'advisory' AND key.granted
      AND key.classid = {locks.KEYS} AND key.objid = :key AND key.pid = server.pid
      AND key.database = server.database)
ORDER BY 1""")  # noqa: S608 - integers of ours


def is_shared(conn: Connection) -> bool:
    """Return whether several servers may share this database."""
    return conn.dialect.name == "postgresql"


def key_of_installation(conn: Connection) -> bytes | None:
    """Return the key that encrypts for all servers; None before the first server's start."""
    sealed = conn.execute(select(INSTALLATION.c.sealed)).scalar_one()
    return None if sealed is None else sealed[:ID_BYTES]


def open_installation(conn: Connection, vault: Vault) -> bool:
    """Check that keys decrypt the first server's value, and use its key; False: no server yet.

    Raises:
        KeyProblem: they do not.
    """
    sealed = conn.execute(select(INSTALLATION.c.sealed)).scalar_one()
    if sealed is None:
        return False
    vault.decrypt(sealed, *_PLACE)
    vault.encrypt_with(sealed[:ID_BYTES])
    return True


def seal_installation(conn: Connection, vault: Vault) -> None:
    """Store a value by which every server checks its keys."""
    conn.execute(update(INSTALLATION).values(sealed=vault.encrypt(_CONTENT, *_PLACE)))


def switch_installation(tx: Tx, key: bytes, place: str, server: int) -> None:
    """Encrypt with another key of a server from this transaction on, in all servers.

    Raises:
        Conflict: a running server lacks the key and could decrypt nothing any more.
    """
    tx.conn.execute(text(f"SELECT pg_advisory_xact_lock({locks.MIGRATION})"))  # no start meanwhile
    lacking = tx.conn.execute(_WITHOUT, {"key": int.from_bytes(key)}).scalars().all()
    others = [number for number in lacking if number != server]
    if others:
        named = f"server{'s' * (len(others) > 1)} {', '.join(map(str, others))}"
        raise Conflict(
            f"key {key.hex()} exists but does not encrypt yet, because it is missing on {named}:"
            f" copy {place} into the home there, restart the server, and repeat this"
        )
    tx.vault.encrypt_with(key)
    seal_installation(tx.conn, tx.vault)
    # Every server reads this number in each transaction, and the key when the number has changed.
    tx.conn.execute(text(sql.NEW_VERSION))


def key_locks(keys: Iterable[bytes]) -> list[int]:
    """Return the locks of keys, for the session that holds a server's number."""
    return [locks.KEYS << 32 | int.from_bytes(key) for key in sorted(keys)]
