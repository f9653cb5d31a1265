"""A real HTTP server that answers what a test tells it to, on a Unix socket or on TCP."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from hooktui import sockets
from hooktui.client import ServerAddress
from tests.support.receivers import HttpServer

JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What to answer; ``hang`` keeps the request waiting, ``drop`` closes without an answer."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    close_after: bool = False


def answer(value: object, status: int = 200, **more: object) -> Answer:
    return Answer(status, json.dumps(value).encode(), **more)  # type: ignore[arg-type]


def problem(status: int, detail: str, **more: object) -> Answer:
    fields = {"type": "about:blank", "title": "No", "status": status, "detail": detail, **more}
    return Answer(status, json.dumps(fields).encode(), PROBLEM)


@dataclass
class Scripted:
    """The server: answers in the order of ``script``, the last one again and again."""

    address: ServerAddress
    script: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        self.script = list(answers)

    def next(self) -> Answer:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _handler(scripted: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            scripted.connections += 1

        def finish(self) -> None:
            super().finish()
            # Before it is said, not after: the server closes the socket only when this returns.
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            scripted.closed.release()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            scripted.asked.append(Asked(self.command, self.path, headers, body))
            told = scripted.next()
            if told.hang:
                scripted.released.wait(30)
            if told.drop or told.hang:
                self.close_connection = True
                return
            self.send_response(told.status)
            if told.status != 204:
                self.send_header("Content-Type", told.content_type)
                if not {"Content-Length", "Transfer-Encoding"} & set(told.headers):
                    self.send_header("Content-Length", str(len(told.body)))
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if told.status != 204:
                self.wfile.write(told.body)
            self.close_connection = told.close_after

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def address_string(self) -> str:
            return "here"

    return Handler


class _OnPath(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        socketserver.BaseServer.__init__(self, str(path), handler)
        self.socket = sockets.bind(path, 0o600)
        self.socket.setblocking(True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _OnPort(HttpServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def serving(
    path: Path | None = None, token: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    """Run a scripted server on a socket, or on a port of loopback when there is no path."""
    scripted = Scripted(ServerAddress())
    handler = _handler(scripted)
    server: socketserver.BaseServer
    if path is not None:
        server = _OnPath(path, handler)
        scripted.address = ServerAddress(socket=path)
    else:
        port_server = _OnPort(("127.0.0.1", 0), handler)
        server = port_server
        port = int(port_server.server_address[1])
        scripted.address = ServerAddress(host="127.0.0.1", port=port, token=token)
        if tls is not None:
            scripted.address = replace(scripted.address, scheme="https")
            port_server.socket = tls.wrap_socket(port_server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.004,), daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        scripted.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


HOOK = {
    "id": 12, "account": 1, "type": "web", "name": "billing", "url": "https://x.test/in",
    "events": ["job", "cluster.error"], "active": True, "disabled_reason": None,
    "disabled_at": None, "headers": {"X-A": "1", "X-Key": "***"}, "sensitive_headers": ["X-Key"],
    "basic_auth": None, "signature_hash": "sha256", "verify_tls": True, "timeout_s": 30,
    "retry_schedule_s": [5, 300], "rate_per_s": None, "max_in_flight": 10, "ordered": False,
    "filter": None, "created_at": "2026-11-25T00:00:00.000Z",
    "updated_at": "2026-11-25T00:00:00.000Z", "version": 3,
    "stats": {"last_status": 500, "last_at": "2026-11-25T00:00:00.000Z", "success_24h": 0.5,
              "p95_ms": 120, "waiting": 2, "held": 1, "breaker": "closed", "hourly": []},
}  # fmt: skip

DELIVERY = {
    "id": "dlv_01JDG3R8Z4000", "event": "evt_01JDG3R8Z4000", "event_type": "job.failed", "hook": 12,
    "account": 1, "trigger": "event", "status": "pending", "held": False, "reason": None,
    "attempts": 1, "next_attempt_at": "2026-11-25T00:05:00.000Z",
    "created_at": "2026-11-25T00:00:00.000Z", "finished_at": None, "duration_ms": None,
}  # fmt: skip

ATTEMPT = {
    "delivery": "dlv_01JDG3R8Z4000", "number": 1, "started_at": "2026-11-25T00:00:00.000Z",
    "outcome": "failed", "status_code": 500, "error": "status", "error_detail": None,
    "phases_ms": {"dns": 1.0, "connect": 2.0, "tls": None, "first_byte": 30.0, "total": 34.2},
    "reused_connection": False, "address": "127.0.0.1:9900",
    "response": {"headers": [["Server", "x"]], "body": "oops", "truncated": False, "size": 4},
    "retry_after_s": None, "server": "here",
}  # fmt: skip


def page(*things: object, following: str | None = None, total: int | None = None) -> Answer:
    count = len(things) if total is None else total
    fields = {"data": things, "next": following, "prev": None, "total": count}
    return answer(fields | {"total_is_estimate": False})
