"""A server that has no file left for a connection waits, and blames no receiver for it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.conftest import Clients, Receivers
from tests.delivery.test_engine import OK, House, forever, house, until, url_of

__all__ = ["house"]


@contextlib.contextmanager
def no_file_left() -> Iterator[None]:
    """Let this process open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used, taken = sum(1 for _ in Path("/proc/self/fd").iterdir()), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, before[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_connection_waits_for_a_file_to_be_closed(clients: Clients, receivers: Receivers):
    receiver = await receivers.answering(OK)
    client = clients.with_(connect_s=5.0)
    with no_file_left():
        sending = asyncio.create_task(client.post(receiver.target, timeout_s=10.0))
        _, waiting = await asyncio.wait([sending], timeout=0.2)
        assert waiting
    answered = await sending
    assert (answered.status_code, answered.error) == (200, None)


async def test_no_file_in_time_is_no_answer_of_the_receiver(clients: Clients, receivers: Receivers):
    receiver = await receivers.answering(OK)
    with no_file_left(), pytest.raises(OSError, match="open files") as raised:
        await clients.with_(connect_s=0.1).post(receiver.target)
    assert raised.value.errno == errno.EMFILE


async def test_want_of_files_uses_up_no_schedule(house: House, receivers: Receivers, caplog):
    """The hook has no retries: a counted attempt would end the delivery."""
    seen: list[bytes] = []
    await house.hook(
        url_of(await receivers.behaving(forever(OK, seen))), retry_schedule_s=(), timeout_s=1.0
    )
    with no_file_left():
        await house.emit()

        async def cut_off():
            return "failed inside" in caplog.text

        await until(cut_off)
    await house.all_are("delivered", 1)
    assert len(seen) == 1


async def test_a_ping_for_want_of_files_is_told_as_cut_off(house: House, receivers: Receivers):
    receiver = await receivers.answering(OK)
    hook = await house.hook(url_of(receiver), timeout_s=1.0)
    with no_file_left():
        await house.engine.ping(hook, b"{}")
    [ping] = await house.deliveries()
    assert (ping.status, ping.reason) == ("failed", "interrupted; a ping is never retried")


def test_a_server_takes_all_the_files_that_it_may_have():
    script = (
        "import resource; from hooktui import open_files;"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1];"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)); open_files.allow_many();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout == "True\n"
