"""The deliveries of all hooks: the filter, and commands on everything that matches it."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from hooktui.console.deliveries import actions, delivery_rows
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.frame import filtering
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from tests.console.client import Client, tried_once
from tests.console.command_scene import staged
from tests.console.gate import says
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

HOUR_S = 3600


def three_retrying(client: Client, receiver: Receiver) -> int:
    """Make three deliveries of one hook that failed once; return the hook."""
    receiver.status = 500
    hook: int = client.hook(receiver.url, name="billing", retry_schedule_s=[HOUR_S]).id
    for _ in range(3):
        client.emit()
    wait_for(lambda: tried_once(client, hook))
    return hook


# Red when a list that is opened with a filter loses it, or when Esc first shows all deliveries.
async def test_a_filter_that_it_is_opened_with_is_kept(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        scene.app.navigation.open_deliveries(f"hook:{scene.hook.id} status:retrying")
        await scene.on(DeliveriesScreen)
        await scene.console.shows("1 delivery", f"filter: hook:{scene.hook.id} status:retrying")
        await scene.console.press("escape")
        await scene.on(HooksScreen)


async def test_the_command_line_opens_it_with_a_filter(open_console, client, receiver: Receiver):
    three_retrying(client, receiver)
    async with open_console() as console:
        await console.shows("billing")
        await console.press("colon", *"deliveries cause:http_5xx", "enter")
        await console.shows("3 deliveries", "filter: cause:http_5xx", "retrying", "500")


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
async def test_what_matters_most_is_seen_at_every_size(open_console, client, receiver, size):
    hook = three_retrying(client, receiver)
    async with open_console(size=size) as console:
        await console.press("8")
        await console.shows("retrying", f"{hook} billing", "job.failed", "500")


# Red while a long filter cut off how many deliveries a command would act on.
async def test_a_long_filter_leaves_the_number_of_marks_in_the_heading(
    open_console, client: Client, receiver: Receiver
):
    three_retrying(client, receiver)
    async with open_console(size=(80, 24)) as console:
        await console.press("8")
        await console.shows("3 deliveries")
        console.app.screen.filter.apply("status:pending cause:http_5xx event:job.failed")
        await console.shows("filter: status:pending")
        await console.press("ctrl+a")
        await console.shows("3 marked (all that match)")


async def test_all_that_match_become_single_marks_if_they_are_few(
    open_console, client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    three_retrying(client, receiver)
    async with open_console() as console:
        await console.press("8")
        await console.shows("3 deliveries")
        await console.press("ctrl+a")
        await console.shows("3 marked (all that match)", "Space marks each of them")
        await console.press("space")
        await console.hides("all that match")
        await console.shows("3 marked")
        assert len(console.app.screen.listing.marks) == 3
        await console.press("escape")
        await console.hides("marked")
        monkeypatch.setattr(delivery_rows, "MAX_SINGLE", 2)
        await console.press("ctrl+a", "space")
        await console.shows("3 deliveries are too many to mark one by one (at most 2)")
        await console.press("escape")
        await console.hides("all that match")


# Red when a key that is held down, or pressed again over a slow line, sends one duplicate each.
async def test_a_delivery_is_not_resent_twice_within_two_seconds(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(actions, "_RESENT_S", 600.0)  # the machine may be slow
    resend = "POST /v1/deliveries/.*/resend"
    async with staged(client, receiver) as scene:
        await scene.open(DeliveriesScreen)
        await scene.console.press("r")
        await scene.console.shows("sent again")
        await scene.console.press("r")
        await scene.console.shows("was sent again just now")
        assert scene.gate.count(resend) == 1
        monkeypatch.setattr(actions, "_RESENT_S", 0.0)
        await scene.console.press("r")
        await scene.console.until(lambda: scene.gate.count(resend) == 2)


# Red when a resend of all that match sends anything by itself, or plans something else.
async def test_a_resend_of_all_that_match_opens_the_plan_of_a_replay(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(DeliveriesScreen)
        await scene.console.press("slash", *"status:delivered", "enter")
        await scene.console.shows("filter: status:delivered", "1 delivery")
        await scene.console.press("ctrl+a", "r")
        form = await scene.on(ReplayForm)
        await scene.console.until(lambda: form.focused is not None)
        assert (form.values().mode, form.values().filter) == ("sent", "status:delivered")
        await scene.console.shows("1 delivery, about", "1 duplicate")
        assert not scene.gate.count("POST /v1/replays")
        assert not scene.gate.count("POST /v1/deliveries/.*")


# Red when a command that follows acts on the choice of before.
async def test_a_resend_of_all_that_match_unmarks_them_once_it_runs(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        screen = await scene.open(DeliveriesScreen)
        await scene.console.press("slash", *"status:delivered", "enter")
        await scene.console.shows("filter: status:delivered", "1 delivery")
        await scene.console.press("ctrl+a", "r")
        await scene.on(ReplayForm)
        await scene.console.shows("1 delivery, about")
        await scene.console.press("escape")
        await scene.on(DeliveriesScreen)
        await scene.console.shows("1 marked (all that match)")
        await scene.console.press("r")
        await scene.on(ReplayForm)
        await scene.console.shows("1 delivery, about")
        await scene.console.press("ctrl+s")
        await scene.on(ReplayScreen)
        assert screen.rows.all_matching is None
        await scene.console.press("escape")
        await scene.on(DeliveriesScreen)
        await scene.console.hides("all that match")


async def test_all_waiting_ones_that_match_are_cancelled_in_one_call_after_a_question(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        screen = await scene.open(DeliveriesScreen)
        await scene.console.press("ctrl+a", "c")
        await scene.console.shows("this would cancel all waiting deliveries")
        await scene.console.press("escape", "slash", *"job", "enter", "ctrl+a", "c")
        await scene.console.shows("Cancel the waiting ones of 2 deliveries?")
        await scene.console.press("enter")
        await scene.console.shows("nothing was cancelled")
        assert not scene.gate.count("POST /v1/deliveries/cancel")
        await scene.console.press("c", "y")
        await scene.console.shows("1 delivery cancelled")
        assert scene.gate.count("POST /v1/deliveries/cancel") == 1
        assert scene.status_of(scene.waiting) == "cancelled"
        assert scene.status_of(scene.delivered) == "delivered"
        assert screen.rows.all_matching is None


# Red when deliveries that came after the choice are cancelled, too.
async def test_a_delivery_that_came_after_the_choice_is_not_cancelled(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(DeliveriesScreen)
        await scene.console.press("slash", *"job", "enter", "ctrl+a")
        await scene.console.shows("2 marked (all that match)")
        receiver.status = 500
        client.emit()
        wait_for(lambda: len(client.deliveries(scene.hook.id, "pending")) == 2)
        await scene.console.press("c", "y")
        await scene.console.shows("1 delivery cancelled")
        assert len(client.deliveries(scene.hook.id, "pending")) == 1


async def test_replay_on_a_delivery_is_for_its_hook(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(DeliveryScreen)
        await scene.console.press("R")
        form = await scene.on(ReplayForm)
        await scene.console.until(lambda: form.focused is not None)
        assert (form.values().hooks, form.values().mode) == (str(scene.hook.id), "failed")


# Red when each letter of a filter is a search: the server does all of them, one after the other,
# and refuses the whole filter if too many wait.
async def test_a_filter_is_searched_for_when_the_typing_pauses(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(filtering, "TYPING_S", 3_600.0)  # no pause but Enter
    async with staged(client, receiver) as scene:
        await scene.open(DeliveriesScreen)
        await scene.console.press("slash", *"status:retrying", "enter")
        await scene.console.shows("1 delivery \u00b7 filter: status:retrying")
        queries = [parse_qs(asked.query).get("q") for asked in scene.gate.asked]
        assert [q for q in queries if q is not None] == [["status:retrying"]]
        await scene.console.press("slash", *" job", "escape")  # what was typed is not applied
        await scene.console.hides("filter:")
        monkeypatch.setattr(filtering, "TYPING_S", 0.01)
        await scene.console.press("slash", *"status:delivered")
        await scene.console.shows("filter: status:delivered")  # without Enter


# Red when a refused filter stands above the deliveries of the one before.
async def test_a_filter_that_the_server_refuses_lists_nothing(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(DeliveriesScreen)
        await scene.console.shows("2 deliveries", "delivered")
        scene.gate.spoil("GET /v1/deliveries", says(429, "20 searches of ada are waiting"))
        await scene.console.press("slash", *"hook:99", "enter")
        await scene.console.shows("filter: hook:99", "Not loaded; ^r loads", "20 searches of ada")
        await scene.console.hides("retrying", "2 deliveries")
        scene.gate.mend()
        await scene.console.press("ctrl+r")
        await scene.console.shows("No delivery matches the filter.")
