"""Compares what was accepted with what arrived and with what the store calls delivered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hooktui.proof.arrivals import Arrival


@dataclass(frozen=True, slots=True)
class Offered:
    """An event that was answered with 202; times are monotonic nanoseconds.

    Attributes:
        event: its public id.
        body: the hash of its bytes.
        due_ns: when it was to be sent; for an open loop that is its time in the schedule.
    """

    event: str
    body: bytes
    due_ns: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What the comparison came to; all but ``counted`` should be 0 in a run without kills.

    Attributes:
        counted: deliveries that are done in the store and arrived once or more, signed and whole.
        lost: deliveries that were owed and do not count.
        duplicates: arrivals of a delivery that had been taken already.
        altered: arrivals with other bytes, another event, or a hook that is not one of the run's.
        unsigned: arrivals with a wrong signature.
    """

    counted: int
    lost: int
    duplicates: int
    altered: int
    unsigned: int

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.duplicates or self.altered or self.unsigned)


def balance(
    offered: Iterable[Offered],
    arrivals: Iterable[Arrival],
    delivered: Collection[str],
    hooks: Collection[int],
) -> Balance:
    """Compare.

    Args:
        offered: what was accepted; each of it is owed to each of the hooks.
        arrivals: what the sink received.
        delivered: the deliveries that the store calls delivered.
        hooks: the hooks that count.
    """
    bodies = {one.event: one.body for one in offered}
    taken: Counter[tuple[str, int]] = Counter()
    whole: set[tuple[str, int]] = set()
    altered = unsigned = 0
    for arrival in arrivals:
        if bodies.get(arrival.event) != arrival.body or arrival.hook not in hooks:
            altered += 1
            continue
        if not arrival.signed:
            unsigned += 1
            continue
        if arrival.taken:
            owed = (arrival.event, arrival.hook)
            taken[owed] += 1
            if arrival.delivery in delivered:
                whole.add(owed)
    return Balance(
        counted=len(whole),
        lost=len(bodies) * len(hooks) - len(whole),
        duplicates=sum(taken.values()) - len(taken),
        altered=altered,
        unsigned=unsigned,
    )


def percentiles_ms(
    offered: Iterable[Offered], arrivals: Iterable[Arrival]
) -> tuple[float, float, float] | None:
    """Return p50, p99 and the longest time from an event's turn to its receipt, in ms."""
    due = {one.event: one.due_ns for one in offered}
    waits = sorted(
        (arrival.arrived_ns - due[arrival.event]) / 1e6
        for arrival in arrivals
        if arrival.taken and arrival.event in due
    )
    if not waits:
        return None
    return waits[len(waits) // 2], waits[min(len(waits) * 99 // 100, len(waits) - 1)], waits[-1]
