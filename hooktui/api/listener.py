"""One listening socket: uvicorn with our connections, each checked every second.

There is one `uvicorn.Server` for each listener, in one loop; our server handles signals. A TLS
handshake counts as a connection and has a deadline: uvicorn would accept any number of them at once
and wait a minute for each, and it reports a connection only after its handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from hooktui.api.connection import ClientConnection
from hooktui.api.connection_limiter import ConnectionLimiter, ConnectionSlot
from hooktui.api.response_budget import UnsentResponses

_log = logging.getLogger(__name__)

HANDSHAKE_DEADLINE_S = 10.0


class TlsHandshake(asyncio.Protocol):
    """A connection before its handshake.

    ``make`` creates the connection after the handshake, which takes over the slot.
    """

    idle_since: float | None = None

    def __init__(
        self,
        make: Callable[[ConnectionSlot], ClientConnection],
        context: ssl.SSLContext,
        limiter: ConnectionLimiter,
    ) -> None:
        self._make = make
        self._context = context
        self._limiter = limiter
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the handshake, if there is a slot."""
        client = transport.get_extra_info("peername")
        slot = self._limiter.admit_tcp(self, client[0] if client else "")
        if slot is not None:
            self._start(transport.get_extra_info("socket"), slot)
        transport.abort()  # without TLS no response can be sent

    def _start(self, accepted: socket.socket, slot: ConnectionSlot) -> None:
        loop = asyncio.get_running_loop()
        try:
            # The socket is passed to a transport that starts with TLS: this one may already have
            # read a part of the handshake when TLS starts.
            opened = accepted.dup()
        except OSError as error:
            slot.release()
            message = "no file is left for an accepted connection"
            loop.call_exception_handler({"message": message, "exception": error})
            return
        self._task = loop.create_task(self._handshake(opened, slot))
        self._task.add_done_callback(partial(self._ended, opened, slot))

    def evict(self) -> None:
        """Cancel the handshake."""
        if self._task is not None:
            self._task.cancel()

    async def _handshake(self, opened: socket.socket, slot: ConnectionSlot) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            partial(self._make, slot),
            opened,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_DEADLINE_S,
        )

    def _ended(self, opened: socket.socket, slot: ConnectionSlot, task: asyncio.Task[None]) -> None:
        """Release the resources of a failed handshake."""
        error = None if task.cancelled() else task.exception()
        if slot.connection is self:
            slot.release()
        if error is not None or task.cancelled():
            opened.close()
        if error is not None and not isinstance(error, OSError):
            # ssl.SSLError and TimeoutError are OSErrors: not TLS, or too slow.
            _log.error("error in a TLS handshake", exc_info=error)


STOP_REQUESTS_S = 11.0
"""How long a stop waits for requests: longer than the engine waits for a ping's attempt."""
KEEP_ALIVE_S = 75
BACKLOG = 2048
_TICKS_A_SECOND = 10  # of uvicorn


class Listener(uvicorn.Server):
    """One listening socket and its server.

    ``listening`` is a bound socket; ``limiter`` and ``unsent`` are those of all listeners; ``tls``
    returns the context of the next handshake.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        limiter: ConnectionLimiter,
        unsent: UnsentResponses,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=ClientConnection,
            interface="asgi3",
            ws="none",
            lifespan="off",
            loop="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(STOP_REQUESTS_S),
            backlog=BACKLOG,
        )
        config.load()
        super().__init__(config)
        self.socket = listening
        self._limiter = limiter
        self._unsent = unsent
        self._tls = tls
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; return once requests are accepted."""
        self._task = asyncio.create_task(self.serve(sockets=[self.socket]))
        while not self.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTP server ended during its start")
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Accept no more requests, and finish those in progress."""
        self.should_exit = True
        if self._task is not None:
            await self._task

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to our server."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen without TLS: `TlsHandshake` starts it."""
        loop = asyncio.get_running_loop()
        self.servers = [await loop.create_server(self._make, sock=self.socket, backlog=BACKLOG)]
        self.started = True

    def _make(self) -> asyncio.Protocol:
        if self._tls is None:
            return self._make_connection()
        return TlsHandshake(self._make_connection, self._tls(), self._limiter)

    def _make_connection(self, slot: ConnectionSlot | None = None) -> ClientConnection:
        return ClientConnection(
            self.config,
            self.server_state,
            {},
            limiter=self._limiter,
            unsent=self._unsent,
            slot=slot,
        )

    async def on_tick(self, counter: int) -> bool:
        """Check the deadlines of each connection once a second."""
        if counter % _TICKS_A_SECOND == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, ClientConnection):
                    connection.check_deadlines(now)
        return await super().on_tick(counter)
