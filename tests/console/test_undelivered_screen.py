"""Undelivered events by hook and cause: what is listed, opened, planned and given up."""

from __future__ import annotations

import json

import pytest

from hooktui.client import calls
from hooktui.console.alerts.alerts_screen import AlertsScreen
from hooktui.console.deliveries.alert_actions import seconds_to_morning
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.formatting import moment
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.domain.clock import now_ms
from hooktui.domain.wire.undelivered import NOT_GIVEN_UP
from tests.console.client import Client
from tests.console.command_scene import USER, Scene, staged
from tests.console.gate import says
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for


async def on_group(scene: Scene, cause: str) -> UndeliveredScreen:
    """Open the list with the cursor on a group of the scene's hook."""
    screen = await scene.open(UndeliveredScreen)
    await scene.console.until(lambda: screen.listing.put_cursor_on((scene.hook.id, cause)))
    await scene.console.until(lambda: screen.listing.stale_reason is None)
    return screen


def disable_with_one_held(scene: Scene) -> None:
    """Let one delivery wait that was never tried, disable the hook, and skip an event."""
    scene.ask(calls.pause())
    scene.client.emit("job.failed", b'{"id":1}')
    scene.ask(calls.edit_hook(scene.hook.id, {"active": False}))
    scene.client.emit("job.failed", b'{"id":2}')
    scene.ask(calls.resume())
    wait_for(lambda: {"held", "skipped"} <= {group.cause for group in scene.groups()})


async def test_each_kind_of_group_opens_what_it_counts(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        disable_with_one_held(scene)
        await on_group(scene, "http_5xx")
        await scene.console.shows("1 retrying", "1 held", "1 skipped", "disabled")
        await scene.console.press("enter")
        await scene.on(DeliveriesScreen)
        await scene.console.shows("filter: hook:", "cause:http_5xx", "1 delivery")
        await on_group(scene, "held")
        await scene.console.press("enter")
        await scene.on(DeliveriesScreen)
        await scene.console.shows("status:held -cause:*", "1 delivery")
        await on_group(scene, "held")
        await scene.console.shows("Enter deliveries")
        await on_group(scene, "skipped")
        await scene.console.shows("Enter events")  # red while the key line said deliveries
        await scene.console.press("enter")
        await scene.on(EventsScreen)
        await scene.console.shows("filter: event:", "1 event")


# Red when Esc first shows all deliveries, or when the group's filter replaces the remembered one.
async def test_one_escape_leads_back_from_what_a_group_opened(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(DeliveriesScreen)
        await scene.console.press("slash", *"event:job", "enter")
        await scene.console.shows("filter: event:job")
        await scene.console.press("1")
        kept = scene.app.session.of
        await scene.console.until(lambda: kept("Deliveries", scene.client.id).get("filter"))
        await on_group(scene, "http_5xx")
        await scene.console.press("enter")
        await scene.on(DeliveriesScreen)
        await scene.console.shows("cause:http_5xx", "1 delivery")
        await scene.console.press("escape")
        await scene.on(UndeliveredScreen)
        await scene.console.press("8")
        await scene.console.shows("filter: event:job")


async def test_a_filter_typed_in_the_list_of_a_group_is_removed_first(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await on_group(scene, "http_5xx")
        await scene.console.press("enter")
        screen = await scene.on(DeliveriesScreen)
        screen.filter.apply("cause:dns")
        await scene.console.shows("No delivery matches", "Esc  shows all deliveries again")
        await scene.console.press("escape")
        await scene.console.hides("filter:")
        await scene.on(DeliveriesScreen)
        await scene.console.press("escape")
        await scene.on(UndeliveredScreen)


# Red when the list of a skipped group has events that its hook does not ask for, or when its title
# lets it pass for the group.
async def test_a_skipped_group_opens_the_events_of_the_types_of_its_hook(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, size=(80, 24)) as scene:
        only = {"active": False, "events": ["job.failed", "cluster"]}
        scene.ask(calls.edit_hook(scene.hook.id, only))
        for number, event_type in enumerate(("job.failed", "job.completed", "cluster.error")):
            scene.client.emit(event_type, b'{"id":%d}' % number)
        scene.ask(calls.ping_hook(scene.hook.id))
        scene.client.emit("job.failed", b'{"id":9}')
        wait_for(lambda: [g.count for g in scene.groups() if g.cause == "skipped"] == [3])
        await on_group(scene, "skipped")
        await scene.console.press("enter")
        screen = await scene.on(EventsScreen)
        note = f"types of hook {scene.hook.id} (billing), first to last skip"
        await scene.console.shows("3 events", note, "filter")
        assert scene.console.text.count("job.failed") == 2
        assert "job.completed" not in scene.console.text
        screen.filter.apply("event:job")
        await scene.console.hides(note)


async def test_a_replay_of_a_group_is_planned_as_its_kind_needs(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        disable_with_one_held(scene)
        await on_group(scene, "http_5xx")
        await scene.console.press("R")
        values = (await scene.on(ReplayForm)).values()
        assert (values.mode, values.cause) == ("failed", "http_5xx")
        await on_group(scene, "skipped")
        await scene.console.press("R")
        form = await scene.on(ReplayForm)
        assert form.values().mode == "never-sent"
        await scene.console.shows(
            "1 delivery, at 50 a second; no estimate", "will wait: its hook is disabled"
        )
        await on_group(scene, "held")
        await scene.console.press("R")
        await scene.console.shows("these are held; they are sent when the hook is enabled")


async def test_the_state_says_who_acknowledged_and_how_long_it_is_snoozed(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, size=(140, 24)) as scene:
        await on_group(scene, "http_5xx")
        await scene.console.press("A")
        # Red while it was "you": only hooks that subscribe to alerts are notified.
        await scene.console.shows("http_5xx (1 alert) is acknowledged; alert hooks are notified")
        await scene.console.shows("acknowledged  ")
        await scene.console.until(
            lambda: any(line.endswith(f"  {USER}") for line in scene.console.lines)
        )
        await scene.console.press("Z")
        await scene.console.shows("Snooze hook", "1 hour", "4 hours", "tomorrow, 08:00", "7 days")
        await scene.console.press("enter")
        await scene.console.shows("no alert was snoozed", "acknowledged  ")
        await scene.console.press("Z", "1")
        await scene.console.shows("(1 alert) is snoozed for 1h")
        await scene.console.shows("snoozed to")


# Red while it was cut to "snoozed to 06:1…" in 80 columns.
@pytest.mark.parametrize("key", ["1", "7"])
async def test_the_end_of_a_snooze_is_shown_in_full(client: Client, receiver: Receiver, key: str):
    async with staged(client, receiver, size=(80, 24)) as scene:
        scene.ask(calls.edit_hook(scene.hook.id, {"name": "orders of the northern warehouse"}))
        await on_group(scene, "http_5xx")
        await scene.console.press("Z", key)
        await scene.console.shows("is snoozed for")
        until = scene.groups()[0].state_until
        assert until is not None
        ends = f"snoozed to {moment(until, scene.app.clock(), seconds=False)}"
        await scene.console.shows("http_5xx", ends)
        await scene.open(AlertsScreen)
        await scene.console.shows("Alerts  1 alert", ends)


# Red while it ended as much after 08:00 as the question had been open.
async def test_a_snooze_until_the_morning_ends_then(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await on_group(scene, "http_5xx")
        asked_ms = now_ms()
        scene.app.clock = lambda: asked_ms
        await scene.console.press("Z")
        await scene.console.shows("tomorrow, 08:00")
        scene.app.clock = lambda: asked_ms + 3_600_000
        await scene.console.press("t")
        await scene.console.shows("is snoozed for")
        (body,) = [one.body for one in scene.gate.asked if one.call.endswith("/snooze")]
        assert json.loads(body) == {"for_s": seconds_to_morning(asked_ms) - 3_600}


async def test_a_group_is_given_up_after_a_question_that_starts_on_cancel(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await on_group(scene, "http_5xx")
        await scene.console.press("d")
        await scene.console.shows("Give up hook", "Cancels 1 waiting retry.")
        await scene.console.press("enter")
        await scene.console.shows("nothing was given up")
        assert not scene.gate.count("POST /v1/undelivered/.*")
        await scene.console.press("d", "y")
        await scene.console.shows("1 delivery cancelled")
        await scene.console.shows("No undelivered events.")
        assert scene.status_of(scene.waiting) == "cancelled"


# Red when it says that 0 events were given up, without a reason.
async def test_a_group_that_is_being_sent_is_not_given_up(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await on_group(scene, "http_5xx")
        receiver.released.clear()
        try:
            scene.ask(calls.resend_delivery(scene.waiting.id))
            await scene.console.until(lambda: scene.status_of(scene.waiting) == "sending")
            await scene.console.press("d")
            await scene.console.shows("Give up hook")
            await scene.console.press("y")
            await scene.console.shows(NOT_GIVEN_UP)
        finally:
            receiver.released.set()


# Red when an older server, which lacks the view, is reported as a thing that was not found.
async def test_an_older_server_is_named_as_the_reason(client: Client, receiver: Receiver):
    missing = "there is nothing at /v1/undelivered; /openapi.json lists what there is"
    async with staged(client, receiver) as scene:
        scene.gate.spoil("GET /v1/undelivered", says(404, missing))
        scene.app.push_screen(UndeliveredScreen())
        await scene.on(UndeliveredScreen)
        await scene.console.shows(
            "Undelivered: not available on this server.", "older than the console"
        )
        scene.gate.mend()
        await scene.console.press("ctrl+r")
        await scene.console.shows("http_5xx")


async def test_the_command_line_opens_the_lists(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("colon", *"undelivered", "enter")
        await console.shows("No undelivered events.", "[Undelivered]")
        await console.press("colon", *"replays", "enter")
        await console.shows("No replays yet.", "[Replays]")
        await console.press("colon", *"alerts", "enter")
        await console.shows("No unresolved alerts.", "[Unresolved]")


# Red when a late response opens a screen over another one that was opened meanwhile.
@pytest.mark.parametrize(("cause", "key"), [("http_5xx", "x"), ("skipped", "enter")])
async def test_a_late_response_opens_nothing_over_another_screen(
    client: Client, receiver: Receiver, cause: str, key: str
):
    async with staged(client, receiver) as scene:
        disable_with_one_held(scene)
        screen = await on_group(scene, cause)
        held = scene.gate.hold_answer(f"GET /v1/hooks/{scene.hook.id}")
        await scene.console.press(key)
        await scene.console.until(lambda: held.arrived)
        scene.app.navigation.open_delivery(scene.delivered.id)
        await scene.on(DeliveryScreen)
        held.release()
        await scene.console.until(lambda: not screen._running_commands)
        await scene.on(DeliveryScreen)
        assert not scene.gate.count("POST .*/diagnose")
