"""``hooktui purge``: drops what is old."""

from __future__ import annotations

from dataclasses import asdict

from hooktui.cli.context import Context
from hooktui.client import calls
from hooktui.domain.wire.server import Purge


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
