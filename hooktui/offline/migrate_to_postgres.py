"""``hooktui move`` except its output: migrates the SQLite store of this home to PostgreSQL.

In this order: a marker keeps servers from starting on the file; one transaction copies all rows;
the marker is set to done. If it is killed in between, the move is run again.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import text

from hooktui import failpoints
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.errors import Conflict, HooktuiError, Refused
from hooktui.domain.paths import InstallPaths
from hooktui.domain.roles import Actor
from hooktui.offline.installation import sqlite_home
from hooktui.store.durable_files import HomeLock
from hooktui.store.migrate_to_postgres import Copied, move_rows, was_moved
from hooktui.store.postgres import locks
from hooktui.store.postgres.connections import (
    DatabaseAddress,
    Raw,
    cause_of,
    connect,
    explain,
    parse_database_url,
)
from hooktui.store.postgres.pools import engine
from hooktui.store.postgres.schema import OtherKeys, prepare
from hooktui.store.sqlite.files import not_opened
from hooktui.store.sqlite.moved_marker import (
    Mark,
    mark_of,
    read_mark,
    refuse_moved,
    remove_mark,
    write_mark,
)
from hooktui.store.sqlite.restore import unfinished
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.vault import Vault

_NO_DEADLINES = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "application_name": "hooktui move",
}


@dataclass(frozen=True, slots=True)
class Move:
    """A completed move; ``copied`` is empty if an earlier run had completed it."""

    source: str
    to: str
    mark: str
    copied: tuple[Copied, ...]


__all__ = ["Move", "carry_over", "move_store", "parse_database_url"]


def move_store(
    environ: Mapping[str, str],
    target: DatabaseAddress,
    progress: Callable[[str], None],
    actor: Actor,
) -> Move:
    """Migrate the SQLite store of this installation to an empty PostgreSQL database.

    Args:
        environ: the environment, which selects the installation.
        target: the PostgreSQL database.
        progress: called with a line of progress.
        actor: for the audit trail.

    Raises:
        HooktuiError: it was not done, and no server can start on a part of it; names the cause.
    """
    where, _ = sqlite_home(environ, any_database=True)
    if not where.database.exists() and not unfinished(where.database):
        raise Refused(
            f"there is no database at {where.database}, so there is nothing to move; a server"
            f" starts on {target.shown} when HOOKTUI_DATABASE_URL is set to it"
        )
    return asyncio.run(carry_over(where, target, progress, actor))


async def carry_over(
    where: InstallPaths, target: DatabaseAddress, progress: Callable[[str], None], actor: Actor
) -> Move:
    """Migrate an existing store; see `move_store`."""
    before = read_mark(where.database)
    if before is None:
        progress("preparing the database")
        # One start and stop applies the log, migrates, and releases all leases.
        await (await SqliteStore.open(where.database, key_file=where.key_file)).close()
    lock = HomeLock(where.database.parent)
    lock.acquire()
    try:
        return await _move_locked(where, target, before, actor, progress)
    finally:
        lock.release()


async def _move_locked(
    where: InstallPaths,
    target: DatabaseAddress,
    before: Mark | None,
    actor: Actor,
    progress: Callable[[str], None],
) -> Move:
    mark = before or Mark(move=secrets.token_hex(16), to=target.shown, at=to_rfc3339(now_ms()))
    if mark.to != target.shown:
        if mark.done:
            refuse_moved(where.database)
        raise Conflict(
            f"a move of {where.database} to {mark.to} was started before; finish it, or remove"
            f" {mark_of(where.database)} to start over"
        )
    progress(f"preparing {target.shown}")
    open_connection = partial(connect, target, **_NO_DEADLINES)
    try:
        vault = await prepare(open_connection, where.key_file, target)
    except OtherKeys as error:
        raise Conflict(
            f"{target.shown} belongs to another installation, with other keys. Move into a new"
            " database (createdb), or drop this one first"
        ) from error
    if before is None:
        write_mark(where.database, mark)
    copied = await _copy(
        where.database, mark, target, vault, open_connection, actor, progress, new=before is None
    )
    write_mark(where.database, replace(mark, done=True))
    progress("")
    return Move(str(where.database), target.shown, str(mark_of(where.database)), tuple(copied))


async def _copy(
    database: Path,
    mark: Mark,
    target: DatabaseAddress,
    vault: Vault,
    open_connection: Callable[[], Awaitable[Raw]],
    actor: Actor,
    progress: Callable[[str], None],
    *,
    new: bool,
) -> list[Copied]:
    """Copy all rows in one transaction; none if an earlier run of this move has committed.

    ``new``: this run wrote the marker, so no earlier one has committed.
    """
    pool = engine(open_connection, 1, "READ COMMITTED")
    uncommitted = new
    try:
        async with pool.connect() as conn:
            # Starts and other moves wait.
            await conn.execute(text(f"SELECT pg_advisory_xact_lock({locks.MIGRATION})"))
            if await was_moved(conn, mark.move):
                return []
            uncommitted = not mark.done
            copied = await move_rows(conn, database, mark.move, actor, target, vault, progress)
            failpoints.hit("before_move_commit")
            uncommitted = False
            await conn.commit()
            failpoints.hit("after_move_commit")
            progress("collecting statistics for the query planner")
            await conn.execute(text("ANALYZE"))
            await conn.commit()
        return copied
    except BaseException as error:
        if uncommitted:
            remove_mark(database)  # nothing was copied: a server may start here again
        if isinstance(error, HooktuiError) or not isinstance(error, Exception):
            raise
        cause = cause_of(error)
        if isinstance(cause, sqlite3.DatabaseError):
            raise not_opened(database, cause) from error
        raise explain(error, target) from error
    finally:
        await pool.dispose()
