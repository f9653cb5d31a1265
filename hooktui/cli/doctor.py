"""``hooktui doctor`` and ``hooktui hooks diagnose``: checks of the installation and a receiver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from typing import Final

from hooktui.cli.context import CommandContext, Context, Number
from hooktui.cli.exit_codes import DONE, FAILED
from hooktui.cli.output import Output, Style, Styled
from hooktui.cli.time_format import took
from hooktui.client import calls
from hooktui.client.responses import broken_off
from hooktui.domain.text import counted
from hooktui.domain.wire.diagnosis import Check, Diagnosis, DoctorReport

STYLES: Final[dict[str, Style]] = {"ok": "good", "warn": "warn", "fail": "bad"}
_NAME_WIDTH = 14


def doctor(*, context: Context) -> int:
    """Check server, database, disk, clock and files; exit code 1 if a check fails."""
    from hooktui.offline.doctor import examine

    context.out.progress("checking; a large database takes a while")
    here = context.options.connect is None
    report = examine(context.environ, context.client, here=here)
    if context.json:
        context.out.json(asdict(report))
    else:
        _write(context.out, report)
    return FAILED if report.state == "fail" else DONE


def write_checks(out: Output, checks: Iterable[Check]) -> None:
    """Write a line for each check, with its fix below."""
    for check in checks:
        state = Styled(f"{check.state:<4}", STYLES.get(check.state, "warn"))
        out.line(state, f"  {check.name:<{_NAME_WIDTH}}", check.value)
        if check.advice:
            out.line(" " * (_NAME_WIDTH + 6), Styled(check.advice, "dim"))


def _write(out: Output, report: DoctorReport) -> None:
    write_checks(out, report.checks)
    counts = Counter(check.state for check in report.checks)
    if report.state == "ok":
        out.line(Styled("no problems found", "good"))
    else:
        named = {"problem": counts["fail"], "warning": counts["warn"]}
        words = ", ".join(counted(count, noun) for noun, count in named.items() if count)
        out.line(Styled(words, STYLES.get(report.state, "warn")))


_PHASES = (
    ("dns", "name"),
    ("connect", "connect"),
    ("tls", "TLS"),
    ("first_byte", "first byte"),
    ("total", "total"),
)


def diagnose(hook: Number, /, *, context: Context) -> int:
    """Diagnose a hook's receiver step by step and ping it; exit code 1 if it has a problem.

    Args:
        hook: its number.
    """
    context.out.progress(f"diagnosing the receiver of hook {hook}; takes at most 50 s")
    context.interrupted = "interrupted; there is no verdict, and a ping may have been sent"
    diagnosis = _shown(context, hook)
    if not context.json:
        _write_diagnosis(context, diagnosis)
    return DONE if diagnosis.state == "ok" else FAILED


def _shown(context: CommandContext, hook: int) -> Diagnosis:
    """Return the diagnosis; show its steps while it runs, if stderr is a terminal."""
    if context.json or not context.out.progress_shown:
        response, diagnosis = context.response(calls.diagnose_hook(hook, account=context.account))
        if context.json:
            context.out.json(response)
        return diagnosis
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


def _write_diagnosis(context: CommandContext, diagnosis: Diagnosis) -> None:
    out = context.out
    style = STYLES.get(diagnosis.state, "warn")
    out.line(Styled(f"hook {diagnosis.hook}", "bold"), "  ", Styled(diagnosis.verdict, style))
    if diagnosis.fix:
        out.line(Styled("  what to do  ", "dim"), diagnosis.fix)
    out.line("")
    write_checks(out, diagnosis.checks)
    facts = _facts(diagnosis)
    if facts:
        out.line("")
    out.facts(facts)


def _facts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return the facts that the lines of the checks leave out."""
    times = [
        f"{words} {took(value)}"
        for name, words in _PHASES
        if (value := getattr(diagnosis.phases_ms, name)) is not None
    ]
    facts = [("time", ", ".join(times))]
    if len(diagnosis.addresses) > 1:
        facts += [
            ("address", f"{ip.address}  {ip.detail or took(ip.connect_ms) or 'not tried'}")
            for ip in diagnosis.addresses
        ]
    if diagnosis.tls is not None:
        facts += [
            ("certificate", f"{cert.subject}, by {cert.issuer}, until {cert.not_after[:10]}")
            for cert in diagnosis.tls.chain
        ]
    if diagnosis.ping is not None:
        facts.append(("ping", diagnosis.ping.delivery))
    return facts
