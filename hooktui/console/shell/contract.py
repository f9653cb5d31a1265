"""What the feed said that changed, as screens are told of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class FeedChanges:
    """What the feed said since a screen was last told; merged, however many lines there were.

    ``everything`` is set after the feed could not be followed without a gap.
    """

    hooks: set[int] = field(default_factory=set)
    busy_hooks: set[int] = field(default_factory=set)
    deliveries: set[str] = field(default_factory=set)
    events: bool = False
    everything: bool = False

    def merge(self, other: FeedChanges) -> None:
        """Take in later changes."""
        self.hooks |= other.hooks
        self.busy_hooks |= other.busy_hooks
        self.deliveries |= other.deliveries
        self.events |= other.events
        self.everything |= other.everything

    def __bool__(self) -> bool:
        return bool(
            self.hooks or self.busy_hooks or self.deliveries or self.events or self.everything
        )
