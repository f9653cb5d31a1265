"""The events, one event with its reasons, and the dialog that sends one, on a real server."""

from hooktui.client import calls
from hooktui.console.app import ConsoleApp
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.domain.ids import encode
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.conftest import Console
from tests.console.gate import changed
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for


async def test_the_list_shows_what_came_in_and_follows(open_console, make_hook, client):
    make_hook(name="billing")
    client.emit()
    async with open_console() as console:
        await console.press("3")
        await console.shows("Events  1 event", "job.failed", "✓ delivered")
        client.emit("cluster.error")
        await console.shows("2 events", "cluster.error", "no hook")
        await console.press("slash", *"hook:1")
        await console.shows("column 1: events have no hook:")
        await console.press(*["backspace"] * 6, *"event:job", "enter")
        await console.shows("filter: event:job", "1 event")
        await console.hides("cluster.error")
        await console.press("escape")
        await console.shows("2 events", "cluster.error")
        await console.press("O")
        await console.shows("oldest first")
        await console.until(lambda: console.text.index("job.failed") < console.text.index("error"))


async def test_a_replay_begins_with_the_events_that_the_filter_matches(open_console, client):
    client.emit()
    async with open_console() as console:
        await console.press("3", "slash", *"event:job", "enter")
        await console.shows("filter: event:job", "1 event")
        await console.press("R")
        await console.until(lambda: isinstance(console.app.screen, ReplayForm))
        form = console.app.screen
        await console.until(lambda: form.is_mounted)
        await console.until(lambda: form.values().filter == "event:job")
        assert (form.values().hooks, form.values().mode) == ("all", "failed")


async def test_an_empty_list_says_what_events_are(open_console):
    async with open_console() as console:
        await console.press("3")
        await console.shows("No events yet", "sends one, starting from a sample")
        await console.press("enter")
        assert not isinstance(console.app.screen, EventScreen)


async def test_an_event_says_of_every_hook_why(open_console, make_hook, client, receiver):
    make_hook(name="billing")
    make_hook(name="narrow", filter="data.id:8")
    make_hook(name="off", active=False)
    other = make_hook(name="other", events=["cluster"])
    client.emit()
    async with open_console() as console:
        await console.press("3")
        await console.shows("✓ delivered")
        await console.press("enter")
        await console.shows(
            "1 delivery, skipped 2 hooks",
            "delivered at",
            "data.id:8 (it is 7)",
            "was disabled when the event was received",
            "subscribes to cluster",
            '"id": 7',
        )
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, DeliveryScreen))
        await console.press("escape", "G", "enter")
        await console.until(lambda: isinstance(console.app.screen, HookScreen))
        assert console.app.screen.hook_id == other["id"]


# Red when the time alone selects the event: those of one call have the same.
async def test_a_replay_is_planned_of_one_event_to_the_hook_under_the_cursor(
    open_console, make_hook, client
):
    billing, off = make_hook(name="billing"), make_hook(name="off", active=False)
    lines = b'{"type":"job.failed","data":{"id":7}}\n' * 3
    sent = client.ask(calls.send_many(client.id, lines)).data[1]
    wait_for(lambda: len(client.deliveries(billing["id"], "delivered")) == 3)
    async with open_console() as console:
        await console.shows("billing")
        console.app.navigation.open_event(sent.id)
        await console.shows('"id": 7')
        screen = console.app.screen
        for hook, mode in ((billing, "sent"), (off, "never-sent")):
            await console.until(lambda hook=hook: screen.listing.put_cursor_on(hook["id"]))
            await console.press("R")
            await console.until(lambda: isinstance(console.app.screen, ReplayForm))
            await console.until(lambda: console.app.screen.focused is not None)
            values = console.app.screen.values()
            assert (values.hooks, values.mode) == (str(hook["id"]), mode)
            await console.shows("1 delivery, ", "at 50 a second")
            await console.press("escape")


async def test_an_event_follows_its_deliveries(open_console, make_hook, client, receiver):
    receiver.status = 500
    make_hook(name="billing", retry_schedule_s=[1.5])
    sent = client.emit()
    async with open_console() as console:
        await console.shows("billing")
        console.app.navigation.open_event(sent.id)
        await console.shows("✗ failed", "gave up")


async def test_an_event_follows_new_deliveries_and_changed_hooks(
    open_console, make_hook, client, receiver
):
    # Red when only the deliveries that are shown already are followed.
    receiver.status = 500
    hook = make_hook(name="billing", retry_schedule_s=[])
    sent = client.emit()
    async with open_console() as console:
        await console.shows("billing")
        console.app.navigation.open_event(sent.id)
        await console.shows("✗ failed", "1 delivery")
        client.ask(calls.resend_delivery(client.deliveries(hook["id"], "failed")[0].id))
        await console.shows("2 deliveries", "the latest of 2 deliveries")
        client.ask(calls.edit_hook(hook["id"], {"name": "accounting"}))
        await console.shows("accounting")


async def test_an_event_that_is_not_there_is_reported(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        console.app.navigation.open_event(encode("evt", 7))
        await console.shows("there is no event", "No hooks yet")
        assert not isinstance(console.app.screen, EventScreen)


async def test_a_sample_is_sent_and_the_answer_says_where_it_went(
    open_console, make_hook, client, receiver
):
    make_hook(name="billing")
    make_hook(name="off", active=False)
    async with open_console() as console:
        await console.press("3")
        await console.shows("No events yet")
        await console.press("E")
        await console.shows("job.submitted", '"status": "idle"')
        await console.press(*"failed", "enter")
        await console.shows('"status": "failed"', "^s sends it")
        await console.press("x")
        await console.shows("line 1, column 1: expecting value")
        await console.press("ctrl+s")
        await console.shows("expecting value")
        assert isinstance(console.app.screen, EmitScreen)
        assert not receiver.requests
        await console.press("backspace", "ctrl+s")
        await console.shows("1 delivery, 1 skipped", "job.failed accepted.")
        await console.press("enter")
        await console.shows("was disabled when the event was received")
        assert isinstance(console.app.screen, EventScreen)
    wait_for(lambda: receiver.requests)
    (got,) = receiver.requests
    assert b'"status": "failed"' in got.body


async def test_a_typed_body_is_not_lost_by_another_type_or_esc(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        console.app.navigation.open_emit("job.failed", '{"mine": 1}')
        await console.shows('{"mine": 1}', "Send an event  job.failed")
        await console.press("end", "backspace", *", 2}")
        await console.shows('{"mine": 1, 2}', "line 1, column")
        await console.press("shift+tab", "up")
        await console.shows("Send an event  job.completed", '{"mine": 1, 2}')
        await console.press("escape")
        await console.shows("Leave without sending?")
        await console.press("s")
        await console.shows('{"mine": 1, 2}')
        await console.press("escape", "y")
        await console.shows("No hooks yet")


async def test_who_may_not_send_sees_why(open_console, client):
    client.emit()
    for role in ("viewer", "operator"):
        async with open_console(role=role) as console:
            await console.shows(f"({role})")
            await console.press("3")
            await console.shows("job.failed")
            await console.press("E")
            await console.shows(f"yours is {role}")
            assert not isinstance(console.app.screen, EmitScreen)
            await console.press("enter")
            await console.shows("This account has no hooks")


async def test_without_a_server_every_key_answers_and_a_typed_body_stays(tmp_path):
    """Red when sending waits for ever, or leaves as if it had sent."""
    options = ConsoleOptions(connect="http://127.0.0.1:9")
    app = ConsoleApp(options, environ={"HOOKTUI_HOME": str(tmp_path), "TERM": "xterm-256color"})
    async with app.run_test(size=(120, 30)) as pilot:
        console = Console(app, pilot)
        await console.shows("no server responds")
        await console.press("3", "E", *"failed", "enter")
        await console.shows('"status": "failed"', "Send an event  job.failed")
        await console.press("ctrl+s")
        await console.shows("cannot send now", '"status": "failed"')
        assert isinstance(app.screen, EmitScreen)
        app.pop_screen()
        app.navigation.open_event(encode("evt", 7))
        await console.pilot.press("y", "ctrl+f")
        await console.shows("the event is not loaded yet")
        await console.press("question_mark")
        await console.shows("Event: keys; Enter runs one")


# Red when the sentence about a purged body is shown as the bytes of one.
async def test_a_purged_body_has_no_bytes(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        scene.gate.spoil("GET /v1/events/evt_.*", changed(body=None, body_base64=None))
        await scene.open(EventScreen)
        await scene.console.shows("The body is purged")
        assert "as it was sent" not in scene.console.text
        await scene.console.press("b")
        await scene.console.shows("The body is purged")
        assert "00000000" not in scene.console.text
