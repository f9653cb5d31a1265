"""Commands act on what is visibly chosen, or say why not: from the keys to the server."""

from __future__ import annotations

from hooktui.client import calls
from hooktui.console.hooks.hooks_screen import HooksScreen
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.conftest import Console
from tests.console.gate import says
from tests.support.receivers import Receiver


def named(console: Console) -> str:
    """Return the name of the hook under the cursor."""
    return console.app.screen.listing.cursor_row.name


# Red when `p` acts on the hook under the cursor of a list that the keys do not go to.
async def test_commands_on_hooks_are_refused_while_the_keys_go_to_the_log(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("tab", "p")
        await console.shows("the live log has the focus, not a hook; Tab goes to the hooks")
        await console.press("z", "d")
        await console.shows("not a hook; z shows the hooks")
        await console.press("slash", "escape", "a")  # the filter gives the keys back to the log
        await console.shows("not a hook; z shows the hooks")
        await console.press("z", "p")
        await console.shows("(billing) delivered: 200")


# Red when marks that a filter hides are acted on beside what is seen.
async def test_marked_hooks_that_a_filter_hides_are_counted_and_not_acted_on(
    open_console, make_hook, client: Client
):
    hooks = [make_hook(name=name) for name in ("billing", "backup")]
    async with open_console() as console:
        await console.shows("backup")
        await console.press("space", "slash", *"backup", "enter")
        await console.shows("1 marked (1 hidden by the filter)")
        await console.press("a")
        await console.shows("1 of 1 marked hook is hidden by the filter; Esc unmarks all")
        await console.press("slash", "escape", "a")
        await console.shows("(billing) disabled")
        assert [client.ask(calls.get_hook(one["id"])).active for one in hooks] == [False, True]


# Red when a command acts on the neighbour of a hook that another admin has just deleted (the cursor
# went there by itself), or when it never acts again.
async def test_a_command_does_not_hit_the_neighbour_of_a_hook_that_is_gone(
    open_console, make_hook, client: Client
):
    hooks = [make_hook(name=f"hook {letter}") for letter in "abc"]
    async with open_console() as console:
        await console.shows("hook c")
        await console.press("j")
        client.ask(calls.delete_hook(hooks[1]["id"]))
        await console.hides("hook b")
        await console.press("a")
        await console.shows("the cursor is now on another hook; check it, then press a again")
        await console.press("a")
        await console.shows("(hook c) disabled")
        assert client.ask(calls.get_hook(hooks[0]["id"])).active


# Red for A7: the cursor stayed where it was, and `p` pinged another hook than the new one.
async def test_a_hook_that_was_just_made_is_the_chosen_one(open_console, make_hook, receiver):
    make_hook(name="first")
    async with open_console() as console:
        await console.shows("first")
        await console.press("n", "enter", *receiver.url, "tab", *"second", "tab", "tab", "space")
        await console.press("ctrl+s")
        await console.shows("created. Give this secret")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, HooksScreen))
        await console.until(lambda: named(console) == "second")
        await console.press("p")
        await console.shows("(second) delivered: 200")


async def test_a_hook_that_was_just_made_and_is_hidden_by_a_filter_is_not_its_neighbour(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        screen = await scene.open(HooksScreen)
        await scene.console.press("slash", *"bill", "enter")
        await scene.console.shows("filter: bill")
        made = client.hook(receiver.url, name="other")
        scene.app.navigation.select("Hooks", made.id)
        await scene.console.until(lambda: not screen.listing._loading.locked())
        await scene.console.press("p")
        await scene.console.until(lambda: "check it, then press p again" in scene.notice)
        assert not scene.gate.count("POST .*/ping")


# Red when the row is looked up when the work of a command begins, not when its key was handled.
async def test_a_command_acts_on_the_hook_that_was_under_the_cursor_when_its_key_came(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        other = client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        screen = await scene.open(HooksScreen)
        screen.run_command("ping")
        screen.listing.put_cursor_on(other.id)  # before the worker has begun
        await scene.console.until(lambda: "(billing) delivered" in scene.notice)
        assert not scene.gate.count(f"POST /v1/hooks/{other.id}/ping")


# Red when `u` switches a hook of the account that was looked at before.
async def test_undo_does_not_reach_into_another_account(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(HooksScreen)
        await scene.console.press("a")
        await scene.console.until(lambda: "(billing) disabled" in scene.notice)
        other = scene.ask(calls.create_account(f"undo {client.id}"))
        await scene.app.use_account(other.id)
        await scene.console.press("u")
        await scene.console.until(lambda: "there is nothing to undo" in scene.notice)
        assert not scene.ask(calls.get_hook(scene.hook.id)).active


# Red when `u` tries again, without end, to switch a hook that was deleted meanwhile.
async def test_undo_leaves_out_a_hook_that_was_deleted(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(HooksScreen)
        await scene.console.press("a")
        await scene.console.until(lambda: "(billing) disabled" in scene.notice)
        scene.gate.spoil("PATCH .*", says(404, "there is no hook here"))
        await scene.console.press("u")
        await scene.console.until(lambda: "there is no hook" in scene.notice)
        await scene.console.press("u")
        await scene.console.until(lambda: "there is nothing to undo" in scene.notice)


# Red when `u` reaches past what is being done to what was done before that.
async def test_undo_turns_round_nothing_older_than_what_is_under_way(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        other = client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        await scene.open(HooksScreen)
        await scene.console.press("a")
        await scene.console.until(lambda: "(billing) disabled" in scene.notice)
        held = scene.gate.hold_answer("PATCH .*")
        await scene.console.press("down", "a")
        await scene.console.until(lambda: held.arrived == 1)
        await scene.console.press("u")
        await scene.console.until(lambda: "still disabling" in scene.notice)
        held.release()
        await scene.console.until(lambda: "(other) disabled" in scene.notice)
        assert not scene.ask(calls.get_hook(scene.hook.id)).active
        await scene.console.press("u")
        await scene.console.until(lambda: scene.ask(calls.get_hook(other.id)).active)
        assert not scene.ask(calls.get_hook(scene.hook.id)).active


# Red when a deactivation that the server refuses takes the undo of the last one away.
async def test_undo_turns_round_what_was_done_before_a_refusal(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        await scene.open(HooksScreen)
        await scene.console.press("a")
        await scene.console.until(lambda: "(billing) disabled" in scene.notice)
        scene.gate.spoil("PATCH .*", says(409, "somebody changed it"))
        await scene.console.press("down", "a")
        await scene.console.until(lambda: "somebody changed it" in scene.notice)
        scene.gate.mend()
        await scene.console.press("u")
        await scene.console.until(lambda: "undone: 1 hook enabled again" in scene.notice)
        assert scene.ask(calls.get_hook(scene.hook.id)).active


# Red when a command acts on the first row of a filtered list before anybody can have seen it there.
async def test_a_command_waits_until_its_row_has_been_drawn(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        screen = await scene.open(HooksScreen)
        screen.filter.text = "other"
        await screen.listing.load()  # after its answer nothing is awaited: no frame is drawn
        screen.run_command("ping")
        await scene.console.until(lambda: "still being drawn; press p again" in scene.notice)
        assert not scene.gate.count("POST .*/ping")
        await scene.console.press("p")
        await scene.console.until(lambda: "(other) delivered: 200" in scene.notice)


# Red when the undo reads what was toggled only when its worker begins: the console then ends.
async def test_an_undo_in_the_same_burst_as_another_change_undoes_what_was_done_before(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        other = client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        screen = await scene.open(HooksScreen)
        await scene.console.press("a")
        await scene.console.until(lambda: "(billing) disabled" in scene.notice)
        screen.listing.put_cursor_on(other.id)
        await scene.console.until(lambda: screen.disabled_reason("activate") is None)
        screen.run_command("activate")
        screen.run_command("undo")  # before the worker of the change has begun
        await scene.console.until(lambda: scene.ask(calls.get_hook(scene.hook.id)).active)
        await scene.console.until(lambda: not scene.ask(calls.get_hook(other.id)).active)
        assert scene.app.is_running


# Red when Enter is silent on an empty list or log: every other key says why it does nothing.
async def test_enter_says_why_it_opens_nothing(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet.")
        await console.press("enter")
        await console.shows("there is no hook under the cursor; n creates one")
        await console.press("tab", "enter")
        await console.shows("there is no delivery under the cursor yet")
        await console.press("9", "enter")
        await console.shows("there is no alert under the cursor")
        await console.press("2", "enter")
        await console.shows("there is no delivery under the cursor yet")


# Red when an Enter that comes too soon is lost without a word.
async def test_enter_on_a_list_that_loads_says_so(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        held = scene.gate.hold("GET /v1/undelivered")
        await scene.console.press("8", "right_square_bracket")
        await scene.console.until(lambda: held.arrived)
        await scene.console.pilot.press("enter")
        await scene.console.shows("the list is still loading; press Enter again")
        held.release()
        await scene.console.press("enter")
        await scene.console.shows("cause:http_5xx")
