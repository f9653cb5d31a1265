"""Any bytes as an answer: an attempt ends as an `Exchange`, without an exception, in time.

Real sockets, in clear and encrypted; answers that were right once and were damaged since reach
deeper than noise does. After each the receiver is honest, and the next delivery must be right.
"""

import asyncio
import hashlib
import socket
import struct
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import ErrorClass, Exchange
from tests.delivery.receivers import read_request
from tests.support.certificates import Authority

SHORT_S = 0.1
"""The deadline of a damaged answer; many end by it."""

SOUND = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.0 301 Go\r\nLocation: /\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
]
TELLING = st.sampled_from([b"\0", b"\r", b"\n", b"\r\n", b" ", b":", b"0", b"-", b"\xff", b"\x1b["])


@st.composite
def damaged(draw):
    """Draw a sound answer with some bytes changed, left out, doubled or put in."""
    stream = draw(st.sampled_from(SOUND))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(stream)))
        end = min(len(stream), begin + draw(st.integers(0, 8)))
        put = draw(st.just(b"") | TELLING | st.binary(max_size=4) | st.just(stream[begin:end] * 2))
        stream = stream[:begin] + put + stream[end:]
    return stream


@st.composite
def records(draw):
    """Draw what looks like records of TLS."""
    kinds = st.sampled_from([0x14, 0x15, 0x16, 0x17, 0x18, 0xFF])
    pieces = draw(st.lists(st.tuples(kinds, st.binary(max_size=60)), min_size=1, max_size=4))
    return b"".join(
        struct.pack("!BHH", kind, draw(st.sampled_from([0x301, 0x303, 0x304])), len(body)) + body
        for kind, body in pieces
    )


ENDS = st.sampled_from(["close", "close", "reset", "half-close", "stay"])
FUZZ = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=60,
)


class Spoiled:
    """A receiver whose first answer is what was drawn, and that is honest after it."""

    def __init__(self, stream, cuts, end):
        self._pieces = [stream[a:b] for a, b in pairwise([0, *sorted(cuts), len(stream)])]
        self._end = end
        self._spoilt = False
        self.over = asyncio.Event()

    async def __call__(self, reader, writer):
        try:
            await self._serve(reader, writer)
        finally:  # also where the attempt was over before its request was read
            self._spoilt = True
            self.over.set()

    def skip_unless_begun(self):
        """Be honest, where the deadline of the attempt came before its request was read."""
        if not self._spoilt:
            self._spoilt = True
            self.over.set()

    async def _serve(self, reader, writer):
        while request := await read_request(reader):
            if self._spoilt:
                body = request.partition(b"\r\n\r\n")[2]
                digest = hashlib.sha256(body).hexdigest().encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + digest)
                continue
            self._spoilt = True
            await self._spoil(writer)
            if self._end in ("close", "reset"):
                return
            self.over.set()

    async def handshake(self, reader, writer):
        """Do the same to a client that wants TLS."""
        await reader.read(1)
        await self._spoil(writer)
        if self._end in ("stay", "half-close"):
            await reader.read()

    async def _spoil(self, writer):
        for piece in self._pieces:
            writer.write(piece)
            await writer.drain()
        if self._end == "half-close" and writer.can_write_eof():
            writer.write_eof()
        elif self._end == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def _check(exchange):
    assert isinstance(exchange, Exchange)
    assert (exchange.error is None) == (200 <= (exchange.status_code or 0) < 300) or (
        exchange.error in ErrorClass
    )
    assert exchange.error_detail is None or exchange.error_detail.isprintable()
    assert len(exchange.body) <= 16_384


async def _attempt_and_next(client, target, spoiled):
    async with asyncio.timeout(60):
        _check(await client.post(target, timeout_s=SHORT_S, verify_tls=False))
        spoiled.skip_unless_begun()
        await spoiled.over.wait()
        for _ in range(5):  # what was sent after the answer is read before the next request
            await asyncio.sleep(0)
        body = b"next"
        exchange = await client.post(target, body=body, verify_tls=False)
    assert exchange.error is None, exchange
    assert exchange.body.decode() == hashlib.sha256(body).hexdigest()


async def _clear(clients, receivers):
    """Close everything: examples share their fixtures, and a process has a thousand files."""
    clients.close()
    await receivers.stop()


@pytest.fixture(scope="module")
def server_context(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority")).server_context("127.0.0.1")


@FUZZ
@given(
    stream=damaged() | st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 100), max_size=3),
    end=ENDS,
)
async def test_any_answer_ends_an_attempt_and_the_next_one_is_right(
    clients, receivers, stream, cuts, end
):
    spoiled = Spoiled(stream, [cut for cut in cuts if cut < len(stream)], end)
    receiver = await receivers.behaving(spoiled)
    await _attempt_and_next(clients.with_(), receiver.target, spoiled)
    await _clear(clients, receivers)


@FUZZ
@given(stream=damaged(), end=ENDS)
async def test_any_answer_over_tls_ends_an_attempt_and_the_next_one_is_right(
    clients, receivers, server_context, stream, end
):
    spoiled = Spoiled(stream, [], end)
    receiver = await receivers.behaving(spoiled, tls=server_context)
    await _attempt_and_next(clients.with_(), receiver.target, spoiled)
    await _clear(clients, receivers)


@FUZZ
@given(stream=records() | st.binary(min_size=1, max_size=200), end=ENDS)
async def test_any_handshake_ends_an_attempt(clients, receivers, stream, end):
    spoiled = Spoiled(stream, [], end)
    receiver = await receivers.behaving(spoiled.handshake)
    target = parse_url(f"https://127.0.0.1:{receiver.target.port}/")
    async with asyncio.timeout(60):
        exchange = await clients.with_(tls_s=SHORT_S).post(target, verify_tls=False)
    await _clear(clients, receivers)
    _check(exchange)
    assert exchange.error in (
        ErrorClass.TLS, ErrorClass.TLS_CERTIFICATE, ErrorClass.TIMEOUT, ErrorClass.CONNECT,
    )  # fmt: skip


@FUZZ
@given(st.lists(st.text(max_size=12) | st.ip_addresses().map(str), max_size=4))
async def test_any_answer_of_a_name_server_ends_an_attempt(clients, answer):
    client = clients.with_(allowed=(), lookup=lambda host, port: answer)
    loop = asyncio.get_running_loop()
    connect, dialled = loop.sock_connect, []

    async def refused(sock, address):
        dialled.append(address)
        raise ConnectionRefusedError

    loop.sock_connect = refused  # a public address may well be among them
    try:
        exchange = await client.post(parse_url("http://receiver.test:9/"))
    finally:
        loop.sock_connect = connect
    _check(exchange)
    assert exchange.error in (
        ErrorClass.DNS, ErrorClass.ADDRESS_REFUSED, ErrorClass.CONNECT_REFUSED,
    )  # fmt: skip
    assert bool(dialled) == (exchange.error is ErrorClass.CONNECT_REFUSED)
