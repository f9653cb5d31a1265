"""A SQLite store in a folder of its own; servers on a PostgreSQL database of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hooktui.store.sqlite.store import SqliteStore
from tests.store.servers import Servers
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, database
from tests.support.searches import patient_searches  # noqa: F401 - a fixture
from tests.support.stores import lay_new_database, open_in

_ROOT = Path(__file__).parents[2]


async def run_python(script: str, home: Path) -> tuple[int | None, str]:
    """Run a script with a home as its argument; return its exit code and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(home), stderr=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, errors.decode()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    lay_new_database(tmp_path)
    one = await open_in(tmp_path)
    yield one
    await one.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with database(postgres) as one:
        yield one


@pytest.fixture
async def servers(url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Servers]:
    some = Servers(url, tmp_path, clock)
    yield some
    await some.close()
