"""``hooktui listen``: a receiver for developers, which shows requests and checks signatures."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context, Text
from hooktui.cli.deliveries import write_body
from hooktui.cli.failure import Failed, UsageError
from hooktui.cli.output import Styled
from hooktui.cli.receiver import Received, Receiver, Verification
from hooktui.cli.times import duration_s
from hooktui.cli.verify import AGE_UNKNOWN, tolerance_s
from hooktui.domain.signatures import standard_key

DEFAULT_PORT = 9900


def listen(
    *,
    port: int = DEFAULT_PORT,
    secret: Text | None = None,
    status: Annotated[int, Parameter(help="What to answer.")] = 200,
    delay: str = "0s",
    tolerance: str | None = None,
    context: Context,
) -> None:
    """Receive requests on this machine and show them, until ctrl+c.

    Args:
        port: where; 0 for any free port.
        secret: verify requests with it, and respond 401 to what does not verify; or @FILE or -
            (stdin) that holds it.
        status: what to answer.
        delay: how long to wait before answering.
        tolerance: how old a verified request may be, such as 5m (the default).
        context: the run.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port is 0 to 65535")
    if not 200 <= status <= 599:
        raise UsageError(f"--status {status}: an answer is 200 to 599")
    verification = None
    if secret is not None:
        key = context.secret_value("--secret", secret)
        if not key.isascii():
            raise UsageError("--secret: secrets are ASCII")
        verification = Verification(key, tolerance_s(tolerance))
        if standard_key(key) is None:
            context.out.note(AGE_UNKNOWN)
    elif tolerance is not None:
        raise UsageError("--tolerance needs --secret: only what is signed has an age")
    try:
        receiver = Receiver(port, verification, status, duration_s("--delay", delay))
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
    for name, check in received.checks.items():
        text = check if check == "ok" else check.upper()
        out.line(f"  {name}: ", Styled(text, "good" if check == "ok" else "bad"))
    if received.body:
        out.line("")
        write_body(out, received.body.decode("utf-8", "backslashreplace"))
    out.line("")
    out.flush()
