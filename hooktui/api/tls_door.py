"""The way in over TLS: a handshake counts as a connection, and has a deadline.

uvicorn's listener would take any number of handshakes at once and wait a minute for each; a
connection is only told of when its handshake is done.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial

from hooktui.api.connection import Connection
from hooktui.api.connection_limiter import ConnectionLimiter, Place

_log = logging.getLogger(__name__)

HANDSHAKE_DEADLINE_S = 10.0


class TlsDoor(asyncio.Protocol):
    """A connection before its handshake.

    Args:
        make: makes the connection behind the door, which takes the place over.
        context: certificate and key.
        limiter: of all connections.
    """

    idle_since: float | None = None

    def __init__(
        self,
        make: Callable[[Place], Connection],
        context: ssl.SSLContext,
        limiter: ConnectionLimiter,
    ) -> None:
        self._make = make
        self._context = context
        self._limiter = limiter
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake, if there is a place."""
        client = transport.get_extra_info("peername")
        place = self._limiter.admit_tcp(self, client[0] if client else "")
        if place is not None:
            # The socket goes on in a transport that speaks TLS from its first byte: this one may
            # have read some of the handshake by the time it could be turned into one.
            descriptor = os.dup(transport.get_extra_info("socket").fileno())
            opened = socket.socket(fileno=descriptor)
            self._task = asyncio.create_task(self._shake_hands(opened, place))
            self._task.add_done_callback(partial(self._ended, opened, place))
        transport.abort()  # without a handshake nothing can be told

    def evict(self) -> None:
        """End the handshake."""
        if self._task is not None:
            self._task.cancel()

    async def _shake_hands(self, opened: socket.socket, place: Place) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            partial(self._make, place),
            opened,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_DEADLINE_S,
        )

    def _ended(self, opened: socket.socket, place: Place, task: asyncio.Task[None]) -> None:
        """Release what a handshake without a result held."""
        error = None if task.cancelled() else task.exception()
        if place.connection is self:
            place.release()
        if error is not None or task.cancelled():
            opened.close()
        if error is not None and not isinstance(error, OSError):
            # ssl.SSLError and TimeoutError are OSErrors: no TLS, or too slow.
            _log.error("error in a TLS handshake", exc_info=error)
