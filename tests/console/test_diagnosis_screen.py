"""The Diagnosis screen on a real server: from x to a verdict, and what can be done with it."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from hooktui.client import calls
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.shell.change_feed import FeedChanges
from tests.console.client import Client
from tests.support.receivers import Receiver

COUNTING = re.compile(r"\([1-9]\d* s, of at most 50\)")


async def test_x_on_the_list_and_on_the_hook_says_what_is_wrong(
    open_console, client: Client, receiver: Receiver
):
    client.hook(receiver.url, name="billing")
    async with open_console(size=(80, 24)) as console:
        await console.shows("billing")
        await console.press("x")
        await console.shows("no problems: the receiver accepted a signed ping, 200", "✓ ok", "Time")
        assert len(receiver.requests) == 1
        await console.press("escape")
        await console.shows("Hooks")
        receiver.status = 404
        await console.press("enter")
        await console.shows("Deliveries")
        await console.press("x")
        await console.shows("the receiver responded 404", "To do: there is nothing at this path")
        assert "diagnose" in console.lines[-1]
        # Red when the bars take the room of what was seen.
        assert not console.app.screen.query_one("#phases").display


async def test_x_runs_it_again_and_y_copies_the_verdict(
    open_console, client: Client, receiver: Receiver
):
    receiver.status = 500
    hook = client.hook(receiver.url)
    async with open_console() as console:
        sent: list[str] = []
        console.app.copy_to_clipboard = sent.append
        await console.app.push_screen(DiagnosisScreen(hook))
        await console.shows("the receiver responded 500", "first byte", "total")
        assert console.app.screen.query_one("#phases").display
        await console.press("y")
        await console.shows("the verdict sent to the terminal")
        assert sent == [
            f"hook {hook.id}, {receiver.url}: the receiver responded 500\n"
            "it failed at this request: see its log"
        ]
        await console.press("Y")
        await console.shows("Copy as", "JSON, as the API returns it")
        await console.press("j")
        await console.shows("the diagnosis as json sent to the terminal")
        assert json.loads(sent[1])["verdict"] == "the receiver responded 500"
        receiver.status = 200
        await console.press("x")
        await console.shows("no problems")
        await console.hides("the receiver responded 500")
        assert len(receiver.requests) == 2


@contextmanager
def silent_receiver() -> Iterator[tuple[str, socket.socket]]:
    """A receiver that takes connections and never answers; gives its URL and the listener."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/in", listening


async def test_each_step_shows_as_it_ends_and_esc_cancels(open_console, client: Client):
    async with open_console() as console:
        with silent_receiver() as (url, listening):
            hook = client.hook(url, timeout_s=30)
            await console.app.push_screen(DiagnosisScreen(hook))
            await console.shows("Diagnosing the receiver")
            await console.until(lambda: COUNTING.search(console.text))
            # Red when the steps come with the verdict alone.
            await console.shows("✓ ok    address", "✓ ok    connect", "→ …     ping")
            await console.press("y")
            await console.shows("there is no verdict yet")
            await console.press("x")
            await console.shows("a diagnosis is in progress; Esc cancels it")
            await console.press("escape")
            await console.hides("Diagnosing the receiver")
            assert not isinstance(console.app.screen, DiagnosisScreen)
            listening.accept()[0].close()
        await console.app.push_screen(DiagnosisScreen(hook))
        await console.shows("nothing listens at 127.0.0.1 port")


# Red when the old verdict and its advice stay under the heading with the new URL.
async def test_a_result_says_that_the_hook_was_changed_since(
    open_console, client: Client, receiver: Receiver
):
    receiver.status = 404
    hook = client.hook(f"{receiver.url}/old")
    async with open_console() as console:
        await console.app.push_screen(DiagnosisScreen(hook))
        await console.shows("the receiver responded 404", "To do: there is nothing at this path")
        client.ask(calls.edit_hook(hook.id, {"url": f"{receiver.url}/new"}))
        await console.shows(
            f"{receiver.url}/new",
            "Before the hook was changed: ✗ the receiver responded 404",
            "To do: x diagnoses it with its new settings",
        )
        assert "there is nothing at this path" not in console.text
        receiver.released.clear()
        await console.press("x")
        await console.shows("Diagnosing the receiver")
        await console.press("escape")  # a cancelled run shows the result before it, with the note
        await console.shows("Before the hook was changed")
        receiver.released.set()
        receiver.status = 200
        await console.press("x")
        await console.shows("no problems")
        assert "Before the hook was changed" not in console.text


async def test_a_cancelled_run_leaves_what_the_one_before_found(
    open_console, client: Client, receiver: Receiver
):
    receiver.status = 404
    hook = client.hook(receiver.url, timeout_s=30)
    async with open_console() as console:
        await console.app.push_screen(DiagnosisScreen(hook))
        await console.shows("the receiver responded 404", "To do:", "Response to the ping")
        receiver.released.clear()
        await console.press("x")
        await console.shows("Diagnosing the receiver", "→ …     ping")
        await console.hides("To do:")
        await console.hides("Response to the ping")
        await console.press("escape")
        await console.shows("cancelled; showing the previous diagnosis", "responded 404", "To do:")
        await console.shows("Response to the ping")
        receiver.released.set()


async def test_a_server_that_goes_away_in_the_middle_is_reported(open_console, client: Client):
    async with open_console() as console:
        with silent_receiver() as (url, _):
            await console.app.push_screen(DiagnosisScreen(client.hook(url, timeout_s=30)))
            await console.shows("→ …     ping")
            await console.app.connection._client.close()
            await console.shows("Not diagnosed: the server at")


async def test_a_viewer_sees_why_not(open_console, client: Client, receiver: Receiver):
    client.hook(receiver.url, name="billing")
    async with open_console(role="viewer") as console:
        await console.shows("billing", "(viewer)")
        await console.press("x")
        await console.shows("yours is viewer")
        assert receiver.requests == []
        assert not isinstance(console.app.screen, DiagnosisScreen)


async def test_two_marked_hooks_are_not_diagnosed_at_once(
    open_console, client: Client, receiver: Receiver
):
    client.hook(receiver.url, name="one")
    client.hook(receiver.url, name="two")
    async with open_console() as console:
        await console.shows("one", "two")
        await console.press("ctrl+a", "x")
        await console.shows("this works on one hook, but 2 are marked")


# Red when each later change of the hook says it again, in place of what a command has said.
@pytest.mark.parametrize("screen_of", [DiagnosisScreen, SecretScreen])
async def test_that_a_hook_is_deleted_is_said_once(
    open_console, client: Client, receiver: Receiver, screen_of: type[DiagnosisScreen]
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        screen = screen_of(hook)
        await console.app.push_screen(screen)
        await console.until(lambda: screen.is_mounted)
        client.ask(calls.delete_hook(hook.id))
        await console.shows("the hook is deleted; Esc goes back")
        screen.notice("what a command says")
        await screen.changed(FeedChanges(everything=True))
        await console.shows("what a command says")


async def test_a_hook_that_is_gone_and_a_server_that_does_not_answer(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.app.push_screen(DiagnosisScreen(hook))
        await console.shows("no problems")
        client.ask(calls.delete_hook(hook.id))
        await console.shows("the hook is deleted; Esc goes back")
        await console.press("x")
        await console.shows("Not diagnosed: there is no hook", "x tries again")
        await console.press("y")  # Red when it copies the verdict of the run before.
        await console.shows("there is no verdict yet")
