"""``hooktui move``: carries the SQLite store over to PostgreSQL, while no server works on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hooktui.cli.context import Context, Text
from hooktui.cli.failure import UsageError
from hooktui.cli.output import Column, Output
from hooktui.domain.errors import Refused
from hooktui.domain.paths import Places

if TYPE_CHECKING:
    from hooktui.offline.migrate_to_postgres import Move

_SHOWN_OF_A_HASH = 16


def move(*, to: Text, context: Context) -> None:
    """Carry the SQLite store of this home over to an empty PostgreSQL database, and compare.

    Args:
        to: postgresql://USER:PASSWORD@HOST:PORT/NAME, or @FILE or - that hold it.
        context: the run.
    """
    from hooktui.installation import find_places
    from hooktui.offline.migrate_to_postgres import check_target, move_store
    from hooktui.offline.service_user import act_as_owner

    if context.options.connect is not None:
        raise UsageError("move works on the files of this machine; it takes no --connect")
    url = context.secret_value("--to", to).strip()
    try:
        check_target(url)
    except Refused as error:
        raise UsageError(f"--to: {error.detail}") from error
    where = find_places(context.environ)
    told = to if to[:1] in ("@", "-") else "@FILE"  # the address may hold a password
    actor = act_as_owner(where, ["move", "--to", told])
    moved = move_store(context.environ, url, context.out.progress, actor)
    if context.json:
        context.out.json(asdict(moved))
    else:
        _write(context.out, moved, where)


def _write(out: Output, moved: Move, where: Places) -> None:
    if not moved.copied:
        out.line(f"{moved.source} had been moved to {moved.to} already")
    else:
        out.table(
            [Column("table"), Column("rows", right=True), Column("sha256, the same on both sides")],
            [(one.table, f"{one.rows:,}", one.sha256[:_SHOWN_OF_A_HASH]) for one in moved.copied],
        )
        out.line(f"moved {moved.source} to {moved.to}")
    if where.service:
        out.note(
            f"put the address into {where.config} (database_url; chmod 640, chgrp hooktui), then:"
            f" {where.start}"
        )
    else:
        out.note("start the server with HOOKTUI_DATABASE_URL set to it, and with the same key file")
    out.note(
        f"no server starts on {moved.source} any more; to go back to what it holds now, without"
        f" what comes in from here on, remove {moved.mark}"
    )
