"""Servers that tests fork: children like any other, and started anew where that would differ."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.installation import Installation


@pytest.fixture
def home(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path / "home")
    installation.home.mkdir(mode=0o700)
    return installation


def command_of(installation: Installation) -> str:
    """Return the command line of a running server, as the kernel has it."""
    assert installation.server is not None
    return Path(f"/proc/{installation.server.pid}/cmdline").read_text().replace("\0", " ")


def test_a_forked_server_is_a_child_in_the_folder_of_this_process(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home.start()
    assert "fork_server" in command_of(home)
    assert home.server is not None
    place = Path(f"/proc/{home.server.pid}")
    assert place.joinpath("stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    assert place.joinpath("cwd").readlink() == tmp_path
    assert os.getpgid(home.server.pid) == os.getpgid(0)
    home.stop()
    assert home.server.returncode == 0
    assert "stopped" in home.log.read_text()


def test_a_forked_server_that_is_killed_says_so(home: Installation) -> None:
    home.start()
    home.kill()
    assert home.server is not None
    assert home.server.returncode == -signal.SIGKILL


# Red when the environment is not looked at: a test of such a server would try another one.
@pytest.mark.parametrize(
    ("name", "text"), [("PYTHONPATH", "/nowhere"), ("LC_ALL", "C"), ("PYTHONUTF8", "0")]
)
def test_a_server_with_another_interpreter_is_started_anew(
    home: Installation, name: str, text: str
) -> None:
    home.environ[name] = text
    home.start()
    try:
        assert "hooktui serve" in command_of(home)
    finally:
        home.stop()
