"""Names of hooks in lists, headings and the log, wherever the hooks themselves are not loaded."""

import asyncio
from contextlib import suppress

import pytest

from hooktui.client import calls
from hooktui.console.shell import account as account_module
from tests.console.client import Client
from tests.console.command_scene import OPENERS, staged
from tests.console.conftest import Console
from tests.console.gate import says
from tests.support.receivers import Receiver

MANY = 40


@pytest.fixture
def hooks(client: Client, receiver: Receiver) -> list[int]:
    """Many hooks that have received the same event."""
    made = [client.hook(receiver.url, name=f"receiver-{number}") for number in range(MANY)]
    client.emit()
    receiver.wait_for(MANY)
    return [hook.id for hook in made]


async def _forget(console: Console) -> dict[int, str]:
    """Forget the names that the list of hooks has loaded, as if it had many more pages."""
    await console.shows("receiver-0 ")
    await console.press("4")  # a screen without names
    await console.shows("Engine")
    await console.until(lambda: not console.app.screen_stack[0]._changes_due)  # its last load
    names = console.app.account.hook_names
    names.clear()
    return names


def _nameless(console: Console) -> bool:
    """Return whether a visible line has a hook without its name."""
    lines = [line for line in console.lines if "job.failed" in line]
    return not lines or any("receiver-" not in line for line in lines)


# Red when only some of the visible rows get a name, or others are loaded first.
async def test_all_visible_deliveries_have_the_name_of_their_hook(open_console, hooks):
    async with open_console((140, 24)) as console:
        names = await _forget(console)
        console.app.navigation.open_deliveries("")
        await console.until(lambda: not _nameless(console))
        listing = console.app.screen.listing
        assert list(names) == [row.hook for row in listing.window.rows()][: listing.rows_high]
        await console.press("G")
        await console.until(lambda: listing.top and not _nameless(console))


async def test_names_beyond_the_queue_are_loaded_later(open_console, hooks, monkeypatch):
    """Red when a name that was dropped from the queue is not asked for again."""
    monkeypatch.setattr(account_module, "MAX_WANTED", 3)
    async with open_console((140, 24)) as console:
        await _forget(console)
        console.app.navigation.open_deliveries("")
        await console.until(lambda: not _nameless(console))


async def test_an_opened_delivery_names_its_hook(open_console, client: Client, hooks):
    """Red when the heading depends on what another screen has loaded."""
    delivery = client.deliveries(hooks[5])[0].id
    async with open_console() as console:
        await _forget(console)
        console.app.navigation.open_delivery(delivery)
        await console.shows(f"to hook {hooks[5]} receiver-5")


# Red when the log loads names only for changes that come while it is open.
async def test_the_log_names_lines_that_came_while_another_screen_was_open(open_console, hooks):
    async with open_console((140, 60)) as console:
        await console.until(lambda: console.app.log_buffer.end >= MANY)
        await _forget(console)
        await console.press("2")
        await console.until(lambda: not _nameless(console))
        assert all(f"{hook} receiver-{n} " in console.text for n, hook in enumerate(hooks))


@pytest.mark.parametrize("key", ["1", "2", "8"])
async def test_a_new_name_is_shown(open_console, client: Client, make_hook, key: str):
    """Red when a screen keeps the name that a hook had."""
    hook = make_hook(name="billing")["id"]
    client.emit()
    async with open_console() as console:
        await console.press(key)
        await console.shows(f"{hook} billing" if key != "1" else "billing", "job.failed")
        client.ask(calls.edit_hook(hook, {"name": "invoices"}))
        await console.shows("invoices")
        await console.hides("billing")


async def test_a_new_hook_has_a_name_in_the_log(open_console, make_hook, client: Client):
    async with open_console() as console:
        await console.shows("No hooks yet")
        await console.press("2")
        made = make_hook(name="billing")
        client.emit()
        await console.shows(f"{made['id']} billing")


# Red when a screen is asked to draw names before its widgets exist, or after they are gone.
async def test_names_may_arrive_while_any_screen_is_opened_and_closed(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:

        async def name_hooks() -> None:
            while True:
                scene.app.account.outdate_names(None)
                scene.app.account.add_names({scene.hook.id: scene.hook.name})
                await asyncio.sleep(0.002)

        naming = asyncio.create_task(name_hooks())
        for kind in OPENERS:  # opening one closes the one before
            await scene.open(kind)
        naming.cancel()
        with suppress(asyncio.CancelledError):
            await naming


async def test_names_that_cannot_be_loaded_are_asked_for_now_and_then(
    client: Client, receiver: Receiver, monkeypatch
):
    """Red when each redraw asks again, or none does after an error."""
    monkeypatch.setattr(account_module, "RETRY_S", 0.5)
    async with staged(client, receiver) as scene:
        call = f"GET /v1/hooks/{scene.hook.id}"
        await scene.console.shows("billing")
        scene.gate.spoil(call, says(403, "not you"))
        account = scene.app.account
        scene.gate.asked.clear()
        begun = asyncio.get_running_loop().time()
        while scene.gate.count(call) < 3:
            account.hook_names.clear()  # the list of hooks may have added it
            account.name_of(scene.hook.id)
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - begun > 2 * account_module.RETRY_S
        scene.gate.mend()
        await scene.console.until(lambda: account.name_of(scene.hook.id) == "billing")
