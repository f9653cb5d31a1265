"""The stores that the conformance suite runs against: each test runs on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from hooktui import failpoints
from hooktui.store.base import Store
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, database, open_store
from tests.support.searches import patient_searches  # noqa: F401 - a fixture
from tests.support.stores import Opened, lay_new_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
async def opened(request, tmp_path: Path, clock: Clock, monkeypatch) -> AsyncIterator[Opened]:
    """A store that a test can close and open again."""
    monkeypatch.setattr("hooktui.store.queries.hooks.now_ms", clock.now_ms)
    if request.param == "sqlite":
        lay_new_database(tmp_path)
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


@pytest.fixture
def disarmed() -> Iterator[None]:
    """Disarm the failpoint of a test at its end."""
    yield
    failpoints.arm(None)
