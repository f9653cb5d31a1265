"""One command for many things: one after the other, with progress, and Esc to stop.

An error of one thing (it is gone, its state has changed) does not stop the others. An error that
concerns all of them (no server, not allowed) does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from hooktui.console.frame.notices import error_text
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.server_calls import Severity
from hooktui.domain.errors import Conflict, HooktuiError, NotAllowed, NotFound, Refused

if TYPE_CHECKING:
    from hooktui.client.calls import Call

T = TypeVar("T")
A = TypeVar("A")

_NAMED: Final = 3
"""Things that failed and are named; more are counted."""

_WORKS: Final = ("ping", "activate", "undo", "delete", "resend", "cancel")
"""Commands that wait until the one for many is done."""


@dataclass(slots=True)
class BulkResult(Generic[T, A]):
    """What became of many things.

    Attributes:
        done: those that worked, with the server's response.
        failed: those that did not, and why.
        left: those that were not begun, after Esc or after an error that concerns all.
        missing: the part of ``failed`` that does not exist any more.
    """

    done: list[tuple[T, A]] = field(default_factory=list)
    failed: list[tuple[T, str]] = field(default_factory=list)
    left: list[T] = field(default_factory=list)
    missing: list[T] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all of them worked."""
        return not self.failed and not self.left

    @property
    def severity(self) -> Severity:
        """How a notice about it looks."""
        return "bad" if self.failed else "warn" if self.left else "good"

    def message(self, words: str, name: Callable[[T], str]) -> str:
        """Return ``words`` for what is done, and what failed; only the latter where nothing is.

        Whether something was done is not always known: then no word says that it was not.
        """
        rest = self.rest(name)
        return words + rest if self.done or not rest else rest.removeprefix("; ")

    def rest(self, name: Callable[[T], str]) -> str:
        """Return who failed and why, and what was left, as the end of a sentence."""
        words = [f"{name(thing)}: {why}" for thing, why in self.failed[:_NAMED]]
        if len(self.failed) > _NAMED:
            words.append(f"{len(self.failed) - _NAMED:,} more failed")
        if self.left:
            words.append(f"stopped, {len(self.left):,} not begun")
        return "".join(f"; {part}" for part in words)


class BulkRunner(ScreenPart):
    """Runs one command on many things; Esc stops it after the one in progress."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._doing = ""
        self._stopped = False

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Stop what is in progress on Esc."""
        return {"back": self._stop} if self._doing else {}

    def disabled_reason(self, name: str) -> str | None:
        """Return that something for many is in progress."""
        if self._doing and name in _WORKS:
            return f"still {self._doing}; {self._screen.shell.key('back')} stops it"
        return None

    async def run(
        self, things: Sequence[T], call: Callable[[T], Call[A]], doing: Callable[[T], str]
    ) -> BulkResult[T, A]:
        """Send a call for each thing, one after the other, and return what became of them.

        Args:
            things: what to act on.
            call: makes the call of a thing.
            doing: what is being done with a thing, such as ``pinging hook 12 (billing)``.
        """
        outcome: BulkResult[T, A] = BulkResult()
        shell, notices = self._screen.shell, self._screen.notices
        self._stopped = False
        try:
            for number, thing in enumerate(things):
                if self._stopped:
                    outcome.left = list(things[number:])
                    break
                progress = self._progress(number + 1, len(things), doing(thing))
                try:
                    with notices.working(progress):
                        response = await shell.calls.change(call(thing), doing(thing))
                    outcome.done.append((thing, response))
                except (NotFound, Conflict, Refused) as error:
                    outcome.failed.append((thing, str(error)))
                    if isinstance(error, NotFound):
                        outcome.missing.append(thing)
                except HooktuiError as error:
                    outcome.failed.append((thing, error_text(error)))
                    if isinstance(error, NotAllowed):
                        shell.status.read_soon()
                    outcome.left = list(things[number + 1 :])
                    break
        except asyncio.CancelledError:
            if len(things) > 1:  # the result of the one in progress is reported by itself
                done = f"{len(outcome.done):,} of {len(things):,}"
                text = f"stopped with the screen: {done} were done"
                self._screen.app.call_later(shell.notice, text, "warn")
            raise
        finally:
            self._doing = ""
        return outcome

    def _progress(self, number: int, count: int, doing: str) -> str:
        if count == 1:
            return doing
        self._doing = f"{doing}, {number:,} of {count:,}"
        return f"{self._doing}; {self._screen.shell.key('back')} stops it"

    def _stop(self) -> None:
        self._stopped = True
        self._screen.notice("stopping after this one")
