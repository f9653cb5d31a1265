"""The outbound transport for users of httpx: an `httpx.AsyncBaseTransport` over ours.

    transport = Transport(allowed=(), resolver=Resolver())
    async with httpx.AsyncClient(transport=HooktuiTransport(transport)) as client:
        response = await client.post("https://example.com/hook", json={"id": 1})

It applies every limit and check of hooktui's own deliveries, so the response's body is the part
that an attempt stores. ``response.extensions["hooktui"]`` is the `Exchange`, with ``truncated``.
"""

from __future__ import annotations

import re
from typing import Never

import httpx

from hooktui.delivery.shortage import MachineShort
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import ErrorClass, Exchange
from hooktui.domain.errors import Refused

# A response to HEAD has no body whatever its length says, CONNECT switches protocols: both need a
# parser that knows the request, which deliveries (always POST) never do.
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE", "GET"})

# httpx leaves these to the transport (RFC 9110, 5.5 and 5.6.2).
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ENDS_A_LINE = re.compile(rb"[\0\r\n]")

_EXCEPTIONS: dict[ErrorClass, type[httpx.TransportError]] = {
    ErrorClass.ADDRESS_REFUSED: httpx.ConnectError,
    ErrorClass.DNS: httpx.ConnectError,
    ErrorClass.CONNECT_REFUSED: httpx.ConnectError,
    ErrorClass.CONNECT_TIMEOUT: httpx.ConnectTimeout,
    ErrorClass.CONNECT: httpx.ConnectError,
    ErrorClass.TLS: httpx.ConnectError,
    ErrorClass.TLS_CERTIFICATE: httpx.ConnectError,
    ErrorClass.TIMEOUT: httpx.ReadTimeout,
    ErrorClass.RESET: httpx.ReadError,
    ErrorClass.PROTOCOL: httpx.RemoteProtocolError,
    ErrorClass.RESPONSE_TOO_LARGE: httpx.RemoteProtocolError,
}


class HooktuiTransport(httpx.AsyncBaseTransport):
    """Sends httpx requests as hooktui sends deliveries.

    Args:
        transport: shared or own; closing the client closes it.
        verify_tls: whether certificates are checked.
        timeout_s: for each whole request; httpx's own timeouts are not used.
    """

    def __init__(
        self, transport: Transport, *, verify_tls: bool = True, timeout_s: float = 30.0
    ) -> None:
        self._transport = transport
        self._verify_tls = verify_tls
        self._timeout_s = timeout_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.TransportError: no complete response; the message is the delivery's error.
            httpx.UnsupportedProtocol: hooktui does not send this method or to this URL.
            httpx.LocalProtocolError: a header that could inject another one.
        """
        if request.method not in _METHODS:
            raise httpx.UnsupportedProtocol(f"{request.method} is not sent", request=request)
        try:
            target = parse_url(str(request.url))
        except Refused as error:
            raise httpx.UnsupportedProtocol(str(error), request=request) from None
        body = await request.aread()
        try:
            exchange = await self._transport.send(
                ("httpx", target.origin),
                target,
                _head(request, target.path, len(body)),
                body,
                verify_tls=self._verify_tls,
                timeout_s=self._timeout_s,
            )
        except MachineShort as missing:
            raise httpx.ConnectError(str(missing), request=request) from None
        if exchange.error in _EXCEPTIONS or exchange.status_code is None:
            _raise(exchange, request)
        return httpx.Response(
            exchange.status_code,
            headers=[
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in exchange.headers
            ],
            stream=httpx.ByteStream(exchange.body),
            extensions={"hooktui": exchange},
            request=request,
        )

    async def aclose(self) -> None:
        """Close the kept connections."""
        self._transport.close()


def _head(request: httpx.Request, path: str, length: int) -> bytes:
    """Return the request's head; it sends the body in one piece and asks for no compression."""
    for name, value in request.headers.raw:
        if not _NAME.fullmatch(name) or _ENDS_A_LINE.search(value):
            raise httpx.LocalProtocolError(f"{name!r} is not a header of HTTP/1.1", request=request)
    lines = [f"{request.method} {path} HTTP/1.1".encode("ascii")]
    lines += [
        b"%s: %s" % (name, value)
        for name, value in request.headers.raw
        if name.lower() not in (b"accept-encoding", b"content-length", b"transfer-encoding")
    ]
    lines += [b"Accept-Encoding: identity", b"Content-Length: %d" % length, b"", b""]
    return b"\r\n".join(lines)


def _raise(exchange: Exchange, request: httpx.Request) -> Never:
    kind = httpx.TransportError if exchange.error is None else _EXCEPTIONS[exchange.error]
    raise kind(exchange.error_detail or "no response", request=request)
