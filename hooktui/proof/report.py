"""The result of a measurement: medians with their spread, and what makes a figure void."""

from __future__ import annotations

from collections.abc import Sequence
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
        cpu_us: of the server for each delivery.
        memory_mb: the most that the server held in any round.
        latency_ms: p50, p99, longest, each the median of the rounds; of an open loop only.
        lost: over all rounds, as the next three.
        duplicates: arrivals of what had been taken.
        altered: arrivals with other bytes or ids.
        unsigned: arrivals with a wrong signature.
        void: why the figure means nothing; None when it counts.
    """

    name: str
    title: str
    deliveries: int
    per_s: Spread
    ratio: Spread
    cpu_us: Spread
    memory_mb: float
    latency_ms: tuple[float, float, float] | None
    lost: int
    duplicates: int
    altered: int
    unsigned: int
    void: str | None

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or changed."""
        return not (self.lost or self.duplicates or self.altered or self.unsigned)


@dataclass(frozen=True, slots=True)
class Report:
    """A finished measurement.

    Attributes:
        machine: where, and with which versions.
        rounds: how many.
        sink_per_s: requests a second that the sink takes.
        floor_per_s: attempts a second of the engine's client without a store: judged, signed, sent.
        transport_per_s: prepared requests a second over the same connections.
        cases: in their order.
    """

    machine: Machine
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


def spread(values: Sequence[float]) -> Spread:
    """Return median and extremes of the rounds."""
    return Spread(*(round(value, 4) for value in (float(median(values)), min(values), max(values))))


def report_case(
    case: Case, runs: Sequence[Run], floors_per_s: Sequence[float], sink_per_s: float
) -> CaseReport:
    """Put the rounds of a case together; ``floors_per_s`` has the floor of each round."""
    per_s = spread([run.per_s for run in runs])
    latencies = [run.latency_ms for run in runs if run.latency_ms is not None]
    latency_ms = None
    if case.per_s is not None and latencies:
        p50, p99, longest = (round(float(median(one)), 3) for one in zip(*latencies, strict=True))
        latency_ms = (p50, p99, longest)
    void = None
    if sink_per_s < SINK_MARGIN * per_s.median:
        void = f"the sink itself takes {sink_per_s:,.0f}/s, under {SINK_MARGIN:g} times the result"
    return CaseReport(
        name=case.name,
        title=case.title,
        deliveries=sum(run.balance.counted for run in runs),
        per_s=per_s,
        ratio=spread([run.per_s / floor for run, floor in zip(runs, floors_per_s, strict=True)]),
        cpu_us=spread([run.cpu_us for run in runs]),
        memory_mb=round(max(run.memory_mb for run in runs), 1),
        latency_ms=latency_ms,
        lost=sum(run.balance.lost for run in runs),
        duplicates=sum(run.balance.duplicates for run in runs),
        altered=sum(run.balance.altered for run in runs),
        unsigned=sum(run.balance.unsigned for run in runs),
        void=void,
    )
