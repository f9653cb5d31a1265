"""The tabs of the Hook screen on a real server: what they show, when, and what keys do there."""

from __future__ import annotations

from hooktui.client import calls
from hooktui.client.start import start_server
from hooktui.console.app import ConsoleApp
from hooktui.console.hooks.history import HookHistory
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import HooktuiError, NotAllowed
from hooktui.domain.paths import paths_of
from hooktui.domain.wire.access import AuditEntry
from hooktui.domain.wire.pages import Page
from tests.console.bare import BareApp
from tests.console.client import Client
from tests.console.conftest import Console
from tests.console.screen_text import seen, until
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

NEXT, BEFORE = "right_square_bracket", "left_square_bracket"


async def opened(console: Console, hook: int, tab: int) -> HookScreen:
    """Open a hook and go to one of its tabs, counted from 0."""
    await console.open_hook(hook)
    await console.shows("state ")
    await console.press(*[NEXT] * tab)
    screen = console.app.screen
    assert isinstance(screen, HookScreen)
    return screen


async def test_the_health_tab_shows_failures_and_follows_them_by_itself(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=[3600])
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    async with open_console(size=(80, 24)) as console:
        await opened(console, hook.id, 1)
        await console.shows("[Health]", "0 failed", "1 delivered (100%)", "duration", "backlog")
        await console.shows("steps of 10m", "0 in the backlog")
        receiver.status = 500
        client.emit()
        # Red when what changes between two looks is left out, or the backlog is not that of now.
        await console.shows("1 failed", "1 delivered (50%)", "1 in the backlog")


# Red when the keys of another tab do nothing, without a word, at the first and the last one.
async def test_the_first_and_the_last_tab_say_so(open_console, client: Client, receiver: Receiver):
    hook = client.hook(receiver.url)
    async with open_console(size=(80, 24)) as console:
        await opened(console, hook.id, 0)
        await console.press(BEFORE)
        await console.shows("! this is the first tab")
        await console.press(*[NEXT] * 5)
        await console.shows("[History]", "! this is the last tab")
        await console.press("8")
        await console.shows("[All]", "No deliveries yet.")
        await console.press(BEFORE)
        await console.shows("! this is the first tab")
        await console.press(NEXT)
        await console.shows("[Undelivered]")
        await console.press(NEXT)
        await console.shows("[Replays]")
        await console.press(NEXT)
        await console.shows("! this is the last tab")


async def test_plus_and_minus_choose_the_time_and_say_where_it_ends(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await opened(console, hook.id, 1)
        await console.shows("[24 h]", "steps of 10m")
        await console.press("plus")
        await console.shows("[7 d]", "steps of 1h")
        await console.press("plus")
        await console.shows("7 d is the longest time")
        await console.press("minus", "minus")
        await console.shows("[1 h]", "steps of 5m")
        await console.press("minus")
        await console.shows("1 h is the shortest time")


async def test_the_mark_tells_the_numbers_of_another_step(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await opened(console, hook.id, 1)
        await console.shows("to now  no attempts")
        await console.press("left")
        await console.hides("to now")
        await console.press("end")
        await console.shows("to now  no attempts")


async def test_keys_of_the_deliveries_say_where_they_work(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        screen = await opened(console, hook.id, 1)
        await console.shows("[Health]")
        for key in ("r", "c", "slash", "space", "o", "O"):
            await console.press(key)
            await console.shows("this works in the tab Deliveries")
            screen.notices.clear()
        await console.press("enter")
        await console.shows("there is nothing to open here")
        await console.press(BEFORE, "plus")
        await console.shows("[Deliveries]", "+ and - change the plots' time range")


async def test_the_events_tab_counts_what_came_of_each_type(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, events=["job", "cluster.error"])
    client.emit("job.failed")
    client.emit("job.failed")
    wait_for(lambda: len(client.deliveries(hook.id, "delivered")) == 2)
    async with open_console() as console:
        await opened(console, hook.id, 2)
        await console.shows("[x] job.failed: by its group, 2 deliveries")
        await console.shows("[x] cluster.error: subscribed, no deliveries", "[ ] cluster.idled")


async def test_the_history_tells_who_changed_what_and_follows_by_itself(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, name="first")
    client.hook(receiver.url, name="another")
    async with open_console(size=(80, 24)) as console:
        screen = await opened(console, hook.id, 4)
        await console.shows("[History]", "created", "Hook created", f"URL: {receiver.url}")
        # Red when the history is that of all hooks.
        assert screen.query_one(HookHistory).listing.window.total == 1
        client.ask(calls.edit_hook(hook.id, {"name": "se[/b]cond", "timeout_s": 9}))
        await console.shows("changed", "name: first → se[/b]c")
        await console.press("home")
        await console.shows("Hook changed", "deadline: 30s → 9s")
        await console.press("enter")
        await console.until(lambda: console.app.focused and console.app.focused.id == "entry")


async def test_a_copy_takes_what_is_under_the_cursor_of_each_tab(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, name="first")
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    async with open_console() as console:
        copied: list[str] = []
        console.app.copy_to_clipboard = copied.append
        await opened(console, hook.id, 0)
        await console.shows("✓ delivered")
        await console.press("y")
        await console.shows("the delivery's id sent to the terminal")
        await console.press(NEXT)
        await console.shows("steps of 10m")
        plot = console.text
        await console.press("y")
        await console.shows("the marked step sent to the terminal")
        await console.press(NEXT, "down", "y")
        await console.shows("a line of the selection sent to the terminal")
        await console.press(NEXT, NEXT)
        await console.shows("Hook created")
        await console.press("y")
        await console.shows("the change sent to the terminal")
        assert copied[0] == client.deliveries(hook.id)[0].id
        assert "to now  " in copied[1]
        assert copied[1] in plot  # a step of 10 minutes may begin after the delivery
        assert copied[2].startswith("none: every event")
        assert copied[3].startswith(f"URL: {receiver.url}, events: job, name: first")


async def test_a_viewer_reads_every_tab(open_console, client: Client, receiver: Receiver):
    hook = client.hook(receiver.url)
    async with open_console(role="viewer") as console:
        await console.shows("(viewer)")
        await opened(console, hook.id, 1)
        await console.shows("[Health]", "steps of 10m")
        await console.press(NEXT)
        await console.shows("[Events]", "[x] job.failed: by its group")
        await console.press(NEXT)
        await console.shows("[Settings]", "10 attempts in 3d 3h")
        await console.press(NEXT)
        await console.shows("[History]", "Hook created")


async def test_a_server_that_is_gone_holds_up_no_tab_and_leaves_what_was_shown(
    tmp_path, served, receiver: Receiver
):
    environ = served | {"HOOKTUI_HOME": str(tmp_path)}
    server = start_server(paths_of(environ), environ)
    client = Client(environ, 1)
    hook = client.hook(receiver.url)
    app = ConsoleApp(environ=environ)
    try:
        async with app.run_test(size=(120, 30)) as pilot:
            console = Console(app, pilot)
            await console.shows("(admin)")
            await opened(console, hook.id, 1)
            await console.shows("steps of 10m")
            server.terminate()
            server.wait(20)
            # The feed says it, and so does each load that failed, whichever came last.
            await console.until(
                lambda: "connection lost" in console.text or "no server responds" in console.text
            )
            await console.press("plus")
            # Red when the plots are taken away before the others are there.
            await console.shows("[24 h]", "steps of 10m", "backlog")
            await console.press(NEXT, NEXT)
            await console.shows("[Settings]", "10 attempts in 3d 3h")
    finally:
        client.close()
        server.kill()
        server.wait(20)


class Forbidden:
    """A source of rows to which the server says no."""

    async def page(self, _: object) -> Page[AuditEntry]:
        raise NotAllowed("this needs the role viewer")


class RecordingApp(BareApp):
    """Records the failure that the history leaves to its screen."""

    failed: HooktuiError | None = None

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        self.failed = message.error


# Red when a refusal is a notice that goes away, and an empty list that says nothing was done.
async def test_a_history_that_may_not_be_read_says_why():
    history = HookHistory(Forbidden(), lambda: 0, id="history")
    app = RecordingApp(history)
    async with app.run_test(size=(80, 24)) as pilot:
        await history.listing.reload()
        await until(pilot, lambda: "You may not read the history" in seen(pilot))
        assert "needs the role viewer" in seen(pilot)
        assert app.failed is None
