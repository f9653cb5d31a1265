"""A wall clock that is set while a server works, or between two: what waits keeps its wait."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

from hooktui.domain.clock import from_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import HookId, decode
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.clock_trust import DOUBTED_FOR_MS
from hooktui.store.contract import LEASE_S
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite import store as sqlite
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import Clock
from tests.support.stores import (
    ADA,
    BOB,
    DEFAULT,
    Heard,
    always,
    attempt,
    deliveries,
    emit,
    make_hook,
    offer,
    result_of,
    the_delivery,
    the_hook,
)

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


async def open_at(home: Path, clock: Clock) -> SqliteStore:
    return await SqliteStore.open(
        home / "hooktui.db",
        key_file=home / "hooktui.key",
        clock=clock.now_ms,
        steady=clock.steady_ms,
    )


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    one = await open_at(tmp_path, clock)
    yield one
    await one.close()


async def waiting(store: SqliteStore, clock: Clock) -> HookId:
    """A hook with a retry that is due in 5 seconds, and a first try that is due now."""
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook, 500)
    await emit(store)
    return HookId(hook.id)


# Each red without `move_along`.
@pytest.mark.parametrize("set_s", [-3 * HOUR_S, 3 * HOUR_S, -400 * DAY_S, 400 * DAY_S])
async def test_a_retry_waits_as_long_as_it_was_to(store, clock, set_s) -> None:
    hook = await waiting(store, clock)
    clock.advance(1)
    clock.jump(set_s)
    (first,) = await store.claim(hook, 10)
    assert first.tries == 0
    assert await store.next_due() == {hook: clock.ms + 4000}
    clock.advance(3.9)
    assert await store.claim(hook, 10) == []
    clock.advance(0.2)
    (again,) = await store.claim(hook, 10)
    assert again.tries == 1


async def test_the_engine_and_the_consoles_are_notified(store, clock) -> None:
    hook = await waiting(store, clock)
    heard, end = Heard(store), store.feed_end()
    clock.jump(-3 * HOUR_S)
    await store.rescue()
    assert heard.due == {hook: clock.ms}
    told = {item.object.id: item.object for item in (await store.feed(end, 10)).items}
    listed = {one.id: one for one in await deliveries(store)}
    assert told == listed
    due = sorted(from_rfc3339(one.next_attempt_at or "") for one in listed.values())
    assert due == [clock.ms, clock.ms + 5000]


async def test_a_clock_that_is_set_forward_takes_no_lease_away(store, clock) -> None:
    await make_hook(store)
    _, claims = await store.accept([offer()], always)
    clock.advance(10)
    clock.jump(3 * HOUR_S)
    assert await store.rescue() == 0
    clock.advance(LEASE_S - 11)
    assert await store.rescue() == 0
    assert await store.record([result_of(claims[0], clock)]) == [True]


async def test_a_clock_that_is_set_back_lets_no_lease_last_longer(store, clock) -> None:
    await make_hook(store)
    await store.accept([offer()], always)
    clock.jump(-3 * HOUR_S)
    await store.rescue()
    clock.advance(LEASE_S + 1)
    assert await store.rescue() == 1


async def test_an_attempt_over_the_jump_waits_from_its_end(store, clock) -> None:
    hook = await make_hook(store)
    _, claims = await store.accept([offer()], always)
    before_ms = clock.ms
    clock.jump(-3 * HOUR_S)
    result = result_of(claims[0], clock, 500)
    # As the engine tells it: no attempt ends before it began.
    late = structs.replace(result, started_at_ms=before_ms, finished_at_ms=before_ms)
    assert await store.record([late]) == [True]
    assert await store.next_due() == {hook.id: clock.ms + 5000}


async def test_a_jump_while_no_server_ran_is_seen_at_the_start(tmp_path, clock) -> None:
    store = await open_at(tmp_path, clock)
    hook = await waiting(store, clock)
    await store.close()
    clock.jump(-3 * HOUR_S)
    store = await open_at(tmp_path, clock)
    assert await store.next_due() == {hook: clock.ms}
    assert len(await store.claim(hook, 10)) == 1
    assert await store.next_due() == {hook: clock.ms + 5000}
    await store.close()


async def test_time_that_passed_while_no_server_ran_counts(tmp_path, clock) -> None:
    store = await open_at(tmp_path, clock)
    hook = await waiting(store, clock)
    await store.close()
    clock.advance(3 * HOUR_S)
    store = await open_at(tmp_path, clock)
    assert len(await store.claim(hook, 10)) == 2
    await store.close()


async def test_a_clock_that_is_bent_has_not_jumped(store, clock) -> None:
    hook = await waiting(store, clock)
    heard = Heard(store)
    for _ in range(100):
        clock.advance(0.01)
        clock.jump(0.02)
        await store.rescue()
    assert heard.signals == []
    assert await store.next_due() == {hook: clock.ms - 3000}


async def test_a_jump_in_a_transaction_that_fails_is_made_up_for_in_the_next(
    store, clock, tmp_path
) -> None:
    hook = await waiting(store, clock)

    def break_the_commit(tx) -> None:
        tx.conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        tx.conn.exec_driver_sql("UPDATE secret SET hook_id = 77")

    clock.jump(-3 * HOUR_S)
    with pytest.raises(Unavailable):
        await store.write(break_the_commit)
    shell = sqlite3.connect(tmp_path / "hooktui.db")
    (least,) = shell.execute("SELECT MIN(next_attempt_at) FROM delivery").fetchone()
    shell.close()
    assert least > clock.ms + 10_000
    assert len(await store.claim(hook, 10)) == 1
    await store.rescue()
    assert await store.next_due() == {hook: clock.ms + 5000}


async def sent_long_ago(store: SqliteStore, clock: Clock) -> None:
    hook = await make_hook(store)
    await emit(store, 3)
    await attempt(store, clock, hook)
    assert {one.status for one in await deliveries(store)} == {DeliveryStatus.DELIVERED}


@pytest.fixture
def tidies_often(monkeypatch) -> None:
    monkeypatch.setattr(sqlite, "FIRST_SWEEP_S", 0)
    monkeypatch.setattr(sqlite, "SWEEP_EVERY_S", 0.01)


# Red when only what was stored last is compared with the clock at a start.
@pytest.mark.parametrize("jump_s", [25 * HOUR_S, 9_600 * HOUR_S])
@pytest.mark.parametrize(("later_s", "trusted"), [(300, False), (2 * HOUR_S + 300, True)])
async def test_a_restart_does_not_forget_that_the_clock_jumped(
    tmp_path: Path, jump_s: float, later_s: float, trusted: bool
) -> None:
    clock = Clock()
    store = await SqliteStore.open(
        tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key", clock=clock.now_ms
    )
    await make_hook(store)
    await emit(store)
    clock.advance(jump_s)
    await emit(store)
    clock.advance(later_s)
    await emit(store)
    await store.close()
    again = await SqliteStore.open(
        tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key", clock=clock.now_ms
    )
    assert again.clock_is_trusted is trusted
    await again.close()


# Red when retention trusts the clock at once.
@pytest.mark.usefixtures("tidies_often")
@pytest.mark.parametrize("restarted", [False, True])
async def test_after_a_jump_forward_nothing_is_dropped_for_two_hours(
    tmp_path, clock, restarted
) -> None:
    store = await open_at(tmp_path, clock)
    await sent_long_ago(store, clock)
    if restarted:
        await store.close()
    clock.jump(40 * DAY_S)
    if restarted:
        store = await open_at(tmp_path, clock)
    await store.rescue()
    clock.advance(DOUBTED_FOR_MS / 1000 - 1)
    for _ in range(10):
        await store.wait_for_change(store.feed_end(), 0.02)
    assert len(await deliveries(store)) == 3
    clock.advance(2)
    while await deliveries(store):
        await store.wait_for_change(store.feed_end(), 0.02)
    await store.close()


async def test_a_backlog_moves_along_whole(store, clock, monkeypatch) -> None:
    monkeypatch.setattr("hooktui.store.sqlite.clock._MAX_REPORTED", 10)
    hook = await make_hook(store)
    await emit(store, 50)
    heard, end = Heard(store), store.feed_end()
    clock.jump(-3 * HOUR_S)
    await store.rescue()
    assert heard.due == {hook.id: clock.ms}
    assert len((await store.feed(end, 100)).items) == 10
    assert len(await store.claim(HookId(hook.id), 100)) == 50


async def test_what_is_disabled_moves_along_too(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook, 500)
    off = partial(replace, active=False)
    await store.write(changes.change_hook, ADA, DEFAULT, HookId(hook.id), off)
    held = (await the_delivery(store)).next_attempt_at
    clock.jump(-3 * HOUR_S)
    await store.rescue()
    moved = (await the_delivery(store)).next_attempt_at
    assert from_rfc3339(held or "") - from_rfc3339(moved or "") == 3 * HOUR_S * 1000


# Red when only a transaction notices that the clock was set: the first one deletes by its time.
async def test_a_jump_is_noticed_by_retention_itself(tmp_path, clock) -> None:
    store = await open_at(tmp_path, clock)
    await sent_long_ago(store, clock)
    clock.jump(400 * DAY_S)
    await store._sweep()
    assert len(await deliveries(store)) == 3
    await store.close()


# Red when the lease of a replay stays behind: "no server ran it for an hour".
async def test_a_clock_that_is_set_forward_pauses_no_replay_that_runs(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store)
    await attempt(store, clock, hook, 500)
    selection = check_selection(ReplaySelection(hooks=(hook.id,)), clock.ms)
    number, _ = await store.write(changes.create_replay, ADA, DEFAULT, selection, 50, None)
    take = (changes.take_replays, store.token, "0")
    await store.write(*take)
    clock.jump(2 * HOUR_S)
    await store.write(*take)
    assert (await store.read(queries.get_replay, DEFAULT, number)).state == "running"


# Red when the end of a snooze stays: set back by years, the alert is silent for years.
@pytest.mark.parametrize("set_s", [-3 * HOUR_S, 400 * DAY_S])
async def test_a_snooze_lasts_as_long_as_it_was_to(store, clock, set_s) -> None:
    await make_hook(store)
    _, (claim,) = await store.accept([offer()], always)
    await store.record([result_of(claim, clock, 500, schedule_s=())])
    alert = queries.AlertQuery()
    (found,) = (await store.read(queries.list_alerts, DEFAULT, PageRequest(), alert)).data
    await store.write(changes.snooze_alert, BOB, DEFAULT, decode("alr", found.id), 4 * HOUR_S)
    end = store.feed_end()
    clock.jump(set_s)
    await store.rescue()
    (moved,) = (await store.read(queries.list_alerts, DEFAULT, PageRequest(), alert)).data
    assert from_rfc3339(moved.snoozed_until or "") == clock.ms + round(4 * HOUR_S * 1000)
    assert moved in [item.object for item in (await store.feed(end, 10)).items]


async def test_the_overlap_of_a_rotation_lasts_as_long_as_it_was_to(store, clock) -> None:
    """Red when its end stays: the old secret signs for years, or the new one at once."""
    hook = HookId((await make_hook(store)).id)
    await store.write(changes.rotate_secret, ADA, DEFAULT, hook, "n" * 20, HOUR_S)
    for set_s in (400 * DAY_S, -800 * DAY_S):
        clock.jump(set_s)
        await store.rescue()
        assert len(store.hooks()[hook].secrets_at(clock.ms + round(HOUR_S * 1000) - 1)) == 2
        assert len(store.hooks()[hook].secrets_at(clock.ms + round(HOUR_S * 1000))) == 1


# Red when a hook keeps the secrets that it had by a wrong clock.
async def test_after_a_start_by_a_wrong_clock_the_overlap_goes_on(tmp_path, clock) -> None:
    store = await open_at(tmp_path, clock)
    hook = HookId((await make_hook(store)).id)
    await store.write(changes.rotate_secret, ADA, DEFAULT, hook, "n" * 20, HOUR_S)
    await store.close()
    clock.jump(400 * DAY_S)
    store = await open_at(tmp_path, clock)
    assert len(store.hooks()[hook].secrets_at(clock.ms)) == 1
    clock.jump(-400 * DAY_S)
    await store.rescue()
    assert len(store.hooks()[hook].secrets_at(clock.ms)) == 2
    await store.close()


# Red when the start of the failures stays: it is a year ago, so each hook that fails is announced.
async def test_a_clock_that_is_set_forward_makes_no_hook_a_failing_one(store, clock) -> None:
    hook = await make_hook(store)
    await emit(store, 3)
    await attempt(store, clock, hook, 500)
    clock.jump(400 * DAY_S)
    await emit(store)
    await attempt(store, clock, hook, 500)
    assert not store.hooks()[HookId(hook.id)].failing
    clock.advance(70)
    await emit(store)
    await attempt(store, clock, hook, 500)
    assert store.hooks()[HookId(hook.id)].failing


# Red when it moves with the clock: the hook would have failed for ten years.
async def test_after_a_start_by_a_wrong_clock_failures_begin_when_they_did(tmp_path, clock) -> None:
    store = await open_at(tmp_path, clock)
    hook = await make_hook(store)
    begun_ms = clock.ms - 20
    await emit(store, 3)
    await attempt(store, clock, hook, 500)
    await store.close()
    clock.jump(400 * DAY_S)
    store = await open_at(tmp_path, clock)
    clock.jump(-400 * DAY_S)
    clock.advance(300)
    await emit(store)
    await attempt(store, clock, hook, 500)
    assert from_rfc3339((await the_hook(store, hook)).stats.failing_since) == begun_ms
    await store.close()


# Red when it moves with the clock: it would have ended ten years ago.
async def test_after_a_start_by_a_wrong_clock_a_snooze_goes_on(tmp_path, clock) -> None:
    store = await open_at(tmp_path, clock)
    await make_hook(store)
    _, (claim,) = await store.accept([offer()], always)
    await store.record([result_of(claim, clock, 500, schedule_s=())])
    listed = (queries.list_alerts, DEFAULT, PageRequest(), queries.AlertQuery())
    (found,) = (await store.read(*listed)).data
    alert = decode("alr", found.id)
    snoozed = await store.write(changes.snooze_alert, BOB, DEFAULT, alert, 4 * HOUR_S)
    await store.close()
    clock.jump(400 * DAY_S)
    store = await open_at(tmp_path, clock)
    clock.jump(-400 * DAY_S)
    await store.rescue()
    assert (await store.read(*listed)).data == [snoozed]
    await store.close()
