"""What the service manager is told, by a server in a process of its own and by its parts."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hooktui import failpoints
from hooktui.domain.heartbeat import Heartbeat
from hooktui.server.systemd import Notifier, is_journal, notifier_of
from hooktui.store.contract import NewEvent
from hooktui.store.sqlite import store as sqlite
from tests.support.clocks import Clock
from tests.support.stores import DEFAULT, make_hook, open_in
from tests.support.waiting import LIMIT_S

WATCHDOG_S = 1.0


class Manager:
    """A socket such as systemd's, and what came."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.heard: list[str] = []

    def hear(self, within_s: float) -> str | None:
        self._socket.settimeout(within_s)
        try:
            self.heard.append(self._socket.recv(4096).decode())
        except TimeoutError:
            return None
        return self.heard[-1]

    def wait_for(self, text: str, within_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + within_s
        while text not in (self.hear(max(deadline - time.monotonic(), 0.01)) or ""):
            assert time.monotonic() < deadline, f"{text} was not told: {self.heard[-5:]}"

    def is_notified(self, within_s: float = LIMIT_S) -> bool:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if "WATCHDOG=1" in (self.hear(max(deadline - time.monotonic(), 0.01)) or ""):
                return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path: Path) -> Iterator[Manager]:
    abstract = f"@hooktui-test-{secrets.token_hex(8)}"
    one = Manager(str(tmp_path / "notify") if request.param == "path" else abstract)
    yield one
    one.close()


@pytest.fixture
def serve(tmp_path: Path, manager: Manager) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(**environ: str) -> subprocess.Popen[bytes]:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
        given = {
            "HOOKTUI_HOME": str(tmp_path / "home"),
            "NOTIFY_SOCKET": manager.address,
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "hooktui", "serve"],
            env=keep | given | environ,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        one.wait(10)


def test_a_server_tells_that_it_is_ready_lives_and_stops(manager: Manager, serve) -> None:
    process = serve()
    manager.wait_for("READY=1")
    manager.wait_for("WATCHDOG=1\nSTATUS=0.0 delivered a second, 0 in flight")
    assert manager.is_notified()
    process.send_signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")
    assert process.wait(20) == 0


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_a_server_whose_loop_is_blocked_stops_notifying_the_watchdog(
    manager: Manager, serve, tmp_path: Path
) -> None:
    serve(**failpoints.environment("before_accept_commit:block"))
    manager.wait_for("READY=1")
    assert manager.is_notified()
    producer = subprocess.Popen(
        [sys.executable, "-m", "hooktui", "emit", "job.failed", "-"],
        env=os.environ | {"HOOKTUI_HOME": str(tmp_path / "home")}, stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert producer.stdin is not None
    producer.stdin.write(b"{}")
    producer.stdin.close()
    deadline = time.monotonic() + LIMIT_S
    while manager.is_notified(WATCHDOG_S):  # until it has the event
        assert time.monotonic() < deadline
    producer.kill()
    producer.wait()


@pytest.mark.parametrize("manager", ["path"], indirect=True)
async def test_a_blocked_writer_is_reported_although_the_loop_runs(
    manager: Manager, tmp_path: Path, monkeypatch
) -> None:
    """Red when only the loop is looked at: the writer of a slow disk has a thread of its own."""
    monkeypatch.setattr(sqlite, "SLOW_FSYNC_MS", -1)
    home = tmp_path / "home"
    home.mkdir()
    store = await open_in(home)
    await make_hook(store)
    notifier = Notifier(manager.address, 0.3)
    telling = asyncio.create_task(notifier.run(store.heartbeats, lambda: True, lambda: "ok"))
    assert await asyncio.to_thread(manager.is_notified)
    held = asyncio.Event()
    loop, released = asyncio.get_running_loop(), threading.Event()

    def block(_name: str) -> None:
        loop.call_soon_threadsafe(held.set)
        released.wait(20)

    monkeypatch.setitem(failpoints._ACTIONS, "block", block)
    failpoints.arm("before_accept_commit:block")
    try:
        accepting = asyncio.create_task(store.accept([NewEvent(DEFAULT, "job.failed", b"{}")]))
        await asyncio.wait_for(held.wait(), 10)
        await asyncio.to_thread(manager.wait_for, "STATUS=wedged: the writer has been in one step")
        assert not await asyncio.to_thread(manager.is_notified, 0.5)
    finally:
        released.set()
        failpoints.arm(None)
    await accepting
    assert await asyncio.to_thread(manager.is_notified)  # it moves again
    telling.cancel()
    await store.close()


@pytest.mark.parametrize("manager", ["path"], indirect=True)
async def test_a_dispatcher_that_is_stuck_or_gone_stops_notifying_the_watchdog(
    manager: Manager,
) -> None:
    clock, working = Clock(), [True]
    heartbeat = Heartbeat("dispatcher", clock.steady_s)
    notifier = Notifier(manager.address, 0.3)
    telling = asyncio.create_task(notifier.run([heartbeat], lambda: working[0], lambda: "fine"))
    heartbeat.start()
    assert await asyncio.to_thread(manager.is_notified)
    clock.advance(0.4)
    await asyncio.to_thread(manager.wait_for, "wedged: the dispatcher has been in one step")
    heartbeat.idle()
    assert await asyncio.to_thread(manager.is_notified)
    working[0] = False
    await asyncio.to_thread(manager.wait_for, "wedged: sending has stopped")
    assert not await asyncio.to_thread(manager.is_notified, 0.5)
    notifier.stopping()  # a stop has a deadline of its own
    assert await asyncio.to_thread(manager.is_notified)
    telling.cancel()


@pytest.mark.parametrize(("watchdog_s", "most_s"), [(1.0, 0.5), (0.3, 0.15), (None, 10)])
async def test_the_watchdog_is_notified_twice_in_its_interval_or_more_often(
    watchdog_s: float | None, most_s: float, tmp_path: Path, monkeypatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    notifier = Notifier(str(tmp_path / "nobody"), watchdog_s)
    with pytest.raises(asyncio.CancelledError):
        await notifier.run([], lambda: True, lambda: "fine")
    assert len(pauses) == 1
    assert pauses[0] <= most_s


def test_a_manager_that_does_not_listen_is_no_fault(tmp_path: Path, caplog) -> None:
    Notifier(str(tmp_path / "nobody")).send(READY=1)
    assert "systemd could not be notified of READY" in caplog.text
    Notifier().send(READY=1)


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "1000000"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1500000"}, 1.5),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_environment_says_whom_to_notify_and_how_often(environ, watchdog_s) -> None:
    assert notifier_of(environ).watchdog_s == watchdog_s


def test_the_journal_is_known_by_the_stream_and_not_by_the_variable_alone(tmp_path: Path) -> None:
    """Red when the variable is enough: a terminal inherits it from the desktop's own service."""
    with (tmp_path / "log").open("w") as stream, (tmp_path / "other").open("w") as other:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(environ, stream)
        assert not is_journal(environ, other)
        assert not is_journal({}, stream)
    assert not is_journal(environ, stream)  # closed
