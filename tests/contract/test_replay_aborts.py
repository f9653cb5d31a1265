"""An abort of a replay, and the cancellation of what still waits."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sqlalchemy import update

from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import DeliveryId, HookId, decode
from hooktui.store import changes, queries
from hooktui.store.changes.replays import cancel_waiting_of
from hooktui.store.tables import DELIVERY
from tests.contract.alert_steps import alerts, shown_group
from tests.contract.replay_steps import give_up, number, seen, start, step, waiting_of
from tests.support.stores import (
    ADA,
    BOB,
    DEFAULT,
    Opened,
    attempt,
    deliveries,
    emit,
    make_hook,
    result_of,
)
from tests.support.waiting import LIMIT_S, until


async def test_abort_cancels_what_waits_if_asked(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 3)
    replay = await start(opened, hook)
    result = await step(opened, replay, hook)
    await opened.store.release(result.claims)
    await opened.store.write(changes.abort_replay, ADA, None, number(replay), cancel_waiting=True)
    after = await seen(opened, replay)
    assert (after.progress.cancelled, after.progress.waiting) == (3, 0)
    assert await waiting_of(opened, hook) == 0


# Red when they lose their cause: the events never arrived, and no view and no replay found them.
@pytest.mark.parametrize("attempted", [True, False])
async def test_what_an_abort_cancels_is_undelivered_again(opened: Opened, attempted: bool) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2, 404)
    replay = await start(opened, hook)
    claims = (await step(opened, replay, hook)).claims
    if attempted:
        await opened.store.record([result_of(claim, opened.clock, 404) for claim in claims])
    else:
        await opened.store.release(claims)
    await opened.store.write(changes.abort_replay, BOB, None, number(replay), cancel_waiting=True)
    group = await shown_group(opened, hook, "http_404")
    assert (group.count, group.gave_up, group.retrying) == (2, 2, 0)
    assert {alert.state for alert in await alerts(opened)} == {"open"}
    again = await start(opened, hook)
    assert len((await step(opened, again, hook)).claims) == 2
    await opened.store.write(changes.abort_replay, BOB, None, number(again))


async def test_the_group_of_what_an_abort_cancelled_can_be_given_up(opened: Opened) -> None:
    # Red when only failed deliveries are dead letters: the group stays for ever.
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    replay = await start(opened, hook)
    await opened.store.release((await step(opened, replay, hook)).claims)
    await opened.store.write(changes.abort_replay, BOB, None, number(replay), cancel_waiting=True)
    until_ms = opened.clock.ms
    done = await opened.store.write(
        changes.give_up, BOB, None, HookId(hook.id), "http_5xx", until_ms
    )
    assert (done.given_up, done.cancelled) == (2, 0)
    assert await deliveries(opened.store, q="status:undelivered") == []


# Red when the event counts as lost, or the cancellation ends the alert in the server's name.
async def test_an_abort_that_cancels_repeats_ends_the_alert_of_their_group(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    await attempt(opened.store, opened.clock, hook, 200)
    (first,) = await deliveries(opened.store)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", first.id)))
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    await opened.store.record([result_of(claim, opened.clock, 503, schedule_s=())])
    replay = await start(opened, hook)
    (claim,) = (await step(opened, replay, hook)).claims
    await opened.store.record([result_of(claim, opened.clock, 503)])
    assert [alert.state for alert in await alerts(opened)] == ["open"]
    await opened.store.write(changes.abort_replay, BOB, None, number(replay), cancel_waiting=True)
    (ended,) = await alerts(opened)
    assert (ended.state, ended.resolution, ended.changed_by) == ("resolved", "cleared", "bob")
    assert await deliveries(opened.store, q="status:undelivered") == []


# Red when the mark of an early retry counts as creation: a retry on its own schedule is lost.
async def test_an_abort_cancels_no_delivery_that_the_replay_only_tried_early(
    opened: Opened,
) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    await emit(opened.store)
    await attempt(opened.store, opened.clock, hook, 503)
    replay = await start(opened, hook)
    claims = (await step(opened, replay, hook)).claims
    assert {claim.trigger for claim in claims} == {"event", "replay"}
    await opened.store.record([result_of(claim, opened.clock, 503) for claim in claims])
    await opened.store.write(changes.abort_replay, BOB, None, number(replay), cancel_waiting=True)
    aborted = await opened.store.read(queries.get_replay, DEFAULT, number(replay))
    assert (aborted.progress.cancelled, aborted.progress.waiting) == (1, 1)
    (early,) = await deliveries(opened.store, status="pending")
    assert (early.trigger, early.cause, early.replay) == ("event", "http_5xx", replay.id)
    assert early.next_attempt_at is not None
    assert [alert.state for alert in await alerts(opened)] == ["open"]
    assert await waiting_of(opened, hook) == 1


# Red when it cancels everything of the trigger that has its mark.
async def test_an_abort_cancels_no_delivery_of_an_earlier_replay(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    for _ in range(2):
        replay = await start(opened, hook)
        (claim,) = (await step(opened, replay, hook)).claims
        await opened.store.record([result_of(claim, opened.clock, 503)])
        abort = partial(changes.abort_replay, cancel_waiting=claim.number == 2)
        await opened.store.write(abort, ADA, None, number(replay))
    (early,) = await deliveries(opened.store, status="pending")
    assert (early.trigger, early.attempts, early.replay) == ("replay", 2, replay.id)


async def waiting_of_a_replay(opened: Opened, monkeypatch: pytest.MonkeyPatch, count: int) -> int:
    """Return a replay with waiting deliveries, which are cancelled one by one."""
    monkeypatch.setattr("hooktui.store.changes.deliveries._CANCELLED_AT_ONCE", 1)
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 1)
    replay = await start(opened, hook)
    await emit(opened.store, count)
    created = {"trigger": "replay", "replay_id": number(replay)}
    mark = update(DELIVERY).where(DELIVERY.c.status == "pending").values(created)
    await opened.store.write(lambda tx: tx.conn.execute(mark))
    return number(replay)


async def all_cancelled(opened: Opened) -> bool:
    return all(row.status != "pending" for row in await deliveries(opened.store))


# Red when only the memory of the server knows the rest: it stays pending, and is sent.
async def test_an_abort_that_a_stop_interrupts_is_finished_by_the_next_start(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = await waiting_of_a_replay(opened, monkeypatch, 30)
    await opened.store.write(changes.abort_replay, ADA, DEFAULT, replay, cancel_waiting=True)
    aborted = await opened.store.read(queries.get_replay, DEFAULT, replay)
    assert aborted.state_reason == "its waiting deliveries are being cancelled"
    await opened.again()

    async def done() -> bool:
        shown = await opened.store.read(queries.get_replay, DEFAULT, replay)
        return shown.state_reason == "its waiting deliveries were cancelled"

    await until(done)
    assert await all_cancelled(opened)
    assert {row.reason for row in await deliveries(opened.store, status="cancelled")} == {
        "cancelled by ada"
    }


# Red when each start cancels again: what was being sent at the abort is retried, as without one.
async def test_a_start_cancels_nothing_of_a_replay_whose_abort_is_done(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    replay = await start(opened, hook)
    one, two = (await step(opened, replay, hook)).claims
    await opened.store.release([one])
    await opened.store.write(
        changes.abort_replay, ADA, DEFAULT, number(replay), cancel_waiting=True
    )
    aborted = await opened.store.read(queries.get_replay, DEFAULT, number(replay))
    assert aborted.state_reason == "its waiting deliveries were cancelled"
    await opened.store.record([result_of(two, opened.clock, 500)])
    store = await opened.again()
    await asyncio.gather(*(task for task in store._tasks if task.get_name() == "rest"))
    after = await seen(opened, replay)
    assert (after.progress.cancelled, after.progress.waiting) == (1, 1)


async def test_an_abort_goes_on_after_a_failed_transaction(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = await waiting_of_a_replay(opened, monkeypatch, 3)
    monkeypatch.setattr("hooktui.store.base.FOLLOW_UP_RETRIED_S", (0.01,))
    write, failures = opened.store.write, 2

    async def failing(change, *args, **kwargs):
        nonlocal failures
        if not args and failures:
            failures -= 1
            raise Unavailable("the database is locked")
        return await write(change, *args, **kwargs)

    monkeypatch.setattr(opened.store, "write", failing)
    await opened.store.write(changes.abort_replay, ADA, DEFAULT, replay, cancel_waiting=True)
    await until(lambda: all_cancelled(opened))
    assert not failures


# Red when a part is tried again and again after the store was closed.
async def test_a_closed_store_leaves_the_rest_of_a_change_alone(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replay = await waiting_of_a_replay(opened, monkeypatch, 1)
    store = opened.store
    await store.close()
    await asyncio.wait_for(store._follow_up(partial(cancel_waiting_of, replay=replay)), LIMIT_S)
    assert "the rest of a change" not in caplog.text
    await opened.again()
