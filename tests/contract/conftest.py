"""The stores that the conformance suite runs against: each test runs on SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from hooktui.store.contract import Store
from hooktui.store.key_ring import find_keys
from hooktui.store.migrations import upgrade
from hooktui.store.sqlite.connections import open_writer, sqlalchemy_over
from hooktui.store.sqlite.files import make_database_file
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.vault import Vault
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, database, open_store
from tests.support.stores import Opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty database and its key: half the time of a test went into migrating."""
    folder = tmp_path_factory.mktemp("migrated")
    vault = Vault(find_keys(folder / "hooktui.key", database_is_new=True).keys)
    database = folder / "hooktui.db"
    make_database_file(database)
    with closing(open_writer(database)) as raw:
        conn = sqlalchemy_over(raw)
        raw.execute("BEGIN IMMEDIATE")
        upgrade(conn, lambda: vault)
        raw.execute("COMMIT")
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
async def opened(request, tmp_path: Path, clock: Clock) -> AsyncIterator[Opened]:
    """A store that a test can close and open again."""
    if request.param == "sqlite":
        for file in request.getfixturevalue("migrated").iterdir():
            shutil.copy2(file, tmp_path)
        one = await _open(lambda: _open_sqlite(tmp_path, clock), clock)
        yield one
        await one.store.close()
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        async with database(server) as url:
            one = await _open(lambda: open_store(url, tmp_path, clock.now_ms), clock)
            yield one
            await one.store.close()


async def _open(open_it: Callable[[], Awaitable[Store]], clock: Clock) -> Opened:
    return Opened(open_it, await open_it(), clock)


async def _open_sqlite(home: Path, clock: Clock) -> Store:
    return await SqliteStore.open(
        home / "hooktui.db", key_file=home / "hooktui.key", clock=clock.now_ms
    )
