"""Bulk commands: one call per object, one after the other, with progress; Esc stops.

An error of one object (it is deleted, its state has changed) does not stop the others. An error
that affects all of them (no server, not allowed) does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from hooktui.console.frame.notices import error_text
from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.server_calls import Severity
from hooktui.domain.errors import Conflict, HooktuiError, NotAllowed, NotFound, Refused
from hooktui.domain.text import counted

if TYPE_CHECKING:
    from hooktui.client.calls import Call


class _Identified(Protocol):
    """An object that a command acts on."""

    @property
    def id(self) -> Hashable:
        """Its permanent identity."""


T = TypeVar("T")
Thing = TypeVar("Thing", bound=_Identified)
A = TypeVar("A")

_NAMED: Final = 3
"""Maximum number of failures that are listed by name; further ones are only counted."""

_WORKS: Final = ("ping", "activate", "undo", "delete", "resend", "cancel")
"""Commands that are disabled while a bulk command is in progress."""


@dataclass(slots=True)
class BulkResult(Generic[T, A]):
    """Result of a bulk command.

    Attributes:
        done: the objects that succeeded, with the server's response.
        failed: the objects that failed, with the reason.
        left: the objects that were not started, after Esc or an error that affects all.
        missing: the part of ``failed`` that does not exist any more.
    """

    done: list[tuple[T, A]] = field(default_factory=list)
    failed: list[tuple[T, str]] = field(default_factory=list)
    left: list[T] = field(default_factory=list)
    missing: list[T] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """The severity of a notice about the result."""
        return "bad" if self.failed else "warn" if self.left else "good"

    def message(self, words: str, name: Callable[[T], str]) -> str:
        """Return ``words`` for the successes, with the failures; only these if nothing succeeded.

        It is not always known whether a change took place; the text never claims that it did not.
        """
        rest = self.rest(name)
        return words + rest if self.done or not rest else rest.removeprefix("; ")

    def rest(self, name: Callable[[T], str]) -> str:
        """Return failures with reasons and the number not started, as the end of a sentence."""
        words = [f"{name(thing)}: {why}" for thing, why in self.failed[:_NAMED]]
        if len(self.failed) > _NAMED:
            words.append(f"{len(self.failed) - _NAMED:,} more failed")
        if self.left:
            words.append(f"stopped, {len(self.left):,} not started")
        return "".join(f"; {part}" for part in words)

    def counts(self, of: int) -> str:
        """Return the numbers of failures and of those not started, if another was in progress."""
        left = of - len(self.done) - len(self.failed) - 1
        failed = f"; {len(self.failed):,} failed" if self.failed else ""
        return failed + (f"; {left:,} not started" if left else "")


class BulkRunner(ScreenPart):
    """Runs one command on many objects; Esc stops it after the call in progress."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._doing = ""
        self._stopped = False

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handler of Esc, which stops the command in progress."""
        return {"back": self._stop} if self._doing else {}

    def disabled_reason(self, name: str) -> str | None:
        """Return that a bulk command is in progress, or None."""
        if self._doing and name in _WORKS:
            return f"still {self._doing}; {self._screen.shell.key('back')} stops it"
        return None

    async def run(
        self,
        things: Sequence[Thing],
        call: Callable[[Thing], Call[A]],
        doing: Callable[[Thing], str],
        noun: str,
        done: str,
    ) -> BulkResult[Thing, A]:
        """Send a call for each object, one after the other, and return the result.

        Args:
            things: the objects.
            call: returns the call for an object.
            doing: returns the progress text for an object, such as ``pinging hook 12 (billing)``.
            noun: the noun for one object, and
            done: what was done to it, such as ``disabled``, in the report of a command that ended
                with its screen or with the console.
        """
        outcome: BulkResult[Thing, A] = BulkResult()
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
                        self._screen.forget([thing.id])
                except HooktuiError as error:
                    outcome.failed.append((thing, error_text(error)))
                    if isinstance(error, NotAllowed):
                        shell.status.read_soon()
                    outcome.left = list(things[number + 1 :])
                    break
        except asyncio.CancelledError:
            if len(things) > 1:  # the call in progress reports its own result
                done_of = f"{len(outcome.done):,} of {counted(len(things), noun)} {done}"
                shell.calls.stopped(done_of + outcome.counts(len(things)))
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
