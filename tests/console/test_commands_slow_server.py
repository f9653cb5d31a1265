"""Every writing command with a slow server: shown while it runs, done once, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.engine.doctor_screen import DoctorScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events import emit_screen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.frame.dialogs import Question
from hooktui.console.frame.help import HelpScreen
from hooktui.console.frame.palette import Palette
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import TOP_SCREENS
from tests.console.client import Client
from tests.console.command_scene import Scene, begin, staged
from tests.console.command_table import WRITING, Asking, Screen, each_kind, halves
from tests.console.gate import Held, says
from tests.support.receivers import Receiver
from tests.support.waiting import until

CASES = halves(WRITING, 0)


async def press_and_hold(scene: Scene, case: Asking) -> None:
    """Press a command's keys; what it asks is held at the gate."""
    await begin(scene, case)
    held = scene.gate.hold(case.pattern(scene))
    await scene.console.press(*case.keys(scene))
    await scene.console.until(lambda: held.arrived == 1)


# Red when a held answer is not told, holds up a key, or a second press asks a second time.
@pytest.mark.parametrize("cases", CASES)
async def test_while_an_answer_is_held_it_is_reported_keys_answer_and_nothing_is_asked_twice(
    cases: list[Asking], client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in cases:
            await press_and_hold(scene, case)
            await _is_told_and_done_once(scene, case)


async def _is_told_and_done_once(scene: Scene, case: Asking) -> None:
    await scene.console.until(lambda: case.working in scene.notice and scene.notice.endswith(" …"))
    if not case.typed:
        await scene.console.press("question_mark")
        await scene.on_dialog(HelpScreen)
        await scene.console.press("escape")
        await scene.console.until(lambda: type(scene.screen) is case.screen)
    # The key again, and what answers its question should that come up again.
    await scene.console.press(case.key)
    await scene.console.until(lambda: case.working in scene.notice)
    if type(scene.screen) is not case.screen:
        await scene.console.press(*case.answers(scene))
    assert not any(text in scene.console.text for text in case.shown(scene)[-1:]), case
    scene.gate.release()
    await scene.console.shows(*case.shown(scene))
    # Others may have heard of it before the answer has come.
    await scene.console.until(lambda: not scene.notice.startswith("! still"))
    assert scene.gate.count(case.pattern(scene)) == 1, case
    await _is_done(scene, case)


async def _is_done(scene: Scene, case: Asking) -> None:
    done = case.done
    assert done is not None
    await scene.console.until(lambda: done(scene))


# Red when a screen that is left takes the answer with it.
@pytest.mark.parametrize("cases", CASES)
async def test_what_is_done_after_its_screen_was_left_is_reported_on_the_screen_in_front(
    cases: list[Asking], client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in cases:
            await press_and_hold(scene, case)
            scene.leave()
            await scene.console.pilot.pause()
            assert case.screen is not type(scene.screen)
            assert not scene.notice
            scene.gate.release()
            await scene.console.until(lambda: bool(scene.notice))
            told = scene.notice
            # Home is covered, never left: it tells there what it would have told.
            wanted = case.shows[0] if case.screen is HooksScreen else case.late or f"{case.working}"
            assert wanted in told, (str(case), told)
            assert scene.gate.count(case.pattern(scene)) == 1, case
            await _is_done(scene, case)


OPENERS: dict[Screen, Callable[[Scene], object]] = {
    **{
        screen_class(client): lambda scene, client=client: scene.app.navigation.go(client)
        for client in TOP_SCREENS[1:]
    },
    HookScreen: lambda scene: scene.app.navigation.open_hook(scene.hook.id),
    DeliveryScreen: lambda scene: scene.app.navigation.open_delivery(scene.waiting.id),
    EventScreen: lambda scene: scene.app.navigation.open_event(scene.delivered.event),
    SecretScreen: lambda scene: scene.app.navigation.open_secret(scene.hook),
    DiagnosisScreen: lambda scene: scene.app.navigation.open_diagnosis(scene.hook),
    HookForm: lambda scene: scene.app.navigation.open_form(scene.hook),
    EmitScreen: lambda scene: scene.app.navigation.open_emit(),
    DoctorScreen: lambda scene: scene.app.push_screen(DoctorScreen()),
}
WITHOUT_A_READ = (LiveLogScreen, SecretScreen, EmitScreen, EngineScreen)
"""What they show is known already, or asked for by a command."""


# Red when a screen waits for its answer before it takes a key, or an answer that comes after it was
# left meets what is no more there.
@pytest.mark.parametrize("screen", each_kind(OPENERS))
async def test_a_screen_whose_answers_do_not_come_says_so_takes_keys_and_is_left(
    screen: Screen, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene, asyncio.timeout(25):  # less than a call waits
        scene.gate.hold("(?!GET /v1/feed).*")
        OPENERS[screen](scene)
        here = await scene.on(screen)
        if screen not in WITHOUT_A_READ:
            await scene.console.shows("…" if screen is not DoctorScreen else "checking, ")
        await scene.console.press("down", "up", "ctrl+p")
        await scene.on_dialog(Palette)
        await scene.console.press("escape")
        await scene.console.until(lambda: scene.screen is here)
        await scene.console.press("escape")
        await scene.on(HooksScreen)
        scene.gate.release()
        await scene.console.press("down", "up")
        await scene.console.shows("billing")
        assert not scene.notice
        assert scene.app.fault is None


async def arrives(held: Held, times: int) -> None:
    """Wait without the pilot, which waits for all messages to be dealt with."""
    await until(lambda: held.arrived >= times)


# Red when a timer of the app awaits the server: the app's messages, and so every key, wait as well.
async def test_a_status_that_does_not_come_holds_up_no_key(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene, asyncio.timeout(12):
        held = scene.gate.hold("GET /v1/status")
        scene.app.status.read_soon()
        await arrives(held, 1)
        scene.app.status.read_soon()
        await asyncio.sleep(1.5)
        assert held.arrived == 1, "a slow server is asked again before it has answered"
        await scene.console.press("question_mark")
        await scene.on_dialog(HelpScreen)
        held.release()
        await scene.console.until(lambda: scene.gate.count("GET /v1/status") > 1)


# Red when a key does nothing and says nothing while the list is read again after a refusal.
async def test_a_token_can_be_revoked_again_before_the_list_has_been_read_again(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        case = next(one for one in WRITING if one.screen is TokensScreen)
        await begin(scene, case)
        held = scene.gate.hold("GET /v1/tokens")
        scene.gate.spoil(case.pattern(scene), says(409, "somebody is at it"))
        await scene.console.press(*case.keys(scene))
        await scene.console.until(lambda: "somebody is at it" in scene.notice)
        await scene.console.until(lambda: held.arrived)
        await scene.console.press("d")
        await scene.on_dialog(Question)
        held.release()


# Red when the list of types waits for a sample that only the server has.
async def test_a_sample_that_does_not_come_holds_up_no_key(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(emit_screen, "sample", lambda *_: None)
    async with staged(client, receiver) as scene, asyncio.timeout(12):
        held = scene.gate.hold("GET /v1/events.*")
        scene.app.navigation.open_emit()
        await scene.on(EmitScreen)
        await scene.console.press("down")
        await arrives(held, 2)
        await scene.console.press("escape")
        await scene.on(HooksScreen)
        held.release()
