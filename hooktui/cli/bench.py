"""``hooktui bench``: measure durable deliveries per second on this machine."""

from __future__ import annotations

from dataclasses import asdict

from hooktui.bench.cases import BY_NAME
from hooktui.bench.databases import databases_of
from hooktui.bench.reconcile import RAMP_S
from hooktui.bench.report import CaseReport, Goal, Report, Spread, goals
from hooktui.bench.runner import bench as measure
from hooktui.bench.runner import chosen_cases
from hooktui.cli.context import CommandContext, Context, Number
from hooktui.cli.exit_codes import DONE, FAILED, UsageError, leaving_orderly
from hooktui.cli.output import Styled, text_columns
from hooktui.domain.errors import Refused
from hooktui.domain.text import cut

MAX_ROUNDS, MAX_EVENTS = 1000, 10_000_000


def bench(
    *,
    rounds: Number = 5,
    events: Number = 20_000,
    case: list[str] | None = None,
    database: str | None = None,
    context: Context,
) -> int:
    """Measure durable deliveries per second with temporary servers; your data is not touched.

    Args:
        rounds: how often each case is measured, 5 by default.
        events: about how many deliveries a case makes in a round; 20,000 by default.
        case: measure only this case; may be repeated; a selection of all cases by default.
        database: postgresql://… (or @FILE) of a user who may create databases; each case gets its
            own.
    """
    if not 1 <= rounds <= MAX_ROUNDS:
        raise UsageError(f"--rounds: a number from 1 to {MAX_ROUNDS:,}, not {cut(str(rounds), 40)}")
    if not 1 <= events <= MAX_EVENTS:
        raise UsageError(f"--events: a number from 1 to {MAX_EVENTS:,}, not {cut(str(events), 40)}")
    unknown = [name for name in case or () if name not in BY_NAME]
    if unknown:
        raise UsageError(f"--case: there is no {unknown[0][:40]!r}; known: {', '.join(BY_NAME)}")
    try:
        chosen = chosen_cases(case or (), shared=database is not None)
        if database is not None:
            database = context.secret_value("--database", database).strip()
        databases = databases_of(database)
    except Refused as error:
        raise UsageError(error.detail) from error
    context.interrupted = "interrupted; the temporary servers are stopped, and there is no result"
    with leaving_orderly():
        report = measure(
            context.environ,
            chosen,
            databases=databases,
            rounds=rounds,
            deliveries=events,
            progress=context.out.progress,
        )
    if context.json:
        rows = [asdict(goal) | {"met": goal.met, "aim_met": goal.aim_met} for goal in goals(report)]
        context.out.json(report.fields() | {"goals": rows})
    else:
        _write(context, report)
    return DONE if report.good else FAILED


def _write(context: CommandContext, report: Report) -> None:
    out, machine = context.out, report.machine
    out.line(
        f"{machine.cpus} CPUs ({machine.processor}), {machine.kernel}; hooktui {machine.hooktui},"
        f" Python {machine.python}, uvloop {machine.uvloop}, SQLite {machine.sqlite} FULL"
    )
    out.line(f"database      {report.database}")
    out.line(f"fsync         {machine.fsync_p50_ms:.2f} ms, p99 {machine.fsync_p99_ms:.2f} ms")
    out.line(f"sink alone    {_shown(report.sink_per_s)} requests/s")
    out.line(f"transport     {_shown(report.transport_per_s)} requests/s (prepared bytes)")
    out.line(f"baseline      {_shown(report.baseline_per_s)} attempts/s (same client, no store)")
    out.line("")
    out.table(
        text_columns(
            "case, deliveries/s>, least-most>, of baseline>, CPU µs>, DB µs>, disk kB>, MB>,"
            " p50/p99/max ms>, refused>, lost>, twice>"
        ),
        [_row(case) for case in report.cases],
    )
    out.line("")
    out.table(
        text_columns("what, must>, aim>, reached>, "),
        [_goal_row(goal) for goal in goals(report)],
    )
    for case in report.cases:
        if case.capacity_share is not None:
            out.line(f"{case.title}: {_load(case)}")
        if case.void is not None:
            out.line(Styled(f"void: {case.title}: {case.void}", "warn"))
        if case.altered or case.unsigned:
            faults = f"{case.altered:,} altered, {case.unsigned:,} with a wrong signature"
            out.line(Styled(f"{case.title}: {faults}", "bad"))
    good = Styled("nothing lost or sent twice, all signatures valid", "good")
    out.line(good if report.good else Styled("NOT GOOD", "bad"), f"; rounds: {report.rounds}")


def _row(case: CaseReport) -> list[str | Styled]:
    latency = "" if case.latency_ms is None else " / ".join(f"{ms:.1f}" for ms in case.latency_ms)
    return [
        case.title,
        f"{case.per_s.median:,.0f}",
        f"{case.per_s.least:,.0f}-{case.per_s.most:,.0f}",
        f"{case.ratio.median:.2f}",
        f"{case.cpu_us.median:.0f}",
        "" if case.database_us is None else f"{case.database_us.median:.0f}",
        f"{case.disk_bytes.median / 1000:.1f}",
        f"{case.memory_mb:.0f}",
        latency,
        f"{case.refused.median:,.0f}" if case.refused.most else "",
        Styled(f"{case.lost:,}", "bad" if case.lost else "good"),
        Styled(f"{case.duplicates:,}", "good" if case.may_repeat or not case.duplicates else "bad"),
    ]


def _load(case: CaseReport) -> str:
    """Return how much of a limited receiver was used, and what it refused."""
    share = 0.0 if case.capacity_share is None else case.capacity_share.median
    median, most = case.at_once
    return (
        f"{share:.2f} of its capacity, {median:.0f} at once (most {most:.0f}),"
        f" {case.refused_in_ramp.median:,.0f} refused in {RAMP_S:g} s,"
        f" then {case.refused_later_share.median:.2%}"
    )


def _goal_row(goal: Goal) -> list[str | Styled]:
    met = "yes" if goal.met else "NO"
    if goal.aim_met:
        met = "yes, and the aim"
    bound = "≤ " if goal.less_is_better else ""
    reached = ("-", Styled("not measured", "dim"))
    if goal.reached is not None:
        reached = (_figure(goal.reached), Styled(met, "good" if goal.met else "bad"))
    return [goal.what, f"{bound}{_figure(goal.must)}", f"{bound}{_figure(goal.aim)}", *reached]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _shown(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({spread.least:,.0f}-{spread.most:,.0f})"
