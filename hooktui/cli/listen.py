"""``hooktui listen``: a receiver for developers, which shows requests and checks signatures."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context, Text
from hooktui.cli.deliveries import write_body
from hooktui.cli.failure import Failed, UsageError
from hooktui.cli.output import Styled
from hooktui.cli.receiver import Received, Receiver
from hooktui.cli.times import duration_s

DEFAULT_PORT = 9900


def listen(
    *,
    port: int = DEFAULT_PORT,
    secret: Text | None = None,
    status: Annotated[int, Parameter(help="What to answer.")] = 200,
    delay: str = "0s",
    context: Context,
) -> None:
    """Receive requests on this machine and show them, until ctrl+c.

    Args:
        port: where; 0 for any free port.
        secret: check signatures with it; or @FILE or - (stdin) that holds it.
        status: what to answer.
        delay: how long to wait before answering.
        context: the run.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port is 0 to 65535")
    if not 200 <= status <= 599:
        raise UsageError(f"--status {status}: an answer is 200 to 599")
    key = None if secret is None else context.secret_value("--secret", secret)
    if key is not None and not key.isascii():
        raise UsageError("--secret: secrets are ASCII")
    try:
        receiver = Receiver(port, key, status, duration_s("--delay", delay))
    except OSError as error:
        raise Failed(f"cannot listen on port {port}: {error.strerror}; try --port 0") from error
    with receiver:
        context.out.note(f"listening on {receiver.url}; ctrl+c ends it")
        for received in receiver:
            _write(context, received)


def _write(context: CommandContext, received: Received) -> None:
    out = context.out
    if context.json:
        out.json_line(received.fields())
        return
    out.line(
        Styled(time.strftime("%H:%M:%S", time.localtime(received.at_ms / 1000)), "dim"),
        "  ",
        Styled(f"{received.method} {received.path}", "bold"),
        f"  {len(received.body)} bytes → {received.answer}",
    )
    for name, value in received.headers:
        out.line(Styled(f"  {name}: ", "dim"), value)
    for name, good in received.checks.items():
        out.line(f"  {name}: ", Styled("ok", "good") if good else Styled("MISMATCH", "bad"))
    if received.body:
        out.line("")
        write_body(out, received.body.decode("utf-8", "backslashreplace"))
    out.line("")
    out.flush()
