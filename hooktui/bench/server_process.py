"""A measured or crash-tested server: a real process with its own home, started and killed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from hooktui import failpoints
from hooktui.bench.processes import child_command
from hooktui.client.address import ServerAddress
from hooktui.client.calls import create_hook, list_deliveries, server_status
from hooktui.client.start import own_environment, responds
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import NoServer
from hooktui.domain.paths import paths_of
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.pages import MAX_LIMIT

START_S = 30.0
_POLL_S = 0.02


class ServerProcess:
    """A home and the server that runs on it, if there is one.

    ``home`` is a separate folder; without a ``database_url`` it holds the database.
    """

    def __init__(
        self, home: Path, environ: Mapping[str, str], database_url: str | None = None
    ) -> None:
        self.paths = paths_of({"HOOKTUI_HOME": str(home)})
        self.address = ServerAddress(socket=self.paths.socket)
        self.process: subprocess.Popen[bytes] | None = None
        keep = {name: text for name, text in environ.items() if not name.startswith("HOOKTUI_")}
        self._environ = own_environment(keep) | {
            "HOOKTUI_HOME": str(home),
            "HOOKTUI_ALLOW_NETWORKS": "127.0.0.0/8",  # the address of the receiver
        }
        if database_url is not None:
            self._environ["HOOKTUI_DATABASE_URL"] = database_url
        home.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, failpoint: str | None = None, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start a server; return once it responds, or has been killed by its failpoint.

        Raises:
            NoServer: it ended without a failpoint, or did not respond in time.
        """
        log = os.open(self.paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this program
                child_command("hooktui", "serve"),
                env=self._environ | (failpoints.environment(failpoint) if failpoint else {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # ctrl+c is for the calling process
            )
        finally:
            os.close(log)
        if wait:
            self._await_response(self.process, may_die=failpoint is not None)
        return self.process

    def _await_response(self, process: subprocess.Popen[bytes], *, may_die: bool) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                if may_die:
                    return
                raise NoServer(f"the server ended during its start; see {self.paths.log}")
            if responds(self.address):
                return
            time.sleep(_POLL_S)
        raise NoServer(f"the server did not respond within {START_S:g} s; see {self.paths.log}")

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        if self.process is None:
            raise RuntimeError("no server runs")
        return self.process.pid

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self, within_s: float) -> None:
        """Stop the server as an operator does.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        if self.process is not None:
            self.process.terminate()
            self.process.wait(within_s)

    # Requests, through the API only

    def create_hook(self, url: str, *, retry_schedule_s: tuple[float, ...]) -> int:
        """Create a hook for the producer's events; return its number."""
        fields = {"url": url, "events": ["job"], "retry_schedule_s": retry_schedule_s}
        with PlainClient(self.address) as client:
            return client.call(create_hook(1, fields)).id

    def settle(self, within_s: float) -> bool:
        """Return whether no deliveries are waiting, within a time."""
        deadline = time.monotonic() + within_s
        with PlainClient(self.address) as client:
            while client.call(server_status()).backlog.count:
                if time.monotonic() > deadline:
                    return False
                time.sleep(_POLL_S)
        return True

    def deliveries(self, *, status: str | None = None, first: str = "") -> list[Delivery]:
        """Return all deliveries, as the API lists them; ``status``: only those with it.

        The list ends with the page that goes beyond the id ``first``.
        """
        deliveries: list[Delivery] = []
        cursor: str | None = None
        with PlainClient(self.address) as client:
            while True:
                page = client.call(
                    list_deliveries(1, status=status, limit=MAX_LIMIT, cursor=cursor)
                )
                deliveries += page.data
                cursor = page.next
                if cursor is None or (page.data and page.data[-1].id < first):
                    return deliveries
