"""Notices in the status line of a screen: results, errors and work in progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from textual.screen import ModalScreen, Screen

from hooktui.console.shell.contract import Shell
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.chrome import StatusLine
from hooktui.domain.errors import HooktuiError, OlderServer, Refused, TooManyRequests, Unavailable

NOTICE_S: Final = {"good": 5.0, "plain": 5.0, "warn": 9.0, "bad": 15.0}
"""Seconds for which a notice is shown, by its severity."""


class Notices:
    """Shows notices in the status line of one screen.

    A notice hides the work in progress until the notice expires. A notice that comes before the
    screen is mounted is shown as soon as it is.
    """

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._shown = 0  # counts notices: a timer removes only its own one
        self._works: list[str] = []
        self._shows_work = False
        self._early: tuple[str, Severity] | None = None

    def begin(self) -> None:
        """Show what came before the screen was mounted: the last notice, else the work."""
        early, self._early = self._early, None
        if early is not None:
            self.show(*early)
        elif self._works:
            self._show_work()

    @property
    def work(self) -> str:
        """The work in progress that started last; empty if there is none."""
        return self._works[-1] if self._works else ""

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Show the work as in progress until the block ends."""
        words = f"{doing} {cast('Shell', self._screen.app).glyphs.ellipsis}"
        self._works.append(words)
        self._show_work()
        try:
            yield
        finally:
            self._works.remove(words)
            if self._shows_work:
                self.clear()

    def still_working(self) -> None:
        """Show that the latest work is still in progress, for as long as it is."""
        if self._works:
            self.show(f"still {self.work}", "warn")
            self._shows_work = True

    def show(self, text: str, severity: Severity = "plain") -> None:
        """Show a notice. ``text`` may be untrusted."""
        lines = self._lines()
        if not lines:
            self._early = text, severity
            return
        for line in lines:
            line.notify_line(text, severity)
        self._shows_work = False
        self._shown += 1
        number = self._shown

        def end() -> None:
            if self._shown == number:
                self.clear()

        self._screen.set_timer(NOTICE_S[severity], end)

    def clear(self) -> None:
        """Remove the notice; work in progress is shown again."""
        self._shows_work = False
        if self._works:
            self._show_work()
        else:
            for line in self._lines():
                line.clear_notice()

    def _show_work(self) -> None:
        for line in self._lines():
            line.notify_line(self.work, "plain")
            self._shown += 1  # the timer of an older notice does not remove it
            self._shows_work = True

    def _lines(self) -> list[StatusLine]:
        """Return the status line, and that of a dialog over the screen.

        There is none while the screen is being mounted or unmounted.
        """
        screen, stack = self._screen, self._screen.app.screen_stack
        covers = stack[stack.index(screen) + 1 :] if screen in stack else []
        dialogs = covers if all(isinstance(cover, ModalScreen) for cover in covers) else []
        return [
            child
            for shown in (screen, *dialogs)
            for child in shown.children
            if isinstance(child, StatusLine)
        ]


OLDER_SERVER: Final = "this server is older than the console and cannot do this; upgrade the server"


def error_text(error: HooktuiError) -> str:
    """Return the text of an error: those of all fields, or with the time to wait, if it has one."""
    if isinstance(error, Refused) and error.errors:
        return "; ".join(field_error.detail for field_error in error.errors)
    if isinstance(error, OlderServer):
        return OLDER_SERVER
    if isinstance(error, TooManyRequests | Unavailable) and error.retry_after_s > 1:
        return f"{error}; try again in {error.retry_after_s} s"
    return str(error)
