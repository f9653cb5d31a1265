"""``hooktui purge`` and ``hooktui backup``: what keeps an installation in order."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hooktui.cli.context import Context
from hooktui.client import calls
from hooktui.domain.objects import Purge


def purge(*, older_than: str, yes: bool = False, context: Context) -> None:
    """Drop old events with their deliveries and attempts; what waits to be sent stays.

    Args:
        older_than: such as 30d, or an RFC 3339 time.
        yes: do not ask.
        context: the run.
    """
    whose = "" if context.account is None else f" of account {context.account}"
    context.confirm(f"Drop all events{whose} older than {older_than} for good?", yes=yes)
    gone = context.client.call(calls.purge(older_than, account=context.account))
    while gone.next is not None:
        context.out.progress(f"dropped {gone.events:,} events so far")
        more = context.client.call(calls.purge(gone.before, gone.next, account=context.account))
        gone = Purge(
            gone.before,
            gone.events + more.events,
            gone.deliveries + more.deliveries,
            gone.attempts + more.attempts,
            more.next,
        )
    context.out.progress("")
    if context.json:
        context.out.json({name: value for name, value in asdict(gone).items() if name != "next"})
    else:
        context.out.line(
            f"dropped {gone.events:,} events from before {gone.before}, with"
            f" {gone.deliveries:,} deliveries and {gone.attempts:,} attempts"
        )


def backup(file: str, *, context: Context) -> None:
    """Copy the database while everything goes on; the key file is not in the copy.

    Args:
        file: a new file on the server's machine; only the server's user will be able to read it.
        context: the run.
    """
    context.out.progress("copying and checking the database")
    copy = context.client.call(calls.backup(str(Path(file).absolute())))
    context.out.progress("")
    if context.json:
        context.out.json(asdict(copy))
        return
    context.out.line(
        f"{copy.file}: {copy.size:,} bytes, {copy.events:,} events, {copy.deliveries:,} deliveries"
    )
    context.out.note("its secrets open only with the key file: keep that too, in another place")
