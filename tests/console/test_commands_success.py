"""Every command on every screen with a server that is well: it is done, and the admin sees it."""

from __future__ import annotations

from functools import partial

import pytest

from hooktui.console.widgets.document_view import DocumentView
from tests.console.client import Client
from tests.console.command_scene import Scene, begin, possible, staged
from tests.console.command_table import ASKING, QUIET, Quiet, Screen, by_screen
from tests.support.receivers import Receiver
from tests.support.waiting import until

ASKING_BY_SCREEN = by_screen(ASKING)


@pytest.mark.parametrize("screen", ASKING_BY_SCREEN, ids=lambda screen: screen.__name__)
async def test_a_command_is_done_and_the_admin_sees_it(
    screen: Screen, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in ASKING_BY_SCREEN[screen]:
            await begin(scene, case)
            assert case.done is None or not case.done(scene), case
            await scene.console.press(*case.keys(scene))
            await scene.console.shows(*case.shown(scene))
            # A list says at once how it is sorted, and asks for its rows then.
            await scene.console.until(partial(scene.gate.count, case.pattern(scene)))
            if case.done is not None:
                done = case.done
                assert scene.gate.count(case.pattern(scene)) == 1, case
                await scene.console.until(lambda done=done: done(scene))
            if case.command == "filter":
                await scene.console.press("escape")


QUIET_SCREENS = list(dict.fromkeys(case.screen for case in QUIET))


@pytest.mark.parametrize("screen", QUIET_SCREENS, ids=lambda screen: screen.__name__)
async def test_a_command_without_the_server_does_something(
    screen: Screen, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in (one for one in QUIET if one.screen is screen):
            await _does_something(scene, case)


async def _does_something(scene: Scene, case: Quiet) -> None:
    if case.twice:
        scene.fresh()
        receiver = scene.receiver
        receiver.status, receiver.body = 503, b'{"ok":false}'
        scene.try_again()
    here = await scene.open(case.screen)
    if case.before:
        shown = scene.console.text

        async def leads_there() -> bool:
            await scene.console.press(*case.before)
            await scene.console.pilot.pause()
            return scene.console.text != shown

        # A screen that reads once more is as before; and a command that undoes what these did would
        # else lead back to what was shown.
        await until(leads_there)
    await possible(scene, case.command)
    here.notices.clear()
    await scene.console.pilot.pause()
    before, copied, wrapped = scene.console.text, len(scene.copied), _wrapped(scene)
    await scene.console.press(case.key)
    if case.opens:
        await scene.console.until(lambda: type(scene.screen).__name__ == case.opens)
        await scene.console.press("escape")
    elif case.command == "copy":
        await scene.console.until(lambda: len(scene.copied) == copied + 1)
        await scene.console.shows("sent to the terminal")
    elif wrapped and case.command == "wrap":  # no line that is seen need be long
        await scene.console.until(lambda: _wrapped(scene) != wrapped)
    else:
        await scene.console.until(lambda: scene.console.text != before)
        assert scene.screen is here


def _wrapped(scene: Scene) -> list[bool]:
    return [view.wrapped for view in scene.screen.query(DocumentView)]
