"""What rounds come to: medians, comparisons, goals, and what makes a figure void."""

from __future__ import annotations

import pytest

from hooktui.bench.bench_run import Run
from hooktui.bench.cases import BY_NAME, CASES
from hooktui.bench.machine import Machine
from hooktui.bench.reconcile import Reconciliation, Refusals
from hooktui.bench.report import Goal, Limits, Report, goals, report_case, spread
from hooktui.bench.runner import chosen_cases
from hooktui.domain.errors import Refused

MACHINE = Machine(2, "a processor", "Linux", "3.11", "3.46", "0.22", "0.1.0", 0.2, 0.4)
NONE_REFUSED = Refusals(0, 0, 0.0)
LIMITS = Limits(sink_per_s=90_000, baseline_per_s=40_000, transport_per_s=50_000)


def run(
    per_s=10_000.0,
    p99_ms=None,
    lost=0,
    duplicates=0,
    restart_s=None,
    sink_busy=0.1,
    refused=NONE_REFUSED,
    at_once=(0, 0),
    capacity_share=None,
) -> Run:
    return Run(
        reconciliation=Reconciliation(1000 - lost, 0, lost, duplicates, 0, 0),
        per_s=per_s,
        cpu_us=90.0,
        disk_bytes=4000.0,
        database_us=None,
        sink_busy=sink_busy,
        idle_mb=95.0,
        memory_mb=120.0,
        latency_ms=None if p99_ms is None else (p99_ms / 10, p99_ms, 2 * p99_ms),
        restart_s=restart_s,
        refused=refused,
        at_once=at_once,
        capacity_share=capacity_share,
    )


def reported(limits=LIMITS, **runs: list[Run]) -> Report:
    named = {name.replace("_", "-"): rounds for name, rounds in runs.items()}
    rounds = len(next(iter(named.values())))
    cases = [report_case(BY_NAME[name], named, [limits] * rounds) for name in named]
    one = spread([1.0])
    return Report(MACHINE, "SQLite", rounds, one, one, one, tuple(cases))


def reached(report: Report) -> dict[str, Goal]:
    return {goal.what: goal for goal in goals(report) if goal.reached is not None}


def test_a_result_is_compared_round_by_round():
    report = reported(
        one_hook=[run(10_000), run(8000), run(2000)], old_rows=[run(9000), run(8000), run(1000)]
    )
    assert report.cases[1].compared == spread([0.9, 1.0, 0.5])
    assert report.cases[1].against == "one-hook"
    goal = reached(report)["1,000,000 old deliveries, of none"]
    assert (goal.reached, goal.met, goal.aim_met) == (0.9, True, False)


def test_open_loops_are_compared_by_what_all_but_one_in_a_hundred_took():
    report = reported(healthy_100=[run(p99_ms=4.0)], hung_100=[run(p99_ms=7.0)])
    goal = reached(report)["p99 beside 100 that hang, of without"]
    assert (goal.reached, goal.met) == (1.75, False)


def test_postgresql_is_reported_as_a_share_of_sqlite():
    report = reported(one_hook=[run(6000)], one_hook_sqlite=[run(8000)])
    assert reached(report)["PostgreSQL, of SQLite"].reached == pytest.approx(0.75, rel=0.001)


def test_a_round_in_which_the_sink_had_too_little_in_reserve_makes_a_figure_void():
    report = reported(one_hook=[run(10_000), run(30_001), run(10_000)])
    assert report.cases[0].void is not None
    assert "round 2" in report.cases[0].void
    assert "deliveries/s, 1 hook" not in reached(report)


def test_with_tls_it_counts_how_busy_the_sink_was():
    assert reported(tls=[run(40_000, sink_busy=0.3)]).cases[0].void is None
    assert reported(tls=[run(4000, sink_busy=0.4)]).cases[0].void is not None


def test_only_a_kill_allows_arrivals_twice():
    assert not reported(one_hook=[run(duplicates=1)]).good
    assert reported(restart=[run(duplicates=1)]).good
    assert not reported(restart=[run(lost=1)]).good
    assert reached(reported(restart=[run(lost=1)]))["lost at kill -9"].met is False


def test_a_goal_that_was_not_measured_is_neither_met_nor_missed():
    found = {goal.what: goal.met for goal in goals(reported(as_installed=[run()]))}
    assert found.pop("one event per request, events/s") is True
    assert set(found.values()) == {None}


def test_a_limited_receiver_is_judged_by_its_capacity_and_by_what_it_refused():
    report = reported(
        capped=[
            run(340, refused=Refusals(60, 8, 0.001), at_once=(16, 40), capacity_share=0.85),
            run(300, refused=Refusals(80, 160, 0.02), at_once=(18, 44), capacity_share=0.75),
            run(380, refused=Refusals(130, 80, 0.01), at_once=(17, 50), capacity_share=0.95),
        ]
    )
    (case,) = report.cases
    assert case.refused == spread([68, 240, 210])
    assert case.at_once == (17, 44)
    found = {what: (goal.reached, goal.met) for what, goal in reached(report).items()}
    assert found == {
        "20 at once, of capacity": (0.85, True),
        "20 at once, refused in 5 s": (80, True),
        "20 at once, refused later, %": (1.0, False),
    }


@pytest.mark.parametrize(
    ("other_per_s", "share"), [(4000, 0.75), (10_240, 3000 / 5120)], ids=["machine", "limit"]
)
def test_a_slow_receiver_is_compared_with_what_machine_and_limit_allow(other_per_s, share):
    report = reported(one_hook=[run(other_per_s)], far=[run(3000)])
    goal = reached(report)["50 ms, of possible"]
    assert goal.reached == pytest.approx(share, rel=0.001)


def test_a_case_brings_the_one_that_it_is_compared_with_just_before_it():
    names = [case.name for case in chosen_cases(["hung-100", "old-rows"], shared=False)]
    assert names == ["one-hook", "old-rows", "healthy-100", "hung-100"]
    for case in CASES:
        assert case.against is None or CASES.index(BY_NAME[case.against]) < CASES.index(case)


def test_what_needs_a_shared_database_is_left_out_or_refused_without_one():
    alone = {case.name for case in chosen_cases([], shared=False)}
    assert {"two-servers", "one-hook-sqlite"}.isdisjoint(alone)
    assert {case.name for case in chosen_cases([], shared=True)} == {
        case.name for case in CASES if case.by_default
    }
    with pytest.raises(Refused, match="postgresql://"):
        chosen_cases(["two-servers"], shared=False)


# Red when a case of many hooks makes a full request for each: 9,900 deliveries for 400.
@pytest.mark.parametrize(
    ("name", "deliveries", "events"),
    [("one-hook", 250, 200), ("one-hook", 60, 60), ("hung", 400, 4), ("hung-100", 100, 1)],
)
def test_a_case_makes_about_as_many_deliveries_as_asked(name: str, deliveries: int, events: int):
    assert BY_NAME[name].events(deliveries) == events
