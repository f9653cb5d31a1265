"""Alerts: where each leads, and how the frame of every screen says that there are some."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hooktui.client import calls
from hooktui.console.alerts.alerts_screen import AlertsScreen, ResolvedAlertsScreen
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.formatting import ago
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import TOP_SCREENS
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.shell.status import StatusMonitor
from hooktui.domain.clock import now_ms, to_rfc3339
from tests.console.client import Client
from tests.console.command_scene import Scene, staged
from tests.console.gate import changed, says
from tests.console.test_undelivered_screen import disable_with_one_held
from tests.support.receivers import Receiver

AT = "2026-11-27T03:00:00.000Z"


def listed(**fields: Any) -> dict[str, Any]:
    """Return an alert as the server lists it."""
    return {
        "id": "alr_0000000000001", "account": 1, "type": "hook.failing", "key": "hook.failing:3",
        "state": "open", "summary": "hook 3 (billing) is failing: dns, 3 in a row", "count": 1,
        "opened_at": AT, "changed_at": AT, "changed_by": "hooktui", **fields,
    }  # fmt: skip


def page_of(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(alerts), "total": len(alerts)}


def about(scene: Scene) -> list[tuple[dict[str, Any], type[ConsoleScreen]]]:
    """Return an alert of each kind, and the screen that it leads to."""
    hook = {"hook": scene.hook.id}
    replay = {"type": "replay.paused", "replay": scene.unfinished().id}
    return [
        (listed(**hook), HookScreen),
        (listed(**hook, type="delivery.gave_up", cause="http_5xx"), DeliveriesScreen),
        (listed(**replay), ReplayScreen),
        (listed(type="queue.behind"), EngineScreen),
    ]


async def test_enter_leads_to_what_an_alert_is_about(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        for alert, kind in about(scene):
            await on_alert(scene, alert)
            await scene.console.press("enter")
            await scene.on(kind)
            scene.gate.mend()


async def on_alert(scene: Scene, alert: dict[str, Any]) -> None:
    """Show one alert, with the cursor on it."""
    scene.gate.spoil("GET /v1/alerts", changed(**page_of(alert)))
    await scene.console.press("9")
    screen = await scene.on(AlertsScreen)
    await scene.console.press("ctrl+r")
    await scene.console.until(lambda: screen.cursor_row and screen.cursor_row.type == alert["type"])


# Red when the order is named after an id, which these lists do not show, or a time is "smallest".
async def test_an_order_of_time_is_named_so(open_console):
    async with open_console() as console:
        await console.press("o", "o")
        await console.shows("sorted by when, oldest first")
        await console.press("9", "O")
        await console.shows("sorted by time, oldest first")
        await console.press("8", *["right_square_bracket"] * 2, "O")
        await console.shows("sorted by time, oldest first")


# Red while the name of the hook filled the three lines of the notice.
async def test_a_notice_about_an_alert_of_a_long_name_shows_its_result(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, size=(80, 24)) as scene:
        alert = listed(summary=f"hook 3 ({'a very long name ' * 11}) is failing: dns, 3 in a row")
        await on_alert(scene, alert)
        scene.gate.spoil("POST /v1/alerts/.*", changed(**alert))
        await scene.console.press("A")
        await scene.console.shows("is acknowledged; alert hooks are notified when it ends")


async def test_a_replay_is_planned_of_what_an_alert_is_about(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        hook = str(scene.hook.id)
        wanted = [(hook, "failed", ""), (hook, "failed", "http_5xx"), (hook, "sent", "")]
        alerts = [alert for alert, _ in about(scene)]
        for alert, fields in zip(alerts, wanted, strict=False):
            await on_alert(scene, alert)
            await scene.console.press("R")
            values = (await scene.on(ReplayForm)).values()
            assert (values.hooks, values.mode, values.cause) == fields
            scene.gate.mend()
            await scene.console.press("escape")
        await on_alert(scene, alerts[3])
        await scene.console.press("R")
        await scene.console.shows("nothing to replay: the alert concerns neither a hook nor")


# Red when the cause is the filter: it refuses these two, which no delivery has.
async def test_an_alert_of_a_group_without_entries_leads_to_what_it_counts(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        disable_with_one_held(scene)
        for cause in ("held", "skipped"):
            scene.ask(calls.acknowledge_undelivered(scene.hook.id, cause))
        await open_alert(scene, "1 skipped event", "R")
        form = await scene.on(ReplayForm)
        assert (form.values().mode, form.values().cause) == ("never-sent", "")
        await scene.console.shows("1 delivery, ", "its hook is disabled")
        await scene.console.press("escape")
        await open_alert(scene, "1 held delivery", "R")
        await scene.console.shows("these are held; they are sent when the hook is enabled")
        await open_alert(scene, "1 skipped event")
        await scene.on(EventsScreen)
        await scene.console.shows("filter: event:", "1 event")
        await open_alert(scene, "1 held delivery")
        await scene.on(DeliveriesScreen)
        await scene.console.shows("status:held -cause:*", "1 delivery")
        scene.ask(calls.give_up_undelivered(scene.hook.id, "skipped", to_rfc3339(now_ms())))
        await scene.console.press("9", "right_square_bracket")
        await scene.on(ResolvedAlertsScreen)
        await scene.console.shows("no skipped event is left")
        await scene.console.press("enter")
        await scene.on(HookScreen)


async def open_alert(scene: Scene, summary: str, key: str = "enter") -> None:
    """Open what the alert with a summary is about, or press another key on it."""
    screen = await scene.open(AlertsScreen)
    await scene.console.shows(summary)
    (alert,) = [one for one in scene.alerts() if one.summary.endswith(summary)]
    await scene.console.until(lambda: screen.listing.put_cursor_on(alert.id))
    await scene.console.press(key)


async def test_the_text_of_an_alert_has_the_room(client: Client, receiver: Receiver):
    summary = "hook 3 (billing) was disabled: receiver answered 410 G"
    alert = listed(summary=summary, type="hook.disabled", hooks_notified=2, announced_at=AT)
    async with staged(client, receiver, size=(80, 24)) as scene:
        scene.gate.spoil("GET /v1/alerts", changed(**page_of(alert)))
        scene.app.push_screen(AlertsScreen())
        await scene.on(AlertsScreen)
        await scene.console.shows(summary, "open")
        await scene.console.pilot.resize_terminal(140, 30)
        await scene.console.shows("2 hooks,")
        scene.gate.mend()
        scene.gate.spoil("GET /v1/alerts", changed(**page_of(listed())))
        await scene.console.press("ctrl+r")
        await scene.console.shows("no hook")
        scene.gate.mend()
        finished = listed(state="resolved", resolved_at=AT, hooks_notified=2)
        scene.gate.spoil("GET /v1/alerts", changed(**page_of(finished)))
        await scene.console.press("ctrl+r")
        await scene.console.shows(f"2 hooks, {ago(AT, scene.app.clock())}")


# Red while a long name leaves no room for the cause.
async def test_the_cause_of_an_alert_is_shown_beside_a_long_name(
    client: Client, receiver: Receiver
):
    name = "orders of the northern warehouse " * 3
    alert = listed(summary=f"hook 3 ({name}) is failing: timeout, 3 in a row", hook_name=name)
    async with staged(client, receiver, size=(80, 24)) as scene:
        await on_alert(scene, alert)
        await scene.console.shows("hook 3 (orders of the north…) is failing: timeout")


async def test_an_alert_that_ended_meanwhile_is_reported_as_ended(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(AlertsScreen)
        scene.gate.spoil("POST /v1/alerts/.*", says(409, "this alert is resolved"))
        await scene.console.press("A")
        await scene.console.until(lambda: "this alert is resolved" in scene.notice)


@pytest.mark.parametrize("size", [(60, 15), (110, 24)])
async def test_every_screen_says_that_alerts_reach_nobody_and_how_many_are_open(
    client: Client, receiver: Receiver, size: tuple[int, int]
):
    hook = {"hook": 7, "name": "pager", "state": "failing", "since": AT}
    path = {"state": "failing", "hooks": [hook]}
    counts = {"open": 2, "acknowledged": 1, "snoozed": 0}
    async with staged(client, receiver, size=size) as scene:
        scene.gate.spoil("GET /v1/status", changed(alert_path=path, alerts=counts))
        scene.app.status.read_soon()
        await scene.console.shows("! alert hook 7 failing", "! 2 alerts")
        for screen in (*map(screen_class, TOP_SCREENS), HookForm, ReplayForm, ReplayScreen):
            await scene.open(screen)
            await scene.console.shows("! alert hook 7 failing")
            # Red while the title followed as if it were the end of this sentence.
            assert scene.console.lines[0].startswith(" ! alert hook 7 failing · ")


# Red when the countdown draws the heading without what `refresh_frame` adds to it.
async def test_a_screen_with_a_countdown_still_says_that_alerts_reach_nobody(
    client: Client, receiver: Receiver
):
    hook = {"hook": 7, "name": "pager", "state": "failing", "since": AT}
    async with staged(client, receiver, size=(60, 15)) as scene:
        path = {"state": "failing", "hooks": [hook]}
        scene.gate.spoil("GET /v1/status", changed(alert_path=path))
        scene.app.status.read_soon()
        await scene.console.shows("! alert hook 7 failing")
        scene.app.push_screen(SecretScreen(scene.hook, scene.hook.secret))
        await scene.console.shows("hidden again in 28 s")
        assert scene.console.lines[0].startswith(" ! alert hook 7 failing")


async def test_several_alert_hooks_are_counted(client: Client, receiver: Receiver):
    hooks = [{"hook": n, "name": "n", "state": s} for n, s in ((7, "failing"), (8, "disabled"))]
    async with staged(client, receiver) as scene:
        path = {"state": "failing", "hooks": [*hooks, {"hook": 9, "name": "n", "state": "ok"}]}
        scene.gate.spoil("GET /v1/status", changed(alert_path=path))
        scene.app.status.read_soon()
        await scene.console.shows("! 2 alert hooks failing")


async def test_an_alert_is_a_note_in_the_live_log(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        scene.ask(calls.acknowledge_undelivered(scene.hook.id, "http_5xx"))
        await scene.console.shows("alert acknowledged: hook")


# Red when the change of an alert waits for the next load of the status, which may be due in 5 s.
async def test_the_status_line_counts_alerts_as_soon_as_one_changes(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hooktui.console.shell.status.STATUS_S", 3600)
    async with staged(client, receiver) as scene:
        scene.app.status.read_soon()
        before = scene.ask(calls.server_status(scene.app.account.number)).alerts
        scene.ask(calls.acknowledge_undelivered(scene.hook.id, "http_5xx"))
        after = scene.ask(calls.server_status(scene.app.account.number)).alerts
        assert after != before
        await scene.console.until(lambda: scene.app.status.latest.alerts == after)


async def test_a_status_that_is_loaded_at_once_leaves_one_load_scheduled():
    timers: list[SimpleNamespace] = []

    def set_timer(_seconds: float, _start: object) -> SimpleNamespace:
        timers.append(SimpleNamespace(running=True))
        timers[-1].stop = lambda timer=timers[-1]: setattr(timer, "running", False)
        return timers[-1]

    async def send(_call: object) -> object:
        return SimpleNamespace(backlog=SimpleNamespace(count=7), disk=None, rates=None)

    tasks: list[asyncio.Task[None]] = []
    app = SimpleNamespace(
        set_timer=set_timer, run_worker=lambda run, **_: tasks.append(asyncio.create_task(run()))
    )
    monitor = StatusMonitor(
        cast("Any", app), cast("Any", SimpleNamespace(send=send)),
        cast("Any", SimpleNamespace(number=1)), lambda: 0, lambda: None,
    )  # fmt: skip
    for _ in range(3):
        monitor.read_soon()
        monitor.read_now()
        await asyncio.gather(*tasks)
    assert sum(timer.running for timer in timers) == 1
