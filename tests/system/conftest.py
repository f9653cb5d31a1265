"""Real processes only: an installation in its own folder, its server, its commands, a receiver."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.installation import Installation


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """A receiver in a thread of the test: survives every kill, answers what it is told to.

    ``script`` holds, per path, the answers still to give: a status, or (status, headers). When it
    is used up the answer is 200.
    """

    port: int
    seen: list[Seen] = field(default_factory=list)
    script: dict[str, list[int | tuple[int, dict[str, str]]]] = field(default_factory=dict)
    reply: bytes = b"ok"
    gate: threading.Event = field(default_factory=threading.Event)
    """While it is not set, requests are read and kept waiting."""

    def url(self, path: str = "/in") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Seen]:
        return [one for one in list(self.seen) if one.path == path]


def start_receiver() -> tuple[Receiver, ThreadingHTTPServer]:
    receiver: Receiver

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.seen.append(Seen(self.path, dict(self.headers.items()), body, time.time()))
            receiver.gate.wait(30)
            answers = receiver.script.get(self.path)
            answer = answers.pop(0) if answers else 200
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.reply)))
            self.end_headers()
            self.wfile.write(receiver.reply)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1])
    receiver.gate.set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return receiver, server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver, server = start_receiver()
    yield receiver
    receiver.gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def idle_home(tmp_path: Path) -> Iterator[Installation]:
    """An installation whose server is not running."""
    installation = Installation(tmp_path / "home")
    installation.home.mkdir(mode=0o700)
    yield installation
    installation.stop()


@pytest.fixture
def home(idle_home: Installation) -> Installation:
    """An installation whose server runs."""
    idle_home.start()
    return idle_home
