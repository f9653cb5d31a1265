"""``hooktui restore``: puts a backup in the place of the database, while no server works on it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hooktui.cli.context import Context
from hooktui.cli.failure import UsageError
from hooktui.cli.output import Output
from hooktui.cli.times import ago
from hooktui.domain.paths import Places

if TYPE_CHECKING:
    from hooktui.offline.installation import Restored


def restore(file: str, *, yes: bool = False, context: Context) -> None:
    """Put a backup in the place of the database; what is there now is kept under another name.

    Args:
        file: what `hooktui backup` wrote.
        yes: do not ask.
        context: the run.
    """
    from hooktui.installation import find_places
    from hooktui.offline.installation import database_in_place, open_backup, restore_backup
    from hooktui.offline.service_user import act_as_owner

    if context.options.connect is not None:
        raise UsageError("restore works on the files of this machine; it takes no --connect")
    where = find_places(context.environ)
    with ExitStack() as stack:
        try:
            # With the caller's rights, before they are given up.
            source = stack.enter_context(open_backup(Path(file).absolute()))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"cannot read {file}: {why}") from error
        actor = act_as_owner(where, ["restore", file])
        there = database_in_place(context.environ)
        # Nothing is lost by it, so a script need not say --yes.
        if there is not None and context.can_ask:
            question = f"Put {source.name} in the place of {there}, and keep that aside?"
            context.confirm(question, yes=yes)
        restored = restore_backup(context.environ, source, actor, context.out.progress)
    context.out.progress("")
    if context.json:
        context.out.json(asdict(restored))
    else:
        _write(context.out, restored, where)


def _write(out: Output, restored: Restored, where: Places) -> None:
    out.line(f"restored {restored.file} to {restored.database}")
    if restored.migrated_from is not None:
        out.line(f"brought its schema from {restored.migrated_from} to this version's")
    newest = restored.newest_event_at
    age = "" if newest is None else f", the newest from {newest} ({ago(newest)})"
    out.line(
        f"it holds {restored.hooks:,} hooks, {restored.events:,} events{age}, and"
        f" {restored.deliveries:,} deliveries, of which {restored.waiting:,} are still to be sent"
    )
    if restored.kept is not None:
        out.line(f"what was there is kept as {restored.kept}")
        out.note(f"to go back: hooktui restore {restored.kept}")
    out.note(f"start the server with: {where.start}")
