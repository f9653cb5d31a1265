"""Parts of a screen: each runs some of its commands, and gives reasons why one is not possible."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Protocol

Handler = Callable[[], Coroutine[None, None, None] | None]
"""Runs a command; a coroutine that it returns runs in the background."""


class ScreenPart:
    """Commands of a screen that belong together; the screen owns the part."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What runs each command, by its name; may change with the state of the part."""
        return {}

    def disabled_reason(self, name: str) -> str | None:
        """Return why a command is not possible here and now, or None."""
        return None


class RowGuard(Protocol):
    """Keeps commands from rows that a person has not chosen; see `ChosenRows`."""

    def undrawn_reason(self, name: str) -> str | None:
        """Return why a command must wait until its row has been drawn, or None."""

    def refused(self, name: str, reason: str) -> None:
        """Act on a command that was refused, beside giving the reason."""
