"""``hooktui backup``: has the server copy its database, and writes the copy here."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hooktui.cli.context import Context, Text
from hooktui.cli.failure import Failed, UsageError
from hooktui.cli.leaving import leaving_orderly
from hooktui.client import calls
from hooktui.domain.errors import Refused
from hooktui.domain.wire.server import Backup

if TYPE_CHECKING:
    from hooktui.cli.context import CommandContext

_KEY = "its secrets are readable only with the key file: keep that too, in another place"


def backup(file: Text, *, yes: bool = False, context: Context) -> None:
    """Back up the database while the server is running; the key file is not in the copy.

    Args:
        file: where to write the copy, on this machine and with your rights; - is stdout.
        yes: replace the file if it exists, without asking.
        context: the run.
    """
    with leaving_orderly():
        if file == "-":
            _to_stdout(context)
            return
        made = _to_file(context, Path(file).absolute(), yes=yes)
    context.out.progress("")
    if context.json:
        context.out.json(asdict(made))
        return
    context.out.line(
        f"{made.file}: {made.size:,} bytes, {made.events:,} events, {made.deliveries:,} deliveries"
    )
    context.out.note(_KEY)


def _to_file(context: CommandContext, target: Path, *, yes: bool) -> Backup:
    from hooktui.offline.backup import CannotWrite, draft_for, save, there_already

    try:
        replace = there_already(target)
    except Refused as error:
        raise UsageError(error.detail) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {target}: {_reason(error)}") from error
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


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _to_stdout(context: CommandContext) -> None:
    from hooktui.offline.backup import pass_on

    if context.json:
        raise UsageError("stdout takes the backup; --json has no place there")
    if sys.stdout.isatty():
        raise UsageError("a backup is not for a terminal; redirect stdout, or give a file")
    try:
        with context.client.download(calls.backup()) as download:
            pass_on(download, sys.stdout.buffer)
    except Refused as error:
        raise _older_server(context, error) from error
    context.out.note(f"{download.size:,} bytes, sha256 {download.sha256.hex()}")
    context.out.note(_KEY)


def _older_server(context: CommandContext, error: Refused) -> Refused | Failed:
    """Return what a refusal means: a server before this version wants the path of a file."""
    if any(one.pointer == "/file" for one in error.errors):
        return Failed(
            f"the server at {context.address} is older than this command and writes backups"
            " itself; restart it with this version"
        )
    return error
