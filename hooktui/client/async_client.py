"""The asynchronous client of the console, on httpx."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Self, TypeVar

import httpx

from hooktui.client.address import ServerAddress
from hooktui.client.calls import Call
from hooktui.client.responses import (
    MAX_RESPONSE_BYTES,
    LineSplitter,
    broken_off,
    comes_in_lines,
    explain_unknown_outcome,
    no_connection,
    not_ours,
    not_reached,
    read_line,
    read_response,
    too_large,
    too_slow,
)
from hooktui.client.sync_client import CONNECT_TIMEOUT_S, decoded, request_headers
from hooktui.sockets import short_path

T = TypeVar("T")

MAX_CONNECTIONS = 20
"""A console holds one long poll and a few concurrent calls."""
_CONNECT_TIMEOUT: Final = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
"""No timeout for reads: it could end together with the deadline of the call, which cancels them."""
_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For connections without TLS; else httpx would load the authorities."""


class AsyncClient:
    """Sends calls, several at once, over persistent connections.

    The address is from `find_server`; ``role`` lowers the role of every call, as ``--role`` does.
    """

    def __init__(self, address: ServerAddress, role: str | None = None) -> None:
        self.address = address
        self._headers = request_headers(address, role)
        self._tls = _NO_TLS
        self._http: httpx.AsyncClient | None = None
        self._held = ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the next call opens another."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()
        self._held.close()

    async def call(self, call: Call[T]) -> T:
        """Send a call and return its value.

        Raises:
            HooktuiError: the server refused the call, or does not respond.
        """
        with explain_unknown_outcome(changes=call.changes):
            async with self._response(call) as (response, pieces):
                body = await self._read_all(pieces)
            content = read_response(self.address, response.status_code, response.headers, body)
            return decoded(call, self.address, content)

    async def lines(self, call: Call[T]) -> AsyncGenerator[T]:
        """Send a call with a response in lines, and yield the value of each as it arrives.

        A caller that stops early closes the connection, which the server detects: use it within
        ``contextlib.aclosing``.

        Raises:
            HooktuiError: as `call`; also if the response broke off.
        """
        async with self._response(call) as (response, pieces):
            if not comes_in_lines(response.status_code, response.headers):
                body = await self._read_all(pieces)
                read_response(self.address, response.status_code, response.headers, body)
                what = f"{call.method} {call.path}"
                raise not_ours(self.address, f"{what} has no response in lines")
            splitter = LineSplitter(self.address)
            async for piece in pieces:
                for line in splitter.feed(piece):
                    yield decoded(call, self.address, read_line(self.address, line))
            if last := splitter.last():
                yield decoded(call, self.address, read_line(self.address, last))

    async def _read_all(self, pieces: AsyncGenerator[bytes]) -> bytes:
        parts, size = [], 0
        async for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size > MAX_RESPONSE_BYTES:
                raise too_large(self.address)
        return b"".join(parts)

    @asynccontextmanager
    async def _response(
        self, call: Call[T]
    ) -> AsyncGenerator[tuple[httpx.Response, AsyncGenerator[bytes]]]:
        """Send a call and yield the head of its response, and the pieces of its body."""
        deadline = asyncio.get_running_loop().time() + call.timeout_s
        http = self._client()
        request = http.build_request(
            call.method,
            call.path,
            content=call.body,
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in call.headers.items()
            ],
            timeout=_CONNECT_TIMEOUT,
        )
        with self._translate_errors(call):
            async with asyncio.timeout_at(deadline):
                received = await http.send(request, stream=True, follow_redirects=False)
        try:
            yield received, self._pieces(received, call, deadline)
        finally:
            await received.aclose()

    async def _pieces(
        self, received: httpx.Response, call: Call[T], deadline: float
    ) -> AsyncGenerator[bytes]:
        """Yield a body as it arrives, until the deadline and never decompressed."""
        # Raw: an unrequested compressed body may expand without end.
        body = received.aiter_raw()
        while True:
            with self._translate_errors(call, began=True):
                async with asyncio.timeout_at(deadline):
                    piece = await anext(body, None)
            if piece is None:
                return
            yield piece

    @contextmanager
    def _translate_errors(self, call: Call[T], *, began: bool = False) -> Iterator[None]:
        """Convert errors of httpx to ours; ``began``: the head of a response has arrived."""
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise not_reached(self.address, CONNECT_TIMEOUT_S) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise too_slow(self.address, call.timeout_s, began=began) from error
        except httpx.ConnectError as error:
            reason = _system_error(error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                self._tls.load_default_certs()  # they may have been renewed
            raise no_connection(self.address, reason) from error
        except httpx.HTTPError as error:
            raise broken_off(self.address, _system_error(error)) from error

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                base_url=self.address.origin,
                headers=self._headers,
                transport=self._transport(),
                trust_env=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._http

    def _transport(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
        )
        if self.address.socket is None:
            # The machine's own authorities, as in the synchronous client; httpx uses others.
            if self.address.scheme == "https":
                self._tls = ssl.create_default_context()
            return httpx.AsyncHTTPTransport(verify=self._tls, limits=limits, trust_env=False)
        try:
            name = self._held.enter_context(short_path(self.address.socket))
        except OSError as error:
            raise no_connection(self.address, error) from error
        return httpx.AsyncHTTPTransport(uds=name, verify=self._tls, limits=limits, trust_env=False)


def _system_error(error: BaseException) -> OSError:
    """Return the ``OSError`` that caused an error of httpx."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError):
            return below
        below = below.__cause__ or below.__context__
    return OSError(str(error) or type(error).__name__)
