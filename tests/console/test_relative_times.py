"""Texts that depend on the current time advance on an open screen, while nothing else changes."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from hooktui.client import calls
from hooktui.console import app as app_module
from hooktui.console.access.token_form import NewTokenScreen
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.alerts.alerts_screen import ResolvedAlertsScreen
from hooktui.console.engine.doctor_screen import DoctorScreen
from hooktui.console.formatting import clock_time
from hooktui.console.frame import screen as screen_module
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.hooks.tabs import Tab
from hooktui.console.registry import TOP_SCREENS
from hooktui.domain.clock import now_ms
from tests.console.client import Client
from tests.console.command_scene import OPENERS, Scene, staged
from tests.support.receivers import Receiver

LATER_MS = int(timedelta(days=2, hours=3).total_seconds() * 1000)
"""So much that a time of day has become a weekday, too."""

NOT_AGAIN: dict[type[ConsoleScreen], str] = {
    DoctorScreen: "shows what the server measured, in its words",
    DiagnosisScreen: "shows what the server measured, in its words",
    NewTokenScreen: "cannot be opened again",
    ResolvedAlertsScreen: "is opened by a replay, which resolves alerts in the meantime",
}
"""Screens that do not become what they are when they are opened later."""

FIGURES = ("rates", "waiting", "database", "disk", "▸ Would have received")
"""Lines of the engine with figures that change each second, and one that a form loads by itself."""

TABS_LOADED = {0: "job.failed", 2: "subscribed", 3: "version", 4: "audit entry"}
"""A word of each tab of a hook once its data is loaded; the plots of Health have no such text."""

Way = Callable[[Scene], Awaitable[object]]
"""Opens a screen."""


class Clock:
    """The clock of the console; it stands still until the test sets it."""

    def __init__(self) -> None:
        self.at_ms = now_ms()

    def __call__(self) -> int:
        return self.at_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(app_module, "now_ms", clock)
    monkeypatch.setattr(screen_module, "TIMES_S", 0.02)
    return clock


def _body(scene: Scene) -> list[str]:
    """Return the lines on the screen, without the status line and the key line."""
    lines = scene.console.lines[:-2]
    return [line for line in lines if not line.strip().startswith(FIGURES)]


async def _advances(scene: Scene, clock: Clock, opens: Way, again: Way) -> bool:
    """Wait until an open screen is like the same one when it is opened later.

    Returns:
        Whether it was another one before.
    """
    begun_ms, ticks = clock.at_ms, 0
    await opens(scene)
    before, screen = _body(scene), scene.screen
    refresh_times = screen.refresh_times

    def count() -> None:
        nonlocal ticks
        refresh_times()
        ticks += 1

    screen.refresh_times = count
    clock.at_ms += LATER_MS
    ticks = 0
    await scene.console.until(lambda: ticks > 1)
    left_open = _body(scene)
    await again(scene)
    await scene.console.until(lambda: _body(scene) == left_open)
    clock.at_ms = begun_ms
    return left_open != before


def _way(kind: type[ConsoleScreen]) -> Way:
    return lambda scene: scene.open(kind)


async def _tokens(scene: Scene) -> None:
    """Open the tokens as they are; the usual way creates another one."""
    await scene.open(HookScreen)
    scene.app.navigation.go(TOP_SCREENS[5])


def _tab(number: int) -> Way:
    async def opens(scene: Scene) -> None:
        screen = await scene.open(HookScreen)
        screen.tabs.show(number)
        await scene.console.until(lambda: TABS_LOADED[number] in scene.console.text)

    return opens


# Red when a screen draws such a text only when its data is loaded.
async def test_an_open_screen_advances_its_times(client: Client, receiver: Receiver, clock: Clock):
    advanced = set()
    async with staged(client, receiver, (140, 40)) as scene:
        scene.ask(calls.pause())
        for kind in (kind for kind in OPENERS if kind not in NOT_AGAIN):
            again = _tokens if kind is TokensScreen else _way(kind)
            if await _advances(scene, clock, _way(kind), again):
                advanced.add(kind)
    assert len(advanced) > 14  # of 22; the others have no such text


# Red when only the visible list advances, and not the head above it or the text in a tab.
@pytest.mark.parametrize("number", TABS_LOADED, ids=list(Tab).__getitem__)
async def test_each_tab_of_a_hook_advances_its_times(
    client: Client, receiver: Receiver, clock: Clock, number: int
):
    async with staged(client, receiver, (140, 40)) as scene:
        scene.ask(calls.edit_hook(scene.hook.id, {"active": False}))
        await scene.console.shows("disabled")
        assert await _advances(scene, clock, _tab(number), _tab(number))


# Red when the age of a secret stays "just now".
async def test_the_secret_screen_advances_the_ages(
    client: Client, receiver: Receiver, clock: Clock
):
    async with staged(client, receiver) as scene:
        await scene.open(SecretScreen)
        await scene.console.press("v")
        await scene.console.shows("created just now")
        clock.at_ms += LATER_MS
        await scene.console.shows("created 2d ago")


# Red when "starting now" stays the time at which the form was opened.
async def test_the_form_advances_the_times_of_the_attempts(
    client: Client, receiver: Receiver, clock: Clock
):
    async with staged(client, receiver, (140, 60)) as scene:
        form = await scene.open(HookForm)
        form.fields.fold_title.action_act()
        form.query_one("#retry_schedule_s").focus()
        await scene.console.shows(f"starting now: {clock_time(clock.at_ms)}")
        clock.at_ms += 5 * 60_000
        await scene.console.shows(f"starting now: {clock_time(clock.at_ms)}")
