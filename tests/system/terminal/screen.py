"""A program in a pseudo-terminal of its own, and what it has drawn: as a person would see it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyte

from tests.system.terminal.processes import start_in_terminal

# A program asks whether the terminal draws whole updates at once (DEC mode 2026), and then marks
# where an update begins and ends.
ASKS_FOR_WHOLE_UPDATES = b"\x1b[?2026$p"
DRAWS_WHOLE_UPDATES = b"\x1b[?2026;2$y"
UPDATE_BEGINS, UPDATE_ENDS = b"\x1b[?2026h", b"\x1b[?2026l"


@dataclass
class Terminal:
    """A running program, its screen, and every byte that it wrote."""

    pid: int
    descriptor: int
    screen: pyte.Screen
    raw: bytes = b""
    _stream: pyte.ByteStream = field(init=False)

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    def read(self) -> bool:
        """Take what was written in the meantime; False when the program has ended."""
        if select.select([self.descriptor], [], [], 0.05)[0]:
            try:
                chunk = os.read(self.descriptor, 65536)
            except OSError:  # EIO: nobody holds the other end any more
                return False
            if ASKS_FOR_WHOLE_UPDATES in self.raw[-len(ASKS_FOR_WHOLE_UPDATES) + 1 :] + chunk:
                os.write(self.descriptor, DRAWS_WHOLE_UPDATES)
            self.raw += chunk
            self._stream.feed(chunk)
        return True

    def is_whole(self) -> bool:
        """Return whether no update is half drawn: between two screens one may see texts of both."""
        return self.raw.rfind(UPDATE_BEGINS) <= self.raw.rfind(UPDATE_ENDS)

    def text(self) -> str:
        """Return the screen as lines of text."""
        # Not pyte's `display`, which fails where half of a wide character was written over.
        lines, columns = range(self.screen.lines), range(self.screen.columns)
        buffer = self.screen.buffer
        return "\n".join("".join(buffer[y][x].data for x in columns).rstrip() for y in lines)

    def wait_for(self, *texts: str, within_s: float = 20) -> str:
        """Read on until all texts stand on the screen; return the screen."""
        deadline = time.monotonic() + within_s
        while not (self.is_whole() and all(text in self.text() for text in texts)):
            alive = self.read()
            if time.monotonic() > deadline or not alive:
                raise AssertionError(f"{texts} did not appear:\n{self.text()}")
        return self.text()

    def wait_until_gone(self, text: str, within_s: float = 20) -> None:
        """Read on until a text stands on the screen no more."""
        deadline = time.monotonic() + within_s
        while not self.is_whole() or text in self.text():
            self.read()
            assert time.monotonic() < deadline, f"{text!r} is still there:\n{self.text()}"

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.descriptor, keys.encode())

    def status(self, within_s: float = 20) -> int:
        """Wait for the end, reading on; return the exit status."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                before = -1
                while before != len(self.raw):  # what it wrote last
                    before = len(self.raw)
                    self.read()
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"did not end within {within_s} s:\n{self.text()}")

    def end(self) -> None:
        """Kill what is left, for fixtures."""
        try:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.descriptor)


def open_terminal(
    command: Sequence[str], environ: dict[str, str], *, columns: int = 120, lines: int = 36
) -> Terminal:
    """Start a program in a pseudo-terminal."""
    # The size is the terminal's; test workers carry one of their own in the environment.
    environ = {name: value for name, value in environ.items() if name not in {"COLUMNS", "LINES"}}
    environ |= {"TERM": "xterm-256color"}
    pid, descriptor = start_in_terminal(command, environ, columns=columns, lines=lines)
    return Terminal(pid, descriptor, pyte.Screen(columns, lines))
