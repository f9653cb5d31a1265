"""What this machine runs out of costs no receiver an attempt: the delivery goes back, and waits.

A condition is real where the test can make it so (open files), else the event loop's connect says
what the system would (`failing_connects`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from hooktui.delivery import redaction
from hooktui.delivery.dial import Dialer
from hooktui.delivery.limits import ExchangeLimits
from hooktui.delivery.receiver_probe import ReceiverProbe
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.shortage import LOG_EVERY_S, MachineShort, Shortages
from hooktui.delivery.tls import verified_context
from hooktui.domain.addresses import parse_networks, parse_url
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.errors import Unavailable
from hooktui.domain.machine import LONGEST_WAIT_S, Condition, next_wait_s
from hooktui.store.queries import get_hook
from tests.delivery.conftest import Clients
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import OK, RunningEngine, forever, url_of
from tests.support.file_limit import no_file_left
from tests.support.live_hooks import live_hook
from tests.support.waiting import until

CONDITIONS = {
    errno.EMFILE: Condition.FILES,
    errno.ENFILE: Condition.SYSTEM_FILES,
    errno.ENOMEM: Condition.MEMORY,
    errno.ENOBUFS: Condition.BUFFERS,
    errno.EADDRNOTAVAIL: Condition.PORTS,
    0: Condition.MEMORY,
}


@contextlib.contextmanager
def failing_connects(code: int, to: tuple[str, int] | None = None) -> Iterator[None]:
    """Let connects (to one address) fail as the system's would; 0: for want of memory of ours."""
    loop = asyncio.get_running_loop()
    real = loop.sock_connect

    async def connect(sock, address):
        if to is None or address == to:
            raise OSError(code, os.strerror(code)) if code else MemoryError
        await real(sock, address)

    loop.sock_connect = connect
    try:
        yield
    finally:
        loop.sock_connect = real


async def noted(running: RunningEngine, condition: Condition, count: int = 1):
    async def seen():
        found = running.engine.shortages.seen
        return found is not None and found.counts.get(condition, 0) >= count

    await until(seen)


def ours(caplog) -> list[logging.LogRecord]:
    """Return what the engine logged.

    The receivers are in this process, and lack files, too; and the store logs a slow transaction.
    """
    return [one for one in caplog.records if one.name.startswith("hooktui.delivery")]


async def untouched(running: RunningEngine, hook: int, caplog) -> None:
    """Assert that nothing was counted: one attempt, the delivering one, and a closed breaker."""
    [delivery] = await running.deliveries(hook=hook)
    assert (delivery.status, delivery.attempts) == ("delivered", 1)
    found = await running.store.read(get_hook, 1, hook)
    assert found.stats.breaker == "closed"
    lines = [one.getMessage() for one in ours(caplog)]
    assert len(lines) == 1, lines
    assert lines[0].startswith("this machine has no ")


# Red when the condition is the receiver's fault, or when an attempt is counted as interrupted: the
# hook has no retries, so a counted attempt would end the delivery.
@pytest.mark.parametrize(
    "code", sorted(CONDITIONS), ids=lambda code: errno.errorcode.get(code, "MemoryError")
)
async def test_a_condition_of_this_machine_uses_up_nothing(
    running: RunningEngine, receivers: Receivers, caplog, code: int
):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen))
    hook = await running.hook(url_of(receiver), retry_schedule_s=())
    with failing_connects(code):
        await running.emit()
        await noted(running, CONDITIONS[code], 2)
        assert [d.status for d in await running.deliveries()] != ["failed"]
    await running.all_are("delivered", 1)
    await untouched(running, hook, caplog)
    assert len(seen) == 1


# Red when a shortage after the response is taken for one before it: the receiver would get the
# delivery again and again, and no attempt would count.
@pytest.mark.parametrize(
    "code", sorted(CONDITIONS), ids=lambda code: errno.errorcode.get(code, "MemoryError")
)
async def test_a_condition_after_the_response_counts_as_an_attempt(
    running: RunningEngine, receivers: Receivers, monkeypatch: pytest.MonkeyPatch, code: int
):
    failures = iter([OSError(code, os.strerror(code)) if code else MemoryError()])
    may_echo = redaction.may_echo

    def masked(*arguments: Any) -> bool:
        for failure in failures:
            raise failure
        return may_echo(*arguments)

    monkeypatch.setattr(redaction, "may_echo", masked)
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen))
    await running.hook(url_of(receiver), retry_schedule_s=())
    await running.emit()
    await running.all_are("delivered", 1)
    [delivery] = await running.deliveries()
    assert (len(seen), delivery.attempts) == (2, 2)
    assert running.engine.shortages.seen is None


# The real thing, by address and by name: look-ups, sockets, TLS contexts.
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_want_of_files_uses_up_nothing(
    running: RunningEngine, receivers: Receivers, caplog, host: str
):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen))
    hook = await running.hook(url_of(receiver).replace("127.0.0.1", host), retry_schedule_s=())
    with no_file_left():
        await running.emit()
        await noted(running, Condition.FILES, 2)
    await running.all_are("delivered", 1)
    await untouched(running, hook, caplog)
    assert len(seen) == 1


# Red when a slot or a place in the line is lost on the way back.
async def test_an_ordered_hook_keeps_its_order(running: RunningEngine, receivers: Receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen))
    await running.hook(url_of(receiver), ordered=True, retry_schedule_s=())
    with failing_connects(errno.EMFILE):
        await running.emit(5)
        await noted(running, Condition.FILES, 2)
    await running.all_are("delivered", 5)
    assert [re.search(rb'{"n":(\d)}', one)[1] for one in seen] == [b"0", b"1", b"2", b"3", b"4"]


async def test_all_slots_come_back(running: RunningEngine, receivers: Receivers):
    most = 0
    at_once = 0

    async def behaviour(reader, writer):
        nonlocal most, at_once
        while True:
            await read_request(reader)
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.05)
            at_once -= 1
            writer.write(OK)

    await running.hook(url_of(await receivers.behaving(behaviour)), max_in_flight=4)
    with failing_connects(errno.ENOBUFS):
        await running.emit(40)
        await noted(running, Condition.BUFFERS, 8)
    await running.all_are("delivered", 40)
    assert most == 4


# Red when want of ports to one receiver stops all sending.
async def test_want_of_ports_holds_one_hook_and_no_other(
    running: RunningEngine, receivers: Receivers
):
    short = await receivers.behaving(forever(OK, []))
    other = await receivers.behaving(forever(OK, []))
    first = await running.hook(url_of(short), retry_schedule_s=())
    second = await running.hook(url_of(other), retry_schedule_s=())
    with failing_connects(errno.EADDRNOTAVAIL, ("127.0.0.1", short.target.port)):
        await running.emit()
        await noted(running, Condition.PORTS)
        for _ in range(5):
            await running.emit()

        async def others_arrived():
            return len(await running.deliveries(hook=second, status="delivered")) == 6

        await until(others_arrived)
        assert not await running.deliveries(hook=first, status="delivered")
        assert not running.engine.shortages.wait_s
    await running.all_are("delivered", 12)


# Red when want of files holds one hook: the others would each find out for themselves.
@pytest.mark.parametrize("code", sorted({*CONDITIONS} - {errno.EADDRNOTAVAIL}))
async def test_all_sending_waits_for_what_any_hook_would_lack(
    running: RunningEngine, receivers: Receivers, code: int
):
    await running.hook(url_of(await receivers.behaving(forever(OK, []))), retry_schedule_s=())
    with failing_connects(code):
        await running.emit()

        async def all_wait():
            return running.engine.shortages.wait_s > 0

        await until(all_wait)
    await running.all_are("delivered", 1)


def test_ports_and_lookups_are_short_for_one_receiver_at_a_time():
    one = {condition for condition in Condition if condition.of_one_hook}
    assert one == {Condition.PORTS, Condition.LOOKUPS}


# Red when a name's second address is not tried after want of ports to the first, or when want of
# ports hides that another address refused.
async def test_the_next_address_of_a_name_is_tried(clients: Clients, receivers: Receivers):
    receiver = await receivers.answering(OK)
    client = clients.with_(lookup=lambda host, port: ["127.0.0.2", "127.0.0.1"])
    url = parse_url(f"http://two.test:{receiver.target.port}/")
    with failing_connects(errno.EADDRNOTAVAIL, ("127.0.0.2", receiver.target.port)):
        exchange = await client.post(url)
        assert exchange.status_code == 200
    client.transport.close_idle()
    with failing_connects(errno.EADDRNOTAVAIL), pytest.raises(MachineShort):
        await client.post(url)
    both = clients.with_(lookup=lambda host, port: ["127.0.0.1", "127.0.0.2"])
    with failing_connects(errno.EADDRNOTAVAIL, ("127.0.0.1", 9)):
        assert (
            await both.post(parse_url("http://two.test:9/"))
        ).error is ErrorClass.CONNECT_REFUSED


async def test_a_ping_for_want_of_files_says_so_and_is_not_sent(
    running: RunningEngine, receivers: Receivers, caplog
):
    receiver = await receivers.answering(OK)
    hook = await running.hook(url_of(receiver))
    with no_file_left(), pytest.raises(Unavailable, match=r"no file descriptor left.*not sent"):
        await running.engine.ping(hook, b"{}")
    [ping] = await running.deliveries()
    assert (ping.status, ping.attempts, ping.reason) == ("cancelled", 0, "the ping was not sent")
    assert all(one.exc_info is None for one in ours(caplog))
    await running.engine.ping(hook, b"{}")


# Red when it is guessed for want of a socket: the server could be made to send to itself.
def test_whether_an_address_is_our_own_is_not_guessed():
    dialer = Dialer(parse_networks("198.51.100.0/24"), Resolver(), ExchangeLimits())
    dialer.own_listeners = frozenset({(ip_address("0.0.0.0"), 9)})
    target = parse_url("http://198.51.100.7:9/")
    with no_file_left(), pytest.raises(MachineShort):
        dialer.check(target, ip_address("198.51.100.7"))
    dialer.check(target, ip_address("198.51.100.7"))


# Red when authorities that cannot be read are the receiver's fault, or when that is remembered.
async def test_authorities_that_cannot_be_read_for_want_of_files(
    clients: Clients, receivers: Receivers
):
    receiver = await receivers.answering(OK)
    target = replace(receiver.target, scheme="https")
    client = clients.with_(tls_s=0.3)
    verified_context.cache_clear()
    with no_file_left(left=1), pytest.raises(MachineShort) as missing:
        await client.post(target)
    assert missing.value.condition is Condition.FILES
    assert (await client.post(target)).error in {ErrorClass.TLS, ErrorClass.TIMEOUT}


def test_one_line_a_minute_says_what_is_missing_and_how_often(caplog):
    now = 0.0
    shortages = Shortages(lambda: now)
    for _ in range(1_000):
        shortages.note(Condition.FILES, "a delivery of hook 1")
        now += LOG_EVERY_S * 3 / 1_000
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "no file descriptor left" in lines[0]
    assert "LimitNOFILE" in lines[0]
    assert "open_files 333" in lines[1] or "open_files 334" in lines[1]
    assert shortages.seen.counts == {Condition.FILES: 1_000}


def test_waits_grow_while_they_are_of_no_use_and_begin_again_after_a_while():
    now = 100.0
    shortages, waits = Shortages(lambda: now), []
    for rest in (0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 60):
        now += rest
        shortages.wait()
        shortages.wait()  # of the same moment
        waits.append(round(shortages.wait_s, 3))
        now += shortages.wait_s
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 10, 10, 0.25]
    assert next_wait_s(LONGEST_WAIT_S, 0) == LONGEST_WAIT_S


def test_a_server_takes_all_the_files_that_it_may_have():
    script = (
        "import resource; from hooktui import sockets;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)); sockets.raise_file_limit();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout == "True\n"


# Red when want of ports and want of an address to connect from are not told apart: a receiver with
# an IPv6 address would be tried for ever on a machine without IPv6.
async def test_no_address_to_connect_from_is_an_attempt_that_failed(
    clients: Clients, receivers: Receivers, monkeypatch
):
    def connect(sock, address):
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    receiver = await receivers.answering(OK)
    monkeypatch.setattr(socket.socket, "connect", connect)  # of the UDP socket
    with failing_connects(errno.EADDRNOTAVAIL):
        exchange = await clients.with_().post(receiver.target)
    assert exchange.error is ErrorClass.CONNECT


# Red when a diagnosis blames the receiver, or ends in a traceback.
async def test_a_diagnosis_for_want_of_files_says_so(clients: Clients, receivers: Receivers):
    receiver = await receivers.answering(OK)
    shortages = Shortages()
    looker = ReceiverProbe(clients.with_().transport.dialer, 1, shortages)
    with no_file_left(), pytest.raises(Unavailable, match="no file descriptor left"):
        await looker(live_hook(target=receiver.target), lambda _look, _step: None)
    assert shortages.seen.counts == {Condition.FILES: 1}


# Red when pings have no bound of their own: they would take the files of all others.
async def test_pings_wait_for_their_turn_before_anything_of_them_is_stored(
    running: RunningEngine, receivers: Receivers
):
    open_now = most = 0
    let_go = asyncio.Event()

    async def behaviour(reader, writer):
        nonlocal open_now, most
        await read_request(reader)
        open_now += 1
        most = max(most, open_now)
        await let_go.wait()
        open_now -= 1
        writer.write(OK)

    hook = await running.hook(url_of(await receivers.behaving(behaviour)))
    running.engine._pings._slots = asyncio.Semaphore(1)
    pings = [asyncio.create_task(running.engine.ping(hook, b"{}")) for _ in range(5)]

    async def one_is_open():
        return open_now == 1

    await until(one_is_open)
    assert len(await running.deliveries()) == 1
    let_go.set()
    await asyncio.gather(*pings)
    assert most == 1
    assert len(await running.deliveries(status="delivered")) == 5
