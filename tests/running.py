"""A real server in a thread of its own, and a receiver that answers what it is told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from hooktui.domain.paths import InstallPaths, places
from hooktui.server import run as server
from hooktui.server.settings import Settings

START_S = 20.0


@dataclass
class RunningServer:
    """A server of this process: its places, where it listens on TCP, and how it is stopped."""

    places: InstallPaths
    listen: tuple[tuple[str, int], ...]
    loop: asyncio.AbstractEventLoop
    stop_event: asyncio.Event
    thread: threading.Thread

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.loop.call_soon_threadsafe(self.stop_event.set)
        self.thread.join(START_S)
        assert not self.thread.is_alive()

    def client(self, **headers: str) -> httpx.Client:
        """Return a client of its Unix socket."""
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.places.socket)),
            base_url="http://hooktui",
            headers=headers,
            timeout=40,
        )


@contextmanager
def running_server(home: Path, **given: object) -> Iterator[RunningServer]:
    """Run a server on a home until the block ends; ``given`` are settings."""
    settings = Settings(**{"allow_networks": "127.0.0.0/8", **given})
    where = places({"HOOKTUI_HOME": str(home)})
    started = threading.Event()
    found: dict[str, object] = {}

    async def run() -> None:
        stop = asyncio.Event()
        found["loop"], found["stop"] = asyncio.get_running_loop(), stop

        def ready(running: server.Running) -> None:
            found["running"] = running
            started.set()

        await server.run(settings, where, ready=ready, stop=stop)

    def main() -> None:
        try:
            with asyncio.Runner(loop_factory=server.loop_factory()) as runner:
                runner.run(run())
        except BaseException as error:  # told to the test, which raises it
            found["error"] = error
        finally:
            started.set()

    thread = threading.Thread(target=main, name="server")
    thread.start()
    assert started.wait(START_S)
    if "running" not in found:
        thread.join(START_S)
        error = found["error"]
        assert isinstance(error, BaseException)
        raise error
    running = found["running"]
    assert isinstance(running, server.Running)
    one = RunningServer(where, running.listen, found["loop"], found["stop"], thread)
    try:
        yield one
    finally:
        if thread.is_alive():
            one.stop()
    if "error" in found:
        raise found["error"]


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
