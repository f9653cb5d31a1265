"""Replays in the store: steps and their fences, states, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace as changed
from functools import partial

import pytest
from sqlalchemy import select, update

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.errors import Conflict, NotFound, Refused
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.replays import MAX_REACHED, check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.contract import StepOutcome
from hooktui.store.queries import replays
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import DELIVERY, EVENT, HOOK_STATE, REPLAY
from hooktui.store.write_queue import Operation, WriteQueue
from tests.contract.replay_steps import give_up, next_step, number, seen, start, step, waiting_of
from tests.support.stores import (
    ADA,
    DEFAULT,
    Opened,
    attempt,
    deliveries,
    emit,
    make_hook,
    make_hooks,
    result_of,
    settings,
)
from tests.support.waiting import LIMIT_S

TOKEN_OF_OTHERS = 7


async def test_a_step_sends_dead_letters_again_and_moves_the_cursor(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 5)
    replay = await start(opened, hook)
    first = await step(opened, replay, hook, 2)
    assert (first.outcome, len(first.claims), first.walked) == (StepOutcome.DONE, 2, False)
    second = await step(opened, replay, hook)
    assert (len(second.claims), second.walked) == (3, True)
    assert len({claim.event for claim in (*first.claims, *second.claims)}) == 5
    await opened.store.record(
        [result_of(claim, opened.clock) for claim in (*first.claims, *second.claims)]
    )
    after = await seen(opened, replay)
    assert (after.progress.sent, after.progress.delivered, after.progress.waiting) == (5, 5, 0)
    rows = await deliveries(opened.store)
    assert [row.cause for row in rows] == [None] * 10
    assert [row.replay for row in rows] == [None] * 5 + [replay.id] * 5
    assert {row.trigger for row in rows[5:]} == {"replay"}
    assert await waiting_of(opened, hook) == 0


# Red when the end of a walk is taken for an event: its cursor is then after all of the range.
@pytest.mark.parametrize("mode", ["failed", "all"])
async def test_the_position_of_a_replay_is_in_its_range(opened: Opened, mode: str) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    until = to_rfc3339(opened.clock.ms)
    opened.clock.advance(600)
    replay = await start(opened, hook, mode=mode, since="1h", until=until)
    assert (await step(opened, replay, hook)).walked
    assert (await seen(opened, replay)).progress.position == until


async def test_retrying_deliveries_are_tried_now_without_a_new_row(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 2)
    await attempt(opened.store, opened.clock, hook, 500)
    replay = await start(opened, hook)
    result = await step(opened, replay, hook)
    assert [claim.number for claim in result.claims] == [2, 2]
    await opened.store.record([result_of(claim, opened.clock) for claim in result.claims])
    rows = await deliveries(opened.store)
    assert [(row.status, row.replay) for row in rows] == [("delivered", replay.id)] * 2
    after = await seen(opened, replay)
    assert (after.progress.sent, after.progress.retried, after.progress.delivered) == (0, 2, 2)
    assert await waiting_of(opened, hook) == 0


@pytest.mark.parametrize("broken", ["state", "owner", "cursor"])
async def test_a_step_needs_state_owner_and_cursor_as_read(opened: Opened, broken: str) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 3)
    replay = await start(opened, hook)
    planned = await next_step(opened, replay, hook)
    if broken == "state":
        await opened.store.write(changes.pause_replay, ADA, None, number(replay))
        owned = update(REPLAY).values(owner_token=opened.store.token)
        await opened.store.write(lambda tx: tx.conn.execute(owned))
    elif broken == "owner":
        stolen = update(REPLAY).values(owner_token=TOKEN_OF_OTHERS)
        await opened.store.write(lambda tx: tx.conn.execute(stolen))
    else:
        await step(opened, replay, hook, 1)
        moved = len(await deliveries(opened.store))
    before = len(await deliveries(opened.store))
    result = await opened.store.replay(planned)
    assert (result.outcome, list(result.claims)) == (StepOutcome.STOPPED, [])
    assert len(await deliveries(opened.store)) == before
    if broken == "cursor":
        assert before == moved


async def test_ordered_hooks_are_left_out_or_wait_in_line(opened: Opened) -> None:
    hook = await make_hook(opened.store, ordered=True)
    for _ in range(3):
        await emit(opened.store)
        (claim,) = await opened.store.claim(HookId(hook.id), 1)
        await opened.store.record([result_of(claim, opened.clock, 503, schedule_s=())])
    replay = await start(opened, hook)
    result = await step(opened, replay, hook)
    assert (list(result.claims), result.walked) == ([], True)
    assert (await seen(opened, replay)).progress.skipped == {"ordered": 3}
    await opened.store.write(changes.finish_replay, opened.store.token, number(replay), None)
    replay = await start(opened, hook, include_ordered=True)
    for turn in range(3):
        result = await step(opened, replay, hook, 2)
        assert (result.outcome, list(result.claims)) == (StepOutcome.DONE, [])
        if turn < 2:
            assert (await step(opened, replay, hook, 1)).outcome is StepOutcome.WAITS
        (claim,) = await opened.store.claim(HookId(hook.id), 1)
        await opened.store.record([result_of(claim, opened.clock)])
    assert (await seen(opened, replay)).progress.sent == 3


async def test_never_more_than_max_deliveries(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 5)
    replay = await start(opened, hook, most=3)
    result = await step(opened, replay, hook)
    assert (len(result.claims), result.used_up, result.walked) == (3, True, True)


async def test_what_was_planned_is_sent_without_being_cut_off(opened: Opened) -> None:
    # Red when a replay of all that was shown ends as if something had been left out.
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 3)
    other = await make_hook(opened.store)
    await give_up(opened, other, 2)
    replay = await start(opened, hook, other, most=5)
    first = await step(opened, replay, hook)
    second = await step(opened, replay, other)
    assert [len(result.claims) for result in (first, second)] == [3, 2]
    assert [result.used_up for result in (first, second)] == [False, False]


@pytest.mark.parametrize(("most", "cut_off"), [(3, [False, False, True]), (4, [False, True])])
async def test_a_replay_of_several_hooks_ends_at_its_total(
    opened: Opened, most: int, cut_off: list[bool]
) -> None:
    # Red when each hook may use the total for itself, or a cut-off hook counts as walked whole.
    hooks = []
    for count in (2, 1 if most == 3 else 5, 1):
        hooks.append(await make_hook(opened.store))
        await give_up(opened, hooks[-1], count)
    replay = await start(opened, *hooks, most=most)
    results = [await step(opened, replay, hook) for hook in hooks[: len(cut_off)]]
    assert [result.used_up for result in results] == cut_off
    assert sum(len(result.claims) for result in results) == most


# Red when only the rate of the replay counts.
async def test_the_time_left_knows_the_rates_of_the_hooks(opened: Opened) -> None:
    slow = [await make_hook(opened.store, rate_per_s=rate) for rate in (2, 3)]
    replay = await start(opened, *slow, most=100)
    assert replay.progress.estimate_s == 20
    assert (await step(opened, replay, slow[1])).walked
    assert (await seen(opened, replay)).progress.estimate_s == 50
    fast = await make_hook(opened.store)
    assert (await start(opened, fast, most=100)).progress.estimate_s == 2


async def test_a_disabled_hook_waits_and_a_deleted_one_is_done(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    replay = await start(opened, hook)
    planned = await next_step(opened, replay, hook)
    await opened.store.write(
        changes.change_hook, ADA, None, HookId(hook.id), lambda s: changed(s, active=False)
    )
    assert (await opened.store.replay(planned)).outcome is StepOutcome.WAITS
    assert (await seen(opened, replay)).hooks[0].waits_for == "disabled"
    await opened.store.write(changes.delete_hook, ADA, None, HookId(hook.id))
    assert (await opened.store.replay(planned)).walked
    (walk,) = (await seen(opened, replay)).hooks
    assert (walk.state, walk.reason) == ("done", "hook deleted")


async def test_a_pause_of_all_sending_stops_steps(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    replay = await start(opened, hook)
    planned = await next_step(opened, replay, hook)
    await opened.store.write(changes.pause, ADA)
    assert (await opened.store.replay(planned)).outcome is StepOutcome.WAITS
    await opened.store.write(changes.resume, ADA)
    assert (await opened.store.replay(planned)).outcome is StepOutcome.DONE


async def test_states_follow_the_table(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    replay = number(await start(opened, hook))
    store = opened.store
    shown = partial(store.read, queries.get_replay, DEFAULT, replay)
    with pytest.raises(Conflict):
        await store.write(changes.resume_replay, ADA, None, replay)
    await store.write(changes.pause_replay, ADA, None, replay)
    paused = await shown()
    assert (paused.state, paused.server) == ("paused", None)
    with pytest.raises(Conflict):
        await store.write(changes.pause_replay, ADA, None, replay)
    await store.write(changes.change_rate, ADA, None, replay, 5.0)
    assert (await shown()).rate_per_s == 5
    await store.write(changes.resume_replay, ADA, None, replay)
    assert (await shown()).state == "running"
    await store.write(changes.abort_replay, ADA, None, replay)
    ended = await shown()
    (walk,) = ended.hooks
    assert (ended.state, walk.state, walk.reason) == ("aborted", "done", "aborted")
    for change in (changes.pause_replay, changes.resume_replay, changes.abort_replay):
        with pytest.raises(Conflict):
            await store.write(change, ADA, None, replay)
    with pytest.raises(Conflict):
        await store.write(changes.change_rate, ADA, None, replay, 5.0)
    with pytest.raises(NotFound):
        await store.write(changes.pause_replay, ADA, AccountId(2), replay)


async def test_conflicts_at_the_start(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    first = await start(opened, hook)
    with pytest.raises(Conflict, match=first.id):
        await start(opened, hook)
    off = await make_hook(opened.store, active=False)
    with pytest.raises(Conflict, match="disabled"):
        await start(opened, off)
    with pytest.raises(NotFound):
        await start(opened, changed(off, id=99))
    for _ in range(19):
        await start(opened, await make_hook(opened.store))
    with pytest.raises(Conflict, match="20"):
        await start(opened, await make_hook(opened.store))


# Red while one account could take all replays of the installation: others could not abort one.
async def test_one_account_leaves_replays_to_the_others(opened: Opened) -> None:
    store = opened.store
    other = (await store.write(changes.create_account, ADA, "other")).id

    async def start_in(account: AccountId) -> None:
        hook = await make_hook(store, account)
        selection = check_selection(ReplaySelection(hooks=(hook.id,)), opened.clock.ms)
        await store.write(changes.create_replay, ADA, account, selection, 50, None)

    for _ in range(15):
        await start_in(DEFAULT)
    with pytest.raises(Conflict, match="15 replays of this account are unfinished"):
        await start_in(DEFAULT)
    for _ in range(5):
        await start_in(other)
    with pytest.raises(Conflict, match="20 replays of all accounts are unfinished"):
        await start_in(other)


async def test_an_idempotency_key_creates_one_replay(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    selection = check_selection(ReplaySelection(hooks=(hook.id,)), opened.clock.ms)
    values = (changes.create_replay, ADA, DEFAULT, selection, 50, None)
    first, made = await opened.store.write(*values, key="k", body_sha256=b"1")
    again, made_again = await opened.store.write(*values, key="k", body_sha256=b"1")
    assert (first, made, made_again) == (again, True, False)
    with pytest.raises(Refused):
        await opened.store.write(*values, key="k", body_sha256=b"2")


async def test_a_lease_ends_and_another_server_takes_over(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    replay = await start(opened, hook)
    store, clock = opened.store, opened.clock
    assert not await store.read(queries.may_be_taken, clock.ms)
    clock.advance(14)
    await store.write(changes.renew_replays, store.token, [number(replay)])
    clock.advance(14)
    assert not await store.read(queries.may_be_taken, clock.ms)
    clock.advance(2)
    assert await store.read(queries.may_be_taken, clock.ms)
    planned = await next_step(opened, replay, hook)
    await store.write(changes.take_replays, TOKEN_OF_OTHERS, "1")
    assert (await store.replay(planned)).outcome is StepOutcome.STOPPED
    assert (await seen(opened, replay)).server == "1"


async def test_a_replay_pauses_if_no_server_ran_it_for_an_hour(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    replay = await start(opened, hook)
    opened.clock.advance(3_616)
    await opened.store.write(changes.take_replays, opened.store.token, "0")
    after = await seen(opened, replay)
    assert (after.state, after.state_reason) == ("paused", "no server ran it for an hour")


# Red when a start prolongs the lease of the server before.
@pytest.mark.parametrize(("after_s", "state"), [(3_500, "running"), (3_700, "paused")])
async def test_a_restart_continues_a_replay_within_an_hour(
    opened: Opened, after_s: int, state: str
) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 4)
    replay = await start(opened, hook)
    await step(opened, replay, hook, 2)
    opened.clock.advance(after_s)
    store = await opened.again()
    await store.write(changes.take_replays, store.token, "0")
    assert (await seen(opened, replay)).state == state
    page = await store.read(queries.list_alerts, DEFAULT, PageRequest(), queries.AlertQuery())
    opened_alerts = [alert.replay for alert in page.data if alert.type == "replay.paused"]
    assert opened_alerts == ([replay.id] if state == "paused" else [])
    if state == "paused":
        await store.write(changes.resume_replay, ADA, None, number(replay))
        await store.write(changes.take_replays, store.token, "0")
    result = await step(opened, replay, hook)
    assert (len(result.claims), result.walked) == (2, True)
    rows = [row.event for row in await deliveries(store) if row.replay]
    assert len(set(rows)) == len(rows) == 4


async def test_a_restart_takes_replays_at_once(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    await start(opened, hook)
    assert not await opened.store.read(queries.may_be_taken, opened.clock.ms)
    await opened.again()
    assert await opened.store.read(queries.may_be_taken, opened.clock.ms)


async def test_set_aside_pauses_when_none_is_left(opened: Opened) -> None:
    one, two = await make_hook(opened.store), await make_hook(opened.store)
    await give_up(opened, one, 1)
    replay = await start(opened, one, two)
    store = opened.store
    await store.write(changes.set_aside, store.token, number(replay), HookId(one.id))
    after = await seen(opened, replay)
    assert (after.state, after.hooks[0].state) == ("running", "set_aside")
    await store.write(changes.set_aside, store.token, number(replay), HookId(two.id))
    after = await seen(opened, replay)
    assert (after.state, after.state_reason) == ("paused", "20 attempts in a row failed")
    await store.write(changes.resume_replay, ADA, None, number(replay))
    resumed = await seen(opened, replay)
    assert [walk.state for walk in resumed.hooks] == ["walking", "walking"]


# Red when the end of the last walk is the end of the replay: what was set aside counts as done.
# Red when a replay pauses, with an alert, for a hook that no longer exists.
async def test_a_hook_that_was_set_aside_and_deleted_is_done(opened: Opened) -> None:
    store = opened.store
    one, two = await make_hook(store), await make_hook(store)
    await give_up(opened, one, 2)
    await give_up(opened, two, 2)
    replay = await start(opened, one, two)
    await store.write(changes.set_aside, store.token, number(replay), HookId(one.id))
    await store.write(changes.delete_hook, ADA, None, HookId(one.id))
    assert (await step(opened, replay, two)).walked
    assert await store.write(changes.finish_replay, store.token, number(replay))
    after = await seen(opened, replay)
    assert after.state == "finished"
    assert [(walk.state, walk.reason) for walk in after.hooks] == [
        ("done", "hook deleted"), ("done", None),
    ]  # fmt: skip


async def test_a_replay_with_a_hook_set_aside_pauses_instead_of_finishing(opened: Opened) -> None:
    one, two = await make_hook(opened.store), await make_hook(opened.store)
    await give_up(opened, one, 2)
    replay = await start(opened, one, two)
    store = opened.store
    await store.write(changes.set_aside, store.token, number(replay), HookId(one.id))
    assert not await store.write(changes.finish_replay, store.token, number(replay))
    assert (await seen(opened, replay)).state == "running"  # the other hook is still walking
    assert (await step(opened, replay, two)).walked
    assert not await store.write(changes.finish_replay, store.token, number(replay))
    after = await seen(opened, replay)
    assert (after.state, after.state_reason) == ("paused", "20 attempts in a row failed")
    assert [walk.state for walk in after.hooks] == ["set_aside", "done"]
    await store.write(changes.resume_replay, ADA, None, number(replay))
    await store.write(changes.take_replays, store.token, "0")
    assert len((await step(opened, replay, one)).claims) == 2
    assert await store.write(changes.finish_replay, store.token, number(replay))


async def test_skipped_events_are_forgotten_once_all_were_sent(opened: Opened) -> None:
    hook = await make_hook(opened.store, active=False)
    await emit(opened.store, 3)
    await opened.store.write(
        changes.change_hook, ADA, None, HookId(hook.id), lambda s: changed(s, active=True)
    )
    replay = await start(opened, hook, mode="never-sent", since="1h")
    result = await step(opened, replay, hook)
    assert len(result.claims) == 3
    await opened.store.write(changes.finish_replay, opened.store.token, number(replay))
    query = select(HOOK_STATE.c.skipped).where(HOOK_STATE.c.hook_id == hook.id)
    assert (await opened.store.read(lambda conn: conn.execute(query).one()))[0] == 0
    counted = select(EVENT.c.deliveries)
    rows = await opened.store.read(lambda conn: conn.execute(counted).all())
    assert [row[0] for row in rows] == [1, 1, 1]


# Red when the time in an id counts, and when that of the last event stands for all.
@pytest.mark.parametrize("one_is_later", [False, True])
async def test_skipped_events_are_forgotten_by_their_times_however_far_ids_are_ahead(
    opened: Opened, one_is_later: bool
) -> None:
    store, clock = opened.store, opened.clock
    if not one_is_later:
        await emit(store)
    hook = await make_hook(store, active=False)
    if one_is_later:
        await emit(store)
    clock.jump(-20)
    await emit(store, 2)
    await store.write(
        changes.change_hook, ADA, None, HookId(hook.id), lambda s: changed(s, active=True)
    )
    until = to_rfc3339(clock.now_ms())
    replay = await start(opened, hook, mode="never-sent", since="1h", until=until)
    assert len((await step(opened, replay, hook)).claims) == 2
    await store.write(changes.finish_replay, store.token, number(replay))
    query = select(HOOK_STATE.c.skipped).where(HOOK_STATE.c.hook_id == hook.id)
    left = (await store.read(lambda conn: conn.execute(query).one()))[0]
    assert left == (3 if one_is_later else 0)


# Red when the end of the range alone counts: a replay sends nothing that came after its start.
async def test_events_that_are_skipped_during_a_replay_are_not_forgotten(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    hook = await make_hook(store, active=False)
    await emit(store)

    async def set_active(active: bool) -> None:
        edit = partial(changed, active=active)
        await store.write(changes.change_hook, ADA, None, HookId(hook.id), edit)

    await set_active(True)
    until = to_rfc3339(clock.ms + 3_600_000)
    replay = await start(opened, hook, mode="never-sent", since="1h", until=until)
    await set_active(False)
    clock.advance(1)
    await emit(store, 2)
    await set_active(True)
    assert len((await step(opened, replay, hook)).claims) == 1
    await store.write(changes.finish_replay, store.token, number(replay))
    query = select(HOOK_STATE.c.skipped).where(HOOK_STATE.c.hook_id == hook.id)
    assert (await store.read(lambda conn: conn.execute(query).one()))[0] == 3


# Red when a page is bounded by the rows of its replays alone: 500 of 1,000 hooks each are 60 MB.
async def test_a_page_of_replays_has_a_bounded_number_of_hooks(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = await make_hooks(opened.store, 50)
    monkeypatch.setattr(replays, "_HOOK_BYTES", 20 * replays._HOOK_BYTES)  # as 1,000 hooks have
    given = check_selection(ReplaySelection(hooks=tuple(hooks)), opened.clock.ms)
    for _ in range(4):
        made, _ = await opened.store.write(changes.create_replay, ADA, DEFAULT, given, 50, None)
        await opened.store.write(changes.abort_replay, ADA, None, made)
    pages, cursor = [], None
    while not pages or cursor is not None:
        page = await opened.store.read(queries.list_replays, DEFAULT, PageRequest(cursor=cursor))
        pages.append(page.data)
        cursor = page.next
    assert sum(map(len, pages)) == 4
    assert max(sum(len(replay.hooks) for replay in page) for page in pages) <= 150


async def test_replays_are_listed_and_in_the_feed(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    after = opened.store.feed_end()
    replay = await start(opened, hook)
    page = await opened.store.read(queries.list_replays, DEFAULT, PageRequest())
    assert [one.id for one in page.data] == [replay.id]
    narrowed = (DEFAULT, PageRequest(), "paused", HookId(hook.id))
    assert (await opened.store.read(queries.list_replays, *narrowed)).data == []
    changed_since = await opened.store.feed(after, 100)
    assert [item.kind for item in changed_since.items] == ["replay"]
    assert changed_since.items[0].object.id == replay.id


async def test_the_deliveries_of_a_cancelled_step_wait_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    replay = await start(opened, hook)
    step = asyncio.create_task(opened.store.replay(await next_step(opened, replay, hook)))
    complete = WriteQueue.complete

    def cancel_and_complete(queue: WriteQueue, batch: Sequence[Operation[object]]) -> None:
        step.cancel()  # after the commit, before the result
        complete(queue, batch)

    monkeypatch.setattr(WriteQueue, "complete", cancel_and_complete)
    with pytest.raises(asyncio.CancelledError):
        await step
    query = select(DELIVERY.c.status).where(DELIVERY.c.replay_id == number(replay))
    async with asyncio.timeout(LIMIT_S):
        while True:
            rows = await opened.store.read(lambda conn: conn.execute(query).all())
            if [row[0] for row in rows] == ["pending"] * 2:
                break


# Red when the deliveries of a step are leased without a slot: the counters of the hook went wrong.
async def test_a_step_planned_for_an_ordered_hook_is_not_leased_without_places(
    opened: Opened,
) -> None:
    hook = await make_hook(opened.store, ordered=True)
    await give_up(opened, hook, 1)
    replay = await start(opened, hook, include_ordered=True)
    planned = changed(await next_step(opened, replay, hook), places=0)
    edited = settings(ordered=False)
    await opened.store.write(changes.change_hook, ADA, DEFAULT, hook.id, lambda _: edited)
    result = await opened.store.replay(changed(planned, version=planned.version + 1))
    assert (result.outcome, list(result.claims)) == (StepOutcome.OUTDATED, [])


# Red when a replay that sends no alerts forgets that some were skipped.
async def test_skipped_alerts_stay_after_a_replay_of_all_other_events(opened: Opened) -> None:
    hook = await make_hook(opened.store, events=("job", "hooktui"), active=False)
    await emit(opened.store)
    await opened.store.write(
        changes.change_hook, ADA, None, HookId(hook.id), lambda s: changed(s, active=True)
    )
    replay = await start(opened, hook, mode="never-sent", since="1h")
    assert len((await step(opened, replay, hook)).claims) == 1
    await opened.store.write(changes.finish_replay, opened.store.token, number(replay))
    query = select(HOOK_STATE.c.skipped).where(HOOK_STATE.c.hook_id == hook.id)
    assert (await opened.store.read(lambda conn: conn.execute(query).one()))[0] == 1


# Red when a walk that was not done ends as if it had been.
async def test_a_replay_that_ends_early_says_so_at_each_hook_that_was_not_done(
    opened: Opened,
) -> None:
    first, second = await make_hook(opened.store), await make_hook(opened.store)
    await give_up(opened, first, 3)
    await give_up(opened, second, 1)
    replay = await start(opened, first, second, most=2)
    assert (await step(opened, replay, first)).used_up
    token = opened.store.token
    assert await opened.store.write(changes.finish_replay, token, number(replay), MAX_REACHED)
    ended = await seen(opened, replay)
    assert [(walk.state, walk.reason) for walk in ended.hooks] == [("done", MAX_REACHED)] * 2
