"""The live log loses no line and repeats none, whatever writes, and whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from hooktui.bench.databases import databases_of
from hooktui.bench.server_process import ServerProcess
from hooktui.client.calls import get_delivery
from hooktui.client.sync_client import PlainClient
from hooktui.console.app import ConsoleApp
from hooktui.console.shell.log_buffer import LogBuffer
from hooktui.selftest.crash_test import prepared
from hooktui.selftest.producer import KeyedProducer
from tests.support.waiting import until

KILLS = 2
PER_LIFE = 60
"""Events that each server accepts between two kills."""
WITHIN_S = 45

Line = tuple[str, int]
"""A delivery, and the number of its attempt."""


@dataclass(frozen=True)
class Storm:
    """Servers that share a database, and a producer for each; the console is at the first."""

    servers: list[ServerProcess]
    producers: list[KeyedProducer]

    @property
    def accepted(self) -> int:
        """How many events each has accepted at least."""
        return min(len(one.sent) for one in self.producers)

    def stored(self) -> list[Line]:
        """Return all attempts that the store has."""
        with PlainClient(self.servers[0].address) as client:
            found = [client.call(get_delivery(one.id)) for one in self.servers[0].deliveries()]
        return [(one.id, attempt.number) for one in found for attempt in one.attempts]


@pytest.fixture(params=["sqlite", "postgres"])
def storm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storm]:
    """One server on a file, or two on a PostgreSQL database; a hook with an unreliable receiver."""
    on_file = request.param == "sqlite"
    url = None if on_file else request.getfixturevalue("postgres").url()
    with ExitStack() as stack:
        url = stack.enter_context(databases_of(url).fresh())
        scenario = stack.enter_context(prepared(tmp_path, os.environ, url))
        scenario.producer.threads = 1  # each event costs a read of its deliveries at the end
        one = Storm([scenario.server], [scenario.producer])
        scenario.server.start()
        scenario.make_hooks()
        if not on_file:
            other = ServerProcess(tmp_path / "other", os.environ, url)
            stack.callback(other.kill)
            shutil.copy2(scenario.server.paths.key_file, other.paths.key_file)
            other.start()
            one.servers.append(other)
            one.producers.append(KeyedProducer(other.address, name="q", threads=1))
            stack.callback(one.producers[1].abandon)
        yield one


class Heard:
    """All lines that ever came into the buffer of a log."""

    def __init__(self, buffer: LogBuffer) -> None:
        self.lines: list[Line] = []
        self.notes: list[str] = []
        self._buffer, self._read_to = buffer, buffer.end
        buffer.listeners.append(self._grown)

    def _grown(self) -> None:
        for _, line in self._buffer.since(self._read_to):
            if line.note:
                self.notes.append(line.note)
            else:
                self.lines.append((line.delivery, line.attempt))
        self._read_to = self._buffer.end


# Red when the console forgets its position at a loss (lost), and when the position after a page
# stays behind the page's last line (repeated).
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_attempt_is_one_line_of_the_log_through_a_storm_and_kills(storm: Storm) -> None:
    app = ConsoleApp(environ={"HOOKTUI_HOME": str(storm.servers[0].paths.home)})
    async with app.run_test(size=(80, 24)):
        heard = Heard(app.log_buffer)
        # A console that first reads the feed in mid-storm begins with the newest lines.
        await until(lambda: app._feed._position, WITHIN_S, "the console follows the feed")
        for producer in storm.producers:
            producer.start()
        for number in range(KILLS):
            wanted = storm.accepted + PER_LIFE
            await until(
                lambda wanted=wanted: storm.accepted >= wanted, WITHIN_S, "events are accepted"
            )
            server = storm.servers[number % len(storm.servers)]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        for producer in storm.producers:
            await asyncio.to_thread(producer.stop)
        assert await asyncio.to_thread(storm.servers[0].settle, WITHIN_S)
        stored = await asyncio.to_thread(storm.stored)
        await until(
            lambda: len(heard.lines) >= len(stored), WITHIN_S, f"{len(stored)} lines are in the log"
        )
    assert Counter(heard.lines) == Counter(stored)
    assert len(stored) > 2 * KILLS * PER_LIFE
    assert heard.notes == []
