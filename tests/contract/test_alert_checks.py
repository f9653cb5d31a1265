"""Alerts that depend on time, which a check opens and ends: queues, disk, expiring events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from hooktui import failpoints
from hooktui.domain.alerts import AlertType
from hooktui.domain.errors import DiskFull
from hooktui.domain.ids import DeliveryId, HookId, decode
from hooktui.domain.wire.server import Disk
from hooktui.store import changes, queries
from hooktui.store.changes.alert_check import EXPIRING_EVERY
from hooktui.store.changes.alerts import apply_alert_check
from hooktui.store.tables import HOOK_STATE
from hooktui.store.tx import Tx
from tests.contract.alert_steps import (
    QUIET,
    alert_hook,
    alerts,
    announced,
    answer,
    check_alerts,
    dead_letters,
    deliver_all,
    fail,
    failing_hook,
    types,
)
from tests.support.stores import ADA, BOB, DEFAULT, Opened, deliveries, emit, make_hook, result_of


async def test_a_pause_between_two_checks_keeps_no_queue_behind(opened: Opened) -> None:
    # Red when the check before the pause counts: all was late because nothing was sent.
    await make_hook(opened.store)
    await emit(opened.store)
    opened.clock.advance(301)
    await check_alerts(opened)
    await opened.store.write(changes.pause, ADA)
    await check_alerts(opened)
    await opened.store.write(changes.resume, ADA)
    await check_alerts(opened)
    assert await alerts(opened) == []
    await check_alerts(opened)
    assert [alert.key for alert in await alerts(opened)] == ["queue.behind:1"]
    await deliver_all(opened)
    await check_alerts(opened)
    await opened.store.write(changes.pause, ADA)
    await check_alerts(opened)
    await opened.store.write(changes.resume, ADA)
    await check_alerts(opened)
    assert [alert.state for alert in await alerts(opened)] == ["open"]


@pytest.fixture
def disk(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how much is free, as a multiple of the reserve."""

    def free(reserves: float) -> None:
        space = Disk(free=round(reserves * 1000), total=90_000, reserve=1000)
        monkeypatch.setattr(opened.store, "disk_space", lambda: space)

    return free


async def test_a_disk_is_low_below_four_reserves_and_has_space_above_six(
    opened: Opened, disk: Callable[[float], None]
) -> None:
    # Red when a bound moves, when both are one, or when the end names the space of the opening.
    await alert_hook(opened)
    for reserves in (90, 4):
        disk(reserves)
        await check_alerts(opened)
    assert await alerts(opened) == []
    disk(3.999)
    await check_alerts(opened, times=2)
    (alert,) = await alerts(opened)
    assert (alert.key, alert.state, alert.account) == ("disk.low", "open", 1)
    for reserves in (4.5, 6):
        disk(reserves)
        await check_alerts(opened)
    assert [alert.state for alert in await alerts(opened)] == ["open"]
    disk(6.001)
    await check_alerts(opened)
    assert [alert.resolution for alert in await alerts(opened)] == ["recovered"]
    (_, opening), (_, end) = await announced(opened)
    assert await types(opened) == ["disk.low", "disk.recovered"]
    assert opening["disk"] == {"free": 3999, "total": 90_000, "reserve": 1000}
    assert opening["summary"] == "the disk is nearly full: 4.0 kB are free"
    assert end["summary"] == "the disk has space again"


async def test_a_queue_is_behind_when_two_checks_find_it(opened: Opened) -> None:
    # Red when one check is enough, or a paused engine counts.
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await emit(opened.store, 2)
    opened.clock.advance(301)
    await opened.store.write(changes.pause, ADA)
    await check_alerts(opened, times=3)
    await opened.store.write(changes.resume, ADA)
    await check_alerts(opened)
    assert await alerts(opened) == []
    await check_alerts(opened)
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
    await check_alerts(opened)
    assert (await alerts(opened))[0].state == "open"
    await check_alerts(opened)
    assert (await alerts(opened))[0].resolution == "recovered"
    assert await types(opened) == ["queue.behind", "queue.caught_up"]


async def test_a_success_that_another_server_saw_ends_the_alert_at_a_check(opened: Opened) -> None:
    hook = await failing_hook(opened)

    def reset(tx: Tx) -> None:
        tx.conn.execute(HOOK_STATE.update().values(failed_since_success=0))

    await opened.store.write(reset)
    await check_alerts(opened)
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution) == ("resolved", "delivered")
    assert not opened.store.hooks()[HookId(hook.id)].failing


@pytest.fixture
def before_the_write(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Does something once between the reading and the writing of a check."""
    write, todo = opened.store.write, list[Callable[[], Awaitable[None]]]()

    async def delayed(change: Callable[..., object], *args: object) -> object:
        while change is apply_alert_check and todo:
            await todo.pop()()
        return await write(change, *args)

    monkeypatch.setattr(opened.store, "write", delayed)
    return todo.append


async def test_a_group_that_fills_again_during_a_check_keeps_its_alert(
    opened: Opened, before_the_write: Callable[[Callable[[], Awaitable[None]]], None]
) -> None:
    # Red when the check ends what it read as empty: the new dead letter has no alert.
    hook = await make_hook(opened.store)
    await answer(opened, hook, [404], schedule_s=())
    (dead,) = await deliveries(opened.store)
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", dead.id)))
    await deliver_all(opened)
    before_the_write(lambda: answer(opened, hook, [404], schedule_s=()))
    await check_alerts(opened)
    (alert,) = await alerts(opened)
    assert (alert.state, alert.resolution, alert.count) == ("open", None, 2)
    (dead,) = [row for row in await deliveries(opened.store) if row.cause is not None]
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", dead.id)))
    await deliver_all(opened)
    await check_alerts(opened)
    assert [alert.resolution for alert in await alerts(opened)] == ["delivered"]


async def test_a_hook_that_fails_again_during_a_check_keeps_its_alert(
    opened: Opened, before_the_write: Callable[[Callable[[], Awaitable[None]]], None]
) -> None:
    hook = await failing_hook(opened)

    def reset(tx: Tx) -> None:
        tx.conn.execute(HOOK_STATE.update().values(failed_since_success=0))

    await opened.store.write(reset)
    before_the_write(lambda: fail(opened, hook))
    await check_alerts(opened)
    assert [alert.state for alert in await alerts(opened)] == ["open"]
    assert opened.store.hooks()[HookId(hook.id)].failing


# Red when a check announces the ends of snoozes before the alerts that it ends.
async def test_a_snooze_that_ends_with_its_alert_announces_only_the_end(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    (alert,) = await alerts(opened)
    await opened.store.write(changes.snooze_alert, BOB, DEFAULT, decode("alr", alert.id), QUIET)
    opened.clock.advance(QUIET)
    failed = await deliveries(opened.store, q="status:failed")
    for one in failed:
        number = DeliveryId(decode("dlv", one.id))
        await opened.store.write(changes.resend, ADA, DEFAULT, number)
    await deliver_all(opened)
    await check_alerts(opened)
    assert await types(opened) == ["delivery.gave_up", "delivery.cleared"]


async def test_dead_letters_that_expire_are_announced(opened: Opened) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store, name="n")
    await dead_letters(opened, hook, [404, 404])
    await deliver_all(opened)
    opened.clock.advance(26 * 86_400)
    await opened.again()
    await check_alerts(opened)
    assert [alert.type for alert in await alerts(opened)] == ["delivery.gave_up"]
    opened.clock.advance(2 * 86_400)
    await opened.again()
    await check_alerts(opened)
    expiring = (await alerts(opened))[-1]
    assert (expiring.type, expiring.count, expiring.cause) == (
        "undelivered.expiring", 2, "http_404",
    )  # fmt: skip
    kind, body = (await announced(opened))[-1]
    assert (kind, body["alert"]["type"]) == ("hooktui.delivery.gave_up", "undelivered.expiring")
    await deliver_all(opened)
    opened.clock.advance(3 * 86_400)
    await opened.store.purge(opened.clock.ms - 30 * 86_400_000, within_s=30)
    await check_alerts(opened)
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
    await check_alerts(opened, times=EXPIRING_EVERY)


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
    # Red when each check forgets what was deleted before it, or when a restart does.
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
        await check_alerts(opened)
    ended = {alert.type: (alert.resolution, alert.count) for alert in await alerts(opened)}
    assert ended == {
        "delivery.gave_up": ("expired", 3), "undelivered.expiring": ("expired", 3),
    }  # fmt: skip
    await dead_letters(opened, hook, [404])
    (dead,) = [one for one in await deliveries(opened.store) if one.cause]
    await opened.store.write(changes.resend, ADA, None, DeliveryId(decode("dlv", dead.id)))
    await check_alerts(opened)
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


async def test_a_check_that_cannot_be_stored_is_repeated(opened: Opened, monkeypatch) -> None:
    # Red when the first check forgets that the dead letters expired.
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404])
    opened.clock.advance(1)
    await opened.store.purge(opened.clock.ms, within_s=30)

    async def write(*_: object) -> None:
        raise DiskFull("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(opened.store, "write", write)
        with pytest.raises(DiskFull):
            await check_alerts(opened)
    await check_alerts(opened)
    (ended,) = await alerts(opened)
    assert (ended.resolution, ended.count) == ("expired", 1)


async def test_a_check_that_is_rolled_back_is_repeated(opened: Opened, disarmed: None) -> None:
    await alert_hook(opened)
    hook = await make_hook(opened.store)
    await dead_letters(opened, hook, [404] * 10)
    opened.clock.advance(QUIET)
    await deliver_all(opened)
    failpoints.arm("before_alert_check_commit:error")
    with pytest.raises(Exception, match=r"before_alert_check_commit|failed"):
        await check_alerts(opened)
    assert len(await announced(opened)) == 1
    await check_alerts(opened)
    assert [body["alert"]["count"] for _, body in await announced(opened)] == [1, 10]


# Red when a delivery behind the first in line counts as due: it cannot be sent yet.
async def test_an_ordered_hook_that_waits_for_its_first_retry_is_not_behind(
    opened: Opened,
) -> None:
    hook = await make_hook(opened.store, ordered=True)
    await emit(opened.store, 2)
    (claim,) = await opened.store.claim(HookId(hook.id), 1)
    await opened.store.record([result_of(claim, opened.clock, 404, schedule_s=(1_800,))])
    for _ in range(2):
        opened.clock.advance(301)
        await check_alerts(opened)
    assert await alerts(opened) == []
    backlog = await opened.store.read(queries.backlog, DEFAULT, opened.clock.ms)
    assert (backlog.count, backlog.oldest_due_at) == (2, None)
    opened.clock.advance(1_800)
    for _ in range(2):
        opened.clock.advance(301)
        await check_alerts(opened)
    assert [alert.key for alert in await alerts(opened)] == ["queue.behind:1"]
