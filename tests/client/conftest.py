"""Both clients over both ways to a server: the same promises hold for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hooktui.client import AsyncClient, Call, PlainClient, ServerAddress
from tests.support.scripted_server import Scripted, serving

Ask = Callable[[Call], Awaitable]


@asynccontextmanager
async def plain(address: ServerAddress, role: str | None = None):
    with PlainClient(address, role) as client:

        async def ask(call: Call):
            return client.call(call)

        yield ask


@asynccontextmanager
async def asynchronous(address: ServerAddress, role: str | None = None):
    async with AsyncClient(address, role) as client:
        yield client.call


@pytest.fixture(params=[plain, asynchronous], ids=["plain", "asynchronous"])
def connected(request: pytest.FixtureRequest):
    """A client as a context manager that gives a function to ask with."""
    return request.param


@pytest.fixture(params=["socket", "port"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scripted]:
    path = tmp_path / "server.sock" if request.param == "socket" else None
    with serving(path, token="hkt_1_test") as scripted:
        yield scripted


@pytest.fixture
async def ask(connected, server: Scripted):
    async with connected(server.address) as function:
        yield function
