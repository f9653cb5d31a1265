"""Several servers on one PostgreSQL database, and a look at it past them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from hooktui.store.postgres.store import PostgresStore
from tests.support.clocks import Clock
from tests.support.postgres import open_store


class Servers:
    """Stores of several servers on one database; they have one key, and a home each."""

    def __init__(self, url: str, folder: Path, clock: Clock) -> None:
        self.url, self.folder, self.clock = url, folder, clock
        self.opened: list[PostgresStore] = []

    async def another(self) -> PostgresStore:
        home = self.folder / f"home{len(self.opened)}"
        home.mkdir()
        if self.opened:
            key = (self.folder / "home0" / "hooktui.key").read_bytes()
            (home / "hooktui.key").write_bytes(key)
            (home / "hooktui.key").chmod(0o600)
        store = await open_store(self.url, home, self.clock.now_ms)
        self.opened.append(store)
        return store

    async def close(self) -> None:
        for store in self.opened:
            await store.close()


@contextlib.asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    raw = await asyncpg.connect(url, server_settings=settings)
    try:
        yield raw
    finally:
        await raw.close()
