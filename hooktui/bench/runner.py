"""Runs a measurement: in each round the sink alone, the baselines, and then every case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from hooktui.bench import baseline
from hooktui.bench.bench_run import BenchRun, Run, prepared
from hooktui.bench.cases import BY_NAME, CASES, Case
from hooktui.bench.databases import Databases
from hooktui.bench.machine import this_machine
from hooktui.bench.processes import temp_workspace
from hooktui.bench.report import Limits, Report, report_case, spread
from hooktui.bench.sink import running_sink
from hooktui.domain.errors import Refused

_BASELINE_SHARE = 3
"""A baseline is this much faster than a case, so it makes more requests to last as long."""


def chosen_cases(names: Sequence[str], *, shared: bool) -> tuple[Case, ...]:
    """Return the cases to measure, with those that they are compared with.

    Args:
        names: the requested ones; none: the default ones that this kind of database supports.
        shared: whether servers can share the database.

    Raises:
        Refused: one of them needs such a database.
    """
    needs = {case.name for case in CASES if case.servers > 1 or case.on_file}
    if not names:
        return tuple(c for c in CASES if c.by_default and (shared or c.name not in needs))
    for name in names:
        if name in needs and not shared:
            raise Refused(f"--case {name} needs PostgreSQL: --database postgresql://…")
    chosen = {*names, *(BY_NAME[name].against for name in names)}
    return tuple(case for case in CASES if case.name in chosen)


def bench(
    environ: Mapping[str, str],
    cases: Sequence[Case],
    *,
    databases: Databases,
    rounds: int,
    deliveries: int,
    progress: Callable[[str], None],
) -> Report:
    """Measure, with servers, a sink and a producer in separate processes.

    The cases of a round run one after another, so that a machine that slows down meanwhile affects
    all of them. A case makes about ``deliveries`` deliveries in a round.

    Raises:
        HooktuiError: a server did not start, or refused an event.
    """
    machine = this_machine()
    limits: list[Limits] = []
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    with ExitStack() as stack:
        folder = stack.enter_context(temp_workspace("bench"))
        sink = stack.enter_context(running_sink(folder, environ))
        filled: dict[str, BenchRun] = {}  # a store with old rows takes long to create: one for all
        for number in range(1, rounds + 1):
            prefix = f"round {number} of {rounds}: "
            progress(prefix + "baseline")
            count = _BASELINE_SHARE * deliveries
            kinds = ("sink", "client", "transport")
            limits.append(Limits(*(baseline.measure(k, sink.port, count, environ) for k in kinds)))
            for case in cases:
                progress(prefix + case.title)
                where = Databases() if case.on_file else databases
                bench_run = prepared(case, sink, folder, where, environ)
                if not case.old_rows:
                    with bench_run as ready:
                        runs[case.name].append(ready.run(deliveries))
                    continue
                if case.name not in filled:
                    progress(f"{prefix}{case.title}: creating them")
                    filled[case.name] = stack.enter_context(bench_run)
                runs[case.name].append(filled[case.name].run(deliveries))
        progress("")
    return Report(
        machine=machine,
        database=databases.kind,
        rounds=rounds,
        sink_per_s=spread([limit.sink_per_s for limit in limits]),
        baseline_per_s=spread([limit.baseline_per_s for limit in limits]),
        transport_per_s=spread([limit.transport_per_s for limit in limits]),
        cases=tuple(report_case(case, runs, limits) for case in cases),
    )
