"""What one hook may take, and what it may not do to others; real store, engine and receivers."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace

from hooktui.delivery.dial import MAX_DIALS
from hooktui.delivery.engine import Engine
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.ids import decode
from hooktui.store import changes
from hooktui.store.contract import NewEvent
from hooktui.store.queries import get_hook
from tests.delivery.conftest import LOOPBACK
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import ACTOR, BUSY, OK, RunningEngine, forever, url_of
from tests.support.ports import free_port
from tests.support.waiting import until

NO = b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"


class Receiver:
    """A receiver that is down or up, and notes what it gets by the number in the body."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.got: list[int] = []

    async def behaviour(self, reader, writer) -> None:
        while True:
            request = await read_request(reader)
            self.got.append(int(re.search(rb"(\d+)}$", request)[1]))
            writer.write(self.answer)
            await writer.drain()


async def numbered(running: RunningEngine, *numbers: int) -> None:
    for number in numbers:
        await running.engine.accept([NewEvent(1, "job.failed", b'{"n":%d}' % number)])


async def down_after(
    running: RunningEngine, receivers: Receivers, **settings
) -> tuple[Receiver, int]:
    """A hook whose breaker was opened by ten events that a receiver refused."""
    receiver = Receiver(BUSY)
    url = url_of(await receivers.behaving(receiver.behaviour))
    hook = await running.patient_hook(url, max_in_flight=1, **settings)
    await numbered(running, *range(10))

    async def opened():
        return (await running.store.read(get_hook, 1, hook)).stats.breaker == "open"

    await until(opened)
    assert receiver.got == list(range(10))
    return receiver, hook


async def test_a_hook_gets_no_more_a_second_than_its_rate(
    running: RunningEngine, receivers: Receivers
):
    seen: list[bytes] = []
    url = url_of(await receivers.behaving(forever(OK, seen)))
    await running.hook(url, rate_per_s=40)
    began = time.monotonic()
    await running.emit(24)
    await running.all_are("delivered", 24)
    # 4 may go at once, each of the other 20 waits for its fortieth of a second: half a second.
    assert time.monotonic() - began >= 0.45
    assert len(seen) == 24


async def test_a_hook_that_waits_for_its_rate_delays_no_other(
    running: RunningEngine, receivers: Receivers
):
    slow: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(forever(OK, slow))), rate_per_s=0.01)
    await running.hook(url_of(await receivers.behaving(forever(OK, []))))
    await running.emit(50)
    await running.all_are("delivered", 51)
    assert len(slow) == 1


async def test_an_open_breaker_lets_only_the_oldest_through_as_a_probe(running, clock, receivers):
    receiver, _ = await down_after(running, receivers)
    await numbered(running, 10, 11)
    clock.advance(20)
    await numbered(running, 12)
    clock.advance(11)
    await numbered(running, 13)  # wakes the engine, which would not see the turned clock for 5 s

    async def probed():
        return len(await running.deliveries(status="pending", attempts=1)) == 11

    await until(probed)
    # The probe failed, so that the next one goes after a minute.
    clock.advance(50)
    await numbered(running, 14)
    receiver.answer = OK
    clock.advance(11)
    await numbered(running, 15)
    await running.all_are("delivered", 5)
    assert receiver.got[10:12] == [10, 11], "the oldest due one is the probe, one after the other"
    assert receiver.got[12:] == [12, 13, 14, 15]


# Red when the store does not move what waits along: the retry would come three hours later.
async def test_a_clock_that_is_set_back_delays_no_retry(running, clock, receivers):
    receiver = Receiver(BUSY)
    await running.hook(url_of(await receivers.behaving(receiver.behaviour)), retry_schedule_s=(60,))
    await numbered(running, 0)

    async def refused():
        return await running.deliveries(status="pending", attempts=1)

    await until(refused)
    receiver.answer = OK
    clock.jump(-3 * 3600)
    clock.advance(67)  # the wait of 60 s varies by a tenth
    await numbered(running, 1)  # wakes the engine; alone it looks at the clock every 15 s
    await running.all_are("delivered", 2)
    assert sorted(receiver.got) == [0, 0, 1]


async def test_a_clock_that_is_set_forward_interrupts_nothing(running, clock, receivers):
    exchange = asyncio.Event()

    async def slow(reader, writer):
        await read_request(reader)
        await exchange.wait()
        writer.write(OK)

    await running.hook(url_of(await receivers.behaving(slow)))
    await numbered(running, 0)
    clock.jump(3 * 3600)
    assert await running.store.rescue() == 0
    exchange.set()
    await running.all_are("delivered", 1)
    assert [one.attempts for one in await running.deliveries()] == [1]


async def test_new_events_go_out_before_the_late_retries_of_a_receiver(running, clock, receivers):
    receiver = Receiver(NO)
    url = url_of(await receivers.behaving(receiver.behaviour))
    await running.patient_hook(url, max_in_flight=1)
    await numbered(running, *range(5))

    async def refused():
        # Stored, not only received: else the last of them is due an hour after the turn.
        return len(await running.deliveries(status="pending", attempts=1)) == 5

    await until(refused)
    receiver.answer = OK
    clock.advance(4000)
    await running.engine.accept([NewEvent(1, "job.failed", b'{"n":%d}' % n) for n in (5, 6, 7)])
    await running.all_are("delivered", 8)
    assert {5, 6, 7} < set(receiver.got[5:9]), "one claim in ten may have gone by age"


# Red when the engine claims first tries first for a probe, too.
async def test_the_probe_is_the_oldest_due_also_before_newer_first_tries(running, clock, receivers):
    receiver, _ = await down_after(running, receivers)
    clock.advance(4000)
    await running.engine.accept([NewEvent(1, "job.failed", b'{"n":%d}' % n) for n in (10, 11)])

    async def probed():
        return len(receiver.got) > 10

    await until(probed)
    assert receiver.got[10] < 10, "a retry; which of them, the jitter decides"


async def test_a_breaker_uses_up_no_schedule_and_fails_nothing(running, clock, receivers):
    await down_after(running, receivers)
    await numbered(running, *range(10, 20))
    clock.advance(31)
    await numbered(running, 20)

    async def probed():
        return len(await running.deliveries(attempts=1, status="pending")) == 11

    await until(probed)
    waiting = await running.deliveries(status="pending")
    assert sorted(d.attempts for d in waiting) == [0] * 10 + [1] * 11


async def test_a_ping_goes_through_an_open_breaker_and_does_not_close_it(running, receivers):
    receiver, hook = await down_after(running, receivers)
    receiver.answer = OK
    await running.engine.ping(hook, b'{"n":99}')
    assert receiver.got[-1] == 99
    await numbered(running, 10)
    assert (await running.store.read(get_hook, 1, hook)).stats.breaker == "open"
    assert [d.attempts for d in await running.deliveries(status="pending", attempts=0)] == [0]


async def test_an_open_breaker_outlives_the_engine(running, clock, receivers):
    receiver, _ = await down_after(running, receivers)
    await running.engine.stop()
    transport = Transport(LOOPBACK, Resolver())
    running.engine = Engine(running.store, transport, clock=clock.now_ms)
    await running.engine.start()
    await numbered(running, 10)
    clock.advance(31)
    receiver.answer = OK
    await numbered(running, 11)
    await running.all_are("delivered", 2)
    assert receiver.got[10:] == [10, 11]
    await running.engine.stop()
    transport.close()


async def held_line(running: RunningEngine, receivers: Receivers) -> tuple[Receiver, int]:
    """An ordered hook that delivered 0, and whose line is held by the retry of 1 in an hour."""
    receiver = Receiver(OK)
    url = url_of(await receivers.behaving(receiver.behaviour))
    hook = await running.patient_hook(url, ordered=True)
    await numbered(running, 0)
    await running.all_are("delivered", 1)
    receiver.answer = BUSY
    await numbered(running, 1)

    async def held():
        return await running.deliveries(status="pending", attempts=1)

    await until(held)
    receiver.answer = OK
    return receiver, hook


async def test_an_ordered_hook_sends_one_at_a_time_in_commit_order(running, receivers):
    got: list[int] = []
    at_once = most = failures = 0

    async def behaviour(reader, writer):
        nonlocal at_once, most, failures
        while True:
            request = await read_request(reader)
            at_once += 1
            most = max(most, at_once)
            got.append(int(re.search(rb"(\d+)}$", request)[1]))
            await asyncio.sleep(0.001)
            at_once -= 1
            fails = got[-1] % 5 == 3 and got.count(got[-1]) < 3
            failures += fails
            writer.write(BUSY if fails else OK)

    url = url_of(await receivers.behaving(behaviour))
    await running.hook(url, ordered=True, retry_schedule_s=(0.01,) * 5)
    await running.emit(20)
    await numbered(running, *range(20, 30))
    await running.all_are("delivered", 30)
    assert list(dict.fromkeys(got)) == list(range(30))
    assert got == sorted(got), "a retry holds the line"
    assert (most, failures) == (1, 12)


async def test_cancelling_the_first_in_line_lets_the_next_go(running, receivers):
    receiver, _ = await held_line(running, receivers)
    await numbered(running, 2, 3)
    [first] = await running.deliveries(status="pending", attempts=1)
    assert receiver.got == [0, 1]
    await running.store.write(changes.cancel, ACTOR, 1, decode("dlv", first.id))
    await running.all_are("delivered", 3)
    assert receiver.got == [0, 1, 2, 3]


async def test_a_ping_passes_by_the_line_of_an_ordered_hook(running, receivers):
    receiver, hook = await held_line(running, receivers)
    await running.engine.ping(hook, b'{"n":99}')
    assert receiver.got == [0, 1, 99]


async def test_a_resend_joins_the_tail_of_an_ordered_hook(running, receivers):
    receiver, _ = await held_line(running, receivers)
    await numbered(running, 2)
    [sent] = await running.deliveries(status="delivered")
    [first] = await running.deliveries(status="pending", attempts=1)
    await running.store.write(changes.resend, ACTOR, 1, decode("dlv", sent.id))
    await numbered(running, 3)
    await running.store.write(changes.resend, ACTOR, 1, decode("dlv", first.id))
    await running.all_are("delivered", 5)
    assert receiver.got == [0, 1, 1, 2, 0, 3]


async def test_a_hook_that_becomes_ordered_while_it_sends_goes_on(running, receivers):
    seen: list[bytes] = []
    url = url_of(await receivers.behaving(forever(OK, seen, 0.05)))
    hook = await running.hook(url, max_in_flight=2)
    await numbered(running, *range(6))
    await running.store.write(
        changes.change_hook, ACTOR, 1, hook, lambda old: replace(old, ordered=True), None
    )
    await running.all_are("delivered", 6)
    assert len(seen) == 6


# Red when connections start in the order of their attempts, whoever they are of.
async def test_the_many_connections_of_an_account_do_not_delay_one_of_another():
    transport = Transport(LOOPBACK, Resolver())
    target = parse_url(f"http://127.0.0.1:{free_port()}/")
    ended: list[str] = []

    async def attempt(account: str, number: int) -> None:
        exchange = await transport.send(
            (account, number), target, b"", b"", verify_tls=True, timeout_s=20.0, account=account
        )
        assert exchange.error is ErrorClass.CONNECT_REFUSED
        ended.append(account)

    accounts = ["large"] * 20 * MAX_DIALS + ["small"]
    await asyncio.gather(*(attempt(account, number) for number, account in enumerate(accounts)))
    assert ended.index("small") < 5 * MAX_DIALS
    transport.close()
