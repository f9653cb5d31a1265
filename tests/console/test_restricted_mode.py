"""Restricted mode in the console: no way out to a shell, a browser, a file or another program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from textual.app import SuspendNotSupported

from hooktui.console.app import ConsoleApp
from hooktui.console.shell import terminal
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.shell.server_connection import ConnectionState, ServerConnection
from hooktui.console.shell.terminal import write_fault
from hooktui.domain.errors import NotAllowed

CONFINED = {"HOOKTUI_RESTRICTED": "1"}


class SeenEnough(Exception):
    """Ends what would look for a server for ever."""


def files_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - a name is enough


@pytest.fixture
def stopping():
    """What ctrl+z does, put back after a test."""
    before = signal.getsignal(signal.SIGTSTP)
    yield
    signal.signal(signal.SIGTSTP, before)


@pytest.fixture
def app(tmp_path: Path) -> ConsoleApp:
    return ConsoleApp(environ={"HOOKTUI_HOME": str(tmp_path), **CONFINED})


def test_a_console_is_restricted_by_its_environment(app: ConsoleApp, tmp_path: Path) -> None:
    assert app.restricted
    assert not ConsoleApp(environ={"HOOKTUI_HOME": str(tmp_path)}).restricted


def test_the_terminal_is_given_to_no_other_program(app: ConsoleApp, stopping: None) -> None:
    app.ignore_suspend()
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    app.action_suspend_process()
    with pytest.raises(SuspendNotSupported), app.suspend():
        raise AssertionError("the terminal was given away")


async def test_no_picture_is_written(app: ConsoleApp, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with app.run_test():
        for write in (app.save_screenshot, app.deliver_screenshot):
            with pytest.raises(NotAllowed, match="writing a file"):
                write("picture.svg", str(tmp_path))
    assert files_in(tmp_path) == []


async def test_a_picture_is_written_outside_restricted_mode(client, tmp_path: Path) -> None:
    free = client.console()
    async with free.run_test():
        free.save_screenshot("picture.svg", str(tmp_path))
    assert (tmp_path / "picture.svg").exists()


async def test_no_browser_is_started(app: ConsoleApp, tmp_path: Path, monkeypatch) -> None:
    called = tmp_path / "called"
    monkeypatch.setenv("BROWSER", f"touch {called} #%s")
    async with app.run_test():
        app.open_url("http://127.0.0.1:9/")
    assert not called.exists()


async def test_no_other_program_is_started_to_copy(app, tmp_path: Path, monkeypatch) -> None:
    tmux = tmp_path / "tmux"
    tmux.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    tmux.chmod(0o755)
    monkeypatch.setenv("TMUX", "/tmp/x,1,0")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with app.run_test():
        assert "tmux" in await terminal.copy(app, "text", "it")
        (tmp_path / "called").unlink()
        monkeypatch.setenv("HOOKTUI_RESTRICTED", "1")
        assert "tmux" not in await terminal.copy(app, "text", "it")
    assert not (tmp_path / "called").exists()


async def test_no_server_is_started(tmp_path: Path) -> None:
    seen: list[ConnectionState] = []
    environ = {"HOOKTUI_HOME": str(tmp_path), **CONFINED}
    connection: ServerConnection

    def changed(state: ConnectionState, _problem: object) -> None:
        seen.append(state)
        raise SeenEnough

    connection = ServerConnection(ConsoleOptions(), environ, changed)
    with pytest.raises(SeenEnough):
        await connection.open()
    assert seen == [ConnectionState.ABSENT]
    assert files_in(tmp_path) == []


def test_a_fault_leaves_no_file(tmp_path: Path) -> None:
    try:
        raise KeyError("x")
    except KeyError:
        line = write_fault({"HOOKTUI_HOME": str(tmp_path), **CONFINED})
    assert line.endswith("in restricted mode it writes no log")
    assert files_in(tmp_path) == []


TOLD = """
import os, sys
import hooktui.console.run as console
from hooktui.cli.main import main
console.run = lambda _: print([one for one in os.environ if one.startswith("TEXTUAL")], file=out)
out, sys.stdin.isatty, sys.stdout.isatty = sys.stderr, lambda: True, lambda: True
main(["--role", "viewer"])
"""


@pytest.mark.parametrize(("confined", "told"), [("1", "[]"), ("0", "['TEXTUAL_LOG']")])
def test_the_environment_configures_nothing_of_the_library(tmp_path, confined, told) -> None:
    environ = {name: one for name, one in os.environ.items() if not name.startswith("TEXTUAL")}
    environ |= {"TEXTUAL_LOG": str(tmp_path / "log"), "HOOKTUI_RESTRICTED": confined}
    environ |= {"PYTHONUNBUFFERED": ""}  # or the streams above are replaced
    seen = subprocess.run(
        [sys.executable, "-c", TOLD], env=environ, capture_output=True, text=True, timeout=60
    )
    assert seen.stderr.strip() == told
