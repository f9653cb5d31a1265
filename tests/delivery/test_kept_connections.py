"""Connections are kept within one hook, and only clean ones: no answer meets a wrong request."""

import asyncio
import contextlib
import socket
import struct
import time

import psutil
import pytest

from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import NOT_ACKNOWLEDGED, NOT_READ, ErrorClass
from tests.delivery.conftest import LOOPBACK, PATIENT_S, Client
from tests.delivery.receivers import (
    Receiver,
    Receivers,
    drop_packets,
    may_drop_packets,
    read_request,
)
from tests.support.waiting import LIMIT_S, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
needs_filters = pytest.mark.skipif(
    not may_drop_packets(), reason="this user may not filter packets here"
)


async def test_a_connection_is_used_again_for_the_same_hook(client, receivers):
    receiver = await receivers.answering(OK, OK, OK)
    answers = [await client.post(receiver.target) for _ in range(3)]
    assert [exchange.reused_connection for exchange in answers] == [False, True, True]
    assert receiver.connections == 1
    assert answers[1].connect_ms is None
    assert answers[1].address == answers[0].address


async def test_two_hooks_share_no_connection(client, receivers):
    receiver = await receivers.answering(OK, OK)
    await client.post(receiver.target, pool="one")
    exchange = await client.post(receiver.target, pool="two")
    assert not exchange.reused_connection
    assert receiver.connections == 2


async def test_requests_at_the_same_time_use_connections_of_their_own(client, receivers):
    receiver = await receivers.answering(OK, OK)
    answers = await asyncio.gather(*(client.post(receiver.target) for _ in range(5)))
    assert {exchange.status_code for exchange in answers} == {200}
    assert receiver.connections == 5


async def test_a_hook_with_a_new_url_leaves_its_old_connections(client, receivers):
    old, new = await receivers.answering(OK, OK), await receivers.answering(OK, OK)
    await client.post(old.target)
    exchange = await client.post(new.target)
    assert not exchange.reused_connection
    assert exchange.address == f"127.0.0.1:{new.target.port}"
    async with asyncio.timeout(LIMIT_S):
        await old.closed_by_peer.wait()


NOT_KEPT = {
    "connection: close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "204 with a body": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "304 with a body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
    "a second answer": OK + b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n",
    "half a second answer": OK + b"HTTP/1.1 5",
    "surplus bytes": OK + b"x",
}


@pytest.mark.parametrize("answer", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_an_answer_stands_but_its_connection_is_not_kept(client, receivers, answer):
    receiver = await receivers.answering(answer, OK)
    first = await client.post(receiver.target)
    status = int(answer[9:12])
    assert first.status_code == status
    assert first.error is (None if status < 300 else ErrorClass.REDIRECT)
    second = await client.post(receiver.target)
    assert second.status_code == status
    assert not second.reused_connection
    assert receiver.connections == 2


# Red when bytes past the cap, which came with the end of an answer, are not counted as surplus.
async def test_surplus_past_the_cap_discards_the_connection(clients, receivers):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100
    receiver = await receivers.answering(answer + b"HTTP/1.1 500 No\r\n\r\n")
    client = clients.with_(read_bytes=len(answer))
    for _ in range(2):
        exchange = await client.post(receiver.target)
        assert (exchange.status_code, exchange.size) == (200, 100)
    assert receiver.connections == 2


async def test_http_1_0_with_keep_alive_is_kept(client, receivers):
    answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    receiver = await receivers.answering(answer, answer)
    await client.post(receiver.target)
    assert (await client.post(receiver.target)).reused_connection


async def test_bytes_on_an_idle_connection_discard_it(client, receivers):
    gates = []

    async def smuggle(reader, writer):
        gate = asyncio.Event()
        gates.append((gate, writer))
        while await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(2)
            writer.write(OK)

    receiver = await receivers.behaving(smuggle)
    await client.post(receiver.target)
    gates[0][1].write(b"HTTP/1.1 299 Forged\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.reused_connection) == (200, False)


async def test_bytes_that_arrive_with_the_next_request_never_answer_it_twice(client, receivers):
    """The forged answer races the next request: it may answer that one, but no later one."""
    writers = []

    async def smuggle(reader, writer):
        writers.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(2)
            writer.write(OK * 2)

    receiver = await receivers.behaving(smuggle)
    for _ in range(20):
        assert (await client.post(receiver.target)).status_code == 200
    await until(lambda: len(writers) == 20)


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_kept_connection_that_broke_meanwhile_is_replaced_once(client, receivers, how):
    connections = 0

    async def close_after_first(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        writer.write(OK)
        if connections > 1:
            await reader.read(1)
            return
        # Read the second request and go: the client cannot know before it has written.
        await reader.readuntil(b"\r\n\r\n")
        if how == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    receiver = await receivers.behaving(close_after_first)
    await client.post(receiver.target)
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.error) == (200, None)
    assert not exchange.reused_connection
    assert exchange.connect_ms is not None
    assert receiver.connections == 2


IDLE_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


# Red when the 408 of a proxy that gives up an idle connection is the response to the next request.
async def test_a_408_that_closes_a_kept_connection_is_not_the_response(client, receivers):
    async def give_up_after_first(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)  # the client cannot know before it has written
        writer.write(IDLE_TIMEOUT)
        writer.close()

    receiver = await receivers.behaving(give_up_after_first)
    await client.post(receiver.target)
    exchange = await client.post(receiver.target)
    assert (exchange.status_code, exchange.reused_connection) == (200, False)
    assert receiver.connections == 2


async def test_a_408_on_a_new_connection_or_one_that_stays_open_is_a_response(client, receivers):
    stays_open = IDLE_TIMEOUT.replace(b"Connection: close\r\n", b"")
    first = await receivers.answering(IDLE_TIMEOUT)
    assert (await client.post(first.target)).status_code == 408
    assert first.connections == 1
    second = await receivers.answering(OK, stays_open, OK)
    answers = [await client.post(second.target) for _ in range(2)]
    assert [exchange.status_code for exchange in answers] == [200, 408]
    assert second.connections == 1


# Red when only a connection that breaks aloud is replaced: a NAT that forgot it drops everything.
@needs_filters
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_kept_connection_that_the_network_forgot_is_replaced(
    client, receivers, authority, monkeypatch, scheme
):
    monkeypatch.setattr("hooktui.delivery.connection._CHECK_S", 0.2)
    writers, last = [], 0

    async def behaviour(reader, writer):
        nonlocal last
        writers.append(writer)
        while await read_request(reader):
            last = writer.get_extra_info("peername")[1]
            writer.write(OK)

    tls = authority.server_context() if scheme == "https" else None
    receiver = await receivers.behaving(behaviour, tls=tls)

    async def post():
        return await client.post(receiver.target, verify_tls=False)

    await asyncio.gather(*(post() for _ in range(4)))
    assert (await post()).reused_connection  # the one that the next request takes
    dead = last
    for writer in writers:
        drop_packets(writer.get_extra_info("socket"))
    exchange = await post()
    assert (exchange.status_code, exchange.reused_connection) == (200, False)
    # The others that were idle then are not tried in turn.
    assert client.transport.idle == 1
    assert (await post()).reused_connection
    assert receiver.connections == 5
    # Red when the system goes on to send the request on the old one, after it was sent again.
    assert (dead, receiver.target.port) not in [
        (one.laddr.port, one.raddr.port) for one in psutil.net_connections("tcp4") if one.raddr
    ]


# Red when the time for the response runs while a slow link still takes the request.
async def test_the_response_has_its_time_from_the_end_of_the_request(
    clients, receivers, monkeypatch
):
    looks, taken = 0, asyncio.Event()

    def fewer_each_time(_file):
        nonlocal looks
        looks += 1
        if looks == 10:
            taken.set()
        return 0, 10_000 - looks

    monkeypatch.setattr("hooktui.delivery.connection.unacknowledged", fewer_each_time)
    monkeypatch.setattr("hooktui.delivery.connection._CHECK_S", 0.05)

    async def answer_late(reader, writer):
        await read_request(reader)
        await taken.wait()
        writer.write(OK)

    client = clients.with_(first_byte_s=0.2)
    receiver = await receivers.behaving(answer_late)
    assert (await client.post(receiver.target, body=bytes(20_000))).status_code == 200


@pytest.mark.parametrize(
    ("longest", "words"),
    [
        pytest.param(1500, NOT_ACKNOWLEDGED, marks=needs_filters, id="large packets vanish"),
        pytest.param(None, NOT_READ, id="nothing is read"),
    ],
)
async def test_the_reason_says_where_the_request_got_stuck(clients, receivers, longest, words):
    client = clients.with_(first_byte_s=1.0)

    async def never_read(reader, writer):
        if longest:
            drop_packets(writer.get_extra_info("socket"), over=longest)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readexactly(2)
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    receiver = await receivers.behaving(never_read)
    assert (await client.post(receiver.target)).status_code == 200
    exchange = await client.post(receiver.target, body=bytes(16 * 1024 * 1024))
    assert exchange.error is ErrorClass.TIMEOUT
    assert exchange.error_detail.startswith("no response within 1 s; ")
    assert exchange.error_detail.endswith(f" bytes of the request {words}")


async def test_a_fresh_connection_that_breaks_is_not_tried_again(client, receivers):
    receiver = await receivers.answering(b"")
    exchange = await client.post(receiver.target)
    assert exchange.error is ErrorClass.RESET
    assert receiver.connections == 1


async def test_a_kept_connection_that_breaks_within_the_answer_is_not_tried_again(
    client, receivers
):
    async def break_off(reader, writer):
        for answer in (OK, b"HTTP/1.1 200 OK\r\n"):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            writer.write(answer)

    receiver = await receivers.behaving(break_off)
    await client.post(receiver.target)
    exchange = await client.post(receiver.target)
    assert exchange.error is ErrorClass.RESET
    assert exchange.reused_connection
    assert receiver.connections == 1


async def test_a_cancelled_attempt_takes_its_connection_along(clients, receivers):
    requested = asyncio.Event()

    async def hang(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        requested.set()
        await reader.read()
        receiver.closed_by_peer.set()

    client = clients.with_(first_byte_s=9.0)
    receiver = await receivers.behaving(hang)
    task = asyncio.ensure_future(client.post(receiver.target, timeout_s=9))
    await requested.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()


async def test_forgetting_a_hook_closes_its_idle_connections(client, receivers):
    receiver = await receivers.answering(OK, OK)
    await client.post(receiver.target)
    client.transport.forget("hook")
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()
    assert not (await client.post(receiver.target)).reused_connection


async def test_a_running_attempt_of_a_forgotten_hook_goes_on_and_keeps_nothing(client, receivers):
    go_on = asyncio.Event()

    async def wait(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        await go_on.wait()
        writer.write(OK)
        if not await reader.read(1):
            receiver.closed_by_peer.set()

    receiver = await receivers.behaving(wait)
    task = asyncio.ensure_future(client.post(receiver.target))
    await until(lambda: receiver.connections == 1)
    client.transport.forget("hook")
    go_on.set()
    assert (await task).status_code == 200
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()


async def test_an_idle_connection_is_closed_in_time(clients, receivers, monkeypatch):
    monkeypatch.setattr("hooktui.delivery.transport._SWEEP_S", 0.05)
    client = clients.with_(idle_s=0.1)
    receiver = await receivers.answering(OK, OK)
    await client.post(receiver.target)
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()


# Red when a connection that is always in use is kept for ever.
async def test_a_busy_hook_follows_its_name_to_another_address(clients, receivers):
    async def behaviour(reader, writer):
        while await read_request(reader):
            writer.write(OK)

    receiver = await receivers.behaving(behaviour, host="0.0.0.0")
    target = parse_url(f"http://receiver.test:{receiver.target.port}/in")
    young = clients.with_(lookup=lambda *_: [addresses.pop(0)])
    old = clients.with_(lookup=lambda *_: [addresses.pop(0)], age_s=0.0)
    for client, second in ((young, "127.0.0.1"), (old, "127.0.0.2")):
        addresses = ["127.0.0.1", "127.0.0.2"]
        await client.post(target)
        exchange = await client.post(target)
        assert exchange.address == f"{second}:{target.port}"


# Red when a fixed number is kept: then some of the next are new connections.
async def test_a_hook_keeps_as_many_connections_as_were_in_flight_at_once(clients, receivers):
    client = clients.with_(idle_connections=3)
    receiver = await receivers.answering(OK, OK)
    await asyncio.gather(*(client.post(receiver.target) for _ in range(8)))
    again = await asyncio.gather(*(client.post(receiver.target) for _ in range(8)))
    assert sum(exchange.reused_connection for exchange in again) == 8
    assert client.transport.idle == 8


async def test_a_closed_transport_closes_its_connections_and_sends_no_more(client, receivers):
    receiver = await receivers.answering(OK, OK)
    await client.post(receiver.target)
    client.transport.close()
    async with asyncio.timeout(LIMIT_S):
        await receiver.closed_by_peer.wait()
    with pytest.raises(RuntimeError, match="closed"):
        await client.post(receiver.target)


async def test_a_shorter_deadline_holds_on_a_kept_connection(client, receivers):
    """The timer of a connection is armed once and lazily: a later, shorter limit must win."""
    receiver = await receivers.answering(OK)
    await client.post(receiver.target)
    async with asyncio.timeout(PATIENT_S / 2):
        exchange = await client.post(receiver.target, timeout_s=0.1)
    assert exchange.error is ErrorClass.TIMEOUT
    assert exchange.reused_connection


async def test_a_timer_from_an_earlier_request_does_not_end_a_later_one(clients, receivers):
    client = clients.with_(first_byte_s=4.0)  # passes in all, but not in one of them
    late = False

    async def slower_and_slower(reader, writer):
        nonlocal late
        for delay_s in (0.0, 1.4, 1.4, 1.4):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            began = time.monotonic()
            await asyncio.sleep(delay_s)
            late |= time.monotonic() - began > 3
            writer.write(OK)
        await reader.read(1)

    for _ in range(5):
        late = False
        receiver = await receivers.behaving(slower_and_slower)
        answers = [await client.post(receiver.target) for _ in range(4)]
        if not late:  # on a busy machine one of them may have ended rightly
            break
    assert [exchange.status_code for exchange in answers] == [200] * 4
    assert receiver.connections == 1


async def test_no_socket_is_left_behind(clients, receivers):
    client = clients.with_()
    receiver = await receivers.answering(OK, OK)
    hung = await receivers.behaving(lambda reader, _: reader.read())
    await asyncio.gather(*(client.post(receiver.target) for _ in range(10)))
    await asyncio.gather(*(client.post(hung.target, timeout_s=0.1) for _ in range(10)))
    client.transport.close()
    ports = {receiver.target.port, hung.target.port}

    def ours():
        open_ = psutil.Process().net_connections("tcp4")
        return [one for one in open_ if one.raddr and one.raddr.port in ports]

    await until(lambda: not ours())


# Red when idle connections hold files that attempts need, or when not the longest idle one goes.
async def test_where_room_is_needed_the_longest_idle_connections_of_all_hooks_close(
    receivers: Receivers,
):
    async def behaviour(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await read_request(reader)
                writer.write(OK)
        closed.append(writer.get_extra_info("peername"))

    closed: list[object] = []
    receiver = await receivers.behaving(behaviour)
    client = Client(Transport(LOOPBACK, Resolver(), limit=3))
    for pool in ("one", "two", "three", "one", "four"):
        assert (await client.post(receiver.target, pool=pool)).status_code == 200
        assert client.transport.idle <= 3
    assert client.transport.idle == 3
    await until(lambda: len(closed) == 1)
    assert [await reused(client, receiver, pool) for pool in ("one", "three", "four", "two")] == [
        True, True, True, False,
    ]  # fmt: skip
    client.transport.close_idle()
    assert client.transport.idle == 0
    await until(lambda: len(closed) == receiver.connections)
    client.transport.close()


async def reused(client: Client, receiver: Receiver, pool: str) -> bool:
    return (await client.post(receiver.target, pool=pool)).reused_connection
