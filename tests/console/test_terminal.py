"""The console in a real pseudo-terminal: how it ends, and what reaches the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from time import monotonic

import psutil
import pytest
from textual.drivers import linux_driver

from tests.support.waiting import wait_for

LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
MOUSE_OFF = b"\x1b[?1000l"
DEADLINE_S = 15.0

KNOWN = re.compile(
    rb"\x1b\[[0-9;:<>?=]*[ -/]*[a-zA-Z@`{|}~]"  # CSI, from the driver and the renderer
    rb"|\x1b\]22;[a-z-]*\x07"  # the shape of the pointer
)
COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


class Terminal:
    """A pseudo-terminal with a console in it."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.master = master
        self.output = b""

    def read_until(self, text: bytes) -> None:
        """Read until a text has come."""
        end = monotonic() + DEADLINE_S
        while text not in self.output:
            if monotonic() > end:
                raise AssertionError(f"{text!r} did not come: {self._last_words()!r}")
            self._read(0.1)

    def _last_words(self) -> bytes:
        """Return the end of the output, and where each thread stands (PYTHONFAULTHANDLER)."""
        alive = self.process.poll() is None
        output = self.output[-1000:]
        self.process.send_signal(signal.SIGABRT)
        for _ in range(20):
            self._read(0.1)
        return b"%s; alive: %s; %s" % (output, str(alive).encode(), self.output[-4000:])

    def read_until_quiet(self) -> None:
        """Read until nothing has come for half a second."""
        before = -1
        while before != len(self.output):
            before = len(self.output)
            self._read(0.5)

    def wait(self) -> int:
        """Read until the console has ended; return its exit code."""
        end = monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert monotonic() < end, "the console does not end"
            self._read(0.1)
        self._read(0.1)
        return self.process.returncode

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def _read(self, timeout_s: float) -> None:
        if self.master >= 0 and select.select([self.master], [], [], timeout_s)[0]:
            try:
                self.output += os.read(self.master, 65536)
            except OSError:  # what Linux says at the end of a pseudo-terminal
                self.close()

    def close(self) -> None:
        """Close the terminal, as a lost connection does."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def claim(terminal: int, size: tuple[int, int]) -> None:
    """Say how large a terminal is."""
    width, height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


@contextmanager
def console(
    environ: dict[str, str],
    *arguments: str,
    prefix: tuple[str, ...] = (),
    size: tuple[int, int] = (100, 30),
) -> Iterator[Terminal]:
    """Run the console in a pseudo-terminal of some width and height."""
    master, slave = pty.openpty()
    claim(slave, size)
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "hooktui", *arguments],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env=environ | {"PYTHONFAULTHANDLER": "1"},
    )  # fmt: skip
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        terminal.close()
        # The next test starts at home, whatever this one remembered.
        rmtree(Path(environ["HOOKTUI_HOME"]) / "console", ignore_errors=True)


WITHOUT_SIGNAL = (
    "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH]);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_size_is_drawn_whose_signal_did_not_come(served):
    """Red when only the signal of a resize is listened to: the old size stays for good."""
    with console(served, prefix=(sys.executable, "-c", WITHOUT_SIGNAL)) as terminal:
        terminal.read_until(b"default")
        claim(terminal.master, (40, 10))
        terminal.read_until(b"hooktui needs 60x15")
        claim(terminal.master, (100, 30))
        terminal.output = b""
        terminal.read_until(b"default")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_console_and_restores_the_terminal(served, number):
    with console(served) as terminal:
        terminal.read_until(b"default")
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
        assert LEAVE_ALTERNATE_SCREEN in terminal.output
        assert MOUSE_OFF in terminal.output


def test_q_quits_with_0_and_restores_the_terminal(served):
    with console(served) as terminal:
        terminal.read_until(b"default")
        terminal.type(b"q")
        assert terminal.wait() == 0
        assert LEAVE_ALTERNATE_SCREEN in terminal.output


def test_a_console_whose_terminal_has_gone_ends_although_sighup_is_ignored(served):
    with console(served, prefix=("sh", "-c", 'trap "" HUP; exec "$@"', "sh")) as terminal:
        terminal.read_until(b"default")
        terminal.close()
        terminal.wait()


def test_no_mouse_leaves_the_mouse_to_the_terminal(served):
    with console(served, "--no-mouse") as terminal:
        terminal.read_until(b"default")
        terminal.type(b"q")
        terminal.wait()
        assert b"\x1b[?1000h" not in terminal.output


def test_no_color_writes_no_colours(served):
    with console({**served, "NO_COLOR": "1"}) as terminal:
        terminal.read_until(b"default")
        terminal.type(b"q")
        terminal.wait()
        assert COLOUR.search(terminal.output) is None


@pytest.mark.parametrize(("options", "shown"), [((), "x␛]52"), (("--ascii",), "x?]52")])
def test_what_an_admin_typed_reaches_the_terminal_as_no_sequence(
    served, make_hook, account, options, shown
):
    make_hook(name="x\x1b]52;c;b3duZWQ=\x07y\x9b31mz\u202e\x1b[3J")
    with console(served, "--account", str(account), *options) as terminal:
        terminal.read_until(shown.encode())
        terminal.type(b"\x1b[200~pasted \x1bq\x1b[201~")  # red when it is read as keys: it quits
        terminal.type(b"d")
        terminal.read_until(b"Delete hook")
        terminal.type(b"\x1b")
        terminal.read_until(b"no hook was deleted")
        terminal.type(b"q")
        terminal.wait()
        rest = KNOWN.sub(b"", terminal.output)
        assert b"\x1b" not in rest, rest[rest.index(b"\x1b") - 40 :][:120]
        assert b"\x1b[3J" not in terminal.output
        assert b"\x9b" not in terminal.output.replace("␛".encode(), b"")


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_an_escape_character_in_a_pasted_text_begins_no_key(size):
    """Red with Textual's own parser: the keys ^, d and y, which delete a hook."""
    pasted = "a \x1bd\x1by \x1b[200~\x1b[A\x1b\x1b[I€"
    read = f"\x1b[A\x1b[200~{pasted}\x1b[201~\x1b[200~b\x1b[201~x\x1b[B"
    parser = linux_driver.XTermParser()
    parts = [read[start : start + size] for start in range(0, len(read), size)]
    found = [event for part in parts for event in parser.feed(part)]
    assert [getattr(event, "key", None) or event.text for event in found] == [
        "up", pasted.replace("\x1b", "␛"), "b", "x", "down",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value"), [("--connect", "ftp://nowhere"), ("--theme", "plaid")]
)
def test_a_wrong_option_is_a_usage_error_in_one_line(served, option, value):
    with console(served, option, value) as terminal:
        assert terminal.wait() == 2
        assert b"Traceback" not in terminal.output
        assert value.encode() in terminal.output
        assert LEAVE_ALTERNATE_SCREEN not in terminal.output


MAX_MEMORY = 160 * 2**20
MAX_OUTPUT = 20 * 2**20
"""Drawn at 1000x500 the console takes 65 MB and writes 2 MB; at 9000x9000, before the clamp, it
took 1 GB and wrote 244 MB."""


# Red for S16, when a size is taken as it is claimed: at the start (9000x9000), by the signal of a
# resized window, or by a sequence in its input.
@pytest.mark.parametrize("size", [(9_000, 9_000), (65_535, 65_535)])
def test_a_terminal_that_claims_to_be_huge_costs_no_more_than_a_large_one(served, size):
    with console(served, size=size) as terminal:
        terminal.read_until(b"default")
        terminal.read_until_quiet()
        for claimed in ((8_000, 7_000), (65_535, 65_535)):
            claim(terminal.master, claimed)
            terminal.read_until_quiet()
        terminal.type(b"\x1b[48;60000;60000;900000;900000t")
        terminal.read_until_quiet()
        assert len(terminal.output) < MAX_OUTPUT
        assert peak_memory(terminal.process.pid) < MAX_MEMORY
        terminal.type(b"q")
        assert terminal.wait() == 0


# Red when a shell in an editor, which shows escape sequences as they are, is filled with them.
@pytest.mark.parametrize("arguments", [(), ("demo",)])
def test_a_terminal_that_cannot_place_text_is_refused(served, arguments):
    with console({**served, "TERM": "dumb"}, *arguments) as terminal:
        terminal.read_until(b"TERM is dumb")
        assert terminal.wait() == 2
        assert b"\x1b" not in terminal.output


def peak_memory(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


SHELL = (
    "import os, sys\n"
    "if job := os.fork():\n"
    "    while not os.WIFEXITED(status := os.waitpid(job, os.WUNTRACED)[1]): pass\n"
    "    sys.exit(os.WEXITSTATUS(status))\n"
    "os.setpgid(0, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""What a shell does for a job, except that the test continues it."""
SCRIPT = ("/bin/sh", "-c", '"$@"; exit $?', "sh")


# Red when ctrl+z does nothing, when the shell waits for a script that goes on, or when a resumed
# console draws only what has changed.
@pytest.mark.parametrize(
    ("size", "script"), [((100, 30), ()), ((120, 40), ()), ((100, 30), SCRIPT)]
)
def test_a_console_that_was_stopped_is_drawn_whole_again(served, size, script):
    with console(served, prefix=(sys.executable, "-c", SHELL, *script)) as terminal:
        terminal.read_until(b"default")
        terminal.read_until(b"help")
        [job] = psutil.Process(terminal.process.pid).children()
        group = [job, *job.children(recursive=True)]
        terminal.type(b"\x1a")
        terminal.read_until(LEAVE_ALTERNATE_SCREEN)
        for process in group:
            wait_for(lambda p=process: p.status() == psutil.STATUS_STOPPED, what="it is stopped")
        claim(terminal.master, size)
        terminal.output = b""
        os.killpg(job.pid, signal.SIGCONT)
        for text in (b"Hooks", b"default", b"help"):
            terminal.read_until(text)
        terminal.read_until(b"\x1b[%d;1H" % size[1])
        terminal.type(b"q")
        assert terminal.wait() == 0


# Red when a console that nothing could continue is stopped: `ssh host hooktui`.
@pytest.mark.parametrize("script", [(), SCRIPT])
def test_a_console_without_a_shell_is_not_stopped(served, script):
    with console(served, prefix=script) as terminal:
        terminal.read_until(b"default")
        terminal.read_until(b"help")
        terminal.type(b"\x1a")
        terminal.read_until(b"no shell waits for the console")
        terminal.type(b"q")
        assert terminal.wait() == 0


# Red when the terminal driver starts a second time: two threads share the keys.
def test_a_console_that_others_stop_and_continue_goes_on_as_it_was(served):
    with console(served) as terminal:
        terminal.read_until(b"default")
        terminal.read_until(b"help")
        terminal.read_until_quiet()
        process = psutil.Process(terminal.process.pid)
        threads = process.num_threads()
        for _ in range(3):
            terminal.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: process.status() == psutil.STATUS_STOPPED, what="it is stopped")
            terminal.output = b""
            terminal.process.send_signal(signal.SIGCONT)
            for text in (b"Hooks", b"default", b"help"):
                terminal.read_until(text)
        assert b"\x1b[?1049h" not in terminal.output
        assert process.num_threads() <= threads
        terminal.type(b"q")
        assert terminal.wait() == 0


CONTINUED_AT_THE_END = (
    "import os, signal; from hooktui.cli import main as entry; code = entry.main([]);"
    "os.kill(os.getpid(), signal.SIGCONT); os._exit(code)"
)


# Red when the driver's handler outlives its event loop: a traceback, and exit code 1.
def test_a_signal_after_the_console_has_ended_is_no_fault(served):
    with console(served, prefix=(sys.executable, "-c", CONTINUED_AT_THE_END)) as terminal:
        terminal.read_until(b"default")
        terminal.type(b"q")
        assert terminal.wait() == 0
        assert b"Traceback" not in terminal.output
