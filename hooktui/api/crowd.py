"""How many connections there are at once: bounded, and who manages the server always gets in.

All of TCP shares one bound; so does each user of the Unix socket, but for root and the owner of the
server, who could end it anyway. When all places are taken, whoever has been idle for longest goes.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Final, Protocol

from hooktui.api.peers import Peer

MOST_CONNECTIONS: Final = 1000
TCP: Final = "tcp"


class Guest(Protocol):
    """A connection as the crowd sees it."""

    idle_since: float | None

    def send_away(self) -> None:
        """Close it."""
        ...


class Crowd:
    """Everybody who is connected.

    Args:
        most: connections over TCP, and of each user of the Unix socket.
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self._inside: dict[Hashable, set[Guest]] = {}

    def enter(self, guest: Guest, peer: Peer | None) -> bool:
        """Let a connection in, at the cost of an idle one if need be; False: there is no place."""
        if peer is not None and peer.uid in (0, os.geteuid()):
            return True
        inside = self._inside.setdefault(_whose(peer), set())
        if len(inside) >= self._most:
            idle = [one for one in inside if one.idle_since is not None]
            if not idle:
                return False
            longest = min(idle, key=lambda one: one.idle_since or 0.0)
            inside.discard(longest)
            longest.send_away()
        inside.add(guest)
        return True

    def leave(self, guest: Guest, peer: Peer | None) -> None:
        """Note that a connection ended; it need not have been let in."""
        whose = _whose(peer)
        inside = self._inside.get(whose)
        if inside is not None:
            inside.discard(guest)
            if not inside:
                del self._inside[whose]


def _whose(peer: Peer | None) -> Hashable:
    return TCP if peer is None else peer.uid
