"""The way in over TLS: a handshake counts as a connection, and has a deadline.

uvicorn's listener would take any number of handshakes at once and wait a minute for each; a
connection is only told of when its handshake is done.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

from hooktui.api.connection import Connection
from hooktui.api.crowd import Crowd

HANDSHAKE_DEADLINE_S = 10.0


class TlsDoor(asyncio.Protocol):
    """A connection before its handshake.

    Args:
        make: the connection behind the door.
        context: certificate and key.
        crowd: everybody who is connected.
    """

    idle_since: float | None = None

    def __init__(
        self, make: Callable[[], Connection], context: ssl.SSLContext, crowd: Crowd
    ) -> None:
        self._make = make
        self._context = context
        self._crowd = crowd
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake, if there is a place."""
        if self._crowd.enter(self, None):
            # The socket goes on in a transport that speaks TLS from its first byte: this one may
            # have read some of the handshake by the time it could be turned into one.
            descriptor = os.dup(transport.get_extra_info("socket").fileno())
            opened = socket.socket(fileno=descriptor)
            self._task = asyncio.create_task(self._shake_hands(opened))
        transport.abort()  # without a handshake nothing can be told

    def send_away(self) -> None:
        """Do nothing: it is never idle."""

    async def _shake_hands(self, opened: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make, opened, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_DEADLINE_S
            )
        except OSError:  # ssl.SSLError and TimeoutError are some: no TLS, or too slow
            opened.close()
        finally:
            self._crowd.leave(self, None)
