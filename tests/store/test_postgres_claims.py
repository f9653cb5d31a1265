"""Deliveries on PostgreSQL: several servers share the claims, the leases and the order."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.ids import HookId
from hooktui.store.contract import LEASE_S
from hooktui.store.postgres import notify, sql
from hooktui.store.postgres.queue import _STARTS
from hooktui.store.postgres.store import PostgresStore
from hooktui.store.tables import Big
from tests.store.servers import Servers, connected
from tests.support.stores import (
    Heard,
    deliveries,
    emit,
    make_hook,
    make_hooks,
    result_of,
    the_delivery,
    the_hook,
)
from tests.support.waiting import until


# Red without FOR UPDATE SKIP LOCKED.
async def test_two_servers_never_claim_the_same_delivery(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    await emit(one, 600)
    claimed: list[int] = []

    async def claim_all(store: PostgresStore) -> None:
        while claims := await store.claim(hook, 7):
            claimed.extend(claim.delivery for claim in claims)

    await asyncio.gather(*(claim_all(store) for store in (one, two) for _ in range(4)))
    assert len(claimed) == len(set(claimed)) == 600


async def test_a_lease_that_ran_out_is_rescued_by_another_server_and_its_worker_is_fenced(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    await emit(one)
    (stale,) = await one.claim(hook, 1)
    assert await two.rescue() == 0
    servers.clock.advance(LEASE_S + 1)
    assert await two.rescue() == 1
    (again,) = await two.claim(hook, 1)
    assert await one.record([result_of(stale, servers.clock)]) == [False]
    assert await two.record([result_of(again, servers.clock)]) == [True]
    assert await one.record([result_of(stale, servers.clock)]) == [False]
    done = await the_delivery(one)
    assert (done.status, done.attempts) == ("delivered", 2)
    assert (await the_hook(two, hook)).stats.waiting == 0


async def test_each_lease_is_rescued_by_one_server(servers: Servers) -> None:
    some = [await servers.another() for _ in range(3)]
    hook = HookId((await make_hook(some[0])).id)
    await emit(some[0], 900)
    while await some[0].claim(hook, 300):
        pass
    servers.clock.advance(LEASE_S + 1)
    assert sum(await asyncio.gather(*(store.rescue() for store in some))) == 900
    assert {one.attempts for one in await deliveries(some[0])} == {1}


async def test_one_server_of_several_sends_for_an_ordered_hook_at_a_time(servers: Servers) -> None:
    some = [await servers.another() for _ in range(3)]
    hook = HookId((await make_hook(some[0], ordered=True)).id)
    bodies = [str(place).encode() for place in range(12)]
    for place, body in enumerate(bodies):
        await emit(some[place % 3], body=body)
    sent: list[bytes] = []
    while len(sent) < len(bodies):
        batches = await asyncio.gather(*(store.claim(hook, 10) for store in some))
        ((store, claim),) = [
            (s, claim) for s, claims in zip(some, batches, strict=True) for claim in claims
        ]
        sent.append(claim.body)
        await store.record([result_of(claim, servers.clock)])
    assert sent == bodies


async def test_counters_add_up_when_servers_work_on_one_hook(servers: Servers) -> None:
    some = [await servers.another() for _ in range(2)]
    hooks = [HookId((await make_hook(some[0])).id) for _ in range(3)]

    async def work(store: PostgresStore) -> None:
        for _ in range(15):
            await emit(store, 3)
            for hook in hooks:
                claims = await store.claim(hook, 2)
                await store.record([result_of(claim, servers.clock, 404) for claim in claims])

    await asyncio.gather(*(work(store) for store in some for _ in range(3)))
    for hook in hooks:
        shown = await the_hook(some[0], hook)
        assert shown.stats.waiting == 15 * 3 * 6
    async with connected(servers.url) as raw:
        failed = await raw.fetch("SELECT failed_since_success FROM hook_state")
        attempts = await raw.fetchval("SELECT COUNT(*) FROM attempt")
        counted = await raw.fetchval("SELECT SUM(failed) FROM hook_stats")
    assert sum(row[0] for row in failed) == attempts == counted


# Red without the look at what is due now and then: a server may die before it gives its hint.
async def test_what_is_due_is_found_without_a_hint(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "DUE_EVERY_S", 0.5)
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    hinted = Heard(two)
    await emit(one)
    await until(lambda: hook in hinted.due)
    later = Heard(two)
    await until(lambda: hook in later.due)


async def test_an_error_that_is_no_text_is_stored_as_well_as_it_can_be(servers: Servers) -> None:
    store = await servers.another()
    hook = HookId((await make_hook(store)).id)
    await emit(store)
    (claim,) = await store.claim(hook, 1)
    result = result_of(claim, servers.clock, None, ErrorClass.TLS, error_detail="a\0b\ud800c")
    assert await store.record([result]) == [True]
    async with connected(servers.url) as raw:
        assert await raw.fetchval("SELECT error_detail FROM attempt") == "a\ufffdb?c"


# Red when each hint of another server starts a search of all hooks: fifty a second, without an end.
async def test_one_search_for_what_is_due_runs_and_one_follows_it(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: notify.Hints) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(notify.Hints, "run", silent)
    store = await servers.another()
    hook = HookId((await make_hook(store)).id)
    heard, searches, may_end = Heard(store), 0, asyncio.Event()

    async def gated() -> dict[HookId, int]:
        nonlocal searches
        searches += 1
        await may_end.wait()
        return {hook: searches}

    monkeypatch.setattr(store, "next_due", gated)
    for _ in range(50):
        store._due_received(None)
        await asyncio.sleep(0)
    assert searches == 1
    may_end.set()
    await until(lambda: heard.due.get(hook) == 2)
    assert searches == 2


# Red when a row comes back for each hook, whether anything of it waits or not.
async def test_a_search_for_what_is_due_returns_only_that(servers: Servers) -> None:
    store = await servers.another()
    await make_hooks(store, 20, events=("cluster",))
    hooks = [HookId((await make_hook(store, ordered=ordered)).id) for ordered in (False, True)]
    await emit(store)
    values = {name: [] for name in _STARTS} | {"hooks": [*store.hooks()]}
    for statement in (sql.NEXT_DUE, sql.FIRST_IN_LINE_DUE):
        query = text(statement).bindparams(*(bindparam(n, type_=ARRAY(Big)) for n in _STARTS))
        rows = await store.own_read(lambda conn, query=query: conn.execute(query, values).all())
        assert {row[0] for row in rows} == set(hooks)
    assert set(await store.next_due()) == set(hooks)
