"""Measures lists and plans over a large store: ``python -m tests.system.recovery_costs``.

The store has delivered deliveries of one hook, and undelivered ones beside them in seven groups: of
seven hooks, each with a cause of its own. Each call is repeated; plans are added up over their
pages. The last rows say what a plan costs those who send events meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

import asyncpg

from hooktui.bench.seed_rows import fill
from hooktui.bench.server_process import ServerProcess
from hooktui.client.calls import list_deliveries, list_undelivered, plan_replay, send_event
from hooktui.client.sync_client import PlainClient
from hooktui.domain.wire.replays import ReplaySelection
from tests.support import postgres

CAUSES = ("http_5xx", "http_429", "http_404", "timeout", "refused", "dns", "reset")
REPEATS = 20
_NOWHERE = "http://127.0.0.1:9/in"
_STOP_S = 60.0
_BODY = b'{"a": 1, "text": "%s"}' % (b"x" * 1000)
_LOAD_S = 10.0


class Store:
    """A server with seeded rows.

    Args:
        server: the server.
        url: of the database on PostgreSQL; None: a file in the home of the server.
    """

    def __init__(self, server: ServerProcess, url: str | None) -> None:
        self.server, self._url = server, url
        self.hook = self.late = 0

    @property
    def kind(self) -> str:
        return "SQLite" if self._url is None else "PostgreSQL"

    def seed(self, rows: int, undelivered: int) -> None:
        """Store deliveries, and start the server."""
        self.server.start()
        self.hook, *others = (
            self.server.create_hook(_NOWHERE, retry_schedule_s=()) for _ in range(8)
        )
        self.server.terminate(_STOP_S)
        where = self._url or self.server.paths.database
        fill(where, self.hook, rows)
        for hook in others:
            fill(where, hook, undelivered // len(CAUSES))
        body = f"X'{_BODY.hex()}'" if self._url is None else f"'\\x{_BODY.hex()}'::bytea"
        statements = [f"UPDATE event SET body = {body}"]
        for hook, cause in zip(others, CAUSES, strict=True):
            statements.append(
                "UPDATE delivery SET status = 'failed', reason = 'gave up after 1 attempt',"
                f" cause = '{cause}', last_code = 500 WHERE hook_id = {hook}"
            )
        if self._url is None:
            with closing(sqlite3.connect(self.server.paths.database)) as raw:
                for statement in statements:
                    raw.execute(statement)
                raw.commit()
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            asyncio.run(_execute(self._url, [*statements, "VACUUM ANALYZE"]))
        self.server.start()
        self.late = self.server.create_hook(_NOWHERE, retry_schedule_s=())

    def times_ms(self, call: Callable[[], object]) -> list[float]:
        """Return how long a call takes each time, in ascending order."""
        with PlainClient(self.server.address) as client:
            client.call(call())  # the first fills the caches
            times = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                client.call(call())
                times.append((time.perf_counter() - begun) * 1000)
        return sorted(times)

    def plan(self, selection: ReplaySelection) -> tuple[int, int, float]:
        """Plan to the end; return the deliveries, the pages and the seconds."""
        begun, after, pages, total = time.perf_counter(), None, 0, 0
        with PlainClient(self.server.address) as client:
            while True:
                page = client.call(plan_replay(1, selection, rate_per_s=50, after=after))
                pages, total, after = pages + 1, total + page.total, page.next
                if after is None:
                    return total, pages, time.perf_counter() - begun

    def accepted_per_s(self) -> float:
        """Send events that no hook wants, for some seconds; return how many a second."""
        sent, begun = 0, time.perf_counter()
        with PlainClient(self.server.address) as client:
            while time.perf_counter() - begun < _LOAD_S:
                client.call(send_event(1, "cluster.idled", b"{}"))
                sent += 1
        return sent / (time.perf_counter() - begun)


async def _execute(url: str, statements: list[str]) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement, timeout=900)
    await connection.close()


def selections(store: Store) -> Iterator[tuple[str, ReplaySelection]]:
    """Return the selections to plan, each with its name."""
    for mode in ("failed", "sent", "never-sent", "all"):
        hooks = {"failed": "all", "never-sent": (store.late,)}.get(mode, (store.hook,))
        for filter_text in (None, "data.a:1"):
            name = mode if filter_text is None else f"{mode}, {filter_text}"
            yield name, ReplaySelection(hooks=hooks, mode=mode, since="24h", filter=filter_text)


def measure(store: Store) -> None:
    """Print the rows of a store."""

    def row(what: str, *figures: object) -> None:
        print("|", " | ".join(map(str, (store.kind, what, *figures))), "|", flush=True)

    for what, call in {
        "`GET /v1/undelivered`": lambda: list_undelivered(1),
        "`GET /v1/deliveries`": lambda: list_deliveries(1),
        "the same, `status:undelivered`": lambda: list_deliveries(1, q="status:undelivered"),
        "the same, `cause:dns`": lambda: list_deliveries(1, q="cause:dns"),
    }.items():
        times = store.times_ms(call)
        row(what, f"p50 {median(times):.0f} ms", f"p95 {times[-2]:.0f} ms")
    for what, selection in selections(store):
        total, pages, took_s = store.plan(selection)
        row(f"plan, {what}", f"{total:,} in {pages} calls", f"{took_s:.1f} s")
    alone = store.accepted_per_s()
    ended = threading.Event()

    def plan_on() -> None:
        while not ended.is_set():
            store.plan(ReplaySelection(hooks=(store.hook,), mode="sent", since="24h"))

    planning = threading.Thread(target=plan_on)
    planning.start()
    beside = store.accepted_per_s()
    ended.set()
    planning.join()
    row("events accepted beside plans", f"{beside:,.0f} of {alone:,.0f}/s", f"{beside / alone:.2f}")


@contextmanager
def running_store(kind: str) -> Iterator[Store]:
    """Make a store, and remove it at the end."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
        url = None
        if kind == "postgres":
            running = stack.enter_context(postgres.running())
            asyncio.run(_execute(running.url(), ["CREATE DATABASE measured"]))
            url = running.url("measured")
        server = ServerProcess(home, os.environ, url)
        stack.callback(server.kill)
        yield Store(server, url)


def main() -> int:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--undelivered", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    given = parser.parse_args()
    print("| database | what | | |\n|---|---|---|---|")
    for kind in given.database or ["sqlite", "postgres"]:
        with running_store(kind) as store:
            store.seed(given.rows, given.undelivered)
            measure(store)
    return 0


if __name__ == "__main__":
    sys.exit(main())
