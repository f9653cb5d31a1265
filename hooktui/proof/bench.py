"""The measurement as a story: in each round the sink alone, the floor, and then every case."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from hooktui.proof import floor
from hooktui.proof.cases import Case
from hooktui.proof.machine import this_machine
from hooktui.proof.report import Report, report_case, spread
from hooktui.proof.sink import running_sink
from hooktui.proof.stand import Run, Stand, prepared

_FLOOR_SHARE = 3
"""A floor is that much faster than a case, so it takes as many requests more to last as long."""


def bench(
    environ: Mapping[str, str],
    cases: Sequence[Case],
    *,
    rounds: int,
    deliveries: int,
    progress: Callable[[str], None],
) -> Report:
    """Measure, with a server, a sink and a producer that are processes of their own.

    Args:
        environ: such as ``os.environ``.
        cases: what to measure.
        rounds: how often; the cases of a round run one after another, so that a machine that gets
            slower meanwhile does so for all of them.
        deliveries: about how many a case makes in a round.
        progress: told what is being done; "" ends it.

    Raises:
        HooktuiError: the server did not start, or refused an event.
    """
    machine = this_machine()
    sinks_per_s: list[float] = []
    floors_per_s: list[float] = []
    transports_per_s: list[float] = []
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hooktui-bench-")))
        sink = stack.enter_context(running_sink(folder, environ))
        filled: dict[str, Stand] = {}  # a store with old rows takes long to make: one for all
        for number in range(1, rounds + 1):
            told = f"round {number} of {rounds}: "
            progress(told + "floor")
            count = _FLOOR_SHARE * deliveries
            sinks_per_s.append(floor.measure("sink", sink.port, count, environ))
            floors_per_s.append(floor.measure("client", sink.port, count, environ))
            transports_per_s.append(floor.measure("transport", sink.port, count, environ))
            for case in cases:
                progress(told + case.title)
                if not case.old_rows:
                    with prepared(case, sink, environ) as stand:
                        runs[case.name].append(stand.run(deliveries))
                    continue
                if case.name not in filled:
                    progress(f"{told}{case.title}: making them")
                    filled[case.name] = stack.enter_context(prepared(case, sink, environ))
                runs[case.name].append(filled[case.name].run(deliveries))
        progress("")
    sink_per_s = spread(sinks_per_s)
    return Report(
        machine=machine,
        rounds=rounds,
        sink_per_s=sink_per_s,
        floor_per_s=spread(floors_per_s),
        transport_per_s=spread(transports_per_s),
        cases=tuple(
            report_case(case, runs[case.name], floors_per_s, sink_per_s.median) for case in cases
        ),
    )
