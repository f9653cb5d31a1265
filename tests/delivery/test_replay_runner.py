"""A replay releases what it took: places, tokens and kept slots."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Set
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import update

from hooktui.delivery import replay_run, replay_runner
from hooktui.delivery.replay_run import OWED_AFTER_S
from hooktui.delivery.replay_runner import ReplayRunner
from hooktui.domain.errors import DiskFull, Unavailable
from hooktui.domain.hook_failures import LONGEST_WAIT_MS
from hooktui.domain.ids import EventId, HookId
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.contract import ReplayCandidate, ReplayStep, ReplayStepResult, StepOutcome
from hooktui.store.tables import HOOK_STATE
from hooktui.store.tx import Tx
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import ACTOR, BUSY, OK, RunningEngine, url_of
from tests.support.clocks import RunningClock
from tests.support.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from hooktui.delivery.engine import Engine

DEAD, SLOTS = 6, 8
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
async def runner(running: RunningEngine, monkeypatch) -> AsyncIterator[ReplayRunner]:
    monkeypatch.setattr(replay_run, "_RETRY_S", 0.01)
    started = ReplayRunner(running.store, running.engine)
    yield started
    await started.stop()


async def hook_with_dead_letters(
    running: RunningEngine, receivers: Receivers, answer: Callable[[], Any], **settings: object
) -> HookId:
    """Return a hook whose first deliveries fail for good; then the receiver has healed."""
    refused = 0

    async def behaviour(reader, writer):
        nonlocal refused
        while True:
            await read_request(reader)
            refused += 1
            if refused > DEAD:
                await answer()
            writer.write(OK if refused > DEAD else BUSY)

    url = url_of(await receivers.behaving(behaviour))
    hook = HookId(await running.hook(url, retry_schedule_s=(), **settings))
    await running.emit(DEAD)
    await until(lambda: refused == DEAD)
    await until(lambda: running.engine._queues.queue(hook).in_flight == 0)
    return hook


async def at_once() -> None:
    """Respond without a delay."""


async def replay(
    running: RunningEngine, *hooks: HookId, rate: float = 1000, include_ordered: bool = False
) -> int:
    given = ReplaySelection(hooks=hooks, include_ordered=include_ordered)
    selection = check_selection(given, running.store.clock())
    made, _ = await running.store.write(changes.create_replay, ACTOR, 1, selection, rate, None)
    return made


class FailingLoads:
    """Has the searches for the candidates of one hook fail, or hang."""

    def __init__(self, store: Any, hook: HookId, outcomes: list[str]) -> None:
        self._read, self._hook, self._outcomes = store.own_read, hook, outcomes
        self.hung = asyncio.Event()

    async def read(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if query is queries.next_candidates and args[0].hook.id == self._hook and self._outcomes:
            if self._outcomes.pop(0) == "fails":
                raise Unavailable("the connection to the database was lost")
            self.hung.set()
            await asyncio.Event().wait()
        return await self._read(query, *args, **kwargs)


# Red when a failed search ends the turn: its hook stops all others.
async def test_a_failed_search_does_not_stop_the_other_hooks(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    one, two = [
        await hook_with_dead_letters(running, receivers, at_once, max_in_flight=SLOTS)
        for _ in range(2)
    ]
    loads = FailingLoads(running.store, two, ["fails"] * 5)
    monkeypatch.setattr(running.store, "own_read", loads.read)
    await replay(running, one, two)
    runner.start()
    await running.all_are("delivered", 3 * DEAD)  # the first hook got the events of the second
    for hook in (one, two):
        await until(lambda hook=hook: running.engine._queues.queue(hook).in_flight == 0)


# Red when the searches of all hooks wait for their turn at once: another replay waits for them all.
async def test_a_replay_searches_one_hook_at_a_time(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    hooks = [await hook_with_dead_letters(running, receivers, at_once) for _ in range(3)]
    scan, searching, most = running.store.scan, 0, 0

    async def counted(*args: Any) -> Any:
        nonlocal searching, most
        searching += 1
        most = max(most, searching)
        try:
            return await scan(*args)
        finally:
            searching -= 1

    monkeypatch.setattr(running.store, "scan", counted)
    await replay(running, *hooks)
    runner.start()
    await running.all_are("delivered", 6 * DEAD)  # each hook got the events of those after it
    assert most == 1


# Red when a hook waits, with its places reserved, until another one is searched.
async def test_a_search_that_takes_long_delays_no_other_hook_and_ends_with_the_replay(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    one, two = [
        await hook_with_dead_letters(running, receivers, at_once, max_in_flight=SLOTS)
        for _ in range(2)
    ]
    loads = FailingLoads(running.store, two, ["fails", "hangs"])
    monkeypatch.setattr(running.store, "own_read", loads.read)
    await replay(running, one, two)
    runner.start()
    await loads.hung.wait()
    await running.all_are("delivered", 2 * DEAD)  # the first hook got the events of the second
    assert not running.engine.replayed.of_hook(two)
    await runner.stop()
    assert running.engine._queues.queue(two).in_flight == 0


# Red when the slot stays kept while the replay does not come back for it: nothing is sent at all.
async def test_a_slot_is_not_kept_for_a_replay_that_waits_for_space_on_the_disk(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    monkeypatch.setattr(replay_run, "OWED_AFTER_S", 0.05)
    held = asyncio.Event()
    hook = await hook_with_dead_letters(running, receivers, held.wait, max_in_flight=1)
    await running.emit(3)
    await replay(running, hook)
    runner.start()
    queue = running.engine._queues.queue(hook)
    await until(lambda: queue.kept == 1)

    def full(_: int = 0) -> None:
        raise DiskFull("the disk is nearly full")

    monkeypatch.setattr(running.store, "check_room", full)
    await until(lambda: queue.kept == 0)
    held.set()
    await running.all_are("delivered", 3)


# Red when a replay is shown as sending while a delivery in front of it is retried.
async def test_a_replay_behind_another_delivery_of_an_ordered_hook_says_that_it_waits(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    monkeypatch.setattr(replay_run, "_IN_LINE_S", 0.0)
    held = asyncio.Event()
    hook = await hook_with_dead_letters(running, receivers, held.wait, ordered=True)
    await running.emit(1)
    await replay(running, hook, include_ordered=True)
    runner.start()
    await until(lambda: runner.waits_for(hook) == "live_traffic")
    held.set()
    await running.all_are("delivered", 1 + DEAD)
    assert runner.waits_for(hook) is None


# Red when a step starts all of its deliveries at once: live ones wait for all of them.
# Red when a replay that can do nothing takes its turns as one that sends.
async def test_a_replay_that_can_do_nothing_looks_rarely(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    hook = await hook_with_dead_letters(running, receivers, at_once)
    await running.store.write(changes.pause, ACTOR)
    looks = 0
    plan = replay_run.ReplayRun._plan

    def counted(run: replay_run.ReplayRun, walk: replay_run._Walk):
        nonlocal looks
        looks += 1
        return plan(run, walk)

    monkeypatch.setattr(replay_run.ReplayRun, "_plan", counted)
    await replay(running, hook)
    runner.start()
    await until(lambda: looks > 0)
    before = looks
    await asyncio.sleep(1)
    assert looks - before <= 8


async def test_deliveries_of_a_step_start_one_after_another_and_none_is_left_by_a_stop(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    hook = await hook_with_dead_letters(running, receivers, at_once, max_in_flight=4 * DEAD)
    begun: list[int] = []
    steps: list[int] = []
    begin, send = running.engine._begin, running.engine.replay

    def counted(claims) -> None:
        begun.append(len(claims))
        begin(claims)

    async def noted(step: ReplayStep, within_s: float):
        steps.append(step.places)
        return await send(step, within_s)

    monkeypatch.setattr(running.engine, "_begin", counted)
    monkeypatch.setattr(running.engine, "replay", noted)
    monkeypatch.setattr(replay_run, "_TURN_S", LIMIT_S)  # the rest of the step waits for a stop
    monkeypatch.setattr(replay_run, "burst_of", lambda rate: 10 * rate)
    await replay(running, hook, rate=DEAD)
    runner.start()
    await until(lambda: steps and steps[-1] > 1 and len(begun) == len(steps))
    assert set(begun) == {1}  # a step before that may have had one delivery only
    await runner.stop()
    assert sum(begun) == sum(steps)
    await running.all_are("delivered", sum(steps))
    assert await running.deliveries(status="sending") == []


# Red when a new owner knows of the hooks that are walking only: it finishes without the other.
async def test_a_hook_that_another_server_set_aside_is_not_done(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner
):
    aside, walking = [await hook_with_dead_letters(running, receivers, at_once) for _ in range(2)]
    store, identity = running.store, await replay(running, aside, walking)
    await store.write(changes.take_replays, store.token + 1, "1")
    await store.write(changes.set_aside, store.token + 1, identity, aside)
    await store.write(changes.release_replays, store.token + 1)
    runner.start()

    async def stopped():
        return (await store.read(queries.get_replay, 1, identity)).state != "running"

    await until(stopped)
    shown = await store.read(queries.get_replay, 1, identity)
    assert (shown.state, shown.state_reason) == ("paused", "20 attempts in a row failed")
    assert [hook.state for hook in shown.hooks] == ["set_aside", "done"]


# Red when only the first poll reads replays that it did not take itself: until the lease ends,
# nobody runs them.
async def test_a_replay_whose_read_failed_after_it_was_taken_is_run_by_the_next_poll(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    hook = await hook_with_dead_letters(running, receivers, at_once)
    await runner._poll()
    number = await replay(running, hook)
    read = running.store.own_read

    async def fail(query: Callable[..., Any], *args: Any) -> Any:
        if query is queries.replays_of:
            raise Unavailable("the connection to the database was lost")
        return await read(query, *args)

    with monkeypatch.context() as patch:
        patch.setattr(running.store, "own_read", fail)
        with pytest.raises(Unavailable):
            await runner._poll()
    await runner._poll()
    assert number in runner._runs


# Red when the server goes on with the run that it has: nobody walks the hook until the others end.
async def test_a_replay_that_was_resumed_since_the_last_poll_walks_all_hooks_again(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner
):
    hooks = [await hook_with_dead_letters(running, receivers, at_once) for _ in range(2)]
    store = running.store
    await store.write(changes.pause, ACTOR)
    identity = await replay(running, *hooks)
    await runner._poll()
    await store.write(changes.set_aside, store.token, identity, hooks[0])
    del runner._runs[identity].walks[hooks[0]]  # as its run does
    for change in (changes.pause_replay, changes.resume_replay):
        await store.write(change, ACTOR, None, identity)
    await runner._poll()
    assert set(runner._runs[identity].walks) == set(hooks)
    await store.write(changes.resume, ACTOR)
    await running.all_are("delivered", 3 * DEAD)  # the first hook had the events of the other


# Red when a server looks for replays that none runs before it renews its own leases.
async def test_a_clock_that_is_set_forward_pauses_no_replay_that_is_being_run(
    running: RunningEngine, clock: RunningClock, receivers: Receivers, runner: ReplayRunner
):
    hook = await hook_with_dead_letters(running, receivers, at_once)
    store = running.store
    await store.write(changes.pause, ACTOR)
    identity = await replay(running, hook)
    runner.start()
    await until(lambda: runner._tasks)
    clock.advance(3_700)
    await runner._poll()
    assert (await store.read(queries.get_replay, 1, identity)).state == "running"
    await store.write(changes.resume, ACTOR)
    await running.all_are("delivered", DEAD)


# Red when a lease is renewed at the third look after the last one: that may be 6 s later.
@pytest.mark.parametrize("apart_s", [0.05, 1.3, 1.99, 2.0, 2.1])
async def test_a_lease_is_renewed_every_5_seconds_however_looks_fall(
    runner: ReplayRunner, monkeypatch, apart_s: float
):
    assert apart_s <= replay_runner.POLL_EVERY_S + 0.1  # a poll takes time as well
    now_s, renewed_s = 1_000.0, []

    async def write(change, *_):
        assert change is changes.renew_replays
        renewed_s.append(now_s)

    monkeypatch.setattr(replay_runner, "monotonic", lambda: now_s)
    monkeypatch.setattr(runner, "_store", SimpleNamespace(write=write, token=1))
    monkeypatch.setattr(runner, "_tasks", {1: None})
    while now_s < 1_060:
        await runner._renew()
        now_s += apart_s
    assert max(after - before for before, after in pairwise(renewed_s)) <= 5
    assert len(renewed_s) <= 60 / 2


# Red when a hook that waits for its slot takes a token from all others: at 5 a second the healthy
# hook got nothing for as long as the breaker of the other one was open.
async def test_a_hook_that_is_down_does_not_stop_the_others_of_a_replay(
    running: RunningEngine, receivers: Receivers, runner: ReplayRunner, monkeypatch
):
    monkeypatch.setattr(replay_run, "OWED_AFTER_S", 0.05)
    down, healthy = [
        await hook_with_dead_letters(running, receivers, at_once, max_in_flight=SLOTS)
        for _ in range(2)
    ]
    await running.all_are("delivered", DEAD)  # a success of the first hook would close its breaker
    until_ms = running.store.clock() + LONGEST_WAIT_MS // 2

    def open_breaker(tx: Tx) -> None:
        opened = {"failures_in_a_row": 20, "breaker": "open", "breaker_until": until_ms}
        tx.conn.execute(update(HOOK_STATE).where(HOOK_STATE.c.hook_id == down).values(opened))
        tx.hook_changed(down)

    await running.store.write(open_breaker)
    await until(lambda: running.engine._queues.queue(down).open_until_ms == until_ms)
    await replay(running, down, healthy, rate=8)
    runner.start()

    async def healthy_is_done() -> bool:
        found = await running.deliveries(status="delivered", hook=healthy)
        return len(found) == DEAD

    await until(healthy_is_done)
    assert running.engine._queues.queue(down).open_until_ms == until_ms


# Red when only tokens and places bound a step: its transaction would keep all others waiting.
@pytest.mark.parametrize(("size", "most"), [(10, 100), (64 * KIB, 64), (MIB, 4), (5 * MIB, 1)])
def test_a_step_has_at_most_100_deliveries_and_4_mib(size: int, most: int):
    walk = replay_run._Walk(HookId(1), 0)
    numbers = range(1, 300)
    walk.candidates.extend(ReplayCandidate(n, EventId(n), None, None, size, {}) for n in numbers)
    taken = walk.step_candidates(250)
    assert [candidate.cursor for candidate in taken] == list(numbers)[:most]
    assert len(walk.step_candidates(1)) == 1


class BusyEngine:
    """Has a free slot for each hook; for busy ones only if one was kept since the last turn."""

    def __init__(self, busy: Set[HookId]) -> None:
        self._busy, self._kept = busy, set[HookId]()
        self.sent = Counter[HookId]()
        self.replayed = SimpleNamespace(
            failures=lambda hook: 0, forget_failures=lambda hook: None, of_hook=lambda hook: 0,
            ended_event=asyncio.Event(),
        )  # fmt: skip

    def reserve_spare(self, hook: HookId, limit: int, *, owed: bool) -> int:
        if hook not in self._busy:
            return limit
        if owed and hook not in self._kept:
            self._kept.add(hook)
            return 0
        return int(owed)

    def release_kept_slot(self, hook: HookId) -> None:
        self._kept.discard(hook)

    async def replay(self, step: ReplayStep, _within_s: float) -> ReplayStepResult:
        self.sent[step.hook] += len(step.candidates)
        claims: Any = step.candidates
        return ReplayStepResult(StepOutcome.DONE, claims, step.candidates[-1].cursor)


# Red when each hook that is owed a slot borrows a token: 20 times the rate.
@pytest.mark.parametrize("rate", [0.5, 1, 8])
async def test_hooks_that_are_owed_a_slot_keep_to_the_rate_and_leave_half_of_it(
    monkeypatch, rate: float
):
    now_s, seconds = 1_000.0, 120
    hooks = [HookId(number) for number in range(1, 22)]
    free = hooks[10]
    engine = BusyEngine(set(hooks) - {free})
    settings = SimpleNamespace(active=True, version=1, settings=SimpleNamespace(ordered=False))

    async def scan(*_: object) -> object:
        found = [
            ReplayCandidate(cursor, EventId(1), None, None, 100, {}) for cursor in range(1, 2_000)
        ]
        return SimpleNamespace(candidates=found, end=2_000, skipped={}, complete=True)

    store: Any = SimpleNamespace(
        clock=lambda: int(now_s * 1000), hooks=lambda: dict.fromkeys(hooks, settings),
        paused=False, check_room=lambda: None, scan=scan, token=1,
    )  # fmt: skip
    running: Any = SimpleNamespace(
        id=1, rate_per_s=rate, any_aside=False, ids_ahead=False,
        cursors=dict.fromkeys(hooks, 0),
        selection=SimpleNamespace(mode=SimpleNamespace(walks_events=False)),
    )  # fmt: skip
    monkeypatch.setattr(replay_run, "monotonic", lambda: now_s)
    monkeypatch.setattr(replay_run.queries, "ReplayWalk", lambda *_: None)
    run = replay_run.ReplayRun(store, cast("Engine", engine), running)
    free_at_first = 0
    while now_s < 1_000 + seconds:
        await run._turn()
        await asyncio.sleep(0)  # a search
        now_s += 0.05
        if now_s < 1_000 + OWED_AFTER_S:
            free_at_first = engine.sent[free]
    allowed = rate * seconds
    assert 0.8 * allowed <= engine.sent.total() <= allowed + 2, "a burst, and one that is borrowed"
    assert engine.sent[free] - free_at_first >= 0.4 * rate * (seconds - OWED_AFTER_S)
    if rate >= 1:
        assert min(engine.sent[hook] for hook in hooks) > 0
