"""``hooktui selftest``: verify on this machine that no accepted event is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from hooktui.bench.databases import databases_of
from hooktui.cli.context import CommandContext, Context, Number
from hooktui.cli.exit_codes import DONE, FAILED, UsageError, leaving_orderly
from hooktui.cli.output import Output, Styled
from hooktui.domain.errors import Refused
from hooktui.domain.text import cut
from hooktui.selftest.crash_test import CrashTestReport, run_crash_test
from hooktui.selftest.replay_test import ReplayReport, run_replay_test

MAX_ROUNDS = 100_000
MAX_REPLAY_KILLS = 20
"""Kills within one replay, which takes about 10 s."""
_SHOWN = 10


def selftest(
    *,
    kill: bool = False,
    rounds: Number | None = None,
    database: str | None = None,
    replay: bool = False,
    context: Context,
) -> int:
    """Run a temporary server under load and verify that no event is lost.

    Args:
        kill: kill the server repeatedly under load.
        rounds: how often it is killed; needs --kill; 50 by default.
        database: postgresql://… (or @FILE) of a user who may create databases; SQLite without it.
        replay: also kill the server while it replays undelivered events; needs --kill.
    """
    if rounds is not None and not kill:
        raise UsageError("--rounds says how often the server is killed; it goes with --kill")
    if rounds is not None and not 1 <= rounds <= MAX_ROUNDS:
        raise UsageError(f"--rounds: a number from 1 to {MAX_ROUNDS:,}, not {cut(str(rounds), 40)}")
    if replay and not kill:
        raise UsageError("--replay kills the server while it replays; it goes with --kill")
    kills = (rounds or 50) if kill else 0
    try:
        if database is not None:
            database = context.secret_value("--database", database).strip()
        databases = databases_of(database)
    except Refused as error:
        raise UsageError(error.detail) from error
    context.interrupted = "interrupted; the temporary server is stopped, and there is no result"
    with leaving_orderly():
        report = run_crash_test(
            context.environ, kills=kills, databases=databases, progress=context.out.progress
        )
        replayed = None
        if replay:
            replayed = run_replay_test(
                context.environ,
                kills=min(kills, MAX_REPLAY_KILLS),
                databases=databases,
                progress=context.out.progress,
            )
    good = report.good and (replayed is None or replayed.good)
    if context.json:
        more = {} if replayed is None else {"replay": asdict(replayed) | {"good": replayed.good}}
        context.out.json(asdict(report) | {"good": good} | more)
    else:
        _write(context, report)
        if replayed is not None:
            _write_replay(context, replayed)
    return DONE if good else FAILED


def _write(context: CommandContext, report: CrashTestReport) -> None:
    out, verdict = context.out, report.verdict
    for label, count, meaning in (
        ("kills", report.kills, "times the server was ended by kill -9"),
        ("accepted", verdict.accepted, "events accepted with 202"),
        ("delivered", verdict.delivered, "deliveries that the receiver took, to two hooks"),
        (
            "again",
            report.unanswered,
            "requests of the producer that got no response and were repeated",
        ),
        (
            "duplicates",
            verdict.duplicates,
            "received again after a kill, with the same webhook-id and bytes: attempts that it"
            " interrupted",
        ),
    ):
        out.line(f"{label:<12}{count:>8,}  ", Styled(meaning, "dim"))
    faults = (
        ("lost", verdict.lost),
        ("unexpected", verdict.unexpected),
        ("altered", verdict.altered),
        ("phantom", verdict.phantoms),
        ("unsettled", verdict.unsettled),
        ("repeated", verdict.repeated),
        ("refused", report.refused),
    )
    _write_faults(out, faults)
    said = Styled("nothing was lost", "good") if report.good else Styled("NOT GOOD", "bad")
    out.line(said, f" ({report.seconds:.1f} s)")


def _write_replay(context: CommandContext, report: ReplayReport) -> None:
    out, verdict = context.out, report.verdict
    out.line(f"{'replayed':<12}{verdict.sent:>8,}  ", Styled("events sent again", "dim"))
    out.line(f"{'duplicates':<12}{verdict.duplicates:>8,}  ", Styled("received twice", "dim"))
    faults = (
        ("missing", verdict.missing),
        ("unexpected", verdict.unexpected),
        ("lost", verdict.lost),
        ("phantom", verdict.phantoms),
    )
    _write_faults(out, faults)
    said = Styled("each was sent once", "good") if report.good else Styled("NOT GOOD", "bad")
    out.line(said, f" ({report.kills} kills, {report.seconds:.1f} s)")


def _write_faults(out: Output, kinds: Iterable[tuple[str, Sequence[str]]]) -> None:
    for label, faults in kinds:
        out.line(f"{label:<12}", Styled(f"{len(faults):>8,}", "bad" if faults else "good"))
        for fault in faults[:_SHOWN]:
            out.line(f"  {fault}")
