"""A measured program: each byte that it writes, and when.

There is no terminal emulator: it would use the CPU that the program needs. A text counts as shown
once its bytes are read; the measured programs write each text in one piece.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from tests.system.terminal.processes import start_in_terminal

COLUMNS, LINES = 120, 40
QUIET_S = 0.08
"""Silence after which the response to a key is complete."""
WAIT_S = 60.0

_KEYS = {
    "up": b"\x1b[A", "down": b"\x1b[B", "page up": b"\x1b[5~", "page down": b"\x1b[6~",
    "home": b"\x1b[H", "end": b"\x1b[F", "enter": b"\r", "escape": b"\x1b",
}  # fmt: skip

_Answer = bytes | Callable[[re.Match[bytes]], bytes]
_QUERIES: tuple[tuple[re.Pattern[bytes], _Answer], ...] = (
    (re.compile(rb"\x1b\[0?c"), b"\x1b[?62;22c"),
    (re.compile(rb"\x1b\[\?u"), b"\x1b[?0u"),
    (re.compile(rb"\x1b\[6n"), b"\x1b[1;1R"),
    (re.compile(rb"\x1b\[\?(\d+)\$p"), lambda found: b"\x1b[?" + found[1] + b";2$y"),
)
"""The queries that programs send at the start, and the responses of a modern terminal."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The response to a key: the time to its first byte, and all bytes until silence."""

    first_ms: float
    size: int


@dataclass(frozen=True, slots=True)
class Spent:
    """The cost of some seconds: CPU in percent of one core, and bytes for the terminal."""

    cpu_percent: float
    size: int
    seconds: float

    @property
    def bytes_per_s(self) -> float:
        return self.size / self.seconds


class Session:
    """A running program.

    Args:
        command: its words, the first with its path.
        environ: its environment.
        rate: bytes a second that the terminal reads; None: unlimited.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], rate: float | None = None
    ) -> None:
        whole = {k: v for k, v in environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
        whole |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self.rate = rate
        self.raw = bytearray()
        self.ended = False
        self._ready_at = 0.0
        self.started = time.perf_counter()
        self.pid, self._descriptor = start_in_terminal(command, whole, columns=COLUMNS, lines=LINES)
        self._process = psutil.Process(self.pid)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    # -- reading

    def pump(self, within_s: float) -> float | None:
        """Read one piece of output; return the time, or None if there was none."""
        until = time.perf_counter() + within_s
        pause_s = min(self._ready_at, until) - time.perf_counter()
        if pause_s > 0:
            time.sleep(pause_s)
        left_s = max(until - time.perf_counter(), 0)
        if self.ended or not select.select([self._descriptor], [], [], left_s)[0]:
            return None
        try:
            piece = os.read(self._descriptor, 65536 if self.rate is None else 1024)
        except OSError:  # EIO: the other end is closed
            piece = b""
        at = time.perf_counter()
        if not piece:
            self.ended = True
            return None
        if self.rate is not None:
            self._ready_at = max(self._ready_at, at - 0.05) + len(piece) / self.rate
        self.raw += piece
        if b"\x1b" in piece:
            self._answer(piece)
        return at

    def _answer(self, piece: bytes) -> None:
        for pattern, answer in _QUERIES:
            for found in pattern.finditer(piece):
                os.write(self._descriptor, answer if isinstance(answer, bytes) else answer(found))

    def pump_for(self, seconds: float) -> None:
        """Read for some seconds."""
        end = time.perf_counter() + seconds
        while not self.ended and (left_s := end - time.perf_counter()) > 0:
            self.pump(left_s)

    def pump_until_quiet(self, quiet_s: float = 0.3, most_s: float = 10.0) -> None:
        """Read until there is no output for a while."""
        end = time.perf_counter() + most_s
        while time.perf_counter() < end and self.pump(quiet_s) is not None:
            pass

    def wait_for(self, text: str, since: int = 0, within_s: float = WAIT_S) -> float:
        """Read until a text was written after the byte ``since``; return the time."""
        wanted, looked = text.encode(), since
        deadline = time.perf_counter() + within_s
        at = time.perf_counter()
        while True:
            if self.raw.find(wanted, looked) >= 0:
                return at
            looked = max(len(self.raw) - len(wanted), since)
            if self.ended or time.perf_counter() > deadline:
                when = "before it ended" if self.ended else f"within {within_s} s"
                tail = bytes(self.raw[since:][-2000:])
                raise AssertionError(f"{text!r} did not come {when}: {tail!r}")
            at = self.pump(0.5) or at

    # -- typing

    def press(self, key: str) -> None:
        """Send a key by name, or a text."""
        os.write(self._descriptor, _KEYS.get(key, key.encode()))

    def do(self, keys: Sequence[str], text: str) -> float:
        """Send keys; return the ms from the last of them until a text was written after it."""
        for key in keys[:-1]:
            self.press(key)
            self.pump_until_quiet(0.2, 2.0)
        since, begun = len(self.raw), time.perf_counter()
        self.press(keys[-1])
        return (self.wait_for(text, since) - begun) * 1000

    def key(self, key: str) -> Answered | None:
        """Send a key after silence, and wait for the response; None: there was none."""
        self.pump_until_quiet(0.03, 0.3)
        since, begun = len(self.raw), time.perf_counter()
        self.press(key)
        first = self.pump(2.0)
        if first is None:
            return None
        self.pump_until_quiet(QUIET_S, 2.0)
        return Answered((first - begun) * 1000, len(self.raw) - since)

    def quit(self, key: str = "q", within_s: float = WAIT_S) -> float:
        """Send the key that quits; return the seconds until the process has ended."""
        begun = time.perf_counter()
        self.press(key)
        while not self.ended:
            self.pump(0.2)
            if time.perf_counter() - begun > within_s:
                raise AssertionError(f"it did not end within {within_s} s")
        return time.perf_counter() - begun

    # -- cost

    def spend(self, seconds: float) -> Spent:
        """Read for some seconds; return what they cost."""
        since, cpu_s, begun = len(self.raw), self._cpu_s(), time.perf_counter()
        self.pump_for(seconds)
        took_s = time.perf_counter() - begun
        percent = (self._cpu_s() - cpu_s) / took_s * 100
        return Spent(percent, len(self.raw) - since, took_s)

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def memory_mb(self) -> tuple[float, float]:
        """Return resident and unique memory, in MB."""
        found = self._process.memory_full_info()
        return found.rss / 2**20, found.uss / 2**20
