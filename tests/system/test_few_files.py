"""A server that may open few files: everything is delivered once, and the API answers throughout.

Real processes. The receivers may open as many files as the machine allows.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooktui.bench.databases import Databases
from hooktui.client.address import ServerAddress
from hooktui.client.calls import create_hook, send_event, server_status
from hooktui.client.sync_client import PlainClient
from hooktui.domain.file_budget import least_files, share_files
from hooktui.domain.paths import paths_of
from tests.support.installation import PYTHON, Installation
from tests.support.waiting import wait_for
from tests.system.asking import asking
from tests.system.many_receivers import ManyReceivers, many_receivers
from tests.system.test_kills import databases

__all__ = ["databases"]

FILES = 256


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[ManyReceivers]:
    with many_receivers(tmp_path / "arrived") as one:
        yield one


def address(home: Installation) -> ServerAddress:
    return ServerAddress(socket=paths_of(home.environ).socket)


def make_hooks(home: Installation, urls: list[str], **fields: object) -> None:
    with PlainClient(address(home)) as client:
        for url in urls:
            client.call(create_hook(1, {"url": url, "events": ["job"], **fields}))


def emit(home: Installation, count: int = 1) -> None:
    with PlainClient(address(home)) as client:
        for number in range(count):
            client.call(send_event(1, "job.failed", b'{"n":%d}' % number))


def settled(home: Installation) -> bool:
    with PlainClient(address(home)) as client:
        return client.call(server_status()).backlog.count == 0


def log_of(home: Installation) -> str:
    return home.log.read_text()


# Red without the bound, or without the budget: attempts find no file, the API refuses callers, and
# the log is full of tracebacks.
@pytest.mark.parametrize(
    ("files", "hooks"),
    [
        pytest.param(FILES, 400, marks=pytest.mark.slow),
        pytest.param(FILES, 1_500, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param(FILES, 5_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param(20_000, 20_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_an_event_to_many_hooks_is_delivered_once_to_each(
    idle_home: Installation, receivers: ManyReceivers, files: int, hooks: int
):
    idle_home.start(files=files)
    hosts = ("127.0.0.1", "localhost")  # by address and by name
    make_hooks(idle_home, [receivers.url(f"in/{n}", hosts[n % 2]) for n in range(hooks)])
    with asking(paths_of(idle_home.environ).socket) as asked:
        began = time.perf_counter()
        emit(idle_home)
        wait_for(lambda: receivers.count() >= hooks, 300, "all hooks have it")
        took_s = time.perf_counter() - began
        wait_for(lambda: settled(idle_home), 60, "nothing waits")
    print(f"\n{hooks} hooks, {files} files: {took_s:.2f} s; {asked}")
    assert set(receivers.arrived().values()) == {1}
    assert asked.failed == []
    assert "Traceback" not in log_of(idle_home)
    assert "this machine has no" not in log_of(idle_home)


# Red when what is leased waits for a connection: with the lease of 60 s it would be sent twice; and
# when slow hooks may take every slot.
@pytest.mark.slow
def test_slow_receivers_hold_no_more_than_the_bound_and_fast_ones_are_served_meanwhile(
    idle_home: Installation, receivers: ManyReceivers
):
    idle_home.environ["HOOKTUI_MAX_OUTBOUND"] = "20"
    idle_home.start(files=FILES)
    make_hooks(idle_home, [receivers.url(f"2/{n}") for n in range(40)])
    emit(idle_home)  # now the server knows who is slow
    wait_for(lambda: receivers.count() == 40, 60, "all slow hooks have it")
    wait_for(lambda: settled(idle_home), 60, "nothing waits")
    make_hooks(idle_home, [receivers.url(f"in/{n}") for n in range(10)])
    emit(idle_home, 2)
    wait_for(
        lambda: (
            sum(count for (hook, _), count in receivers.arrived().items() if int(hook) > 40) == 20
        ),
        60,
        "the fast hooks have both",
    )
    with PlainClient(address(idle_home)) as client:
        found = client.call(server_status())
    assert found.connections is not None
    assert found.connections.in_use <= found.connections.most == 20
    wait_for(lambda: receivers.count() >= 40 * 3 + 10 * 2, 90, "all hooks have all")
    wait_for(lambda: settled(idle_home), 90, "nothing waits")
    assert receivers.most_open() <= 20
    assert set(receivers.arrived().values()) == {1}
    last_hook, _ = list(receivers.arrived())[-1]
    assert int(last_hook) <= 40, "slow ones still waited when the fast ones were served"
    assert len(receivers.arrived()) == 40 * 3 + 10 * 2


# Red when there is no look at the limit before anything is opened.
def test_too_few_files_end_the_start_with_what_to_do(idle_home: Installation):
    few = least_files() - 1
    run = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -n {few}; exec {PYTHON} -m hooktui serve"],
        env=idle_home.environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2
    assert f"the limit of open files is {few}" in run.stderr
    assert "LimitNOFILE" in run.stderr
    assert "Traceback" not in run.stderr
    assert share_files(few + 1, connections=1000).outbound >= 1


# Red when what is leased waits for a connection (its lease ends, and it is sent twice), or when
# more than the bound was in flight at a kill.
@pytest.mark.parametrize(
    ("databases", "path", "hooks", "kills"),
    [
        pytest.param("sqlite", "2", 12, 1, marks=pytest.mark.slow),
        pytest.param("sqlite", "10", 35, 0, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param("sqlite", "10", 35, 2, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param("postgres", "10", 35, 0, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
        pytest.param("postgres", "10", 35, 1, marks=[pytest.mark.soak, pytest.mark.timeout(600)]),
    ],
    indirect=["databases"],
)
def test_only_what_was_in_flight_at_a_kill_is_sent_twice(
    idle_home: Installation,
    receivers: ManyReceivers,
    databases: Databases,
    path: str,
    hooks: int,
    kills: int,
):
    bound = 5
    idle_home.environ["HOOKTUI_MAX_OUTBOUND"] = str(bound)
    with databases.fresh() as url:
        if url is not None:
            idle_home.environ["HOOKTUI_DATABASE_URL"] = url
        idle_home.start(files=FILES)
        make_hooks(idle_home, [receivers.url(f"{path}/{n}") for n in range(hooks)])
        emit(idle_home)
        for kill in range(kills):
            wait_for(lambda least=bound * (2 * kill + 2): receivers.count() >= least, 90, "some")
            idle_home.kill()
            idle_home.start(files=FILES)
        wait_for(lambda: len(receivers.arrived()) == hooks, 400, "all hooks have it")
        wait_for(lambda: settled(idle_home), 120, "nothing waits")
        idle_home.stop()
    arrived = receivers.arrived()
    twice = sum(count - 1 for count in arrived.values())
    print(f"\n{arrived.total()} requests, {twice} twice, {kills} kills, bound {bound}")
    assert twice <= kills * bound
    assert "Traceback" not in log_of(idle_home)
