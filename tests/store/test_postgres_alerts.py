"""Alerts of several servers on one PostgreSQL database: none twice, and one limit."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import func, select

from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import HookId
from hooktui.store import base
from hooktui.store.contract import ClaimedDelivery
from hooktui.store.postgres import retention
from hooktui.store.postgres.store import PostgresStore
from hooktui.store.tables import ALERT, EVENT
from tests.store.servers import Servers
from tests.support.stores import always, emit, make_hook, make_hooks, offer, result_of
from tests.support.waiting import until


async def counts(servers: Servers) -> tuple[int, int]:
    """The number of alerts, and of their events."""
    alerts = select(func.count()).select_from(ALERT)
    events = select(func.count()).where(EVENT.c.type.like("hooktui.%"))
    store = servers.opened[0]
    return await store.read(
        lambda conn: (conn.execute(alerts).scalar_one(), conn.execute(events).scalar_one())
    )


async def test_servers_that_see_the_same_failures_open_one_alert(servers: Servers) -> None:
    # Red without the lock of the hook's state: a unique index would fail the record.
    stores = [await servers.another(), await servers.another()]
    await make_hook(stores[0], events=("hooktui",), ordered=True)
    hooks = [HookId((await make_hook(stores[0])).id) for _ in range(4)]
    await until(lambda: set(hooks) <= set(stores[1].hooks()))
    await emit(stores[0], 8)
    claims = [(store, await store.claim(hook, 4)) for hook in hooks for store in stores]
    for place in range(4):
        await asyncio.gather(
            *(
                store.record([result_of(of_store[place], servers.clock, 500)])
                for store, of_store in claims
            )
        )
        servers.clock.advance(30)
    assert await counts(servers) == (4, 4)
    for store in stores:
        await until(lambda store=store: all(store.hooks()[hook].failing for hook in hooks))


async def test_a_success_at_one_server_ends_the_alert_of_another(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    await make_hook(one, events=("hooktui",))
    hook = HookId((await make_hook(one)).id)
    await until(lambda: hook in two.hooks())
    await emit(one, 5)
    claims = await one.claim(hook, 4)
    for claim in claims:
        await one.record([result_of(claim, servers.clock, 500)])
        servers.clock.advance(30)
    (last,) = await two.claim(hook, 1)
    await two.record([result_of(last, servers.clock, 200)])
    assert await counts(servers) == (1, 2)
    await until(lambda: not one.hooks()[hook].failing)


@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=pytest.mark.soak)])
async def test_servers_share_the_limit_of_a_minute_for_many_hooks(
    servers: Servers, count: int
) -> None:
    # Red without the lock of alerts: each server would count its own.
    stores = [await servers.another(), await servers.another()]
    await make_hook(stores[0], events=("hooktui",))
    types = ("job.failed", "cluster.error")
    for event_type in types:
        hooks = await make_hooks(stores[0], count // 2, events=(event_type,))
    await until(lambda: set(hooks) <= set(stores[1].hooks()))
    batches = []
    for store, event_type in zip(stores, types, strict=True):
        for _ in range(3):
            _, claims = await store.accept([offer(event_type=event_type)], always)
            assert len(claims) == count // 2
            batches.append((store, claims))

    async def record(store: PostgresStore, claims: list[ClaimedDelivery]) -> None:
        results = [result_of(claim, servers.clock, 500) for claim in claims]
        recorded: list[bool] = []
        while not recorded:  # as the recorder does: on a slow machine the other one takes over 5 s
            with contextlib.suppress(Unavailable):
                recorded = await store.record(results)
            await asyncio.sleep(0.01)

    for place in range(3):
        await asyncio.gather(record(*batches[place]), record(*batches[place + 3]))
        servers.clock.advance(31)
    assert await counts(servers) == (count, 20)


# Red when looks and deletions take turns.
async def test_a_deletion_that_takes_long_delays_no_look(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, looks = asyncio.Event(), list[PostgresStore]()

    async def trim(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def look(store: PostgresStore) -> None:
        looks.append(store)

    monkeypatch.setattr(retention, "FIRST_TRIMMED_S", 0.01)
    monkeypatch.setattr(base, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(retention.RetentionWorker, "trim", trim)
    monkeypatch.setattr(PostgresStore, "check_alerts", look)
    await servers.another()
    await until(begun.is_set)
    before = len(looks)
    await until(lambda: len(looks) > before + 2)


# Red when a session without end holds the lock: no server looked while that process was stopped.
async def test_another_server_looks_while_the_one_that_did_is_silent(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookers = list[PostgresStore]()

    async def look(store: PostgresStore) -> None:
        lookers.append(store)

    monkeypatch.setattr(retention, "FIRST_TRIMMED_S", 0.01)
    monkeypatch.setattr(retention, "TRIMMED_EVERY_S", 0.01)
    monkeypatch.setattr(retention, "SILENT_S", 1)
    monkeypatch.setattr(retention, "HELD_EVERY_S", 3600)  # as silent as a stopped process
    monkeypatch.setattr(base, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(PostgresStore, "check_alerts", look)
    first = await servers.another()
    await until(lambda: first in lookers)
    second = await servers.another()
    await until(lambda: second in lookers)
