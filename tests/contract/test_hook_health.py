"""A hook over time: its attempts, how long they took, and what waited when."""

from __future__ import annotations

import pytest

from hooktui.domain.clock import from_rfc3339
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.wire.hooks import MAX_HOURS, Hook, HookHealth
from hooktui.store import changes, queries
from hooktui.store.queries import health as health_queries
from hooktui.store.queries.health import step_s
from tests.support.stores import ADA, DEFAULT, Opened, attempt, emit, make_hook, result_of

STEP_S = 600


async def health(opened: Opened, hook: Hook, hours: int = 24) -> HookHealth:
    at_ms = opened.clock.ms
    return await opened.store.read(queries.hook_health, DEFAULT, HookId(hook.id), hours, at_ms)


async def test_attempts_are_counted_in_the_step_in_which_they_ended(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 3)
    await attempt(opened.store, opened.clock, hook, 200)
    opened.clock.advance(2 * STEP_S)
    await emit(opened.store)
    await attempt(opened.store, opened.clock, hook, 500)
    shown = await health(opened, hook)
    assert shown.step_s == STEP_S
    assert [(p.delivered, p.failed) for p in shown.points[-3:]] == [(3, 0), (0, 0), (0, 1)]
    assert sum(point.delivered + point.failed for point in shown.points) == 4
    assert from_rfc3339(shown.until) == opened.clock.ms
    assert from_rfc3339(shown.points[0].at) == from_rfc3339(shown.since)


async def test_durations_are_reported_by_their_middle_and_by_their_slow_end(opened: Opened) -> None:
    # Red when the percentiles are those of the whole time instead of the step's own.
    hook = await make_hook(opened.store)
    await emit(opened.store, 10)
    claims = await opened.store.claim(HookId(hook.id), 10)
    times_ms = [8] * 8 + [1800] * 2
    await opened.store.record(
        [
            result_of(claim, opened.clock, took_ms=ms)
            for claim, ms in zip(claims, times_ms, strict=True)
        ]
    )
    opened.clock.advance(STEP_S)
    before, now = (await health(opened, hook)).points[-2:]
    assert (before.p50_ms, before.p95_ms) == (10, 2000)
    assert (now.p50_ms, now.p95_ms) == (None, None)


async def test_the_backlog_of_the_past_is_what_had_come_and_not_ended(opened: Opened) -> None:
    # Red when only what came is taken back and not what ended, or the other way round.
    hook = await make_hook(opened.store)
    await emit(opened.store, 5)
    opened.clock.advance(STEP_S)
    await attempt(opened.store, opened.clock, hook, 200)
    opened.clock.advance(STEP_S)
    await emit(opened.store, 2)
    opened.clock.advance(STEP_S)
    backlog = [point.backlog for point in (await health(opened, hook)).points]
    assert backlog[-5:] == [0, 5, 0, 2, 2]


async def test_before_what_was_looked_through_no_backlog_is_claimed(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_queries, "MAX_COUNTED", 2)
    hook = await make_hook(opened.store)
    await emit(opened.store, 3)
    opened.clock.advance(3 * STEP_S)
    since_ms = opened.clock.ms
    await emit(opened.store, 2)
    shown = await health(opened, hook)
    assert [point.backlog for point in shown.points[-2:]] == [None, 5]
    assert shown.counted_since is not None
    assert from_rfc3339(shown.counted_since) == since_ms
    assert [(count.type, count.deliveries) for count in shown.types] == [("job.failed", 2)]


async def test_types_are_counted_by_what_became_of_them(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 2, event_type="job.failed")
    await attempt(opened.store, opened.clock, hook, 200)
    await emit(opened.store, 1, event_type="job.started")
    await attempt(opened.store, opened.clock, hook, 410)
    await emit(opened.store, 1, event_type="job.failed")
    failed, started = (await health(opened, hook)).types
    assert (failed.type, failed.deliveries, failed.delivered) == ("job.failed", 2, 2)
    assert (started.type, started.failed, started.waiting) == ("job.started", 1, 0)


async def test_what_came_before_the_time_is_in_the_backlog_and_in_no_count(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 4)
    opened.clock.advance(2 * 3600)
    shown = await health(opened, hook, hours=1)
    assert shown.types == ()
    assert {point.backlog for point in shown.points} == {4}


async def test_a_hook_of_another_account_and_a_deleted_one_are_not_there(opened: Opened) -> None:
    # Red when the account is not looked at: whoever guesses an id would see the traffic of others.
    hook = await make_hook(opened.store)
    read = opened.store.read
    with pytest.raises(NotFound):
        await read(queries.hook_health, AccountId(2), HookId(hook.id), 24, opened.clock.ms)
    await opened.store.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
    with pytest.raises(NotFound):
        await health(opened, hook)


@pytest.mark.parametrize(
    ("hours", "seconds"), [(1, 300), (14, 300), (24, 600), (168, 3600), (MAX_HOURS, 21_600)]
)
def test_a_time_is_cut_into_as_many_steps_as_a_terminal_shows(hours: int, seconds: int) -> None:
    assert step_s(hours) == seconds


def test_steps_are_never_too_many() -> None:
    for hours in range(1, MAX_HOURS + 1):
        assert 1 <= hours * 3600 / step_s(hours) <= 168
