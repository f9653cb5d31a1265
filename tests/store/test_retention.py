"""Retention: what goes, what stays whatever its age, and that it goes in small steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hooktui.domain.clock import DAY_MS
from hooktui.domain.errors import Conflict
from hooktui.domain.ids import HookId, decode
from hooktui.domain.wire.server import RetentionDays
from hooktui.store import changes, queries
from hooktui.store.contract import NewEvent
from hooktui.store.planning.retention import RetentionPass, scan_old
from hooktui.store.sqlite import retention, sql
from hooktui.store.sqlite import store as sqlite
from hooktui.store.sqlite.retention import DropEvents
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import Clock
from tests.support.stores import (
    ADA,
    DEFAULT,
    always,
    attempt,
    deliveries,
    emit,
    make_hook,
    offer,
    result_of,
)
from tests.support.waiting import LIMIT_S

KEEP = RetentionDays(days=30, bodies_days=7)
DAY_S = DAY_MS // 1000


async def open_at(home: Path, clock: Clock, keep: RetentionDays = KEEP) -> SqliteStore:
    files = {"key_file": home / "hooktui.key", "clock": clock.now_ms}
    return await SqliteStore.open(home / "hooktui.db", **files, keep=keep)


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    one = await open_at(tmp_path, clock)
    yield one
    await one.close()


async def count(store: SqliteStore, table: str, where: str = "1") -> int:
    statement = f"SELECT count(*) FROM {table} WHERE {where}"
    return await store.read(lambda conn: conn.exec_driver_sql(statement).scalar())


async def sweep(store: SqliteStore, clock: Clock, keep: RetentionDays = KEEP) -> tuple[int, int]:
    return await RetentionPass(store, lambda: 0, store.note_expired).apply(keep, clock.ms)


async def test_the_counts_of_five_days_stay_however_little_is_kept(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook)
    clock.advance(4.9 * DAY_S)
    assert (await sweep(store, clock, RetentionDays(days=1, bodies_days=7)))[0] == 1
    assert await count(store, "hook_stats") == 1
    clock.advance(0.2 * DAY_S)
    await sweep(store, clock, RetentionDays(days=1, bodies_days=7))
    assert await count(store, "hook_stats") == 0


async def test_after_thirty_days_an_event_goes_with_all_that_belongs_to_it(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store, 5)
    await attempt(store, clock, hook)
    clock.advance(29.9 * DAY_S)
    assert (await sweep(store, clock))[0] == 0
    assert await count(store, "hook_stats") == 1
    clock.advance(0.2 * DAY_S)
    await emit(store)
    assert (await sweep(store, clock))[0] == 5
    left = {table: await count(store, table) for table in ("event", "delivery", "attempt")}
    assert left == {"event": 1, "delivery": 1, "attempt": 0}
    assert await count(store, "hook_stats") == 0
    assert await count(store, "audit") > 0


async def test_resolved_alerts_go_with_the_events_of_their_time(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store, 4)
    for claim in await store.claim(HookId(hook.id), 4):
        await store.record([result_of(claim, clock, 500)])
        clock.advance(30)
    assert await count(store, "alert") == 1
    clock.advance(31 * DAY_S)
    await sweep(store, clock)
    assert await count(store, "alert") == 1
    await store.write(changes.delete_hook, ADA, None, HookId(hook.id))
    clock.advance(29 * DAY_S)
    await sweep(store, clock)
    assert await count(store, "alert") == 1
    clock.advance(2 * DAY_S)
    await sweep(store, clock)
    assert await count(store, "alert") == 0


async def test_what_waits_is_never_touched_however_old(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store, 3)
    await store.claim(HookId(hook.id), 1)
    clock.advance(400 * DAY_S)
    assert await sweep(store, clock) == (0, 0)
    assert {one.status for one in await deliveries(store)} == {"pending", "sending"}
    assert await count(store, "event", "body IS NULL") == 0


async def test_an_old_event_whose_delivery_just_ended_stays_to_be_seen(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    clock.advance(60 * DAY_S)
    await attempt(store, clock, hook)
    assert await sweep(store, clock) == (0, 0)
    clock.advance(31 * DAY_S)
    assert (await sweep(store, clock))[0] == 1


async def test_bodies_go_after_seven_days_where_all_was_delivered(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store, 2)
    await attempt(store, clock, hook)
    (failed,) = await emit(store)
    (claim,) = await store.claim(HookId(hook.id), 1)
    await store.record([result_of(claim, clock, 500, schedule_s=())])
    await store.accept([NewEvent(DEFAULT, "cluster.error", b"{}")])  # nobody asked for it
    clock.advance(8 * DAY_S)
    assert await sweep(store, clock) == (0, 2)
    assert await count(store, "event", "body IS NULL") == 2
    for one in await deliveries(store, status="delivered"):
        with pytest.raises(Conflict, match="purged"):
            await store.write(changes.resend, ADA, DEFAULT, decode("dlv", one.id))
    event = await store.read(queries.get_event, DEFAULT, failed.id)
    assert event.body == "{}"


async def test_zero_days_keep_for_ever(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook)
    clock.advance(4000 * DAY_S)
    assert await sweep(store, clock, RetentionDays(days=0, bodies_days=0)) == (0, 0)
    assert await sweep(store, clock, RetentionDays(days=0, bodies_days=7)) == (0, 1)


# Red when ids alone show which events are old: after a clock that was wrong they are years ahead.
@pytest.mark.parametrize(
    "keep", [RetentionDays(days=1, bodies_days=7), RetentionDays(days=0, bodies_days=1)]
)
async def test_what_is_old_goes_although_its_ids_are_ahead(store, clock, keep) -> None:
    hook = await make_hook(store)
    clock.jump(4000 * DAY_S)
    await emit(store)
    clock.jump(-4000 * DAY_S)
    await emit(store, 3)
    await attempt(store, clock, hook)
    clock.advance(2 * DAY_S)
    await emit(store, 2)
    assert sum(await sweep(store, clock, keep)) == 3
    assert sum(await sweep(store, clock, keep)) == 0


async def test_a_step_is_small_and_many_steps_do_all(store, clock, monkeypatch) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr("hooktui.store.planning.retention.SCANNED_AT_ONCE", 7)
    hooks = [await make_hook(store) for _ in range(12)]
    await emit(store, 20)
    for hook in hooks:
        await attempt(store, clock, hook)
    clock.advance(40 * DAY_S)
    found = (await store.read(scan_old, sql.SCAN_OLD_EVENTS, 0, clock.ms)).events
    assert len(found) == 7
    step = DropEvents(found, clock.ms)
    gone, left = await store.submit(step)
    assert (gone.events, gone.deliveries, gone.attempts) == (0, 5, 5)
    assert len(left) == 7
    assert (await sweep(store, clock))[0] == 20
    assert await count(store, "attempt") == 0


async def test_big_bodies_make_a_step_end_early(store, clock) -> None:
    await store.accept([offer(b'"' + b"x" * 200_000 + b'"') for _ in range(20)])
    clock.advance(40 * DAY_S)
    step = DropEvents(
        (await store.read(scan_old, sql.SCAN_OLD_EVENTS, 0, clock.ms)).events, clock.ms
    )
    assert (await store.submit(step))[0].events == 6


async def test_what_was_sent_again_since_it_was_looked_at_stays(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook)
    clock.advance(40 * DAY_S)
    found = (await store.read(scan_old, sql.SCAN_OLD_EVENTS, 0, clock.ms)).events
    (delivery,) = await deliveries(store)
    await store.write(changes.resend, ADA, DEFAULT, decode("dlv", delivery.id))
    step = DropEvents(found, clock.ms)
    gone, left = await store.submit(step)
    assert gone.events == 0
    assert not left


async def test_a_purge_stops_in_time_and_goes_on_where_it_was(store, clock, monkeypatch) -> None:
    monkeypatch.setattr("hooktui.store.planning.retention.SCANNED_AT_ONCE", 10)
    waiting = await make_hook(store)
    await emit(store, 30)
    clock.advance(10)
    off = partial(replace, active=False)
    await store.write(changes.change_hook, ADA, DEFAULT, HookId(waiting.id), off)
    await emit(store, 30)
    clock.advance(10)
    purge = partial(store.purge, clock.ms, within_s=-1)
    first = await purge()
    assert (first.events, first.deliveries) == (0, 0)  # ten that wait
    gone, after = 0, first.after
    while after is not None:
        step = await purge(after=after)
        gone, after = gone + step.events, step.after
    assert gone == 30
    assert len(await deliveries(store)) == 30


async def test_a_purge_of_one_account_leaves_the_others_alone(store, clock) -> None:
    other = await store.write(changes.create_account, ADA, "other")
    await store.accept([offer(), NewEvent(other.id, "job.failed", b"{}")])
    clock.advance(1)
    assert (await store.purge(clock.ms, within_s=60, account=other.id)).events == 1
    assert await count(store, "event", "account_id = 1") == 1


async def test_a_server_runs_retention_by_itself(tmp_path, clock, monkeypatch) -> None:
    monkeypatch.setattr(sqlite, "FIRST_SWEEP_S", 0)
    monkeypatch.setattr(sqlite, "SWEEP_EVERY_S", 0.01)
    store = await open_at(tmp_path, clock, RetentionDays(days=2, bodies_days=7))
    await store.accept([offer() for _ in range(10)], always)
    clock.advance(3 * DAY_S)
    async with asyncio.timeout(LIMIT_S):
        while await count(store, "event"):
            await store.wait_for_change(store.feed_end(), 0.02)
    await store.close()


async def test_dead_letters_that_expire_are_counted_by_hook_and_cause(store, clock) -> None:
    hook, other = await make_hook(store), await make_hook(store)
    await emit(store, 2)
    for one, code in ((hook, 503), (other, 404)):
        claims = await store.claim(HookId(one.id), 2)
        results = [result_of(claim, clock, code, schedule_s=()) for claim in claims[:1]]
        await store.record([*results, result_of(claims[1], clock)])
    clock.advance(31 * DAY_S)
    await sweep(store, clock)
    assert store.expired == {(hook.id, "http_5xx"): 1, (other.id, "http_404"): 1}
