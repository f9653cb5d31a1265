"""Compares accepted events, arrivals, and the store: lost, duplicated and invented deliveries.

Pure: three lists in, a verdict out. The guarantee is at least once, so a repeated arrival is
allowed, but only as the same delivery with the same ``webhook-id`` and the same bytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from hooktui.domain.wire.deliveries import Delivery
from hooktui.selftest.ledger import ReceivedRequest
from hooktui.selftest.producer import Sent


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the comparison; all except the counts must be empty.

    Attributes:
        accepted: events that got a 202.
        delivered: deliveries that the receiver accepted at least once.
        duplicates: repeated arrivals of an accepted delivery; allowed after a kill, and counted.
        lost: event and hook of accepted events that never arrived.
        unexpected: arrivals of events that were never accepted, or with other bytes.
        altered: deliveries whose arrivals differ in ``webhook-id`` or bytes, and events that came
            to one hook as two deliveries.
        phantoms: deliveries that are delivered in the store but never arrived.
        unsettled: deliveries that are not in the state ``delivered`` at the end.
        repeated: deliveries that arrived more often than the store has attempts of them, or that it
            does not have. A kill explains an arrival: the attempt that it interrupted is stored.
    """

    accepted: int
    delivered: int
    duplicates: int
    lost: tuple[str, ...]
    unexpected: tuple[str, ...]
    altered: tuple[str, ...]
    phantoms: tuple[str, ...]
    unsettled: tuple[str, ...]
    repeated: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether every guarantee was kept."""
        wrong = self.lost or self.unexpected or self.altered or self.phantoms
        return not (wrong or self.unsettled or self.repeated)


def check(
    sent: Iterable[Sent],
    entries: Iterable[ReceivedRequest],
    stored: Iterable[Delivery],
    hooks: dict[str, int],
) -> Verdict:
    """Compare the accepted events with the recorded requests, and with all stored deliveries.

    ``hooks`` has the hook of each path of the receiver; each gets every event.
    """
    accepted = {event.event: event for event in sent}
    stored = list(stored)
    attempts = {row.id: row.attempts for row in stored}
    unexpected: set[str] = set()
    counts: Counter[str] = Counter()
    arrivals: Counter[str] = Counter()
    contents: dict[str, set[tuple[str, str]]] = defaultdict(set)
    by_pair: dict[tuple[str, int], set[str]] = defaultdict(set)
    for entry in entries:
        unexpected.add(_unexpected(entry, accepted))
        arrivals[entry.delivery] += 1
        if entry.accepted:
            counts[entry.delivery] += 1
        contents[entry.delivery].add((entry.event, entry.body))
        by_pair[entry.event, hooks[entry.path]].add(entry.delivery)
    altered = [delivery for delivery, different in contents.items() if len(different) > 1]
    altered += [
        f"{event} to hook {hook} as {', '.join(sorted(deliveries))}"
        for (event, hook), deliveries in by_pair.items()
        if len(deliveries) > 1
    ]
    return Verdict(
        accepted=len(accepted),
        delivered=len(counts),
        duplicates=sum(count - 1 for count in counts.values()),
        lost=tuple(
            f"{event} to hook {hook}"
            for event in accepted
            for hook in hooks.values()
            if by_pair[event, hook].isdisjoint(counts)
        ),
        unexpected=tuple(sorted(unexpected - {""})),
        altered=tuple(altered),
        phantoms=tuple(
            row.id for row in stored if row.status == "delivered" and row.id not in counts
        ),
        unsettled=tuple(
            f"{row.id} {row.status}" + (f" ({row.reason})" if row.reason else "")
            for row in stored
            if row.status != "delivered"
        ),
        repeated=tuple(
            delivery for delivery, count in arrivals.items() if count > attempts.get(delivery, 0)
        ),
    )


def _unexpected(entry: ReceivedRequest, accepted: dict[str, Sent]) -> str:
    sent = accepted.get(entry.event)
    if sent is None:
        return f"{entry.event} was never accepted"
    return "" if sent.body == entry.body else f"{entry.delivery} has other bytes than {sent.key}"
