"""Results reach the store, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from hooktui.delivery import recorder as recorder_module
from hooktui.delivery.recorder import Recorder


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
    assert await recorder.add_and_wait("result")
    assert store.recorded == ["result"]
    await recorder.stop(1)
    assert told == ["result"]


async def test_results_keep_their_order_over_failures_and_batches():
    store = FailingStore(failures=2)
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    for number in range(1_200):
        recorder.add(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await recorder.stop(5)
    assert store.recorded == list(range(1_200))


async def test_a_stop_waits_for_what_is_not_written_yet():
    store = FailingStore(failures=1)
    recorder = Recorder(store, lambda _: None)
    recorder.start()
    recorder.add("late")
    await recorder.stop(1)
    assert store.recorded == ["late"]


async def test_a_stop_ends_although_nothing_can_be_written(caplog):
    recorder = Recorder(FailingStore(failures=10**9), lambda _: None)
    recorder.start()
    recorder.add("never")
    await recorder.stop(0.05)
    assert "1 results could not be written" in caplog.text


async def test_too_many_unwritten_results_stop_new_claims():
    recorder = Recorder(FailingStore(failures=10**9), lambda _: None)
    for _ in range(recorder_module.FULL - 1):
        recorder.add("result")
    assert not recorder.full
    recorder.add("result")
    assert recorder.full
