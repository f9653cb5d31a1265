"""Transactions of PostgreSQL take their locks in one order, so that none waits for another in turn.

A transaction is held up by a lock of this test; what it has locked until then shows its order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest

from hooktui.domain.ids import HookId
from hooktui.store.contract import ClaimedDelivery, StepOutcome
from hooktui.store.postgres import connections, locks
from hooktui.store.postgres.store import PostgresStore
from hooktui.store.postgres.transaction import WriteTransaction
from hooktui.store.postgres.writer import Writer
from tests.contract.replay_steps import next_step, seen, start, step
from tests.store.servers import Servers, connected
from tests.support.stores import Opened, always, emit, make_hook, offer, result_of
from tests.support.waiting import LIMIT_S, until

STATE = "SELECT 1 FROM hook_state WHERE hook_id = $1 FOR UPDATE"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let statements wait for as long as a test holds its lock."""
    monkeypatch.setitem(connections.SETTINGS, "lock_timeout", "0")


@asynccontextmanager
async def locked(servers: Servers, statement: str, *values: int) -> AsyncIterator[None]:
    """Hold a lock during the block."""
    async with connected(servers.url) as raw, raw.transaction():
        await raw.fetch(statement, *values)
        yield


async def is_free(servers: Servers, hook: HookId) -> bool:
    """Return whether nobody has locked the state of a hook."""
    async with connected(servers.url) as raw:
        try:
            await raw.fetch(f"{STATE} NOWAIT", hook)
        except asyncpg.LockNotAvailableError:
            return False
        return True


async def somebody_waits(servers: Servers) -> bool:
    async with connected(servers.url) as raw:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return await raw.fetchval(waits) > 0


async def claimed(store: PostgresStore, hooks: Sequence[HookId]) -> list[ClaimedDelivery]:
    """Return a delivery of each hook."""
    await emit(store)
    return [claim for hook in hooks for claim in await store.claim(hook, 1)]


async def hooks_of(store: PostgresStore, count: int) -> list[HookId]:
    return [HookId((await make_hook(store)).id) for _ in range(count)]


# Red when only the hooks that failed are locked at first, and all others by the commit.
async def test_states_are_locked_in_the_order_of_the_hooks(servers: Servers) -> None:
    store = await servers.another()
    one, two = hooks = await hooks_of(store, 2)
    first, second = await claimed(store, hooks)
    results = [result_of(first, servers.clock), result_of(second, servers.clock, 500)]
    async with locked(servers, STATE, one):
        recording = asyncio.create_task(store.record(results))
        await until(lambda: somebody_waits(servers))
        assert await is_free(servers, two)
    assert await recording == [True, True]


# Red when both are in one transaction, which locks the state of the second hook first.
async def test_lost_attempts_are_not_recorded_in_the_transaction_of_results(
    servers: Servers,
) -> None:
    store = await servers.another()
    one, two = await hooks_of(store, 2)
    await claimed(store, [one])
    servers.clock.advance(3600)
    (claim,) = await claimed(store, [two])
    async with locked(servers, STATE, one):
        recording = asyncio.create_task(store.record([result_of(claim, servers.clock, 500)]))
        rescuing = asyncio.create_task(store.rescue())
        await until(lambda: somebody_waits(servers))
        assert await is_free(servers, two)
    assert (await recording, await rescuing) == ([True], 1)


# Red when a deletion of expired keys waits for one: it may hold another that an event wants next.
async def test_expired_keys_in_use_are_deleted_later(servers: Servers) -> None:
    store = await servers.another()
    for key in ("a", "b"):
        await emit(store, key=key)
    servers.clock.advance(2 * 86_400)
    count = "SELECT count(*) FROM idempotency_key"
    in_use = "SELECT 1 FROM idempotency_key WHERE event_id > $1 AND key = 'a' FOR UPDATE"
    async with locked(servers, in_use, 0):
        async with asyncio.timeout(LIMIT_S):
            await store.forget_keys()
        async with connected(servers.url) as raw:
            assert await raw.fetchval(count) == 1
    await store.forget_keys()
    async with connected(servers.url) as raw:
        assert await raw.fetchval(count) == 0


# Red when the alerts are locked after the states: another server has both in the other order.
@pytest.mark.parametrize("lock", ["alerts", "line of an ordered hook"])
async def test_alerts_are_locked_before_the_states(servers: Servers, lock: str) -> None:
    store = await servers.another()
    alert_hook = HookId((await make_hook(store, events=("hooktui",), ordered=True)).id)
    hooks = await hooks_of(store, 2)
    claims = await claimed(store, hooks)
    results = [result_of(claim, servers.clock, 500, schedule_s=()) for claim in claims]
    key = locks.ALERTS if lock == "alerts" else locks.order_of(alert_hook)
    async with locked(servers, "SELECT pg_advisory_xact_lock($1)", key):
        recording = asyncio.create_task(store.record(results))
        await until(lambda: somebody_waits(servers))
        assert [await is_free(servers, hook) for hook in (*hooks, alert_hook)] == [True] * 3
    assert await recording == [True, True]


# Red when claims lock the lines from the last hook to the first, or steps of a replay as they come:
# events lock them from the first to the last.
@pytest.mark.parametrize("locking", ["claims", "steps"])
async def test_lines_are_locked_in_the_order_of_the_hooks(servers: Servers, locking: str) -> None:
    store = await servers.another()
    opened = Opened(servers.another, store, servers.clock)
    hooks = [await make_hook(store, ordered=True) for _ in range(2)]
    one, two = (HookId(hook.id) for hook in hooks)
    claims = await claimed(store, (one, two))
    await store.record([result_of(claim, servers.clock, 503, schedule_s=()) for claim in claims])
    replay = await start(opened, *hooks, include_ordered=True)
    steps = [await next_step(opened, replay, hook) for hook in reversed(hooks)]
    await emit(store)
    lock = "SELECT pg_advisory_xact_lock($1)"
    async with locked(servers, lock, locks.order_of(one)):
        if locking == "claims":
            work = asyncio.gather(*(store.claim(hook, 1) for hook in (one, two)))
        else:
            work = asyncio.gather(*map(store.replay, steps))
        await until(lambda: somebody_waits(servers))
        async with asyncio.timeout(LIMIT_S), locked(servers, lock, locks.order_of(two)):
            pass
    assert all(await work)


# Red when a deletion locks the alerts after its events: a step of a replay that waits for such an
# event may hold the line of a hook, for which a server with the alerts waits.
async def test_a_deletion_locks_the_alerts_before_its_events(servers: Servers) -> None:
    store = await servers.another()
    (hook,) = await hooks_of(store, 1)
    (claim,) = await claimed(store, [hook])
    await store.record([result_of(claim, servers.clock, 404, schedule_s=())])
    servers.clock.advance(60)
    async with locked(servers, "SELECT pg_advisory_xact_lock($1)", locks.ALERTS):
        deleting = asyncio.create_task(store.purge(servers.clock.ms, within_s=5))
        await until(lambda: somebody_waits(servers))
        async with connected(servers.url) as raw:
            await raw.execute("SELECT 1 FROM event FOR KEY SHARE NOWAIT")
    assert (await deleting).events == 1


# Red when each step counts the first deliveries of its own events.
async def test_events_that_replays_send_first_are_locked_in_one_order(servers: Servers) -> None:
    store = await servers.another()
    opened = Opened(servers.another, store, servers.clock)
    early, late = [event.id for event in await emit(store, 2)]
    servers.clock.advance(60)
    hooks = [await make_hook(store) for _ in range(2)]
    replay = await start(opened, *hooks, mode="all", since="1h")
    await step(opened, replay, hooks[0], most=1)
    async with connected(servers.url) as raw:
        await raw.execute("UPDATE event SET deliveries = 0")
    steps = [await next_step(opened, replay, hook, most=1) for hook in hooks]
    assert [one.candidates[0].event for one in steps] == [late, early]
    async with locked(servers, "SELECT 1 FROM event WHERE id = $1 FOR NO KEY UPDATE", early):
        replaying = asyncio.gather(*map(store.replay, steps))
        await until(lambda: somebody_waits(servers))
        async with connected(servers.url) as raw:
            await raw.execute("SELECT 1 FROM event WHERE id = $1 FOR NO KEY UPDATE NOWAIT", late)
    assert [len(result.claims) for result in await replaying] == [1, 1]


# Red when a step waits for a delivery that is claimed or recorded: a result that opens an alert has
# locked it, and waits for the line of an ordered hook, which the step may hold.
async def test_a_step_of_a_replay_waits_for_no_delivery_that_changes(servers: Servers) -> None:
    store = await servers.another()
    opened = Opened(servers.another, store, servers.clock)
    hook = await make_hook(store)
    (claim,) = await claimed(store, [HookId(hook.id)])
    await store.record([result_of(claim, servers.clock, 500)])
    replay = await start(opened, hook)
    retried = await next_step(opened, replay, hook)
    async with locked(servers, "SELECT 1 FROM delivery FOR UPDATE"), asyncio.timeout(LIMIT_S):
        result = await store.replay(retried)
    assert (result.outcome, result.claims) == (StepOutcome.DONE, [])
    assert (await seen(opened, replay)).hooks[0].skipped == {"waiting": 1}


# Red when the hooks that get the alerts are locked by the commit alone.
async def test_hooks_that_get_alerts_are_locked_with_the_others(servers: Servers) -> None:
    store = await servers.another()
    alert_hook = HookId((await make_hook(store, events=("hooktui",))).id)
    (hook,) = await hooks_of(store, 1)
    (claim,) = await claimed(store, [hook])
    async with locked(servers, STATE, alert_hook):
        recording = asyncio.create_task(
            store.record([result_of(claim, servers.clock, 500, schedule_s=())])
        )
        await until(lambda: somebody_waits(servers))
        assert await is_free(servers, hook)
    assert await recording == [True]


# Red with any of the above.
async def test_servers_that_record_anything_of_the_same_hooks_never_wait_for_each_other(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [await servers.another(), await servers.another()]
    await make_hook(stores[0], events=("hooktui",), ordered=True)
    hooks = await hooks_of(stores[0], 4)
    await until(lambda: set(hooks) <= set(stores[1].hooks()))
    faults: list[Exception] = []
    clean = Writer._clean

    async def noted(writer: Writer, error: Exception) -> None:
        faults.append(error)
        await clean(writer, error)

    monkeypatch.setattr(Writer, "_clean", noted)
    chance = random.Random(5)

    async def work(store: PostgresStore) -> None:
        for _ in range(25):
            _, claims = await store.accept([offer() for _ in range(3)], always)
            codes = chance.choices([200, 200, 500, 404], k=len(claims))
            results = [
                result_of(claim, servers.clock, code, schedule_s=() if code == 404 else (60,))
                for claim, code in zip(claims, codes, strict=True)
            ]
            chance.shuffle(results)
            half = len(results) // 2
            await asyncio.gather(
                store.record(results[:half]), store.accept([offer()]), store.record(results[half:])
            )
            servers.clock.advance(7)

    await asyncio.gather(*map(work, stores))
    assert faults == []


# Red when a success is written over what another server has stored since this one looked.
async def test_a_success_does_not_close_a_breaker_that_another_server_has_just_opened(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await servers.another(), await servers.another()
    (hook,) = await hooks_of(one, 1)
    await until(lambda: hook in two.hooks())
    await emit(one, 11)
    (last,) = await one.claim(hook, 1)
    others = await two.claim(hook, 10)
    assert len(others) == 10
    commit, arrived, may_commit = WriteTransaction.commit, asyncio.Event(), asyncio.Event()

    async def gated(work: WriteTransaction) -> None:
        if work.shared is one._shared and work.states:
            arrived.set()
            await may_commit.wait()
        await commit(work)

    monkeypatch.setattr(WriteTransaction, "commit", gated)
    recording = asyncio.create_task(one.record([result_of(last, servers.clock)]))
    await arrived.wait()
    assert all(await two.record([result_of(claim, servers.clock, 500) for claim in others]))
    opened = two.hooks()[hook].breaker_until_ms
    assert opened is not None
    may_commit.set()
    assert await recording == [True]
    columns = "breaker, breaker_until, last_success_at"
    async with connected(servers.url) as raw:
        stored = await raw.fetchrow(f"SELECT {columns} FROM hook_state WHERE hook_id = $1", hook)
    assert tuple(stored)[:2] == ("open", opened)
    assert stored["last_success_at"] is not None
