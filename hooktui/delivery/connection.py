"""One connection to a receiver: writes a prepared request, reads one bounded response at a time.

Whatever the receiver does, an exchange ends by its deadline, reads a bounded number of bytes, and
leaves the connection either clean for the next request or closed. llhttp (through httptools) is
strict by itself: two lengths, a length beside chunks, folded headers, bare line feeds are errors.
Responses of RTSP and ICE, which it also accepts, are refused here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from time import monotonic
from typing import TYPE_CHECKING, cast

import httptools

from hooktui.delivery.limits import ExchangeFailure, ExchangeLimits, one_line
from hooktui.domain.deliveries import NOT_ACKNOWLEDGED, NOT_READ, ErrorClass
from hooktui.domain.machine import condition_of
from hooktui.domain.text import tls_reason
from hooktui.sockets import unacknowledged

if TYPE_CHECKING:
    from collections.abc import Callable

    from hooktui.domain.machine import Condition

_SWITCHING_PROTOCOLS = 101
_RESET = struct.pack("ii", 1, 0)  # struct linger of socket(7): on, 0 s
_CHECK_S = 5.0
"""The wait between two checks of a request without a response."""
_FIRST_CHECK_S = 1.0
"""The least wait before the first check, which comes after a third of a short attempt."""
_SENT_CHECK_S = 0.02
"""After an early response, the wait between two checks whether the rest of the request is sent."""
_SHORTEST_TIMER_S = 0.001
"""A timer may fire a little early (uvloop counts in ms from a cached clock); never spin on it."""


class ReceiverConnection(asyncio.Protocol):
    """A connection and its current exchange.

    The fields of a response are valid from the end of an exchange to the start of the next. Times
    are in seconds of the monotonic clock.

    Attributes:
        address: the dialled address, for people.
        origin: the origin for which the connection may be reused.
        lacked: the resource that this machine lacked when the connection ended, if any.
        is_tls: whether it is encrypted.
        closed: no further exchange is possible.
        reusable: the last exchange left the connection clean.
        silent: the network acknowledged nothing of a request on a kept connection.
        opened_at_s: when it was opened.
        idle_since_s: when it became idle.
        sent_at_s: when the request was written.
        first_byte_at_s: when the first byte of a response came; None until then.
        finished_at_s: when the exchange ended.
        status_code: of the final response.
        headers: raw, of the final response.
        body: its first bytes.
        size: body bytes read.
        truncated: whether the body is longer than the bytes read.
    """

    __slots__ = (
        "_begin_checked", "_check_at_s", "_complete", "_deadline_s", "_fault",
        "_first_byte_deadline_s", "_is_due", "_kept", "_limits", "_loop", "_on_lost", "_parser",
        "_read", "_request_size", "_timeout_s", "_timer", "_timer_at_s", "_transport",
        "_unacknowledged", "_unsolicited", "_waiter", "address", "body", "closed", "finished_at_s",
        "first_byte_at_s", "headers", "idle_since_s", "is_tls", "lacked", "opened_at_s", "origin",
        "reusable", "sent_at_s", "silent", "size", "status_code", "truncated",
    )  # fmt: skip

    _transport: asyncio.Transport
    """Set by `connection_made`, which the event loop calls before anything else is called."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ExchangeLimits,
        address: str,
        origin: tuple[str, str, int, bool],
        on_lost: Callable[[ReceiverConnection], None],
    ) -> None:
        self.address = address
        self.origin = origin
        self.is_tls = origin[0] == "https"
        self.lacked: Condition | None = None
        self.closed = False
        self.silent = False
        self.opened_at_s = monotonic()
        self.idle_since_s = 0.0
        self._kept = False
        self._loop = loop
        self._limits = limits
        self._on_lost = on_lost
        self._waiter: asyncio.Future[ExchangeFailure | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0
        self._is_due = False
        self._parser = httptools.HttpResponseParser(self)
        self._unsolicited = False
        self._prepare(0.0, 0.0, 0)

    def _prepare(self, deadline_s: float, timeout_s: float, request_size: int) -> None:
        now_s = monotonic()
        self.reusable = False
        self.sent_at_s = now_s
        self.first_byte_at_s: float | None = None
        self.finished_at_s = now_s
        self.status_code: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()  # not a list: a receiver may send single bytes
        self.size = 0
        self.truncated = False
        self._begin_checked = False
        self._complete = False
        self._fault: ExchangeFailure | None = None
        self._read = 0
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._first_byte_deadline_s = min(deadline_s, now_s + self._limits.first_byte_s)
        self._check_at_s = now_s + min(_CHECK_S, max(_FIRST_CHECK_S, (deadline_s - now_s) / 3))
        self._request_size = request_size
        self._unacknowledged = request_size

    # One exchange

    def exchange(
        self, request: bytes, deadline_s: float, timeout_s: float
    ) -> asyncio.Future[ExchangeFailure | None]:
        """Write a request; the future's result is None after a complete response, or the failure.

        Args:
            request: head and body, exactly as they are sent.
            deadline_s: when the exchange ends.
            timeout_s: the configured timeout, for the message.
        """
        waiter: asyncio.Future[ExchangeFailure | None] = self._loop.create_future()
        self._prepare(deadline_s, timeout_s, len(request))
        if self.closed:
            waiter.set_result(self._cut_off(None))
            return waiter
        self._waiter = waiter
        due_s = min(self._check_at_s, self._first_byte_deadline_s)
        if self._timer is None or self._timer_at_s > due_s:
            self._arm(due_s)
        self._transport.write(request)
        return waiter

    def forget_response(self) -> None:
        """Free the last response: thousands of kept connections would each hold one."""
        self.headers = []
        self.body = bytearray()

    def abort(self) -> None:
        """Close immediately and drop unwritten data; for connections in an unknown state."""
        self.closed = True
        self._waiter = None
        self._transport.abort()

    def close(self) -> None:
        """Close an idle connection cleanly (TLS sends close_notify)."""
        self.closed = True
        self._transport.close()

    def _finish(self, fault: ExchangeFailure | None) -> None:
        waiter, self._waiter = self._waiter, None
        self._kept = True
        self.finished_at_s = monotonic()
        # Unsent bytes of the request: the receiver responded early, so the rest would be garbage.
        if fault is not None or not self.reusable or self._transport.get_write_buffer_size():
            self.reusable = False
            self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_result(fault)

    def _finish_when_sent(self) -> None:
        """End a complete response; after an early 2xx the receiver may still read the request."""
        accepted = self.status_code is not None and self.status_code < 300
        left_s = self._deadline_s - monotonic()
        if accepted and left_s > 0 and self._transport.get_write_buffer_size():
            self._arm(monotonic() + min(left_s, _SENT_CHECK_S))
        else:
            self._finish(None)

    # The deadline: one lazy timer per connection; a request re-arms it only when it is due earlier.

    def _arm(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at_s = at_s
        delay_s = max(at_s - monotonic(), _SHORTEST_TIMER_S)
        self._timer = self._loop.call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        """Act at the second call: what came while the process was stopped is read in between."""
        self._timer = None
        self._is_due = self._waiter is not None and not self._is_due
        if self._waiter is None:
            return
        now_s = monotonic()
        if self._is_due:
            self._arm(now_s)
            return
        if self._complete:
            self._finish_when_sent()
            return
        if self.first_byte_at_s is None:
            fault = self._check_progress(now_s)
            due_s = min(self._check_at_s, self._first_byte_deadline_s)
        else:
            detail = f"the response was not complete within {self._timeout_s:g} s"
            fault = (
                ExchangeFailure(ErrorClass.TIMEOUT, detail) if self._deadline_s <= now_s else None
            )
            due_s = self._deadline_s
        if fault is None:
            self._arm(due_s)
        else:
            self._finish(fault)

    def _check_progress(self, now_s: float) -> ExchangeFailure | None:
        """Check a request without a response; return why it is given up, if it is.

        If a firewall has forgotten a kept connection, no byte is acknowledged. While more and more
        bytes are, the link may be slow: the time for the response has not begun.
        """
        if now_s < min(self._check_at_s, self._first_byte_deadline_s):
            return None
        in_transit, unsent = self._outstanding_bytes()
        left = in_transit + unsent
        if self._kept and in_transit and left >= self._request_size:
            self.silent = True
            self._drop_unsent()
            return ExchangeFailure(ErrorClass.RESET, "the kept connection is dead")
        if 0 < left < self._unacknowledged:
            self._unacknowledged = left
            self._first_byte_deadline_s = min(self._deadline_s, now_s + self._limits.first_byte_s)
        self._check_at_s = now_s + _CHECK_S
        if now_s < self._first_byte_deadline_s:
            return None
        waited_s = self._timeout_s if now_s >= self._deadline_s else self._limits.first_byte_s
        detail = f"no response within {waited_s:g} s"
        if left:
            self._drop_unsent()
            missing = f"{min(left, self._request_size):,} of {self._request_size:,} bytes"
            detail += f"; {missing} of the request {NOT_ACKNOWLEDGED if in_transit else NOT_READ}"
        return ExchangeFailure(ErrorClass.TIMEOUT, detail)

    def _outstanding_bytes(self) -> tuple[int, int]:
        """Return how many bytes are sent but not acknowledged, and how many wait here."""
        in_transit, unsent = unacknowledged(self._transport.get_extra_info("socket").fileno())
        return in_transit, unsent + self._transport.get_write_buffer_size()

    def _drop_unsent(self) -> None:
        """Let the close drop the request: else the system sends it for minutes, after its retry."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read a piece of a response (called by the event loop)."""
        if self._waiter is None:  # no request: later responses cannot be trusted
            self._unsolicited = True
            self.abort()
            return
        is_surplus = self._complete  # while the rest of the request is sent
        if is_surplus:
            self.reusable = False
            self._finish(None)
            return
        if self.first_byte_at_s is None:
            self.first_byte_at_s = monotonic()
        room = self._limits.read_bytes - self._read
        self._read += len(data)
        if not self._begin_checked:
            self._check_begin(data)
        try:
            self._parser.feed_data(data if len(data) <= room else data[:room])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # After a complete response this is about surplus bytes (see on_message_begin).
            if self._fault is None and not self._complete:
                self._fault = ExchangeFailure(
                    ErrorClass.PROTOCOL, f"not valid HTTP/1.1: {one_line(error)}"
                )
        if self._fault is not None:
            self._finish(self._fault)
        elif self._complete:
            if len(data) > room:  # surplus bytes that were not parsed
                self.reusable = False
            self._finish_when_sent()
        elif self._read > self._limits.read_bytes:
            self._finish(self._read_enough())

    def eof_received(self) -> None:
        """Handle the receiver's half-close like a close: no more data can come."""
        self.closed = True
        self._lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Clean up (called by the event loop exactly once)."""
        self.closed = True
        self._lost(error)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_lost(self)

    def _lost(self, error: Exception | None) -> None:
        if self._waiter is None:
            return
        ends_here = error is None and self.status_code is not None and self._lasts_until_close()
        ends_here |= self._complete
        self._finish(None if ends_here else self._cut_off(error))

    def _check_begin(self, data: bytes) -> None:
        """Refuse a response that does not begin with ``HTTP/`` after optional blank lines."""
        begin = data.lstrip(b"\r\n")
        self._begin_checked = bool(begin)
        if begin and not begin.startswith(b"H"):  # llhttp checks the rest of the word
            self._fault = ExchangeFailure(
                ErrorClass.PROTOCOL, "the response does not begin with HTTP/1.1"
            )

    def _read_enough(self) -> ExchangeFailure | None:
        """Stop at the limit; the result is the status, if there is one."""
        if self.status_code is None:
            size = self._limits.read_bytes // 1024
            return ExchangeFailure(
                ErrorClass.RESPONSE_TOO_LARGE, f"the head of the response is over {size} KiB"
            )
        self.truncated = True
        self.reusable = False
        return None

    def _lasts_until_close(self) -> bool:
        """Whether the body has neither length nor chunks (RFC 9112, 6.3, rule 8)."""
        for name, value in self.headers:
            lower = name.lower()
            if lower == b"content-length":
                return False
            if lower == b"transfer-encoding" and value.lower().rstrip().endswith(b"chunked"):
                return False
        return True

    def _cut_off(self, error: Exception | None) -> ExchangeFailure:
        if error is not None:
            self.lacked = condition_of(error)
        if isinstance(error, ssl.SSLError):
            return ExchangeFailure(ErrorClass.TLS, f"TLS failed: {one_line(tls_reason(error))}")
        how = "reset" if error is not None else "closed"
        if self._unsolicited:
            return ExchangeFailure(ErrorClass.PROTOCOL, "the receiver sent data before the request")
        if self.first_byte_at_s is None:
            where = "before any response"
        elif self.status_code is None:
            where = "in the middle of the response's head"
        else:
            where = "in the middle of the response's body"
        return ExchangeFailure(ErrorClass.RESET, f"the receiver {how} the connection {where}")

    # httptools.HttpResponseParser; after a complete response or a failure these have no effect

    def on_message_begin(self) -> None:
        """Mark the connection as not reusable after a second response; the first one is valid."""
        if self._complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers (after the head) are dropped."""
        if self._complete or self.status_code is not None or self._fault is not None:
            return
        self.headers.append((name, value.rstrip(b" \t")))  # llhttp keeps them (RFC 9110, 5.5)
        if len(self.headers) > self._limits.header_fields:
            detail = f"the response has more than {self._limits.header_fields} headers"
            self._fault = ExchangeFailure(ErrorClass.RESPONSE_TOO_LARGE, detail)

    def on_headers_complete(self) -> None:
        """Read the final status; interim responses (1xx) are ignored."""
        if self._complete or self._fault is not None:
            return
        status_code = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            self._fault = ExchangeFailure(
                ErrorClass.PROTOCOL, f"the response is HTTP/{version}, not HTTP/1.1"
            )
        elif status_code == _SWITCHING_PROTOCOLS:
            detail = "the receiver switched protocols (101) without a request"
            self._fault = ExchangeFailure(ErrorClass.PROTOCOL, detail)
        elif status_code < 100:
            self._fault = ExchangeFailure(
                ErrorClass.PROTOCOL, f"the response's status is {status_code}"
            )
        elif status_code >= 200:
            self.status_code = status_code

    def on_body(self, piece: bytes) -> None:
        """Count body bytes and store the first of them."""
        if self._complete or self._fault is not None:
            return
        self.size += len(piece)
        room = self._limits.stored_body_bytes - len(self.body)
        if room > 0:
            self.body += piece[:room]

    def on_message_complete(self) -> None:
        """End the response, or drop an interim one."""
        if self._complete or self._fault is not None:
            return
        if self.status_code is None:
            self.headers.clear()
            return
        self._complete = True
        self.reusable = bool(self._parser.should_keep_alive())


_VERSIONS = frozenset({"1.0", "1.1"})
