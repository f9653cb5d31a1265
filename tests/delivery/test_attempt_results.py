"""What an attempt says of a receiver that misbehaves: status, size, and one plain line.

`test_misbehaving_receivers` shows that it ends, in bounded memory, whatever the receiver does.
"""

import asyncio
import contextlib
import errno
import gzip
import socket
import struct
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooktui.delivery.connection import ReceiverConnection
from hooktui.delivery.limits import ExchangeLimits
from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import ErrorClass
from tests.support.ports import free_port
from tests.support.waiting import LIMIT_S, until

OK = b"HTTP/1.1 200 OK\r\n"


async def _flood(writer, piece):
    with contextlib.suppress(OSError):
        while True:
            writer.write(piece)
            await writer.drain()


async def _request(reader):
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2)


async def test_an_answer_is_taken_with_status_headers_and_body(client, receivers):
    receiver = await receivers.answering(
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Name: caf\xe9\r\n\r\nhello"
    )
    exchange = await client.post(receiver.target, body=b'{"id":1}')
    assert (exchange.status_code, exchange.error, exchange.error_detail) == (201, None, None)
    assert exchange.headers == (("Content-Length", "5"), ("X-Name", "caf\xe9"))
    assert (exchange.body, exchange.size, exchange.truncated) == (b"hello", 5, False)
    assert exchange.address == f"127.0.0.1:{receiver.target.port}"
    assert not exchange.reused_connection
    assert exchange.dns_ms is None
    assert exchange.tls_ms is None
    assert exchange.connect_ms is not None
    assert exchange.first_byte_ms is not None
    assert exchange.total_ms >= exchange.connect_ms + exchange.first_byte_ms
    assert receiver.requests[0].endswith(b'\r\n\r\n{"id":1}')


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (204, None),
        (302, ErrorClass.REDIRECT),
        (304, ErrorClass.REDIRECT),
        (410, ErrorClass.STATUS),
        (503, ErrorClass.STATUS),
        (999, ErrorClass.STATUS),
    ],
)
async def test_the_status_decides(client, receivers, status, error):
    receiver = await receivers.answering(
        b"HTTP/1.1 %d X\r\nRetry-After: 7\r\nLocation: http://127.0.0.90/\r\n"
        b"Content-Length: 0\r\n\r\n" % status
    )
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.error) == (status, error)
    assert exchange.retry_after == (None if error is None else "7")
    assert receiver.connections == 1


@pytest.mark.parametrize("headers", [b"", b"Upgrade: h2c\r\nConnection: upgrade\r\n"])
async def test_switching_protocols_is_named_as_such_at_once(client, receivers, headers):
    receiver = await receivers.answering(b"HTTP/1.1 101 Switching\r\n%s\r\n" % headers)
    exchange = await client.post(receiver.target)
    assert exchange.error is ErrorClass.PROTOCOL
    assert exchange.error_detail.startswith("the receiver switched protocols (101)")


async def test_a_receiver_that_never_answers_times_out_at_the_first_byte_limit(clients, receivers):
    receiver = await receivers.behaving(lambda reader, _: reader.read())
    client = clients.with_(first_byte_s=0.3)
    began = time.monotonic()
    exchange = await client.post(receiver.target)
    assert time.monotonic() - began > 0.25
    assert (exchange.status_code, exchange.error) == (None, ErrorClass.TIMEOUT)
    assert exchange.error_detail == "no response within 0.3 s"
    assert exchange.first_byte_ms is None


def _target(port):
    return parse_url(f"http://127.0.0.1:{port}/in")


async def test_a_slow_drip_ends_at_the_total_deadline(client, receivers):
    async def drip(reader, writer):
        await _request(reader)
        writer.write(OK + b"Content-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    receiver = await receivers.behaving(drip)
    for _ in range(10):  # on a busy machine the limit may be over before the first bytes
        began = time.monotonic()
        exchange = await client.post(receiver.target, timeout_s=0.5)
        assert time.monotonic() - began > 0.45
        if exchange.size > 5:
            break
    assert (exchange.status_code, exchange.error) == (200, ErrorClass.TIMEOUT)
    assert exchange.error_detail == "the response was not complete within 0.5 s"
    assert exchange.size > 5
    assert exchange.truncated is False


async def test_a_receiver_that_reads_nothing_is_left_at_the_deadline(client, receivers):
    async def deaf(reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    receiver = await receivers.behaving(deaf)
    exchange = await client.post(receiver.target, body=b"x" * 20_000_000, timeout_s=0.4)
    assert exchange.error is ErrorClass.TIMEOUT


async def test_interim_answers_are_passed_over(client, receivers):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nRetry-After: 99\r\n\r\n"
    receiver = await receivers.answering(
        b"HTTP/1.1 100 Continue\r\n\r\n" + early * 3 + OK + b"Content-Length: 2\r\n\r\nhi"
    )
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.error, exchange.body) == (200, None, b"hi")
    assert exchange.headers == (("Content-Length", "2"),)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain\r\n\r\n",
        b"Content-Length: 100000000000\r\n\r\n",
    ],
    ids=["until close", "with a length"],
)
async def test_an_endless_body_is_cut_and_the_status_decides(client, receivers, head):
    async def endless(reader, writer):
        await _request(reader)
        writer.write(OK + head)
        await _flood(writer, b"x" * 10_000)
        receiver.closed_by_peer.set()

    receiver = await receivers.behaving(endless)
    exchange = await client.post(receiver.target, timeout_s=LIMIT_S)
    assert (exchange.status_code, exchange.error) == (200, None)
    assert exchange.truncated
    assert 60_000 < exchange.size <= 65_536
    assert len(exchange.body) == 16_384
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()


async def test_endless_chunks_of_nothing_much_are_cut(client, receivers):
    async def chunks(reader, writer):
        await _request(reader)
        writer.write(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        await _flood(writer, b"1;%s\r\nx\r\n" % (b"e" * 500))

    receiver = await receivers.behaving(chunks)
    exchange = await client.post(receiver.target, timeout_s=LIMIT_S)
    assert (exchange.status_code, exchange.error) == (500, ErrorClass.STATUS)
    assert exchange.truncated
    assert exchange.size < 200


async def test_more_than_a_thousand_headers_are_too_many(client, receivers):
    head = OK + b"Content-Length: 0\r\n"
    receiver = await receivers.answering(
        head + b"a: b\r\n" * 999 + b"\r\n", head + b"a: b\r\n" * 1000 + b"\r\n"
    )
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.error, len(exchange.headers)) == (200, None, 50)
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.error) == (None, ErrorClass.RESPONSE_TOO_LARGE)


async def test_stored_headers_are_cut_to_a_kilobyte(client, receivers):
    receiver = await receivers.answering(
        OK + b"X: %s\r\nContent-Length: 0\r\n%s: v\r\n\r\n" % (b"v" * 3000, b"n" * 3000)
    )
    exchange = await client.post(receiver.target)
    assert exchange.error is None
    assert [len(name) + len(value) for name, value in exchange.headers] == [1024, 15, 1024]


async def test_a_large_complete_body_is_stored_in_part_and_the_connection_kept(client, receivers):
    receiver = await receivers.answering(
        *[OK + b"Content-Length: 60000\r\n\r\n" + b"x" * 60_000] * 2
    )
    for reused in (False, True):
        exchange = await client.post(receiver.target)
        assert (exchange.error, exchange.size, len(exchange.body)) == (None, 60_000, 16_384)
        assert exchange.truncated
        assert exchange.reused_connection is reused


async def test_a_gzip_bomb_is_stored_as_it_came(client, receivers):
    bomb = gzip.compress(b"\0" * 5_000_000)
    receiver = await receivers.answering(
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(bomb), bomb)
    )
    exchange = await client.post(receiver.target)
    assert exchange.error is None
    assert exchange.body == bomb


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        (b"", "before any response"),
        (OK + b"X: y\r\n", "in the middle of the response's head"),
        (OK + b"Content-Length: 10\r\n\r\nhello", "in the middle of the response's body"),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "in the middle of the response's body",
        ),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "in the middle of the response's body",
        ),
    ],
)
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_cut_connection_is_a_reset(client, receivers, answer, where, how):
    async def cut(reader, writer):
        await _request(reader)
        writer.write(answer)
        await writer.drain()
        if how == "reset":
            # Sent before the reset: let the client read what there is.
            await asyncio.sleep(0.05 if answer else 0)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    receiver = await receivers.behaving(cut)
    exchange = await client.post(receiver.target)
    assert exchange.error is ErrorClass.RESET
    assert exchange.error_detail == f"the receiver {how} the connection {where}"
    assert receiver.connections == 1


async def test_a_body_until_close_is_complete_at_the_close_and_not_at_a_reset(client, receivers):
    async def until_close(reader, writer):
        await _request(reader)
        writer.write(OK + b"\r\nhello")

    async def until_reset(reader, writer):
        await _request(reader)
        writer.write(OK + b"\r\nhello")
        await writer.drain()
        await asyncio.sleep(0.05)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    exchange = await client.post((await receivers.behaving(until_close)).target)
    assert (exchange.status_code, exchange.error, exchange.body) == (200, None, b"hello")
    exchange = await client.post((await receivers.behaving(until_reset)).target)
    assert (exchange.status_code, exchange.error) == (200, ErrorClass.RESET)


async def test_chunks_and_trailers_are_read(client, receivers):
    receiver = await receivers.answering(
        OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n"
    )
    exchange = await client.post(receiver.target)
    assert (exchange.error, exchange.body, exchange.size) == (None, b"hello!", 6)
    assert exchange.headers == (("Transfer-Encoding", "chunked"),)


async def test_an_early_answer_stands_and_its_connection_is_not_kept(client, receivers):
    async def impatient(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(5)

    receiver = await receivers.behaving(impatient)
    exchange = await client.post(receiver.target, body=b"x" * 20_000_000)
    assert (exchange.status_code, exchange.error) == (413, ErrorClass.STATUS)
    await client.post(receiver.target, body=b"x" * 20_000_000)
    assert receiver.connections == 2


async def test_a_receiver_that_responds_first_and_reads_later_gets_the_whole_event(
    client, receivers
):
    body, got = b"x" * 20_000_000, []

    async def respond_first(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        with contextlib.suppress(OSError):
            while sum(got) < len(body) and (piece := await reader.read(1_000_000)):
                got.append(len(piece))

    receiver = await receivers.behaving(respond_first)
    exchange = await client.post(receiver.target, body=body)
    assert (exchange.status_code, exchange.error) == (200, None)
    await until(lambda: sum(got) == len(body))


async def test_an_early_2xx_counts_at_the_deadline_if_the_rest_is_not_read(client, receivers):
    async def deaf(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        await asyncio.Event().wait()

    receiver = await receivers.behaving(deaf)
    exchange = await client.post(receiver.target, body=b"x" * 20_000_000, timeout_s=0.4)
    assert (exchange.status_code, exchange.error) == (200, None)
    assert exchange.total_ms > 300


async def test_a_closed_port_is_refused(client):
    port = free_port()
    exchange = await client.post(_target(port))
    assert exchange.error is ErrorClass.CONNECT_REFUSED
    assert exchange.error_detail == f"nothing listens at 127.0.0.1 port {port}"
    assert exchange.connect_ms is not None


# Red when the event loop's words hide those of the system: "Connect call failed (…)".
async def test_a_connect_that_a_router_refuses_says_why(client, monkeypatch):
    async def no_route(sock, address):
        raise OSError(errno.EHOSTUNREACH, f"Connect call failed {address}")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", no_route, raising=False)
    exchange = await client.post(_target(9))
    assert exchange.error is ErrorClass.CONNECT
    assert exchange.error_detail == "connecting to 127.0.0.1 port 9 failed: No route to host"


async def test_a_full_backlog_is_a_connect_timeout(clients):
    client = clients.with_(connect_s=0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with contextlib.ExitStack() as fillers:
            for _ in range(3):
                filler = fillers.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(server.getsockname())
            exchange = await client.post(_target(server.getsockname()[1]))
    assert exchange.error is ErrorClass.CONNECT_TIMEOUT


class _Wire(asyncio.Transport):
    """The write side of a connection that goes nowhere."""

    def write(self, data):
        pass

    def abort(self):
        pass

    def get_write_buffer_size(self):
        return 0


_PIECES = st.lists(
    st.sampled_from(
        [
            OK,
            b"HTTP/1.1 204 No\r\n\r\n",
            b"HTTP/1.1 103 E\r\n\r\n",
            b"HTTP/1.1 101 S\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"X: y\r\n",
            b"\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"abc",
            b"\0",
        ]
    )
    | st.binary(max_size=8),
    max_size=12,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(pieces=_PIECES, cuts=st.lists(st.integers(0, 200), max_size=6))
async def test_any_bytes_in_any_pieces_end_the_exchange_at_the_close_at_the_latest(pieces, cuts):
    connection = ReceiverConnection(
        asyncio.get_running_loop(), ExchangeLimits(), "a", ("http", "a", 1, True), lambda _: None
    )
    connection.connection_made(_Wire())
    waiter = connection.exchange(b"", time.monotonic() + 5, 5)
    stream = b"".join(pieces)
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    for start, end in pairwise(places):
        if connection.closed:
            break
        connection.data_received(stream[start:end])
    connection.eof_received()
    connection.connection_lost(None)
    fault = await waiter
    assert connection.closed
    assert fault is not None or connection.status_code >= 200
