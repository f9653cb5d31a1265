"""A SIGHUP, such as of a lost SSH line, never ends the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hooktui.client.start import start_server
from hooktui.installation import find_paths
from tests.support.installation import PYTHON, Installation
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for


def test_a_server_that_works_ignores_it_and_says_so(home: Installation, receiver: Receiver) -> None:
    """Red without `_ignore_hangups`: it ended at once, and systemd counted that as a stop (B5)."""
    home.create_hook(receiver.url)
    assert home.server is not None
    for count in (1, 2):
        home.server.send_signal(signal.SIGHUP)
        wait_for(lambda many=count: home.log.read_text().count("SIGHUP is ignored") == many)
    home.emit("job.failed")
    wait_for(lambda: receiver.requests)
    home.stop()
    assert home.server.returncode == 0


def test_it_is_ignored_all_through_start_and_stop(idle_home: Installation) -> None:
    """Red when a handler comes with the loop and goes with it: hangups rain from exec to exit."""
    script = (
        "import os, signal, sys\n"
        "from hooktui.cli import main as entry\n"
        "options = entry.split_options\n"
        "def begun(arguments):\n"
        "    os.write(1, b'x')\n"
        "    return options(arguments)\n"
        "entry.split_options = begun\n"
        "sys.exit(entry.main())\n"
    )
    with idle_home.log.open("ab") as log:
        idle_home.server = process = subprocess.Popen(
            [sys.executable, "-c", script, "serve"],
            env=idle_home.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert process.stdout is not None
    process.stdout.read(1)
    wait_for(lambda: ignores(process.pid), what="the command knows that it serves")
    stopping = False

    def hang_up() -> bool:
        nonlocal stopping
        if process.poll() is not None:
            return True
        process.send_signal(signal.SIGHUP)
        if not stopping and idle_home._answers():
            stopping = True
            process.terminate()
        return False

    wait_for(hang_up, 60, "the server starts and stops")
    process.stdout.close()
    assert process.returncode == 0, idle_home.log.read_text()
    assert "stopped" in idle_home.log.read_text()


def ignores(pid: int) -> bool:
    """Whether a process ignores or handles SIGHUP."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = [line.split()[1] for line in lines if line.startswith(("SigIgn", "SigCgt"))]
    return any(int(mask, 16) & 1 << (signal.SIGHUP - 1) for mask in masks)


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_server_behind_a_shell_outlives_its_terminal(idle_home: Installation, shell: str) -> None:
    """``hooktui serve &`` as the README has it; the shell hangs up on its jobs when it ends."""
    with idle_home.log.open("ab") as log:
        shell_process = subprocess.Popen(
            [shell, "-c", f"{PYTHON} -m hooktui serve & echo $!; wait"],
            env=idle_home.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
            # A test of this process may have ignored it, as a server does at its end.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )  # fmt: skip
    assert shell_process.stdout is not None
    pid = int(shell_process.stdout.readline())
    try:
        wait_for(lambda: idle_home.run("status").returncode == 0, 60)
        os.killpg(shell_process.pid, signal.SIGHUP)  # as the kernel does to the foreground group
        shell_process.wait(20)
        wait_for(lambda: "SIGHUP is ignored" in idle_home.log.read_text())
        assert idle_home.run("status").returncode == 0
    finally:
        os.kill(pid, signal.SIGTERM)
        shell_process.stdout.close()
        wait_for(lambda: "stopped" in idle_home.log.read_text(), 30)


def test_a_server_that_a_console_started_ignores_it(idle_home: Installation) -> None:
    environ = {"PATH": os.environ["PATH"], **idle_home.environ}
    where = find_paths(environ)
    server = start_server(where, environ)
    try:
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: "SIGHUP is ignored" in where.log.read_text())
    finally:
        server.terminate()
        assert server.wait(20) == 0
