"""``hooktui purge``, ``pause``, ``resume``, ``backup``, ``restore`` and ``move``.

``restore`` and ``move`` work on the files of an installation while no server runs there.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hooktui.cli.context import Context, Text, file_path
from hooktui.cli.exit_codes import Failed, UsageError, leaving_orderly
from hooktui.cli.output import Output, TextColumn, fields_without
from hooktui.cli.time_format import ago, check_moment
from hooktui.client import calls
from hooktui.client.responses import reason
from hooktui.domain.errors import Refused
from hooktui.domain.paths import InstallPaths
from hooktui.domain.text import counted
from hooktui.domain.wire.server import Backup, Purge

if TYPE_CHECKING:
    from hooktui.cli.context import CommandContext
    from hooktui.offline.installation import Restored
    from hooktui.offline.migrate_to_postgres import Move


def purge(*, older_than: str, yes: bool = False, context: Context) -> None:
    """Delete old events with their deliveries and attempts; waiting deliveries are kept.

    Args:
        older_than: such as 30d, or an RFC 3339 time.
        yes: do not ask.
    """
    check_moment("--older-than", older_than)  # before the question: it repeats the text
    whose = "" if context.account is None else f" of account {context.account}"
    context.confirm(
        f"Delete all events{whose} older than {older_than} permanently, undelivered ones too?",
        yes=yes,
    )
    context.in_parts(0, "event")
    gone = context.client.call(calls.purge(older_than, account=context.account))
    while gone.next is not None:
        context.in_parts(gone.events, "event")
        context.out.progress(f"deleted {counted(gone.events, 'event')} so far")
        part = context.client.call(calls.purge(gone.before, gone.next, account=context.account))
        gone = Purge(
            gone.before,
            gone.events + part.events,
            gone.deliveries + part.deliveries,
            gone.attempts + part.attempts,
            part.next,
        )
    if context.json:
        context.out.json(fields_without("next", gone))
    else:
        context.out.line(
            f"deleted {counted(gone.events, 'event')} from before {gone.before}, with"
            f" {counted(gone.deliveries, 'delivery')} and {counted(gone.attempts, 'attempt')}"
        )


def pause(*, context: Context) -> None:
    """Stop sending, except pings; events are still accepted and queued.

    It applies to all servers and accounts, and survives a restart.
    """
    state = context.ask(calls.pause())
    if state is None:
        return
    paused = state.paused
    if paused is not None:
        context.out.line(f"delivery is paused, by {paused.by}, {ago(paused.at)}")
        context.out.note("events are accepted and queued; resume with: hooktui resume")


def resume(*, context: Context) -> None:
    """Resume sending; due deliveries are sent immediately."""
    if context.ask(calls.resume()) is not None:
        context.out.line("delivery resumed")


def restore(file: str, *, yes: bool = False, context: Context) -> None:
    """Restore the database from a backup; the current one is kept under another name.

    Args:
        file: a file that `hooktui backup` wrote.
        yes: do not ask.
    """
    from hooktui.installation import find_paths
    from hooktui.offline.installation import database_in_place, open_backup, restore_backup
    from hooktui.offline.service_user import act_as_owner

    if context.options.connect is not None:
        raise UsageError("restore works on the files of this machine; it takes no --connect")
    where = find_paths(context.environ)
    with ExitStack() as stack:
        try:
            # With the caller's rights, before they are given up.
            source = stack.enter_context(open_backup(file_path(file)))
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {file}: {reason(error)}") from error
        actor = act_as_owner(where, ["restore", file])
        there = database_in_place(context.environ)
        # Nothing is lost by it, so a script need not say --yes.
        if there is not None and context.can_ask:
            question = f"Replace {there} with {source.name}? The current database is kept."
            context.confirm(question, yes=yes)
        restored = restore_backup(context.environ, source, actor, context.out.progress)
    if context.json:
        context.out.json(asdict(restored))
    else:
        _write_restored(context.out, restored, where)


def _write_restored(out: Output, restored: Restored, where: InstallPaths) -> None:
    out.line(f"restored {restored.file} to {restored.database}")
    if restored.migrated_from is not None:
        out.line(f"migrated its schema from {restored.migrated_from} to this version's")
    newest = restored.newest_event_at
    age = "" if newest is None else f", the newest from {newest} ({ago(newest)})"
    out.line(
        f"it holds {counted(restored.hooks, 'hook')}, {counted(restored.events, 'event')}{age},"
        f" and {counted(restored.deliveries, 'delivery')}; {restored.waiting:,} still to be sent"
    )
    if restored.kept is not None:
        out.line(f"the previous database is kept as {restored.kept}")
        out.note(f"to go back: hooktui restore {shlex.quote(restored.kept)}")
    out.note(f"start the server with: {where.start}")


_SHOWN_OF_A_HASH = 16


def move(*, to: Text, context: Context) -> None:
    """Migrate all data of this installation to an empty PostgreSQL database, and verify it.

    Args:
        to: postgresql://USER:PASSWORD@HOST:PORT/NAME, or @FILE or - (stdin).
    """
    from hooktui.installation import find_paths
    from hooktui.offline.migrate_to_postgres import move_store, parse_database_url
    from hooktui.offline.service_user import act_as_owner

    if context.options.connect is not None:
        raise UsageError("move works on the files of this machine; it takes no --connect")
    url = context.secret_value("--to", to).strip()
    try:
        target = parse_database_url(url)
    except Refused as error:
        raise UsageError(f"--to: {error.detail}") from error
    where = find_paths(context.environ)
    shown = to if to[:1] in ("@", "-") else "@FILE"  # the address may hold a password
    actor = act_as_owner(where, ["move", "--to", shown])
    moved = move_store(context.environ, target, context.out.progress, actor)
    if context.json:
        context.out.json(asdict(moved))
    else:
        _write_moved(context.out, moved, where)


def _write_moved(out: Output, moved: Move, where: InstallPaths) -> None:
    if not moved.copied:
        out.line(f"{moved.source} had been moved to {moved.to} already")
    else:
        out.table(
            [
                TextColumn("table"),
                TextColumn("rows", right=True),
                TextColumn("sha256, the same on both sides"),
            ],
            [
                (copy.table, f"{copy.rows:,}", copy.sha256[:_SHOWN_OF_A_HASH])
                for copy in moved.copied
            ],
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
        f"no server starts on {moved.source} any more; to go back to its current state, without"
        f" later events, remove {moved.mark}"
    )


_KEY = "its secrets are readable only with the key file: keep that too, in another place"


def backup(file: Text, *, yes: bool = False, context: Context) -> None:
    """Back up the database while the server is running; the key file is not in the copy.

    Args:
        file: where to write the copy, on this machine and with your rights; - is stdout.
        yes: replace an older backup without asking.
    """
    with leaving_orderly():
        if file == "-":
            _to_stdout(context)
            return
        context.interrupted = "interrupted; no backup was written"
        made = _to_file(context, file_path(file), yes=yes)
        context.interrupted = ""
    if context.json:
        context.out.json(asdict(made))
        return
    context.out.line(
        f"{made.file}: {made.size:,} bytes, {counted(made.events, 'event')},"
        f" {counted(made.deliveries, 'delivery')}"
    )
    context.out.note(_KEY)


def _to_file(context: CommandContext, target: Path, *, yes: bool) -> Backup:
    from hooktui.offline.backup import CannotWrite, draft_for, save, there_already

    try:
        replace = there_already(target)
    except Refused as error:
        raise UsageError(error.detail) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {target}: {reason(error)}") from error
    if replace:
        context.confirm(f"{target} exists. Replace it?", yes=yes)
    try:
        # Before the server is asked: it makes no copy that cannot be written.
        with draft_for(target) as draft:
            context.out.progress("copying and checking the database")
            with context.client.download(calls.backup()) as download:
                progress = context.out.progress
                return save(download, draft, target, replace=replace, progress=progress)
    except CannotWrite as error:
        raise UsageError(error.detail) from error
    except Refused as error:
        raise _older_server(context, error) from error


def _to_stdout(context: CommandContext) -> None:
    from hooktui.offline.backup import pass_on

    if context.json:
        raise UsageError("stdout takes the backup; --json has no place there")
    if sys.__stdout__ is None:  # sys.stdout is /dev/null instead: the backup would be lost
        raise UsageError("stdout is closed; redirect it, or give a file")
    if sys.stdout.isatty():
        raise UsageError("a backup is not for a terminal; redirect stdout, or give a file")
    try:
        context.interrupted = "interrupted; the backup on stdout is incomplete"
        with context.client.download(calls.backup()) as download:
            pass_on(download, sys.stdout.buffer)
    except Refused as error:
        raise _older_server(context, error) from error
    context.out.note(f"{download.size:,} bytes, sha256 {download.sha256.hex()}")
    context.out.note(_KEY)


def _older_server(context: CommandContext, error: Refused) -> Refused | Failed:
    """Explain the refusal of an older server, which expects the path of a file."""
    if any(field_error.pointer == "/file" for field_error in error.errors):
        return Failed(
            f"the server at {context.address} is older than this command and writes backups"
            " itself; restart it with this version"
        )
    return error
