"""The schema of a PostgreSQL database, brought up to date by the first server that comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, text

from hooktui import failpoints
from hooktui.store.keys import KeyProblem, Vault, load_keys
from hooktui.store.migrate import at_head, upgrade
from hooktui.store.postgres import locks
from hooktui.store.postgres.connect import Target
from hooktui.store.postgres.pools import engine
from hooktui.store.tables import HOOK

if TYPE_CHECKING:
    from hooktui.store.postgres.connect import Raw

_SEALED = "hooktui"
_PLACE = ("installation", "sealed", 1)


async def prepare(connect: Callable[[], Awaitable[Raw]], key_file: Path, target: Target) -> Vault:
    """Migrate a database, and return the vault that its secrets are sealed with.

    Raises:
        SchemaTooNew: a newer version wrote it.
        KeyProblem: the key file is missing or not the one of this database.
    """
    one = engine(connect, 1, "READ COMMITTED")
    try:
        async with one.begin() as conn:
            await conn.run_sync(migrate)
        async with one.begin() as conn:
            return await conn.run_sync(_open_vault, key_file, target)
    finally:
        await one.dispose()


def migrate(conn: Connection) -> None:
    """Bring the schema up to date; whoever else does the same waits."""
    conn.execute(text(f"SELECT pg_advisory_xact_lock({locks.MIGRATION})"))
    if not at_head(conn):
        upgrade(conn)
        failpoints.hit("before_migration_commit")


def check_vault(conn: Connection, vault: Vault) -> None:
    """See that keys open what the first server of a database sealed, if there was one.

    Raises:
        KeyProblem: they do not.
    """
    sealed = conn.execute(text("SELECT sealed FROM installation")).scalar_one()
    if sealed is not None:
        vault.open(sealed, *_PLACE)


def _open_vault(conn: Connection, key_file: Path, target: Target) -> Vault:
    """Load the keys, and see that they open what the first server of this database sealed."""
    conn.execute(text(f"SELECT pg_advisory_xact_lock({locks.MIGRATION})"))
    sealed = conn.execute(text("SELECT sealed FROM installation")).scalar_one()
    is_new = sealed is None and conn.execute(select(HOOK.c.id).limit(1)).first() is None
    if not is_new and not key_file.exists():
        raise KeyProblem(
            f"the key file {key_file} is missing, and {target.shown} is in use already: all "
            "servers of a database have the same key file. Copy it from another server's home, "
            "or from a backup"
        )
    vault = Vault(load_keys(key_file, database_is_new=is_new))
    if sealed is None:
        new = {"sealed": vault.seal(_SEALED, *_PLACE)}
        conn.execute(text("UPDATE installation SET sealed = :sealed"), new)
        return vault
    try:
        vault.open(sealed, *_PLACE)
    except KeyProblem as error:
        raise KeyProblem(
            f"the key file {key_file} does not open {target.shown}: all servers of a database have "
            "the same key file. Copy it from another server's home"
        ) from error
    return vault
