"""Another account is shown while something of the one before is still open or in progress."""

import asyncio

import httpx
import pytest

from hooktui.console.shell import change_feed
from hooktui.console.shell.server_connection import ConnectionState
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.gate import FEED, reset
from tests.support.receivers import Receiver


@pytest.fixture
def other(api: httpx.Client, account: int) -> int:
    """The number of another account, without hooks."""
    made = api.post("/v1/accounts", json={"name": f"other than {account}"})
    number: int = made.json()["id"]
    return number


# Red when the input of the filter stays open: its text is then not the filter of the list.
async def test_an_open_filter_closes_with_its_account(open_console, make_hook, other):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("slash", *"bill")
        await console.shows("filter /", "· filter: bill")
        await console.app.use_account(other)
        await console.shows("switched to account", "No hooks yet")
        assert "filter /" not in console.text
        await console.press("n")
        await console.shows("New hook")


# Red when a text is applied that was typed in the account before, just before the switch.
async def test_a_filter_that_is_not_applied_yet_is_not_that_of_the_next_account(
    open_console, make_hook, other
):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("slash")
        part = console.app.screen.filter
        part._type("bill")
        await console.app.use_account(other)
        await console.shows("switched to account", "No hooks yet")
        part._apply_typed("bill")  # as the timer does that is running since
        assert part.text == ""


# Red when the notice names the key of undo, which has nothing to undo in the next account.
async def test_what_ends_after_a_switch_names_no_undo(open_console, make_hook, other):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        ask, go_on = console.app.connection.send, asyncio.Event()

        async def slow(call):
            answer = await ask(call)
            if call.method == "PATCH":
                await go_on.wait()
            return answer

        console.app.connection.send = slow
        await console.press("a")
        await console.shows("disabling hook")
        await console.app.use_account(other)
        go_on.set()
        await console.shows("(billing) disabled; its new events are skipped")
        assert "undoes" not in console.text
        await console.press("u")
        await console.shows("there is nothing to undo")


# Red when a switch forgets the loss: the status line then shows it until the next one.
async def test_a_switch_after_a_lost_connection_shows_that_it_is_back(
    client: Client, receiver: Receiver, other: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(change_feed, "BACK_OFF_S", (3600,))  # only the switch reads again
    async with staged(client, receiver) as scene:
        await scene.console.shows("following")
        scene.gate.spoil(FEED, reset)
        client.emit()
        await scene.console.shows("connection lost, reconnecting")
        scene.gate.mend()
        await scene.console.app.use_account(other)
        await scene.console.shows("No hooks yet")
        connection = scene.console.app.connection
        await scene.console.until(lambda: connection.state is ConnectionState.CONNECTED)
