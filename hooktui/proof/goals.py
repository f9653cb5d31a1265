"""What a measurement should reach, and whether it did: the numbers that this program is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hooktui.proof.report import CaseReport, Report


@dataclass(frozen=True, slots=True)
class Goal:
    """One number.

    Attributes:
        what: for people.
        must: what it has to be at least (at the most, where less is better).
        aim: what is wanted.
        reached: what was measured; None: its case was not run.
        less_is_better: whether must and aim are upper bounds.
    """

    what: str
    must: float
    aim: float
    reached: float | None
    less_is_better: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is what it must be; None: not measured."""
        return None if self.reached is None else self._holds(self.must)

    @property
    def aim_met(self) -> bool | None:
        """Whether it is what is wanted; None: not measured."""
        return None if self.reached is None else self._holds(self.aim)

    def _holds(self, bound: float) -> bool:
        if self.reached is None:
            return False
        return self.reached <= bound if self.less_is_better else self.reached >= bound


_Value = Callable[[CaseReport], float | None]


def _per_s(case: CaseReport) -> float | None:
    return case.per_s.median


def _of_floor(case: CaseReport) -> float | None:
    return case.ratio.median


def _compared(case: CaseReport) -> float | None:
    return None if case.compared is None else case.compared.median


def _inverse(case: CaseReport) -> float | None:
    return None if case.compared is None else 1 / max(case.compared.median, 1e-9)


def _p50(case: CaseReport) -> float | None:
    return None if case.latency_ms is None else case.latency_ms[0]


def _p99(case: CaseReport) -> float | None:
    return None if case.latency_ms is None else case.latency_ms[1]


def _of_allowed(case: CaseReport) -> float | None:
    """Return the p99 as a share of what it may be: 1.5 times that without, or 10 ms more."""
    if case.latency_ms is None or case.compared is None:
        return None
    p99_ms = case.latency_ms[1]
    without_ms = p99_ms / max(case.compared.median, 1e-9)
    return p99_ms / max(1.5 * without_ms, without_ms + 10)


def _lost(case: CaseReport) -> float | None:
    return case.lost


def _restart(case: CaseReport) -> float | None:
    return None if case.restart_s is None else case.restart_s.median


def _idle_mb(case: CaseReport) -> float | None:
    return case.idle_mb


def _memory_mb(case: CaseReport) -> float | None:
    return case.memory_mb


_GOALS: tuple[tuple[str, str, float, float, bool, _Value], ...] = (
    ("deliveries/s of the floor, 1 hook", "one-hook", 0.25, 0.5, False, _of_floor),
    ("deliveries/s, 1 hook", "one-hook", 8000, 20_000, False, _per_s),
    ("deliveries/s of the floor, 10 hooks", "ten-hooks", 0.3, 0.6, False, _of_floor),
    ("PostgreSQL, of SQLite", "one-hook-sqlite", 0.7, 1.0, False, _inverse),
    ("one event per request, events/s", "single", 4000, 10_000, False, _per_s),
    ("2 servers on PostgreSQL, of 1", "two-servers", 1.7, 1.95, False, _compared),
    ("latency at 1,000/s, p50 ms", "open-1000", 2, 0.7, True, _p50),
    ("latency at 1,000/s, p99 ms", "open-1000", 20, 5, True, _p99),
    ("p99 beside a hostile caller, of allowed", "hostile-caller", 1, 0.8, True, _of_allowed),
    ("1,000,000 old deliveries, of none", "old-rows", 0.9, 1.0, False, _compared),
    ("p99 beside 100 that hang, of without", "hung-100", 1.5, 1.2, True, _compared),
    ("lost at kill -9", "restart", 0, 0, True, _lost),
    ("restart to first delivery, s", "restart", 2, 1, True, _restart),
    ("memory idle, MB", "one-hook", 130, 100, True, _idle_mb),
    ("memory at full load, MB", "one-hook", 250, 160, True, _memory_mb),
)
"""Name, case, must, aim, whether less is better, and where the value stands."""


def goals(report: Report) -> list[Goal]:
    """Return all goals with what a measurement reached; void figures reach nothing."""
    cases: Mapping[str, CaseReport] = {c.name: c for c in report.cases if c.void is None}
    return [
        Goal(what, must, aim, value(cases[name]) if name in cases else None, less)
        for what, name, must, aim, less, value in _GOALS
    ]
