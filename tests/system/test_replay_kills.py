"""A server that is killed while it replays sends each dead letter once, and nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hooktui.bench.databases import Databases, connected, databases_of
from hooktui.bench.server_process import ServerProcess
from hooktui.client.calls import change_replay_rate, get_replay, resume_replay
from hooktui.client.sync_client import PlainClient
from hooktui.domain.replays import ABANDONED
from hooktui.failpoints import REPLAY_POINTS
from hooktui.selftest.ledger import recording_receiver
from hooktui.selftest.replay_test import SLOTS, ReplayScenario, run_replay_test
from tests.support.kills import died
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_for

EVENTS = 800
KINDS = ("sqlite", "postgres")
AT_ONCE_S = 10
"""Less than a lease of a replay, which is 15 s."""


@pytest.fixture(params=KINDS)
def databases(request: pytest.FixtureRequest) -> Databases:
    if request.param == "sqlite":
        return databases_of(None)
    given = os.environ.get("HOOKTUI_TEST_DATABASE_URL")
    return databases_of(given or request.getfixturevalue("postgres").url())


@pytest.fixture
def url(databases: Databases) -> Iterator[str | None]:
    """The address of a new database; None: a file in the home of the server."""
    with databases.fresh() as one:
        yield one


@pytest.fixture
def scenario(tmp_path: Path, url: str | None) -> Iterator[ReplayScenario]:
    """A server, which the test starts, and the receiver of its hook."""
    with recording_receiver(tmp_path / "ledger.jsonl") as receiver:
        server = ServerProcess(tmp_path / "home", os.environ, url)
        try:
            yield ReplayScenario(server, receiver)
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("kills", "events"),
    [
        pytest.param(4, EVENTS, marks=pytest.mark.slow),
        pytest.param(20, 8_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
)
def test_kills_at_random_moments(databases: Databases, kills: int, events: int) -> None:
    report = run_replay_test(
        os.environ, kills=kills, events=events, rate_per_s=events / 16, databases=databases,
        progress=lambda _text: None,
    )  # fmt: skip
    assert report.good, report


@pytest.mark.slow
def test_a_kill_at_each_failpoint(scenario: ReplayScenario) -> None:
    server = scenario.server
    server.start()
    scenario.prepare(EVENTS)
    scenario.start(rate_per_s=100)
    server.kill()
    kills = 1
    for point in REPLAY_POINTS:
        count = 3 if "step" in point else 1
        server.start(f"{point}:kill@{count}", wait=False)
        assert died(server, within_s=30), f"the server never came to {point}"
        kills += 1
    server.start()
    verdict = scenario.verdict()
    assert verdict.good(kills), verdict


def test_a_restart_continues_at_once(scenario: ReplayScenario) -> None:
    server = scenario.server
    server.start()
    scenario.prepare(EVENTS)
    scenario.start(rate_per_s=20)
    before = len(scenario.receiver.entries())
    wait_for(lambda: len(scenario.receiver.entries()) > before)
    server.kill()
    time.sleep(0.2)
    at_kill = len(scenario.receiver.entries())
    server.start()
    wait_for(
        lambda: len(scenario.receiver.entries()) > at_kill, AT_ONCE_S, "a delivery of the replay"
    )


# Red when a start takes any replay that nobody runs: it would go on at night, unexpected.
def test_a_replay_that_no_server_ran_for_an_hour_waits_for_a_person(
    scenario: ReplayScenario, url: str | None
) -> None:
    server = scenario.server
    server.start()
    scenario.prepare(60)
    scenario.start(rate_per_s=2)
    server.kill()
    _execute(server, url, "UPDATE replay SET lease_until = lease_until - 3700000")
    server.start()
    with PlainClient(server.address) as client:
        wait_for(lambda: client.call(get_replay(scenario.replay)).state != "running")
        replay = client.call(get_replay(scenario.replay))
        assert (replay.state, replay.state_reason) == ("paused", ABANDONED)
        client.call(change_replay_rate(scenario.replay, 50))
        client.call(resume_replay(scenario.replay))
    verdict = scenario.verdict()
    assert verdict.good(1), verdict


def _execute(server: ServerProcess, url: str | None, statement: str) -> None:
    """Run a statement in the database of a server that does not run."""

    async def run(address: str) -> None:
        async with connected(address) as raw:
            await raw.execute(statement)

    if url is not None:
        asyncio.run(run(url))
        return
    with closing(sqlite3.connect(server.paths.database)) as raw, raw:
        raw.execute(statement)


def _sent(scenario: ReplayScenario, server: ServerProcess) -> int:
    with PlainClient(server.address) as client:
        return client.call(get_replay(scenario.replay)).progress.sent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stopped", "events", "rate_per_s"),  # a stopped server continues while events are left
    [
        (False, 200, 2),
        pytest.param(True, EVENTS, 15, marks=[pytest.mark.soak, pytest.mark.timeout(240)]),
    ],
)
def test_another_server_continues(
    postgres: PostgresServer, tmp_path: Path, stopped: bool, events: int, rate_per_s: float
) -> None:
    with (
        databases_of(postgres.url()).fresh() as url,
        recording_receiver(tmp_path / "ledger.jsonl") as receiver,
    ):
        one, two = (ServerProcess(tmp_path / name, os.environ, url) for name in ("one", "two"))
        try:
            one.start()
            shutil.copy2(one.paths.key_file, two.paths.key_file)
            two.start()
            scenario = ReplayScenario(two, receiver)
            scenario.prepare(events)
            scenario.start(rate_per_s=rate_per_s)
            wait_for(lambda: _sent(scenario, two) > 2)
            with PlainClient(two.address) as client:
                owner = client.call(get_replay(scenario.replay)).server
            first = one if owner == "0" else two
            other = two if first is one else one
            assert first.process is not None
            first.process.send_signal(signal.SIGSTOP if stopped else signal.SIGKILL)
            begun_s = time.monotonic()
            before, arrived = _sent(scenario, other), len(receiver.entries())

            def continues() -> bool:
                # The store is only asked when there may be something new.
                return len(receiver.entries()) > arrived and _sent(scenario, other) > before

            wait_for(continues, what="the other continues")
            with PlainClient(other.address) as client:
                client.call(change_replay_rate(scenario.replay, max(rate_per_s, 50)))
            if stopped:
                time.sleep(max(30 - (time.monotonic() - begun_s), 0))
                first.process.send_signal(signal.SIGCONT)
            scenario.server = other
            verdict = scenario.verdict()
            assert verdict.duplicates <= SLOTS
            assert verdict.good(1), verdict
        finally:
            for server in (one, two):
                if server.process is not None:
                    server.process.send_signal(signal.SIGCONT)
                server.kill()
