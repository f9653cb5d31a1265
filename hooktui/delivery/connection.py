"""One connection to a receiver: writes a prepared request, reads one bounded answer at a time.

Whatever the receiver does, an exchange ends by its deadline, reads a bounded number of bytes, and
leaves the connection either clean for the next request or closed. llhttp (through httptools) is
strict by itself: two lengths, a length beside chunks, folded headers, bare line feeds are errors.
What it takes beside HTTP, the answers of RTSP and ICE, is refused here.
"""

from __future__ import annotations

import asyncio
import ssl
from time import monotonic
from typing import TYPE_CHECKING, cast

import httptools

from hooktui.delivery.limits import ExchangeFailure, ExchangeLimits, one_line
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.machine import condition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hooktui.domain.machine import Condition

_SWITCHING_PROTOCOLS = 101
# A timer may fire a little early (uvloop counts in ms from a cached clock); never spin on it.
_SHORTEST_TIMER_S = 0.001


class ReceiverConnection(asyncio.Protocol):
    """A connection, and the exchange that runs on it.

    The fields that describe an answer hold from the end of an exchange to the start of the next.

    Attributes:
        address: what was dialled, for people.
        origin: what it may be used for again.
        lacked: what this machine ran out of, where that ended the connection.
        is_tls: whether it is encrypted.
        closed: no further exchange is possible.
        reusable: the last exchange left the connection clean.
        idle_since: when it was put aside, monotonic seconds.
        sent_at: when the request was written, monotonic seconds.
        first_byte_at: when the first byte of an answer came, None while there is none.
        finished_at: when the exchange ended.
        status_code: of the final answer.
        headers: raw, of the final answer.
        body: its first bytes.
        size: body bytes read.
        truncated: the body went on past what is read.
    """

    __slots__ = (
        "_complete",
        "_deadline",
        "_fault",
        "_first_byte_deadline",
        "_limits",
        "_loop",
        "_named",
        "_on_lost",
        "_parser",
        "_read",
        "_timeout_s",
        "_timer",
        "_timer_at",
        "_transport",
        "_unasked",
        "_waiter",
        "address",
        "body",
        "closed",
        "finished_at",
        "first_byte_at",
        "headers",
        "idle_since",
        "is_tls",
        "lacked",
        "origin",
        "reusable",
        "sent_at",
        "size",
        "status_code",
        "truncated",
    )

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
        self.idle_since = 0.0
        self._loop = loop
        self._limits = limits
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ExchangeFailure | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._unasked = False
        self._prepare(0.0, 0.0)

    def _prepare(self, deadline: float, timeout_s: float) -> None:
        now = monotonic()
        self.reusable = False
        self.sent_at = now
        self.first_byte_at: float | None = None
        self.finished_at = now
        self.status_code: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()  # not pieces: a receiver may send them byte by byte
        self.size = 0
        self.truncated = False
        self._named = False
        self._complete = False
        self._fault: ExchangeFailure | None = None
        self._read = 0
        self._deadline = deadline
        self._timeout_s = timeout_s
        self._first_byte_deadline = min(deadline, now + self._limits.first_byte_s)

    # One exchange

    def exchange(
        self, request: bytes, deadline: float, timeout_s: float
    ) -> asyncio.Future[ExchangeFailure | None]:
        """Write a request; the future becomes None when an answer is here, else the fault.

        Args:
            request: head and body, exactly as they go out.
            deadline: monotonic seconds at which it is over.
            timeout_s: the same as a person set it, for the message.
        """
        waiter: asyncio.Future[ExchangeFailure | None] = self._loop.create_future()
        self._prepare(deadline, timeout_s)
        if self.closed or self._transport is None:
            waiter.set_result(self._cut_off(None))
            return waiter
        self._waiter = waiter
        if self._timer is None or self._timer_at > self._first_byte_deadline:
            self._arm(self._first_byte_deadline)
        self._transport.write(request)
        return waiter

    def let_go(self) -> None:
        """Drop what was read: thousands of kept connections would each hold their last answer."""
        self.headers = []
        self.body = bytearray()

    def abort(self) -> None:
        """Close at once, dropping what was not written; for connections in doubt."""
        self.closed = True
        self._waiter = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close an idle connection politely (TLS says goodbye)."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def _finish(self, fault: ExchangeFailure | None) -> None:
        waiter, self._waiter = self._waiter, None
        self.finished_at = monotonic()
        # Bytes of the request still unsent: the receiver answered early, the rest would be junk.
        if (
            fault is not None
            or not self.reusable
            or self._transport is None
            or self._transport.get_write_buffer_size()
        ):
            self.reusable = False
            self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_result(fault)

    # The deadline: one lazy timer per connection; a request re-arms it only when it is due earlier.

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        delay = max(at - monotonic(), _SHORTEST_TIMER_S)
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        answering = self.first_byte_at is not None
        due = self._deadline if answering else self._first_byte_deadline
        now = monotonic()
        if due > now:
            self._arm(due)
        elif answering:
            detail = f"the answer was not complete within {self._timeout_s:g} s"
            self._finish(ExchangeFailure(ErrorClass.TIMEOUT, detail))
        else:
            waited_s = min(self._timeout_s, self._limits.first_byte_s)
            self._finish(ExchangeFailure(ErrorClass.TIMEOUT, f"no answer within {waited_s:g} s"))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read a piece of an answer (called by the event loop)."""
        if self._waiter is None:  # nobody asked: whatever this is, no later answer can be trusted
            self._unasked = True
            self.abort()
            return
        if self.first_byte_at is None:
            self.first_byte_at = monotonic()
        room = self._limits.read_bytes - self._read
        self._read += len(data)
        if not self._named:
            self._check_name(data)
        try:
            self._parser.feed_data(data if len(data) <= room else data[:room])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # After a complete answer this is about surplus bytes (see on_message_begin).
            if self._fault is None and not self._complete:
                self._fault = ExchangeFailure(
                    ErrorClass.PROTOCOL, f"not valid HTTP/1.1: {one_line(error)}"
                )
        if self._fault is not None:
            self._finish(self._fault)
        elif self._complete:
            if len(data) > room:  # surplus that nobody looked at
                self.reusable = False
            self._finish(None)
        elif self._read > self._limits.read_bytes:
            self._finish(self._read_enough())

    def eof_received(self) -> None:
        """Handle the receiver's half-close like a close: nothing more can come."""
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
        self._finish(None if ends_here else self._cut_off(error))

    def _check_name(self, data: bytes) -> None:
        """Refuse an answer that does not begin with ``HTTP/``, blank lines before it left out."""
        begin = data.lstrip(b"\r\n")
        self._named = bool(begin)
        if begin and not begin.startswith(b"H"):  # the rest of the word is llhttp's
            self._fault = ExchangeFailure(
                ErrorClass.PROTOCOL, "the answer does not begin with HTTP/1.1"
            )

    def _read_enough(self) -> ExchangeFailure | None:
        """Stop at the cap: the status decides if there is one."""
        if self.status_code is None:
            size = self._limits.read_bytes // 1024
            return ExchangeFailure(
                ErrorClass.RESPONSE_TOO_LARGE, f"the answer's head is over {size} KiB"
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
            return ExchangeFailure(ErrorClass.TLS, f"TLS failed: {one_line(error)}")
        how = "reset" if error is not None else "closed"
        if self._unasked:
            return ExchangeFailure(ErrorClass.PROTOCOL, "the receiver spoke before it was asked")
        if self.first_byte_at is None:
            where = "before any answer"
        elif self.status_code is None:
            where = "in the middle of the answer's head"
        else:
            where = "in the middle of the answer's body"
        return ExchangeFailure(ErrorClass.RESET, f"the receiver {how} the connection {where}")

    # httptools.HttpResponseParser; after a complete answer or a fault these only look on

    def on_message_begin(self) -> None:
        """Discard the connection after a second answer; the first one stands."""
        if self._complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers (after the head) are not kept."""
        if self._complete or self.status_code is not None or self._fault is not None:
            return
        self.headers.append((name, value.rstrip(b" \t")))  # llhttp leaves them (RFC 9110, 5.5)
        if len(self.headers) > self._limits.header_fields:
            detail = f"the answer has more than {self._limits.header_fields} headers"
            self._fault = ExchangeFailure(ErrorClass.RESPONSE_TOO_LARGE, detail)

    def on_headers_complete(self) -> None:
        """Take the status; 1xx are interim and only counted."""
        if self._complete or self._fault is not None:
            return
        status_code = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            self._fault = ExchangeFailure(
                ErrorClass.PROTOCOL, f"the answer is HTTP/{version}, not HTTP/1.1"
            )
        elif status_code == _SWITCHING_PROTOCOLS:
            detail = "the receiver switched protocols (101), which nobody asked for"
            self._fault = ExchangeFailure(ErrorClass.PROTOCOL, detail)
        elif status_code < 100:
            self._fault = ExchangeFailure(
                ErrorClass.PROTOCOL, f"the answer's status is {status_code}"
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
        """End the answer, or drop an interim one."""
        if self._complete or self._fault is not None:
            return
        if self.status_code is None:
            self.headers.clear()
            return
        self._complete = True
        self.reusable = bool(self._parser.should_keep_alive())


_VERSIONS = frozenset({"1.0", "1.1"})
