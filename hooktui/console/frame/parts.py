"""Parts of a screen: each runs some of its commands, and returns why one is not possible."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from typing import TypeVar

from hooktui.console.registry import Command
from hooktui.console.widgets.chrome import Offer

Handler = Callable[[], Coroutine[None, None, None] | None]
"""Runs a command; a coroutine that it returns runs in the background."""

S = TypeVar("S")


def acts_on(
    subject: Callable[[], S | None], act: Callable[[S], Coroutine[None, None, None] | None]
) -> Handler:
    """Return the handler of a command that acts on a subject, if there is one now."""

    def handler() -> Coroutine[None, None, None] | None:
        current = subject()
        return None if current is None else act(current)

    return handler


class ScreenPart:
    """Related commands of a screen; the screen owns the part."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by command name; may change with the state of the part."""
        return {}

    @property
    def labels(self) -> tuple[Command, ...]:
        """The commands that currently have other texts."""
        return ()

    def disabled_reason(self, name: str) -> str | None:
        """Return why a command is currently not possible, or None."""
        return None

    def arrange(self, offers: Iterable[Offer]) -> Iterable[Offer]:
        """Return the commands of the key line in the order of the part's current state."""
        return offers

    def undrawn_reason(self, name: str) -> str | None:
        """Return why a command must wait until its row has been drawn, or None."""
        return None

    def refused(self, name: str, reason: str) -> None:
        """React to a refused command, in addition to the notice with the reason."""

    def forget(self, identities: Iterable[Hashable]) -> None:
        """Select no object that is known not to exist any more."""
