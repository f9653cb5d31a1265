"""A real server of hooktui in a thread of the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from hooktui.domain.paths import InstallPaths, paths_of
from hooktui.server import run as server
from hooktui.server.settings import Settings

START_S = 20.0


@dataclass
class RunningServer:
    """A server of this process: its paths, where it listens on TCP, and how it is stopped."""

    paths: InstallPaths
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
            transport=httpx.HTTPTransport(uds=str(self.paths.socket), verify=False),
            base_url="http://hooktui",
            headers=headers,
            timeout=40,
        )


@contextmanager
def running_server(home: Path, **given: object) -> Iterator[RunningServer]:
    """Run a server on a home until the block ends; ``given`` are settings."""
    settings = Settings(**{"allow_networks": "127.0.0.0/8", **given})
    where = paths_of({"HOOKTUI_HOME": str(home)})
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
