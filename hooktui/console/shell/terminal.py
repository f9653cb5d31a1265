"""Protection of the terminal: no stray escape characters, no tracebacks, no orphaned console.

Textual installs no handler for SIGTERM and SIGHUP (which would leave the terminal broken), prints
tracebacks with locals (which hold secrets), and spins when its terminal has disappeared.

``--ascii`` replaces Unicode in the drawn frame, cell by cell; letters typed by a user are kept.
Text is copied with OSC 52, inside tmux also with its own command. Neither confirms the copy, so no
message says "copied". Measured with tmux 3.5a: its default configuration drops OSC 52 from a
program, but ``tmux load-buffer -w -`` reaches the outer terminal.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import shutil
import signal
import sys
import time
import traceback
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.segment import Segment
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.app import App, SuspendNotSupported
from textual.color import Color
from textual.drivers import linux_driver
from textual.filter import LineFilter
from textual.message import Message
from textual.screen import ModalScreen

from hooktui.console.shell.reliable_timers import set_reliable_timer
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import paths_of
from hooktui.domain.roles import not_here, restricted
from hooktui.domain.text import keep_order, visible

_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+|hkt_\w+")

TERMINAL_CHECK_S = 1.0


class PasteParser(XTermParser):
    """Makes escape characters in a pasted text visible before they are read.

    Textual reads what follows one as pressed keys, also inside of a paste, so that a text could
    delete a hook. Many terminals remove them; tmux and screen do not.
    """

    _pasting = False
    _rest = ""
    """While pasting: a possible beginning of the paste's end; otherwise the last input."""

    def feed(self, data: str) -> Iterable[Message]:
        """Return the events of the terminal's input; an empty text ends it."""
        plain = self._plain(data)
        if plain or not data:
            yield from super().feed(plain)

    def _plain(self, data: str) -> str:
        plain = []
        while data:
            if self._pasting:
                text, end, data = (self._rest + data).partition(BRACKETED_PASTE_END)
                cut = len(text) if end else _begun(text, BRACKETED_PASTE_END)
                plain += [text[:cut].replace("\x1b", "␛"), end]
                self._pasting, self._rest = not end, text[cut:]
            else:
                before, begin, after = (self._rest + data).partition(BRACKETED_PASTE_START)
                plain.append(data.removesuffix(after) if begin else data)
                cut = _begun(before, BRACKETED_PASTE_START)
                self._pasting, self._rest = bool(begin), "" if begin else before[cut:]
                data = after
        return "".join(plain)


def _begun(text: str, sequence: str) -> int:
    """Return where a sequence begins at the end of a text; the text's length if it does not."""
    start = text.rfind("\x1b", -len(sequence))
    return start if start >= 0 and sequence.startswith(text[start:]) else len(text)


linux_driver.XTermParser = PasteParser  # type: ignore[attr-defined]


class EscapeFilter(LineFilter):
    """Second layer of escaping: makes control and invisible characters in drawn lines visible.

    It escapes the text of inputs, which Textual draws as it was typed or loaded.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with all characters visible, in order and at the same width."""
        shown = [segment.text if segment.control else visible(segment.text) for segment in segments]
        ordered = keep_order("".join(shown))
        ends = [0, *accumulate(map(len, shown))]
        shown = [ordered[start:end] for start, end in pairwise(ends)]
        if all(text == segment.text for text, segment in zip(shown, segments, strict=True)):
            return segments
        escaped = [
            segment if text == segment.text else Segment(text, segment.style)
            for text, segment in zip(shown, segments, strict=True)
        ]
        return Segment.adjust_line_length(escaped, Segment.get_line_length(segments))


def backdrop_filters(dialog: ModalScreen[Any]) -> Sequence[LineFilter]:
    """Return the filters of a dialog's own lines: those of the screen below, escaped already.

    Escaped again, the blanks of `keep_order` would be shown and move the rest of the line.
    """
    return [f for f in dialog.app.get_line_filters() if not isinstance(f, EscapeFilter)]


class Terminal:
    """Ends the app cleanly on a signal, or when its terminal has disappeared."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._poll = select.poll()
        self._loop = asyncio.get_running_loop()
        self._resume = signal.getsignal(signal.SIGCONT)  # the handler of the terminal driver

    def watch(self) -> None:
        """Install the signal handlers and the check of the terminal."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._end, 128 + number)
        signal.signal(signal.SIGCONT, self._continued)
        self._poll.register(sys.__stdin__.fileno() if sys.__stdin__ else 0, select.POLLHUP)
        self._app.set_interval(TERMINAL_CHECK_S, self._check)

    def _check(self) -> None:
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in self._poll.poll(0)):
            self._end(128 + signal.SIGHUP)

    def _end(self, return_code: int) -> None:
        self._app.exit(return_code=return_code)

    def _continued(self, number: int, frame: FrameType | None) -> None:
        """Resume the driver after ctrl+z; otherwise only redraw everything.

        Other programs also stop and continue processes, and a hangup sends SIGCONT after SIGHUP.
        In these cases the driver would start a second time, and two threads would share the keys.
        """
        if getattr(self._app._driver, "_must_signal_resume", False) and callable(self._resume):
            self._resume(number, frame)
        else:
            self._loop.call_soon_threadsafe(partial(self._app.refresh, layout=True))


def release_signals() -> None:
    """Remove the signal handlers of the terminal driver, because its event loop has ended."""
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)


def has_job_control() -> bool:
    """Return whether a shell waits for this process group and can continue it once it stopped.

    ``ssh host hooktui`` and ``tmux new hooktui`` start the console without one: its process group
    is orphaned, as POSIX calls it, and once stopped it would stay so.
    """
    group, session, process = os.getpgrp(), os.getsid(0), os.getpid()
    while process > 1:
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
            if os.getpgid(process) != group:
                return os.getsid(process) == session
        except OSError:  # it has ended, or belongs to another container
            return False
    return False


class RestrictedMode(App[None]):
    """An app that, in restricted mode, only communicates with its terminal and its server.

    Otherwise a suspended app returns the terminal to the program that started it, a link starts a
    browser, and a screenshot is written to the disk of the machine.

    Attributes:
        restricted: whether restricted mode is enabled.
    """

    restricted: bool = False
    set_timer = set_reliable_timer

    def ignore_suspend(self) -> None:
        """Ignore ctrl+z in restricted mode; the terminal driver has already set its handler."""
        if self.restricted:
            signal.signal(signal.SIGTSTP, signal.SIG_IGN)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Suspend the app while another program uses the terminal.

        Raises:
            SuspendNotSupported: restricted mode is enabled.
        """
        if self.restricted:
            raise SuspendNotSupported(str(not_here("leaving the console")))
        with super().suspend():
            yield

    def action_suspend_process(self) -> None:
        """Stop, as other programs do at ctrl+z, except in restricted mode.

        The whole process group stops, as it would if the terminal did this: the shell watches the
        script that started the console, not the console.
        """
        if not self.restricted and self._driver is not None and self._driver.can_suspend:
            os.killpg(os.getpgrp(), signal.SIGTSTP)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Open a URL in a browser, except in restricted mode."""
        if not self.restricted:
            super().open_url(url, new_tab=new_tab)

    def save_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str:
        """Save a screenshot.

        Raises:
            NotAllowed: restricted mode is enabled.
        """
        self._no_files()
        return super().save_screenshot(filename, path, time_format)

    def deliver_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str | None:
        """Deliver a screenshot as a file.

        Raises:
            NotAllowed: restricted mode is enabled.
        """
        self._no_files()
        return super().deliver_screenshot(filename, path, time_format)

    def _no_files(self) -> None:
        if self.restricted:
            raise not_here("writing a file")


def accepts_output() -> bool:
    """Return whether the terminal that Textual writes to (stderr) can accept more output."""
    stream = sys.__stderr__
    if stream is None:
        return True
    poll = select.poll()  # not select(), which supports no descriptor above 1,023
    poll.register(stream.fileno(), select.POLLOUT)
    return bool(poll.poll(0))


def write_fault(environ: Mapping[str, str]) -> str:
    """Log the current exception to ``console.log`` (no locals) and return a one-line message."""
    error = sys.exception()
    inner = getattr(error, "error", None)  # a failed worker wraps the original exception
    error = inner if isinstance(inner, BaseException) else error
    name = type(error).__name__
    if restricted(environ):
        return f"the console crashed with {name}; in restricted mode it writes no log"
    try:
        log = paths_of(environ).log.with_name("console.log")
        written = _append(log, error)
    except (HooktuiError, OSError) as problem:
        return f"the console crashed with {name}; its log cannot be written: {problem}"
    return f"the console crashed with {name}; details are in {written}"


def _append(log: Path, error: BaseException | None) -> Path:
    log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    lines = traceback.format_exception(error) if error is not None else ["no exception\n"]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = _SECRET.sub("***", f"{stamp} console\n" + "".join(lines))
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(visible(text, lines=True) + "\n")
    return log


_INSTEAD: Final = {
    "-": "─━╌╍·▔▁▂",
    "|": "│┃▏▕▌▐",
    "+": "┌┐└┘├┤┬┴┼╭╮╰╯",
    "#": "▃▄▅▆▇█▀",
    "~": "…±",
    ">": "▸▶→",
    "<": "◀←",
    "^": "▲↑",
    "v": "▾▼↓",
    "*": "•●",
    "?": "".join(map(chr, range(0x2400, 0x2422))),  # pictures of control characters
}
_TABLE: Final = str.maketrans(
    {sign: instead for instead, glyphs in _INSTEAD.items() for sign in glyphs}
)


class AsciiFilter(LineFilter):
    """Replaces the characters that draw lines, blocks and arrows with ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with ASCII glyphs."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(segment.text.translate(_TABLE), segment.style)
            for segment in segments
        ]


MAX_BASE64_BYTES: Final = 74_994
"""Maximum payload of one OSC 52 sequence (the limit of xterm and tmux, as found by k9s)."""

_TMUX_DEADLINE_S = 2.0


async def copy(app: App[object], text: str, what: str) -> str:
    """Send a text to the terminal's clipboard and return a notice.

    ``what`` is its name there, such as ``secret of hook 12``; never the text itself.
    """
    text = text.encode("utf-8", "replace").decode()  # half a character cannot be sent
    size = len(b64encode(text.encode()))
    if size > MAX_BASE64_BYTES:
        return (
            f"{what} is too large for a terminal's clipboard ({len(text):,} characters); "
            "use the command line instead"
        )
    app.copy_to_clipboard(text)
    # Textual stores the text for pasting into its own inputs; a secret should not remain there.
    app._clipboard = ""
    if os.environ.get("TMUX") and not restricted(os.environ) and await _to_tmux(text):
        return f"{what} sent to the terminal and to tmux's buffer"
    return f"{what} sent to the terminal"


async def _to_tmux(text: str) -> bool:
    """Send a text to tmux, which forwards it to its terminal; return whether that succeeded."""
    tmux = shutil.which("tmux")
    if tmux is None:
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            tmux, "load-buffer", "-w", "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:  # this machine has no process or file left
        return False
    try:
        await asyncio.wait_for(process.communicate(text.encode()), _TMUX_DEADLINE_S)
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0
