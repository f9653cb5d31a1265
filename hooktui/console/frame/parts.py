"""Parts of a screen: each runs some of its commands, and gives reasons why one is not possible."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Protocol

from hooktui.console.registry import Command
from hooktui.console.widgets.chrome import Offer

Handler = Callable[[], Coroutine[None, None, None] | None]
"""Runs a command; a coroutine that it returns runs in the background."""


class ScreenPart:
    """Commands of a screen that belong together; the screen owns the part."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What runs each command, by its name; may change with the state of the part."""
        return {}

    @property
    def labels(self) -> tuple[Command, ...]:
        """The commands that have other texts here and now."""
        return ()

    def disabled_reason(self, name: str) -> str | None:
        """Return why a command is not possible here and now, or None."""
        return None

    def arrange(self, offers: Iterable[Offer]) -> Iterable[Offer]:
        """Return the commands of the line of keys in the order of the part's state."""
        return offers


class RowGuard(Protocol):
    """Keeps commands from rows that a person has not chosen; see `ChosenRows`."""

    def undrawn_reason(self, name: str) -> str | None:
        """Return why a command must wait until its row has been drawn, or None."""

    def refused(self, name: str, reason: str) -> None:
        """Act on a command that was refused, beside giving the reason."""
