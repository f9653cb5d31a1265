"""The result of a measurement: medians with their spread, and what makes a figure void."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from hooktui.proof.cases import Case
from hooktui.proof.machine import Machine
from hooktui.proof.stand import Run

SINK_MARGIN = 3.0
"""A sink that is not three times as fast as the result may have been what was measured."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, and their extremes."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class CaseReport:
    """What the rounds of a case came to.

    Attributes:
        name: of the case.
        title: for people.
        deliveries: that count, over all rounds.
        per_s: deliveries a second.
        ratio: the same, to the floor of the same round.
        cpu_us: of the servers for each delivery.
        disk_bytes: that the servers, or the log of PostgreSQL, wrote for each delivery.
        database_us: CPU of PostgreSQL for each delivery, where it runs on this machine.
        idle_mb: what a server held before the first event.
        memory_mb: the most that a server held in any round.
        latency_ms: p50, p99, longest, each the median of the rounds; of an open loop only.
        against: the case that it is compared with.
        compared: deliveries a second, or for an open loop the p99, to that of the same round there.
        restart_s: from the start after a kill to the first arrival.
        lost: over all rounds, as the next three.
        duplicates: arrivals of what had been taken.
        altered: arrivals with other bytes or ids.
        unsigned: arrivals with a wrong signature.
        may_repeat: whether duplicates are allowed: only where the server was killed.
        void: why the figure means nothing; None when it counts.
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
    lost: int
    duplicates: int
    altered: int
    unsigned: int
    may_repeat: bool
    void: str | None

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        twice = self.duplicates and not self.may_repeat
        return not (self.lost or twice or self.altered or self.unsigned)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished measurement.

    Attributes:
        machine: where, and with which versions.
        database: its kind and version.
        rounds: how many.
        sink_per_s: requests a second that the sink takes.
        floor_per_s: attempts a second of the engine's client without a store: judged, signed, sent.
        transport_per_s: prepared requests a second over the same connections.
        cases: in their order.
    """

    machine: Machine
    database: str
    rounds: int
    sink_per_s: Spread
    floor_per_s: Spread
    transport_per_s: Spread
    cases: tuple[CaseReport, ...]

    @property
    def good(self) -> bool:
        """Whether every case kept every promise."""
        return all(case.good for case in self.cases)

    def fields(self) -> dict[str, object]:
        """Return everything as JSON can take it."""
        return asdict(self) | {"good": self.good}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one round came to without a server, in requests a second; see `Report`."""

    sink_per_s: float
    floor_per_s: float
    transport_per_s: float


def spread(values: Sequence[float]) -> Spread:
    """Return median and extremes of the rounds."""
    return Spread(*(round(value, 4) for value in (float(median(values)), min(values), max(values))))


def report_case(
    case: Case, runs: Mapping[str, Sequence[Run]], limits: Sequence[Limits]
) -> CaseReport:
    """Put the rounds of a case together.

    Args:
        case: which.
        runs: of all cases by name, a round each.
        limits: of each round.
    """
    own = runs[case.name]
    latencies = [run.latency_ms for run in own if run.latency_ms is not None]
    latency_ms = None
    if latencies:
        p50, p99, longest = (round(float(median(one)), 3) for one in zip(*latencies, strict=True))
        latency_ms = (p50, p99, longest)
    database_us = [run.database_us for run in own if run.database_us is not None]
    restarts = [run.restart_s for run in own if run.restart_s is not None]
    other = runs.get(case.against or "", ())
    return CaseReport(
        name=case.name,
        title=case.title,
        deliveries=sum(run.balance.counted for run in own),
        per_s=spread([run.per_s for run in own]),
        ratio=spread([a.per_s / b.floor_per_s for a, b in zip(own, limits, strict=True)]),
        cpu_us=spread([run.cpu_us for run in own]),
        disk_bytes=spread([run.disk_bytes for run in own]),
        database_us=spread(database_us) if database_us else None,
        idle_mb=round(max(run.idle_mb for run in own), 1),
        memory_mb=round(max(run.memory_mb for run in own), 1),
        latency_ms=latency_ms,
        against=case.against if other else None,
        compared=spread([_compared(*pair) for pair in zip(own, other, strict=True)])
        if other
        else None,
        restart_s=spread(restarts) if restarts else None,
        lost=sum(run.balance.lost for run in own),
        duplicates=sum(run.balance.duplicates for run in own),
        altered=sum(run.balance.altered for run in own),
        unsigned=sum(run.balance.unsigned for run in own),
        may_repeat=case.killed,
        void=_void(case, own, limits),
    )


def _compared(own: Run, other: Run) -> float:
    """Return a run to one of the case that it is compared with."""
    if own.latency_ms is not None and other.latency_ms is not None:
        return own.latency_ms[1] / other.latency_ms[1]
    return own.per_s / other.per_s if other.per_s else 0.0


def _void(case: Case, runs: Sequence[Run], limits: Sequence[Limits]) -> str | None:
    """Return why a case means nothing: in one of its rounds the sink had too little in reserve.

    The sink's limit is measured without TLS; with it, what counts is how busy the sink was.
    """
    for number, (run, limit) in enumerate(zip(runs, limits, strict=True), 1):
        if case.tls and run.sink_busy * SINK_MARGIN > 1:
            return f"round {number}: the sink was busy for {run.sink_busy:.0%} of the time"
        if not case.tls and limit.sink_per_s < SINK_MARGIN * run.per_s:
            return (
                f"round {number}: the sink itself takes {limit.sink_per_s:,.0f}/s,"
                f" under {SINK_MARGIN:g} times {run.per_s:,.0f}/s"
            )
    return None
