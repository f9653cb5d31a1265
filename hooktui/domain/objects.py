"""What goes over the wire: the objects of the HTTP API, shared by the server and its clients.

Field names and meanings are those of the contract. Times are RFC 3339 UTC with milliseconds; ids of
events and deliveries are their public text, ids of hooks and accounts integers. A server builds
them from rows, a client reads them back with ``msgspec.convert``; unknown fields are ignored there,
so that an older console can talk to a newer server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

MASK = "***"
"""Stands for a sensitive value wherever one is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The owner of hooks, events and tokens; ``waiting`` counts deliveries that are to be sent."""

    id: int
    name: str
    created_at: str
    hooks: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One kind of event, such as ``job.failed``."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGroup:
    """A group of event types; subscribing to its bare id means all of them, also future ones."""

    id: str
    name: str
    types: tuple[EventType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All groups of event types that this installation knows."""

    groups: tuple[EventGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """HTTP basic authentication towards a receiver; the password is write-only."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStats:
    """How a hook has been doing.

    ``last_status`` is the HTTP status of the last attempt, or its error class where there was none.
    ``success_24h`` is the share (0 to 1) of attempts of the last 24 hours that were delivered,
    ``p95_ms`` the 95th percentile of their duration (an upper bound from a histogram).
    ``waiting`` counts deliveries that are still to be sent, ``held`` those of a disabled hook.
    ``hourly`` holds one ``[delivered, failed]`` pair for each of the last 24 hours, oldest first.
    """

    last_status: int | str | None = None
    last_at: str | None = None
    success_24h: float | None = None
    p95_ms: int | None = None
    waiting: int = 0
    held: int = 0
    breaker: str = "closed"
    hourly: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A subscription of an account to events, and everything about how they are sent."""

    id: int
    account: int
    type: str
    name: str
    url: str
    events: tuple[str, ...]
    active: bool
    disabled_reason: str | None
    disabled_at: str | None
    headers: dict[str, str]
    sensitive_headers: tuple[str, ...]
    basic_auth: BasicAuth | None
    signature_hash: str
    verify_tls: bool
    timeout_s: float
    retry_schedule_s: tuple[float, ...]
    rate_per_s: float | None
    max_in_flight: int
    ordered: bool
    filter: str | None
    created_at: str
    updated_at: str
    version: int
    stats: HookStats


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHook:
    """Answer to creating a hook: the hook, its secret this once, and warnings about it."""

    hook: Hook
    secret: str = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One live secret of a hook."""

    secret: str = field(repr=False)
    created_at: str
    expires_at: str | None
    last_used_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of a hook; ``secret`` is the newest."""

    secret: str = field(repr=False)
    secrets: tuple[Secret, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one hook. ``attempts`` counts the tries so far."""

    id: str
    event: str
    event_type: str
    hook: int
    account: int
    trigger: str
    status: str
    held: bool
    reason: str | None
    attempts: int
    next_attempt_at: str | None
    created_at: str
    finished_at: str | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """How long each part of an attempt took, in milliseconds; None for one that did not happen."""

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a receiver answered, bounded; ``size`` counts the body bytes that were read."""

    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    truncated: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP try of a delivery."""

    delivery: str
    number: int
    started_at: str
    outcome: str
    status_code: int | None
    error: str | None
    error_detail: str | None
    phases_ms: Phases
    reused_connection: bool
    address: str | None
    response: Response | None
    retry_after_s: int | None
    server: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request of a delivery's latest attempt (or of its next one), rebuilt."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDetail:
    """A delivery with all its attempts, its request and the exact string that was signed.

    ``request`` and ``string_signed`` are None once the body has been purged.
    """

    id: str
    event: str
    event_type: str
    hook: int
    account: int
    trigger: str
    status: str
    held: bool
    reason: str | None
    attempts: tuple[Attempt, ...]
    next_attempt_at: str | None
    created_at: str
    finished_at: str | None
    duration_ms: int | None
    request: Request | None
    string_signed: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A subscribed hook that an event was not sent to, and why."""

    hook: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """How many deliveries of an event stand how; ``waiting`` are those that have not ended."""

    delivered: int = 0
    failed: int = 0
    waiting: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One occurrence; ``deliveries`` and ``skipped`` are counts of the moment when it came in.

    ``counts`` says how its deliveries stand now, resends among them; None where nobody counted.
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
    """What an event meant to a hook, and why.

    ``decision`` is one of `hooktui.domain.decisions.Decision`, ``reason`` the same in words.
    ``as_of_now`` tells that the reason was worked out from the hook as it is now, and that it has
    been changed since the event came. ``delivery`` is the latest of ``deliveries``, a count.
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
    """Answer to sending an event; ``deliveries`` and ``skipped`` are counts."""

    id: str
    type: str
    account: int
    deliveries: int
    skipped: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token; ``token`` is present only in the answer that made it."""

    id: int
    name: str
    role: str
    account: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Purge:
    """What a call of ``POST /v1/purge`` dropped; ``next`` is null when nothing older is left."""

    before: str
    events: int
    deliveries: int
    attempts: int
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database in a file: its size in bytes, its digest, and what it holds."""

    file: str
    size: int
    sha256: str
    events: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list; ``next`` and ``prev`` are opaque cursors."""

    data: list[T] = field(default_factory=list)
    next: str | None = None
    prev: str | None = None
    total: int = 0
    total_is_estimate: bool = False
