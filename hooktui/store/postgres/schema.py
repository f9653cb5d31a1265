"""Creates or upgrades the schema of a PostgreSQL database at the first server's start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from hooktui import failpoints
from hooktui.domain.errors import Conflict
from hooktui.domain.text import counted
from hooktui.store.audit_key import make_chain_key
from hooktui.store.key_ring import find_keys, keys_are_there
from hooktui.store.migrations import at_head, upgrade
from hooktui.store.postgres import locks
from hooktui.store.postgres.connections import DatabaseAddress, Raw, explain
from hooktui.store.postgres.pools import engine
from hooktui.store.postgres.server_registry import servers
from hooktui.store.postgres.shared_key import (
    key_of_installation,
    open_installation,
    seal_installation,
)
from hooktui.store.tables import HOOK
from hooktui.store.vault import KeyProblem, Vault

_INSTALLATIONS = """
SELECT schemas.nspname FROM pg_class AS tables JOIN pg_namespace AS schemas
  ON schemas.oid = tables.relnamespace
WHERE tables.relkind = 'r'
  AND tables.relname IN ('account', 'audit', 'delivery', 'event', 'installation', 'live_change')
GROUP BY schemas.nspname HAVING count(*) = 6 ORDER BY schemas.nspname"""
"""The schemas of a database that hold our tables: some of those that every version has."""


class OtherKeys(KeyProblem):
    """The keys of this home are not those of the database."""


async def prepare(
    connect: Callable[[], Awaitable[Raw]], key_file: Path, target: DatabaseAddress
) -> Vault:
    """Migrate a database, and return the vault that encrypts its secrets.

    Raises:
        SchemaTooNew: a newer version wrote it.
        KeyProblem: the key file is missing.
        OtherKeys: it is not the one of this database.
        HooktuiError: the user lacks a right, or the database failed.
    """
    pool = engine(connect, 1, "READ COMMITTED")
    try:
        async with pool.begin() as conn:
            await conn.run_sync(migrate, key_file)
        async with pool.begin() as conn:
            return await conn.run_sync(_open_vault, key_file, target)
    except DBAPIError as error:
        raise explain(error, target) from error
    finally:
        await pool.dispose()


def migrate(conn: Connection, key_file: Path) -> None:
    """Upgrade the schema; another server that does the same waits.

    Raises:
        Conflict: servers of an older version work on it, or ``search_path`` leads to a
            schema without the tables that the database has.
        SchemaTooNew: a newer version wrote it.
        KeyProblem: values must be encrypted again, and their key is missing.
    """
    conn.execute(text(f"SELECT pg_advisory_xact_lock({locks.MIGRATION})"))
    if at_head(conn):
        return
    if working := conn.execute(text(locks.SERVERS_AT_WORK)).scalar_one():
        known = ", ".join(f"{server.name} (process {server.pid})" for server in servers(conn))
        raise Conflict(
            f"this database is in use by {counted(working, 'server')} of an older version"
            f"{known and f': {known}'}; stop all of them, then start this version"
        )
    check_search_path(conn)
    upgrade(conn, partial(_vault_in_use, conn, key_file))
    failpoints.hit("before_migration_commit")


def check_search_path(conn: Connection) -> None:
    """Check that new tables would be in the schema that has the others.

    New ones are created in the first schema of ``search_path``: one with the name of the user, once
    it exists. A second installation would hide the hooks of the first, and take its locks: these
    belong to the database.

    Raises:
        Conflict: they would be in another one.
    """
    own = conn.execute(text("SELECT current_schema()")).scalar()
    first = own or "no schema that exists"
    others = conn.execute(text(_INSTALLATIONS)).scalars().all()
    if others and own not in others:
        raise Conflict(
            f"hooktui's tables are in the schema {others[0]} of this database, but search_path "
            f"begins with {first}. For those tables, let the search_path of this user begin with "
            f"{others[0]}; a new installation needs a database of its own (createdb)"
        )


def _vault_in_use(conn: Connection, key_file: Path) -> Vault:
    """Return the vault of a database that servers have used."""
    vault = Vault(find_keys(key_file).keys)
    open_installation(conn, vault)
    return vault


def _open_vault(conn: Connection, key_file: Path, target: DatabaseAddress) -> Vault:
    """Load the keys, and check that they decrypt the value of this database's first server."""
    conn.execute(text(f"SELECT pg_advisory_xact_lock({locks.MIGRATION})"))
    in_use = key_of_installation(conn) is not None
    is_new = not in_use and conn.execute(select(HOOK.c.id).limit(1)).first() is None
    if not is_new and not keys_are_there(key_file):
        raise KeyProblem(
            f"the key file {key_file} is missing, and {target.shown} is already in use: all "
            "servers of a database share one key file. Copy it from another server's home, "
            "or from a backup"
        )
    ring = find_keys(key_file, database_is_new=is_new)
    vault = Vault(ring.keys)
    try:
        if not open_installation(conn, vault):
            seal_installation(conn, vault)
            make_chain_key(conn, vault)
    except KeyProblem as error:
        raise OtherKeys(
            f"{ring.source} does not decrypt {target.shown}: all servers of a database share "
            "one key file. Copy it from another server's home"
        ) from error
    return vault
