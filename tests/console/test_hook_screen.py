"""The Hook screen on a real server: what it shows, and what keys do there."""

from dataclasses import asdict

from hooktui.client import calls
from hooktui.console.formatting import moment
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.wire.hooks import HookStats
from hooktui.domain.wire.server import OpenBreaker
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.gate import changed
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for


async def test_a_hook_shows_its_state_its_deliveries_and_its_settings(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, name="billing", headers={"X-Team": "etl"})
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    async with open_console(size=(80, 24)) as console:
        await console.open_hook(hook.id)
        await console.shows("billing", "● active", "✓ delivered", "job.failed", "last 200")
        await console.press(*["right_square_bracket"] * 3)
        await console.shows("[Settings]", "10 attempts in 3d 3h", "sha256 in X-Hook-Signature")
        await console.press("r")
        await console.shows("this works in the tab Deliveries")
        await console.press(*["left_square_bracket"] * 3)
        await console.shows("[Deliveries]", "✓ delivered")


async def test_a_hook_without_deliveries_teaches_the_ping(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("No deliveries yet", "p  sends a ping", "nothing sent yet")
        await console.press("p")
        await console.shows("delivered: 200", "✓ delivered", "ping")


async def test_new_deliveries_and_edits_of_others_appear_by_themselves(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("No deliveries yet")
        receiver.status = 500
        client.emit()
        await console.shows("↻ retrying", "active, retrying")
        client.ask(calls.edit_hook(hook.id, {"active": False, "name": "renamed"}))
        await console.shows("renamed", "disabled by hand", "held")


# Red when the line of the state is cut: what it says last is how the deliveries go.
async def test_a_long_state_continues_on_the_next_line(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    client.ask(calls.edit_hook(hook.id, {"active": False}))
    async with open_console(size=(80, 24)) as console:
        await console.open_hook(hook.id)
        await console.shows("disabled by hand, ", "100%", "h · p95 ")
        await console.shows("[Deliveries]", "✓ delivered")


# Red while a name of 200 characters pushed state and count out of the heading.
async def test_the_heading_of_a_long_name_has_the_state_and_the_count(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, name="a very long name " * 11)
    client.emit()
    async with open_console(size=(80, 24)) as console:
        await console.open_hook(hook.id)
        await console.until(lambda: console.lines[0].endswith("● active · 1 delivery"))


async def test_a_hook_that_is_deleted_elsewhere_closes_with_a_word(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("No deliveries yet")
        client.ask(calls.delete_hook(hook.id))
        await console.shows("the hook does not exist any more", "No hooks yet")


async def test_deleting_from_the_hook_goes_back_to_the_hooks(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("No deliveries yet")
        await console.press("d")
        await console.shows(f"Delete hook {hook.id}")
        await console.press("y")
        await console.shows("deleted")
        await console.shows("No hooks yet")


async def test_the_filter_speaks_the_language_of_the_log_and_names_the_column_of_a_mistake(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    client.emit("job.failed")
    client.emit("job.started")
    wait_for(lambda: len(client.deliveries(hook.id, "delivered")) == 2)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("job.failed", "job.started", "2 deliveries")
        await console.press("slash", *"event:job.started")
        await console.shows("1 delivery", "filter: event:job.started")
        await console.hides("job.failed")
        await console.press("space", *"colour:red")
        await console.shows("column")
        await console.press("escape")
        await console.shows("2 deliveries")
        await console.press("slash", *"status:failed", "enter")
        await console.shows("No delivery matches the filter")
        await console.press("escape")
        await console.shows("2 deliveries")


async def test_marked_deliveries_are_cancelled_and_sent_again_together(
    open_console, client: Client, receiver: Receiver
):
    hook = client.retrying_hook(receiver, 3)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("3 deliveries", "↻ retrying")
        await console.press("space", "space")
        await console.shows("2 marked")
        await console.press("c", "y")
        await console.shows("2 deliveries cancelled", "⊘ cancelled")
        await console.hides("marked")
        receiver.status = 200
        await console.press("home", "space", "space")
        await console.shows("2 marked")
        await console.press("r", "y")
        await console.shows("2 deliveries sent again", "5 deliveries", "✓ delivered")
        await console.hides("marked")


async def test_a_viewer_may_look_and_not_act(open_console, client: Client, receiver: Receiver):
    hook = client.hook(receiver.url)
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    async with open_console(role="viewer") as console:
        await console.shows("(viewer)")
        await console.open_hook(hook.id)
        await console.shows("✓ delivered")
        for key in ("p", "r", "c", "a", "d", "e", "s"):
            await console.press(key)
            await console.shows("this needs the role")
            console.app.screen.notices.clear()
        assert isinstance(console.app.screen, HookScreen)


# Red when the deliveries of the account in view are listed: it has none of this hook.
async def test_a_hook_of_another_account_shows_its_deliveries_and_says_so(
    open_console, client: Client, receiver: Receiver
):
    other = client.ask(calls.create_account(f"elsewhere {client.id}"))
    hook = client.ask(calls.create_hook(other.id, {"url": receiver.url, "events": ["job"]}))
    client.ask(calls.send_event(other.id, "job.failed", b"{}"))
    async with open_console(size=(120, 40)) as console:
        await console.open_hook(hook.id)
        await console.shows("✓ delivered", f"belongs to account {other.id}")


# Red when a ping arrives and nothing says why the deliveries still wait, or how long.
async def test_an_open_breaker_says_when_it_allows_the_next_attempt(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        probe_ms = scene.app.clock() + 3_600_000
        breaker = OpenBreaker(
            hook=scene.hook.id, name="billing", probe_at=to_rfc3339(probe_ms), failures=10
        )
        stats = HookStats(breaker="open", failing=True)
        scene.gate.spoil("GET /v1/status", changed(breakers=[asdict(breaker)]))
        scene.gate.spoil(f"GET /v1/hooks/{scene.hook.id}", changed(stats=asdict(stats)))
        until = f"until {moment(probe_ms, scene.app.clock())}"
        await scene.open(HookScreen)
        await scene.console.press("ctrl+r")
        await scene.console.shows(f"active, failing, breaker open {until}")
        await scene.console.press("p")
        await scene.console.shows("delivered: 200", f"the breaker stays open {until}")
