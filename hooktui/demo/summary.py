"""Counts the outcomes of everything that was sent, from the lines of the change feed."""

from __future__ import annotations

from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.wire.feed import FeedLine


class Summary:
    """Counts lines of the feed; it needs every line from the beginning.

    Attributes:
        events: number of events.
        deliveries: number of their deliveries.
        skipped: subscribed hooks that were skipped, over all events.
        attempts: finished HTTP attempts.
    """

    def __init__(self) -> None:
        self.events = 0
        self.deliveries = 0
        self.skipped = 0
        self.attempts = 0
        self._status: dict[str, str] = {}
        self._retried: set[str] = set()

    def add(self, line: FeedLine) -> None:
        """Count one line."""
        if line.kind == "event":
            event = line.event()
            self.events += 1
            self.deliveries += event.deliveries
            self.skipped += event.skipped
        elif line.kind == "attempt":
            attempt = line.attempt()
            self.attempts += 1
            self._status[attempt.delivery] = attempt.status
            if attempt.number > 1:
                self._retried.add(attempt.delivery)
        elif line.kind == "delivery":
            delivery = line.delivery()
            self._status[delivery.id] = delivery.status

    @property
    def delivered(self) -> int:
        """Number of delivered deliveries."""
        return self._count(DeliveryStatus.DELIVERED)

    @property
    def failed(self) -> int:
        """Number of failed deliveries."""
        return self._count(DeliveryStatus.FAILED)

    @property
    def retried(self) -> int:
        """Number of deliveries with more than one attempt so far."""
        return len(self._retried)

    @property
    def waiting(self) -> int:
        """Number of deliveries that are not final."""
        return self.deliveries - sum(
            DeliveryStatus(status).final for status in self._status.values()
        )

    def counts(self) -> dict[str, int]:
        """Return all counts by name."""
        return {
            "events": self.events,
            "deliveries": self.deliveries,
            "delivered": self.delivered,
            "failed": self.failed,
            "retried": self.retried,
            "waiting": self.waiting,
            "skipped": self.skipped,
            "attempts": self.attempts,
        }

    def _count(self, status: DeliveryStatus) -> int:
        return sum(one == status for one in self._status.values())
