"""Alerts: opened, ended and announced by the transaction that decides."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping

import pytest
from sqlalchemy import ColumnElement, func, select, update

from hooktui import failpoints
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.deliveries import DisabledReason, ErrorClass
from hooktui.domain.errors import Conflict, NotFound
from hooktui.domain.ids import AccountId, HookId, decode
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.server import Disk, RetentionDays
from hooktui.store import changes, queries
from hooktui.store.queries import alert_check
from hooktui.store.queries import alerts as alert_queries
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import ALERT, EVENT
from tests.contract.alert_steps import (
    QUIET,
    alert_hook,
    alerts,
    announced,
    answer,
    check_alerts,
    dead_letters,
    edit,
    fail,
    failing_hook,
    give_up,
    types,
)
from tests.support.stores import (
    ADA,
    BOB,
    DEFAULT,
    Opened,
    always,
    deliveries,
    emit,
    make_hook,
    make_hooks,
    offer,
    result_of,
    the_hook,
)


async def test_a_hook_is_failing_after_three_failures_over_a_minute(opened: Opened) -> None:
    # Red when the count or the time is left out of the rule.
    hook = await make_hook(opened.store, name="Slack relay")
    ops = await alert_hook(opened)
    await fail(opened, hook, times=5, every_s=10)
    assert await alerts(opened) == []
    assert not opened.store.hooks()[HookId(hook.id)].failing
    opened.clock.advance(10)
    await fail(opened, hook)
    (alert,) = await alerts(opened)
    assert (alert.type, alert.state, alert.key) == (
        "hook.failing", "open", f"hook.failing:{hook.id}",
    )  # fmt: skip
    assert alert.hooks_notified == 1
    assert opened.store.hooks()[HookId(hook.id)].failing
    ((kind, body),) = await announced(opened)
    assert kind == "hooktui.hook.failing"
    newest = (await deliveries(opened.store, hook=HookId(hook.id)))[-1]
    assert body == {
        "alert": {
            "id": alert.id, "type": "hook.failing", "key": alert.key, "state": "open",
            "opened_at": alert.opened_at, "resolved_at": None, "resolution": None, "count": 1,
            "alert_path": False,
        },
        "account": 1,
        "summary": f"hook {hook.id} (Slack relay) is failing: http_5xx, 6 in a row",
        "hook": {"id": hook.id, "name": "Slack relay", "host": "127.0.0.2:9"},
        "cause": "http_5xx",
        "code": 503,
        "failures_in_a_row": 6,
        "failing_since": body["failing_since"],
        "waiting": 6,
        "example": newest.id,
    }  # fmt: skip
    (sent,) = await deliveries(opened.store, hook=HookId(ops.id))
    assert (sent.status, sent.event_type) == ("pending", "hooktui.hook.failing")
    assert (await the_hook(opened.store, ops)).stats.waiting == 1
    stats = (await the_hook(opened.store, hook)).stats
    assert (stats.failing, stats.failing_since) == (True, body["failing_since"])


async def test_a_success_ends_the_alert_and_says_so(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await failing_hook(opened)
    ((_, opening),) = await announced(opened)
    await answer(opened, hook, [200])
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution, alert.changed_by) == ("resolved", "delivered", "hooktui")
    assert await types(opened) == ["hook.failing", "hook.recovered"]
    _, (_, end) = await announced(opened)
    assert end["alert"] == opening["alert"] | {
        "state": "resolved", "resolved_at": alert.resolved_at, "resolution": "delivered",
    }  # fmt: skip
    same = {name: value for name, value in end.items() if name not in ("alert", "summary")}
    assert same == {name: opening[name] for name in same}
    assert not opened.store.hooks()[HookId(hook.id)].failing
    assert not (await the_hook(opened.store, hook)).stats.failing
    await answer(opened, hook, [200])
    assert len(await announced(opened)) == 2


# Red when the time of a failure before the clock was set back counts: it is in the future.
async def test_a_hook_is_failing_although_the_clock_was_set_back(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await fail(opened, hook)
    opened.clock.jump(-3 * 3600)
    await fail(opened, hook, times=4, every_s=30)
    assert [alert.type for alert in await alerts(opened)] == ["hook.failing"]
    stats = (await the_hook(opened.store, hook)).stats
    assert from_rfc3339(stats.failing_since) <= opened.clock.ms


# Red when the alert with the highest id counts: ids of another server may be ahead, and a second
# alert of the key that is not resolved stops all recording.
async def test_an_open_alert_grows_although_a_resolved_one_has_a_higher_id(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    await give_up(opened, hook, "http_404")
    (ended,) = await alerts(opened, hook=HookId(hook.id))
    opened.clock.advance(QUIET + 1)
    await dead_letters(opened, hook, [404])
    _, second = await alerts(opened, hook=HookId(hook.id))
    ahead = update(ALERT).values(id=ALERT.c.id + 2**45)
    number = decode("alr", ended.id)
    await opened.store.write(lambda tx: tx.conn.execute(ahead.where(ALERT.c.id == number)))
    await dead_letters(opened, hook, [404])
    shown = {one.state: one.count for one in await alerts(opened, hook=HookId(hook.id))}
    assert (second.state, shown["open"]) == ("open", 2)


# Red when an alert ends only by the measurement that is no longer made.
async def test_alerts_end_when_nothing_is_measured_any_more(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    with monkeypatch.context() as low:
        low.setattr(opened.store, "disk_space", lambda: Disk(free=1, total=100, reserve=50))
        opened.clock.advance(28 * 86_400)
        await opened.store.check_alerts()
    kinds = ("disk.low", "undelivered.expiring")
    assert {one.type for one in await alerts(opened)} >= set(kinds)
    monkeypatch.setattr(opened.store, "disk_space", lambda: None)
    monkeypatch.setattr(opened.store, "keep", RetentionDays(days=0, bodies_days=7))
    await opened.store.check_alerts()
    ended = [one for one in await alerts(opened) if one.type in kinds]
    assert [(one.state, one.resolution) for one in ended] == [("resolved", "cleared")] * 2


# Red when each hook or account is a parameter of the query: PostgreSQL accepts 32,767.
async def test_very_many_alert_hooks_and_accounts_are_not_named_one_by_one(
    opened: Opened,
) -> None:
    ops, _ = await alert_hook(opened), await failing_hook(opened)
    many = range(1, 40_000)
    path = await opened.store.read(alert_queries.alert_path, None, [HookId(n) for n in many])
    assert [hook.hook for hook in path.hooks] == [ops.id]
    at = opened.clock.ms
    few = await opened.store.read(alert_check.check_input, at, [DEFAULT])
    assert few == await opened.store.read(alert_check.check_input, at, [AccountId(n) for n in many])


async def test_a_flapping_hook_is_announced_once_in_ten_minutes(opened: Opened) -> None:
    # Red without the quiet time, or when an end is announced whose opening was not.
    await alert_hook(opened)
    hook = await failing_hook(opened)
    for _ in range(3):
        await answer(opened, hook, [200])
        await fail(opened, hook, times=4, every_s=21)
    assert await types(opened) == ["hook.failing", "hook.recovered"]
    (alert,) = await alerts(opened)
    assert alert.state == "open"
    opened.clock.advance(QUIET)
    await check_alerts(opened)
    assert await types(opened) == ["hook.failing", "hook.recovered", "hook.failing"]
    await check_alerts(opened)
    assert [kind for kind in await types(opened) if kind.startswith("hook.")] == [
        "hook.failing", "hook.recovered", "hook.failing",
    ]  # fmt: skip
    await answer(opened, hook, [200])
    ((_, end),) = [one for one in await announced(opened) if one[0].endswith("recovered")][1:]
    # Four times 21 s, then the quiet time. Red when it counts from the first opening.
    assert end["summary"].endswith("delivers again after 11m 24s")
    assert end["alert"]["opened_at"] < end["failing_since"]


async def test_pings_and_interruptions_do_not_count(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    for _ in range(5):
        claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
        await opened.store.record([result_of(claim, opened.clock, 500)])
        opened.clock.advance(100)
    assert await alerts(opened) == []


@pytest.mark.parametrize("code", [200, 500])
async def test_no_ping_judges_the_failures_before_it(opened: Opened, code: int) -> None:
    # Red when any attempt opens the alert: the ping after a repair announced a failing hook.
    hook = await make_hook(opened.store)
    await fail(opened, hook, times=5)
    opened.clock.advance(100)
    claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
    await opened.store.record([result_of(claim, opened.clock, code)])
    assert await alerts(opened) == []
    await fail(opened, hook)
    assert [alert.type for alert in await alerts(opened)] == ["hook.failing"]


async def test_a_response_that_broke_off_has_no_status_in_an_alert(opened: Opened) -> None:
    # Red when the alert of a reset names the 200 of an incomplete response.
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    for _ in range(4):
        await emit(opened.store)
        (claim,) = await opened.store.claim(HookId(hook.id), 1)
        await opened.store.record([result_of(claim, opened.clock, 200, ErrorClass.RESET)])
        opened.clock.advance(30)
    ((kind, body),) = await announced(opened)
    assert (kind, body["cause"], body["code"]) == ("hooktui.hook.failing", "reset", None)


async def test_a_hook_that_is_gone_is_disabled_and_not_failing(opened: Opened) -> None:
    # Red when 410 also opens the alert of its dead letter, or leaves the hook failing.
    await alert_hook(opened)
    hook = await failing_hook(opened, name="n")
    await answer(opened, hook, [410])
    assert {(alert.type, alert.state) for alert in await alerts(opened)} == {
        ("hook.failing", "resolved"), ("hook.disabled", "open"),
    }  # fmt: skip
    assert await types(opened) == ["hook.failing", "alert.closed", "hook.disabled"]
    body = (await announced(opened))[-1][1]
    assert body["summary"] == f"hook {hook.id} (n) was disabled: {DisabledReason.GONE.value}"
    assert (body["cause"], body["code"]) == ("http_410", 410)
    await edit(opened, hook, active=True)
    assert (await types(opened))[-1] == "hook.enabled"
    ended = (await alerts(opened, key=f"hook.disabled:{hook.id}"))[0]
    assert (ended.resolution, ended.changed_by) == ("enabled", "ada")


async def test_a_storm_of_410_opens_one_alert(opened: Opened) -> None:
    # Red when attempts that end after the hook was disabled open another one.
    hook = await make_hook(opened.store)
    await emit(opened.store, 6)
    claims = await opened.store.claim(HookId(hook.id), 6)
    for start in (0, 2, 4):
        some = claims[start : start + 2]
        await opened.store.record([result_of(claim, opened.clock, 410) for claim in some])
    await check_alerts(opened)
    assert [alert.type for alert in await alerts(opened)] == ["hook.disabled"]


@pytest.mark.parametrize(
    ("changed", "resolution"),
    [({"active": False}, "disabled"), ({"url": "http://127.0.0.3:9/in"}, "changed")],
)
async def test_an_edit_ends_the_alert_that_a_hook_is_failing(
    opened: Opened, changed: Mapping[str, object], resolution: str
) -> None:
    await alert_hook(opened)
    hook = await failing_hook(opened)
    await edit(opened, hook, name="another name")
    assert [alert.state for alert in await alerts(opened)] == ["open"]
    await edit(opened, hook, **changed)
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution) == ("resolved", resolution)
    assert await types(opened) == ["hook.failing", "alert.closed"]
    assert not opened.store.hooks()[HookId(hook.id)].failing


async def test_a_deleted_hook_leaves_no_alert(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await failing_hook(opened)
    await answer(opened, hook, [404], schedule_s=())
    await opened.store.write(changes.delete_hook, ADA, None, HookId(hook.id))
    found = await alerts(opened)
    assert {(alert.type, alert.state, alert.resolution) for alert in found} == {
        ("hook.failing", "resolved", "deleted"), ("delivery.gave_up", "resolved", "deleted"),
    }  # fmt: skip
    assert (await types(opened))[-2:] == ["alert.closed", "alert.closed"]


async def test_an_alert_hook_that_is_deleted_gets_nothing_more(opened: Opened) -> None:
    # Red when a change matches with the hooks of the last commit only.
    ops, other = await alert_hook(opened), await alert_hook(opened)
    hook = await failing_hook(opened)
    before = len(await deliveries(opened.store, hook=HookId(ops.id)))
    await asyncio.gather(  # in one transaction, on SQLite
        opened.store.write(changes.delete_hook, ADA, None, HookId(ops.id)),
        opened.store.write(changes.delete_hook, ADA, None, HookId(hook.id)),
    )
    assert len(await deliveries(opened.store, hook=HookId(ops.id))) == before
    assert len(await deliveries(opened.store, hook=HookId(other.id))) == 2


async def test_without_a_subscriber_there_is_no_event(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await answer(opened, hook, [200])
    (alert,) = await alerts(opened)
    assert (alert.state, alert.hooks_notified, alert.announced_at) == ("resolved", 0, None)
    await alert_hook(opened)
    await check_alerts(opened)
    assert await announced(opened) == []


async def test_an_end_without_its_opening_is_not_announced(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await alert_hook(opened)
    await answer(opened, hook, [200])
    assert await announced(opened) == []


async def test_an_open_alert_is_announced_to_a_hook_that_subscribes_later(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await check_alerts(opened)
    await alert_hook(opened)
    await check_alerts(opened, times=2)
    await answer(opened, hook, [200])
    assert await types(opened) == ["hook.failing", "hook.recovered"]


async def test_an_alert_is_not_sent_to_its_own_hook(opened: Opened) -> None:
    # Red without the skip: an alert hook that fails would get the alert about itself.
    ops = await alert_hook(opened, events=("hooktui", "job"))
    other = await alert_hook(opened)
    await fail(opened, ops, times=4, every_s=30)
    ((_, body),) = await announced(opened)
    assert body["alert"]["alert_path"] is True
    (sent,) = [
        one for one in await deliveries(opened.store) if one.event_type.startswith("hooktui.")
    ]
    assert sent.hook == other.id
    event = await opened.store.read(queries.get_event, DEFAULT, decode("evt", sent.event), 10)
    assert [(skip.hook, skip.reason) for skip in event.skips] == [(ops.id, "self")]


async def test_two_alert_hooks_that_both_fail_do_not_feed_each_other(opened: Opened) -> None:
    # Red when dead letters of operator events open alerts, or without the quiet time.
    first, second = await alert_hook(opened, name="a"), await alert_hook(opened, name="b")
    hook = await failing_hook(opened, name="c")
    for _ in range(60):
        for ops in (first, second):
            for claim in await opened.store.claim(HookId(ops.id), 100):
                failed = result_of(claim, opened.clock, 500, schedule_s=())
                await opened.store.record([failed])
        opened.clock.advance(30)
        await check_alerts(opened)
    kinds = {alert.type for alert in await alerts(opened)} - {"queue.behind"}
    assert kinds == {"hook.failing"}
    assert (await types(opened)).count("hook.failing") <= 3
    assert len(await announced(opened)) <= 4
    path = await opened.store.read(queries.alert_path, DEFAULT, opened.store.alert_hooks())
    assert path.state == "failing"
    assert [one.hook for one in path.hooks] == [first.id, second.id]
    assert hook.id not in [one.hook for one in path.hooks]


async def test_many_hooks_that_fail_at_once_are_announced_in_turn(opened: Opened) -> None:
    # Red without the limit of twenty a minute.
    await alert_hook(opened)
    hooks = [await make_hook(opened.store, name=f"n{n}") for n in range(30)]
    await emit(opened.store, 4)
    claims = [await opened.store.claim(HookId(hook.id), 4) for hook in hooks]
    for place in range(4):
        await opened.store.record(
            [result_of(of_hook[place], opened.clock, 500) for of_hook in claims]
        )
        opened.clock.advance(21)
    assert [alert.state for alert in await alerts(opened)] == ["open"] * 30
    assert len(await announced(opened)) == 20
    await check_alerts(opened)
    assert len(await announced(opened)) == 20
    opened.clock.advance(61)
    await check_alerts(opened)
    assert len(await announced(opened)) == 30


async def test_the_limit_of_a_minute_ignores_what_a_clock_that_was_set_back_left_behind(
    opened: Opened,
) -> None:
    # Red without the upper bound; with "now" as the bound two servers have a limit each, as the
    # time of a transaction is that of its begin.
    await alert_hook(opened)
    hooks = await make_hooks(opened.store, 21)
    await emit(opened.store)
    claims = [claim for hook in hooks for claim in await opened.store.claim(hook, 1)]
    results = [result_of(claim, opened.clock, 404, schedule_s=()) for claim in claims]
    await opened.store.record(results[:20])
    assert len(await announced(opened)) == 20
    opened.clock.advance(-5)
    await opened.store.record(results[20:])
    await check_alerts(opened)
    assert (len(await alerts(opened)), len(await announced(opened))) == (21, 20)
    opened.clock.advance(-3 * 3600)
    await check_alerts(opened)
    assert len(await announced(opened)) == 21


@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=pytest.mark.soak)])
async def test_many_hooks_that_fail_at_once_open_an_alert_each(opened: Opened, count: int) -> None:
    # Red without the limit of twenty a minute.
    await alert_hook(opened)
    await make_hooks(opened.store, count)
    await opened.store.write(changes.pause, ADA)  # so that the queue is not behind
    _, claims = await opened.store.accept([offer()] * 3, always)
    by_event = defaultdict(list)
    for claim in claims:
        by_event[claim.event].append(claim)
    assert [len(some) for some in by_event.values()] == [count] * 3
    for some in by_event.values():
        await opened.store.record([result_of(claim, opened.clock, 500) for claim in some])
        opened.clock.advance(31)
    assert await count_events(opened, ALERT.c.state == "open") == (count, 20)
    await check_alerts(opened)
    assert await count_events(opened) == (count, 20)
    for minute in (2, 3):
        opened.clock.advance(61)
        await check_alerts(opened)
        assert await count_events(opened) == (count, 20 * minute)
    told = [body["alert"]["key"] for _, body in await announced(opened)]
    assert len(set(told)) == len(told)


async def count_events(opened: Opened, *which: ColumnElement[bool]) -> tuple[int, int]:
    """Return the number of alerts, and of the events of the server itself."""
    alerts = select(func.count()).select_from(ALERT).where(*which)
    events = select(func.count()).where(EVENT.c.type.like("hooktui.%"))
    return await opened.store.read(
        lambda conn: (conn.execute(alerts).scalar_one(), conn.execute(events).scalar_one())
    )


async def test_acknowledging_and_snoozing(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await failing_hook(opened)
    (alert,) = await alerts(opened)
    number = decode("alr", alert.id)
    seen = await opened.store.write(changes.acknowledge_alert, BOB, DEFAULT, number)
    assert (seen.state, seen.changed_by) == ("acknowledged", "bob")
    await opened.store.write(changes.pause, ADA)  # so that the queue is not behind
    opened.clock.advance(QUIET)
    await check_alerts(opened)
    assert await types(opened) == ["hook.failing"]
    seen = await opened.store.write(changes.snooze_alert, BOB, DEFAULT, number, 90)
    assert seen.state == "snoozed"
    assert seen.snoozed_until is not None
    opened.clock.advance(89)
    await check_alerts(opened)
    assert (await alerts(opened))[0].state == "snoozed"
    opened.clock.advance(1)
    await check_alerts(opened)
    assert (await alerts(opened))[0].state == "open"
    assert await types(opened) == ["hook.failing", "hook.failing"]
    await opened.store.write(changes.resume, ADA)
    await answer(opened, hook, [200])
    assert await types(opened) == ["hook.failing", "hook.failing", "hook.recovered"]
    with pytest.raises(Conflict):
        await opened.store.write(changes.acknowledge_alert, BOB, DEFAULT, number)
    with pytest.raises(NotFound):
        await opened.store.write(changes.acknowledge_alert, BOB, DEFAULT, 77)


# Red when it lasts until then, which with PostgreSQL may be years.
async def test_a_snooze_that_began_by_a_clock_far_ahead_ends(opened: Opened) -> None:
    await failing_hook(opened)
    (alert,) = await alerts(opened)
    await opened.store.write(changes.pause, ADA)
    opened.clock.jump(400 * 86_400)
    number = decode("alr", alert.id)
    await opened.store.write(changes.snooze_alert, BOB, DEFAULT, number, 30 * 86_400)
    await check_alerts(opened)
    assert (await alerts(opened))[0].state == "snoozed"
    opened.clock.jump(-400 * 86_400)
    await check_alerts(opened)
    assert (await alerts(opened))[0].state == "open"


async def test_a_restart_knows_which_hooks_are_failing(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await opened.again()
    assert opened.store.hooks()[HookId(hook.id)].failing
    await answer(opened, hook, [200])
    assert [alert.state for alert in await alerts(opened)] == ["resolved"]


async def test_alerts_are_in_the_change_feed(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await answer(opened, hook, [200])
    page = await opened.store.feed_tail(500, DEFAULT)
    found = [item for item in page.items if item.kind == "alert"]
    assert [item.change for item in found] == ["open", "resolved"]
    assert all(isinstance(item.object, Alert) for item in found)
    # Red when an alert that has ended is listed with the text of its end when it opened.
    opening, end = (item.object.summary for item in found)
    assert "is failing" in opening
    assert "is failing" not in end


async def test_filters_and_order_hold_for_announcements(opened: Opened) -> None:
    ops = await alert_hook(opened, filter="data.alert.type:hook.failing", ordered=True)
    await alert_hook(opened, filter="data.alert.type:disk.low")
    await failing_hook(opened, name="n")
    assert len(await deliveries(opened.store, hook=HookId(ops.id))) == 1
    (claim,) = await opened.store.claim(HookId(ops.id), 5)
    assert claim.event_type == "hooktui.hook.failing"


async def test_other_accounts_get_no_alert(opened: Opened) -> None:
    eve = await opened.store.write(changes.create_account, ADA, "eve")
    await make_hook(opened.store, account=eve.id, events=("hooktui",))
    await failing_hook(opened)
    assert await announced(opened) == []
    page = await opened.store.read(queries.list_alerts, eve.id, PageRequest(), queries.AlertQuery())
    assert page.data == []


async def test_a_transaction_that_is_rolled_back_announces_nothing(
    opened: Opened, disarmed: None
) -> None:
    # Red when an alert or its event is written in another transaction than the results.
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await fail(opened, hook, times=2, every_s=30)
    await emit(opened.store)
    claims = await opened.store.claim(HookId(hook.id), 1)
    results = [result_of(claim, opened.clock, 500) for claim in claims]
    failpoints.arm("before_record_commit:error")
    with pytest.raises(Exception, match=r"before_record_commit|failed"):
        await opened.store.record(results)
    assert (await alerts(opened), await announced(opened)) == ([], [])
    assert not opened.store.hooks()[HookId(hook.id)].failing
    await opened.store.record(results)
    assert len(await alerts(opened)) == len(await announced(opened)) == 1
    await opened.store.record(results)  # a caller that does not know whether it was stored
    assert len(await alerts(opened)) == len(await announced(opened)) == 1


CANARY = "s3cr3t-canary"


async def test_no_secret_of_a_hook_is_in_an_alert(opened: Opened) -> None:
    # Red when a body or summary is built from the hook's URL or a response.
    await alert_hook(opened)
    hook = await make_hook(
        opened.store,
        url=f"http://127.0.0.2:9/{CANARY}?token={CANARY}",
        headers={"X-Key": CANARY},
    )
    await emit(opened.store, 6, body=json.dumps({"x": CANARY}).encode())
    for claim in await opened.store.claim(HookId(hook.id), 6):
        result = result_of(
            claim, opened.clock, 500, body=CANARY.encode(), error_detail=CANARY, schedule_s=()
        )
        await opened.store.record([result])
        opened.clock.advance(30)
    assert {alert.type for alert in await alerts(opened)} == {"hook.failing", "delivery.gave_up"}
    assert CANARY not in str(await announced(opened)) + str(await alerts(opened))
