"""The server under what the unit forbids, as far as that can be tried without systemd as init.

`tests/cli/test_systemd_unit.py` holds what is in the unit; here a real server works inside its
limits.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ANALYZE, STRACE = shutil.which("systemd-analyze"), shutil.which("strace")
_SET_MDWE = 65
"""PR_SET_MDWE of prctl(2), since Linux 6.3: what ``MemoryDenyWriteExecute=`` asks for."""
NO_NEW_EXECUTABLE_MEMORY = f"""
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl({_SET_MDWE}, 1, 0, 0, 0):
    sys.exit(77)
os.execv(sys.executable, [sys.executable, "-m", "hooktui", "serve"])
"""


def work(home: Installation, receiver: Receiver) -> None:
    """Have a server do what it does in a day."""
    hook = home.create_hook(receiver.url, "--basic-auth", "ada:secret")
    home.emit("job.failed")
    wait_for(lambda: receiver.requests)
    home.ok("hooks", "secret", str(hook["id"]), "--rotate")
    home.ok("keys", "rotate")
    home.ok("backup", str(home.home / "copy.db"))
    home.run("doctor")


def start(home: Installation, *command: str) -> None:
    with home.log.open("ab") as log:
        home.server = subprocess.Popen(
            command, env=home.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


@pytest.mark.skipif(not (ANALYZE and STRACE), reason="systemd-analyze or strace is not installed")
def test_each_system_call_is_one_that_the_unit_allows(
    idle_home: Installation, receiver: Receiver, tmp_path: Path
) -> None:
    """Red when the server needs a call outside @system-service: systemd would refuse it."""
    summary = tmp_path / "calls"
    start(idle_home, str(STRACE), "-f", "-qq", "-c", "-U", "name", "-o", str(summary),
          sys.executable, "-m", "hooktui", "serve")  # fmt: skip
    wait_for(lambda: idle_home.run("status").returncode == 0, 60, "the server answers")
    pid = idle_home.json("status")["servers"][0]["pid"]
    work(idle_home, receiver)
    os.kill(pid, signal.SIGTERM)  # the server itself: strace passes nothing on
    assert idle_home.server is not None
    idle_home.server.wait(60)
    used = {
        line.strip()
        for line in summary.read_text().splitlines()
        if re.fullmatch(r"\s*[a-z0-9_]+\s*", line) and line.strip() not in ("syscall", "total")
    }
    assert {"connect", "fdatasync", "openat"} <= used, used
    assert used - allowed("@system-service") == set()


def allowed(name: str) -> set[str]:
    """Return the calls of one of systemd's groups, and of the groups in it."""
    assert ANALYZE is not None
    listed = subprocess.run(
        [ANALYZE, "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    found: set[str] = set()
    for line in listed.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= allowed(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def test_no_memory_need_be_written_and_run(idle_home: Installation, receiver: Receiver) -> None:
    """Red when a library makes code at run time: MemoryDenyWriteExecute would end the server."""
    start(idle_home, sys.executable, "-c", NO_NEW_EXECUTABLE_MEMORY)
    assert idle_home.server is not None
    wait_for(
        lambda: idle_home.server.poll() is not None or idle_home.run("status").returncode == 0,
        60, "the server answers",
    )  # fmt: skip
    if idle_home.server.poll() == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    work(idle_home, receiver)
    idle_home.stop()
    assert idle_home.server.returncode == 0, idle_home.log.read_text()
