"""Counts the outcomes of everything that was sent, from the lines of the change feed."""

from __future__ import annotations

from collections import Counter

from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.feed import AttemptLine, FeedLine


class Summary:
    """Counts lines of the feed; it needs every line from the beginning."""

    def __init__(self) -> None:
        self._events = 0
        self._deliveries = 0
        self._skipped = 0
        self._attempts = 0
        self._status: dict[str, str] = {}
        self._retried: set[str] = set()

    def add(self, line: FeedLine) -> None:
        """Count one line."""
        if line.kind == "event":
            event = line.read(Event)
            self._events += 1
            self._deliveries += event.deliveries
            self._skipped += event.skipped
        elif line.kind == "attempt":
            attempt = line.read(AttemptLine)
            self._attempts += 1
            self._status[attempt.delivery] = attempt.status
            if attempt.number > 1:
                self._retried.add(attempt.delivery)
        elif line.kind == "delivery":
            delivery = line.read(Delivery)
            self._status[delivery.id] = delivery.status

    def counts(self) -> dict[str, int]:
        """Return all counts by name; ``waiting``: deliveries that are not final."""
        statuses = Counter(self._status.values())
        final = sum(count for name, count in statuses.items() if DeliveryStatus(name).final)
        return {
            "events": self._events,
            "deliveries": self._deliveries,
            "delivered": statuses[DeliveryStatus.DELIVERED],
            "failed": statuses[DeliveryStatus.FAILED],
            "retried": len(self._retried),
            "waiting": self._deliveries - final,
            "skipped": self._skipped,
            "attempts": self._attempts,
        }
