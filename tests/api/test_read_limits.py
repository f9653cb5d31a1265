"""One caller's reads leave readers of the store to the others."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from hooktui.api import routes
from hooktui.api.access import Caller
from hooktui.api.limits import MAX_READS, Reads
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Role
from hooktui.store import queries
from hooktui.store.postgres import pools
from hooktui.store.sqlite import connections
from tests.support.running_server import RunningServer
from tests.support.waiting import LIMIT_S, wait_for

_ROUTES = Path(routes.__file__).parent


def _caller(user: str, account: int | None = None) -> Caller:
    return Caller(user, Role.VIEWER, bound_to=None if account is None else AccountId(account))


class Reading:
    """Reads that last until each is ended."""

    def __init__(self) -> None:
        self.reads = Reads()
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    def ask(
        self, name: str, *, first: bool = False, account: int | None = None
    ) -> asyncio.Task[str]:
        """Begin the read of a caller, the first letter of its name."""
        self._ends[name] = asyncio.Event()
        caller = _caller(name[0], account)
        reading = self.reads.run(caller, lambda: self._read(name), first=first)
        return asyncio.create_task(reading)

    def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()

    async def _read(self, name: str) -> str:
        self.begun.append(name)
        await self._ends[name].wait()
        return name


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_caller_may_have_half_of_the_readers() -> None:
    assert min(connections.READERS, pools.READERS) >= 2 * MAX_READS


def test_no_route_reads_past_the_limit() -> None:
    direct = re.compile(r"store\.(read|feed|feed_tail|info|others|signing_secrets)\(")
    found = [file.name for file in _ROUTES.glob("*.py") if direct.search(file.read_text())]
    assert found == []


async def test_the_reads_of_a_caller_wait_in_turns_and_those_of_others_do_not() -> None:
    reading = Reading()
    tasks = [reading.ask(name) for name in ("a1", "a2", "a3", "a4", "b1")]
    await _settled()
    assert reading.begun == ["a1", "a2", "b1"]
    reading.end("a2")
    await _settled()
    assert reading.begun[3:] == ["a3"]
    reading.end("a1", "a3", "a4", "b1")
    assert await asyncio.gather(*tasks) == ["a1", "a2", "a3", "a4", "b1"]
    assert not reading.reads._callers, "nothing is kept of a caller without reads"


# Red when each token has a share of its own: an account with two has all readers.
async def test_the_tokens_of_an_account_have_one_share_of_the_readers() -> None:
    reading = Reading()
    tasks = [reading.ask(name, account=2) for name in ("a1", "b1", "c1")]
    tasks += [reading.ask("d1", account=3), reading.ask("e1")]
    await _settled()
    assert reading.begun == ["a1", "b1", "d1", "e1"]
    reading.end("a1", "b1", "c1", "d1", "e1")
    await asyncio.gather(*tasks)
    assert not reading.reads._callers


# Red when a search waits like the rest: others wait for its slot as long as for all those reads.
async def test_the_read_of_a_search_precedes_those_that_wait() -> None:
    reading = Reading()
    tasks = [reading.ask(name) for name in ("a1", "a2", "a3")]
    await _settled()
    tasks.append(reading.ask("a4", first=True))
    await _settled()
    reading.end("a1")
    await _settled()
    assert reading.begun == ["a1", "a2", "a4"]
    reading.end("a2", "a3", "a4")
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("handed_over", [False, True])
async def test_a_read_that_is_cancelled_while_it_waits_takes_no_turn(
    handed_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading()
    tasks = [reading.ask(name) for name in ("a1", "a2", "a3", "a4")]
    await _settled()
    if handed_over:  # it has its turn, and has not run since
        end = reading.reads._end

        def end_and_cancel(*given: Any) -> None:
            end(*given)
            tasks[2].cancel()

        monkeypatch.setattr(reading.reads, "_end", end_and_cancel)
    else:
        tasks[2].cancel()
        await _settled()
    reading.end("a1")
    await _settled()
    assert reading.begun == ["a1", "a2", "a4"]
    reading.end("a2", "a4")
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[2], asyncio.CancelledError)
    assert not reading.reads._callers


async def test_a_read_that_fails_or_is_cancelled_ends_its_turn() -> None:
    reads = Reads()

    async def fails() -> None:
        raise ZeroDivisionError

    for _ in range(MAX_READS + 1):
        with pytest.raises(ZeroDivisionError):
            await reads.run(_caller("a"), fails)
    reading = Reading()
    tasks = [reading.ask(name) for name in ("a1", "a2", "a3")]
    await _settled()
    for task in tasks[:2]:
        task.cancel()
    await _settled()
    assert reading.begun == ["a1", "a2", "a3"]
    reading.end("a3")
    await tasks[2]
    assert not reads._callers
    assert not reading.reads._callers


async def test_a_caller_that_left_while_it_waited_reads_nothing() -> None:
    reading = Reading()
    tasks = [reading.ask(name) for name in ("a1", "a2")]
    await _settled()

    async def gone() -> bool:
        return True

    left = asyncio.create_task(
        reading.reads.run(_caller("a"), lambda: reading._read("a3"), gone=gone)
    )
    await _settled()
    reading.end("a1", "a2")
    with pytest.raises(ClientDisconnect):
        await left
    await asyncio.gather(*tasks)
    assert reading.begun == ["a1", "a2"]
    assert not reading.reads._callers


class SlowHealth:
    """The health of a hook, which is read until the end of the test."""

    def __init__(self) -> None:
        self.begun = 0
        self._end = threading.Event()

    def __call__(self, _conn: object, *_given: object) -> object:
        self.begun += 1
        self._end.wait(30)
        raise Unavailable("the end of the test")

    def wait_for(self, count: int) -> None:
        """Wait until reads have begun, and for others that would begin."""
        wait_for(lambda: self.begun >= count)
        time.sleep(0.2)  # in which more would begin
        assert self.begun == count

    def end(self) -> None:
        self._end.set()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowHealth]:
    health = SlowHealth()
    monkeypatch.setattr(queries, "hook_health", health)
    try:
        yield health
    finally:
        health.end()


@pytest.fixture
def viewer(api: httpx.Client) -> bytes:
    """The header of a viewer's token."""
    made = api.post("/v1/tokens", json={"name": "v", "role": "viewer"}).json()
    return f"Authorization: Bearer {made['token']}\r\n".encode()


def _ask(server: RunningServer, viewer: bytes) -> socket.socket:
    asking = socket.create_connection(server.listen[0], 10)
    asking.sendall(b"GET /v1/hooks/1/health HTTP/1.1\r\nHost: localhost\r\n" + viewer + b"\r\n")
    return asking


# Red when all readers go to whoever asks first: the list waits for the slow reads of the other.
def test_slow_reads_of_one_caller_do_not_delay_those_of_another(
    server: RunningServer, api: httpx.Client, slow: SlowHealth, viewer: bytes
) -> None:
    asking = [_ask(server, viewer) for _ in range(10)]
    slow.wait_for(MAX_READS)
    for path in ("/v1/hooks", "/v1/status", "/v1/feed?from_end=true", "/metrics"):
        assert api.get(path, timeout=LIMIT_S).status_code == 200
    for one in asking:
        one.close()


def test_reads_of_connections_that_were_closed_are_skipped(
    server: RunningServer,
    api: httpx.Client,
    slow: SlowHealth,
    viewer: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait, waits = Reads._wait, []

    async def counted(*args: Any, **kwargs: Any) -> None:
        waits.append(args)
        await wait(*args, **kwargs)

    def connections_of_viewer() -> int:
        clients = api.get("/v1/status").json()["clients"]
        return clients["known"] + clients["unknown"]

    monkeypatch.setattr(Reads, "_wait", counted)
    reading = [_ask(server, viewer) for _ in range(MAX_READS)]
    slow.wait_for(MAX_READS)
    waiting = [_ask(server, viewer) for _ in range(10)]
    wait_for(lambda: len(waits) == len(waiting))
    for one in waiting:
        one.close()
    wait_for(lambda: connections_of_viewer() == len(reading))
    slow.end()
    for one in reading:
        assert one.recv(12) == b"HTTP/1.1 503"
        one.close()
    assert api.get("/v1/hooks").status_code == 200
    assert slow.begun == MAX_READS
