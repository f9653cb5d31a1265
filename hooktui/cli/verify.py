"""``hooktui verify``: check a signature by hand."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import Context, Text
from hooktui.cli.failure import DONE, FAILED, UsageError
from hooktui.cli.output import Styled
from hooktui.domain.signatures import HASHES, verify_hook_signature

_MAX_BODY_BYTES = 64 * 1024 * 1024


def verify(
    *,
    secret: Text,
    signature: Text,
    hash_name: Annotated[str, Parameter(name="--hash")] = HASHES[0],
    context: Context,
) -> int:
    """Check an X-Hook-Signature over the body on stdin: prints ok, or mismatch with exit code 1.

    Args:
        secret: as shown, whsec_ included; or @FILE that holds it.
        signature: the header's hex digits.
        hash_name: sha256, sha1 or sha512.
        context: the run.
    """
    if hash_name not in HASHES:
        raise UsageError(f"--hash: {hash_name!r} is unknown; known: {', '.join(HASHES)}")
    key = context.secret_value("--secret", secret)
    if not key.isascii():
        raise UsageError("--secret: secrets are ASCII")
    with context.open_input(None) as stream:
        body = stream.read(_MAX_BODY_BYTES)
    good = verify_hook_signature(key, body, signature, hash_name)
    if context.json:
        context.out.json({"verified": good})
    else:
        context.out.line(Styled("ok", "good") if good else Styled("mismatch", "bad"))
    return DONE if good else FAILED
