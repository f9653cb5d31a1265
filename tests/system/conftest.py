"""Real processes only: an installation in its own folder, its server, its commands, a receiver."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hooktui.client.address import ServerAddress
from hooktui.client.calls import healthy
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import places
from tests.support.waiting import wait_for

T = TypeVar("T")
SAMPLES = Path(__file__).parent.parent / "samples"


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


class Installation:
    """One ``HOOKTUI_HOME`` with everything in it, used only through the installed commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "test-serve.log"
        self.server: subprocess.Popen[bytes] | None = None
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
        self.environ = {
            **keep,
            "HOOKTUI_HOME": str(home),
            "HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8",
            "HOME": str(home),
            "NO_COLOR": "1",
        }

    def run(
        self, *arguments: str, stdin: bytes | None = None, environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "hooktui", *arguments],
            env=self.environ | (environ or {}),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=60,
        )

    def ok(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run a command that must succeed; return what it prints."""
        result = self.run(*arguments, stdin=stdin)
        assert result.returncode == 0, (arguments, result.stdout, result.stderr)
        assert b"Traceback" not in result.stderr
        return result.stdout.decode()

    def json(self, *arguments: str, stdin: bytes | None = None) -> Any:
        return json.loads(self.ok(*arguments, "--json", stdin=stdin))

    def start(self, *arguments: str, files: int | None = None) -> None:
        """Start the server and wait until it answers; it may have so many files open."""

        def limit() -> None:
            if files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        log = self.log.open("ab")
        self.server = subprocess.Popen(
            [sys.executable, "-m", "hooktui", "serve", *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=limit,
        )
        log.close()

        wait_for(self._answers, 60, "the server answers")

    def _answers(self) -> bool:
        """Whether the server is there; asked from here, as a command takes as long as its start."""
        assert self.server is not None
        assert self.server.poll() is None, self.log.read_text()
        try:
            with PlainClient(ServerAddress(socket=places(self.environ).socket)) as client:
                client.call(healthy())
        except HooktuiError:
            return False
        return True

    def kill(self) -> None:
        """End the server as a power cut would."""
        assert self.server is not None
        self.server.send_signal(signal.SIGKILL)
        self.server.wait(10)

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait(10)
                raise

    def create_hook(self, url: str, *options: str, events: str = "job,cluster") -> Any:
        return self.json("hooks", "create", "--url", url, "--events", events, *options)

    def emit(self, event_type: str) -> str:
        return self.ok("emit", event_type, str(SAMPLES / f"{event_type}.json")).strip()

    def deliveries(self, *arguments: str) -> Any:
        return self.json("deliveries", "list", *arguments)


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
