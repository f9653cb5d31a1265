"""A server that is killed, stopped or crowded out at any moment loses nothing that it accepted."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hooktui.bench.databases import Databases, databases_of
from hooktui.client.address import ServerAddress
from hooktui.client.calls import create_hook, get_delivery, resend_delivery, send_event
from hooktui.client.sync_client import PlainClient
from hooktui.domain.adaptive_limit import FIRST_LIMIT
from hooktui.domain.clock import from_rfc3339, now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import paths_of
from hooktui.failpoints import POINTS
from hooktui.selftest.crash_test import Scenario, prepared, run_crash_test
from hooktui.selftest.ledger import STEADY
from tests.support.installation import Installation
from tests.support.kills import died
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

SCARCE = {"before_migration_commit", "before_rescue_commit", "while_stopping"}
"""Points that only a start or a stop passes: each has a test of its own."""
NEVER_UNDER_LOAD = {"before_release_commit"}
"""Passed when a caller is cancelled between commit and answer: held by a test of the store."""
OF_THE_ENGINE = {
    "after_accept_commit", "after_claim_commit", "before_send", "after_send_before_record",
    "after_record_commit",
}  # fmt: skip
"""Points where no database has code of its own: on PostgreSQL they are tried with ``-m soak``."""
KINDS = ("sqlite", "postgres")
STOP_S = 15


UNDER_LOAD = tuple(point for point in POINTS if point not in SCARCE | NEVER_UNDER_LOAD)
BOUNDARIES = [
    pytest.param("sqlite", UNDER_LOAD, id="sqlite"),
    pytest.param(
        "postgres", tuple(one for one in UNDER_LOAD if one not in OF_THE_ENGINE), id="postgres"
    ),
    *(
        pytest.param(kind, (point,), id=f"{kind}-{point}", marks=pytest.mark.soak)
        for kind in KINDS
        for point in UNDER_LOAD
    ),
]
at_each_boundary = pytest.mark.parametrize(
    ("databases", "points"), BOUNDARIES, indirect=["databases"]
)
"""Try a test at the points that a server under load passes: together, and with soak one by one."""


@pytest.fixture(params=KINDS)
def databases(request: pytest.FixtureRequest) -> Databases:
    """SQLite, and PostgreSQL: that of ``HOOKTUI_TEST_DATABASE_URL``, or one made for the tests."""
    if request.param == "sqlite":
        return databases_of(None)
    given = os.environ.get("HOOKTUI_TEST_DATABASE_URL")
    return databases_of(given or request.getfixturevalue("postgres").url())


@pytest.fixture
def scenario(tmp_path: Path, databases: Databases) -> Iterator[Scenario]:
    """A receiver, and a server that is not started yet, on either store."""
    with databases.fresh() as url, prepared(tmp_path, os.environ, url) as one:
        yield one


def assert_all_arrived(scenario: Scenario) -> None:
    verdict = scenario.verdict()
    assert verdict.good, verdict
    assert scenario.producer.refused == []
    assert verdict.accepted > 0
    assert verdict.delivered == 2 * verdict.accepted


def accepted(scenario: Scenario, count: int) -> None:
    wait_for(lambda: len(scenario.producer.sent) >= count, what=f"{count} events are accepted")


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(4, marks=pytest.mark.slow),
        pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
def test_kill_9_at_random_moments_loses_nothing(kills: int, databases: Databases):
    report = run_crash_test(
        os.environ, kills=kills, databases=databases, progress=lambda _text: None
    )
    assert report.good, report
    assert report.verdict.delivered == 2 * report.verdict.accepted


@at_each_boundary
def test_a_server_that_dies_at_a_boundary_delivers_all_after_a_restart(
    scenario: Scenario, points: Sequence[str]
):
    scenario.server.start(f"{points[0]}:kill@20")
    scenario.make_hooks()
    scenario.producer.start()
    assert died(scenario.server, within_s=20), f"the server never came to {points[0]}"
    for point in points[1:]:
        scenario.server.start(f"{point}:kill@20", wait=False)
        assert died(scenario.server, within_s=20), f"the server never came to {point}"
    scenario.server.start()
    accepted(scenario, len(scenario.producer.sent) + 20)
    assert_all_arrived(scenario)


@at_each_boundary
def test_a_fault_at_a_boundary_costs_no_event(scenario: Scenario, points: Sequence[str]):
    scenario.server.start(",".join(f"{point}:error@{5 + n}" for n, point in enumerate(points)))
    scenario.make_hooks()
    scenario.producer.start()
    accepted(scenario, 100)

    def missed() -> list[str]:
        log = scenario.server.paths.log.read_text()
        return [point for point in points if f"the failpoint {point}" not in log]

    # On a slow machine one claim takes many, so that a point is reached later.
    wait_for(lambda: not missed(), what="a fault at each boundary")
    assert_all_arrived(scenario)


# Red when nothing returns them: they would wait for their leases, 60 s.
def test_claims_that_failed_after_their_commit_are_returned_also_at_the_second_try(
    scenario: Scenario,
):
    scenario.server.start("after_claim_commit:error@2,before_release_commit:error")
    scenario.make_hooks()
    scenario.producer.start()
    accepted(scenario, 100)
    assert_all_arrived(scenario)
    assert "failpoint before_release_commit" in scenario.server.paths.log.read_text()


def test_a_server_that_dies_while_it_makes_its_schema_makes_it_at_the_next_start(
    scenario: Scenario,
):
    scenario.server.start("before_migration_commit:kill")
    assert died(scenario.server, within_s=20)
    scenario.server.start()
    scenario.make_hooks()
    scenario.producer.start()
    accepted(scenario, 10)
    assert_all_arrived(scenario)


def test_a_server_that_dies_while_it_rescues_rescues_at_the_next_start(scenario: Scenario):
    scenario.server.start("after_send_before_record:kill@30")
    scenario.make_hooks()
    scenario.producer.start()
    assert died(scenario.server, within_s=20)
    scenario.server.start("before_rescue_commit:kill")
    assert died(scenario.server, within_s=20), "nothing was left to rescue"
    scenario.server.start()
    assert_all_arrived(scenario)


def test_a_server_that_dies_while_it_stops_loses_nothing(scenario: Scenario):
    scenario.server.start("while_stopping:kill")
    scenario.make_hooks()
    scenario.producer.start()
    accepted(scenario, 50)
    assert scenario.server.process is not None
    scenario.server.process.terminate()
    assert died(scenario.server, within_s=STOP_S)
    scenario.server.start()
    assert_all_arrived(scenario)


def test_a_stop_under_load_ends_in_time_and_loses_nothing(scenario: Scenario):
    scenario.server.start()
    scenario.make_hooks()
    scenario.producer.start()
    for _ in range(2):
        accepted(scenario, len(scenario.producer.sent) + 50)
        scenario.server.terminate(within_s=STOP_S)
        assert scenario.server.process is not None
        assert scenario.server.process.returncode == 0
        scenario.server.start()
    assert_all_arrived(scenario)


@pytest.mark.slow
def test_a_stop_cuts_off_a_receiver_that_hangs_and_sends_again_after_the_start(
    home: Installation, receiver: Receiver
):
    home.create_hook(receiver.url, "--retry-schedule", "1h")
    receiver.released.clear()
    with PlainClient(ServerAddress(socket=paths_of(home.environ).socket)) as client:
        # Not by a command, which takes longer: the attempt times out after 15 s.
        client.call(send_event(1, "job.failed", b"{}"))
    wait_for(lambda: receiver.requests, what="the attempt that hangs")
    assert home.server is not None
    home.server.terminate()
    assert home.server.wait() == 0
    receiver.released.set()
    home.start()
    wait_for(lambda: home.deliveries()[0]["status"] == "delivered")
    [delivery] = home.deliveries()
    shown = home.json("deliveries", "show", delivery["id"])
    assert [one["outcome"] for one in shown["attempts"]] == ["interrupted", "delivered"]
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_an_interrupted_attempt_is_reported_and_uses_up_no_schedule(scenario: Scenario):
    """The steady hook has no retries at all: one counted interruption would give up."""
    scenario.server.start("after_send_before_record:kill@10")
    scenario.make_hooks()
    scenario.producer.start()
    assert died(scenario.server, within_s=20)
    scenario.server.start()
    assert_all_arrived(scenario)
    again = [one for one in scenario.server.deliveries() if one.attempts > 1]
    with PlainClient(scenario.server.address) as client:
        shown = [client.call(get_delivery(one.id)) for one in again[:50]]
    outcomes = {tuple(attempt.outcome for attempt in one.attempts) for one in shown}
    assert ("interrupted", "delivered") in outcomes


def test_a_second_server_on_the_same_home_is_refused_while_the_first_works_on(scenario: Scenario):
    scenario.server.start()
    scenario.make_hooks()
    scenario.producer.start()
    first = scenario.server.process
    second = scenario.server.start(wait=False)
    assert second.wait(20) == 1
    scenario.server.process = first
    assert first is not None
    assert first.poll() is None
    assert f"{first.pid}" in scenario.server.paths.log.read_text()
    accepted(scenario, len(scenario.producer.sent) + 20)
    assert_all_arrived(scenario)


def test_a_restart_does_not_wait_for_the_leases_of_the_server_that_died(scenario: Scenario):
    """A lease runs for 60 s; the lock proves that its owner is dead (1 s when measured)."""
    scenario.server.start("after_send_before_record:kill@40")
    scenario.make_hooks()
    scenario.producer.start()
    assert died(scenario.server, within_s=20)
    before = len(scenario.receiver.entries())
    scenario.server.start(wait=False)
    wait_for(lambda: len(scenario.receiver.entries()) > before, 15, "a delivery after the restart")
    accepted(scenario, len(scenario.producer.sent) + 20)
    assert_all_arrived(scenario)


def kill_beside_a_silent_receiver(
    scenario: Scenario, receiver: Receiver, lives_s: Sequence[float], retry_s: float
) -> list[Counter[str]]:
    """Kill a server that has claimed ahead for a receiver that stops to respond, again and again.

    Returns:
        What arrived without a response in each life of the server; the last one still runs.
    """
    scenario.server.start()
    fields = {
        "url": receiver.url, "events": ["job"], "timeout_s": 15, "retry_schedule_s": [retry_s] * 3,
    }  # fmt: skip
    with PlainClient(scenario.server.address) as client:
        client.call(create_hook(1, fields))
    scenario.producer.start()
    receiver.wait_for(300)
    receiver.released.clear()
    answered = len(receiver.requests)
    accepted(scenario, len(scenario.producer.sent) + 300)
    scenario.producer.stop()
    lives: list[Counter[str]] = []
    before = answered
    for seconds in lives_s:
        # All that it sends is with the receiver before the kill, and counts for this life.
        receiver.wait_for(before + (FIRST_LIMIT if lives else 1))
        time.sleep(seconds)
        scenario.server.kill()
        arrived = receiver.requests[before:]
        before += len(arrived)
        lives.append(Counter(request.headers["X-Hook-Delivery"] for request in arrived))
        scenario.server.start()
    return lives


@pytest.mark.slow
@pytest.mark.parametrize(
    "databases",
    ["sqlite", pytest.param("postgres", marks=pytest.mark.soak)],
    indirect=True,
)
# Red when a server starts more at once than the limit of a receiver that has not responded.
def test_a_kill_beside_a_silent_receiver_repeats_only_what_was_in_flight(
    scenario: Scenario, receiver: Receiver
):
    lives = kill_beside_a_silent_receiver(scenario, receiver, (1.0, 0.2, 3.0, 1.5), 5)
    assert {count for life in lives for count in life.values()} == {1}
    assert [len(life) for life in lives[1:]] == [FIRST_LIMIT] * 3
    receiver.released.set()
    assert scenario.server.settle(60)
    assert {one.status for one in scenario.server.deliveries()} == {"delivered"}
    arrived = Counter(request.headers["X-Hook-Delivery"] for request in receiver.requests)
    assert len(arrived) == len(scenario.producer.sent)
    assert sum(arrived.values()) - len(arrived) <= sum(len(life) for life in lives)


@pytest.mark.soak  # longer than a lease
@pytest.mark.timeout(400)
def test_a_receiver_that_never_responds_gets_nothing_twice_from_a_server(
    scenario: Scenario, receiver: Receiver
):
    lives = kill_beside_a_silent_receiver(scenario, receiver, (80.0, 80.0), 3600)
    assert {count for life in lives for count in life.values()} == {1}
    assert FIRST_LIMIT < len(lives[1]) <= 6 * FIRST_LIMIT


@pytest.mark.slow
@pytest.mark.parametrize(
    "databases",
    ["sqlite", pytest.param("postgres", marks=pytest.mark.soak)],
    indirect=True,
)
def test_a_delivery_that_kills_its_server_each_time_waits_and_gives_nothing_up(scenario: Scenario):
    """Ten crashes in a row; the hook has no retries, so a counted one would end the delivery."""
    server = scenario.server
    server.start("before_send:kill")
    hook = server.create_hook(scenario.receiver.url(STEADY), retry_schedule_s=())
    with PlainClient(server.address) as client, contextlib.suppress(HooktuiError):
        client.call(send_event(1, "job.failed", b"{}", key="deadly"))
    assert died(server, within_s=20)
    for _ in range(9):
        server.start("before_send:kill", wait=False)
        assert died(server, within_s=20)
    server.start()
    [waiting] = server.deliveries()
    assert (waiting.hook, waiting.status, waiting.attempts) == (hook, "pending", 10)
    assert waiting.reason == "interrupted 10 times in a row"
    assert waiting.next_attempt_at is not None
    wait_s = (from_rfc3339(waiting.next_attempt_at) - now_ms()) / 1000
    assert 240 < wait_s <= 300
    with PlainClient(server.address) as client:
        client.call(resend_delivery(waiting.id))
    assert server.settle(10)
    assert [one.status for one in server.deliveries()] == ["delivered"]
