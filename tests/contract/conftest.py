"""The stores that the conformance suite runs against; PostgreSQL joins by one more entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hooktui.store.contract import Store
from hooktui.store.sqlite import SqliteStore
from tests.contract.given import Clock, Opened


async def _open_sqlite(home: Path, clock: Clock) -> Store:
    return await SqliteStore.open(
        home / "hooktui.db", key_file=home / "hooktui.key", clock=clock.now_ms
    )


_STORES: dict[str, Callable[[Path, Clock], object]] = {"sqlite": _open_sqlite}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=_STORES)
async def opened(request, tmp_path: Path, clock: Clock) -> AsyncIterator[Opened]:
    """A store that a test can close and open again."""

    async def open_it() -> Store:
        return await _STORES[request.param](tmp_path, clock)

    one = Opened(open_it, await open_it(), clock)
    yield one
    await one.store.close()
