"""``hooktui demo`` in a terminal: the console over a throw-away account."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyte
import pytest

from tests.system.conftest import wait_for
from tests.system.test_demo import environ as environ
from tests.system.test_demo import nothing_is_left

COLUMNS, LINES = 120, 40


@dataclass
class Terminal:
    """A program in a pseudo-terminal, and what it has drawn."""

    pid: int
    descriptor: int
    screen: pyte.Screen = field(default_factory=lambda: pyte.Screen(COLUMNS, LINES))
    raw: bytes = b""

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    def read(self) -> bool:
        """Take what was written in the meantime; False when the program has ended."""
        if select.select([self.descriptor], [], [], 0.05)[0]:
            try:
                chunk = os.read(self.descriptor, 65536)
            except OSError:  # EIO: nobody holds the other end any more
                return False
            self.raw += chunk
            self._stream.feed(chunk)
        return True

    def shows(self, text: str) -> bool:
        self.read()
        return any(text in line for line in self.screen.display)

    def press(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def status(self, within_s: float) -> int:
        """Wait for the end, reading on; return the exit status."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"did not end within {within_s} s:\n" + "\n".join(self.screen.display))


def open_demo(environ: dict[str, str], *arguments: str) -> Terminal:
    pid, descriptor = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "hooktui", "demo", *arguments]
        os.execve(sys.executable, command, environ | {"TERM": "xterm-256color"})
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    return Terminal(pid, descriptor)


@pytest.fixture
def terminal(environ):
    opened = open_demo(environ)
    yield opened
    try:
        os.kill(opened.pid, 9)
        os.waitpid(opened.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    os.close(opened.descriptor)


def test_the_console_shows_the_account_and_q_ends_everything(terminal, environ):
    wait_for(lambda: terminal.shows("Data warehouse"), 30, "the hooks are listed")
    wait_for(lambda: terminal.shows("job.submitted"), 30, "the log shows what is sent")
    terminal.press("q")
    assert terminal.status(within_s=20) == 0
    assert b"Traceback" not in terminal.raw
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")
    assert not (Path(environ["HOME"]) / "hooktui").exists()


def test_a_demo_with_an_end_leaves_the_console_by_itself(environ):
    opened = open_demo(environ, "--for", "3s")
    try:
        wait_for(lambda: opened.shows("Retired CI"), 30, "the hooks are listed")
        assert opened.status(within_s=20) == 0
    finally:
        os.close(opened.descriptor)
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")


def test_a_console_that_is_killed_leaves_no_server_behind(terminal, environ):
    wait_for(lambda: terminal.shows("Retired CI"), 30, "the hooks are listed")
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.status(within_s=10) == -signal.SIGKILL
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")
