"""Who held the event loop: requests by their route, all else by a beat that is late."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from hooktui.loop_watch import ELSEWHERE, KEPT_S, NOTED_S, LoopWatch, Timed
from tests.support.clocks import Clock
from tests.support.running_server import running_server
from tests.support.waiting import until


def test_the_longest_hold_of_the_last_minute_is_kept() -> None:
    clock = Clock()
    watch = LoopWatch(clock.steady_s)
    assert watch.longest() is None
    for seconds, by in ((0.05, "a"), (0.2, "b"), (0.1, "c"), (0.01, "d"), (NOTED_S / 2, "e")):
        watch.note(seconds, by)
        clock.advance(1)
    assert [watch.longest().by, watch.longest().seconds] == ["b", 0.2]
    clock.advance(KEPT_S - 3.5)
    assert watch.longest().by == "c"
    clock.advance(1)
    assert watch.longest().by == "d"
    clock.advance(1)
    assert watch.longest() is None


def test_the_longest_hold_between_two_times_counts_as_far_as_it_lies_between_them() -> None:
    clock = Clock()
    watch = LoopWatch(clock.steady_s)
    begun = clock.steady_s()
    assert watch.held_s(begun - 1, begun) == 0.0
    for seconds in (0.2, 0.5, 0.1):
        clock.advance(1)
        watch.note(seconds, "a")
    now = clock.steady_s()
    assert watch.held_s(begun, now) == pytest.approx(0.5)
    assert watch.held_s(begun + 1.75, now) == pytest.approx(0.25)
    assert watch.held_s(begun + 2, now) == pytest.approx(0.1)
    assert watch.held_s(now, now) == 0.0


# Red when only noted holds count: responses that wait for the loop are read before the timer.
async def test_a_hold_counts_before_the_beat_has_noticed_it() -> None:
    watch = LoopWatch()
    beating = asyncio.create_task(watch.beat())
    await asyncio.sleep(0)
    begun = time.monotonic()
    _hold(0.2)
    now = time.monotonic()
    assert watch.longest() is None
    assert 0.15 < watch.held_s(begun, now) <= now - begun
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    assert watch.held_s(now, now + 9) == 0.0


def test_a_long_hold_is_logged_with_what_held(caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()
    watch.note(0.3, "the start")
    watch.logging = True
    with caplog.at_level(logging.WARNING):
        watch.note(0.099, "GET /v1/feed")
        watch.note(0.25, "GET /v1/events")
    assert caplog.messages == ["event loop blocked for 250 ms by GET /v1/events"]


def _hold(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


# Red when the time of a coroutine's waits counts, or that of its runs does not.
async def test_a_coroutine_is_timed_between_its_waits() -> None:
    times: list[float] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        _hold(0.01)
        await asyncio.sleep(0)
        _hold(0.02)

    whats: list[str] = []

    def note(seconds: float, what: str) -> None:
        times.append(seconds)
        whats.append(what)

    await Timed(work(), note, "it")
    assert set(whats) == {"it"}
    assert len(times) >= 2
    assert sorted(times)[-1] >= 0.02
    assert sorted(times)[-2] >= 0.01


async def test_a_cancellation_arrives_inside() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def outer() -> None:
        await Timed(work(), lambda *_: None, None)

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


# Red without the beat: what is no request holds the loop unseen.
async def test_a_late_beat_finds_what_is_no_request() -> None:
    watch = LoopWatch()
    beating = asyncio.create_task(watch.beat())
    await asyncio.sleep(0)
    _hold(0.2)
    await until(lambda: watch.longest() is not None and watch.longest().seconds >= 0.1)
    beating.cancel()
    assert watch.longest().by == ELSEWHERE


# Red when the share counts waiting for events, or is that of the first beat.
async def test_the_busy_share_is_that_of_the_last_beats(monkeypatch) -> None:
    monkeypatch.setattr("hooktui.loop_watch._SCHEDSTAT", os.devnull + "/none")
    watch, loop = LoopWatch(), asyncio.get_running_loop()
    begun_s, share = loop.time(), 0.95
    used_s = 0.0

    def thread_time() -> float:
        nonlocal begun_s, used_s
        now_s = loop.time()
        used_s += share * (now_s - begun_s)
        begun_s = now_s
        return used_s

    monkeypatch.setattr(time, "thread_time", thread_time)
    beating = asyncio.create_task(watch.beat())
    await until(lambda: 0.9 < watch.busy_share <= 0.96)
    share = 0.2
    await until(lambda: watch.busy_share < 0.25)
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    assert watch.busy_share == 0.0


@pytest.fixture
def two_for_one_cpu() -> Iterator[None]:
    """Let this thread share its CPU with a process that uses all that it can get."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    other.kill()
    other.wait()
    os.sched_setaffinity(0, before)


# Red when only its own CPU time counts: about half, beside one other program.
async def test_a_loop_that_waits_for_a_cpu_is_busy(two_for_one_cpu: None) -> None:
    watch = LoopWatch()

    async def work() -> None:
        while True:
            end_s = time.thread_time() + 0.002
            while time.thread_time() < end_s:
                pass
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(watch.beat()), asyncio.create_task(work())]
    try:
        await until(lambda: watch.busy_share > 0.9)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# Red when the beat tells of holds that are known. The loop's time jumps further than a busy machine
# keeps the loop from running.
async def test_a_hold_that_is_known_is_not_told_twice(monkeypatch) -> None:
    watch, loop = LoopWatch(), asyncio.get_running_loop()
    beating = asyncio.create_task(watch.beat())
    await asyncio.sleep(0)
    time_before_s = loop.time
    monkeypatch.setattr(loop, "time", lambda: time_before_s() + 45.0)
    watch.note(30.0, "POST /v1/events")
    await asyncio.sleep(0.1)
    beating.cancel()
    assert watch.longest().by == "POST /v1/events"


# Red when a request's hold is not brought to the status, or not by its route. The hold is longer
# than a busy machine keeps the loop from running, so it is one of a clock of the test.
def test_the_status_and_the_metrics_name_the_route_that_held(tmp_path) -> None:
    held_s = 0.0

    def clock() -> float:
        return time.perf_counter() + held_s

    def hold(*_: object) -> None:
        nonlocal held_s
        held_s += 45.0
        raise RuntimeError("held")

    times = SimpleNamespace(perf_counter=clock, monotonic=time.monotonic)
    with running_server(tmp_path) as server, server.client() as api:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hooktui.loop_watch.time", times)
            patch.setattr("hooktui.api.routes.events.read_in", hold)
            assert api.get("/v1/events").status_code == 500
        loop = api.get("/v1/status").json()["loop"]
        assert loop["by"] == "GET /v1/events"
        assert loop["longest_ms"] >= 45_000
        assert "hooktui_loop_longest_hold_seconds 45." in api.get("/metrics").text
