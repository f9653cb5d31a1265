"""The demo behind the scenes, a process of its own: home, server, receiver, hooks, and the story.

    python -m hooktui.sources.stage SEED

It says ``{"home": …}`` in one line once the hooks are there, and plays until its stdin ends. So
whatever becomes of the process that started it (quit, Ctrl-C, kill -9), the server is stopped and
the home is removed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from hooktui.client.calls import create_hook, send_event
from hooktui.client.connection import ServerAddress
from hooktui.client.plain import PlainClient
from hooktui.client.start import start_server
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.places import Places, places
from hooktui.domain.text import visible
from hooktui.sources.demo_hooks import DEMO_HOOKS
from hooktui.sources.receiver import Receiver
from hooktui.sources.story import story

ACCOUNT = 1
SERVER_SETTINGS = {"HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8"}
"""The receiver is on this machine, where hooks may not reach by themselves."""

PACE = 60.0
"""A minute of an account's life each second."""
STOP_S = 2.0
"""A stop lets attempts end; what is thrown away anyway need not wait for slow receivers."""


def main(arguments: list[str]) -> int:
    """Play until stdin ends; return the exit code."""
    # Ctrl-C in the terminal is for the process in front; this one ends when that one lets go.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(_play(int(arguments[0])))
    except HooktuiError as error:
        sys.stderr.write(f"{visible(str(error))}\n")
        return 1
    return 0


async def _play(seed: int) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)  # nothing is ever written to it
    async with Receiver(seed) as receiver:
        with _temporary_home() as home, _running_server(home) as client:
            for hook in DEMO_HOOKS:
                client.call(create_hook(ACCOUNT, hook.settings(receiver.url(hook.mood))))
            sys.stdout.write(json.dumps({"home": str(home.home)}) + "\n")
            sys.stdout.flush()
            ending = asyncio.create_task(over.wait())
            telling = asyncio.create_task(_tell(seed, client))
            await asyncio.wait((ending, telling), return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            if telling.done():
                telling.result()
            telling.cancel()


async def _tell(seed: int, client: PlainClient) -> None:
    """Send the events of the story, each at its time; late ones at once."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for scene in story(seed, now_ms(), PACE):
        await asyncio.sleep(begun + scene.at_s - loop.time())
        await asyncio.to_thread(client.call, send_event(ACCOUNT, scene.event_type, scene.body))


@contextmanager
def _temporary_home() -> Iterator[Places]:
    # What a server that had to be killed still leaves behind is no reason to fail.
    with tempfile.TemporaryDirectory(prefix="hooktui-demo-", ignore_cleanup_errors=True) as home:
        yield places({"HOOKTUI_HOME": home})


@contextmanager
def _running_server(home: Places) -> Iterator[PlainClient]:
    environ = {**os.environ, "HOOKTUI_HOME": str(home.home), **SERVER_SETTINGS}
    process = start_server(home, environ)
    try:
        with PlainClient(ServerAddress(socket=home.socket)) as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
