"""A real server whose disk gets full: it refuses in time, tidies, goes on, and loses nothing."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooktui.client.address import ServerAddress
from hooktui.client.calls import (
    create_replay,
    get_delivery,
    get_replay,
    list_deliveries,
    send_event,
)
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import DiskFull
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.replays import ReplaySelection
from tests.support.disks import small_disk
from tests.support.installation import Installation
from tests.support.postgres import running
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

DISK_MB, RESERVE_MB = 64, 16
DEAD_LETTERS = 30
BODY = b'{"log":"%b"}' % (b"x" * 200_000)
MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_MB) as folder:
        yield folder


@pytest.fixture
def home(disk: Path, tmp_path: Path) -> Iterator[Installation]:
    """A server whose home is on a disk of 64 MiB, 16 of which it keeps free."""
    installation = Installation(disk / "home")
    installation.home.mkdir(mode=0o700)
    installation.log = tmp_path / "log"
    installation.environ["HOOKTUI_RESERVE_MB"] = str(RESERVE_MB)
    installation.start()
    yield installation
    installation.stop()


@pytest.fixture
def client(home: Installation) -> Iterator[PlainClient]:
    with PlainClient(ServerAddress(socket=home.home / "hooktui.sock")) as one:
        yield one


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def fill_up(file: Path) -> None:
    """Write until nothing more fits on the disk."""
    with file.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
        while True:
            opened.write(b"x" * max(min(free_bytes(file.parent), MIB), 1))


def offer_until_refused(client: PlainClient) -> list[str]:
    """Send big events until one is refused; return those that were accepted."""
    accepted: list[str] = []
    for _ in range(2 * DISK_MB * MIB // len(BODY)):
        try:
            accepted.append(client.call(send_event(1, "job.failed", BODY)).id)
        except DiskFull:  # 507
            return accepted
    raise AssertionError(f"a disk of {DISK_MB} MiB took all of it")


def accepted_again(client: PlainClient) -> str:
    """Return an event that is accepted now that there is room."""

    def accept() -> str | None:
        try:
            return client.call(send_event(1, "job.failed", b"{}")).id
        except DiskFull:
            return None

    found = wait_for(accept, what="events are taken in again")
    assert found is not None
    return found


def deliveries(client: PlainClient, q: str | None = None) -> list[Delivery]:
    """Return all deliveries that fit a filter; in one page, or the test has made too many."""
    page = client.call(list_deliveries(1, q=q, limit=500))
    assert page.next is None
    return page.data


def statuses(client: PlainClient) -> set[str]:
    return {one.status for one in deliveries(client)}


def received(receiver: Receiver) -> list[str]:
    return [one.headers["webhook-id"] for one in list(receiver.requests)]


def wait_for_all(
    accepted: list[str], receiver: Receiver, client: PlainClient, home: Installation
) -> None:
    """Wait until all events have arrived; a failure says what became of the others."""
    try:
        wait_for(lambda: len(received(receiver)) >= len(accepted), 30, "all arrive")
    except AssertionError as error:
        missing = set(accepted) - set(received(receiver))
        left = [one for one in deliveries(client) if one.event in missing]
        error.add_note(f"missing: {left}\n{home.log.read_text()[-2000:]}")
        raise


def test_a_server_refuses_before_its_disk_is_full_and_a_purge_lets_it_go_on(
    home: Installation, client: PlainClient, disk: Path, receiver: Receiver
):
    home.create_hook(receiver.url, "--retry-schedule", "")
    accepted = offer_until_refused(client)
    assert len(accepted) > 20
    assert free_bytes(disk) > RESERVE_MB * MIB // 4, "there is room left to tidy in"
    # What was accepted is sent and its results are stored, full or not.
    wait_for_all(accepted, receiver, client, home)
    wait_for(lambda: statuses(client) == {"delivered"})

    def refused() -> subprocess.CompletedProcess[bytes] | None:
        # A checkpoint may have given back what a few more need.
        accepted.extend(offer_until_refused(client))
        run = home.run("emit", "job.failed", "-", stdin=b"{}")
        if run.returncode == 0:
            accepted.append(run.stdout.decode().strip())
            return None
        return run

    run = wait_for(refused, 30, "a full disk")
    assert run is not None
    assert run.returncode == 1
    assert b"hooktui purge" in run.stderr
    wait_for_all(accepted, receiver, client, home)
    wait_for(lambda: statuses(client) == {"delivered"})
    gone = home.json("purge", "--older-than", "0s", "--yes")
    assert gone["events"] == len(accepted)
    wal = home.home / "hooktui.db-wal"
    wait_for(lambda: wal.stat().st_size < MIB, what="a checkpoint that cuts the log")
    accepted.append(accepted_again(client))
    accepted += offer_until_refused(client)
    assert len(accepted) > 40, "what the purge made free is used again"
    wait_for_all(accepted, receiver, client, home)
    assert sorted(received(receiver)) == sorted(accepted), "none lost, none twice"
    assert "failed" not in home.log.read_text()


def test_a_disk_that_somebody_else_fills_to_the_last_byte_costs_nothing_but_time(
    home: Installation, client: PlainClient, disk: Path, receiver: Receiver
):
    receiver.released.clear()
    home.create_hook(receiver.url, "--retry-schedule", "", "--max-in-flight", "20")
    accepted = [client.call(send_event(1, "job.failed", b'{"n":1}')).id for _ in range(20)]
    wait_for(lambda: len(received(receiver)) == 20, what="all attempts are under way")
    filler = disk / "filler"
    fill_up(filler)
    with pytest.raises(DiskFull):
        client.call(send_event(1, "job.failed", b"{}"))
    receiver.released.set()  # 20 results come in that have no room
    wait_for(lambda: write_failed(home), what="a write that fails")
    assert home.run("status").returncode == 0, "it answers all the same"
    filler.unlink()
    accepted.append(accepted_again(client))
    wait_for(lambda: statuses(client) == {"delivered"}, 30)
    assert sorted(received(receiver)) == sorted(accepted), "none lost, none twice"
    shown = [client.call(get_delivery(one.id)) for one in deliveries(client)]
    assert {len(one.attempts) for one in shown} == {1}


def test_a_full_disk_costs_no_alert_and_no_delivery_of_a_replay(
    home: Installation, client: PlainClient, disk: Path, receiver: Receiver
):
    replay = replay_until_one_is_in_flight(home, client, receiver)
    filler = disk / "filler"
    fill_up(filler)
    receiver.released.set()
    wait_for(lambda: write_failed(home), what="a write that fails")
    wait_for(lambda: client.call(get_replay(replay)).hooks[0].waits_for == "disk")
    filler.unlink()
    check_replay(client, receiver, replay)


def test_a_full_disk_of_postgresql_costs_no_alert_and_no_delivery_of_a_replay(
    tmp_path: Path, receiver: Receiver
):
    with running() as server, small_disk(server.folder / "small", 32) as disk:
        home = Installation(tmp_path / "home")
        home.home.mkdir(mode=0o700)
        home.environ["HOOKTUI_DATABASE_URL"] = server.create_on(disk)
        home.start()
        try:
            with PlainClient(ServerAddress(socket=home.home / "hooktui.sock")) as client:
                receiver.body = secrets.token_bytes(4096)  # each result needs space
                replay = replay_until_one_is_in_flight(home, client, receiver)
                filler = disk / "filler"
                fill_up(filler)
                receiver.released.set()
                wait_for(
                    lambda: (
                        write_failed(home) or "a step of a replay failed" in home.log.read_text()
                    )
                )
                assert home.run("status").returncode == 0, "it answers all the same"
                filler.unlink()
                check_replay(client, receiver, replay)
        finally:
            home.stop()


def write_failed(home: Installation) -> bool:
    """Return whether results of attempts could not be written."""
    return re.search("recording [0-9]+ results? failed", home.log.read_text()) is not None


def replay_until_one_is_in_flight(
    home: Installation, client: PlainClient, receiver: Receiver
) -> str:
    """Start to replay dead letters; return the replay once the receiver keeps one waiting."""
    hook = home.create_hook(receiver.url, "--retry-schedule", "")["id"]
    types = ("hooktui.delivery.gave_up", "hooktui.delivery.cleared", "hooktui.replay.finished")
    home.create_hook(receiver.url_of("/alerts"), events=",".join(types))
    receiver.script["/in"] = [404] * DEAD_LETTERS
    for _ in range(DEAD_LETTERS):
        client.call(send_event(1, "job.failed", b"{}"))
    wait_for(lambda: len(deliveries(client, "status:failed")) == DEAD_LETTERS)
    selection = ReplaySelection(hooks=(hook,))
    call = create_replay(1, selection, rate_per_s=10, max_deliveries=DEAD_LETTERS)
    replay = client.call(call).id
    wait_for(lambda: len(receiver.requests_to("/in")) > DEAD_LETTERS + 5, what="the replay sends")
    receiver.released.clear()
    before = len(receiver.requests_to("/in"))
    wait_for(lambda: len(receiver.requests_to("/in")) > before, what="an attempt is in flight")
    receiver.script["/in"] = [404]
    return replay


def check_replay(client: PlainClient, receiver: Receiver, replay: str) -> None:
    """Wait until the replay has finished: each dead letter was sent once, and both alerts."""
    wait_for(lambda: client.call(get_replay(replay)).state == "finished", 60, "the replay ends")
    lost = [one.event for one in deliveries(client, "status:failed") if one.replay is None]
    assert len(lost) == DEAD_LETTERS
    sent = deliveries(client, f"replay:{replay}")
    assert sorted(one.event for one in sent) == sorted(lost), "each dead letter once"
    assert Counter(one.status for one in sent) == {"delivered": DEAD_LETTERS - 1, "failed": 1}
    arrived = Counter(one.headers["webhook-id"] for one in receiver.requests_to("/in"))
    assert arrived == dict.fromkeys(lost, 2), "none lost, none twice"
    wait_for(lambda: len(receiver.requests_to("/alerts")) == 2, what="the alerts")
    told = [one.headers["X-Hook-Event"] for one in receiver.requests_to("/alerts")]
    assert told == ["hooktui.delivery.gave_up", "hooktui.replay.finished"]
