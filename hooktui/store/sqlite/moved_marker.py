"""The mark of a SQLite database whose content goes to PostgreSQL: no server starts on it.

It lies beside the database as ``hooktui.db.moved`` from before the first row is copied: there is
no moment at which servers could start on both, and a move that is killed is seen.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.errors import Conflict, HooktuiError
from hooktui.store.durable_files import draft_beside, sync_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a database goes.

    Attributes:
        move: names the move, here and in the audit trail of what it made.
        to: the other database, without a password.
        at: when it was begun.
        done: whether all is there.
    """

    move: str
    to: str
    at: str
    done: bool = False


class Moved(Conflict):
    """The content of this database is elsewhere, or on its way."""

    title = "Database was moved"


def mark_of(database: Path) -> Path:
    """Return where the mark of a database lies."""
    return database.with_name(f"{database.name}.moved")


def read_mark(database: Path) -> Mark | None:
    """Return the mark of a database, if it has one.

    Raises:
        HooktuiError: there is one that cannot be read.
    """
    file = mark_of(database)
    try:
        return msgspec.json.decode(file.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise HooktuiError(
            f"cannot read {file}, which says where this database was moved to: {error}"
        ) from None


def write_mark(database: Path, mark: Mark) -> None:
    """Put a mark on a database, or another in its place; it is on disk when this returns."""
    file = mark_of(database)
    with draft_beside(file) as draft:
        with draft.open("wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(mark)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    sync_folder(file.parent)


def remove_mark(database: Path) -> None:
    """Take the mark away: servers may start on the database again."""
    mark_of(database).unlink(missing_ok=True)
    sync_folder(database.parent)


def new_mark(move: str, to: str) -> Mark:
    """Return the mark of a move that begins now."""
    return Mark(move=move, to=to, at=to_rfc3339(now_ms()))


def refuse_moved(database: Path) -> None:
    """Refuse a database whose content is elsewhere.

    Raises:
        Moved: says where it is, and how to go back.
    """
    mark = read_mark(database)
    if mark is None:
        return
    file = mark_of(database)
    if mark.done:
        raise Moved(
            f"this database was moved to {mark.to} ({mark.at}): set HOOKTUI_DATABASE_URL to that."
            f" To go back to what {database} held then, without all that came since, remove {file}"
        )
    raise Moved(
        f"a move of this database to {mark.to} was begun ({mark.at}) and not finished: run"
        f" hooktui move again, or, to stay with {database}, drop the other database and remove"
        f" {file}"
    )
