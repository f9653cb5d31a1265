"""A server that is killed while it looks at alerts or gives events up, and a restored replay."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from hooktui.bench.databases import Databases, databases_of
from hooktui.bench.server_process import ServerProcess
from hooktui.client.calls import (
    change_replay_rate,
    create_hook,
    get_replay,
    give_up_undelivered,
    list_alerts,
    list_deliveries,
    list_undelivered,
    resend_delivery,
    send_event,
)
from hooktui.client.sync_client import PlainClient
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.errors import HooktuiError
from hooktui.selftest.ledger import recording_receiver
from hooktui.selftest.replay_test import ReplayScenario
from tests.support.kills import died
from tests.support.postgres import PostgresServer
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for
from tests.system.test_kills import databases  # noqa: F401 - a fixture

EVENTS = 4_000
A_LOOK_S = 60
"""A look comes every 15 s; on PostgreSQL the first one 45 s after the start."""
ONE_TRANSACTION = 500


@pytest.fixture
def server(tmp_path: Path, databases: Databases) -> Iterator[ServerProcess]:  # noqa: F811
    with databases.fresh() as url:
        one = ServerProcess(tmp_path / "home", os.environ, url)
        try:
            yield one
        finally:
            one.kill()


def dead_letters(server: ServerProcess) -> int:
    with PlainClient(server.address) as client:
        return client.call(list_undelivered(1)).totals.gave_up


def give_all_up(server: ServerProcess, hook: int, cause: str, until: str) -> int:
    """Give a group up; return how many dead letters the calls that responded gave up."""
    given_up, after = 0, None
    with PlainClient(server.address) as client:
        while True:
            done = client.call(give_up_undelivered(hook, cause, until, after))
            given_up, after = given_up + done.given_up, done.next
            if after is None:
                return given_up


# Red when a look announces before its commit, or does not look again. On PostgreSQL the two looks
# take 90 s.
@pytest.mark.parametrize(
    "databases", ["sqlite", pytest.param("postgres", marks=pytest.mark.soak)], indirect=True
)
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_alert_whose_look_was_killed_ends_once(
    server: ServerProcess, receiver: Receiver
) -> None:
    receiver.script["/in"] = [404] * 3
    server.start("before_alert_check_commit:kill")
    hook = server.create_hook(receiver.url, retry_schedule_s=())
    types = ["hooktui.delivery.gave_up", "hooktui.delivery.cleared"]
    with PlainClient(server.address) as client:
        client.call(create_hook(1, {"url": receiver.url_of("/alerts"), "events": types}))
        for _ in range(3):
            client.call(send_event(1, "job.failed", b"{}"))
    wait_for(lambda: dead_letters(server) == 3, what="the dead letters")
    wait_for(lambda: len(receiver.requests_to("/alerts")) == 1, what="the alert")
    with PlainClient(server.address) as client:
        for delivery in client.call(list_deliveries(1, hook=hook)).data:
            client.call(resend_delivery(delivery.id))
    assert died(server, within_s=A_LOOK_S), "no look had anything to write"
    server.start()

    def resolved() -> bool:
        with PlainClient(server.address) as client:
            page = client.call(list_alerts(1, state="resolved", kind="delivery.gave_up"))
            return [alert.resolution for alert in page.data] == ["delivered"]

    wait_for(
        lambda: len(receiver.requests_to("/alerts")) == len(types),
        A_LOOK_S,
        "the look after the restart",
    )
    wait_for(resolved, what="the alert is resolved")
    assert server.settle(10)
    told = [request.headers["X-Hook-Event"] for request in receiver.requests_to("/alerts")]
    assert told == types


@pytest.mark.slow
def test_a_give_up_that_was_killed_leaves_the_rest_visible(
    server: ServerProcess, tmp_path: Path
) -> None:
    with recording_receiver(tmp_path / "ledger.jsonl") as receiver:
        server.start()
        scenario = ReplayScenario(server, receiver)
        scenario.prepare(EVENTS)
        before = dead_letters(server)
        assert before > ONE_TRANSACTION // 2
        with PlainClient(server.address) as client:
            (group,) = client.call(list_undelivered(1)).data
        until = to_rfc3339(now_ms())

        def give_up() -> None:
            with contextlib.suppress(HooktuiError):
                give_all_up(server, group.hook, group.cause, until)

        calling = threading.Thread(target=give_up)
        calling.start()
        server.kill()
        calling.join()
        server.start()
        left = dead_letters(server)
        assert (before - left) % ONE_TRANSACTION == 0 or left == 0
        if left:
            assert give_all_up(server, group.hook, group.cause, until) == left
        assert dead_letters(server) == 0


Restore = Callable[[], None]
Backup = Callable[[], Restore]


@pytest.mark.slow
def test_a_backup_taken_in_mid_replay_continues_it(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home", os.environ)
    copy = str(tmp_path / "copy.db")

    def hooktui(*arguments: str) -> None:
        command = [sys.executable, "-m", "hooktui", *arguments]
        environ = os.environ | {"HOOKTUI_HOME": str(server.paths.home)}
        subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)

    def backup() -> Restore:
        hooktui("backup", copy)
        return partial(hooktui, "restore", copy, "--yes")

    try:
        restore_in_mid_replay(server, tmp_path, backup)
    finally:
        server.kill()


@pytest.mark.slow
def test_a_dump_taken_in_mid_replay_continues_it(tmp_path: Path, postgres: PostgresServer) -> None:
    with databases_of(postgres.url()).fresh() as url:
        server = ServerProcess(tmp_path / "home", os.environ, url)

        def dump() -> Restore:
            return partial(postgres.load, url, postgres.dump(url))

        try:
            restore_in_mid_replay(server, tmp_path, dump)
        finally:
            server.kill()


def restore_in_mid_replay(server: ServerProcess, folder: Path, back_up: Backup) -> None:
    """Back up while a replay runs, kill the server later, restore, and check all events."""
    with recording_receiver(folder / "ledger.jsonl") as receiver:
        server.start()
        scenario = ReplayScenario(server, receiver)
        scenario.prepare(400)
        scenario.start(rate_per_s=2)  # so that it does not end before the backup

        def sent() -> int:
            with PlainClient(server.address) as client:
                return client.call(get_replay(scenario.replay)).progress.sent

        def send_faster() -> None:
            with PlainClient(server.address) as client:
                client.call(change_replay_rate(scenario.replay, 50))

        wait_for(lambda: sent() > 3, what="the replay sends")
        restore = back_up()
        in_backup = sent()
        send_faster()
        wait_for(lambda: sent() > in_backup + 25, what="the replay sends more")
        server.kill()
        restore()
        server.start()
        send_faster()
        verdict = scenario.verdict()
        # What was in flight at the backup is repeated. The 25 after it have new ids: that many
        # repetitions would be more than the bound of one kill.
        assert verdict.good(1), verdict
