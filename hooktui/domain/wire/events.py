"""Event types, events, and the outcome of an event for each hook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hooktui.domain.wire.deliveries import Delivery

MAX_BODY_BYTES: Final = 256 * 1024
"""Limit of an event's body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One kind of event, such as ``job.failed``."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGroup:
    """A group of event types; its bare id subscribes to all of them, also future ones."""

    id: str
    name: str
    types: tuple[EventType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All groups of event types of this installation."""

    groups: tuple[EventGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A subscribed hook that an event was not sent to, and why."""

    hook: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """Deliveries of an event by state; ``waiting`` are those that have not ended.

    ``superseded`` are the failed ones whose hook has a newer one that was delivered or is waiting.
    """

    delivered: int = 0
    failed: int = 0
    superseded: int = 0
    waiting: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One occurrence; ``deliveries`` and ``skipped`` are counts at the time of its acceptance.

    ``counts`` are the deliveries by current state, resends included; None if not counted.
    """

    id: str
    type: str
    account: int
    created_at: str
    size: int
    deliveries: int
    skipped: int
    counts: EventCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDetail:
    """An event with its body (None once purged), its deliveries, and the hooks it skipped."""

    id: str
    type: str
    account: int
    created_at: str
    size: int
    body: str | None
    deliveries: tuple[Delivery, ...]
    skips: tuple[Skip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookDecision:
    """The outcome of an event for a hook, and the reason.

    ``decision`` is one of `domain.event_outcomes.HookOutcome`, ``reason`` the same in words.
    ``as_of_now`` says that the reason was derived from the current hook, which has changed since
    the event was received. ``delivery`` is the latest of ``deliveries``, a count.
    """

    hook: int
    name: str
    deleted: bool
    decision: str
    reason: str
    as_of_now: bool
    deliveries: int = 0
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEvent:
    """The response to sending an event; ``deliveries`` and ``skipped`` are counts."""

    id: str
    type: str
    account: int
    deliveries: int
    skipped: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEvents:
    """The response to sending many events: their number, and each in the order sent."""

    accepted: int
    data: tuple[AcceptedEvent, ...]
