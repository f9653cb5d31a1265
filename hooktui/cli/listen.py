"""``hooktui listen`` and ``hooktui verify``: a receiver for developers, and signatures."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import CommandContext, Context, Number, Text
from hooktui.cli.deliveries import write_body
from hooktui.cli.exit_codes import DONE, FAILED, Failed, UsageError
from hooktui.cli.output import Styled
from hooktui.cli.receiver import Received, Verification, VerifyingReceiver
from hooktui.cli.time_format import duration_s
from hooktui.domain.clock import format_duration
from hooktui.domain.signatures import (
    HASHES,
    TOLERANCE_S,
    HashName,
    SignatureCheck,
    check_standard_signature,
    parse_timestamp,
    standard_key,
    verify_hook_signature,
)
from hooktui.domain.text import cut

_MAX_BODY_BYTES = 64 * 1024 * 1024

AGE_UNKNOWN = (
    "the age was not checked: X-Hook-Signature covers the body alone, so a captured request can be"
    " sent again; webhook-signature also covers the timestamp"
)


def tolerance_s(text: str | None) -> float:
    """Return the seconds of ``--tolerance``, or the default.

    Raises:
        UsageError: it is not a duration.
    """
    return TOLERANCE_S if text is None else duration_s("--tolerance", text)


def verify(
    *,
    secret: Text,
    signature: Text | None = None,
    hash_name: Annotated[HashName, Parameter(name="--hash")] = HASHES[0],
    webhook_signature: Text | None = None,
    message_id: Annotated[Text | None, Parameter(name="--id")] = None,
    timestamp: Text | None = None,
    tolerance: str | None = None,
    context: Context,
) -> int:
    """Verify signatures of the body on stdin: prints ok, or mismatch or stale with exit code 1.

    Args:
        secret: as shown, whsec_ included; or @FILE that holds it.
        signature: the hex digits of X-Hook-Signature.
        hash_name: the hash of X-Hook-Signature, sha256 by default.
        webhook_signature: the value of webhook-signature; needs --id and --timestamp.
        message_id: the value of webhook-id.
        timestamp: the value of webhook-timestamp, Unix seconds.
        tolerance: how far the timestamp may be from now, such as 5m (the default).
    """
    if signature is None and webhook_signature is None:
        raise UsageError(
            "nothing to verify; give --webhook-signature with --id and --timestamp, or --signature"
        )
    tolerated_s = tolerance_s(tolerance)
    key = _ascii_secret(context, secret)
    signed = None
    if webhook_signature is None:
        _refuse_unsigned(id=message_id, timestamp=timestamp, tolerance=tolerance)
    else:
        signed = (*_signed_fields(key, message_id, timestamp), webhook_signature)
    with context.open_input(None) as stream:
        body = stream.read(_MAX_BODY_BYTES)
    checks: list[SignatureCheck] = []
    if signature is not None:
        good = verify_hook_signature(key, body, signature, hash_name)
        checks.append("ok" if good else "mismatch")
    if signed is None:
        context.out.note(AGE_UNKNOWN)
    else:
        checks.append(_standard_check(context, key, body, signed, tolerated_s))
    return _report(context, checks, age_checked=signed is not None)


def _ascii_secret(context: CommandContext, text: str) -> str:
    """Return the value of ``--secret``.

    Raises:
        UsageError: it cannot be read, is empty, or is not ASCII.
    """
    secret = context.secret_value("--secret", text)
    if not secret:  # such as an unset variable: no signature would ever match
        raise UsageError("--secret is empty; give the secret as shown, or @FILE that holds it")
    if not secret.isascii():
        raise UsageError("--secret: secrets are ASCII")
    return secret


def _standard_check(
    context: CommandContext, key: str, body: bytes, signed: tuple[str, str, str], tolerated_s: float
) -> SignatureCheck:
    """Return the result of a ``webhook-signature``; of a stale one note how far away it is.

    ``signed`` are its id, timestamp and signature.
    """
    message_id, timestamp, signature = signed
    result = check_standard_signature(
        standard_key(key) or b"", message_id, timestamp, body, signature,
        now_s=time.time(), tolerance_s=tolerated_s,
    )  # fmt: skip
    if result == "stale":
        away = format_duration(abs(time.time() - int(timestamp)))
        context.out.note(
            f"the timestamp is {away} from now; --tolerance is {format_duration(tolerated_s)}"
        )
    return result


def _refuse_unsigned(**given: str | None) -> None:
    """Refuse options that need ``--webhook-signature``."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"--{name} needs --webhook-signature: X-Hook-Signature covers the body alone"
            )


def _signed_fields(key: str, message_id: str | None, timestamp: str | None) -> tuple[str, str]:
    """Return id and timestamp of a ``webhook-signature``.

    Raises:
        UsageError: one is missing, or the secret signs no ``webhook-signature``.
    """
    if standard_key(key) is None:
        raise UsageError(
            "--secret: only whsec_ secrets sign webhook-signature; check X-Hook-Signature with"
            " --signature"
        )
    if message_id is None or timestamp is None:
        missing = "--id" if message_id is None else "--timestamp"
        raise UsageError(f"--webhook-signature needs {missing}: the signature covers it")
    if parse_timestamp(timestamp) is None:
        raise UsageError(f"--timestamp: {timestamp[:40]!r} is not a time in Unix seconds")
    return message_id, timestamp


def _report(context: CommandContext, checks: list[SignatureCheck], *, age_checked: bool) -> int:
    """Print the worst result, and return the exit code."""
    result: SignatureCheck = (
        "mismatch" if "mismatch" in checks else "stale" if "stale" in checks else "ok"
    )
    if context.json:
        context.out.json({"verified": result == "ok", "result": result, "age_checked": age_checked})
    else:
        context.out.line(Styled(result, "good" if result == "ok" else "bad"))
    return DONE if result == "ok" else FAILED


DEFAULT_PORT = 9900
_MAX_DELAY_S = 86_400.0


def listen(
    *,
    port: Number = DEFAULT_PORT,
    secret: Text | None = None,
    status: Number = 200,
    delay: str = "0s",
    tolerance: str | None = None,
    context: Context,
) -> None:
    """Receive and show requests on this machine until ctrl+c.

    Args:
        port: port to listen on, 9900 by default; 0 for any free port.
        secret: verify requests with it, and respond 401 if they do not match; or @FILE or -
            (stdin).
        status: status code of the response, 200 by default.
        delay: how long to wait before the response; 0s by default.
        tolerance: how old a verified request may be, such as 5m (the default).
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {cut(str(port), 40)}: a port is 0 to 65535")
    if not 200 <= status <= 599:
        raise UsageError(f"--status {cut(str(status), 40)}: a status is 200 to 599")
    delay_s = duration_s("--delay", delay)
    if delay_s > _MAX_DELAY_S:
        raise UsageError(f"--delay must be at most 24h, not {cut(delay, 40)}")
    verification = None
    if secret is not None:
        key = _ascii_secret(context, secret)
        verification = Verification(key, tolerance_s(tolerance))
        if standard_key(key) is None:
            context.out.note(AGE_UNKNOWN)
    elif tolerance is not None:
        raise UsageError("--tolerance needs --secret: only what is signed has an age")
    try:
        receiver = VerifyingReceiver(port, verification, status, delay_s)
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
