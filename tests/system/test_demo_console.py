"""``hooktui demo`` in a terminal: the console over a throw-away account."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.waiting import wait_for
from tests.system.terminal import Terminal, open_terminal
from tests.system.test_demo import environ as environ
from tests.system.test_demo import nothing_is_left


@pytest.fixture
def open_demo(environ):
    """Start demos in terminals of their own; end them all afterwards."""
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        command = [sys.executable, "-m", "hooktui", "demo", *arguments]
        opened.append(open_terminal(command, environ))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.end()


def test_the_console_shows_the_account_and_q_ends_everything(open_demo, environ):
    terminal = open_demo()
    terminal.wait_for("Data warehouse", within_s=30)
    terminal.wait_for("job.submitted", within_s=30)
    terminal.press("q")
    assert terminal.status() == 0
    assert b"Traceback" not in terminal.raw
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")
    assert not (Path(environ["HOME"]) / "hooktui").exists()


def test_a_demo_with_an_end_leaves_the_console_by_itself(open_demo, environ):
    terminal = open_demo("--for", "3s")
    assert terminal.status(within_s=30 + 3 + 20) == 0  # it starts, runs and ends
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")


def test_a_console_that_is_killed_leaves_no_server_behind(open_demo, environ):
    terminal = open_demo()
    terminal.wait_for("Retired CI", within_s=30)
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.status() == -signal.SIGKILL
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")
