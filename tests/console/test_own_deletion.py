"""A deletion that the change feed announces before the server responds to the call itself."""

from __future__ import annotations

from collections.abc import Callable

from hooktui.client import calls
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from tests.console.client import Client
from tests.console.command_scene import Scene, staged
from tests.support.receivers import Receiver


async def press_delete(scene: Scene) -> Callable[[], bool]:
    """Answer the question of the Hook screen with yes; return whether the hook was read since."""
    await scene.open(HookScreen)
    await scene.console.press("d")
    await scene.console.shows("Delete hook")
    call = f"GET /v1/hooks/{scene.hook.id}"
    before = scene.gate.count(call)
    await scene.console.press("y")
    return lambda: scene.gate.count(call) > before


# Red when the screen takes its own deletion for that of somebody else: it left before the response
# came, and "deleted" was never shown. Seen once on a busy machine, 0.3 s after the key. Red also
# when the notice of a success has the sign of an error.
async def test_a_deletion_that_the_feed_announces_first_is_reported_as_ones_own(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        held = scene.gate.hold_answer("DELETE .*")
        was_read = await press_delete(scene)
        await scene.console.until(lambda: held.arrived == 1)
        await scene.console.until(was_read)  # the feed announced the deletion
        assert type(scene.screen) is HookScreen
        assert "deleting hook" in scene.notice
        held.release()
        await scene.on(HooksScreen)
        await scene.console.until(lambda: scene.notice == f"hook {scene.hook.id}: deleted")
        await scene.console.shows("No hooks yet")


# Red when a screen whose deletion failed stays with a hook that the feed announced as deleted.
async def test_a_deletion_whose_response_is_lost_still_leaves_the_deleted_hook(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        held = scene.gate.hold_answer("DELETE .*", drop=True)
        was_read = await press_delete(scene)
        await scene.console.until(lambda: held.arrived == 1)
        await scene.console.until(was_read)
        held.release()
        await scene.on(HooksScreen)
        await scene.console.until(lambda: "the hook does not exist any more" in scene.notice)


# Red when a screen waits for the response of a deletion that somebody else was faster with.
async def test_a_hook_that_somebody_else_deletes_first_is_left(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        held = scene.gate.hold("DELETE .*")
        await press_delete(scene)
        await scene.console.until(lambda: held.arrived == 1)
        client.ask(calls.delete_hook(scene.hook.id))
        held.release()
        await scene.on(HooksScreen)
        await scene.console.shows("No hooks yet")
