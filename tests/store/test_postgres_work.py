"""What an operation reads on PostgreSQL does not grow with the database.

The planner is told to avoid sorts and hash joins on the connections of the engine, so a statement
that it cannot answer along an index may read a whole table. Nothing else shows that: the response
is right, and a small table is read quickly.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import asyncpg
import pytest

from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes
from hooktui.store.contract import StepOutcome
from hooktui.store.planning.retention import OldEvent
from hooktui.store.postgres import due_bounds, notify, retention
from hooktui.store.postgres.retention import DropBodies, DropEvents
from tests.contract.replay_steps import next_step, number, start
from tests.store.backlog import SERIES, inserts
from tests.store.servers import Servers, connected
from tests.support.stores import ADA, DEFAULT, Opened, always, emit, make_hook, offer, result_of

ROWS: Final = 20_000
"""Deliveries of each hook before the first operation."""
AT_ONCE: Final = 10
MOST_READ: Final = 500
"""Rows and entries of indexes that an operation on ten deliveries reads, over `GROWING`."""
GROWING: Final = ("delivery", "event", "attempt", "feed", "idempotency_key")

_READ: Final = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY($1))
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = ANY($1))"""
_FLUSH: Final = "SELECT pg_stat_force_next_flush()"


class Work:
    """A server with hooks that have many deliveries, and what its operations read of them."""

    def __init__(self, servers: Servers, raw: asyncpg.Connection, opened: Opened) -> None:
        self.servers, self.raw, self.opened = servers, raw, opened
        self.store: Any = opened.store
        self.most: dict[str, int] = {}
        self._before = 0

    async def read(self) -> int:
        """Return how many rows and entries all sessions have read so far."""
        for writer in self.store._writers:
            await writer._raw.execute(_FLUSH)
        for _ in range(self.store._changes._engine.pool.size()):  # each connection in turn
            async with self.store._changes._engine.connect() as conn:
                await conn.exec_driver_sql(_FLUSH)
        await self.raw.execute(_FLUSH)
        await self.raw.execute("SELECT pg_stat_clear_snapshot()")
        return int(await self.raw.fetchval(_READ, GROWING))

    async def begin(self) -> None:
        self._before = await self.read()

    async def end(self, name: str) -> None:
        self.most[name] = await self.read() - self._before

    async def fill(self, first: int, hook: int) -> None:
        """Store deliveries of a hook that wait."""
        for statement in inserts(SERIES, first, ROWS, hook):
            await self.raw.execute(statement)

    async def finish(self, state: str, which: str) -> None:
        """Let some of those that wait have ended."""
        await self.raw.execute(
            f"UPDATE delivery SET status = {state}, next_attempt_at = NULL, attempts = 1,"
            f" tries = 1, finished_at = created_at WHERE status = 'pending' AND {which}"
        )


async def _everything(work: Work, plain: Hook, ordered: Hook) -> None:
    """Do each operation on a few deliveries, and note what it reads."""
    store, clock = work.store, work.servers.clock

    await work.begin()
    _, claims = await store.accept([offer(key=f"k{n}") for n in range(AT_ONCE)], always)
    await work.end("accept")

    mine = [claim for claim in claims if claim.hook == plain.id]
    await work.begin()
    await store.record([result_of(claim, clock) for claim in mine[:4]])
    await work.end("record deliveries")
    await work.begin()
    await store.record([result_of(claim, clock, 503) for claim in mine[4:6]])
    await work.end("record failures")
    await work.begin()
    await store.record([result_of(claim, clock, 404, schedule_s=()) for claim in mine[6:8]])
    await work.end("record dead letters")
    await work.begin()
    await store.release(mine[8:])
    await work.end("release")

    for hook, by_age in ((plain, False), (plain, True), (ordered, False)):
        await work.begin()
        claimed = await store.claim(HookId(hook.id), AT_ONCE, by_age=by_age)
        await work.end(f"claim of hook {hook.id}, {by_age=}")
        results = [result_of(claim, clock, 404, schedule_s=()) for claim in claimed]
        await store.record(results)
    await emit(store, AT_ONCE)
    await store.claim(HookId(plain.id), AT_ONCE)
    clock.ms += 3_600_000
    await work.begin()
    await store.rescue(())
    await work.end("rescue")

    await work.begin()
    ping = await store.claim_ping(HookId(plain.id), b"{}")
    await store.record([result_of(ping, clock)])
    await work.end("ping")

    for mode, hook in (("failed", plain), ("sent", plain), ("failed", ordered)):
        replay = await start(
            work.opened, hook, mode=mode, since="1970-01-01T00:00:00Z", include_ordered=True
        )
        planned = await next_step(work.opened, replay, hook, AT_ONCE)
        assert planned.candidates
        await work.begin()
        result = await store.replay(planned)
        await work.end(f"step of {mode} at hook {hook.id}")
        waits = hook is ordered  # its line is not empty
        assert result.outcome is (StepOutcome.WAITS if waits else StepOutcome.DONE)
        await store.record([result_of(claim, clock) for claim in result.claims])
        await store.write(changes.abort_replay, ADA, DEFAULT, number(replay))

    await work.begin()
    await store.write(changes.resend, ADA, DEFAULT, DeliveryId(7))
    await work.end("resend")
    pending = [10 * n + 1 for n in range(ROWS // 10 + 1, ROWS // 10 + 1 + AT_ONCE)]
    await work.begin()
    assert await store.write(changes.cancel_some, ADA, DEFAULT, pending, None) == AT_ONCE
    await work.end("cancel")
    for active in (False, True):
        await work.begin()
        await store.write(
            changes.change_hook, ADA, DEFAULT, HookId(plain.id), partial(replace, active=active)
        )
        await work.end(f"edit with {active=}")

    for name, drop in (("drop events", DropEvents), ("drop bodies", DropBodies)):
        old = [OldEvent(n) for n in range(101, 101 + AT_ONCE)]
        await work.begin()
        await store.submit(drop(old, clock.ms))
        await work.end(name)


# Red when a step joins its pairs with the newest of their deliveries: it reads all deliveries; when
# the order of ids finds those of a hook; and when a step finds older dead letters by their cause,
# although the statistics are of a time when there were none.
@pytest.mark.parametrize("analysed", ["never", "empty", "before the failures", "filled"])
async def test_no_operation_reads_more_than_it_needs(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, analysed: str
) -> None:
    for module, name in ((due_bounds, "LOOK_UP_EVERY_S"), (notify, "DUE_EVERY_S")):
        monkeypatch.setattr(module, name, 3600.0)
    monkeypatch.setattr(retention, "FIRST_TRIMMED_S", 3600.0)
    store = await servers.another()
    plain, ordered = await make_hook(store), await make_hook(store, ordered=True)
    await make_hook(store, events=("hooktui",))
    opened = Opened(servers.another, store, servers.clock)
    async with connected(servers.url) as raw:
        for table in GROWING:
            await raw.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        work = Work(servers, raw, opened)
        if analysed == "empty":
            await raw.execute("ANALYZE")
        for first, hook in ((1, plain), (ROWS + 1, ordered), (2 * ROWS + 1, plain)):
            await work.fill(first, hook.id)  # so that those of a hook are near no end
        await work.finish("'delivered'", f"hook_id = {plain.id} AND id % 10 > 0")
        if analysed == "before the failures":
            await raw.execute("ANALYZE")
        await work.finish("'failed', cause = 'http_5xx'", "id % 10 = 0")
        await raw.execute("VACUUM (ANALYZE)" if analysed == "filled" else "VACUUM")
        await _everything(work, plain, ordered)
    assert len(work.most) > 15
    assert {name: count for name, count in work.most.items() if count > MOST_READ} == {}
