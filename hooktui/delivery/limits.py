"""The limits and timings of one attempt: values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.text import visible

MAX_REASON = 500
"""Characters of what the system or a name server gives as its reason."""


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """The bounds of one attempt and of the connections that are kept (contract.md, section 1).

    Attributes:
        dns_s: name look-up, waiting for a free look-up thread included.
        connect_s: TCP connect, all addresses of the name together.
        tls_s: TLS handshake.
        first_byte_s: from the request's last write to the first byte of an answer.
        read_bytes: of an answer, head and body and interim answers together.
        header_fields: per answer; nobody honest sends more, each costs us memory.
        stored_body_bytes: of the body, kept for people.
        stored_headers: kept for people.
        stored_header_bytes: of each header, name and value together.
        idle_s: a kept connection is closed after this; most servers close theirs after 60 s.
        idle_connections: kept per hook; as many as the largest ``max_in_flight`` one would set.
        idle_tls_connections: kept of all hooks together; each costs 270 KB of memory (measured),
            for the event loop gives it a read buffer of 256 KiB.
        addresses: of one name, tried in turn.
    """

    dns_s: float = 5.0
    connect_s: float = 5.0
    tls_s: float = 5.0
    first_byte_s: float = 15.0
    read_bytes: int = 64 * 1024
    header_fields: int = 1000
    stored_body_bytes: int = 16 * 1024
    stored_headers: int = 50
    stored_header_bytes: int = 1024
    idle_s: float = 30.0
    idle_connections: int = 64
    idle_tls_connections: int = 1000
    addresses: int = 8


class ExchangeFailure(NamedTuple):
    """Why an attempt got no complete answer: the error class, and one plain line for people."""

    error: ErrorClass
    detail: str


@dataclass(slots=True)
class Phases:
    """How long the steps before the request took, in ms; None for those that did not happen."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None


def one_line(error: BaseException | str) -> str:
    """Return an exception's text as one plain line; its class name when it has no text.

    A name server or the system may have any bytes in its words, and no database stores half
    characters: an attempt with such a detail would never be recorded.
    """
    return visible(" ".join(str(error).split()), limit=MAX_REASON) or type(error).__name__
