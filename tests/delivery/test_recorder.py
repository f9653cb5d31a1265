"""Results reach the store, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection

import pytest

from hooktui.delivery import engine
from hooktui.delivery import recorder as recorder_module
from hooktui.delivery.recorder import Recorder
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import HookId
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import OK, RunningEngine, forever, url_of
from tests.support.clocks import RunningClock
from tests.support.waiting import until


class FailingStore:
    """A store whose disk is full for a while: what `record` is given is kept only after that."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.recorded: list[object] = []

    async def record(self, results):
        if self.failures:
            self.failures -= 1
            raise sqlite3.OperationalError("database or disk is full")
        self.recorded += results
        return [True] * len(results)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(recorder_module, "_RETRY_S", (0.001,))


async def test_a_result_is_written_again_until_it_holds():
    store, told = FailingStore(failures=3), []
    recorder = Recorder(store, told.extend)
    recorder.start()
    await recorder.add_and_wait("result")
    assert store.recorded == ["result"]
    await recorder.stop(60)
    assert told == ["result"]


async def test_results_keep_their_order_over_failures_and_batches():
    store = FailingStore(failures=2)
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    for number in range(1_200):
        recorder.add(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await recorder.stop(60)
    assert store.recorded == list(range(1_200))


class BatchStore:
    """Keeps what each call of `record` was given."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []

    async def record(self, results):
        self.batches.append(results)
        return [True] * len(results)


# Red when each is a commit of its own: at 200 events a second, a third more is written to the disk.
@pytest.mark.parametrize("end", ["a result that another delivery waits for", "a commit", "a stop"])
async def test_results_wait_for_others(monkeypatch, end):
    monkeypatch.setattr(recorder_module, "LINGER_S", 60)
    store, expected = BatchStore(), list(range(10))
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    for number in expected:
        recorder.add(number)
        await asyncio.sleep(0.001)
    assert store.batches == []
    if end == "a commit":
        recorder.flush()
        await until(lambda: store.batches)
    elif end == "a stop":
        await recorder.stop(60)
    else:
        expected.append("urgent")
        await recorder.add_and_wait("urgent")
    assert store.batches == [expected]
    await recorder.stop(60)


# Red when it lingers after the write before it, for which an ordered hook waits each time.
async def test_a_result_that_another_delivery_waits_for_is_next_after_a_write(monkeypatch):
    monkeypatch.setattr(recorder_module, "LINGER_S", 60)
    may_end = asyncio.Event()

    class SlowStore(BatchStore):
        async def record(self, results):
            await may_end.wait()
            return await super().record(results)

    store = SlowStore()
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    first = asyncio.create_task(recorder.add_and_wait(1))
    await asyncio.sleep(0.001)
    second = asyncio.create_task(recorder.add_and_wait(2))
    await asyncio.sleep(0.001)
    may_end.set()
    await asyncio.gather(first, second)
    assert store.batches == [[1], [2]]
    await recorder.stop(60)


async def test_results_wait_for_a_short_time():
    store = BatchStore()
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    for number in range(3):
        recorder.add(number)
        await until(lambda number=number: store.batches[number:] == [[number]])
    await recorder.stop(60)


async def test_a_flush_without_results_writes_nothing_and_is_over():
    store = BatchStore()
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    recorder.flush()
    await asyncio.sleep(0)
    recorder.add(1)
    await asyncio.sleep(0)
    recorder.add(2)
    await recorder.stop(60)
    assert store.batches == [[1, 2]]


async def test_a_stop_waits_for_what_is_not_written_yet():
    store = FailingStore(failures=1)
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    recorder.add("late")
    await recorder.stop(60)
    assert store.recorded == ["late"]


async def test_a_stop_ends_although_nothing_can_be_written(caplog):
    recorder = Recorder(FailingStore(failures=10**9), lambda _: None)
    recorder.start()
    recorder.add("never")
    await recorder.stop(0.05)
    assert "1 result could not be written" in caplog.text


async def test_too_many_unwritten_results_stop_new_claims():
    recorder = Recorder(FailingStore(failures=10**9), lambda _: None)
    for _ in range(recorder_module.FULL - 1):
        recorder.add("result")
    assert not recorder.full
    recorder.add("result")
    assert recorder.full


@pytest.fixture
def quick_rescues(monkeypatch):
    monkeypatch.setattr(engine, "RESCUE_EVERY_S", 0.01)
    monkeypatch.setattr(recorder_module, "_RETRY_S", (0.2,))


# Red when expired leases are ended first once the database can be written again.
async def test_what_was_sent_while_nothing_could_be_written_is_not_sent_again(
    quick_rescues, running: RunningEngine, receivers: Receivers, clock: RunningClock, monkeypatch
):
    seen: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(forever(OK, seen))))
    refused = rescuing = 0
    rescue = running.store.rescue

    async def counted(held: Collection[int]) -> int:
        nonlocal rescuing
        rescuing += 1
        try:
            return await rescue(held)
        finally:
            rescuing -= 1

    async def refuse(_):
        nonlocal refused
        refused += 1
        raise Unavailable("the database is locked")

    monkeypatch.setattr(running.store, "rescue", counted)
    with monkeypatch.context() as broken:
        broken.setattr(running.store, "record", refuse)
        await running.emit()
        await until(lambda: refused == 1)
        clock.advance(6)
        await asyncio.sleep(0.05)
        await until(lambda: not rescuing)  # one that began before must not see what comes
        clock.advance(55)
    await running.all_are("delivered", 1)
    (delivery,) = await running.deliveries()
    assert (delivery.attempts, len(seen)) == (1, 1)


# Red when only a start ends leases that have run out.
async def test_claims_whose_answer_was_lost_are_sent_once_their_leases_end(
    quick_rescues, running: RunningEngine, receivers: Receivers, clock: RunningClock, monkeypatch
):
    seen: list[bytes] = []
    await running.hook(url_of(await receivers.behaving(forever(OK, seen))), max_in_flight=1)
    lost = asyncio.Event()
    claim = running.store.claim

    async def lose_the_first(hook: HookId, count: int, *, by_age: bool = False):
        claims = await claim(hook, count, by_age=by_age)
        if claims and not lost.is_set():
            lost.set()
            raise Unavailable("the connection was lost")
        return claims

    monkeypatch.setattr(running.store, "claim", lose_the_first)
    await running.emit(2)
    await lost.wait()
    await running.all_are("delivered", 1)
    clock.advance(61)
    await running.all_are("delivered", 2)
    assert len(seen) == 2


# Red when a server that was stopped for a minute ends its own leases: it has sent the request, and
# may even have the response.
async def test_a_server_that_was_stopped_for_longer_than_a_lease_sends_nothing_again(
    quick_rescues, running: RunningEngine, receivers: Receivers, clock: RunningClock, monkeypatch
):
    seen: list[bytes] = []
    may_respond = asyncio.Event()

    async def behaviour(reader, writer):
        while True:
            seen.append(await read_request(reader))
            await may_respond.wait()
            writer.write(OK)

    hook = HookId(await running.hook(url_of(await receivers.behaving(behaviour))))
    rescues = 0
    rescue = running.store.rescue

    async def counted(held: Collection[int]) -> int:
        nonlocal rescues
        found = await rescue(held)
        rescues += 1
        return found

    await running.emit()
    ping = asyncio.create_task(running.engine.ping(hook, b"{}"))
    await until(lambda: len(seen) == 2)
    clock.advance(61)
    monkeypatch.setattr(running.store, "rescue", counted)
    await until(lambda: rescues >= 2)
    may_respond.set()
    await ping
    await running.all_are("delivered", 2)
    assert [delivery.attempts for delivery in await running.deliveries()] == [1, 1]
    assert len(seen) == 2
    assert not running.engine._held


# Red when a dispatcher that may not claim looks every millisecond whether a hook is due.
async def test_a_dispatcher_that_may_not_claim_rests(running: RunningEngine, monkeypatch):
    turns = 0
    start = running.engine.heartbeat.start

    def counted() -> None:
        nonlocal turns
        turns += 1
        start()

    monkeypatch.setattr(recorder_module, "FULL", 0)
    monkeypatch.setattr(running.engine._queues, "next_due_ms", lambda: 0)
    monkeypatch.setattr(running.engine.heartbeat, "start", counted)
    running.engine._wake.set()
    await until(lambda: turns)
    await asyncio.sleep(0.2)
    assert turns <= 3
