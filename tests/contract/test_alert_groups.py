"""Alerts of groups of undelivered events: dead letters, held and skipped ones."""

from __future__ import annotations

import pytest

from hooktui.domain.alerts import AlertType
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import DeliveryId, HookId, decode
from hooktui.store import changes, queries
from hooktui.store.queries.pages import PageRequest
from tests.contract.alert_steps import (
    QUIET,
    alert_hook,
    alerts,
    announced,
    answer,
    change_group,
    check_alerts,
    dead_letters,
    deliver_all,
    edit,
    fail,
    failing_hook,
    give_up,
    shown_group,
    types,
)
from tests.support.stores import ADA, BOB, DEFAULT, Opened, deliveries, emit, make_hook, result_of


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
    await check_alerts(opened)
    (of_group,) = await alerts(opened, type=AlertType.GAVE_UP)
    assert (of_group.state, of_group.resolution) == ("resolved", "cleared")


async def test_a_group_that_was_delivered_is_cleared(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    await check_alerts(opened)
    assert await types(opened) == ["delivery.gave_up"]
    dead = (await deliveries(opened.store, hook=HookId(hook.id)))[0]
    opened.clock.advance(10)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", dead.id)))
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    await opened.store.record([result_of(claim, opened.clock, 200)])
    await check_alerts(opened)
    assert await types(opened) == ["delivery.gave_up", "delivery.cleared"]
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution) == ("resolved", "delivered")


async def test_a_group_that_was_given_up_is_cleared_at_once(opened: Opened) -> None:
    # Red when the check decides: any later success of the hook would make it "delivered".
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
    await fail(opened, hook, times=3)
    await change_group(opened, changes.acknowledge_group, hook, "http_5xx")
    await answer(opened, hook, [200])
    *some, last = [one for one in await deliveries(opened.store) if one.status == "pending"]
    ids = [decode("dlv", one.id) for one in some]
    await opened.store.write(changes.cancel_some, BOB, DEFAULT, ids, None)
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
        await change_group(opened, changes.acknowledge_group, hook, cause)
        await give_up(opened, hook, cause)
    ended = {alert.cause: alert.resolution for alert in await alerts(opened)}
    assert ended == {"held": "cleared", "skipped": "cleared"}


async def test_growth_is_announced_by_the_check(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404] * 10)
    await check_alerts(opened)
    assert len(await announced(opened)) == 1
    opened.clock.advance(QUIET)
    await deliver_all(opened)
    await check_alerts(opened, times=2)
    assert [body["alert"]["count"] for _, body in await announced(opened)] == [1, 10]


async def test_acknowledging_a_group_covers_the_alerts_of_its_hook(opened: Opened) -> None:
    # Red when only the group's alert changes, when none is created, or when an alert of the hook
    # that is acknowledged or snoozed already is overwritten.
    hook = await failing_hook(opened)
    assert await change_group(opened, changes.acknowledge_group, hook, "http_5xx") == 2
    group = await shown_group(opened, hook, "http_5xx")
    assert (group.state, group.state_by, group.count, group.retrying) == (
        "acknowledged", "bob", 4, 4,
    )  # fmt: skip
    states = {alert.type: alert.state for alert in await alerts(opened)}
    assert states == {"hook.failing": "acknowledged", "delivery.gave_up": "acknowledged"}
    assert await change_group(opened, changes.snooze_group, hook, "http_5xx", 3600) == 1
    group = await shown_group(opened, hook, "http_5xx")
    assert group.state == "snoozed"
    assert group.state_until is not None
    states = {alert.type: alert.state for alert in await alerts(opened)}
    assert states == {"hook.failing": "acknowledged", "delivery.gave_up": "snoozed"}
    with pytest.raises(NotFound):
        await change_group(opened, changes.acknowledge_group, hook, "dns")
    entries = await opened.store.read(
        queries.list_audit, DEFAULT, PageRequest(), queries.AuditQuery()
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
        await change_group(opened, changes.snooze_group, hook, cause, 60)
    about = f"hook {hook.id} (n): "
    assert {alert.summary.removeprefix(about): alert.count for alert in await alerts(opened)} == {
        "2 deliveries retrying, http_5xx": 2, "1 held delivery": 1, "3 skipped events": 3,
    }  # fmt: skip
    await alert_hook(opened)
    opened.clock.advance(61)
    await check_alerts(opened)
    bodies = [body for _, body in await announced(opened)]
    assert {body["summary"].removeprefix(about) for body in bodies} == {
        "2 deliveries retrying, http_5xx", "1 held delivery", "3 skipped events",
    }  # fmt: skip
    assert all("reason" not in body for body in bodies)


async def test_retries_of_an_acknowledged_group_that_give_up_count_once(opened: Opened) -> None:
    # Red when dead letters are added to the retries that they were.
    hook = await make_hook(opened.store, name="n")
    await fail(opened, hook, times=2)
    await change_group(opened, changes.acknowledge_group, hook, "http_5xx")
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
    await change_group(opened, changes.acknowledge_group, hook, "held")
    held = await shown_group(opened, hook, "held")
    assert (held.count, held.waits_for, held.state) == (2, "disabled", "acknowledged")
    await change_group(opened, changes.acknowledge_group, hook, "skipped")
    skipped = await shown_group(opened, hook, "skipped")
    assert (skipped.count, skipped.example, skipped.gave_up) == (3, None, 0)
    await check_alerts(opened)
    assert {alert.state for alert in await alerts(opened)} == {"acknowledged"}
    await edit(opened, hook, active=True)
    await check_alerts(opened)
    states = {alert.cause: alert.state for alert in await alerts(opened)}
    assert states == {"held": "resolved", "skipped": "acknowledged"}


async def test_the_alert_of_a_held_group_ends_while_others_are_retried(opened: Opened) -> None:
    # Red when deliveries that are retried keep it: snoozed, it opens again for an empty group.
    hook = await make_hook(opened.store)
    await answer(opened, hook, [503])
    await emit(opened.store)
    await edit(opened, hook, active=False)
    await change_group(opened, changes.acknowledge_group, hook, "held")
    await give_up(opened, hook, "held")
    (alert,) = await alerts(opened, key=f"delivery.gave_up:{hook.id}:held")
    assert (alert.state, alert.resolution) == ("resolved", "cleared")
