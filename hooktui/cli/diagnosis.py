"""``hooktui hooks diagnose``: what is wrong with a hook's receiver, and what to do about it."""

from __future__ import annotations

from hooktui.cli.context import CommandContext, Context
from hooktui.cli.doctor import STYLES, write_checks
from hooktui.cli.failure import DONE, FAILED
from hooktui.cli.output import Styled
from hooktui.cli.times import took
from hooktui.client import calls
from hooktui.client.plain import decoded
from hooktui.domain.diagnosis import Diagnosis

_PHASES = (
    ("dns", "name"),
    ("connect", "connect"),
    ("tls", "TLS"),
    ("first_byte", "first byte"),
    ("total", "in all"),
)


def diagnose(hook: int, /, *, context: Context) -> int:
    """Look at a hook's receiver step by step, and ping it. 1: it is not well.

    Args:
        hook: its number.
        context: the run.
    """
    call = calls.diagnose_hook(hook, account=context.account)
    context.out.progress(f"looking at the receiver of hook {hook}; takes 50 s at the most")
    try:
        answer = context.client.answer(call)
    finally:
        context.out.progress("")
    found = decoded(call, context.address, answer)
    if context.json:
        context.out.json(answer)
    else:
        _write(context, found)
    return DONE if found.state == "ok" else FAILED


def _write(context: CommandContext, found: Diagnosis) -> None:
    out = context.out
    out.line(Styled(f"hook {found.hook}", "bold"), "  ", Styled(found.verdict, STYLES[found.state]))
    if found.fix:
        out.line(Styled("  what to do  ", "dim"), found.fix)
    out.line("")
    write_checks(out, found.checks)
    facts = _facts(found)
    if facts:
        out.line("")
    for label, value in facts:
        out.line(Styled(f"  {label:<12}", "dim"), value)


def _facts(found: Diagnosis) -> list[tuple[str, str]]:
    """Return what the lines of the checks leave out."""
    times = [
        f"{words} {took(value)}"
        for name, words in _PHASES
        if (value := getattr(found.phases_ms, name)) is not None
    ]
    facts = [("time", ", ".join(times))]
    if len(found.addresses) > 1:
        facts += [
            ("address", f"{one.address}  {one.detail or took(one.connect_ms) or 'not tried'}")
            for one in found.addresses
        ]
    if found.tls is not None:
        facts += [
            ("certificate", f"{one.subject}, by {one.issuer}, until {one.not_after[:10]}")
            for one in found.tls.chain
        ]
    if found.ping is not None:
        facts.append(("ping", found.ping.delivery))
    return facts
