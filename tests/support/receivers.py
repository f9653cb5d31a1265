"""A receiver of deliveries in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """One request that came to the receiver."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class HookReceiver:
    """Answers all requests with ``status``; keeps what came."""

    port: int
    status: int = 200
    requests: list[Received] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    held: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/in"

    def wait_for(self, count: int, timeout_s: float = 10) -> list[Received]:
        """Return the first requests, once there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout_s)
            return self.requests[:count]


@contextmanager
def hook_receiver() -> Iterator[HookReceiver]:
    """Run a receiver until the block ends. It answers while ``held`` is set (it is at first)."""
    receiver = HookReceiver(0)
    receiver.held.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.arrived:
                receiver.requests.append(Received(self.path, dict(self.headers), body))
                receiver.arrived.notify_all()
            receiver.held.wait(20)
            self.send_response(receiver.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        receiver.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.held.set()
            listening.shutdown()
            thread.join()
