"""The limits and timings of one attempt: values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.hook_fields import FIRST_BYTE_S
from hooktui.domain.text import visible

MAX_REASON = 500
"""Characters of an error text of the system or a name server."""


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """The limits of one attempt and of kept connections.

    Attributes:
        dns_s: name look-up, including the wait for a free look-up thread.
        connect_s: TCP connect, all addresses of the name together.
        tls_s: TLS handshake.
        first_byte_s: from the request's last write to the first byte of a response.
        read_bytes: of a response: head, body and interim responses together.
        header_fields: per response; legitimate receivers send fewer, and each costs memory.
        stored_body_bytes: stored bytes of the body.
        stored_headers: stored number of headers.
        stored_header_bytes: of each header, name and value together.
        idle_s: a kept connection is closed after this; most servers close theirs after 60 s.
        age_s: a connection is not kept for longer; otherwise a busy hook would stay at an address
            to which its name no longer leads.
        idle_connections: kept per hook, or as many as were in flight at once.
        idle_tls_connections: kept over all hooks; each costs 270 KB of memory (measured), because
            the event loop gives it a read buffer of 256 KiB.
        addresses: of one name that are tried, two at once at most.
    """

    dns_s: float = 5.0
    connect_s: float = 5.0
    tls_s: float = 5.0
    first_byte_s: float = FIRST_BYTE_S
    read_bytes: int = 64 * 1024
    header_fields: int = 1000
    stored_body_bytes: int = 16 * 1024
    stored_headers: int = 50
    stored_header_bytes: int = 1024
    idle_s: float = 30.0
    age_s: float = 300.0
    idle_connections: int = 64
    idle_tls_connections: int = 1000
    addresses: int = 8


class ExchangeFailure(NamedTuple):
    """Why an attempt got no complete response: the error class and one plain line."""

    error: ErrorClass
    detail: str


@dataclass(slots=True)
class ConnectPhases:
    """The duration of each step before the request, in ms; None for a step that did not happen."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None


def one_line(error: BaseException | str) -> str:
    """Return an exception's text as one plain line; its class name if it has no text.

    A name server or the system may return any bytes, and no database stores lone surrogates: the
    attempt would never be recorded.
    """
    return visible(" ".join(str(error).split()), limit=MAX_REASON) or type(error).__name__
