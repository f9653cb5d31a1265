"""``hooktui hooks diagnose``: what is wrong with a hook's receiver, and what to do about it."""

from __future__ import annotations

from contextlib import closing

from hooktui.cli.context import CommandContext, Context
from hooktui.cli.doctor import STYLES, write_checks
from hooktui.cli.failure import DONE, FAILED
from hooktui.cli.output import Styled
from hooktui.cli.times import took
from hooktui.client import calls
from hooktui.client.responses import broken_off
from hooktui.client.sync_client import decoded
from hooktui.domain.wire.diagnosis import Diagnosis

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
    context.out.progress(f"looking at the receiver of hook {hook}; takes 50 s at the most")
    try:
        found = _shown(context, hook)
    finally:
        context.out.progress("")
    if not context.json:
        _write(context, found)
    return DONE if found.state == "ok" else FAILED


def _shown(context: CommandContext, hook: int) -> Diagnosis:
    """Return the diagnosis; show its steps meanwhile, where somebody looks at them."""
    if context.json or not context.out.progress_shown:
        call = calls.diagnose_hook(hook, account=context.account)
        answer = context.client.answer(call)
        found = decoded(call, context.address, answer)
        if context.json:
            context.out.json(answer)
        return found
    done: list[str] = []
    with closing(
        context.client.lines(calls.follow_diagnosis(hook, account=context.account))
    ) as lines:
        for line in lines:
            if line.diagnosis is not None:
                return line.diagnosis
            done += [f"{check.name} {check.state}" for check in line.checks]
            context.out.progress(", ".join([*done, f"{line.running} …"]))
    raise broken_off(context.address, EOFError("the last line is missing"))


def _write(context: CommandContext, found: Diagnosis) -> None:
    out = context.out
    style = STYLES.get(found.state, "warn")
    out.line(Styled(f"hook {found.hook}", "bold"), "  ", Styled(found.verdict, style))
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
