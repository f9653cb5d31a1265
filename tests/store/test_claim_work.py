"""A claim reads what it takes, however much waits, and whatever was claimed before.

On PostgreSQL the plans of an empty database are kept: it is never analysed, and never vacuumed.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from hooktui.domain.ids import HookId
from hooktui.store.postgres import connections, due_bounds, notify, queue, sql
from hooktui.store.postgres.store import PostgresStore
from hooktui.store.sqlite.store import SqliteStore
from tests.store.backlog import RECURSIVE, SERIES, inserts, nodes
from tests.store.servers import Servers, connected
from tests.support.clocks import START_MS, Clock
from tests.support.stores import make_hook

ROOM = 40
"""Blocks and rows that a search may read beside three times what it takes."""
SIZES = [20_000, pytest.param(100_000, marks=pytest.mark.soak)]


@dataclass(frozen=True)
class Read:
    """What the search of a claim read, and the largest number of rows that were sorted."""

    rows: int
    blocks: int
    sorted: int

    def is_fair(self, taken: int) -> bool:
        most = 3 * taken + ROOM
        return self.rows <= most and self.blocks <= most and self.sorted <= taken


class Backlog:
    """A server whose deliveries are stored behind its back, and a look at how it claims them."""

    def __init__(self, store: PostgresStore, raw: asyncpg.Connection) -> None:
        self.store = store
        self.raw = raw
        self.ran: list[tuple[str, Sequence[object]]] = []
        self._next = 1

    def log(self, query: asyncpg.connection.LoggedQuery) -> None:
        self.ran.append((query.query, query.args))

    async def claim(self, hook: int, most: int = 10, **how: bool) -> int:
        """Claim; return how many, and keep only the statements of this claim."""
        self.ran.clear()
        return len(await self.store.claim(HookId(hook), most, **how))

    async def prepare(self, *names: str) -> None:
        """Plan statements of the store now, once and for all."""
        for name in names:
            await self.raw.execute(f"PREPARE {name} AS {getattr(sql, name)}")

    async def add(self, count: int, hook: int, hooks: int = 1, tries: int = 0) -> None:
        for statement in inserts(SERIES, self._next, count, hook, hooks, tries):
            await self.raw.execute(statement)
        self._next += count

    async def end_all(self, hook: int) -> None:
        """Leave only dead versions of what waits for a hook."""
        await self.raw.execute(
            "UPDATE delivery SET status = 'delivered', next_attempt_at = NULL"
            f" WHERE hook_id = {hook} AND status = 'pending'"
        )

    async def lease_and_end_all(self, hook: int) -> None:
        """Leave only dead versions of what waits for a hook, leased ones among them."""
        await self.raw.execute(
            "UPDATE delivery SET status = 'sending', next_attempt_at = NULL, lease_token = 1,"
            f" lease_until = 1 WHERE hook_id = {hook}"
        )
        await self.raw.execute(
            "UPDATE delivery SET status = 'delivered', lease_token = NULL, lease_until = NULL"
            f" WHERE hook_id = {hook}"
        )

    async def read_by(self, name: str) -> Read:
        """Return what a statement reads that has the values of the last claim."""
        (values,) = [values for query, values in self.ran if query == getattr(sql, name)]
        texts = ", ".join(map(_literal, values))
        return await self.read_by_statement(f"EXECUTE {name}({texts})")

    async def read_by_next_due(self, hook: int) -> Read:
        """Return what the search for a hook's next due delivery reads."""
        start = self.store._shared.due_bounds.start_of(HookId(hook), time.monotonic())
        values = (hook, *start.first, *start.again, start.in_line)
        statement = sql.NEXT_DUE
        for name, value in zip(queue._STARTS, values, strict=True):
            statement = statement.replace(f":{name} ", f"ARRAY[{value}] ")
        return await self.read_by_statement(statement)

    async def read_by_statement(self, statement: str) -> Read:
        """Return what a statement reads."""
        await self.raw.execute("BEGIN")
        explained = await self.raw.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        await self.raw.execute("ROLLBACK")
        found = list(nodes(json.loads(explained)[0]["Plan"]))
        searches = [n for n in found if n.get("Index Name", "").startswith(_CLAIM_INDEXES)]
        assert searches, found
        return Read(
            rows=max(
                node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in searches
            ),
            blocks=sum(node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in searches),
            sorted=max(
                (node["Actual Rows"] for node in found if "Sort" in node["Node Type"]), default=0
            ),
        )


def _literal(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"ARRAY[{', '.join(map(str, value))}]::bigint[]"
    return str(value)


CLAIMS = ("CLAIM_FIRST_TRIES", "CLAIM_RETRIES", "FIND_DUE", "FIND_FIRST_IN_LINE")
_CLAIM_INDEXES = ("delivery_due", "delivery_open", "delivery_leased")


@pytest.fixture
async def backlog(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backlog]:
    for module, name in ((due_bounds, "LOOK_UP_EVERY_S"), (notify, "DUE_EVERY_S")):
        monkeypatch.setattr(module, name, 3600.0)
    store = await servers.another()
    async with connected(servers.url, **connections.HOT) as raw:
        await raw.execute("ALTER TABLE delivery SET (autovacuum_enabled = off)")
        one = Backlog(store, raw)
        await one.prepare(*CLAIMS)
        writer = store._writers[1]
        assert writer._raw is not None
        writer._raw.add_query_logger(one.log)
        yield one


# Red with the index of the first schema: it sorts all that is due at the same time.
@pytest.mark.parametrize("waiting", SIZES)
async def test_a_claim_reads_no_more_when_more_waits(backlog: Backlog, waiting: int) -> None:
    busy, retried, one_of_many = [(await make_hook(backlog.store)).id for _ in range(3)]
    await backlog.add(waiting, busy)
    await backlog.add(waiting, one_of_many, hooks=1_000)
    await backlog.add(waiting // 4, retried, tries=1)
    for hook, statement in (
        (busy, "CLAIM_FIRST_TRIES"), (one_of_many, "CLAIM_FIRST_TRIES"), (retried, "CLAIM_RETRIES"),
    ):  # fmt: skip
        assert await backlog.claim(hook) == 10
        read = await backlog.read_by(statement)
        assert read.is_fair(10), (statement, read)
    assert await backlog.claim(busy, by_age=True) == 10
    read = await backlog.read_by("FIND_DUE")
    assert read.is_fair(10), read


# Red when claims start at the beginning.
@pytest.mark.parametrize("dead", [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("snapshot", [False, True], ids=["vacuumed never", "open snapshot"])
async def test_a_claim_does_not_read_what_was_claimed_before(
    backlog: Backlog, servers: Servers, dead: int, snapshot: bool
) -> None:
    hook = (await make_hook(backlog.store)).id
    async with connected(servers.url) as reader:
        if snapshot:
            await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM hook")
        await backlog.add(dead, hook)
        await backlog.add(dead, hook, tries=1)
        await backlog.end_all(hook)
        await backlog.add(50, hook)
        await backlog.add(50, hook, tries=1)
        assert await backlog.claim(hook) == 10  # looks up where it starts
        assert await backlog.claim(hook) == 10
        read = await backlog.read_by("CLAIM_FIRST_TRIES")
        assert read.is_fair(10), read
        assert await backlog.claim(hook, 40) == 40  # the last first tries, and retries
        assert await backlog.claim(hook) == 10
        read = await backlog.read_by("CLAIM_RETRIES")
        assert read.is_fair(10), read
        assert await backlog.claim(hook, by_age=True) == 10
        read = await backlog.read_by("FIND_DUE")
        assert read.is_fair(10), read
        read = await backlog.read_by_next_due(hook)
        assert read.is_fair(1), read


# Red when the search for a lease of the hook reads what waits for it: 20,000 rows for one delivery.
@pytest.mark.parametrize("waiting", SIZES)
async def test_a_claim_of_an_ordered_hook_reads_the_leases_and_not_what_waits(
    backlog: Backlog, waiting: int
) -> None:
    ordered = (await make_hook(backlog.store, ordered=True)).id
    other = (await make_hook(backlog.store)).id
    await backlog.add(20_000, other)
    await backlog.lease_and_end_all(other)
    await backlog.add(200, other)
    leases = await backlog.claim(other, 200)
    await backlog.add(waiting, ordered)
    search = f"EXECUTE FIND_FIRST_IN_LINE({ordered}, {START_MS}, 0)"
    await backlog.read_by_statement(search)  # marks what it finds dead
    read = await backlog.read_by_statement(search)
    assert read.rows <= leases + 1, read
    assert read.blocks <= leases + ROOM, read


async def test_a_claim_for_few_has_no_more_round_trips_than_one_for_many(backlog: Backlog) -> None:
    hook = (await make_hook(backlog.store)).id
    await backlog.add(1_000, hook)
    for by_age in (False, True):
        assert await backlog.claim(hook, 250, by_age=by_age) == 250
        many = len(backlog.ran)
        assert await backlog.claim(hook, 10, by_age=by_age) == 10
        assert len(backlog.ran) <= many


class Steps:
    """Counts the opcodes that SQLite runs for claims of a hook."""

    def __init__(self, store: SqliteStore, database: Path) -> None:
        self.store = store
        self.count = 0
        self._other = sqlite3.connect(database)
        self._next = 1

    def add(self, count: int, hook: int, hooks: int = 1, tries: int = 0) -> None:
        with self._other:
            for statement in inserts(RECURSIVE, self._next, count, hook, hooks, tries):
                self._other.execute(statement)
        self._next += count

    def _step(self) -> None:
        self.count += 1

    async def of_claim(self, hook: int, most: int = 10, **how: bool) -> int:
        self.count = 0
        self.store._raw.set_progress_handler(self._step, 1)
        assert len(await self.store.claim(HookId(hook), most, **how)) == most
        self.store._raw.set_progress_handler(None, 1)
        return self.count


# Red with an index that ends before the order of claims does.
@pytest.mark.parametrize("waiting", SIZES)
async def test_a_claim_of_sqlite_takes_no_more_steps_when_more_waits(
    tmp_path: Path, waiting: int
) -> None:
    database = tmp_path / "hooktui.db"
    store = await SqliteStore.open(
        database, key_file=tmp_path / "hooktui.key", clock=Clock().now_ms
    )
    steps = Steps(store, database)
    few, busy, retried, one_of_many = [(await make_hook(store)).id for _ in range(4)]
    few_ordered, ordered = [(await make_hook(store, ordered=True)).id for _ in range(2)]
    steps.add(10, few)
    expected = await steps.of_claim(few)
    steps.add(waiting, busy)
    steps.add(waiting // 4, retried, tries=1)
    steps.add(waiting, one_of_many, hooks=1_000)
    for hook in (busy, retried, one_of_many):
        assert await steps.of_claim(hook) <= 1.1 * expected, hook
    assert await steps.of_claim(busy, by_age=True) <= 1.1 * expected
    steps.add(10, few_ordered)
    expected = await steps.of_claim(few_ordered, 1)
    steps.add(waiting, ordered)
    assert await steps.of_claim(ordered, 1) <= 1.1 * expected
    await store.close()
