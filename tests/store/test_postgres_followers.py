"""The change feed on PostgreSQL: who follows it misses nothing that any server does."""

from __future__ import annotations

import asyncio

from hooktui.domain.ids import encode
from hooktui.store.postgres import locks
from hooktui.store.postgres.store import PostgresStore
from tests.store.servers import Servers, connected
from tests.support.stores import emit, make_hook
from tests.support.waiting import LIMIT_S, until


# Red without the lock of the feed: the later line is seen first, and the late one never.
async def test_who_follows_the_feed_misses_no_late_commit(servers: Servers) -> None:
    store = await servers.another()
    await make_hook(store)
    async with connected(servers.url) as late, connected(servers.url) as watcher:
        await late.execute(
            f"BEGIN; SELECT pg_advisory_xact_lock({locks.FEED});"
            f" INSERT INTO feed (at_ms, items, changes) VALUES (0, 1, '[[\"g\",0,{{}}]]')"
        )
        start = store.feed_end()
        emitting = asyncio.create_task(emit(store))
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await until(lambda: emitting.done() or watcher.fetchval(waiting))
        before = await store.feed(start, 500)
        await late.execute("COMMIT")
        await emitting
        after = await store.feed(before.next, 500)
    kinds = [item.kind for item in (*before.items, *after.items)]
    assert kinds == ["engine", "event", "delivery"]


async def test_who_follows_the_feed_sees_what_all_servers_do_once(servers: Servers) -> None:
    one, two, three = [await servers.another() for _ in range(3)]
    await make_hook(one)
    start = one.feed_end()
    accepted: list[str] = []
    seen: list[str] = []
    done = asyncio.Event()

    async def produce(store: PostgresStore) -> None:
        for _ in range(60):
            accepted.extend(encode("evt", event.id) for event in await emit(store))

    async def follow() -> None:
        after = start
        while True:
            last = done.is_set()
            page = await three.feed(after, 500)
            seen.extend(item.object.id for item in page.items if item.kind == "event")
            after = page.next
            if last and not page.items:
                return
            await three.wait_for_change(after, 0.05)

    following = asyncio.create_task(follow())
    await asyncio.gather(*(produce(store) for store in (one, two) for _ in range(4)))
    done.set()
    await following
    assert sorted(seen) == sorted(accepted)
    assert len(set(seen)) == 480


async def test_what_waits_for_changes_hears_of_those_of_another_server(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    await make_hook(one)
    await until(lambda: two.feed_end() == one.feed_end())
    waiting = asyncio.create_task(two.wait_for_change(two.feed_end(), 2 * LIMIT_S))
    await emit(one)
    async with asyncio.timeout(LIMIT_S):
        await waiting
