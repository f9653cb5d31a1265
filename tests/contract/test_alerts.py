"""Alerts: opened, ended and announced by the transaction that decides."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import ColumnElement, func, select

from hooktui import failpoints
from hooktui.domain.alerts import AlertState, AlertType
from hooktui.domain.deliveries import DisabledReason
from hooktui.domain.errors import Conflict, DiskFull, NotFound
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import DeliveryId, HookId, decode
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.hooks import Hook
from hooktui.store import changes, queries
from hooktui.store.changes.alert_look import EXPIRING_EVERY, DiskSpace
from hooktui.store.contract import RetentionPeriods
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import ALERT, EVENT, HOOK_STATE
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

KEEP = RetentionPeriods()
QUIET = 600


async def fail(
    opened: Opened,
    hook: Hook,
    times: int = 1,
    every_s: float = 0,
    code: int = 503,
    schedule_s: Sequence[float] = (5, 5, 5, 5, 5, 5, 5, 5),
) -> None:
    """Send events to a hook that all fail, one after the other."""
    await answer(opened, hook, [code] * times, every_s, schedule_s)


async def answer(
    opened: Opened,
    hook: Hook,
    codes: Sequence[int],
    every_s: float = 0,
    schedule_s: Sequence[float] = (5,) * 8,
) -> None:
    for code in codes:
        await emit(opened.store)
        claims = await opened.store.claim(HookId(hook.id), 1)
        results = [result_of(one, opened.clock, code, schedule_s=schedule_s) for one in claims]
        assert results
        await opened.store.record(results)
        opened.clock.advance(every_s)


async def alerts(opened: Opened, **wanted: Any) -> list[Alert]:
    """All alerts, oldest first."""
    found: list[Alert] = []
    for state in AlertState:
        query = queries.AlertQuery(state=state, **wanted)
        page = await opened.store.read(queries.list_alerts, DEFAULT, PageRequest(limit=500), query)
        found += page.data
    return sorted(found, key=lambda alert: alert.id)


async def announced(opened: Opened) -> list[tuple[str, dict[str, Any]]]:
    """The events of the server itself, oldest first: type and body."""
    rows = select(EVENT.c.type, EVENT.c.body).where(EVENT.c.type.like("hooktui.%"))
    found = await opened.store.read(lambda conn: conn.execute(rows.order_by(EVENT.c.id)).all())
    return [(kind, json.loads(body)) for kind, body in found]


async def types(opened: Opened) -> list[str]:
    return [kind.removeprefix("hooktui.") for kind, _ in await announced(opened)]


async def look(opened: Opened, times: int = 1) -> None:
    for _ in range(times):
        await opened.store.look_at_alerts(KEEP)


async def deliver_all(opened: Opened) -> None:
    """Deliver everything that is due, so that no queue is behind."""
    for hook in list(opened.store.hooks()):
        while claims := await opened.store.claim(hook, 100):
            results = [result_of(claim, opened.clock) for claim in claims]
            await opened.store.record(results)


async def edit(opened: Opened, hook: Hook, **changed: object) -> Hook:
    def change(before: HookSettings) -> HookSettings:
        return replace(before, **changed)

    return await opened.store.write(changes.change_hook, ADA, None, HookId(hook.id), change)


async def alert_hook(opened: Opened, **changed: object) -> Hook:
    return await make_hook(opened.store, **({"events": ("hooktui",), "name": "ops"} | changed))


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


async def failing_hook(opened: Opened, **changed: object) -> Hook:
    """A hook with an open alert; the last failure is now."""
    hook = await make_hook(opened.store, **changed)
    await fail(opened, hook, times=4, every_s=30)
    (alert,) = await alerts(opened, hook=HookId(hook.id))
    assert alert.state == "open"
    return hook


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
    await look(opened)
    assert await types(opened) == ["hook.failing", "hook.recovered", "hook.failing"]
    await look(opened)
    assert [kind for kind in await types(opened) if kind.startswith("hook.")] == [
        "hook.failing", "hook.recovered", "hook.failing",
    ]  # fmt: skip


async def test_pings_and_interruptions_do_not_count(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    for _ in range(5):
        claim = await opened.store.claim_ping(HookId(hook.id), b"{}")
        await opened.store.record([result_of(claim, opened.clock, 500)])
        opened.clock.advance(100)
    assert await alerts(opened) == []


async def test_a_dead_letter_opens_the_alert_of_its_group(opened: Opened) -> None:
    # Red when a superseded delivery, or a second dead letter, opens one.
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await answer(opened, hook, [404, 200], schedule_s=())
    (alert,) = await alerts(opened)
    assert (alert.type, alert.cause, alert.count) == ("delivery.gave_up", "http_404", 1)
    assert alert.key == f"delivery.gave_up:{hook.id}:http_404"
    await answer(opened, hook, [404, 200], schedule_s=())
    (alert,) = await alerts(opened)
    assert alert.count == 2
    ((kind, body),) = await announced(opened)
    assert kind == "hooktui.delivery.gave_up"
    assert set(body) == {
        "alert", "account", "summary", "hook", "cause", "code", "waiting", "example",
    }  # fmt: skip
    assert body["summary"] == f"hook {hook.id} (n): 1 delivery given up, http_404"


async def dead_letters(opened: Opened, hook: Hook, codes: Sequence[int]) -> None:
    """Give up deliveries, each followed by a success, so that the hook is not failing."""
    for code in codes:
        await answer(opened, hook, [code, 200], schedule_s=())


async def test_a_superseded_delivery_opens_nothing(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    (first,) = await opened.store.claim(HookId(hook.id), 1)
    await opened.store.record([result_of(first, opened.clock, 404)])
    await opened.store.write(changes.resend, ADA, None, first.delivery)  # due now
    (again,) = await opened.store.claim(HookId(hook.id), 1)
    assert again.delivery == first.delivery
    results = [result_of(again, opened.clock, 404, schedule_s=())]
    await opened.store.record(results)
    (of_group,) = await alerts(opened, type=AlertType.GAVE_UP)
    assert of_group.state == "open"
    await opened.store.write(changes.resend, ADA, None, first.delivery)
    await look(opened)
    (of_group,) = await alerts(opened, type=AlertType.GAVE_UP)
    assert (of_group.state, of_group.resolution) == ("resolved", "cleared")


async def test_a_group_that_was_delivered_is_cleared(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    await look(opened)
    assert await types(opened) == ["delivery.gave_up"]
    dead = (await deliveries(opened.store, hook=HookId(hook.id)))[0]
    opened.clock.advance(10)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", dead.id)))
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    await opened.store.record([result_of(claim, opened.clock, 200)])
    await look(opened)
    assert await types(opened) == ["delivery.gave_up", "delivery.cleared"]
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution) == ("resolved", "delivered")


async def give_up(opened: Opened, hook: Hook, cause: str) -> None:
    identity = HookId(hook.id)
    await opened.store.write(changes.give_up, BOB, None, identity, cause, opened.clock.ms)


async def test_a_group_that_was_given_up_is_cleared_at_once(opened: Opened) -> None:
    # Red when the look decides: any later success of the hook would make it "delivered".
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await dead_letters(opened, hook, [404, 404, 400])
    opened.clock.advance(10)
    await answer(opened, hook, [200])
    await give_up(opened, hook, "http_404")
    states = {alert.cause: alert for alert in await alerts(opened)}
    ended = states["http_404"]
    assert (ended.state, ended.resolution, ended.changed_by) == ("resolved", "cleared", "bob")
    assert ended.summary == f"hook {hook.id} (n): no delivery with http_404 is left"
    assert states["http_400"].state == "open"
    assert (await types(opened))[-1] == "delivery.cleared"


async def test_a_group_that_was_cancelled_is_cleared_at_once(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    identity = HookId(hook.id)
    await fail(opened, hook, times=3)
    await opened.store.write(changes.acknowledge_group, BOB, None, identity, "http_5xx")
    await answer(opened, hook, [200])
    *some, last = [one for one in await deliveries(opened.store) if one.status == "pending"]
    ids = [decode("dlv", one.id) for one in some]
    await opened.store.write(changes.cancel_some, BOB, ids)
    assert [alert.state for alert in await alerts(opened)] == ["acknowledged"]
    await opened.store.write(changes.cancel, BOB, None, DeliveryId(decode("dlv", last.id)))
    (ended,) = await alerts(opened)
    assert (ended.state, ended.resolution, ended.changed_by) == ("resolved", "cleared", "bob")


async def test_groups_of_a_disabled_hook_that_were_given_up_are_cleared(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 2)
    await edit(opened, hook, active=False)
    await emit(opened.store, 3)
    for cause in ("held", "skipped"):
        await opened.store.write(changes.acknowledge_group, BOB, None, HookId(hook.id), cause)
        await give_up(opened, hook, cause)
    ended = {alert.cause: alert.resolution for alert in await alerts(opened)}
    assert ended == {"held": "cleared", "skipped": "cleared"}


async def test_growth_is_announced_by_the_look(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404] * 10)
    await look(opened)
    assert len(await announced(opened)) == 1
    opened.clock.advance(QUIET)
    await deliver_all(opened)
    await look(opened, times=2)
    assert [body["alert"]["count"] for _, body in await announced(opened)] == [1, 10]


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
    await look(opened)
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
    await look(opened)
    assert await announced(opened) == []


async def test_an_end_without_its_opening_is_not_announced(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await alert_hook(opened)
    await answer(opened, hook, [200])
    assert await announced(opened) == []


async def test_an_open_alert_is_announced_to_a_hook_that_subscribes_later(opened: Opened) -> None:
    hook = await failing_hook(opened)
    await look(opened)
    await alert_hook(opened)
    await look(opened, times=2)
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
        await look(opened)
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
    await look(opened)
    assert len(await announced(opened)) == 20
    opened.clock.advance(61)
    await look(opened)
    assert len(await announced(opened)) == 30


async def test_a_thousand_hooks_that_fail_at_once_open_an_alert_each(opened: Opened) -> None:
    # Red without the limit of twenty a minute.
    await alert_hook(opened)
    await make_hooks(opened.store, 1000)
    await opened.store.write(changes.pause, ADA)  # so that the queue is not behind
    _, claims = await opened.store.accept([offer()] * 3, always)
    by_event = defaultdict(list)
    for claim in claims:
        by_event[claim.event].append(claim)
    assert [len(some) for some in by_event.values()] == [1000] * 3
    for some in by_event.values():
        await opened.store.record([result_of(claim, opened.clock, 500) for claim in some])
        opened.clock.advance(31)
    assert await count_events(opened, ALERT.c.state == "open") == (1000, 20)
    await look(opened)
    assert await count_events(opened) == (1000, 20)
    for minute in (2, 3):
        opened.clock.advance(61)
        await look(opened)
        assert await count_events(opened) == (1000, 20 * minute)
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
    await look(opened)
    assert await types(opened) == ["hook.failing"]
    seen = await opened.store.write(changes.snooze_alert, BOB, DEFAULT, number, 90)
    assert seen.state == "snoozed"
    assert seen.snoozed_until is not None
    opened.clock.advance(89)
    await look(opened)
    assert (await alerts(opened))[0].state == "snoozed"
    opened.clock.advance(1)
    await look(opened)
    assert (await alerts(opened))[0].state == "open"
    assert await types(opened) == ["hook.failing", "hook.failing"]
    await opened.store.write(changes.resume, ADA)
    await answer(opened, hook, [200])
    assert await types(opened) == ["hook.failing", "hook.failing", "hook.recovered"]
    with pytest.raises(Conflict):
        await opened.store.write(changes.acknowledge_alert, BOB, DEFAULT, number)
    with pytest.raises(NotFound):
        await opened.store.write(changes.acknowledge_alert, BOB, DEFAULT, 77)


async def test_acknowledging_a_group_covers_the_alerts_of_its_hook(opened: Opened) -> None:
    # Red when only the group's alert changes, when none is created, or when an alert of the hook
    # that is acknowledged or snoozed already is overwritten.
    hook = await failing_hook(opened)
    group = await opened.store.write(
        changes.acknowledge_group, BOB, None, HookId(hook.id), "http_5xx"
    )
    assert (group.state, group.state_by, group.count, group.retrying, group.alerts) == (
        "acknowledged", "bob", 4, 4, 2,
    )  # fmt: skip
    states = {alert.type: alert.state for alert in await alerts(opened)}
    assert states == {"hook.failing": "acknowledged", "delivery.gave_up": "acknowledged"}
    group = await opened.store.write(
        changes.snooze_group, BOB, None, HookId(hook.id), "http_5xx", 3600
    )
    assert (group.state, group.alerts) == ("snoozed", 1)
    assert group.state_until is not None
    states = {alert.type: alert.state for alert in await alerts(opened)}
    assert states == {"hook.failing": "acknowledged", "delivery.gave_up": "snoozed"}
    with pytest.raises(NotFound):
        await opened.store.write(changes.acknowledge_group, BOB, None, HookId(hook.id), "dns")
    entries = await opened.store.read(
        queries.list_audit, queries.AuditQuery(account=DEFAULT), PageRequest()
    )
    assert [entry.action for entry in entries.data[:3]] == [
        "alert.snooze", "alert.acknowledge", "alert.acknowledge",
    ]  # fmt: skip


async def test_the_alert_of_an_acknowledged_group_has_its_count_and_words(opened: Opened) -> None:
    # Red when it counts dead letters only: "0 deliveries given up, held" goes to the pager.
    hook = await make_hook(opened.store, name="n")
    await fail(opened, hook, times=2)
    await answer(opened, hook, [200])
    await emit(opened.store)
    await edit(opened, hook, active=False)
    await emit(opened.store, 3)
    for cause in ("http_5xx", "held", "skipped"):
        await opened.store.write(changes.snooze_group, BOB, None, HookId(hook.id), cause, 60)
    about = f"hook {hook.id} (n): "
    assert {alert.summary.removeprefix(about): alert.count for alert in await alerts(opened)} == {
        "2 deliveries retrying, http_5xx": 2, "1 held delivery": 1, "3 skipped events": 3,
    }  # fmt: skip
    await alert_hook(opened)
    opened.clock.advance(61)
    await look(opened)
    bodies = [body for _, body in await announced(opened)]
    assert {body["summary"].removeprefix(about) for body in bodies} == {
        "2 deliveries retrying, http_5xx", "1 held delivery", "3 skipped events",
    }  # fmt: skip
    assert all("reason" not in body for body in bodies)


async def test_retries_of_an_acknowledged_group_that_give_up_count_once(opened: Opened) -> None:
    # Red when dead letters are added to the retries that they were.
    hook = await make_hook(opened.store, name="n")
    await fail(opened, hook, times=2)
    await opened.store.write(changes.acknowledge_group, BOB, None, HookId(hook.id), "http_5xx")
    opened.clock.advance(5)
    for claim in await opened.store.claim(HookId(hook.id), 2):
        await opened.store.record([result_of(claim, opened.clock, 503, schedule_s=())])
    (alert,) = await alerts(opened, type=AlertType.GAVE_UP)
    assert (alert.state, alert.count) == ("acknowledged", 2)
    assert alert.summary == f"hook {hook.id} (n): 2 deliveries given up, http_5xx"


async def test_groups_of_a_disabled_hook(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store, 2)
    await edit(opened, hook, active=False)
    await emit(opened.store, 3)
    identity = HookId(hook.id)
    held = await opened.store.write(changes.acknowledge_group, BOB, None, identity, "held")
    assert (held.count, held.waits_for, held.state) == (2, "disabled", "acknowledged")
    skipped = await opened.store.write(changes.acknowledge_group, BOB, None, identity, "skipped")
    assert (skipped.count, skipped.example, skipped.gave_up) == (3, None, 0)
    await look(opened)
    assert {alert.state for alert in await alerts(opened)} == {"acknowledged"}
    await edit(opened, hook, active=True)
    await look(opened)
    states = {alert.cause: alert.state for alert in await alerts(opened)}
    assert states == {"held": "resolved", "skipped": "acknowledged"}


async def test_a_pause_between_two_looks_keeps_no_queue_behind(opened: Opened) -> None:
    # Red when the look before the pause counts: all was late because nothing was sent.
    await make_hook(opened.store)
    await emit(opened.store)
    opened.clock.advance(301)
    await look(opened)
    await opened.store.write(changes.pause, ADA)
    await look(opened)
    await opened.store.write(changes.resume, ADA)
    await look(opened)
    assert await alerts(opened) == []
    await look(opened)
    assert [alert.key for alert in await alerts(opened)] == ["queue.behind:1"]
    await deliver_all(opened)
    await look(opened)
    await opened.store.write(changes.pause, ADA)
    await look(opened)
    await opened.store.write(changes.resume, ADA)
    await look(opened)
    assert [alert.state for alert in await alerts(opened)] == ["open"]


@pytest.fixture
def disk(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how much is free, as a multiple of the reserve."""

    def free(reserves: float) -> None:
        space = DiskSpace(free=round(reserves * 1000), total=90_000, reserve=1000)
        monkeypatch.setattr(opened.store, "_disk_space", lambda: space)

    return free


async def test_a_disk_is_low_below_four_reserves_and_has_space_above_six(
    opened: Opened, disk: Callable[[float], None]
) -> None:
    # Red when a bound moves, when both are one, or when the end names the space of the opening.
    await alert_hook(opened)
    for reserves in (90, 4):
        disk(reserves)
        await look(opened)
    assert await alerts(opened) == []
    disk(3.999)
    await look(opened, times=2)
    (alert,) = await alerts(opened)
    assert (alert.key, alert.state, alert.account) == ("disk.low", "open", 1)
    for reserves in (4.5, 6):
        disk(reserves)
        await look(opened)
    assert [alert.state for alert in await alerts(opened)] == ["open"]
    disk(6.001)
    await look(opened)
    assert [alert.resolution for alert in await alerts(opened)] == ["recovered"]
    (_, opening), (_, end) = await announced(opened)
    assert await types(opened) == ["disk.low", "disk.recovered"]
    assert opening["disk"] == {"free": 3999, "total": 90_000, "reserve": 1000}
    assert opening["summary"] == "the disk is nearly full: 4.0 kB are free"
    assert end["summary"] == "the disk has space again"


async def test_a_queue_is_behind_when_two_looks_find_it(opened: Opened) -> None:
    # Red when one look is enough, or a paused engine counts.
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await emit(opened.store, 2)
    opened.clock.advance(301)
    await opened.store.write(changes.pause, ADA)
    await look(opened, times=3)
    await opened.store.write(changes.resume, ADA)
    await look(opened)
    assert await alerts(opened) == []
    await look(opened)
    (alert,) = await alerts(opened)
    assert (alert.key, alert.state) == ("queue.behind:1", "open")
    ((_, body),) = await announced(opened)
    assert (body["waiting"], body["late_s"]) == (2, 301)
    assert body["hooks"] == [{"id": hook.id, "name": "n", "waiting": 2}]
    claims = await opened.store.claim(HookId(hook.id), 2)
    await opened.store.record([result_of(claim, opened.clock) for claim in claims])
    ops = next(iter(opened.store.alert_hooks()))
    await opened.store.record(
        [result_of(claim, opened.clock) for claim in await opened.store.claim(ops, 5)]
    )
    await look(opened)
    assert (await alerts(opened))[0].state == "open"
    await look(opened)
    assert (await alerts(opened))[0].resolution == "recovered"
    assert await types(opened) == ["queue.behind", "queue.caught_up"]


async def test_a_success_that_another_server_saw_ends_the_alert_at_a_look(opened: Opened) -> None:
    hook = await failing_hook(opened)

    def reset(tx: changes.Tx) -> None:
        tx.conn.execute(HOOK_STATE.update().values(failed_since_success=0))

    await opened.store.write(reset)
    await look(opened)
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution) == ("resolved", "delivered")
    assert not opened.store.hooks()[HookId(hook.id)].failing


async def test_dead_letters_that_expire_are_announced(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await dead_letters(opened, hook, [404, 404])
    await deliver_all(opened)
    opened.clock.advance(26 * 86_400)
    await opened.again()
    await look(opened)
    assert [alert.type for alert in await alerts(opened)] == ["delivery.gave_up"]
    opened.clock.advance(2 * 86_400)
    await opened.again()
    await look(opened)
    expiring = (await alerts(opened))[-1]
    assert (expiring.type, expiring.count, expiring.cause) == (
        "undelivered.expiring", 2, "http_404",
    )  # fmt: skip
    kind, body = (await announced(opened))[-1]
    assert (kind, body["alert"]["type"]) == ("hooktui.delivery.gave_up", "undelivered.expiring")
    await deliver_all(opened)
    opened.clock.advance(3 * 86_400)
    await opened.store.purge(opened.clock.ms - 30 * 86_400_000, within_s=30)
    await look(opened)
    ended = {alert.type: (alert.resolution, alert.count) for alert in await alerts(opened)}
    assert ended == {
        "delivery.gave_up": ("expired", 2), "undelivered.expiring": ("expired", 2),
    }  # fmt: skip
    assert not opened.store.expired, "an operator deleted them"


DAY_S = 86_400


async def expire(opened: Opened) -> None:
    """Let retention delete what is older than 30 days, then search for what expires soon."""
    await deliver_all(opened)
    await opened.store.purge(opened.clock.ms - 30 * DAY_S * 1000, within_s=30)
    await look(opened, times=EXPIRING_EVERY)


async def test_dead_letters_that_expire_while_younger_ones_remain_are_no_success(
    opened: Opened,
) -> None:
    # Red when an alert of letters that are gone ends as cleared unless the group is empty.
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await dead_letters(opened, hook, [404])
    opened.clock.advance(9 * DAY_S)
    await dead_letters(opened, hook, [404, 404])
    opened.clock.advance(19 * DAY_S)
    await expire(opened)
    (opening,) = await alerts(opened, type=AlertType.EXPIRING)
    assert (opening.state, opening.count) == ("open", 1)
    opened.clock.advance(3 * DAY_S)
    await expire(opened)
    (ended,) = await alerts(opened, type=AlertType.EXPIRING)
    assert (ended.id, ended.resolution, ended.count) == (opening.id, "expired", 1)
    assert ended.summary == f"hook {hook.id} (n): 1 delivery expired, http_404"
    (of_group,) = await alerts(opened, type=AlertType.GAVE_UP)
    assert (of_group.state, of_group.count) == ("open", 3)
    assert (await announced(opened))[-1][0] == "hooktui.delivery.cleared"


async def test_dead_letters_that_no_longer_expire_leave_younger_ones(opened: Opened) -> None:
    # Red when the end says that no delivery of the group is left.
    hook = await make_hook(opened.store, name="n")
    await dead_letters(opened, hook, [404])
    opened.clock.advance(9 * DAY_S)
    await dead_letters(opened, hook, [404])
    oldest = (await deliveries(opened.store, hook=HookId(hook.id)))[0]
    opened.clock.advance(19 * DAY_S)
    await expire(opened)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", oldest.id)))
    await expire(opened)
    (ended,) = await alerts(opened, type=AlertType.EXPIRING)
    assert ended.resolution == "cleared"
    assert ended.summary == (
        f"hook {hook.id} (n): no delivery with http_404 expires within three days"
    )


async def test_the_alerts_of_a_group_count_all_deletions(opened: Opened) -> None:
    # Red when each look forgets what was deleted before it, or when a restart does.
    hook = await make_hook(opened.store, name="n")
    for _ in range(3):
        await dead_letters(opened, hook, [404])
        opened.clock.advance(DAY_S)
    opened.clock.advance(25 * DAY_S)
    await expire(opened)
    opened.clock.advance(DAY_S + 60)
    for _ in range(3):
        opened.clock.advance(DAY_S)
        await deliver_all(opened)
        await opened.store.purge(opened.clock.ms - 30 * DAY_S * 1000, within_s=30)
        await opened.again()
        await look(opened)
    ended = {alert.type: (alert.resolution, alert.count) for alert in await alerts(opened)}
    assert ended == {
        "delivery.gave_up": ("expired", 3), "undelivered.expiring": ("expired", 3),
    }  # fmt: skip
    await dead_letters(opened, hook, [404])
    (dead,) = [one for one in await deliveries(opened.store) if one.cause]
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", dead.id)))
    await look(opened)
    (of_group,) = await alerts(opened, type=AlertType.GAVE_UP)
    assert (of_group.resolution, of_group.count) == ("delivered", 1), "it opened again"


async def test_an_alert_of_dead_letters_that_expire_grows(opened: Opened) -> None:
    # Red when only the first search counts: a steady loss is announced once.
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await dead_letters(opened, hook, [404])
    opened.clock.advance(DAY_S)
    await dead_letters(opened, hook, [404] * 9)
    opened.clock.advance(26 * DAY_S + 60)
    await expire(opened)
    opened.clock.advance(DAY_S)
    await expire(opened)
    (alert,) = await alerts(opened, type=AlertType.EXPIRING)
    assert (alert.state, alert.count) == ("open", 10)
    bodies = [body["alert"] for _, body in await announced(opened)]
    counts = [body["count"] for body in bodies if body["type"] == "undelivered.expiring"]
    assert counts == [1, 10]
    opened.clock.advance(2 * DAY_S)
    await expire(opened)
    (alert,) = await alerts(opened, type=AlertType.EXPIRING)
    assert (alert.state, alert.count) == ("open", 10), "9 of 10 are left"
    assert alert.summary == (
        f"hook {hook.id} (n): retention deletes 10 deliveries with http_404 within three days;"
        " 1 already deleted"
    )


async def test_a_look_that_cannot_be_stored_is_repeated(opened: Opened, monkeypatch) -> None:
    # Red when the first look forgets that the dead letters expired.
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    opened.clock.advance(1)
    await opened.store.purge(opened.clock.ms, within_s=30)

    async def write(*_: object) -> None:
        raise DiskFull("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(opened.store, "write", write)
        with pytest.raises(DiskFull):
            await look(opened)
    await look(opened)
    (ended,) = await alerts(opened)
    assert (ended.resolution, ended.count) == ("expired", 1)


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


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


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


async def test_a_look_that_is_rolled_back_is_repeated(opened: Opened, disarmed: None) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404] * 10)
    opened.clock.advance(QUIET)
    await deliver_all(opened)
    failpoints.arm("before_alert_look_commit:error")
    with pytest.raises(Exception, match=r"before_alert_look_commit|failed"):
        await look(opened)
    assert len(await announced(opened)) == 1
    await look(opened)
    assert [body["alert"]["count"] for _, body in await announced(opened)] == [1, 10]


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
