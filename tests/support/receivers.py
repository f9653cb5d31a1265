"""Receivers of deliveries that run in a thread of the test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.support.waiting import wait_for

JSON = {"Content-Type": "application/json"}


class Request(NamedTuple):
    """A request that a receiver got, and the Unix time in seconds."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


class Response(NamedTuple):
    """A response of a receiver; a reason of None is the usual one of the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reason: str | None = None


@dataclass
class Receiver:
    """Keeps each request, and responds with ``status`` and ``body`` while ``released`` is set.

    ``script`` holds, per path, what comes before: a status, or a status with headers.
    """

    port: int = 0
    status: int = 200
    body: bytes = b'{"ok":true}'
    script: dict[str, list[int | tuple[int, Mapping[str, str]]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return self.url_of("/in")

    def url_of(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def requests_to(self, path: str) -> list[Request]:
        return [request for request in list(self.requests) if request.path == path]

    def wait_for(self, count: int) -> list[Request]:
        """Return the first requests, once there are so many."""
        wait_for(lambda: len(self.requests) >= count, what=f"{count} requests")
        return self.requests[:count]

    def response_to(self, request: Request) -> Response:
        scripted = self.script.get(request.path)
        first = scripted.pop(0) if scripted else self.status
        status, headers = first if isinstance(first, tuple) else (first, {})
        return Response(status, {**JSON, **headers}, self.body)


class HttpServer(ThreadingHTTPServer):
    """An HTTP server to which hundreds may connect at once.

    With the 5 of `socketserver` a busy machine has the kernel reset the connections beyond.
    """

    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away: a command under test may own stderr."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def receiving(receiver: Receiver | None = None) -> Iterator[Receiver]:
    """Run a receiver until the block ends."""
    running = receiver or Receiver()
    running.released.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.path, dict(self.headers), body, time.time())
            running.requests.append(request)
            running.released.wait(30)
            response = running.response_to(request)
            self.send_response(response.status, response.reason)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HttpServer(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.released.set()
            server.shutdown()
            thread.join()
