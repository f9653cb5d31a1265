"""The result of a measurement: medians with their spread, reasons that void a figure, and goals.

A goal is a number that a measurement should reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from hooktui.bench.bench_run import Run
from hooktui.bench.cases import Case
from hooktui.bench.machine import Machine
from hooktui.bench.sink import LATE_S
from hooktui.domain.adaptive_limit import DEFAULT_MAX_LIMIT

SINK_MARGIN = 3.0
"""A sink that is less than three times as fast as the result may have limited it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, and their extremes."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class CaseReport:
    """The rounds of a case: what `Run` and `Reconciliation` say of each, as medians or sums.

    Attributes:
        name: of the case.
        title: for people.
        deliveries: counted deliveries over all rounds.
        ratio: deliveries per second relative to the baseline of the round.
        memory_mb: peak memory of a server in any round.
        latency_ms: each the median of the rounds; of an open loop only.
        against: the case for comparison.
        compared: deliveries per second, or for an open loop the p99, relative to that case.
        refused_in_ramp: refused attempts of the first five seconds.
        refused_later_share: the others, as a share of the attempts after that time.
        at_once: each the median of the rounds; 0 if the receiver responds immediately.
        failed: over all rounds, as the next four.
        may_repeat: whether duplicates are allowed: only if the server was killed.
        void: why the figure is invalid; None if it is valid.
    """

    name: str
    title: str
    deliveries: int
    per_s: Spread
    ratio: Spread
    cpu_us: Spread
    disk_bytes: Spread
    database_us: Spread | None
    idle_mb: float
    memory_mb: float
    latency_ms: tuple[float, float, float] | None
    against: str | None
    compared: Spread | None
    restart_s: Spread | None
    refused: Spread
    refused_in_ramp: Spread
    refused_later_share: Spread
    at_once: tuple[float, float]
    capacity_share: Spread | None
    failed: int
    lost: int
    duplicates: int
    altered: int
    unsigned: int
    may_repeat: bool
    void: str | None

    @property
    def good(self) -> bool:
        """Whether nothing was lost, duplicated or altered."""
        twice = self.duplicates and not self.may_repeat
        return not (self.lost or twice or self.altered or self.unsigned)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished measurement.

    Attributes:
        machine: the machine and the versions.
        database: its kind and version.
        rounds: number of rounds.
        sink_per_s: requests per second that the sink can handle.
        baseline_per_s: attempts per second of the engine's client without a store: checked, signed,
            sent.
        transport_per_s: prepared requests per second over the same connections.
        cases: in their order.
    """

    machine: Machine
    database: str
    rounds: int
    sink_per_s: Spread
    baseline_per_s: Spread
    transport_per_s: Spread
    cases: tuple[CaseReport, ...]

    @property
    def good(self) -> bool:
        """Whether every case kept every guarantee."""
        return all(case.good for case in self.cases)

    def fields(self) -> dict[str, object]:
        """Return all values as JSON objects."""
        return asdict(self) | {"good": self.good}


@dataclass(frozen=True, slots=True)
class Limits:
    """The baselines of one round, in requests per second; see `Report`."""

    sink_per_s: float
    baseline_per_s: float
    transport_per_s: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and extremes of the rounds."""
    return Spread(*(round(value, 4) for value in (float(median(values)), min(values), max(values))))


def _spread_known(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return spread(known) if known else None


def report_case(
    case: Case, runs: Mapping[str, Sequence[Run]], limits: Sequence[Limits]
) -> CaseReport:
    """Summarize the rounds of a case.

    ``runs`` are those of all cases by name; they and ``limits`` have one entry per round.
    """
    own = runs[case.name]
    latencies = [run.latency_ms for run in own if run.latency_ms is not None]
    latency_ms = None
    if latencies:
        p50, p99, longest = (round(float(median(ms)), 3) for ms in zip(*latencies, strict=True))
        latency_ms = (p50, p99, longest)
    at_once, most_at_once = (
        float(median(one)) for one in zip(*(r.at_once for r in own), strict=True)
    )
    other = runs.get(case.against or "", ())
    return CaseReport(
        name=case.name,
        title=case.title,
        deliveries=sum(run.reconciliation.counted for run in own),
        per_s=spread([run.per_s for run in own]),
        ratio=spread([a.per_s / b.baseline_per_s for a, b in zip(own, limits, strict=True)]),
        cpu_us=spread([run.cpu_us for run in own]),
        disk_bytes=spread([run.disk_bytes for run in own]),
        database_us=_spread_known(run.database_us for run in own),
        idle_mb=round(max(run.idle_mb for run in own), 1),
        memory_mb=round(max(run.memory_mb for run in own), 1),
        latency_ms=latency_ms,
        against=case.against if other else None,
        compared=_spread_known(map(_compared, own, other)),
        restart_s=_spread_known(run.restart_s for run in own),
        refused=spread([run.refused.in_ramp + run.refused.later for run in own]),
        refused_in_ramp=spread([run.refused.in_ramp for run in own]),
        refused_later_share=spread([run.refused.later_share for run in own]),
        at_once=(at_once, most_at_once),
        capacity_share=_spread_known(run.capacity_share for run in own),
        failed=sum(run.reconciliation.failed for run in own),
        lost=sum(run.reconciliation.lost for run in own),
        duplicates=sum(run.reconciliation.duplicates for run in own),
        altered=sum(run.reconciliation.altered for run in own),
        unsigned=sum(run.reconciliation.unsigned for run in own),
        may_repeat=case.killed,
        void=_void(case, own, limits),
    )


def _compared(own: Run, other: Run) -> float:
    """Return a run relative to one of the case for comparison."""
    if own.latency_ms is not None and other.latency_ms is not None:
        return own.latency_ms[1] / other.latency_ms[1]
    return own.per_s / other.per_s if other.per_s else 0.0


def _void(case: Case, runs: Sequence[Run], limits: Sequence[Limits]) -> str | None:
    """Return why a case is invalid: the sink had too little reserve in one of its rounds.

    The sink's limit is measured without TLS; with TLS its busy time is used instead.
    """
    for number, (run, limit) in enumerate(zip(runs, limits, strict=True), 1):
        if case.tls and run.sink_busy * SINK_MARGIN > 1:
            return f"round {number}: the sink was busy for {run.sink_busy:.0%} of the time"
        if not case.tls and limit.sink_per_s < SINK_MARGIN * run.per_s:
            return (
                f"round {number}: the sink alone handles {limit.sink_per_s:,.0f}/s,"
                f" under {SINK_MARGIN:g} times {run.per_s:,.0f}/s"
            )
    return None


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal.

    Attributes:
        what: for people.
        must: required minimum (maximum, if less is better).
        aim: desired value.
        reached: measured value; None: its case was not run.
        less_is_better: whether must and aim are upper bounds.
    """

    what: str
    must: float
    aim: float
    reached: float | None
    less_is_better: bool

    @property
    def met(self) -> bool | None:
        """Whether the required value is reached; None: not measured."""
        return self._holds(self.must)

    @property
    def aim_met(self) -> bool | None:
        """Whether the desired value is reached; None: not measured."""
        return self._holds(self.aim)

    def _holds(self, bound: float) -> bool | None:
        if self.reached is None:
            return None
        return self.reached <= bound if self.less_is_better else self.reached >= bound


_Value = Callable[[CaseReport], float | None]


def _median(name: str) -> _Value:
    """Return the function that reads the median of a field."""

    def value(case: CaseReport) -> float | None:
        spread: Spread | None = getattr(case, name)
        return None if spread is None else spread.median

    return value


_per_s, _of_baseline, _of_the_other = _median("per_s"), _median("ratio"), _median("compared")
_of_capacity, _restart = _median("capacity_share"), _median("restart_s")


def _inverse(case: CaseReport) -> float | None:
    return None if case.compared is None else 1 / max(case.compared.median, 1e-9)


def _of_possible(case: CaseReport) -> float | None:
    """Return deliveries/s relative to the other case, or to the most with the largest limit."""
    if case.compared is None:
        return None
    other_per_s = case.per_s.median / max(case.compared.median, 1e-9)
    return case.per_s.median / min(other_per_s, DEFAULT_MAX_LIMIT / LATE_S)


def _refused_later(case: CaseReport) -> float | None:
    return 100 * case.refused_later_share.median


def _latency(case: CaseReport, at: int) -> float | None:
    return None if case.latency_ms is None else case.latency_ms[at]


def _of_allowed(case: CaseReport) -> float | None:
    """Return the p99 relative to its limit: 1.5 times the p99 without, or 10 ms more."""
    if case.latency_ms is None or case.compared is None:
        return None
    p99_ms = case.latency_ms[1]
    without_ms = p99_ms / max(case.compared.median, 1e-9)
    return p99_ms / max(1.5 * without_ms, without_ms + 10)


_GOALS: tuple[tuple[str, str, float, float, bool, _Value], ...] = (
    ("deliveries/s of the baseline, 1 hook", "one-hook", 0.25, 0.5, False, _of_baseline),
    ("deliveries/s, 1 hook", "one-hook", 8000, 20_000, False, _per_s),
    ("1 hook as created, of 64 slots", "one-hook-auto", 0.97, 1, False, _of_the_other),
    ("10 hooks and a disabled one, of 10", "disabled-hook", 0.97, 1, False, _of_the_other),
    ("deliveries/s of the baseline, 10 hooks", "fan-out-10", 0.3, 0.6, False, _of_baseline),
    ("PostgreSQL, of SQLite", "one-hook-sqlite", 0.7, 1.0, False, _inverse),
    ("one event per request, events/s", "as-installed", 4000, 10_000, False, _per_s),
    ("50 ms, of possible", "far", 0.6, 0.9, False, _of_possible),
    ("50 ms, https, of possible", "far-tls", 0.6, 0.9, False, _of_possible),
    ("memory, 50 ms, https, MB", "far-tls", 160, 140, True, lambda c: c.memory_mb),
    ("503 for 2 % of the events, of none", "poisoned", 0.85, 0.95, False, _of_the_other),
    ("20 at once, of capacity", "capped", 0.8, 0.95, False, _of_capacity),
    ("20 at once, refused in 5 s", "capped", 120, 60, True, _median("refused_in_ramp")),
    ("20 at once, refused later, %", "capped", 0.5, 0.25, True, _refused_later),
    ("one worker, of capacity", "one-worker", 0.95, 1, False, _of_capacity),
    ("one worker, median at once", "one-worker", 20, 12, True, lambda c: c.at_once[0]),
    ("100,000 waiting, of none", "backlog", 0.8, 1.0, False, _of_the_other),
    ("2 servers on PostgreSQL, of 1", "two-servers", 1.7, 1.95, False, _of_the_other),
    ("latency at 1,000/s, p50 ms", "open-1000", 2, 0.7, True, lambda c: _latency(c, 0)),
    ("latency at 1,000/s, p99 ms", "open-1000", 20, 5, True, lambda c: _latency(c, 1)),
    ("p99 beside a hostile caller, of allowed", "hostile-caller", 1, 0.8, True, _of_allowed),
    ("1,000,000 old deliveries, of none", "old-rows", 0.9, 1.0, False, _of_the_other),
    ("p99 beside 100 that hang, of without", "hung-100", 1.5, 1.2, True, _of_the_other),
    ("p99 beside a replay at 50/s, of without", "replay-50", 1.2, 1.1, True, _of_the_other),
    ("p99 beside a replay at 500/s, of without", "replay-500", 1.2, 1.1, True, _of_the_other),
    ("replay at 500/s, deliveries/s", "replay-rate", 475, 500, False, _per_s),
    ("replay, restart to first delivery, s", "replay-restart", 2, 1, True, _restart),
    ("lost at kill -9", "restart", 0, 0, True, lambda c: c.lost),
    ("restart to first delivery, s", "restart", 2, 1, True, _restart),
    ("memory idle, MB", "one-hook", 130, 100, True, lambda c: c.idle_mb),
    ("memory at full load, MB", "one-hook", 160, 140, True, lambda c: c.memory_mb),
)
"""Name, case, must, aim, whether less is better, and the function that reads the value."""


def goals(report: Report) -> list[Goal]:
    """Return all goals with the reached values; invalid figures reach nothing."""
    cases: Mapping[str, CaseReport] = {c.name: c for c in report.cases if c.void is None}
    return [
        Goal(what, must, aim, value(cases[name]) if name in cases else None, less)
        for what, name, must, aim, less, value in _GOALS
    ]
