"""``hooktui move``, but for what it says: the SQLite store of this home goes to PostgreSQL.

In this order: the file is marked, so that no server starts on it; all rows go over in one
transaction; the mark says that it is done. Killed in between, the move is run again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from hooktui import failpoints
from hooktui.domain.errors import Conflict, HooktuiError, Refused
from hooktui.domain.paths import InstallPaths
from hooktui.domain.roles import Actor
from hooktui.offline.installation import sqlite_home, this_user
from hooktui.store.durable_files import HomeLock
from hooktui.store.migrate_to_postgres import Copied, move_rows, was_moved
from hooktui.store.postgres.connections import DatabaseAddress, connect, explain, parse_database_url
from hooktui.store.postgres.pools import engine
from hooktui.store.postgres.schema import prepare
from hooktui.store.sqlite.moved_marker import (
    Mark,
    mark_of,
    new_mark,
    read_mark,
    refuse_moved,
    remove_mark,
    write_mark,
)
from hooktui.store.sqlite.restore import unfinished
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.vault import Vault

if TYPE_CHECKING:
    from hooktui.store.postgres.connections import Raw

_NO_DEADLINES = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "application_name": "hooktui move",
}


@dataclass(frozen=True, slots=True)
class Move:
    """What was moved, from where to where; ``copied`` is empty when it had been done before."""

    source: str
    to: str
    mark: str
    copied: tuple[Copied, ...]


def check_target(url: str) -> None:
    """See that an address is one of a PostgreSQL database.

    Raises:
        Refused: it is none.
    """
    parse_database_url(url)


def move_store(
    environ: Mapping[str, str],
    url: str,
    progress: Callable[[str], None],
    actor: Actor | None = None,
) -> Move:
    """Carry the SQLite store of this installation over to an empty PostgreSQL database.

    Args:
        environ: says which installation.
        url: of the PostgreSQL database.
        progress: is given what is done just now.
        actor: who asked, for the audit trail; by default the user of this process.

    Raises:
        HooktuiError: it was not done, and no server would start on half of it; says why.
    """
    where, _ = sqlite_home(environ, any_database=True)
    target = parse_database_url(url)
    if not where.database.exists() and not unfinished(where.database):
        raise Refused(
            f"there is no database at {where.database}, so there is nothing to move; a server"
            f" starts on {target.shown} when HOOKTUI_DATABASE_URL is set to it"
        )
    return asyncio.run(carry_over(where, target, progress, actor or this_user()))


async def carry_over(
    where: InstallPaths, target: DatabaseAddress, progress: Callable[[str], None], actor: Actor
) -> Move:
    """Do the move of a store that is there; see `move_store`."""
    before = read_mark(where.database)
    if before is None:
        progress("bringing the database in order")
        await _settle(where)
    lock = HomeLock(where.database.with_name("hooktui.lock"))
    lock.take()
    try:
        return await _move_locked(where, target, before, actor, progress)
    finally:
        lock.drop()


async def _settle(where: InstallPaths) -> None:
    """Start and stop the store once: it takes the log in, migrates, and gives all leases back."""
    store = await SqliteStore.open(where.database, key_file=where.key_file)
    await store.close()


async def _move_locked(
    where: InstallPaths,
    target: DatabaseAddress,
    before: Mark | None,
    actor: Actor,
    progress: Callable[[str], None],
) -> Move:
    mark = before or new_mark(secrets.token_hex(16), target.shown)
    if mark.to != target.shown:
        if mark.done:
            refuse_moved(where.database)
        raise Conflict(
            f"a move of {where.database} to {mark.to} was begun before; end that one, or remove"
            f" {mark_of(where.database)} to begin anew"
        )
    progress(f"preparing {target.shown}")
    open_connection = partial(connect, target, **_NO_DEADLINES)
    vault = await prepare(open_connection, where.key_file, target)
    if before is None:
        write_mark(where.database, mark)
    copied = await _copy(where.database, mark, target, vault, open_connection, actor, progress)
    write_mark(where.database, Mark(move=mark.move, to=mark.to, at=mark.at, done=True))
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
) -> list[Copied]:
    """Copy all in one transaction; nothing when an earlier run of this move has committed."""
    one = engine(open_connection, 1, "READ COMMITTED")
    committing = False
    try:
        async with one.connect() as conn:
            if await was_moved(conn, mark.move):
                return []
            copied = await move_rows(conn, database, mark.move, actor, target, vault, progress)
            failpoints.hit("before_move_commit")
            committing = True
            await conn.commit()
            failpoints.hit("after_move_commit")
            progress("counting for the planner")
            await conn.execute(text("ANALYZE"))
            await conn.commit()
        return copied
    except BaseException as error:
        if not committing:
            remove_mark(database)  # nothing is there: a server may start here again
        if isinstance(error, HooktuiError) or not isinstance(error, Exception):
            raise
        raise explain(error, target) from error
    finally:
        await one.dispose()
