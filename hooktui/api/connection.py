"""One connection of a client: uvicorn's, with limits that apply before a request is parsed.

A head has a deadline, a size limit and one reading: anything that two programs could parse
differently (RFC 9112, section 11.2) ends the connection. So does a response that is not read.
"""

from __future__ import annotations

import asyncio
import http
import socket
import struct
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from hooktui.api.connection_limiter import ConnectionLimiter, ConnectionSlot
from hooktui.api.peer_credentials import PeerCredentials, peer_of
from hooktui.api.response_budget import UnsentResponses
from hooktui.api.responses import HeadTooLarge, TargetTooLong, TooSlow, problem
from hooktui.domain.errors import HooktuiError, Malformed, Unavailable, Unsupported

if TYPE_CHECKING:
    from uvicorn import _types as asgi

HEAD_DEADLINE_S = 10.0
"""From the first byte of a head (or the start of the connection) to its end."""
LINGER_S = 2.0
"""How long a refused client may keep sending before the connection is closed."""
UNREAD_DEADLINE_S = 30.0
UNREAD_DEADLINE: Final = "unread_deadline_s"
"""The key in ``state`` of a request's scope by which a response sets another deadline."""
MIN_READ_BYTES: Final = 32 * 1024
"""Bytes of a response that must be read within that time, about 1 KiB a second."""

MAX_IN_KERNEL_BYTES: Final = 128 * 1024
"""Unsent bytes of a response in the socket's buffer; Linux would hold up to 4 MiB."""

MAX_TARGET_BYTES: Final = 24 * 1024
"""Limit of a path with its query; an escaped filter of 2,000 characters takes 18,000."""
MAX_HEAD_BYTES: Final = 48 * 1024
MAX_HEADERS: Final = 100
MAX_PIPELINED: Final = 32
"""Requests that wait for the one before; each takes some kilobytes."""
# Bytes of a refused body that are read and discarded, so that a client that sends before it reads
# gets the response instead of a reset.
MAX_DISCARDED_BYTES: Final = 16 * 1024 * 1024

_RESET = struct.pack("ii", 1, 0)  # struct linger of socket(7): on, 0 s
_FRAMING_FIELDS = frozenset({b"connection", b"transfer-encoding"})
"""Headers of a response that change how it is sent."""
_CHECKED_FIELDS = frozenset({b"host", b"expect", b"transfer-encoding"})


class RequestCycle(RequestResponseCycle):
    """A request and its response; a response of one part is one write with its head.

    Two writes are two system calls, and wake the client twice: 9 us of 130 for an event (measured).
    """

    _start: asgi.HTTPResponseStartEvent | None = None

    async def send(self, message: asgi.ASGISendEvent) -> None:
        """Write a part of the response; the head waits for the first part of the body."""
        start, self._start = self._start, None
        if message["type"] == "http.response.start":
            self._start = message
        elif start is None:
            await super().send(message)
        elif message["type"] != "http.response.body" or not self._send_whole(start, message):
            await super().send(start)
            await super().send(message)

    def _send_whole(
        self, start: asgi.HTTPResponseStartEvent, end: asgi.HTTPResponseBodyEvent
    ) -> bool:
        """Write a whole response; return False if it, or the connection, is not as usual."""
        if self.disconnected or self.flow.write_paused or not self.keep_alive:
            return False
        body, length = end.get("body", b""), None
        parts = [STATUS_LINE[start["status"]]]
        for name, value in (*self.default_headers, *start.get("headers", ())):
            if name == b"content-length":
                length = value
            elif name in _FRAMING_FIELDS or HEADER_VALUE_RE.search(value):
                return False
            parts += (name, b": ", value, b"\r\n")
        if length != b"%d" % len(body) or end.get("more_body") or self.scope["method"] == "HEAD":
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join([*parts, b"\r\n", body]))
        self.message_event.set()
        self.on_response()
        return True


class ClientConnection(HttpToolsProtocol):
    """One connection; ``state.peer`` of its requests is the process at the other end.

    ``slot`` is that of its TLS handshake; None: it requests a slot itself.

    Attributes:
        idle_since: when its last response ended, while no new request has begun
            (``time.monotonic``; the loop's clock is constant within a millisecond, which is several
            responses).
    """

    idle_since: float | None = None
    _peer: PeerCredentials | None = None
    _in_head = False
    _head_since: float | None = None  # waiting for a head, or for the end of a discarded body
    _head_bytes = _later_bytes = _discarded = 0
    _host: bytes | None = None
    _chunked = False
    _refusal: HooktuiError | None = None
    _leaving = False
    _unread_bytes = 0
    _unread_since = 0.0
    _running: RequestResponseCycle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limiter: ConnectionLimiter,
        unsent: UnsentResponses,
        slot: ConnectionSlot | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limiter = limiter
        self._unsent = unsent
        self._slot = slot

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Identify the peer before the first byte is read; refuse it if there are too many."""
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        self._peer = peer_of(connected)
        if self._peer is None:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_IN_KERNEL_BYTES)
        self._head_since = self.loop.time()
        self._take_slot()
        self.app_state = {"peer": self._peer, "slot": self._slot}
        if self._slot is None:
            self._end_for_lack_of_room()

    def _take_slot(self) -> None:
        if self._slot is not None:
            if not self._slot.hand_over(self):
                self._slot = None
        elif self._peer is not None:
            self._slot = self._limiter.admit_user(self, self._peer)
        else:
            address = self.client[0] if self.client else ""
            self._slot = self._limiter.admit_tcp(self, address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection's slot."""
        self._unsent.update(self, "", 0)
        if self._slot is not None:
            self._slot.release()
        if self._running is not None:  # uvicorn ends only the newest request
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def evict(self) -> None:
        """Close the connection now: another one needs the slot."""
        if self.transport.get_write_buffer_size() > 0 or self._responding:
            self.reset()
        elif self.idle_since is not None or self._leaving:
            self.transport.close()
        else:
            self._end_for_lack_of_room()

    def reset(self) -> None:
        """Reset the connection and drop unsent data, also some MiB in the kernel."""
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _RESET
        )
        self.transport.abort()

    def _end_for_lack_of_room(self) -> None:
        self._leaving = True
        self._write(Unavailable("too many connections are open; try again later", 5))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse data, unless the connection is being closed."""
        if self._leaving:
            self._discard(len(data))
            return
        head_goes_on = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._leaving = True  # the response says so; the next bytes are another protocol
        except httptools.HttpParserInvalidMethodError:
            self._end(Malformed("this is not an HTTP request: unknown method"))
            return
        except httptools.HttpParserInvalidURLError:
            self._end(self._refusal or Malformed(_NOT_ASCII))
            return
        except httptools.HttpParserError:
            self._end(self._refusal or Malformed("this is not an HTTP request"))
            return
        if self._in_head and head_goes_on:  # all of the data belongs to the head
            self._later_bytes += len(data)
            if self._later_bytes > MAX_HEAD_BYTES:
                self._end(HeadTooLarge(_TOO_LARGE))
                return
        if self._head_since is None and (self._in_head or not self._responding):
            self._head_since = self.loop.time()

    def check_deadlines(self, now: float) -> None:
        """Close the connection if its deadline has passed; called about once a second."""
        idle_since = self.idle_since
        if idle_since is not None and time.monotonic() - idle_since > self.timeout_keep_alive:
            self.transport.close()
        if self._head_since is not None:
            waited_s = now - self._head_since
            if self._leaving and waited_s > LINGER_S:
                self.transport.abort()
            elif waited_s > HEAD_DEADLINE_S:
                if self._in_head:
                    self._end(TooSlow(f"the head did not arrive within {HEAD_DEADLINE_S:g} s"))
                else:
                    self.transport.close()
        unread = self.transport.get_write_buffer_size()
        if self.flow.write_paused:
            self._count_unsent(unread)
        read_bytes = self._unread_bytes - unread
        if unread == 0 or read_bytes >= MIN_READ_BYTES or read_bytes < 0:
            self._unread_bytes, self._unread_since = unread, now
        elif now - self._unread_since > self._unread_deadline_s:
            self._unsent.reset += 1
            self.reset()

    # Unread responses

    def pause_writing(self) -> None:
        """Start no further request, and count the unsent bytes."""
        super().pause_writing()
        self._count_unsent(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Continue: nearly all of the response was read."""
        self._count_unsent(0)
        super().resume_writing()

    def _count_unsent(self, size: int) -> None:
        slot = self._slot
        caller = "" if slot is None else slot.caller or f"source {slot.source}"
        if slot is not None and size:
            size += slot.unencoded
        self._unsent.update(self, caller, size)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: asgi.ASGI3Application) -> None:
        self._running = cycle
        if self.flow.write_paused:
            app = partial(self._respond_later, cycle, app)
        super()._start_asgi_task(cycle, app)

    async def _respond_later(
        self,
        cycle: RequestResponseCycle,
        app: asgi.ASGI3Application,
        scope: asgi.Scope,
        receive: asgi.ASGIReceiveCallable,
        send: asgi.ASGISendCallable,
    ) -> None:
        """Handle a request once the response before it was read, so that only one is held."""
        await self.flow.drain()
        if not cycle.disconnected:
            await app(scope, receive, send)

    @property
    def _unread_deadline_s(self) -> float:
        state = self.cycle.scope["state"] if self.cycle is not None else {}
        return float(state.get(UNREAD_DEADLINE, UNREAD_DEADLINE_S))

    # A request

    def on_message_begin(self) -> None:
        """Start a new head."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._later_bytes = 0
        self._host = self.idle_since = None
        self._chunked = False

    def on_url(self, url: bytes) -> None:
        """Add a part of the target."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            self._refuse(
                TargetTooLong(f"the path and query are over {MAX_TARGET_BYTES // 1024} KiB")
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field of the head; trailers are ignored."""
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._refuse(HeadTooLarge(_TOO_LARGE))
        if not self._in_head:
            return
        name = name.lower()
        if name in _CHECKED_FIELDS:
            self._check_field(name, value)
        self.headers.append((name, value))

    def _check_field(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"host":
            if self._host is not None:
                self._refuse(Malformed("the request names two hosts; send one Host header"))
            self._host = value
        elif value.lower() != b"chunked":
            self._refuse(Unsupported("chunked is the only supported Transfer-Encoding"))
        else:
            self._chunked = True

    def on_headers_complete(self) -> None:
        """Handle the request, unless its head is ambiguous."""
        self._in_head = False
        self._head_since = None
        if self._slot is not None:
            self._slot.touch()
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(Malformed("only HTTP/1.1 and HTTP/1.0 are supported"))
        if version == "1.1" and self._host is None:
            self._refuse(Malformed("the request names no host; send a Host header"))
        if version == "1.0" and self._chunked:
            self._refuse(Malformed("HTTP/1.0 has no Transfer-Encoding"))
        if self.url[:1] != b"/":
            self._check_target()
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(Malformed(f"more than {MAX_PIPELINED} requests wait on this connection"))
        waits = self._responding
        self._begin(version)
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    def _begin(self, version: str) -> None:
        """Complete the scope of the request, as uvicorn does without a root path."""
        target = httptools.parse_url(self.url)
        raw_path = target.path or b"/"  # RFC 9112, 3.2.2: http://host alone names the root
        path = raw_path.decode("ascii")
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = target.query or b""
        self.cycle = RequestCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=(
                version == "1.1"
                and self.parser.should_keep_alive()
                and not self.parser.should_upgrade()
            ),
            on_response=self.on_response_complete,
        )

    def _check_target(self) -> None:
        """Refuse a target whose host differs from the ``Host`` header (RFC 9112, 3.2.2)."""
        host = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
        if self.url != b"*" and (not host or host.lower() != (self._host or b"").lower()):
            self._refuse(Malformed("the request line and the Host header name different hosts"))

    def _refuse(self, error: HooktuiError) -> None:
        self._refusal = error
        raise error  # the parser stops, and `data_received` gets the error

    def on_body(self, body: bytes) -> None:
        """Add a part of a body; bytes after the response are discarded, up to a limit."""
        if self.cycle.response_complete:
            self._discard(len(body))
            return
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Continue with the next request, unless the client has not sent the body of this one."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
        self._unread_bytes = 0  # nothing is written while much is unread, so it was read
        cycle = self.cycle
        if not cycle.response_complete:
            return  # belongs to the next request, which waited
        cycle.body = bytearray()  # frees up to 300 kB while the connection is idle
        if cycle.more_body:
            self._head_since = self.loop.time()
            if self.expect_100_continue:
                # After a final response instead of "100 Continue" the client may or may not send
                # the body, so the next bytes are ambiguous (RFC 9110, 10.1.1).
                self.transport.close()
        else:
            self.idle_since = time.monotonic()

    # The end

    @property
    def _responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MAX_DISCARDED_BYTES:
            self.transport.abort()

    def _end(self, error: HooktuiError) -> None:
        """Parse nothing more; earlier requests are completed first."""
        self._leaving = True
        cycle = self.cycle
        if self._responding and not cycle.more_body:
            cycle.keep_alive = False
            self._head_since = None  # nothing more is waited for but the response
            return
        if self._responding and (self.pipeline or cycle.response_started):
            self.transport.close()
            return
        if self._responding:  # its own body is broken: do not wait for the rest
            cycle.disconnected = True
            cycle.message_event.set()
        self._write(error)
        self._head_since = self.loop.time()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _write(self, error: HooktuiError) -> None:
        response = problem(error)
        phrase = http.HTTPStatus(error.status).phrase
        lines = [f"HTTP/1.1 {error.status} {phrase}\r\nconnection: close\r\n".encode("ascii")]
        lines += [
            b"%b: %b\r\n" % header for header in response.raw_headers if header[0] != b"connection"
        ]
        self.transport.write(b"".join([*lines, b"\r\n", bytes(response.body)]))


_NOT_ASCII = "the URL has characters that are not visible ASCII; escape ä, for example, as %C3%A4"
_TOO_LARGE = (
    f"the head of the request is over {MAX_HEAD_BYTES // 1024} KiB or {MAX_HEADERS} headers"
)
