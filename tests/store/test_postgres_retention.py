"""Retention on PostgreSQL: old rows are dropped, needed ones stay, a full disk is reported."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from hooktui.domain.errors import DiskFull, NotFound
from hooktui.domain.ids import DeliveryId, HookId, decode
from hooktui.domain.rates import BURST_S, TokenBucket
from hooktui.store import changes, queries
from hooktui.store.planning.retention import OldEvent
from hooktui.store.postgres import retention as housekeeping
from hooktui.store.postgres.clock import DatabaseClock
from hooktui.store.postgres.retention import DropBodies, DropEvents, RetentionWorker
from hooktui.store.postgres.store import PostgresStore
from tests.support.clocks import Clock
from tests.support.disks import small_disk
from tests.support.postgres import PostgresServer, database, open_store, running
from tests.support.stores import ADA, DEFAULT, deliveries, emit, make_hook, result_of

DAY_S = 86_400


@dataclass
class Home:
    """A store, its clock, and a retention worker that runs on request."""

    store: PostgresStore
    clock: Clock
    worker: RetentionWorker
    url: str

    async def count(self, table: str) -> int:
        raw = await asyncpg.connect(self.url)
        try:
            return await raw.fetchval(f"SELECT COUNT(*) FROM {table}")
        finally:
            await raw.close()


async def _no_connection() -> None:
    raise AssertionError("nothing tidies by itself here")


@pytest.fixture
async def home(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Home]:
    clock = Clock()
    async with database(postgres) as url:
        store = await open_store(url, tmp_path, clock.now_ms)
        worker = RetentionWorker(store, _no_connection)
        yield Home(store, clock, worker, url)
        await store.close()


async def send_all(home: Home, hook: HookId, status_code: int = 200) -> None:
    while claims := await home.store.claim(hook, 500):
        results = [result_of(claim, home.clock, status_code) for claim in claims]
        await home.store.record(results)


async def test_what_is_old_goes_with_all_that_belongs_to_it(home: Home) -> None:
    hook = HookId((await make_hook(home.store)).id)
    for _ in range(3):
        await emit(home.store, 500)
        await send_all(home, hook)
    home.clock.advance(31 * DAY_S)
    await emit(home.store, 5)
    await home.store.delete_old()
    assert await home.count("event") == await home.count("delivery") == 5
    assert await home.count("attempt") == await home.count("hook_stats") == 0


# Red when ids alone show which events are old: after a clock that was wrong they are years ahead.
async def test_what_is_old_goes_although_its_ids_are_ahead(home: Home) -> None:
    hook = HookId((await make_hook(home.store)).id)
    home.clock.jump(4000 * DAY_S)
    await emit(home.store)
    home.clock.jump(-4000 * DAY_S)
    await emit(home.store, 3)
    await send_all(home, hook)
    home.clock.advance(31 * DAY_S)
    await emit(home.store, 2)
    await home.store.delete_old()
    assert await home.count("event") == 3


# Red when the sweep trusts any clock.
async def test_nothing_goes_while_the_clock_may_be_wrong(home: Home, tmp_path: Path) -> None:
    hook = HookId((await make_hook(home.store)).id)
    await emit(home.store, 5)
    await send_all(home, hook)
    home.clock.advance(31 * DAY_S)  # time passed, or somebody set the database's clock
    second = tmp_path / "second"
    second.mkdir()
    shutil.copy(tmp_path / "hooktui.key", second)
    again = await open_store(home.url, second, home.clock.now_ms)
    assert not again.clock_is_trusted
    await again.delete_old()
    assert await home.count("event") == 5
    await again.close()
    await emit(home.store)  # nothing of the gap is left at the end of the feed
    third = await open_store(home.url, second, home.clock.now_ms)
    assert not third.clock_is_trusted
    await third.close()


# Red when the empty first row of the feed counts as something that was stored in 1970.
@pytest.mark.parametrize("count", [0, 1])
async def test_a_young_database_is_not_taken_for_an_abandoned_one(
    home: Home, tmp_path: Path, count: int
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    shutil.copy(tmp_path / "hooktui.key", second)
    for _ in range(count):
        await emit(home.store)
    again = await open_store(home.url, second, home.clock.now_ms)
    assert again.clock_is_trusted
    await again.close()


def test_a_database_clock_that_jumps_days_ahead_is_doubted() -> None:
    clock = DatabaseClock()
    now_ms = clock.now_ms() - 400 * DAY_S * 1000  # what it is at first is no jump
    for ahead_ms, trusted in ((0, True), (3_600_000, True), (2 * DAY_S * 1000, False)):
        clock.set_from(now_ms + ahead_ms, time.monotonic_ns())
        assert clock.trust.trusted is trusted


# Red when each correction sets the clock back: a rate counted its time again, and again.
def test_a_small_correction_does_not_set_the_clock_back() -> None:
    clock = DatabaseClock()
    bucket = TokenBucket.full(100, clock.now_ms())
    begun_ms, taken = clock.now_ms(), 0
    for turn in range(2_000):
        now_ms = clock.now_ms()
        clock.set_from(now_ms + (-3 if turn % 2 else 3), time.monotonic_ns())
        assert clock.now_ms() >= now_ms
        taken += (free := bucket.whole(clock.now_ms()))
        bucket.take(free)
    passed_s = (clock.now_ms() - begun_ms) / 1000
    assert taken <= 100 * passed_s + 100 * BURST_S + 1
    before_ms = clock.now_ms()
    clock.set_from(before_ms - 3_600_000, time.monotonic_ns())
    assert clock.now_ms() <= before_ms - 3_590_000  # somebody has set it


async def test_an_old_event_of_which_something_waits_or_just_ended_stays(home: Home) -> None:
    await make_hook(home.store)
    await emit(home.store)
    home.clock.advance(31 * DAY_S)
    await home.store.delete_old()
    assert await home.count("event") == 1
    hook = HookId((await make_hook(home.store)).id)
    await emit(home.store)
    home.clock.advance(29 * DAY_S)
    await send_all(home, hook)
    home.clock.advance(2 * DAY_S)
    await home.store.delete_old()
    assert await home.count("event") == 2


async def test_the_bytes_of_what_was_delivered_go_earlier(home: Home) -> None:
    hook = HookId((await make_hook(home.store)).id)
    await emit(home.store, 2)
    await send_all(home, hook)
    await emit(home.store)  # not sent
    (sent, again, _) = await deliveries(home.store)
    home.clock.advance(8 * DAY_S)
    resend = DeliveryId(decode("dlv", again.id))
    await home.store.write(changes.resend, ADA, DEFAULT, resend)
    await home.store.delete_old()
    bodies = [
        (
            await home.store.read(queries.get_delivery, DEFAULT, DeliveryId(decode("dlv", one.id)))
        ).body
        for one in await deliveries(home.store)
    ]
    assert bodies == [None, b"{}", b"{}", b"{}"]
    assert sent.status == "delivered"


# Red without a second look inside the transaction: the event was free when it was looked for.
async def test_what_is_sent_again_between_look_and_drop_stays(home: Home) -> None:
    hook = HookId((await make_hook(home.store)).id)
    accepted = await emit(home.store, 3)
    await send_all(home, hook)
    (first, *_) = await deliveries(home.store)
    home.clock.advance(31 * DAY_S)
    resent = DeliveryId(decode("dlv", first.id))
    await home.store.write(changes.resend, ADA, DEFAULT, resent)
    events, before_ms = [OldEvent(one.id) for one in accepted], home.clock.ms - DAY_S * 1000
    assert await home.store.submit(DropBodies(events, before_ms)) == (2, [])
    purged, left = await home.store.submit(DropEvents(events, before_ms))
    assert (purged.events, left) == (2, [])
    assert await home.count("event") == 1
    (claim,) = await home.store.claim(hook, 10)
    assert claim.body == b"{}"


async def test_a_purge_ends_in_time_and_says_where_to_go_on(home: Home) -> None:
    hook = HookId((await make_hook(home.store)).id)
    await emit(home.store, 500)
    await send_all(home, hook)
    home.clock.advance(3600)
    after, gone, calls = 0, 0, 0
    while after is not None:
        purged = await home.store.purge(home.clock.ms - 1000, within_s=0, after=after)
        after, gone, calls = purged.after, gone + purged.events, calls + 1
    assert (gone, await home.count("event")) == (500, 0)
    assert calls > 1


async def test_an_event_with_very_many_deliveries_goes_in_several_steps(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "DELIVERIES_AT_ONCE", 2)
    hooks = [HookId((await make_hook(home.store)).id) for _ in range(5)]
    await emit(home.store, 2)
    for hook in hooks:
        await send_all(home, hook)
    home.clock.advance(31 * DAY_S)
    await home.store.delete_old()
    assert await home.count("event") == await home.count("delivery") == 0


async def test_the_feed_keeps_so_many_lines_and_says_when_one_asks_for_older(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "MAX_FEED_ROWS", 10)
    start = home.store.feed_end()
    for _ in range(30):
        await emit(home.store)
    await home.worker.trim()
    assert await home.count("feed") == 10
    assert (await home.store.feed(start, 100)).reset
    assert len((await home.store.feed(None, 100)).items) == 10


async def test_idempotency_keys_are_forgotten_after_a_day(home: Home) -> None:
    await emit(home.store, key="old")
    home.clock.advance(DAY_S + 1)
    await emit(home.store, key="new")
    await home.worker.trim()
    assert await home.count("idempotency_key") == 1


async def test_a_full_disk_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    with running() as server, small_disk(server.folder / "disk", 24) as disk:
        store = await open_store(server.create_on(disk), tmp_path)
        accepted: list[int] = []
        body = os.urandom(100_000)

        async def fill() -> None:
            for _ in range(1000):
                accepted.extend(one.id for one in await emit(store, body=body))

        with pytest.raises(DiskFull, match="nothing was stored"):
            await fill()
        assert len(accepted) > 10
        with pytest.raises(DiskFull):
            await emit(store, body=body)
        stored = await store.read(queries.bodies_by_id, accepted)
        assert stored == dict.fromkeys(accepted, body)
        with pytest.raises(NotFound):  # the connection is as good as before
            await store.claim_ping(HookId(9), b"{}")
        await store.close()


async def test_dead_letters_that_expire_are_counted_by_hook_and_cause(home: Home) -> None:
    store, clock = home.store, home.clock
    hook, other = await make_hook(store), await make_hook(store)
    await emit(store, 2)
    for one, code in ((hook, 503), (other, 404)):
        claims = await store.claim(HookId(one.id), 2)
        results = [result_of(claim, clock, code, schedule_s=()) for claim in claims[:1]]
        await store.record([*results, result_of(claims[1], clock)])
    clock.advance(31 * DAY_S)
    await home.store.delete_old()
    assert await home.count("delivery") == 0
    assert store.expired == {(hook.id, "http_5xx"): 1, (other.id, "http_404"): 1}
