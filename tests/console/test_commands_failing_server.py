"""Every command with a server that dies: the screen stays and says what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from hooktui.console.access.accounts_screen import AccountsScreen
from hooktui.console.access.audit_screen import AuditScreen
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.alerts.alerts_screen import AlertsScreen
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.event_screen import EventScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.frame import palette
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.notices import NOTICE_S
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.hooks.tabs import Tab
from hooktui.console.navigation import screen_class
from hooktui.console.registry import LINE_COMMANDS, TOP_SCREENS
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from hooktui.console.shell.server_connection import ConnectionState
from tests.console.client import Client
from tests.console.command_scene import OPENERS, Scene, begin, possible, staged
from tests.console.command_table import ASKING, WRITING, Asking, Screen, by_screen, halves
from tests.console.gate import Spoil, half, lost, page, reset, says
from tests.support.receivers import Receiver
from tests.support.waiting import LIMIT_S

RELOADED = (
    HooksScreen, HookScreen, DeliveryScreen, EventScreen, EventsScreen, AuditScreen, TokensScreen,
    AccountsScreen, EngineScreen, DiagnosisScreen, DeliveriesScreen, UndeliveredScreen,
    ReplaysScreen, ReplayScreen, AlertsScreen,
)  # fmt: skip
"""The screens that show things of the server, which ctrl+r reads again."""

IN_DOUBT = "it may have carried out the request"
LOST = ("connection lost", "no server responds", "closed the connection before it responded")


@dataclass(frozen=True)
class Death:
    """One way to die, and what the admin must be told of it.

    Attributes:
        does: whether the server has done what it was asked to do.
        doubt: whether the admin cannot know.
    """

    how: Spoil
    told: str
    does: bool = False
    doubt: bool = True


UNDONE = (
    Death(reset, "closed the connection before it responded"),
    Death(says(500, "the disk is on fire"), "the disk is on fire"),
    Death(says(503, "the store is busy", retry_after="7"), "busy; try again in 7 s", doubt=False),
)
DONE = (
    Death(lost, "closed the connection before it responded", does=True),
    Death(half, "closed the connection before it responded", does=True),
    Death(page, "502 with text/html", does=True),
)
BY_SCREEN = by_screen(WRITING)
# Another order of a list is read as a reload is.
READING = tuple(
    case for case in ASKING if not case.writes and case.command not in ("sort", "order")
)


async def dies(scene: Scene, case: Asking, death: Death) -> None:
    """Press a command's keys while the server dies of it; see what is told."""
    await possible(scene, case.command)
    scene.gate.spoil(case.pattern(scene), death.how)
    scene.screen.notices.clear()
    await scene.console.press(*case.keys(scene))
    await scene.console.until(lambda: death.told in scene.notice or _left(scene, case))
    if not _left(scene, case):
        assert (IN_DOUBT in scene.notice) is death.doubt, (str(case), scene.notice)
        shown = scene.notice
        assert not any(text in shown for text in case.shown(scene)), (str(case), shown)
    scene.gate.mend()


def _left(scene: Scene, case: Asking) -> bool:
    """Whether the feed told that the hook is gone: a delete whose answer was lost, but not it."""
    return case.command == "delete" and type(scene.screen) is not case.screen


async def _die_of(scene: Scene, case: Asking, undone: tuple[Death, ...], done: Death) -> None:
    await begin(scene, case)
    for death in undone:
        await dies(scene, case, death)
        assert type(scene.screen) is case.screen, case
        assert case.done is not None
        assert not case.done(scene), case
    await dies(scene, case, done)


# Red when an error is not told, a lost answer counts as done or as not done, or typed text goes.
@pytest.mark.parametrize("cases", halves(WRITING, 1))
async def test_a_write_whose_answer_does_not_come_is_reported_as_what_it_is(
    cases: list[Asking], client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in cases:
            number = WRITING.index(case) // 2
            await _die_of(scene, case, (UNDONE[number % 3],), DONE[number // 3 % 3])


@pytest.mark.soak
@pytest.mark.parametrize("done", DONE, ids=lambda death: death.how.__name__)
@pytest.mark.parametrize("screen", BY_SCREEN, ids=lambda screen: screen.__name__)
async def test_a_write_dies_in_every_way(
    screen: Screen, done: Death, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in BY_SCREEN[screen]:
            await _die_of(scene, case, UNDONE, done)


# Red when a list or a screen that could not be read stays so although the server is well again.
@pytest.mark.parametrize("cases", halves(READING, 0))
async def test_what_cannot_be_read_is_reported_and_ctrl_r_reads_it(
    cases: list[Asking], client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in cases:
            await begin(scene, case)
            scene.gate.spoil(case.pattern(scene), says(500, "the disk is on fire"))
            await scene.console.press(*case.keys(scene))
            await scene.console.shows("the disk is on fire")
            scene.gate.mend()
            scene.gate.asked.clear()
            await scene.console.press(*(["ctrl+r"] if case.again is None else case.again))
            await scene.console.until(partial(scene.gate.count, case.pattern(scene)))
            await scene.console.hides("the disk is on fire")
            await scene.console.shows(case.shown(scene)[-1])
            if case.command == "filter":
                await scene.console.press("escape")


# Red when what cannot be read again ends the console, or nobody is told.
async def test_a_reload_that_fails_is_reported_on_every_screen_and_tab(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for screen in RELOADED:
            await scene.open(screen)
            for _ in range(len(Tab) if screen is HookScreen else 1):
                # Without the feed: its end has a notice of its own, which may come after.
                scene.gate.spoil("(?!.*/feed).*", says(500, "the disk is on fire"))
                scene.screen.notices.clear()
                await scene.console.press("ctrl+r")
                await scene.console.until(lambda: "the disk is on fire" in scene.notice)
                scene.gate.mend()
                scene.screen.notices.clear()
                asked = len(scene.gate.asked)
                await scene.console.press("ctrl+r")
                await scene.console.until(lambda asked=asked: len(scene.gate.asked) > asked)
                assert type(scene.screen) is screen
                if screen is HookScreen:
                    await scene.console.press("right_square_bracket")


async def test_every_screen_stays_while_the_server_is_gone_and_finds_it_again(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    for severity in NOTICE_S:  # a busy machine may look for a notice after its end
        monkeypatch.setitem(NOTICE_S, severity, LIMIT_S * 2)
    async with staged(client, receiver) as scene:
        for screen in OPENERS:
            await asyncio.to_thread(scene.fresh)  # here it would hold up the console and its gate
            await scene.open(screen)
            before = scene.screen
            await scene.console.until(
                lambda: scene.app.connection.state is ConnectionState.CONNECTED
            )
            await scene.gate.close()
            await scene.console.until(lambda: scene.app.connection.state is ConnectionState.LOST)
            # What the screen was reading just then may tell the same in its own words.
            await scene.console.until(lambda: any(words in scene.notice for words in LOST))
            assert scene.screen is before
            before.notices.clear()
            await scene.console.shows("connection lost, reconnecting")
            await scene.gate.open()
            await scene.console.until(
                lambda: scene.app.connection.state is ConnectionState.CONNECTED
            )
            assert scene.screen is before, screen


# Red when a list that is first opened without a server says "loading" for good, or stays empty.
async def test_what_is_opened_while_the_server_is_gone_says_so_and_loads_by_itself(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        navigation, waiting = scene.app.navigation, scene.waiting
        replay = await asyncio.to_thread(scene.unfinished)
        ways: list[Callable[[], object]] = [
            *(
                partial(navigation.go, top)
                for top in TOP_SCREENS
                if issubclass(screen_class(top), ListScreen)
            ),
            *(partial(navigation.show_tab, tab.screen) for tab in TOP_SCREENS[-1].tabs),
            *(partial(navigation.open, command.screen) for command in LINE_COMMANDS
              if command.screen and command.argument is None),
            partial(navigation.open_hook, scene.hook.id),
            partial(navigation.open_delivery, waiting.id),
            partial(navigation.open_event, waiting.event),
            partial(navigation.open_replay, replay.id),
        ]  # fmt: skip
        await scene.gate.close()
        await scene.console.until(lambda: scene.app.connection.state is ConnectionState.LOST)
        for way in ways:
            way()
            if way != ways[0]:  # the list of hooks is the one that was loaded before
                await scene.console.shows(
                    "Not loaded; the data loads once the server is available."
                )
            await scene.console.hides("loading")
        await scene.gate.open()
        while len(scene.app.screen_stack) > 1:  # the objects, and the list below them
            await scene.console.hides("Not loaded", "loading")
            await scene.console.press("escape")


# Red when an error ends in "loading" for good although nothing loads, or in "No attempt yet".
async def test_a_list_that_cannot_be_loaded_says_which_key_loads_it(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        scene.gate.spoil("GET .*/(deliveries/.*|events|health)", says(500, "the disk is on fire"))
        scene.app.navigation.go(next(top for top in TOP_SCREENS if top.name == "events"))
        scene.app.navigation.open_delivery(scene.waiting.id)
        await scene.console.shows("Not loaded; ^r loads the data again.", "the disk is on fire")
        await scene.console.press("escape")
        await scene.console.shows("Not loaded; ^r loads the data again.", "the disk is on fire")
        scene.app.navigation.open_hook(scene.hook.id)
        await scene.console.press("right_square_bracket")
        await scene.console.shows("not loaded; ^r loads it again")
        scene.gate.mend()
        await scene.console.press("ctrl+r")
        await scene.console.hides("not loaded")
        await scene.console.press("escape", "ctrl+r")
        await scene.console.hides("Not loaded")


# Red when the palette waits for a server that hangs: Enter then does nothing for a minute.
async def test_the_palette_goes_on_without_a_server_that_hangs_and_says_so(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    async with staged(client, receiver) as scene:
        monkeypatch.setattr(palette, "SEARCHED_WITHIN_S", 0.3)
        scene.gate.hold("GET /v1/(hooks|accounts)")
        await scene.console.press("ctrl+p", *"go to the engine")
        await scene.console.shows("hooks and accounts are not searched: the server at")
        await scene.console.press("enter")
        await scene.on(EngineScreen)
        await scene.gate.close()
        await scene.console.until(lambda: scene.app.connection.state is ConnectionState.LOST)
        await scene.console.press("ctrl+p", *"go to the hooks")
        await scene.console.shows("hooks and accounts are not searched: connection lost")
        await scene.console.press("enter")
        await scene.on(HooksScreen)


TYPED = {
    "EmitScreen-save": '{"id":9}',
    "HookForm-save-edit": "renamed",
    "HookForm-save-new": "second",
    "TokenForm-save": "robot",
    "ReplayForm-save": "2020-01-01",
}
FORMS = [case for case in WRITING if case.typed]


# Red when a form is emptied, or what is typed while the server is gone cannot be saved after it.
@pytest.mark.parametrize("case", FORMS, ids=str)
async def test_a_form_keeps_what_was_typed_and_is_saved_when_the_server_is_back(
    case: Asking, client: Client, receiver: Receiver
):
    async with staged(client, receiver, size=(110, 60)) as scene:  # the whole form
        await begin(scene, case)
        await scene.gate.close()
        await scene.console.until(lambda: scene.app.connection.state is ConnectionState.LOST)
        scene.screen.notices.clear()
        await scene.console.press("ctrl+s")
        await scene.console.until(
            lambda: "no server responds" in scene.notice or "cannot send now" in scene.notice
        )
        assert IN_DOUBT not in scene.notice
        assert TYPED[str(case)] in scene.console.text
        await scene.gate.open()
        await scene.console.until(lambda: scene.app.connection.state is ConnectionState.CONNECTED)
        await scene.console.press("ctrl+s")
        await scene.console.shows(*case.shown(scene))
        done = case.done
        assert done is not None
        assert done(scene)


# Red when a second try after a lost answer sends the event a second time.
async def test_an_event_whose_answer_was_lost_is_sent_again_and_comes_in_once(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        case = next(one for one in WRITING if one.screen is EmitScreen)
        await begin(scene, case)
        before = len(scene.events())
        await dies(scene, case, DONE[0])
        assert len(scene.events()) == before + 1
        await scene.console.press("ctrl+s")
        await scene.console.shows(*case.shows)
        assert len(scene.events()) == before + 1
        await scene.console.press("a", "ctrl+s")
        await scene.console.shows(*case.shows)
        assert len(scene.events()) == before + 2
