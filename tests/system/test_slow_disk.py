"""A real server whose disk becomes slow: each sync takes a second."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from hooktui.client.address import ServerAddress
from hooktui.client.calls import healthy, send_event, server_status
from hooktui.client.sync_client import PlainClient
from tests.support.disks import small_disk
from tests.support.installation import Installation
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

SYNC_S = 1.0
PRODUCERS, EVENTS = 4, 2


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    """A server whose disk is fast at the start, so that it commits in the event loop."""
    with small_disk(tmp_path / "disk", 64) as disk:
        installation = Installation(disk / "home")
        installation.home.mkdir(mode=0o700)
        installation.environ["HOOKTUI_RESERVE_MB"] = "16"
        installation.start()
        yield installation
        installation.stop()


@contextmanager
def slow_syncs(process: int) -> Iterator[None]:
    """Delay each sync of a process; skip the test where no process may be traced."""
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine")
    syncs = "fsync,fdatasync"
    delay = f"inject={syncs}:delay_enter={SYNC_S * 1e6:.0f}"
    command = ["strace", "-f", "-p", str(process), "-o", "/dev/null"]
    strace = subprocess.Popen(
        [*command, "-e", f"trace={syncs}", "-e", delay], stderr=subprocess.PIPE
    )
    assert strace.stderr is not None
    if b"attached" not in strace.stderr.readline():
        strace.kill()
        strace.wait(10)
        pytest.skip("no process may be traced here")
    try:
        yield
    finally:
        strace.terminate()
        strace.wait(20)


def test_a_slow_disk_delays_producers_and_nothing_else(
    home: Installation, receiver: Receiver
) -> None:
    home.create_hook(receiver.url)
    assert home.server is not None
    address = ServerAddress(socket=home.home / "hooktui.sock")

    def produce(_: int) -> list[str]:
        with PlainClient(address) as client:
            return [client.call(send_event(1, "job.failed", b"{}")).id for _ in range(EVENTS)]

    with slow_syncs(home.server.pid), ThreadPoolExecutor(PRODUCERS) as pool:
        with PlainClient(address) as client:
            client.call(send_event(1, "job.failed", b"{}"))  # the commit that finds it out
            sending = [pool.submit(produce, number) for number in range(PRODUCERS)]
            took_s: list[float] = []
            while not all(one.done() for one in sending):
                begun_s = time.monotonic()
                client.call(healthy())
                took_s.append(time.monotonic() - begun_s)
                time.sleep(0.05)
            shown = client.call(server_status()).database
        ids = [identity for one in sending for identity in one.result(30)]
    assert median(took_s) < SYNC_S / 4, "the event loop waited for syncs"
    assert shown is not None
    assert (shown.longest_commit_ms or 0) > SYNC_S * 1000
    assert "longest commit" in home.ok("status")
    assert len(set(ids)) == PRODUCERS * EVENTS
    wait_for(lambda: len(receiver.requests) > len(ids), 30, "all deliveries")
    assert len({one.headers["X-Hook-Delivery"] for one in receiver.requests}) == len(ids) + 1
    assert len(receiver.requests) == len(ids) + 1
