"""``hooktui hooks secret``: show the secret that signs, or replace it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from hooktui.cli.context import Context, Text
from hooktui.cli.failure import UsageError
from hooktui.cli.times import ago, duration_s
from hooktui.client import calls
from hooktui.client.sync_client import decoded

Flag = Annotated[bool, Parameter(negative=())]


def secret(
    hook: int,
    /,
    *,
    rotate: Flag = False,
    overlap: str | None = None,
    secret: Text | None = None,
    finish: Flag = False,
    context: Context,
) -> None:
    """Show a hook's secret; the server notes that somebody did.

    With --rotate: make a new one. Both sign until the overlap ends, so that the receiver can be
    given the new one in time.

    Args:
        hook: its number.
        rotate: replace the secret.
        overlap: how long the old one still signs, 0s to 7d; 24h by default, 0s after a leak.
        secret: with --rotate: this one, or @FILE or - (stdin) that holds it; made by default.
        finish: end the overlap of a rotation now.
        context: the run.
    """
    if rotate and finish:
        raise UsageError("--rotate begins and --finish ends a rotation; give one of them")
    if not rotate and (overlap is not None or secret is not None):
        raise UsageError("--overlap and --secret belong to --rotate")
    if rotate:
        call = calls.rotate_secret(
            hook,
            secret=None if secret is None else context.secret_value("--secret", secret),
            overlap_s=None if overlap is None else duration_s("--overlap", overlap),
            account=context.account,
        )
    elif finish:
        call = calls.finish_rotation(hook, account=context.account)
    else:
        call = calls.hook_secrets(hook, account=context.account)
    answer = context.client.answer(call)
    if context.json:
        context.out.json(answer)
        return
    secrets = decoded(call, context.address, answer)
    context.out.line(secrets.secret)
    for one in secrets.secrets:
        if one.expires_at is not None:
            context.out.note(
                f"the secret made {ago(one.created_at)} still signs; it ends {ago(one.expires_at)}"
                f" (now: hooktui hooks secret {hook} --finish)"
            )
