"""Changes reported by the feed, merged for screens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_DELIVERIES: Final = 1_000
"""Deliveries that a screen keeps while another one covers it, perhaps for days."""


@dataclass(slots=True)
class FeedChanges:
    """Merged changes of the feed that a screen has not applied yet.

    Attributes:
        hooks: hooks that were created, changed or deleted.
        busy_hooks: hooks whose deliveries changed.
        deliveries: deliveries that changed.
        events: whether events were received.
        replays: replays that changed.
        alerts: whether alerts changed.
        everything: whether anything may have changed, such as after a gap in the feed.
    """

    hooks: set[int] = field(default_factory=set)
    busy_hooks: set[int] = field(default_factory=set)
    deliveries: set[str] = field(default_factory=set)
    events: bool = False
    replays: set[str] = field(default_factory=set)
    alerts: bool = False
    everything: bool = False

    def merge(self, other: FeedChanges) -> None:
        """Add later changes."""
        self.hooks |= other.hooks
        self.busy_hooks |= other.busy_hooks
        self.deliveries |= other.deliveries
        self.events |= other.events
        self.replays |= other.replays
        self.alerts |= other.alerts
        self.everything |= other.everything
        if len(self.deliveries) > MAX_DELIVERIES:
            self.deliveries.clear()
            self.everything = True

    def __bool__(self) -> bool:
        return self != FeedChanges()
