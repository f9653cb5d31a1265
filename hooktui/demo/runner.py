"""The process of a demo: home, server, receiver, hooks, and the events of its scenario.

    python -m hooktui.demo.runner SEED

It prints ``{"home": …}`` in one line once the hooks exist, and sends events until its stdin ends.
So the server is stopped and the home removed however the parent process ends (quit, Ctrl-C, kill
-9).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from hooktui.client.address import ServerAddress
from hooktui.client.calls import create_hook, send_event
from hooktui.client.start import spawn_server, wait_until_it_responds
from hooktui.client.sync_client import PlainClient
from hooktui.demo.receiver import Behaviour, Receiver
from hooktui.demo.scenario import scenario_events
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.paths import InstallPaths, paths_of
from hooktui.domain.text import visible


@dataclass(frozen=True, slots=True)
class DemoHook:
    """A hook to create: its name, the behaviour of its receiver, and further fields."""

    name: str
    behaviour: Behaviour
    events: tuple[str, ...]
    retry_schedule_s: tuple[float, ...] = (1, 2, 3)
    fields: Mapping[str, object] = field(default_factory=dict)

    def settings(self, url: str) -> dict[str, object]:
        """Return the fields of the call that creates it, for a receiver at a URL."""
        return {
            "name": self.name,
            "url": url,
            "events": self.events,
            "retry_schedule_s": self.retry_schedule_s,
            **self.fields,
        }


# Short schedules, so that a delivery fails within twenty seconds.
DEMO_HOOKS = (
    DemoHook("Data warehouse", Behaviour.FAST, ("job", "cluster")),
    DemoHook("Ops pager", Behaviour.FLAKY, ("job.failed", "cluster"), (1, 2, 4, 8)),
    DemoHook("Slack relay", Behaviour.BUSY, ("job",), (1, 2, 4, 8), {"max_in_flight": 4}),
    DemoHook("Billing (slow)", Behaviour.SLOW, ("job.completed", "cluster.terminated"),
             fields={"timeout_s": 5, "max_in_flight": 2}),
    DemoHook("ERP bridge", Behaviour.DOWN, ("cluster.requested", "cluster.error"),
             fields={"signature_hash": "sha1", "headers": {"X-Api-Key": "erp-7f3c"}}),
    DemoHook("Retired CI", Behaviour.GONE, ("job.started",)),
    DemoHook("Staging copy", Behaviour.FAST, ("job", "cluster"), fields={"active": False}),
    DemoHook("Finance audit", Behaviour.FAST, ("job.completed", "job.failed"),
             fields={"filter": "data.creator.type:Schedule"}),
)  # fmt: skip


ACCOUNT = 1
SERVER_SETTINGS = {"HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8"}
"""The receiver is on this machine, which hooks may not reach by default."""

PACE = 60.0
"""One second shows a minute of the scenario."""
STOP_S = 2.0
"""A stop waits for attempts, but a temporary home need not wait for slow receivers."""


def main(arguments: list[str]) -> int:
    """Run until stdin ends; return the exit code."""
    # Ctrl-C in the terminal is for the parent; this process ends when its stdin is closed.
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
        # Files that a killed server leaves are ignored.
        with (
            tempfile.TemporaryDirectory(prefix="hooktui-demo-", ignore_cleanup_errors=True) as home,
            _running_server(paths_of({"HOOKTUI_HOME": home})) as client,
        ):
            for hook in DEMO_HOOKS:
                client.call(create_hook(ACCOUNT, hook.settings(receiver.url(hook.behaviour))))
            sys.stdout.write(json.dumps({"home": home}) + "\n")
            sys.stdout.flush()
            ending = asyncio.create_task(over.wait())
            sending = asyncio.create_task(_send_events(seed, client))
            await asyncio.wait((ending, sending), return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            if sending.done():
                sending.result()
            sending.cancel()


async def _send_events(seed: int, client: PlainClient) -> None:
    """Send the events of the scenario, each at its time; late ones immediately."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for scene in scenario_events(seed, now_ms(), PACE):
        await asyncio.sleep(begun + scene.at_s - loop.time())
        await asyncio.to_thread(client.call, send_event(ACCOUNT, scene.event_type, scene.body))


@contextmanager
def _running_server(home: InstallPaths) -> Iterator[PlainClient]:
    environ = {**os.environ, "HOOKTUI_HOME": str(home.home), **SERVER_SETTINGS}
    process = spawn_server(home, environ)
    try:
        wait_until_it_responds(process, home)
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
