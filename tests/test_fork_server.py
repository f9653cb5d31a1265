"""Processes that tests fork: children like any other, started anew where that would differ."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.system.terminal.screen import open_terminal


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


def test_a_forked_process_may_have_a_session_of_its_own() -> None:
    code = f"import os; print(os.getsid(0) == os.getpid()); {COMMAND_LINE}"
    own = run(code, start_new_session=True)
    assert own.stdout.startswith("True\n")
    assert "fork_server" in own.stdout
    assert run(code).stdout.startswith("False\n")


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


def run(
    *arguments: str, command: str = "-c", **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, command, *arguments], text=True, capture_output=True, **options
    )


COMMAND_LINE = "print(open('/proc/self/cmdline').read())"
TERMINAL = """
import os, sys
print(os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpid(), os.get_terminal_size())
print(open("/proc/self/cmdline").read())
print(os.environ["TERM"], sys.stdin.isatty(), input())
"""


def test_code_is_run_as_an_interpreter_runs_it(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv, __name__, input()); print('no', file=sys.stderr); exit(3)"
    done = run(code, "a", "-b", input="typed", cwd=tmp_path)
    assert done.stdout == "['-c', 'a', '-b'] __main__ typed\n"
    assert (done.stderr, done.returncode) == ("no\n", 3)
    assert "fork_server" in run(COMMAND_LINE).stdout


def test_code_that_looks_at_the_modules_is_run_by_a_new_interpreter() -> None:
    assert "fork_server" not in run(f"import sys; sys.modules; {COMMAND_LINE}").stdout


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit('the reason')",
        "1 / 0",
        "import atexit; atexit.register(print, 'late'); print('early')",
        "import threading, time\nthreading.Timer(0.1, print, ['thread']).start()",
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
        "import os; print('lost'); os.close(1)",
    ],
)
def test_it_ends_as_an_interpreter_ends(code: str) -> None:
    forked, anew = run(code), run(f"import sys; sys.modules\n{code}")
    assert forked.returncode == anew.returncode
    assert forked.stdout == anew.stdout
    assert forked.stderr.splitlines()[-1:] == anew.stderr.splitlines()[-1:]


def test_a_command_answers_as_one_that_is_started_anew(tmp_path: Path) -> None:
    environ = {**os.environ, "HOOKTUI_HOME": str(tmp_path)}
    forked = run("hooktui", "hooks", "list", command="-m", env=environ)
    anew = run("hooktui", "hooks", "list", command="-m", env=environ | {"PYTHONNOUSERSITE": "1"})
    assert (forked.stdout, forked.stderr) == (anew.stdout, anew.stderr)
    assert forked.returncode == anew.returncode != 0


def test_a_program_in_a_terminal_owns_it() -> None:
    terminal = open_terminal(
        [sys.executable, "-c", TERMINAL], dict(os.environ), columns=90, lines=7
    )
    try:
        terminal.wait_for("True True os.terminal_size(columns=90, lines=7)")
        terminal.press("typed\r")
        terminal.wait_for("xterm-256color True typed")
        assert terminal.status() == 0
        assert b"fork_server" in terminal.raw
    finally:
        terminal.end()
