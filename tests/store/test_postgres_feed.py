"""The change feed on PostgreSQL, where a crash of the database forgets claims that were told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooktui.domain.ids import HookId, encode
from tests.contract.given import emit, make_hook
from tests.postgres import PostgresServer, database, open_store, running


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
