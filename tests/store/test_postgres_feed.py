"""The change feed on PostgreSQL, when the database goes back to what it was: by a crash, a dump."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hooktui.domain.ids import HookId, encode
from tests.store.servers import Servers, connected
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, database, open_store, running
from tests.support.stores import emit, make_hook


@pytest.fixture
def forgetful() -> Iterator[PostgresServer]:
    """A server that writes what need not be on disk very late."""
    with running(wal_writer_delay="10s", wal_writer_flush_after="1GB") as server:
        yield server


# Red when lines get the numbers of those that the crash took back: a reader is past them already.
async def test_a_reader_of_lines_that_a_crash_took_back_misses_none_of_the_next(
    forgetful: PostgresServer, tmp_path: Path
) -> None:
    async with database(forgetful) as url:
        store = await open_store(url, tmp_path)
        hook = HookId((await make_hook(store)).id)
        await emit(store, 100)
        for _ in range(70):  # more than PostgreSQL notes of a sequence at once
            assert len(await store.claim(hook, 1)) == 1
        read = await store.feed(None, 1000)
        forgetful.kill()
        forgetful.start()
        async with asyncio.timeout(30):
            waits = len(await store.claim(hook, 100))
            sent = [one.id for _ in range(80) for one in await emit(store)]
        page = await store.feed(read.next, 1000)
        events = [item.object.id for item in page.items if item.kind == "event"]
        await store.close()
    assert waits > 30, "the database has forgotten claims"
    assert events == [encode("evt", one) for one in sent]


# Red when the skip is always as wide: the second copy gives the numbers that the first one gave.
async def test_who_followed_the_feed_misses_nothing_when_a_dump_is_put_back_again(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with database(postgres) as url, connected(postgres.url()) as admin:
        dump = urlsplit(url).path[1:]
        store = await open_store(url, tmp_path)
        await make_hook(store)
        await store.close()
        ends = []
        for copy in (f"{dump}_1", f"{dump}_2"):
            await admin.execute(f"CREATE DATABASE {copy} TEMPLATE {dump}")
            store = await open_store(postgres.url(copy), tmp_path)
            accepted = [encode("evt", one.id) for _ in range(5) for one in await emit(store)]
            page = await store.feed(ends[-1] if ends else None, 100)
            ends.append(store.feed_end())
            await store.close()
            assert [item.object.id for item in page.items if item.kind == "event"] == accepted
            await admin.execute(f"DROP DATABASE {copy} WITH (FORCE)")


# Red without the empty line: what was skipped looks like lines that are gone.
async def test_a_reader_of_the_empty_feed_of_a_new_database_sees_no_gap(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with database(postgres) as url:
        servers = Servers(url, tmp_path, Clock())
        one = await servers.another()
        read = await one.feed_tail(10)
        other = await servers.another()
        await make_hook(other)
        page = await one.feed(read.next, 10)
        await servers.close()
    assert [item.kind for item in page.items] == ["hook"]
    assert not page.reset
