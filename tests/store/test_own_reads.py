"""Reads of the server itself, and what every call looks up, do not wait behind those of callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from hooktui.domain.wire.server import RetentionDays
from hooktui.store import queries
from hooktui.store.planning.retention import RetentionPass
from hooktui.store.postgres import pools as postgres_pools
from hooktui.store.sqlite.connections import READERS
from hooktui.store.sqlite.store import SqliteStore
from tests.store.servers import Servers, connected
from tests.support.running_server import running_server
from tests.support.stores import DEFAULT, emit, make_hook, open_in
from tests.support.waiting import LIMIT_S, until


class Slow:
    """Reads of callers that last until the end of the block."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.end = threading.Event()

    def __call__(self, _conn: Connection) -> None:
        self.begun.release()
        self.end.wait(30)


@contextmanager
def slow_reads(slow: Slow) -> Iterator[None]:
    try:
        yield
    finally:
        slow.end.set()


# Red while one pool of threads serves all: each of the two waits for the reads of callers.
async def test_what_is_due_and_who_calls_is_read_beside_slow_reads(tmp_path: Path) -> None:
    store, slow = await open_in(tmp_path), Slow()
    hook = await make_hook(store)
    await emit(store)
    with slow_reads(slow):
        reads = [asyncio.create_task(store.read(slow)) for _ in range(READERS + 2)]
        await asyncio.to_thread(lambda: [slow.begun.acquire() for _ in range(READERS)])
        async with asyncio.timeout(LIMIT_S):
            assert list(await store.next_due()) == [hook.id]
            await store.look_up(partial(queries.account_row, account=DEFAULT))
    await asyncio.gather(*reads)
    await store.close()


# Red when the server reads like a caller: it looks at no alert and sends no replay meanwhile.
async def test_the_server_reads_its_own_beside_slow_reads(tmp_path: Path) -> None:
    store, slow = await open_in(tmp_path), Slow()
    with slow_reads(slow):
        reads = [asyncio.create_task(store.read(slow)) for _ in range(READERS + 2)]
        await asyncio.to_thread(lambda: [slow.begun.acquire() for _ in range(READERS)])
        async with asyncio.timeout(LIMIT_S):
            await store.check_alerts()
            await RetentionPass(store, lambda: 0).apply(RetentionDays(days=30, bodies_days=7), 1)
            assert await store.own_read(queries.replays_of, store.token) == []
    await asyncio.gather(*reads)
    await store.close()


async def test_own_reads_of_the_server_leave_a_thread_to_look_ups(tmp_path: Path) -> None:
    store, slow = await open_in(tmp_path), Slow()
    hook = await make_hook(store)
    await emit(store)
    with slow_reads(slow):
        reads = [asyncio.create_task(store.own_read(slow)) for _ in range(3)]
        await asyncio.to_thread(slow.begun.acquire)
        async with asyncio.timeout(LIMIT_S):
            assert list(await store.next_due()) == [hook.id]
            await store.look_up(partial(queries.account_row, account=DEFAULT))
    await asyncio.gather(*reads)
    await store.close()


# Red when the lock of these reads is released with the task: the next one takes the last thread.
async def test_a_cancelled_read_of_the_server_holds_its_turn_until_its_thread_is_free(
    tmp_path: Path,
) -> None:
    store, slow = await open_in(tmp_path), Slow()
    with slow_reads(slow):
        first = asyncio.create_task(store.own_read(slow))
        await asyncio.to_thread(slow.begun.acquire)
        first.cancel()
        second = asyncio.create_task(store.own_read(slow))
        async with asyncio.timeout(LIMIT_S):
            await store.look_up(partial(queries.account_row, account=DEFAULT))
        assert not first.done()
    await second
    assert first.cancelled()
    await store.close()


# Red when they only take turns: an alert waits for the scans of all replays and of the retention.
async def test_a_quick_read_of_the_server_waits_for_one_scan_at_most(tmp_path: Path) -> None:
    store, first, others = await open_in(tmp_path), Slow(), Slow()
    with slow_reads(others), slow_reads(first):
        scans = [asyncio.create_task(store.scan(one)) for one in (first, others, others)]
        await asyncio.to_thread(first.begun.acquire)
        quick = asyncio.create_task(store.own_read(queries.replays_of, store.token))
        await asyncio.sleep(0)
        first.end.set()
        async with asyncio.timeout(LIMIT_S):
            assert await quick == []
    await asyncio.gather(*scans)
    await store.close()


@pytest.mark.parametrize("kind", ["read", "own_read"])
async def test_slow_reads_of_a_kind_delay_no_other_kind_on_postgresql(
    servers: Servers, kind: str
) -> None:
    store = await servers.another()
    hook = await make_hook(store)
    await emit(store)
    slow = text("SELECT pg_sleep(120)")
    reading = getattr(store, kind)
    reads = [
        asyncio.create_task(reading(lambda conn: conn.execute(slow))) for _ in range(READERS + 2)
    ]
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1"
    count = postgres_pools.READERS if kind == "read" else 1
    async with connected(servers.url) as raw:

        async def sleeping() -> bool:
            return await raw.fetchval(busy, str(slow)) == count

        await until(sleeping)
    async with asyncio.timeout(LIMIT_S):
        if kind == "read":
            await store.check_alerts()
        assert list(await store.next_due()) == [hook.id]
        await store.look_up(partial(queries.account_row, account=DEFAULT))
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)


# Red without turns: what is due waits behind all look-ups of unknown tokens.
async def test_what_is_due_waits_for_one_look_up_at_most(tmp_path: Path) -> None:
    store, first, others = await open_in(tmp_path), Slow(), Slow()
    await make_hook(store)
    with slow_reads(others), slow_reads(first):
        look_ups = [asyncio.create_task(store.look_up(one)) for one in (first, others, others)]
        await asyncio.to_thread(first.begun.acquire)
        due = asyncio.create_task(store.next_due())
        await asyncio.sleep(0)
        first.end.set()
        async with asyncio.timeout(LIMIT_S):
            await due
    await asyncio.gather(*look_ups)
    await store.close()


def test_tokens_and_readiness_are_looked_up_beside_slow_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when a call reads its token or its account like a list.
    stores: list[SqliteStore] = []
    start = SqliteStore._start

    async def noted(store: SqliteStore) -> None:
        stores.append(store)
        await start(store)

    monkeypatch.setattr(SqliteStore, "_start", noted)
    with running_server(tmp_path, listen="127.0.0.1:0") as server, server.client() as admin:
        made = admin.post("/v1/tokens", json={"name": "t", "role": "producer"}).json()
        host, port = server.listen[0]
        slow = Slow()
        with slow_reads(slow):
            for _ in range(READERS):
                asyncio.run_coroutine_threadsafe(stores[0].read(slow), server.loop)
                slow.begun.acquire()
            tcp = httpx.Client(base_url=f"http://{host}:{port}", trust_env=False, timeout=LIMIT_S)
            with tcp:
                assert tcp.get("/readyz").json() == {"status": "ready"}
                headers = {"Authorization": f"Bearer {made['token']}"}
                sent = tcp.post("/v1/events/job.failed", content=b"{}", headers=headers)
                assert sent.status_code == 202, sent.text
                headers["Authorization"] += "x"
                assert tcp.get("/v1/status", headers=headers).status_code == 401
