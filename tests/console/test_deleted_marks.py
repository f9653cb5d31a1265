"""The mark of an object that somebody else deletes: nothing acts on it any more."""

from __future__ import annotations

import pytest

from hooktui.client import calls
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.domain.errors import NotFound
from tests.console.client import Client
from tests.support.receivers import Receiver


# Red when the mark of a hook stays that the feed announces as deleted.
async def test_the_mark_of_a_hook_that_somebody_deletes_is_dropped(
    open_console, make_hook, client: Client
):
    first, second, other = (make_hook(name=f"hook {letter}")["id"] for letter in "abc")
    async with open_console() as console:
        await console.shows("hook c")
        await console.press("space", "space")
        await console.shows("2 marked")
        client.ask(calls.delete_hook(first))
        await console.shows("1 marked", "2 hooks")
        client.ask(calls.delete_hook(second))
        await console.hides("marked", "hook a", "hook b")
        listing = console.app.screen.listing
        assert [hook.id for hook in listing.selected] == [other]


# Red when the mark of a hook stays that a command did not find: each command names it again.
@pytest.mark.parametrize("key", ["p", "a", "d"])
@pytest.mark.parametrize("marked", [1, 2])
async def test_the_mark_of_a_hook_that_a_command_does_not_find_is_dropped(
    open_console, make_hook, client: Client, key: str, marked: int
):
    hooks = [make_hook(name=f"hook {letter}")["id"] for letter in "abc"]
    async with open_console() as console:
        await console.shows("hook c")
        console.app.screen.add_changes = lambda _: None  # the feed is late
        await console.press(*["space"] * marked)
        await console.shows(f"{marked} marked")
        client.ask(calls.delete_hook(hooks[0]))
        await console.press(key)
        if key == "d":
            await console.shows("Delete ")
            await console.press("y")
        await console.shows(f"there is no hook {hooks[0]} here")
        await console.until(lambda: hooks[0] not in console.app.screen.listing.marks)


# Red when only the list of hooks drops marks.
@pytest.mark.parametrize("key", ["r", "c"])
async def test_the_mark_of_a_delivery_that_a_command_does_not_find_is_dropped(
    open_console, client: Client, receiver: Receiver, key: str
):
    hook = client.hook(receiver.url, retry_schedule_s=[600.0])
    receiver.status = 500
    client.emit()
    async with open_console() as console:
        console.app.navigation.open("deliveries.deliveries_screen:DeliveriesScreen")
        await console.until(lambda: isinstance(console.app.screen, DeliveriesScreen))
        await console.shows("↻ retrying")
        await console.press("space")
        await console.shows("1 marked")
        send, delivery = console.app.connection.send, client.deliveries(hook.id)[0].id

        async def purged(call):
            if delivery in call.path and call.method == "POST":
                raise NotFound(f"there is no delivery {delivery} here")
            return await send(call)

        console.app.connection.send = purged
        await console.press(key)
        await console.shows("there is no delivery")
        await console.hides("1 marked")
