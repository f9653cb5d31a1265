"""Replays beside retention: their events, bodies and own rows are deleted."""

from __future__ import annotations

import asyncio
from dataclasses import replace as changed
from functools import partial

import pytest
from sqlalchemy import func, select

from hooktui.domain.clock import DAY_MS
from hooktui.domain.ids import HookId
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.server import RetentionDays
from hooktui.store import changes, queries
from hooktui.store.contract import StepOutcome
from hooktui.store.planning.retention import OldEvent, RetentionPass
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import EVENT
from tests.contract.replay_steps import give_up, next_step, number, seen, start, step
from tests.support.stores import (
    ADA,
    DEFAULT,
    Opened,
    attempt,
    deliveries,
    emit,
    make_hook,
    result_of,
)

DAY_S = DAY_MS // 1000
EVENTS_FOR_A_DAY = RetentionDays(days=1, bodies_days=7)
BODIES_FOR_A_DAY = RetentionDays(days=0, bodies_days=1)

deletions = pytest.mark.parametrize(
    ("mode", "keep"),
    [
        ("failed", EVENTS_FOR_A_DAY),
        ("sent", EVENTS_FOR_A_DAY),
        ("sent", BODIES_FOR_A_DAY),
        ("never-sent", EVENTS_FOR_A_DAY),
        ("all", BODIES_FOR_A_DAY),
    ],
    ids=["failed-events", "sent-events", "sent-bodies", "never-sent-events", "all-bodies"],
)


async def hook_for(opened: Opened, mode: str) -> Hook:
    """Create a hook; one that a replay is to send what it never got is disabled."""
    return await make_hook(opened.store, active=mode != "never-sent")


async def events_for(opened: Opened, hook: Hook, mode: str, count: int) -> None:
    """Emit events that a replay of the mode selects."""
    if mode == "failed":
        await give_up(opened, hook, count)
        return
    await emit(opened.store, count)
    await attempt(opened.store, opened.clock, hook)


async def enable(opened: Opened, hook: Hook) -> None:
    await opened.store.write(
        changes.change_hook, ADA, None, HookId(hook.id), lambda s: changed(s, active=True)
    )


async def delete_old(opened: Opened, keep: RetentionDays) -> tuple[int, int]:
    """Run a retention pass; return how many events and bodies it deleted."""
    return await RetentionPass(opened.store, lambda: 0).apply(keep, opened.clock.ms)


async def events_left(opened: Opened) -> int:
    return await opened.store.read(
        lambda conn: conn.execute(select(func.count()).select_from(EVENT)).scalar_one()
    )


# Red when a step takes an event as the search found it.
@deletions
async def test_a_step_skips_what_retention_deleted_since_the_search(
    opened: Opened, mode: str, keep: RetentionDays
) -> None:
    hook = await hook_for(opened, mode)
    await events_for(opened, hook, mode, 2)
    opened.clock.advance(2 * DAY_S)
    await events_for(opened, hook, mode, 1)
    if mode == "never-sent":
        await enable(opened, hook)
    replay = await start(opened, hook, mode=mode, since="3d")
    planned = await next_step(opened, replay, hook)
    assert len(planned.candidates) == 3
    assert sum(await delete_old(opened, keep)) == 2
    result = await opened.store.replay(planned)
    assert (result.outcome, len(result.claims), result.walked) == (StepOutcome.DONE, 1, True)
    after = await seen(opened, replay)
    assert (after.progress.sent, after.progress.skipped) == (1, {"purged": 2})


# Red when retention looks at a delivery that is not the last one of its event.
@deletions
async def test_retention_leaves_what_a_step_is_sending(
    opened: Opened, mode: str, keep: RetentionDays
) -> None:
    hook = await hook_for(opened, mode)
    await events_for(opened, hook, mode, 2)
    if mode == "never-sent":
        await enable(opened, hook)
    replay = await start(opened, hook, mode=mode, since="1h")
    opened.clock.advance(2 * DAY_S)
    claims = (await step(opened, replay, hook)).claims
    assert len(claims) == 2
    assert sum(await delete_old(opened, keep)) == 0
    assert await opened.store.record([result_of(one, opened.clock) for one in claims]) == [True] * 2
    assert (await seen(opened, replay)).progress.delivered == 2
    assert sum(await delete_old(opened, keep)) == 0  # they ended just now
    opened.clock.advance(2 * DAY_S)
    assert sum(await delete_old(opened, keep)) == 2


# Red when a step does not lock its events: on PostgreSQL both then see the event of before.
async def test_a_step_beside_retention_sends_an_event_or_skips_it(opened: Opened) -> None:
    at_once, turns = 4, 10
    store = opened.store
    hook = await make_hook(store)
    await give_up(opened, hook, at_once * turns)
    opened.clock.advance(2 * DAY_S)
    before_ms = opened.clock.ms - DAY_MS
    replay = await start(opened, hook)
    sent: list[int] = []
    for turn in range(turns):
        planned = await next_step(opened, replay, hook, at_once)
        old = [OldEvent(candidate.event) for candidate in planned.candidates]
        deletion = store.delete(partial(store.DELETIONS.events, old, before_ms))
        if turn % 2:
            result, _ = await asyncio.gather(store.replay(planned), deletion)
        else:
            _, result = await asyncio.gather(deletion, store.replay(planned))
        assert result.outcome is StepOutcome.DONE
        recorded = await store.record([result_of(claim, opened.clock) for claim in result.claims])
        assert all(recorded)
        sent += [claim.event for claim in result.claims]
    after = await seen(opened, replay)
    assert after.progress.sent == after.progress.delivered == len(sent)
    assert len(sent) + after.progress.skipped.get("purged", 0) == at_once * turns
    assert await events_left(opened) == len(sent)
    assert len(await deliveries(store, status="delivered")) == len(sent)


async def test_retention_drops_ended_replays(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    old = await start(opened, hook)
    await opened.store.write(changes.abort_replay, ADA, None, number(old))
    opened.clock.advance(DAY_S)
    ended = await start(opened, hook)
    await opened.store.write(changes.abort_replay, ADA, None, number(ended))
    running = await start(opened, hook)
    deletion = partial(opened.store.DELETIONS.replays, opened.clock.ms - 3_600_000)
    assert [await opened.store.delete(deletion) for _ in range(2)] == [1, 0]
    page = await opened.store.read(queries.list_replays, DEFAULT, PageRequest())
    assert [one.id for one in page.data] == [running.id, ended.id]
