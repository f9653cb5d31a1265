"""The states of a delivery, and the decision after an attempt: pure functions only.

    pending → sending → delivered | failed | pending (again)
    pending → cancelled
    sending → pending (interrupted by a crash or a stop: does not use up the schedule)

"Held" is not a separate state: it is ``pending`` while the hook is disabled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from hooktui.domain.machine import Shortage
from hooktui.domain.schedule import (
    INTERRUPTED_WAIT_S,
    INTERRUPTIONS_BEFORE_WAIT,
    wait_before_next_s,
)
from hooktui.domain.text import counted


class DeliveryStatus(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the delivery no longer changes by itself."""
        return self not in OPEN


OPEN: Final = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)
"""The statuses of deliveries that have not ended."""


class Trigger(StrEnum):
    """Why a delivery exists."""

    EVENT = "event"
    PING = "ping"
    RESEND = "resend"
    REPLAY = "replay"


class Outcome(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class ErrorClass(StrEnum):
    """Why an attempt did not deliver; the closed list of the contract."""

    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT = "connect"
    TLS = "tls"
    TLS_CERTIFICATE = "tls_certificate"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    RESPONSE_TOO_LARGE = "response_too_large"
    REDIRECT = "redirect"
    STATUS = "status"
    INTERRUPTED = "interrupted"


NOT_ACKNOWLEDGED = "were not acknowledged: the network loses packets"
NOT_READ = "were not read by the receiver"
"""What became of the request, in the text of a timeout."""


class DisabledReason(StrEnum):
    """Why a hook is not active."""

    BY_HAND = "disabled by hand"
    GONE = "receiver answered 410 Gone"
    FAILING = "no success for 5 days"


RETRY_AFTER_STATUSES = frozenset({429, 502, 503, 504})
"""Responses whose ``Retry-After`` moves the next attempt."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The result of one attempt on the wire: a response, or the error that prevented one.

    Attributes:
        status_code: of the final response, even if its body was incomplete.
        error: None only if the event was delivered (2xx, read to its end).
        error_detail: one plain line; None for a complete response.
        headers: name and value as sent, cut to the limits, Latin-1 (RFC 9110, 5.5).
        body: the first bytes of the body, raw: never decompressed.
        truncated: whether ``body`` is incomplete.
        size: body bytes that were read.
        retry_after: the raw ``Retry-After`` of a response that is not 2xx.
        dns_ms: name look-up; this and the next three are None for a step that did not happen.
        connect_ms: TCP connect.
        tls_ms: TLS handshake.
        first_byte_ms: from the request's write to the first byte of the response.
        total_ms: from the call to the last byte of the response.
        reused_connection: the request used an open connection.
        address: the remote address, ``127.0.0.1:9900`` or ``[::1]:9900``.
    """

    status_code: int | None = None
    error: ErrorClass | None = None
    error_detail: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    size: int = 0
    retry_after: str | None = None
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None
    reused_connection: bool = False
    address: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver responded 2xx, and the response was read to its end."""
        return self.error is None


class RetryState(msgspec.Struct, frozen=True, gc=False):
    """The counters of a delivery before an attempt, from which its retry is decided.

    ``tries`` counts attempts with a response or an error, ``interruptions`` consecutive interrupted
    ones.
    """

    trigger: Trigger
    tries: int
    interruptions: int


class RetryDecision(msgspec.Struct, frozen=True, gc=False):
    """The new state of a delivery after an attempt.

    ``wait_s`` is set only if ``status`` is pending. ``disable`` requests to disable the hook.
    """

    outcome: Outcome
    status: DeliveryStatus
    tries: int
    interruptions: int
    reason: str | None = None
    wait_s: float | None = None
    disable: DisabledReason | None = None


def error_of_status(status_code: int) -> ErrorClass | None:
    """Return the error class of a response: None for 2xx; redirects are never followed."""
    if 200 <= status_code < 300:
        return None
    return ErrorClass.REDIRECT if 300 <= status_code < 400 else ErrorClass.STATUS


def after_exchange(
    state: RetryState,
    exchange: Exchange,
    schedule_s: Sequence[float],
    chance: float,
    retry_after_s: int | None,
) -> RetryDecision:
    """Decide on a retry after an attempt with a response or an error.

    Args:
        state: the delivery before this attempt.
        exchange: the result of the attempt.
        schedule_s: the hook's waits in seconds.
        chance: a random number in 0..1 for the jitter.
        retry_after_s: the wait that the response asks for, if any; only some statuses may.
    """
    tries = state.tries + 1
    if exchange.delivered:
        return RetryDecision(Outcome.DELIVERED, DeliveryStatus.DELIVERED, tries, 0)
    if exchange.status_code == 410:
        reason = DisabledReason.GONE
        return RetryDecision(
            Outcome.FAILED, DeliveryStatus.FAILED, tries, 0, reason=reason.value, disable=reason
        )
    if state.trigger is Trigger.PING:
        return RetryDecision(
            Outcome.FAILED, DeliveryStatus.FAILED, tries, 0, reason="a ping is never retried"
        )
    asked_s = retry_after_s if exchange.status_code in RETRY_AFTER_STATUSES else None
    wait_s = wait_before_next_s(schedule_s, tries, chance, asked_s)
    if wait_s is None:
        gave_up = f"gave up after {counted(tries, 'attempt')}"
        return RetryDecision(Outcome.FAILED, DeliveryStatus.FAILED, tries, 0, reason=gave_up)
    return RetryDecision(Outcome.FAILED, DeliveryStatus.PENDING, tries, 0, wait_s=wait_s)


def after_interruption(state: RetryState) -> RetryDecision:
    """Decide on a retry after an attempt that a crash or a stop interrupted.

    It does not use up the schedule: due immediately. After ten interruptions in a row it is delayed
    by 5 minutes and flagged, because the attempt itself may be what kills the server.
    """
    interruptions = state.interruptions + 1
    if state.trigger is Trigger.PING:
        reason = "interrupted; a ping is never retried"
        return RetryDecision(
            Outcome.INTERRUPTED, DeliveryStatus.FAILED, state.tries, interruptions, reason=reason
        )
    flagged = interruptions % INTERRUPTIONS_BEFORE_WAIT == 0
    return RetryDecision(
        Outcome.INTERRUPTED,
        DeliveryStatus.PENDING,
        state.tries,
        interruptions,
        reason=f"interrupted {interruptions} times in a row" if flagged else None,
        wait_s=INTERRUPTED_WAIT_S if flagged else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Load:
    """The load of an engine: attempts in flight, and averages over the last minute.

    ``accepted`` (events) and ``outcomes`` (attempts) count since its start. ``outbound`` is the
    number of deliveries that hold a connection, of ``most_outbound``; ``idle`` connections are kept
    for reuse; ``short`` says that hooks wait for a connection. ``shortage`` is the last resource
    shortage of this machine.
    """

    in_flight: int
    accepted_per_s: float
    delivered_per_s: float
    failed_per_s: float
    accepted: int
    outcomes: Mapping[Outcome, int]
    outbound: int = 0
    most_outbound: int = 0
    idle: int = 0
    short: bool = False
    shortage: Shortage | None = None
