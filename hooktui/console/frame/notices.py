"""What a screen asks of the server, and what it tells the admin of that: errors, notices, work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from hooktui.console.frame.paced import PacedScreen
from hooktui.console.shell.server_calls import Severity
from hooktui.console.widgets.chrome import Heading, KeyLine, StatusLine
from hooktui.domain.errors import (
    HooktuiError,
    NotAllowed,
    Refused,
    TooManyRequests,
    Unavailable,
)

if TYPE_CHECKING:
    from hooktui.client.calls import Call
    from hooktui.console.shell.contract import Shell
    from hooktui.console.shell.server_calls import ResultMessage

T = TypeVar("T")

NOTICE_S = {"good": 5.0, "plain": 5.0, "warn": 9.0, "bad": 15.0}
"""How long a notice stays, by its weight."""


class Asking(PacedScreen):
    """A screen with a status line, which answers there.

    Attributes:
        shell: the services of the app.
    """

    def __init__(self) -> None:
        super().__init__()
        self._notices = 0
        self._works: list[str] = []
        self._work_is_told = False

    # -- the server

    @property
    def shell(self) -> Shell:
        """The services of the app."""
        return cast("Shell", self.app)

    async def ask(self, call: Call[T]) -> T:
        """Send a call and return its answer.

        Raises:
            HooktuiError: the server refused, or cannot be reached.
        """
        return await self.shell.connection.send(call)

    async def write(self, call: Call[T], doing: str, told: ResultMessage | None = None) -> T:
        """Send a call that changes something, and return its answer.

        It is told while it runs; when this screen is left meanwhile it goes on, and the screen in
        front tells what became of it.

        Args:
            call: what to send.
            doing: what is being done, such as ``deleting hook 12 (billing)``.
            told: what to say of the answer after this screen was left.

        Raises:
            HooktuiError: the server refused, or cannot be reached.
        """
        with self.working(doing):
            return await self.shell.calls.change(call, doing, told)

    async def call(
        self, call: Call[T], doing: str = "", told: ResultMessage | None = None
    ) -> T | None:
        """Send a call and return its answer; an error becomes a notice, and None.

        With ``doing`` it is one that changes something, see `write`.
        """
        try:
            if doing:
                return await self.write(call, doing, told)
            return await self.ask(call)
        except HooktuiError as error:
            self.show_error(error)
            return None

    async def done(self, call: Call[T], doing: str) -> bool:
        """Send a call that changes something; return whether it succeeded (else: a notice)."""
        try:
            await self.write(call, doing)
        except HooktuiError as error:
            self.show_error(error)
            return False
        return True

    # -- notices

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Tell what is being done for as long as it is; notices come before it."""
        words = f"{doing} {self.shell.glyphs.ellipsis}"
        self._works.append(words)
        self._tell_work()
        try:
            yield
        finally:
            self._works.remove(words)
            if self._work_is_told:
                self.clear_notice()

    def _tell_work(self) -> None:
        if self._framed():
            self.query_one(StatusLine).notify_line(self._works[-1], "plain")
            self._notices += 1  # the end of an older one does not take it away
            self._work_is_told = True

    def notice(self, text: str, severity: Severity = "plain") -> None:
        """Answer an action where the eye is: in the status line. ``text`` may be untrusted."""
        screens = [one for one in self.app.screen_stack if isinstance(one, Asking)]
        if self in screens[:-1]:
            screens[-1].notice(text, severity)  # this screen is covered by now
            return
        if not self._framed():
            return
        self.query_one(StatusLine).notify_line(text, severity)
        self._work_is_told = False
        self._notices += 1
        this_one = self._notices

        def end() -> None:
            if self._notices == this_one:
                self.clear_notice()

        self.set_timer(NOTICE_S[severity], end)

    def clear_notice(self) -> None:
        """Take the notice away; what is still being done is told again."""
        self._work_is_told = False
        if self._works:
            self._tell_work()
        elif self._framed():
            self.query_one(StatusLine).clear_notice()

    def show_error(self, error: HooktuiError) -> None:
        """Tell of an error; several bad fields in one line."""
        details = [one.detail for one in error.errors] if isinstance(error, Refused) else []
        self.notice("; ".join(details) or in_words(error), "bad")
        if isinstance(error, NotAllowed):
            self.shell.status.read_soon()  # the role has changed: dim what it does not allow

    def _framed(self) -> bool:
        """Return whether the frame is there; a worker may end while a screen comes or goes.

        ``is_mounted`` stays true while the widgets of a screen that closes are taken away.
        """
        return {Heading, StatusLine, KeyLine} <= {type(child) for child in self.children}


def in_words(error: HooktuiError) -> str:
    """Return an error in words, with when to try again where the server says so."""
    if isinstance(error, TooManyRequests | Unavailable) and error.retry_after_s > 1:
        return f"{error}; try again in {error.retry_after_s} s"
    return str(error)
