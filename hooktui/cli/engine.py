"""``hooktui pause`` and ``hooktui resume``: all sending of the installation."""

from __future__ import annotations

from hooktui.cli.context import Context
from hooktui.cli.times import ago
from hooktui.client import calls
from hooktui.client.sync_client import decoded


def pause(*, context: Context) -> None:
    """Send nothing but pings until `hooktui resume`; events are taken in all the same, and wait.

    It holds for every server and every account, also over a restart.

    Args:
        context: the run.
    """
    call = calls.pause()
    answer = context.client.answer(call)
    if context.json:
        context.out.json(answer)
        return
    paused = decoded(call, context.address, answer).paused
    if paused is not None:
        context.out.line(f"delivery is paused, by {paused.by}, {ago(paused.at)}")
        context.out.note("events are taken in and wait; go on with: hooktui resume")


def resume(*, context: Context) -> None:
    """Send again what `hooktui pause` stopped; what is due goes out at once.

    Args:
        context: the run.
    """
    answer = context.client.answer(calls.resume())
    if context.json:
        context.out.json(answer)
    else:
        context.out.line("delivery goes on")
