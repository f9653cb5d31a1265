"""What every screen offers besides its own commands: help, palette, ``:``, places, back, quit."""

from __future__ import annotations

import pytest
from textual.widgets import Input, TextArea

from hooktui.console.access.accounts_screen import AccountsScreen
from hooktui.console.access.audit_screen import AuditScreen
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.alerts.alerts_screen import AlertsScreen, ResolvedAlertsScreen
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.frame.command_line import CommandBar
from hooktui.console.frame.dialogs import Question
from hooktui.console.frame.help import HelpScreen
from hooktui.console.frame.palette import Palette
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import BY_NAME, EVERYWHERE, TOP_SCREENS
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from tests.console.client import Client
from tests.console.command_scene import OPENERS, Scene, staged
from tests.console.command_table import Screen, each_kind
from tests.support.receivers import Receiver

READS = {
    HooksScreen: "GET /v1/hooks",
    HookScreen: "GET /v1/hooks/{hook}",
    DeliveryScreen: "GET /v1/deliveries/{waiting}",
    DiagnosisScreen: "GET /v1/hooks/{hook}",
    EventScreen: "GET /v1/events/{event}",
    EventsScreen: "GET /v1/events",
    EngineScreen: "GET /v1/status",
    AuditScreen: "GET /v1/audit",
    TokensScreen: "GET /v1/tokens",
    AccountsScreen: "GET /v1/accounts",
    DeliveriesScreen: "GET /v1/deliveries",
    UndeliveredScreen: "GET /v1/undelivered",
    ReplaysScreen: "GET /v1/replays",
    ReplayScreen: "GET /v1/replays/rpl_[^/]+",
    AlertsScreen: "GET /v1/alerts",
    ResolvedAlertsScreen: "GET /v1/alerts",
}
"""What ctrl+r asks where the screen shows things of the server; the others read the status only."""

TRIED = {"help", "palette", "command", "reload", "back", "quit"} | {
    one.command for one in TOP_SCREENS
}


def test_all_that_is_offered_everywhere_is_tried_here():
    assert set(EVERYWHERE) == TRIED


async def open_with_free_keys(scene: Scene, screen: Screen) -> None:
    """Go to a screen, and out of a field in which letters are text."""
    await scene.open(screen)
    for _ in range(6):
        if not isinstance(scene.app.focused, Input | TextArea):
            return
        await scene.console.press("tab")
    raise AssertionError(f"{screen.__name__} has nothing but fields")


@pytest.mark.parametrize("screen", each_kind(OPENERS))
async def test_every_screen_helps_finds_takes_a_command_reloads_and_is_left(
    screen: Screen, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await open_with_free_keys(scene, screen)
        front = scene.screen
        await scene.console.press("question_mark")
        await scene.on_dialog(HelpScreen)
        await scene.console.shows("keys; Enter runs one")
        await scene.console.press("escape", "ctrl+p")
        await scene.on_dialog(Palette)
        await scene.console.press("escape")
        await scene.console.until(lambda: scene.screen is front)
        await scene.console.press("colon")
        await scene.console.until(lambda: bool(front.query(CommandBar)))
        await scene.console.press("escape")
        await scene.console.until(lambda: not front.query(CommandBar))
        scene.gate.asked.clear()
        await scene.console.press("ctrl+r")
        reads = READS.get(screen, "GET /v1/status").format(
            hook=scene.hook.id, waiting=scene.waiting.id, event=scene.delivered.event
        )
        await scene.console.until(lambda: scene.gate.count(reads))
        await scene.console.press(TOP_SCREENS[list(OPENERS).index(screen) % len(TOP_SCREENS)].key)
        wanted = screen_class(TOP_SCREENS[list(OPENERS).index(screen) % len(TOP_SCREENS)])
        await scene.on(wanted)
        await open_with_free_keys(scene, screen)
        if screen is not HooksScreen:
            await scene.console.press("escape")
            await scene.console.until(lambda: type(scene.screen) is not screen)
            await open_with_free_keys(scene, screen)
        await scene.console.press("q")
        await scene.console.until(lambda: scene.app._exit)
        assert scene.app.fault is None


@pytest.mark.soak
@pytest.mark.parametrize("screen", OPENERS, ids=lambda screen: screen.__name__)
async def test_every_digit_opens_its_screen_from_everywhere(
    screen: Screen, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for there in TOP_SCREENS:
            await open_with_free_keys(scene, screen)
            assert BY_NAME[there.command].keys == there.key
            await scene.console.press(there.key)
            await scene.on(screen_class(there))
            assert not isinstance(scene.screen, Question)
