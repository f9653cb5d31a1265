"""The form of a replay plans while it is typed and runs what it showed; the screen of a replay."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hooktui.client import calls
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from tests.console.client import Client
from tests.console.command_scene import USER, Scene, staged
from tests.console.gate import Passing, Spoil, _answer, as_role, lost, says
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

PLAN, RUN = "POST /v1/replays/plan", "POST /v1/replays"


def bodies(scene: Scene, call: str) -> list[dict[str, Any]]:
    """Return what was asked with a call so far."""
    return [json.loads(asked.body) for asked in scene.gate.asked if asked.call == call]


def filters(scene: Scene) -> list[object]:
    """Return the filter of each plan that was asked for so far."""
    return [body["selection"]["filter"] for body in bodies(scene, PLAN)]


def in_pages() -> Spoil:
    """Answer a plan in two pages: the first counts 2 deliveries and names the second, of 3."""
    first: dict[str, object] = {}

    async def spoil(passing: Passing) -> None:
        last = "after" in json.loads(passing.asked.body)
        if not last:
            first.update(json.loads((await passing.pass_on()).partition(b"\r\n\r\n")[2]))
        counts = {"total": 3 if last else 2, "complete": last, "next": None if last else "p2"}
        body = json.dumps(first | counts).encode()
        passing.writer.write(_answer(200, [("content-type", "application/json")], body))

    return spoil


# Red when a plan is asked for at each key, or a plan sends something.
async def test_a_plan_follows_what_is_typed_and_sends_nothing(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(ReplayForm)
        await scene.console.shows(
            "2 deliveries, about", "1 of them is a pending retry", "1 duplicate"
        )
        scene.gate.asked.clear()
        await scene.console.press(*["tab"] * 4, *"status:delivered")
        await scene.console.until(lambda: "status:delivered" in filters(scene))
        await scene.console.shows("1 delivery, about")
        assert len(filters(scene)) < len("status:delivered")
        assert not scene.gate.count(RUN)
        await scene.console.press("escape")
        assert not scene.replays()
        assert not receiver.requests


async def test_the_pages_of_a_plan_add_up_and_the_sum_is_the_most_that_is_sent(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        scene.gate.spoil(PLAN, in_pages())
        form = await scene.open(ReplayForm)
        await scene.console.shows("5 deliveries, about")
        first, second = bodies(scene, PLAN)[-2:]
        assert (first.get("after"), second["after"]) == (None, "p2")
        # The first page fixed the end; the second counts the same selection.
        assert second["selection"]["until"] is not None
        scene.gate.mend()
        await scene.console.until(lambda: form.disabled_reason("save") is None)
        await scene.console.press("ctrl+s")
        await scene.on(ReplayScreen)
        run = bodies(scene, RUN)[0]
        assert run["max_deliveries"] == 5
        assert run["selection"] == second["selection"]


async def run_without_answer(scene: Scene) -> ReplayForm:
    """Run a replay from its form; the server starts it, and its answer is lost."""
    form = await scene.open(ReplayForm)
    scene.gate.spoil(RUN, lost)
    await scene.console.press("ctrl+s")
    await scene.console.until(lambda: "may have carried out" in scene.notice)
    scene.gate.mend()
    return form


# Red when a second try after a lost answer starts a second replay.
async def test_a_replay_whose_answer_was_lost_is_started_once(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await run_without_answer(scene)
        await scene.console.press("ctrl+s")
        await scene.on(ReplayScreen)
        asked = [one for one in scene.gate.asked if one.call == RUN]
        assert len({one.headers["idempotency-key"] for one in asked}) == 1
        assert len(asked) == 2
        assert len(scene.replays()) == 1


# Red when it is said in the words of the API that an idempotency key was used before.
async def test_a_new_plan_after_a_lost_answer_starts_no_second_replay(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        form = await run_without_answer(scene)
        scene.gate.asked.clear()
        await scene.console.press("ctrl+r")
        await scene.console.until(
            lambda: scene.gate.count(PLAN) and form.disabled_reason("save") is None
        )
        await scene.console.press("ctrl+s")
        await scene.console.until(lambda: "was started before: see the list" in scene.notice)
        assert len(scene.replays()) == 1


# Red when other fields are sent with the key of the first, which is refused.
async def test_other_fields_after_a_lost_answer_are_another_replay(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await run_without_answer(scene)
        wait_for(lambda: {one.state for one in scene.replays()} == {"finished"})
        await scene.console.press(*["tab"] * 7, "5")
        await scene.console.shows("at 5 a second")
        await scene.console.press("ctrl+s")
        await scene.on(ReplayScreen)
        assert len(scene.replays()) == 2


async def test_what_is_wrong_is_said_above_the_plan_and_cannot_be_run(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        form = await scene.open(ReplayForm)
        await scene.console.press(*["tab"] * 2, *["backspace"] * 20)
        await scene.console.shows("Since: the mode sent needs a start, such as 2h")
        assert "a field is invalid" in str(form.disabled_reason("save"))
        await scene.console.press(*"2h")
        await scene.console.shows("2 deliveries, about")
        await scene.console.press(*["tab"] * 2, *"nosuch:1")
        await scene.console.shows("nosuch")
        await scene.console.hides("deliveries, about")
        assert form.disabled_reason("save") is not None


# Red while it was "not loaded", as if the same hooks could be planned later.
async def test_an_unknown_hook_is_an_invalid_field(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        form = await scene.open(ReplayForm)
        await scene.console.shows("2 deliveries, about")
        await scene.console.press("end", *", 999999")
        await scene.console.shows("there is no hook 999999 in this account")
        await scene.console.hides("Not loaded", "deliveries, about")
        assert str(form.disabled_reason("save")).startswith("a field is invalid: there is no hook")


# Red while the error of an earlier filter stayed, also as the reason, until the server responded.
async def test_what_was_wrong_is_not_said_of_other_fields(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        form = await scene.open(ReplayForm)
        await scene.console.shows("2 deliveries, about")
        await scene.console.press(*["tab"] * 4, "quotation_mark")
        await scene.console.shows("the quote is not closed")
        held = scene.gate.hold(PLAN)
        await scene.console.press("backspace", *"event:job.*")
        await scene.console.until(lambda: held.arrived)
        assert "not complete yet" in str(form.disabled_reason("save"))
        await scene.console.shows("counting the deliveries")
        await scene.console.hides("the quote is not closed")


# Red when the plan of other fields stays, or when none is made before a field changes again.
async def test_a_plan_that_was_not_loaded_is_made_again(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(ReplayForm)
        await scene.console.shows("2 deliveries, about")
        scene.gate.spoil(PLAN, says(429, "searches of ada are waiting"))
        await scene.console.press(*["tab"] * 4, *"status:delivered")
        await scene.console.shows("Not loaded; ^r loads the data again", "searches of ada")
        await scene.console.hides("deliveries, about")
        await scene.console.press("ctrl+s")
        await scene.console.shows("there is no plan; ^r makes one again")
        scene.gate.mend()
        await scene.console.press("ctrl+r")
        await scene.console.shows("1 delivery, about")
        held = scene.gate.hold(PLAN)
        await scene.console.press("space", *"hook:999999")
        await scene.console.shows("counting the deliveries")
        await scene.console.hides("1 delivery, about")
        await scene.console.press("ctrl+s")
        await scene.console.shows("the plan is not complete yet")
        held.release()
        await scene.console.shows("0 deliveries")
        await scene.gate.close()
        await scene.console.press("backspace")
        await scene.console.shows("loads once the server is available")
        await scene.gate.open()
        await scene.console.shows("0 deliveries")


async def test_an_older_server_is_named_as_the_reason(client: Client, receiver: Receiver):
    missing = "there is nothing at /v1/replays/plan; /openapi.json lists what there is"
    async with staged(client, receiver) as scene:
        scene.gate.spoil("POST /v1/replays/plan", says(404, missing))
        scene.app.navigation.open_replay_form(scene.selection)
        await scene.on(ReplayForm)
        await scene.console.until(lambda: "older than the console" in scene.notice)


async def test_a_replay_that_waits_says_for_what_and_not_how_long(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(ReplayScreen)
        await scene.console.shows(
            "0 at 10/s  waits", f"hook {scene.hook.id} waits: delivery is paused"
        )
        assert " left" not in scene.console.text
        await scene.open(ReplaysScreen)
        await scene.console.pilot.resize_terminal(120, 24)
        await scene.console.shows(
            "running",
            "waits",
            f"hook {scene.hook.id} waits: delivery is pau",  # may be cut
        )


# Red when the list follows the replays alone: a hook that is disabled is no change of a replay.
async def test_the_list_says_that_a_replay_waits_from_now_on(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        scene.ask(calls.create_replay(client.id, scene.selection, rate_per_s=0.1))
        await scene.open(ReplaysScreen)
        await scene.console.shows("running", "0.1/s")
        await scene.console.hides("waits")
        await asyncio.sleep(1.5)  # until then its own feed items load it again
        scene.ask(calls.edit_hook(scene.hook.id, {"active": False}))
        await scene.console.shows("waits")


# Red when a second key acts on the row as it was before the first one changed the replay.
async def test_a_key_in_the_list_acts_on_the_replay_as_the_last_key_left_it(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(ReplaysScreen)
        scene.gate.hold("GET /v1/replays")  # the list stays as it was before the keys
        for key, words in (("+", "20/s"), ("+", "40/s"), ("-", "20/s"), ("a", "paused")):
            await scene.console.press(key)
            await scene.console.until(lambda words=words: words in scene.notice)
        await scene.console.press("a")
        await scene.console.until(lambda: "resumed" in scene.notice)
        (replay,) = scene.replays()
        assert (replay.rate_per_s, replay.state) == (20, "running")
        await scene.console.shows("running", "20/s")


# Red when only a running replay is read again: its deliveries may be retried for hours after it.
async def test_the_results_of_a_replay_arrive_after_its_end(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        receiver.status = 500
        made = scene.ask(calls.create_replay(client.id, scene.selection))
        wait_for(lambda: scene.replays()[0].state == "finished")
        scene.app.navigation.open_replay(made.id)
        await scene.on(ReplayScreen)
        await scene.console.shows("finished", "2 waiting", "0 cancelled")
        await asyncio.sleep(1.5)  # until then its own feed items load it again
        for delivery in scene.ask(calls.list_deliveries(client.id, q=f"replay:{made.id}")).data:
            scene.ask(calls.cancel_delivery(delivery.id))
        await scene.console.shows("0 waiting", "2 cancelled")


async def test_an_abort_can_cancel_what_waits_and_starts_on_back(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(ReplayScreen)
        await scene.console.press("d")
        await scene.console.shows("Abort replay rpl_", "cannot be resumed")
        await scene.console.press("enter")
        await scene.console.shows("the replay was not aborted")
        assert scene.replays()[0].state == "running"
        await scene.console.press("d", "y")
        await scene.console.shows("aborted, created by")
        await scene.console.until(
            lambda: scene.screen.disabled_reason("activate") == "the replay is aborted"
        )


async def test_the_command_line_opens_a_replay_by_its_id(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        replay = scene.unfinished()
        await scene.console.press("colon", *f"replay {replay.id}", "enter")
        screen = await scene.on(ReplayScreen)
        await scene.console.shows(f"Replay {replay.id}", f"running, created by {USER}")
        assert screen.replay_id == replay.id


# Red when a viewer, to whom the server shows plans and replays, can open neither.
async def test_a_viewer_plans_and_opens_a_replay_and_runs_none(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        replay = scene.unfinished()
        scene.gate.spoil("GET /v1/status", as_role("viewer"))
        await scene.open(HooksScreen)
        scene.app.status.read_soon()
        await scene.console.shows("(viewer)")
        await scene.console.press("R")
        await scene.on(ReplayForm)
        await scene.console.shows("1 delivery, at 50 a second")
        await scene.console.press("ctrl+s")
        await scene.console.until(lambda: "needs the role operator or admin" in scene.notice)
        await scene.console.press("escape")
        await scene.on(HooksScreen)
        await scene.console.press("colon", *f"replay {replay.id}", "enter")
        await scene.on(ReplayScreen)
        await scene.console.shows(f"Replay {replay.id}")
        assert not scene.gate.count(f"{RUN}$")


# Red while a line of the plan was cut, so that a warning did not say what to do.
async def test_a_plan_shows_its_warnings_in_full(client: Client, receiver: Receiver):
    async with staged(client, receiver, size=(80, 24)) as scene:
        replay = scene.unfinished()
        await scene.open(ReplayForm)
        await scene.console.shows(
            f"! cannot be run now: hook {scene.hook.id} has the unfinished replay {replay.id};",
            "or abort it",
        )


# Red when a form at the smallest size leaves no room for its plan.
async def test_the_plan_is_seen_at_the_smallest_size(client: Client, receiver: Receiver):
    async with staged(client, receiver, size=(60, 15)) as scene:
        await scene.open(ReplayForm)
        await scene.console.shows("Hooks", "2 deliveries, about", "run")
