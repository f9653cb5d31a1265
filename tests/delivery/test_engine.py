"""The engine against the real store and real receivers."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from hooktui import failpoints
from hooktui.delivery import engine as engine_module
from hooktui.delivery.dial import Dialer
from hooktui.delivery.engine import Engine
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.deliveries import Load, Outcome
from hooktui.domain.errors import Refused
from hooktui.domain.ids import encode
from hooktui.store.changes.hooks import change_hook, delete_hook
from hooktui.store.queries import get_hook
from hooktui.store.queries.deliveries import get_delivery
from hooktui.store.sqlite.store import SqliteStore
from tests.delivery.conftest import LOOPBACK
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import ACTOR, BUSY, GONE, OK, RunningEngine, forever, url_of
from tests.support.waiting import until


async def test_an_accepted_event_is_delivered(running: RunningEngine, receivers: Receivers):
    seen: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(forever(OK, seen))))
    await running.emit()
    await running.all_are("delivered", 1)
    assert seen[0].endswith(b'{"n":0}')


async def test_more_than_the_free_slots_is_delivered_too_and_never_over_the_limit(
    running, receivers
):
    at_once = most = 0

    async def behaviour(reader, writer):
        nonlocal at_once, most
        while True:
            await read_request(reader)
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.002)
            at_once -= 1
            writer.write(OK)

    await running.hook(url_of(await receivers.behaving(behaviour)), max_in_flight=3)
    await running.emit(200)
    await running.all_are("delivered", 200)
    assert most == 3


# Red when released places wake nobody: what waits for them started at the end of a nap.
async def test_what_waits_starts_when_another_call_releases_its_places(
    running: RunningEngine, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine_module, "_LONGEST_NAP_S", 3600.0)
    seen: list[bytes] = []
    hook = await running.hook(url_of(await receivers.behaving(forever(OK, seen))), max_in_flight=1)
    await running.emit()
    await running.all_are("delivered", 1)
    accept, refuse = running.store.accept, asyncio.Event()

    async def refused_later(events, reserve):
        assert reserve(hook)
        await refuse.wait()
        raise Refused("not this one")

    running.store.accept = refused_later
    refused = asyncio.create_task(running.emit())
    await until(lambda: running.engine._queues.queue(hook).in_flight == 1)
    running.store.accept = accept
    await running.emit()
    refuse.set()
    with pytest.raises(Refused):
        await refused
    await running.all_are("delivered", 2)


async def test_a_hung_receiver_delays_no_other_hook(running: RunningEngine, receivers: Receivers):
    async def hang(reader, writer):
        await reader.read()

    quick: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(hang)), max_in_flight=2)
    await running.hook(url_of(await receivers.behaving(forever(OK, quick))))
    await running.emit(100)
    await running.all_are("delivered", 100)
    assert len(quick) == 100


# Red when all connections are begun in one turn of the event loop.
async def test_an_event_for_many_hooks_reaches_the_first_before_all_are_dialled(
    running: RunningEngine, receivers: Receivers, monkeypatch
):
    dialled, dialled_before = 0, []
    connect = Dialer._connect_any

    async def counting(*args, **named):
        nonlocal dialled
        dialled += 1
        return await connect(*args, **named)

    async def receive(reader, writer):
        while await read_request(reader):
            dialled_before.append(dialled)
            writer.write(OK)

    monkeypatch.setattr(Dialer, "_connect_any", counting)
    url = url_of(await receivers.behaving(receive))
    for _ in range(400):
        await running.hook(url)
    await running.emit()
    await running.all_are("delivered", 400)
    assert dialled_before[0] < 400


# Red when what was taken but not begun waits for its lease to end.
async def test_a_stop_gives_back_what_it_has_not_begun(tmp_path, receivers: Receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen))
    store = await SqliteStore.open(tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key")
    transport = Transport(LOOPBACK, Resolver())
    engine = Engine(store, transport)
    await engine.start()
    running = RunningEngine(store, engine)
    for _ in range(3):
        await running.hook(url_of(receiver), max_in_flight=64)
    await running.emit(50)
    await engine.stop()
    sent = len(seen)
    assert 0 < sent < 150
    assert len(await running.deliveries(status="pending")) == 150 - sent
    again = Engine(store, transport)
    await again.start()
    await running.all_are("delivered", 150)
    await again.stop()
    transport.close()
    await store.close()
    assert len(seen) == 150


# Red when they are begun: the stop waits for no further attempts, and their results are lost.
async def test_what_is_stored_when_a_stop_begins_is_released(tmp_path, receivers: Receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen))
    store = await SqliteStore.open(tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key")
    transport = Transport(LOOPBACK, Resolver())
    engine = Engine(store, transport)
    await engine.start()
    running = RunningEngine(store, engine)
    await running.hook(url_of(receiver))
    stored = store.accept

    async def accept(*arguments):
        answer = await stored(*arguments)
        await engine.stop()
        return answer

    store.accept = accept
    await running.emit()
    assert len(await running.deliveries(status="pending")) == 1
    transport.close()
    await store.close()
    assert seen == []


async def test_a_failed_attempt_is_retried_and_then_given_up(
    running: RunningEngine, receivers: Receivers
):
    seen: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(forever(BUSY, seen))))
    await running.emit()
    await running.all_are("failed", 1)
    [delivery] = await running.deliveries()
    assert (delivery.attempts, len(seen)) == (2, 2)
    assert delivery.reason == "gave up after 2 attempts"


# Red when only the lease tells that nobody sends them (75 s), or when their slots stay taken.
async def test_a_fault_after_a_claim_releases_the_deliveries_and_the_slots(running, receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen, 0.02))
    await running.hook(url_of(receiver), max_in_flight=2)
    failpoints.arm("after_claim_commit:error")
    try:
        await running.emit(20)
        await running.all_are("delivered", 20)
    finally:
        failpoints.arm(None)
    assert {one.attempts for one in await running.deliveries()} == {1}
    assert len(seen) == 20


# Red when an operation that is planned after its caller was cancelled takes a place: for good.
async def test_a_cancelled_call_takes_no_place_later(running, receivers, tmp_path):
    receiver = await receivers.behaving(forever(OK, []))
    hook = await running.hook(url_of(receiver), max_in_flight=1)
    shell = sqlite3.connect(tmp_path / "hooktui.db", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    call = asyncio.create_task(running.emit())
    await until(lambda: running.store._accepting.heartbeat.age_s > 0)  # it has left the queue
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    shell.execute("ROLLBACK")
    shell.close()
    await running.all_are("delivered", 1)
    await until(lambda: running.engine._queues.queue(hook).in_flight == 0)
    await running.emit()
    await running.all_are("delivered", 2)


# Red when what this server interrupted counts among the attempts that a receiver made fail.
async def test_an_interrupted_attempt_is_none_that_failed(running, receivers):
    receiver = await receivers.behaving(forever(OK, [], 0.02))
    await running.hook(url_of(receiver))
    failpoints.arm("before_send:error")
    try:
        await running.emit(1)
        await running.all_are("delivered", 1)
    finally:
        failpoints.arm(None)

    def load() -> Load:
        return running.engine.load()

    await until(lambda: load().outcomes[Outcome.DELIVERED] == 1)
    assert load().outcomes[Outcome.INTERRUPTED] == 1
    assert load().failed_per_s == 0


async def test_an_engine_says_whether_it_works(running: RunningEngine):
    assert running.engine.working
    await running.engine.stop()
    assert not running.engine.working


async def test_gone_disables_the_hook_and_holds_what_waits(
    running: RunningEngine, receivers: Receivers
):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(GONE, seen, 0.05))
    hook = await running.hook(url_of(receiver), max_in_flight=1)
    await running.emit(3)
    await running.all_are("failed", 1)
    shown = await running.store.read(get_hook, 1, hook)
    assert not shown.active
    held = await running.deliveries(status="pending")
    assert [d.held for d in held] == [True, True]
    assert len(seen) == 1


async def test_enabling_a_hook_sends_what_was_held(running: RunningEngine, receivers: Receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(BUSY, seen))
    hook = await running.hook(url_of(receiver), max_in_flight=1)
    await running.emit(1)

    def switch(active: bool):
        def edit(settings):
            from dataclasses import replace

            return replace(settings, active=active, retry_schedule_s=(0.01,))

        return edit

    await running.store.write(change_hook, ACTOR, 1, hook, switch(False), None)
    waiting = await running.deliveries(status="pending")
    await running.store.write(change_hook, ACTOR, 1, hook, switch(True), None)
    await running.all_are("failed", 1)
    assert len(waiting) in {0, 1}


async def test_deleting_a_hook_cancels_what_waits_and_lets_the_rest_end(running, receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen, 0.1))
    hook = await running.hook(url_of(receiver), max_in_flight=1)
    await running.emit(3)

    async def arrived():
        return seen

    await until(arrived)
    await running.store.write(delete_hook, ACTOR, 1, hook)
    await running.all_are("cancelled", 2)
    await running.all_are("delivered", 1)


async def test_a_ping_waits_for_its_answer_and_works_on_an_inactive_hook(running, receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(BUSY, seen))
    hook = await running.hook(url_of(receiver), active=False)
    delivery = await running.engine.ping(hook, b'{"id":1}')
    record = await running.store.read(get_delivery, 1, delivery)
    assert record.delivery.id == encode("dlv", delivery)
    assert (record.delivery.status, record.delivery.trigger) == ("failed", "ping")
    assert [a.status_code for a in record.attempts] == [500]
    assert len(seen) == 1


async def test_a_stop_lets_attempts_end_and_loses_none(tmp_path, receivers: Receivers):
    seen: list[bytes] = []
    receiver = await receivers.behaving(forever(OK, seen, 0.2))
    store = await SqliteStore.open(tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key")
    transport = Transport(LOOPBACK, Resolver())
    engine = Engine(store, transport)
    await engine.start()
    running = RunningEngine(store, engine)
    await running.hook(url_of(receiver), max_in_flight=2)
    await running.emit(4)
    await engine.stop()
    statuses = sorted(d.status for d in await running.deliveries())
    assert statuses == ["delivered", "delivered", "pending", "pending"]
    again = Engine(store, transport)
    await again.start()
    await running.all_are("delivered", 4)
    await again.stop()
    transport.close()
    await store.close()
    assert len(seen) == 4
