"""Copies all rows of a SQLite store to an empty PostgreSQL database in one transaction.

Tables are copied in the order of their references and rows in the order of their keys, from one
snapshot into COPY. Before the commit, every table is read back and compared by count and hash.
"""

# ruff: noqa: S608 - statements are built from the names of our own tables

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Boolean, Float, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from hooktui import failpoints
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Conflict, HooktuiError, Unavailable
from hooktui.domain.roles import Actor
from hooktui.store import audit, tables
from hooktui.store.migrations import at_head
from hooktui.store.postgres import locks
from hooktui.store.postgres.connections import DatabaseAddress, Raw
from hooktui.store.sqlite.connections import sqlalchemy_over
from hooktui.store.sqlite.files import open_readonly
from hooktui.store.sqlite.moved_marker import mark_of
from hooktui.store.vault import Vault

_Row: TypeAlias = tuple[Any, ...]
"""A row as the drivers return it."""
ACTION = "move"
"""The action's name in the audit trail of the new database."""
_PROGRESS_EVERY_ROWS = 2000
_READ_AT_ONCE = 200  # an event may hold 256 KiB
_WITHIN_S = 86400.0
_MADE_BY_A_START = {
    tables.ACCOUNT.name: "id = 1",
    tables.FEED.name: "items = 0",
    tables.AUDIT_CHAIN.name: "last = 0",  # its key comes with the entries
}
"""The rows of a database on which servers have only started."""
_ENCODER = msgspec.msgpack.Encoder()
_MOVED = text(
    """SELECT count(*) FROM audit WHERE action = :action AND position(:move IN "after") > 0"""
)


class NotTheSame(HooktuiError):
    """The copy differs from the source; it was rolled back."""

    title = "Copy differs"


@dataclass(frozen=True, slots=True)
class Copied:
    """One table: its row count and the hash of all rows, equal on both sides."""

    table: str
    rows: int
    sha256: str


@dataclass(slots=True)
class _Sum:
    """Counts and hashes rows as they are copied."""

    rows: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, row: _Row) -> None:
        self.rows += 1
        self._hash.update(_ENCODER.encode(row))

    def copied(self, table: Table) -> Copied:
        return Copied(table.name, self.rows, self._hash.hexdigest())


def all_tables() -> list[Table]:
    """Return the tables, each after the tables that it references."""
    return SQLModel.metadata.sorted_tables


async def move_rows(
    conn: AsyncConnection,
    database: Path,
    move: str,
    actor: Actor,
    target: DatabaseAddress,
    vault: Vault,
    progress: Callable[[str], None],
) -> list[Copied]:
    """Copy all rows of a SQLite file, to which no process writes; the caller commits.

    ``conn`` leads to a migrated database (``target``), and its transaction locks the tables for all
    others. ``move`` is the target of the audit entry.

    Raises:
        Conflict: the database is not empty, a server works on it, or the file's schema is older.
        NotTheSame: the target does not hold the copied rows.
    """
    await _reserve(conn, target)
    raw: Raw | None = (await conn.get_raw_connection()).driver_connection
    if raw is None:
        raise Unavailable(f"the connection to {target.shown} was lost; run the command again")
    done = []
    with closing(open_readonly(database)) as source:
        source.execute("BEGIN")
        if not at_head(sqlalchemy_over(source)):
            raise Conflict(
                f"{database} has an older schema: another version began this move; finish it"
                f" with that one, or remove {mark_of(database)} to start over"
            )
        for table in all_tables():
            done.append(await _copy(raw, source, table, progress))
            await _set_sequence(conn, source, table)
            failpoints.hit("while_moving")
    for copied in done:
        await _compare(raw, copied, target, progress)
    what = {"move": move, "rows": {copied.table: copied.rows for copied in done}}
    await conn.run_sync(audit.append, vault, now_ms(), actor, ACTION, str(database), after=what)
    return done


async def was_moved(conn: AsyncConnection, move: str) -> bool:
    """Return whether a move was committed: the audit trail contains it."""
    result = await conn.execute(_MOVED, {"action": ACTION, "move": move})
    return bool(result.scalar_one())


async def _reserve(conn: AsyncConnection, target: DatabaseAddress) -> None:
    """Lock the tables until the commit, and check that they are empty."""
    servers = await conn.execute(text(locks.SERVERS_AT_WORK))
    if servers.scalar_one():
        raise Conflict(f"a server of hooktui already uses {target.shown}; stop it first")
    names = ", ".join(_quoted(table.name) for table in all_tables())
    await conn.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    for table in all_tables():
        made = _MADE_BY_A_START.get(table.name, "false")
        query = f"SELECT 1 FROM {_quoted(table.name)} WHERE NOT ({made}) LIMIT 1"
        if (await conn.execute(text(query))).first() is not None:
            raise Conflict(
                f"{target.shown} is not empty: its table {table.name} holds rows. Move into a new"
                " database (createdb), or drop this one first"
            )
    for name, made in _MADE_BY_A_START.items():
        await conn.execute(text(f"DELETE FROM {_quoted(name)} WHERE {made}"))


async def _copy(
    raw: Raw, source: sqlite3.Connection, table: Table, progress: Callable[[str], None]
) -> Copied:
    columns = [column.name for column in table.columns]
    names, name = ", ".join(map(_quoted, columns)), _quoted(table.name)
    (total,) = source.execute(f"SELECT count(*) FROM {name}").fetchone()
    sums = _Sum()

    def rows() -> Iterator[_Row]:
        as_there = _converter(table)
        for row in source.execute(f"SELECT {names} FROM {name} ORDER BY {_key(table)}"):
            values = as_there(row)
            sums.add(values)
            if sums.rows % _PROGRESS_EVERY_ROWS == 0:
                progress(f"copying {table.name}: {sums.rows:,} of {total:,}")
            yield values

    sending = raw.copy_records_to_table(
        table.name, columns=columns, records=rows(), timeout=_WITHIN_S
    )
    await _unless_lost(raw, sending)
    return sums.copied(table)


async def _unless_lost(raw: Raw, sending: Coroutine[Any, Any, object]) -> None:
    """Send rows; the driver itself would wait for a lost connection to take more of them.

    Raises:
        ConnectionResetError: the connection was lost.
    """
    task = asyncio.create_task(sending)

    def lost(_raw: object) -> None:
        task.cancel()

    raw.add_termination_listener(lost)
    try:
        await task
    except asyncio.CancelledError:
        if raw.is_closed():
            raise ConnectionResetError("it ended while rows were sent") from None
        raise
    finally:
        raw.remove_termination_listener(lost)


async def _compare(
    raw: Raw, copied: Copied, target: DatabaseAddress, progress: Callable[[str], None]
) -> None:
    table = SQLModel.metadata.tables[copied.table]
    names = ", ".join(_quoted(column.name) for column in table.columns)
    key = _key(table, collation=' COLLATE "C"')
    sums = _Sum()
    rows = raw.cursor(
        f"SELECT {names} FROM {_quoted(table.name)} ORDER BY {key}",
        prefetch=_READ_AT_ONCE,
        timeout=_WITHIN_S,
    )
    async for row in rows:
        sums.add(tuple(row))
        if sums.rows % _PROGRESS_EVERY_ROWS == 0:
            progress(f"comparing {table.name}: {sums.rows:,} of {copied.rows:,}")
    if sums.copied(table) != copied:
        raise NotTheSame(
            f"{target.shown} holds {sums.rows:,} rows of {table.name} that are not the"
            f" {copied.rows:,} copied; the copy was rolled back, the source is unchanged"
        )


async def _set_sequence(conn: AsyncConnection, source: sqlite3.Connection, table: Table) -> None:
    """Set the next id to one that was never used: SQLite also remembers ids of deleted rows."""
    (key, *others) = table.primary_key.columns
    if others or key.autoincrement is False:
        return
    column = {"name": table.name, "key": key.name}
    result = await conn.execute(text("SELECT pg_get_serial_sequence(:name, :key)"), column)
    highest = source.execute(f"SELECT max({_quoted(key.name)}) FROM {_quoted(table.name)}")
    given = source.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = ?", (table.name,))
    last = max(highest.fetchone()[0] or 0, given.fetchone()[0] or 0)
    if last:
        new = {"sequence": result.scalar_one(), "last": last}
        await conn.execute(text("SELECT setval(CAST(:sequence AS text)::regclass, :last)"), new)


def _converter(table: Table) -> Callable[[_Row], _Row]:
    """Return a function that converts the values of a row to PostgreSQL's types."""
    kinds: tuple[tuple[type, Callable[[Any], object]], ...] = (
        (Boolean, bool),
        (Float, float),
        (Text, _without_nul),
    )
    by_index = [
        (index, convert)
        for index, column in enumerate(table.columns)
        for kind, convert in kinds
        if isinstance(column.type, kind)
    ]

    def converted(row: _Row) -> _Row:
        values = list(row)
        for index, convert in by_index:
            if values[index] is not None:
                values[index] = convert(values[index])
        return tuple(values)

    return converted


def _without_nul(value: str) -> str:
    """Return a text without NUL, which PostgreSQL cannot store; receivers may send it."""
    return value.replace("\0", "\ufffd")


def _key(table: Table, collation: str = "") -> str:
    """Return the columns to order by; texts are ordered by their bytes, as in SQLite."""
    return ", ".join(
        _quoted(column.name) + (collation if isinstance(column.type, Text) else "")
        for column in table.primary_key.columns
    )


def _quoted(name: str) -> str:
    return f'"{name}"'
