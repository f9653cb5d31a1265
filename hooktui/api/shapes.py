"""Answers that are a little more than an object of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from hooktui.domain.objects import AcceptedEvent, Attempt, DeliveryDetail, Hook


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedHook(Hook):
    """A new hook, its secret this once, and warnings about it."""

    secret: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, hook: Hook, secret: str, warnings: Sequence[str]) -> CreatedHook:
        """Return a hook with what is told at its creation."""
        known = {field.name: getattr(hook, field.name) for field in fields(Hook)}
        return cls(**known, secret=secret, warnings=tuple(warnings))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedHook(Hook):
    """A hook after a change that there is something to say about."""

    warnings: tuple[str, ...]

    @classmethod
    def of(cls, hook: Hook, warnings: Sequence[str]) -> ChangedHook:
        """Return a hook with what is told after its change."""
        known = {field.name: getattr(hook, field.name) for field in fields(Hook)}
        return cls(**known, warnings=tuple(warnings))


@dataclass(frozen=True, slots=True, kw_only=True)
class PingDelivery(DeliveryDetail):
    """A ping's delivery; ``attempt`` is its one attempt."""

    attempt: Attempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """Answer to a ping."""

    delivery: PingDelivery

    @classmethod
    def of(cls, detail: DeliveryDetail) -> Pinged:
        """Return the answer that shows a ping's delivery."""
        known = {field.name: getattr(detail, field.name) for field in fields(DeliveryDetail)}
        attempt = detail.attempts[-1] if detail.attempts else None
        return cls(delivery=PingDelivery(**known, attempt=attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEvents:
    """Answer to sending many events."""

    accepted: int
    data: tuple[AcceptedEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAnswer:
    """Changes in their order, and the position to go on from.

    Each line has ``kind`` (delivery, attempt, event, hook, engine), ``at``, and the fields of the
    object; an attempt also has ``hook, account, event, event_type, trigger`` of its delivery and
    its ``status`` afterwards. ``reset`` is there, and true, when some changes are no longer kept.
    """

    data: list[dict[str, Any]]
    next: str
    reset: bool = False
