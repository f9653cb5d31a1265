"""One command for many things: one after the other, with progress, Esc to stop, and who failed.

What is wrong with one thing (it is gone, its state is another one) does not keep the others from
it. What is wrong with all of them (no server, not allowed) ends it at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from hooktui.console.frame.notices import error_text
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.shell.server_calls import Severity
from hooktui.domain.errors import Conflict, HooktuiError, NotAllowed, NotFound, Refused

if TYPE_CHECKING:
    from hooktui.client.calls import Call

T = TypeVar("T")
A = TypeVar("A")

_NAMED: Final = 3
"""Things that failed and are named; of more it is told how many."""

_WORKS: Final = ("ping", "activate", "undo", "delete", "resend", "cancel")
"""Commands that wait until the one for many is done."""


@dataclass(slots=True)
class Outcome(Generic[T, A]):
    """What became of many things.

    Attributes:
        done: those that worked, with the server's answer.
        failed: those that did not, and why.
        left: those that were not begun, after Esc or after an error that concerns all.
    """

    done: list[tuple[T, A]] = field(default_factory=list)
    failed: list[tuple[T, str]] = field(default_factory=list)
    left: list[T] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all of them worked."""
        return not self.failed and not self.left

    @property
    def severity(self) -> Severity:
        """How a notice about it looks."""
        return "bad" if self.failed else "warn" if self.left else "good"

    def told(self, words: str, name: Callable[[T], str]) -> str:
        """Return what is done in ``words``, and who failed; only the latter where nothing is.

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
        return "".join(f"; {one}" for one in words)


class BulkRunner(ConsoleScreen):
    """A screen whose commands act on many things."""

    def __init__(self) -> None:
        super().__init__()
        self._busy_with = ""
        self._stop = False

    async def each(
        self, things: Sequence[T], call: Callable[[T], Call[A]], doing: Callable[[T], str]
    ) -> Outcome[T, A]:
        """Send a call for each thing, one after the other, and return what became of them.

        Args:
            things: what to act on.
            call: makes the call of a thing.
            doing: what is being done with a thing, such as ``pinging hook 12 (billing)``.
        """
        outcome: Outcome[T, A] = Outcome()
        self._stop = False
        try:
            for number, thing in enumerate(things):
                if self._stop:
                    outcome.left = list(things[number:])
                    break
                told = self._progress(number + 1, len(things), doing(thing))
                try:
                    with self.notices.working(told):
                        answer = await self.shell.calls.change(call(thing), doing(thing))
                    outcome.done.append((thing, answer))
                except (NotFound, Conflict, Refused) as error:
                    outcome.failed.append((thing, str(error)))
                except HooktuiError as error:
                    outcome.failed.append((thing, error_text(error)))
                    if isinstance(error, NotAllowed):
                        self.shell.status.read_soon()
                    outcome.left = list(things[number + 1 :])
                    break
        except asyncio.CancelledError:
            if len(things) > 1:  # what became of the one under way is told by itself
                done = f"{len(outcome.done):,} of {len(things):,}"
                self.app.call_later(
                    self.shell.notice, f"stopped with the screen: {done} were done", "warn"
                )
            raise
        finally:
            self._busy_with = ""
        return outcome

    def _progress(self, number: int, count: int, doing: str) -> str:
        if count == 1:
            return doing
        self._busy_with = f"{doing}, {number:,} of {count:,}"
        return f"{self._busy_with}; {self.shell.key('back')} stops it"

    def disabled_reason(self, name: str) -> str | None:
        """Add: something for many is under way."""
        if self._busy_with and name in _WORKS:
            return f"still {self._busy_with}; {self.shell.key('back')} stops it"
        return super().disabled_reason(name)

    def _start_command(self, name: str) -> Coroutine[None, None, None] | None:
        """Stop what is under way on Esc; everything else as always."""
        if name == "back" and self._busy_with:
            self._stop = True
            self.notice("stopping after this one")
            return None
        return super()._start_command(name)
