"""Deliveries with their attempts, and the response to a ping."""

from __future__ import annotations

from dataclasses import dataclass

from hooktui.domain.clock import from_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.hook_failures import probe_at_ms
from hooktui.domain.wire import fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one hook.

    ``attempts`` is the number of attempts so far; ``last_status`` is the HTTP status of the last
    one, or its error class without a complete response; ``cause`` is set while the event is
    undelivered; ``replay`` created the delivery or tried it again. A pending one is due at
    ``next_attempt_at``, and waits until ``probe_at`` if its hook has an open breaker, or for the
    resume if all sending is ``paused``.
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
    attempts: int
    next_attempt_at: str | None
    created_at: str
    finished_at: str | None
    duration_ms: int | None
    last_status: int | str | None = None
    cause: str | None = None
    replay: str | None = None
    probe_at: str | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """The duration of each step of an attempt in milliseconds; None if it did not happen."""

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None

    def happened(self) -> list[tuple[str, float]]:
        """Return name and duration (ms) of each step that happened, in order."""
        steps = (
            ("dns", self.dns),
            ("connect", self.connect),
            ("tls", self.tls),
            ("first byte", self.first_byte),
        )
        return [(name, took_ms) for name, took_ms in steps if took_ms is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The response of a receiver, bounded; ``size`` is the number of body bytes read."""

    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    truncated: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One HTTP attempt of a delivery."""

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
    last_status: int | str | None = None
    cause: str | None = None
    replay: str | None = None
    probe_at: str | None = None
    paused: bool = False


def next_at_ms(delivery: Delivery | DeliveryDetail, now_ms: int) -> int | None:
    """Return the earliest time of the next attempt, never in the past.

    None: it is not pending, its hook is disabled, or all sending is paused.
    """
    if delivery.status != DeliveryStatus.PENDING or delivery.held or delivery.paused:
        return None
    due_ms = from_rfc3339(delivery.next_attempt_at) if delivery.next_attempt_at else now_ms
    if delivery.probe_at is not None:
        due_ms = max(due_ms, probe_at_ms(from_rfc3339(delivery.probe_at), now_ms))
    return max(due_ms, now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class PingDelivery(DeliveryDetail):
    """A ping's delivery; ``attempt`` is its one attempt."""

    attempt: Attempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """The response to a ping."""

    delivery: PingDelivery

    @classmethod
    def of(cls, detail: DeliveryDetail) -> Pinged:
        """Return the response for a ping's delivery."""
        attempt = detail.attempts[-1] if detail.attempts else None
        return cls(delivery=PingDelivery(**fields_of(detail), attempt=attempt))
