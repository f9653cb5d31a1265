"""What people change at one server on PostgreSQL holds at once at all others."""

from __future__ import annotations

import asyncio

import pytest

from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import HookId
from hooktui.store import changes
from tests.store.servers import Servers, connected
from tests.support.stores import (
    ADA,
    DEFAULT,
    Heard,
    deliveries,
    emit,
    make_hook,
    result_of,
    settings,
)
from tests.support.waiting import until


async def test_an_event_meets_the_hooks_as_of_the_last_commit_of_any_server(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    for _ in range(5):
        hook = await make_hook(one)
        assert (await emit(two))[0].deliveries == 1
        await one.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
        assert (await emit(two))[0].deliveries == 0


async def test_an_event_and_the_end_of_its_hook_leave_nothing_that_waits_for_ever(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    for _ in range(10):
        hook = await make_hook(one)
        deleting = one.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
        await asyncio.gather(deleting, *(emit(two, 5) for _ in range(4)))
    assert {delivery.status for delivery in await deliveries(one)} <= {"cancelled"}


async def test_changes_of_hooks_reach_the_engine_of_another_server(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    heard = Heard(two)
    hook = HookId((await make_hook(one)).id)
    await until(lambda: hook in two.hooks())
    off = settings(active=False)
    await one.write(changes.change_hook, ADA, DEFAULT, hook, lambda _: off)
    await until(lambda: not two.hooks()[hook].active)
    await one.write(changes.change_hook, ADA, DEFAULT, hook, lambda _: settings())
    await emit(one, 10)
    claims = await one.claim(hook, 10)
    await one.record([result_of(claim, servers.clock, 500) for claim in claims])
    await until(lambda: two.hooks()[hook].breaker_until_ms is not None)
    assert two.hooks()[hook] == one.hooks()[hook]
    assert heard.changed == {hook}
    await until(lambda: hook in heard.due)
    await one.write(changes.delete_hook, ADA, DEFAULT, hook)
    await until(lambda: hook not in two.hooks())


# Red when servers do not look at the pause as they look at the hooks: before each transaction, and
# every second.
async def test_a_pause_at_one_server_stops_all_of_them(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    await emit(one, 3)
    turned: list[bool] = []
    two.subscribe(lambda s: None if s.paused is None else turned.append(s.paused))
    await one.write(changes.pause, ADA)
    assert await two.claim(hook, 3) == []
    await until(lambda: turned == [True])
    await one.write(changes.resume, ADA)
    await until(lambda: turned == [True, False])
    assert len(await two.claim(hook, 3)) == 3


# Red when a change that is stored is reported as failed: a client that repeats it does it twice.
async def test_a_change_is_done_although_the_hooks_cannot_be_loaded_after_it(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()

    async def lost() -> None:
        raise Unavailable("the connection to the database was lost")

    with monkeypatch.context() as broken:
        broken.setattr(store, "_catch_up", lost)
        hook = await make_hook(store)
    await until(lambda: HookId(hook.id) in store.hooks())


# Red when the changed hooks are named in one query: from 32,767 on no transaction began any more.
async def test_a_server_catches_up_with_very_many_changes(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooktui.store.live_hooks._LOADED_AT_ONCE", 100)
    store = await servers.another()
    hook = HookId((await make_hook(store)).id)
    async with connected(servers.url) as raw:
        await raw.execute(
            "UPDATE installation SET live_version = live_version + 1;"
            " INSERT INTO live_change (hook_id, version)"
            " SELECT made, live_version FROM installation, generate_series(1000, 1250) AS made"
        )
        await raw.execute("UPDATE hook SET name = 'renamed'")
        await raw.execute(
            "INSERT INTO live_change (hook_id, version) SELECT $1::bigint, live_version"
            " FROM installation ON CONFLICT (hook_id) DO UPDATE SET version = excluded.version",
            hook,
        )
    assert (await emit(store))[0].deliveries == 1
    assert store.hooks()[hook].settings.name == "renamed"
    assert not [one for one in store.hooks() if one >= 1000]


# Red when only changes above the known version are loaded: a server keeps hooks that are gone.
async def test_an_older_copy_of_the_database_takes_later_changes_of_hooks_back(
    servers: Servers,
) -> None:
    store = await servers.another()
    kept = HookId((await make_hook(store)).id)
    async with connected(servers.url) as raw:
        version = await raw.fetchval("SELECT live_version FROM installation")
        later = HookId((await make_hook(store)).id)
        off = settings(active=False)
        await store.write(changes.change_hook, ADA, DEFAULT, kept, lambda _: off)
        await raw.execute(
            f"""BEGIN;
            DELETE FROM live_change WHERE version > {version};
            DELETE FROM secret WHERE hook_id = {later};
            DELETE FROM hook_state WHERE hook_id = {later};
            DELETE FROM hook WHERE id = {later};
            UPDATE hook SET active = true WHERE id = {kept};
            UPDATE installation SET live_version = {version};
            COMMIT"""
        )
    assert (await emit(store))[0].deliveries == 1
    assert store.hooks()[kept].active
    assert later not in store.hooks()
