"""Responses that clients do not read: counted with the request bodies, and limited like them.

A connection is counted while the kernel accepts no more of its response (uvicorn's high-water mark,
64 KiB). It starts no further request then, so it holds one response at most. If one caller, or all
of them, exceed their limit, the connections with the most unsent bytes are reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from hooktui.api.bodies import BodyBudget

MAX_UNSENT_OF_CALLER: Final = 32 * 1024 * 1024
"""A console holds 20 connections with pages of 1 MiB; this is more."""


class UnreadConnection(Protocol):
    """A connection whose client does not read."""

    def reset(self) -> None:
        """Reset the connection and drop unsent data."""


@dataclass(slots=True)
class _Unsent:
    caller: str
    size: int


class UnsentResponses:
    """The unsent bytes of responses.

    Args:
        bodies: counts them together with request bodies.
        max_of_caller: bytes of one caller, or of one source address without a valid token; a
            single response may be longer.

    Attributes:
        reset: connections that were reset because of these limits, or because their clients read
            nothing for too long, since the start.
    """

    def __init__(
        self, bodies: BodyBudget | None = None, max_of_caller: int = MAX_UNSENT_OF_CALLER
    ) -> None:
        self.bodies = BodyBudget() if bodies is None else bodies
        self.reset = 0
        self._max_of_caller = max_of_caller
        self._unsent: dict[UnreadConnection, _Unsent] = {}
        self._of_caller: dict[str, int] = {}

    @property
    def size(self) -> int:
        """The number of unsent bytes."""
        return sum(self._of_caller.values())

    def update(self, connection: UnreadConnection, caller: str, size: int) -> None:
        """Set the unsent bytes of a connection; reset others if the limit is exceeded."""
        self._forget(connection)
        if size == 0:
            return
        self._unsent[connection] = _Unsent(caller, size)
        self._of_caller[caller] = self._of_caller.get(caller, 0) + size
        self.bodies.size += size
        self._make_room(connection, caller)

    def _make_room(self, newest: UnreadConnection, caller: str) -> None:
        while (
            self._of_caller[caller] > self._max_of_caller
            and (largest := self._largest(newest, caller)) is not None
        ):
            self._reset(largest)
        while self.bodies.is_full and (largest := self._largest(newest, None)) is not None:
            self._reset(largest)

    def _largest(self, newest: UnreadConnection, caller: str | None) -> UnreadConnection | None:
        """Return the connection with the most bytes, the oldest of equals, except the newest."""
        return max(
            (
                connection
                for connection, unsent in self._unsent.items()
                if connection is not newest and caller in (None, unsent.caller)
            ),
            key=lambda connection: self._unsent[connection].size,
            default=None,
        )

    def _reset(self, connection: UnreadConnection) -> None:
        self._forget(connection)
        self.reset += 1
        connection.reset()

    def _forget(self, connection: UnreadConnection) -> None:
        unsent = self._unsent.pop(connection, None)
        if unsent is None:
            return
        self.bodies.size -= unsent.size
        left = self._of_caller.pop(unsent.caller) - unsent.size
        if left:
            self._of_caller[unsent.caller] = left
