"""The marker of a SQLite database that is migrated to PostgreSQL: no server starts on it.

The file ``hooktui.db.moved`` exists beside the database from before the first row is copied:
servers can never start on both databases, and an interrupted move is detected.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from hooktui.domain.errors import Conflict, HooktuiError
from hooktui.store.durable_files import replace_file, sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The destination and state of a move.

    ``move`` is its id, also in the audit trail of the new database; ``to`` the other database,
    without a password.
    """

    move: str
    to: str
    at: str
    done: bool = False


class Moved(Conflict):
    """The content of this database was moved, or is being moved."""

    title = "Database was moved"


def mark_of(database: Path) -> Path:
    """Return the path of a database's marker."""
    return database.with_name(f"{database.name}.moved")


def read_mark(database: Path) -> Mark | None:
    """Return the marker of a database, if it has one.

    Raises:
        HooktuiError: it cannot be read.
    """
    file = mark_of(database)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise HooktuiError(
            f"cannot read {file}, which says where this database was moved to: {why}"
        ) from None


def write_mark(database: Path, mark: Mark) -> None:
    """Write or replace the marker of a database; it is on disk when this returns."""
    replace_file(mark_of(database), msgspec.json.format(msgspec.json.encode(mark)) + b"\n")


def remove_mark(database: Path) -> None:
    """Remove the marker: servers may start on the database again."""
    mark_of(database).unlink(missing_ok=True)
    sync(database.parent)


def refuse_moved(database: Path) -> None:
    """Check that a database was not moved.

    Raises:
        Moved: names the new database and how to go back.
    """
    mark = read_mark(database)
    if mark is None:
        return
    file = mark_of(database)
    if mark.done:
        raise Moved(
            f"this database was moved to {mark.to} ({mark.at}): set HOOKTUI_DATABASE_URL to that."
            f" To use {database} as it was then, without all later events, remove {file}"
        )
    raise Moved(
        f"a move of this database to {mark.to} was started ({mark.at}) and not finished: run"
        f" hooktui move again, or, to keep {database}, drop the other database and remove"
        f" {file}"
    )
