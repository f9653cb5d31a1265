"""The observation of an attempt: its evidence about the pace of the receiver."""

from __future__ import annotations

from enum import Enum

import msgspec

from hooktui.domain.deliveries import ErrorClass, Exchange
from hooktui.domain.failure_causes import last_status

_GATEWAY_OVERLOADED = frozenset({502, 503, 504})
_OVERLOAD_ERRORS = frozenset(
    {
        ErrorClass.CONNECT_REFUSED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.CONNECT,
        ErrorClass.RESET,
        ErrorClass.TIMEOUT,
    }
)


_LATE = 0.25
"""A response is late if the event loop was blocked for this share of its time."""


class Signal(Enum):
    """What an exchange shows about the pace of a receiver."""

    KEEPS_UP = "keeps up"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate limited"


def signal_of(exchange: Exchange) -> Signal | None:
    """Return what an exchange shows about the receiver's pace; None: nothing.

    A receiver that responds with 500 or 4xx has taken the request. DNS, certificates and addresses
    say nothing about pace.
    """
    if exchange.error in _OVERLOAD_ERRORS:
        return Signal.OVERLOADED
    if exchange.status_code is None:
        return None
    if exchange.status_code == 429:
        return Signal.RATE_LIMITED
    if exchange.status_code in _GATEWAY_OVERLOADED:
        return Signal.OVERLOADED
    return Signal.KEEPS_UP


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What an attempt showed about the receiver's pace; times in seconds.

    Attributes:
        signal: what it shows.
        began_s: when the attempt began.
        at_s: when its response came.
        latency_s: from the request to the first byte of the response.
        cause: the response in a word, such as ``503`` or ``timeout``.
        retry_after_s: its ``Retry-After``.
        held_s: how long this server's event loop was blocked in that time.
    """

    signal: Signal
    began_s: float
    at_s: float
    latency_s: float
    cause: str = ""
    retry_after_s: float | None = None
    held_s: float = 0.0

    @property
    def is_late(self) -> bool:
        """Whether this server's event loop was blocked for much of its time."""
        return self.held_s > _LATE * self.latency_s


def shows_overload(exchange: Exchange) -> bool:
    """Return whether fewer or slower attempts may help: overload, or 429."""
    return signal_of(exchange) in (Signal.OVERLOADED, Signal.RATE_LIMITED)


def observation_of(
    exchange: Exchange,
    began_s: float,
    at_s: float,
    retry_after_s: float | None,
    held_s: float = 0.0,
) -> Observation | None:
    """Return what an attempt showed about the receiver's pace; None: nothing.

    The latency is from the request's last byte to the first byte of the response: what a new
    connection takes is not the receiver's work.
    """
    signal = signal_of(exchange)
    if signal is None:
        return None
    first_byte_ms = exchange.first_byte_ms
    latency_s = at_s - began_s if first_byte_ms is None else first_byte_ms / 1000
    cause = ""
    if signal is Signal.OVERLOADED:
        cause = str(last_status(exchange.error, exchange.status_code))
    return Observation(signal, began_s, at_s, latency_s, cause, retry_after_s, held_s)
