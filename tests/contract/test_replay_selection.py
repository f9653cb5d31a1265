"""Which pairs of event and hook a replay selects, counts and skips."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest
from sqlalchemy import update

from hooktui.domain.errors import Conflict, Refused
from hooktui.domain.ids import DeliveryId, HookId, decode, floor_at
from hooktui.domain.replays import ReplayMode, check_selection, with_hooks
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes
from hooktui.store.contract import StepOutcome
from hooktui.store.queries import replay_plans
from hooktui.store.queries.replay_plans import (
    PlanPosition,
    count_pairs,
    first_position,
    read_position,
    write_position,
)
from hooktui.store.queries.replays import hooks_to_replay
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


async def test_never_sent_selects_what_the_hook_wants_now(opened: Opened) -> None:
    await make_hook(opened.store)
    wanted = await emit(opened.store, 2, body=b'{"a": 1}')
    await emit(opened.store, 1, body=b'{"a": 2}')
    await emit(opened.store, 1, event_type="cluster.error")
    hook = await make_hook(opened.store, filter="data.a:1")
    await emit(opened.store, 1, body=b'{"a": 1}')
    replay = await start(opened, hook, mode="never-sent", since="1h")
    result = await step(opened, replay, hook)
    assert [claim.event for claim in result.claims] == [event.id for event in wanted]
    assert result.walked


async def test_sent_and_all(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 3)
    claims = await opened.store.claim(HookId(hook.id), 3)
    await opened.store.record([result_of(claims[0], opened.clock)])
    await opened.store.record([result_of(claims[1], opened.clock, 500)])
    await opened.store.release([claims[2]])
    replay = await start(opened, hook, mode="sent", since="1h")
    result = await step(opened, replay, hook)
    assert [claim.event for claim in result.claims] == [claims[0].event, claims[1].event]
    after = await seen(opened, replay)
    assert (after.progress.sent, after.progress.retried) == (1, 1)
    assert after.progress.skipped == {"waiting": 1}
    await opened.store.write(changes.abort_replay, ADA, None, number(replay))
    other = await make_hook(opened.store, name="late")
    replay = await start(opened, other, mode="all", since="1h")
    result = await step(opened, replay, other)
    assert len(result.claims) == 3


# Red when only another attempt makes a step match its filter again.
@pytest.mark.parametrize("filter_text", ["cause:http_5xx", "status:failed"])
async def test_what_was_given_up_or_cancelled_no_longer_matches(
    opened: Opened, filter_text: str
) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    replay = await start(opened, hook, mode="sent", since="1h", filter=filter_text)
    planned = await next_step(opened, replay, hook)
    assert len(planned.candidates) == 2
    until_ms = opened.clock.ms
    await opened.store.write(changes.give_up, ADA, None, HookId(hook.id), "http_5xx", until_ms)
    assert (await opened.store.replay(planned)).outcome is StepOutcome.OUTDATED
    claims = (await step(opened, replay, hook)).claims
    assert len(claims) == (2 if filter_text == "status:failed" else 0)


async def test_skip_reasons(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 4)
    rows = await deliveries(opened.store)
    events = [decode("evt", row.event) for row in rows]
    replay = await start(opened, hook, filter="code:503")
    planned = await next_step(opened, replay, hook)
    purge = update(EVENT).where(EVENT.c.id == events[0]).values(body=None)
    await opened.store.write(lambda tx: tx.conn.execute(purge))
    second = DeliveryId(decode("dlv", rows[1].id))
    await opened.store.write(changes.resend, ADA, None, second)
    result = await opened.store.replay(planned)
    assert result.outcome is StepOutcome.OUTDATED  # the filter was matched with another delivery
    result = await step(opened, replay, hook)
    assert len(result.claims) == 2
    after = await seen(opened, replay)
    assert after.progress.skipped == {"purged": 1}


async def test_superseded(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2)
    rows = await deliveries(opened.store)
    replay = await start(opened, hook)
    planned = await next_step(opened, replay, hook)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", rows[0].id)))
    result = await opened.store.replay(planned)
    assert len(result.claims) == 1
    assert (await seen(opened, replay)).progress.skipped == {"superseded": 1}


@pytest.mark.parametrize(
    ("narrowed", "skipped"),
    [({"filter": "code:4xx"}, {"filter": 2}), ({"cause": "http_404"}, {})],
    ids=["filter", "cause"],
)
async def test_a_filter_skips_and_a_cause_narrows(
    opened: Opened, narrowed: dict[str, str], skipped: dict[str, int]
) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 2, 503)
    await give_up(opened, hook, 1, 404)
    replay = await start(opened, hook, **narrowed)
    result = await step(opened, replay, hook)
    assert len(result.claims) == 1
    assert (await seen(opened, replay)).progress.skipped == skipped


# Red when a mode that takes the enabled hooks says that none has undelivered deliveries.
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("failed", "no hook has undelivered deliveries"),
        ("sent", "no hook is enabled"),
        ("never-sent", "no hook is enabled"),
        ("all", "no hook is enabled"),
    ],
)
async def test_all_hooks_of_an_account_may_be_none(opened: Opened, mode: str, reason: str) -> None:
    await give_up(opened, await make_hook(opened.store, active=False), 1)
    given = check_selection(ReplaySelection(hooks="all", mode=mode, since="1h"), opened.clock.ms)
    given = with_hooks(given, await opened.store.read(hooks_to_replay, DEFAULT, given.mode, None))
    with pytest.raises(Conflict, match=f"nothing to replay: {reason}"):
        await opened.store.write(changes.create_replay, ADA, DEFAULT, given, 50, None)


async def test_all_hooks_are_those_of_the_cause(opened: Opened) -> None:
    # Red when a hook with an unfinished replay of another cause refuses the replay of the others.
    broken, missing = [await make_hook(opened.store, name=name) for name in ("broken", "missing")]
    await give_up(opened, broken, 1, 503)
    await give_up(opened, missing, 1, 404)
    for cause, expected in ((None, {broken.id, missing.id}), ("http_404", {missing.id})):
        mode = ReplayMode.FAILED
        found = await opened.store.read(hooks_to_replay, DEFAULT, mode, cause)
        assert set(found) == expected


@pytest.mark.parametrize("mode", ["sent", "all", "never-sent"])
async def test_the_database_counts_what_the_walk_finds(
    opened: Opened, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when a column that decides is left out of the groups.
    hook = await make_hook(opened.store)
    other = await make_hook(opened.store, events=("cluster",))
    await give_up(opened, hook, 3)
    await emit(opened.store, 2)
    await attempt(opened.store, opened.clock, hook, 500)
    await emit(opened.store, 2)
    await attempt(opened.store, opened.clock, hook, 200)
    rows = await deliveries(opened.store)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", rows[0].id)))
    purge = update(EVENT).where(EVENT.c.id == decode("evt", rows[1].event)).values(body=None)
    await opened.store.write(lambda tx: tx.conn.execute(purge))
    await emit(opened.store, 2, event_type="cluster.error")
    opened.clock.advance(60)
    await emit(opened.store, 1)
    late = await make_hook(opened.store, name="late", events=("job", "cluster"))
    given = ReplaySelection(hooks=(1,), mode=mode, since="1h", until="30s")
    selection = check_selection(given, opened.clock.ms)
    live = [opened.store.hooks()[HookId(each.id)] for each in (hook, other, late)]
    for filter_text in (None, "-code:404"):
        chosen = changed(selection, filter=filter_text)
        start_at = PlanPosition(0, 0, floor_at(opened.clock.ms + 1))
        counted = await opened.store.read(count_pairs, chosen, live, start_at)
        with monkeypatch.context() as patch:
            patch.setattr(replay_plans, "is_countable", lambda _walk: False)
            walked = await opened.store.read(count_pairs, chosen, live, start_at)
        assert counted == walked
        assert sum(sums.selected for sums in counted.hooks.values())


# Red when the end of the range is found in the ids: these are ahead of a clock that was set back.
@pytest.mark.parametrize("mode", ["all", "never-sent"])
async def test_events_after_the_clock_was_set_back_are_selected(opened: Opened, mode: str) -> None:
    hook = await make_hook(opened.store, active=False)
    await emit(opened.store)
    opened.clock.advance(-3 * 3600)
    await emit(opened.store, 2)
    await opened.store.write(
        changes.change_hook, ADA, None, HookId(hook.id), lambda s: changed(s, active=True)
    )
    given = ReplaySelection(hooks=(hook.id,), mode=mode, since="1h")
    selection = check_selection(given, opened.clock.ms)
    live = [opened.store.hooks()[HookId(hook.id)]]
    begin = await opened.store.read(first_position, opened.clock.ms)
    assert read_position(write_position(begin) or "") == begin
    counted = await opened.store.read(count_pairs, selection, live, begin)
    assert counted.hooks[HookId(hook.id)].selected == 2
    replay = await start(opened, hook, mode=mode, since="1h")
    result = await step(opened, replay, hook)
    assert (len(result.claims), result.walked) == (2, True)


async def test_a_plan_continues_where_it_stopped(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await make_hook(opened.store)
    await give_up(opened, hook, 5)
    selection = check_selection(ReplaySelection(hooks=(hook.id,)), opened.clock.ms)
    live = [opened.store.hooks()[HookId(hook.id)]]
    position = PlanPosition(0, 0, floor_at(opened.clock.ms + 1))
    with monkeypatch.context() as patch:
        patch.setattr(replay_plans, "COUNT_S", -1.0)
        first = await opened.store.read(count_pairs, selection, live, position)
    assert first.next is not None
    assert read_position(write_position(first.next) or "") == first.next
    rest = await opened.store.read(count_pairs, selection, live, first.next)
    assert (rest.next, rest.hooks[HookId(hook.id)].selected) == (None, 5)
    with pytest.raises(Refused):
        read_position("nonsense")
