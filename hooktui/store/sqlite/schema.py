"""Creates or upgrades the schema of an SQLite database when a server opens it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection

from hooktui import failpoints
from hooktui.store.audit_key import chain_of
from hooktui.store.key_ring import find_keys
from hooktui.store.migrations import at_head, upgrade
from hooktui.store.sqlite.backup import remove_drafts
from hooktui.store.sqlite.connections import open_writer, sqlalchemy_over
from hooktui.store.sqlite.files import make_database_file
from hooktui.store.sqlite.moved_marker import refuse_moved
from hooktui.store.sqlite.restore import finish_restore
from hooktui.store.vault import Vault


def prepare(database: Path, key_file: Path) -> tuple[sqlite3.Connection, Connection, Vault]:
    """Open or create a database and migrate it; the caller holds its lock.

    Returns:
        The writer's connection, SQLAlchemy's form of it, and the vault.

    Raises:
        Moved: all of its data was moved to PostgreSQL.
        KeyProblem: the key file is missing, readable by others, or not the right one.
        SchemaTooNew: a newer version wrote it.
    """
    refuse_moved(database)
    finish_restore(database)
    remove_drafts(database)
    vault = Vault(find_keys(key_file, database_is_new=not database.exists()).keys)
    make_database_file(database)
    raw = open_writer(database)
    try:
        conn = sqlalchemy_over(raw)
        if not at_head(conn):
            _migrate(raw, conn, vault)
        chain_of(conn, vault)  # a missing key of the trail is reported now, not at the first change
    except BaseException:
        raw.close()
        raise
    return raw, conn, vault


def _migrate(raw: sqlite3.Connection, conn: Connection, vault: Vault) -> None:
    raw.execute("BEGIN IMMEDIATE")
    try:
        upgrade(conn, lambda: vault)
        failpoints.hit("before_migration_commit")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    raw.execute("COMMIT")
