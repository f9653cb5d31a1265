"""A server in a temporary home on which the console is measured, with hooks, deliveries and events.

Many hooks and old deliveries are inserted by SQL before the server starts. Streamed events are sent
and delivered as usual.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hooktui.bench.processes import child_command, temp_workspace
from hooktui.bench.producer import offer_all, prepare
from hooktui.bench.seed_rows import fill
from hooktui.bench.server_process import ServerProcess
from hooktui.bench.sink import OK, running_sink
from hooktui.client.calls import create_hook
from hooktui.client.start import own_environment
from hooktui.client.sync_client import PlainClient
from tests.system.terminal.session import Session

LINES_PER_S = 1000
_PER_REQUEST = 20
_STOP_S = 30.0
CAUSES = ("http_5xx", "http_429", "http_404", "timeout", "refused", "dns", "reset")
"""The causes of undelivered events, one for each of the hooks after the first."""
_ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Stand:
    """A running server.

    Attributes:
        folder: holds all of its files.
        environ: the environment in which commands find it.
        server: the server's process.
    """

    folder: Path
    environ: dict[str, str]
    server: ServerProcess

    def console(self, *, rate: float | None = None) -> Session:
        """Open the installed console without the saved state of earlier sessions."""
        for saved in self.server.paths.home.glob("console/*.json"):
            saved.unlink()
        script = Path(sys.executable).with_name("hooktui")
        own = [str(script)] if script.exists() else [sys.executable, "-m", "hooktui"]
        return Session(own, self.environ, rate)

    @contextmanager
    def streaming(
        self, lines: int, per_s: float = LINES_PER_S
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Send events at a constant rate from another process while the block runs."""
        words = [str(self.server.paths.socket), str(lines), str(per_s)]
        environ = self.environ | {"PYTHONPATH": str(_ROOT)}
        process = subprocess.Popen(
            child_command("tests.system.terminal.stand", *words), env=environ
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def stand(*, hooks: int = 10, deliveries: int = 0, undelivered: int = 0) -> Iterator[Stand]:
    """Run a server until the block ends.

    Args:
        hooks: the number of hooks; only the first receives streamed events.
        deliveries: the number of old deliveries of the first hook, some of which failed.
        undelivered: the number of failed deliveries of the next seven hooks, in seven groups.
    """
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
    with temp_workspace("terminal") as folder, running_sink(folder, environ) as sink:
        server = ServerProcess(folder / "home", environ)
        try:
            server.start()
            url = sink.url(OK, "127.0.0.1", tls=False)
            fields = {"name": "Hook 000001", "url": url, "events": ["job"], "max_in_flight": 64}
            with PlainClient(server.address) as client:
                first = client.call(create_hook(1, fields)).id
            server.terminate(_STOP_S)
            copy_hook(server.paths.database, first, hooks - 1)
            if deliveries:
                fill(server.paths.database, first, deliveries)
                fail_some(server.paths.database, deliveries // failed(deliveries))
            if undelivered:
                leave_undelivered(server.paths.database, first, undelivered)
            server.start()
            own = own_environment(environ) | {
                "HOME": str(folder),
                "HOOKTUI_HOME": str(server.paths.home),
            }
            yield Stand(folder, own, server)
        finally:
            server.kill()


def failed(deliveries: int) -> int:
    """Return how many of the old deliveries of the first hook failed: a tenth, at most 1,000."""
    return min(deliveries // 10, 1_000)


def fail_some(database: Path, each: int) -> None:
    """Mark every n-th delivery of a database without a server as failed."""
    with closing(sqlite3.connect(database, isolation_level=None)) as raw:
        raw.execute(
            "UPDATE delivery SET status = 'failed', last_code = 500 WHERE id % ? = 0", (each,)
        )


def leave_undelivered(database: Path, first: int, rows: int) -> None:
    """Insert failed deliveries of the hooks after the first one, a cause for each hook."""
    for hook, cause in enumerate(CAUSES, first + 1):
        fill(database, hook, rows // len(CAUSES))
        with closing(sqlite3.connect(database, isolation_level=None)) as raw:
            raw.execute(
                "UPDATE delivery SET status = 'failed', reason = 'gave up after 1 attempt',"
                " cause = ?, last_code = 500 WHERE hook_id = ?",
                (cause, hook),
            )


def copy_hook(database: Path, hook: int, times: int) -> None:
    """Insert copies of a hook, with other events, into a database without a server."""
    if times < 1:
        return
    with closing(sqlite3.connect(database, isolation_level=None)) as raw:
        columns = [row[1] for row in raw.execute("PRAGMA table_info(hook)")]
        given = {
            "id": ":hook + n",
            "name": "printf('Hook %06d', n + 1)",
            "url": "replace(url, '/ok', '/ok/' || n)",
            "events": "'[\"cluster\"]'",
        }
        numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :times)"
        chosen = ", ".join(given.get(column, f"hook.{column}") for column in columns)
        raw.execute("BEGIN IMMEDIATE")
        values = {"hook": hook, "times": times}
        raw.execute(
            f"INSERT INTO hook ({', '.join(columns)}) {numbers}"
            f" SELECT {chosen} FROM c, hook WHERE hook.id = :hook",
            values,
        )
        state = [row[1] for row in raw.execute("PRAGMA table_info(hook_state)")]
        kept = ", ".join(f"s.{column}" for column in state if column != "hook_id")
        others = ", ".join(column for column in state if column != "hook_id")
        raw.execute(
            f"INSERT INTO hook_state (hook_id, {others}) {numbers}"
            f" SELECT :hook + n, {kept} FROM c, hook_state AS s WHERE s.hook_id = :hook",
            values,
        )
        raw.execute("COMMIT")


def _stream(socket: Path, lines: int, per_s: float) -> None:
    requests = prepare(lines, _PER_REQUEST, 256)
    asyncio.run(offer_all([socket], requests, 8, per_s / _PER_REQUEST))


if __name__ == "__main__":
    _stream(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
