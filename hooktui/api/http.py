"""uvicorn as we use it: it learns who is at the other end, and discards refused bodies.

One `uvicorn.Server` for each listener, in one loop; signals are the business of our server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hooktui.api.peers import peer_of
from hooktui.api.problems import problem
from hooktui.domain.errors import Malformed

STOP_REQUESTS_S = 11.0
"""How long a stop waits for requests: longer than the engine waits for a ping's attempt."""
KEEP_ALIVE_S = 75
# So much of a body that was refused is read and thrown away, so that a client that sends before it
# listens gets to the answer instead of a reset.
MAX_DISCARDED_BYTES = 16 * 1024 * 1024


class Protocol(HttpToolsProtocol):
    """One connection; ``state.peer`` of its requests is the process at the other end."""

    _discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note who is there before the first byte is read."""
        super().connection_made(transport)
        self.app_state = {"peer": peer_of(transport.get_extra_info("socket").fileno())}

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; what comes after the answer is discarded, up to a limit."""
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > MAX_DISCARDED_BYTES:
                self.transport.close()
            return
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Go on with the next request, unless the client still holds the body of this one back."""
        super().on_response_complete()
        if self.expect_100_continue and self.cycle.response_complete and self.cycle.more_body:
            # Told the end before "100 Continue", it may send the body or not: nobody can know what
            # the next bytes are (RFC 9110, 10.1.1).
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the form of all our errors."""
        answer = problem(Malformed("this is not an HTTP request"))
        head = [b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"]
        head += [b"%b: %b\r\n" % header for header in answer.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", answer.body]))
        self.transport.close()


class Listener:
    """One listening socket that is being served.

    Args:
        app: the application.
        listening: bound already.
        tls: certificate and key, where the socket speaks TLS.
    """

    def __init__(
        self, app: ASGIApp, listening: socket.socket, tls: tuple[Path, Path] | None = None
    ) -> None:
        self.socket = listening
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            loop="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(STOP_REQUESTS_S),
            backlog=2048,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; returns once requests are taken."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self.socket]))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTP server ended before it had begun")
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Take no more requests and finish those that are being answered."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
