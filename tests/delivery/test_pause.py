"""All sending paused: no attempt begins until the resume, and then nothing is missing."""

from __future__ import annotations

import asyncio

from hooktui.store import changes
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import ACTOR, BUSY, OK, RunningEngine, forever, url_of
from tests.support.clocks import RunningClock
from tests.support.waiting import until

QUIET_S = 0.3
"""An engine that sends although it is paused has sent after a fraction of this."""


async def test_while_paused_no_attempt_begins_and_after_it_all_arrive(
    running: RunningEngine, receivers: Receivers
):
    seen: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(forever(OK, seen))))
    await running.store.write(changes.pause, ACTOR)
    end = running.store.feed_end()
    await running.emit(30)
    await asyncio.sleep(QUIET_S)
    assert seen == []
    # Red when `accept` hands over in memory although paused: they are given back, but for nothing.
    lines = (await running.store.feed(end, 500)).items
    assert {one.object.status for one in lines if one.kind == "delivery"} == {"pending"}
    await running.store.write(changes.resume, ACTOR)
    await running.all_are("delivered", 30)
    assert {one.attempts for one in await running.deliveries()} == {1}


# Red when what is begun does not look at the pause: these jobs are claimed by the transaction that
# pauses, or by the one before it, and only their attempts are still to begin.
async def test_what_was_handed_over_beside_the_pause_is_released(
    running: RunningEngine, receivers: Receivers
):
    seen: list[bytes] = []
    url = url_of(await receivers.behaving(forever(OK, seen)))
    await running.hook(url, max_in_flight=100)
    await asyncio.gather(running.emit(100), running.store.write(changes.pause, ACTOR))

    async def given_back():
        return len(await running.deliveries(status="pending")) == 100

    await until(given_back)
    assert seen == []
    assert running.engine.load().in_flight == 0
    await running.store.write(changes.resume, ACTOR)
    await running.all_are("delivered", 100)
    assert {one.attempts for one in await running.deliveries()} == {1}
    assert len(seen) == 100


# Red when only the start looks at the pause: each attempt that ends starts the next that waits.
async def test_nothing_follows_an_attempt_that_the_pause_found_in_flight(
    running: RunningEngine, receivers: Receivers
):
    seen: list[bytes] = []
    go = asyncio.Event()
    go.set()

    async def gated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            await go.wait()
            writer.write(OK)

    await running.hook(url_of(await receivers.behaving(gated)), max_in_flight=2)
    await running.emit(20)
    await running.all_are("delivered", 20)  # it may claim ahead now
    go.clear()
    await running.emit(2)
    await until(lambda: len(seen) == 22)
    await asyncio.gather(running.emit(10), running.store.write(changes.pause, ACTOR))
    go.set()

    async def given_back():
        return len(await running.deliveries(status="pending")) == 10

    await until(given_back)
    await until(lambda: running.engine.load().in_flight == 0)
    assert len(seen) == 22


# Red when the dispatcher goes on claiming what comes due, and when a resume does not wake it.
async def test_a_retry_that_comes_due_waits_for_the_resume(
    running: RunningEngine, clock: RunningClock, receivers: Receivers
):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(BUSY, seen))
    await running.hook(url_of(receiver), retry_schedule_s=(60,))
    await running.emit()

    async def tried():
        return [one for one in await running.deliveries(status="pending") if one.attempts == 1]

    await until(tried)
    await running.store.write(changes.pause, ACTOR)
    clock.advance(67)
    await running.emit()  # wakes the engine
    await asyncio.sleep(QUIET_S)
    assert len(seen) == 1
    await running.store.write(changes.resume, ACTOR)

    async def failed():
        return await running.deliveries(status="failed")

    await until(failed)
    assert len(seen) >= 2


# Red when the dispatcher, paused, looks again and again at what is due, or at what comes due.
async def test_a_paused_engine_with_work_to_do_sleeps(running: RunningEngine, receivers: Receivers):
    receiver = await receivers.behaving(forever(BUSY, []))
    await running.hook(url_of(receiver), retry_schedule_s=(0.2,))
    await running.emit()

    async def tried():
        return [one for one in await running.deliveries(status="pending") if one.attempts == 1]

    await until(tried)
    await running.store.write(changes.pause, ACTOR)
    await running.emit(30)
    await asyncio.sleep(0.3)
    turns = 0
    beat = running.engine.heartbeat.start

    def counted() -> None:
        nonlocal turns
        turns += 1
        beat()

    running.engine.heartbeat.start = counted
    await asyncio.sleep(QUIET_S)
    assert turns < 5


async def test_pings_go_out_while_all_else_is_paused(running: RunningEngine, receivers: Receivers):
    seen: list[bytes] = []
    hook = await running.hook(url_of(await receivers.behaving(forever(OK, seen))))
    await running.store.write(changes.pause, ACTOR)
    await running.engine.ping(hook, b"{}")
    assert len(seen) == 1
