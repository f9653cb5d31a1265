"""Every command acts on the thing that was chosen, whatever has happened to the list since.

Each screen is opened with the cursor on a row among others. After each change (sort, order, reload,
filter on and off, a change by somebody else, a resize, another screen and back) every command is
pressed, and the id that reaches the server, or the screen that opens, must be that row's. The
gate refuses what would change something, so that all commands are tried on the same things.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from hooktui.client import calls
from hooktui.console.access.accounts_screen import AccountsScreen
from hooktui.console.access.audit_screen import AuditScreen
from hooktui.console.access.token_form import TokenForm
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.alerts.alerts_screen import AlertsScreen, ResolvedAlertsScreen
from hooktui.console.deliveries.deliveries_screen import DeliveriesScreen
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.deliveries.undelivered_screen import UndeliveredScreen
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.hooks.diagnosis_screen import DiagnosisScreen
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.replays.replay_screen import ReplayScreen
from hooktui.console.replays.replays_screen import ReplaysScreen
from tests.console.client import Client, tried_once
from tests.console.command_scene import HOUR_S, Scene, possible, staged
from tests.console.command_table import ASKING, BY_NAME, QUIET, Screen
from tests.console.gate import says
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

WRITES = "(POST|PATCH|DELETE) .*"
CREATES = {
    (EmitScreen, "save"), (TokenForm, "save"), (AccountsScreen, "new"), (EngineScreen, "activate"),
    (ReplayForm, "save"),
}  # fmt: skip
"""What acts on no thing that is there: `test_emit_choice.py` has the first, and pausing."""

THINGS: dict[Screen, tuple[str, ...]] = {
    HooksScreen: ("undo",),
    HookScreen: ("ping", "diagnose", "edit", "secret", "activate", "delete"),
    DeliveryScreen: ("resend", "cancel"),
    SecretScreen: ("ping", "rotate", "edit"),
    DiagnosisScreen: ("diagnose", "edit", "secret"),
    HookForm: ("save",),
    ReplayScreen: ("activate", "delete", "larger", "smaller"),
}
"""Commands on the subject of a screen; those on the row under the cursor are ``ROW_COMMANDS``."""

ALONE = {(AccountsScreen, "open"), (AlertsScreen, "open"), (ResolvedAlertsScreen, "open")}
"""What leaves the screen, and has a test of its own."""


def on_rows(screen: Screen) -> list[str]:
    """Return the commands of a screen that act on the row under the cursor."""
    commands = getattr(screen, "ROW_COMMANDS", ())
    return [command for command in commands if (screen, command) not in ALONE]


SIZES = ((60, 15), (140, 40), (110, 24))


@dataclass
class Chosen:
    """A screen with a chosen row, and what its commands must act on.

    Attributes:
        row: the id of the row under the cursor; None where the screen has no list.
        thing: the id of what the screen is about.
        word: what a filter takes that keeps the row among others.
        live: changes the list at the server, as somebody else does.
    """

    scene: Scene
    screen: Any
    row: object = None
    thing: object = None
    word: str = ""
    live: Callable[[], object] | None = None

    def calm(self) -> bool:
        """Return whether the list shows what was asked for, with the cursor on a chosen row."""
        if self.row is None:
            return True
        listing = self.screen.listing
        return listing.loaded and listing.stale_reason is None and not listing._loading.locked()

    async def settled(self) -> None:
        """Wait for the list, and hold that the cursor is on its row."""
        await self.scene.console.pilot.pause()
        await self.scene.console.until(self.calm)
        if self.row is not None:
            listing = self.screen.listing
            assert listing.row_id(listing.cursor_row) == self.row

    async def back(self) -> None:
        """Close what a command has opened."""
        while self.scene.screen is not self.screen:
            self.scene.app.pop_screen()
            await self.scene.console.pilot.pause()
        if self.row is not None:
            self.screen.listing.clear_marks()
            self.screen.listing.put_cursor_on(self.row)  # marking goes to the next one


# -- what is found to be acted on

_CALL = re.compile(
    r"(?:POST|PATCH|DELETE) /v1/(?:hooks|deliveries|tokens|undelivered|replays|alerts)"
    r"/(?!dry-run|plan)([^/]+).*"
)


def acted_on(one: Chosen, command: str) -> set[str]:
    """Return the ids that a command has acted on so far: at the server, or on the screen."""
    scene, found = one.scene, set()
    for asked in scene.gate.asked:
        if match := _CALL.fullmatch(asked.call):
            found.add(match[1])
        elif command == "open" and type(one.screen) is AccountsScreen and "/status" in asked.call:
            found |= set(re.findall(r"account=(\d+)", asked.query)) - {str(scene.client.id)}
    top = scene.screen
    if top is not one.screen:
        for name in ("hook_id", "delivery_id", "event_id", "replay_id"):
            found |= {str(getattr(top, name))} if hasattr(top, name) else set()
        for name in ("hook", "_entry", "entry"):
            thing = getattr(top, name, None)
            found |= {str(thing.id)} if hasattr(thing, "id") else set()
    if isinstance(top, ReplayForm) and top.focused is not None:  # its fields are there
        found.add(top.values().hooks)
    if isinstance(top, DeliveriesScreen) and top is not one.screen:
        found |= set(re.findall(r"hook:(\d+)", top.filter.text))
    if one.row is not None and command == "mark":
        found |= {str(identity) for identity in one.screen.listing.marks}
    if command == "copy":
        found |= {text.partition(":")[0] for text in scene.copied}
    if command == "replay" and isinstance(one.screen, AlertsScreen | ResolvedAlertsScreen):
        alert = one.screen.cursor_row
        hook = alert.hook or one.scene.hook.id  # or of a replay to this hook
        return {alert.id} if {str(hook)} == found else found
    if isinstance(one.screen, UndeliveredScreen):  # one group of each hook
        return {str((int(hook), "http_5xx")) for hook in found}
    return found


async def tries(one: Chosen, command: str, wanted: object) -> None:
    """Press a command's keys, and hold what they act on."""
    scene = one.scene
    case = next((c for c in ASKING if (c.screen, c.command) == (type(one.screen), command)), None)
    if command == "undo":
        scene.app.account.last_toggled = [(scene.hook, True)]
    await possible(scene, command)
    scene.gate.asked.clear()
    scene.copied.clear()
    await scene.console.press(BY_NAME[command].keys.partition(",")[0], *(case.then if case else ()))
    await scene.console.until(lambda: acted_on(one, command))
    assert acted_on(one, command) == {str(wanted)}, (type(one.screen).__name__, command)
    await one.back()


# -- what happens to a list


async def _pressed(one: Chosen, command: str) -> bool:
    if command not in one.screen.COMMAND_NAMES:
        return False
    window = one.screen.listing.window
    before = window.sort, window.descending
    await one.scene.console.press(BY_NAME[command].keys.partition(",")[0])
    await one.settled()
    window = one.screen.listing.window
    return (window.sort, window.descending) != before


async def sorted_(one: Chosen) -> bool:
    return one.row is not None and await _pressed(one, "sort")


async def turned(one: Chosen) -> bool:
    return one.row is not None and await _pressed(one, "order")


async def reloaded(one: Chosen) -> bool:
    if not isinstance(one.screen, HookForm):
        await one.scene.console.press("ctrl+r")
        await one.settled()
    return True


async def filtered(one: Chosen) -> bool:
    if not one.word:
        return False
    await one.scene.console.press("slash", *one.word, "enter")
    await one.scene.console.until(lambda: one.screen.filter.text == one.word)
    await one.settled()
    return True


async def unfiltered(one: Chosen) -> bool:
    if not one.word:
        return False
    await one.scene.console.press("slash", "escape")
    await one.scene.console.until(lambda: not one.screen.filter.text)
    await one.settled()
    return True


async def changed(one: Chosen) -> bool:
    if one.live is None:
        return False
    shown = set()
    if one.row is not None:
        shown = {one.screen.listing.row_id(row) for row in one.screen.listing.window.rows()}
    one.live()
    await one.scene.console.press("ctrl+r")
    if one.row is not None:
        listing = one.screen.listing
        await one.scene.console.until(
            lambda: {listing.row_id(row) for row in listing.window.rows()} != shown
        )
    await one.settled()
    return True


async def resized(one: Chosen) -> bool:
    for size in SIZES:
        await one.scene.console.pilot.resize_terminal(*size)
        await one.settled()
    return True


async def returned(one: Chosen) -> bool:
    if isinstance(one.screen, HookForm):
        return False
    await one.scene.console.press("question_mark")
    await one.scene.console.press("escape")
    one.scene.app.navigation.open_emit()
    await one.scene.on(EmitScreen)
    await one.back()
    await one.settled()
    return True


CHANGES: tuple[Callable[[Chosen], Awaitable[bool]], ...] = (
    turned, sorted_, reloaded, filtered, unfiltered, changed, returned, resized,
)  # fmt: skip
"""What happens to a list; the cursor is looked at after each."""


# -- the screens, with things of which one is chosen


async def _hooks(scene: Scene) -> Chosen:
    others = [scene.client.hook(scene.receiver.url, name=name) for name in ("aaa bill", "zzz bill")]
    screen = await scene.open(HooksScreen)

    def live() -> None:
        scene.ask(calls.delete_hook(others.pop(0).id))
        others.append(scene.client.hook(scene.receiver.url, name="bbb bill"))

    await scene.console.shows("zzz bill")
    return Chosen(scene, screen, scene.hook.id, word="bill", live=live)


async def _hook(scene: Scene) -> Chosen:
    for number in range(2):
        scene.client.emit("job.failed", b'{"id":%d}' % number)
    screen = await scene.open(HookScreen)
    screen.listing.put_cursor_on(scene.waiting.id)
    live = lambda: scene.client.emit("job.failed")  # noqa: E731
    return Chosen(scene, screen, scene.waiting.id, scene.hook.id, word="job", live=live)


async def _deliveries(scene: Scene) -> Chosen:
    for number in range(2):
        scene.client.emit("job.failed", b'{"id":%d}' % number)
    screen = await scene.open(DeliveriesScreen)
    screen.listing.put_cursor_on(scene.waiting.id)
    live = lambda: scene.client.emit("job.failed")  # noqa: E731
    return Chosen(scene, screen, scene.waiting.id, word="job", live=live)


def _another_fails(scene: Scene) -> int:
    """Make a second hook that a delivery fails for; return its number."""
    other = scene.client.hook(scene.receiver.url, name="other", retry_schedule_s=[HOUR_S])
    scene.receiver.status = 500
    scene.client.emit("job.failed", b'{"id":3}')
    wait_for(lambda: tried_once(scene.client, other.id))
    return other.id


async def _undelivered(scene: Scene) -> Chosen:
    _another_fails(scene)
    return Chosen(scene, await scene.open(UndeliveredScreen), (scene.hook.id, "http_5xx"))


async def _replays(scene: Scene) -> Chosen:
    selection = replace(scene.selection, hooks=(_another_fails(scene),))
    screen = await scene.open(ReplaysScreen)
    row = scene.unfinished().id
    scene.ask(calls.create_replay(scene.client.id, selection))
    await scene.console.until(lambda: screen.listing.window.total == 2)
    screen.listing.put_cursor_on(row)
    return Chosen(scene, screen, row)


async def _replay(scene: Scene) -> Chosen:
    screen = await scene.open(ReplayScreen)
    return Chosen(scene, screen, thing=screen.replay_id)


async def _alerts(scene: Scene) -> Chosen:
    other = _another_fails(scene)
    scene.ask(calls.acknowledge_undelivered(other, "http_5xx"))
    screen = await scene.open(AlertsScreen)
    return Chosen(scene, screen, scene.alerts()[0].id)


async def _resolved(scene: Scene) -> Chosen:
    screen = await scene.open(ResolvedAlertsScreen)
    return Chosen(scene, screen, screen.listing.row_id(screen.listing.cursor_row))


async def _tokens(scene: Scene) -> Chosen:
    screen = await scene.open(TokensScreen)
    fields = {"role": "viewer", "account": scene.client.id}
    for name in ("aaa", "zzz"):
        scene.ask(calls.create_token({**fields, "name": name}))
    row = screen.listing.row_id(screen.listing.cursor_row)
    live = calls.create_token({**fields, "name": "mmm"})
    return Chosen(scene, screen, row, live=lambda: scene.ask(live))


async def _accounts(scene: Scene) -> Chosen:
    made = [scene.ask(calls.create_account(f"{scene.client.id} {name}")) for name in "abc"]
    screen = await scene.open(AccountsScreen)
    screen.listing.select(made[1].id)
    return Chosen(scene, screen, made[1].id)


async def _events(scene: Scene) -> Chosen:
    scene.client.emit("job.failed", b'{"id":1}')
    screen = await scene.open(EventsScreen)
    row = screen.listing.row_id(screen.listing.cursor_row)
    live = lambda: scene.client.emit("job.failed")  # noqa: E731
    # While it is typed, each beginning of this word keeps the row as well.
    return Chosen(scene, screen, row, word="job", live=live)


async def _audit(scene: Scene) -> Chosen:
    screen = await scene.open(AuditScreen)
    await scene.console.press("down", "down")
    row = screen.listing.row_id(screen.listing.cursor_row)

    def live() -> None:
        scene.ask(calls.edit_hook(scene.hook.id, {"name": "billing again"}))

    return Chosen(scene, screen, row, live=live)


async def _delivery(scene: Scene) -> Chosen:
    screen = await scene.open(DeliveryScreen)
    live = lambda: scene.client.emit("job.failed")  # noqa: E731
    return Chosen(scene, screen, thing=scene.waiting.id, live=live)


async def _secret(scene: Scene) -> Chosen:
    return Chosen(scene, await scene.open(SecretScreen), thing=scene.hook.id)


async def _diagnosis(scene: Scene) -> Chosen:
    return Chosen(scene, await scene.open(DiagnosisScreen), thing=scene.hook.id)


async def _form(scene: Scene) -> Chosen:
    screen = await scene.open(HookForm)
    await scene.console.press("tab", *"renamed")
    other = scene.client.hook(scene.receiver.url, name="other")
    live = lambda: scene.ask(calls.delete_hook(other.id))  # noqa: E731
    return Chosen(scene, screen, thing=scene.hook.id, live=live)


BEGINS: dict[Screen, Callable[[Scene], Awaitable[Chosen]]] = {
    HooksScreen: _hooks, HookScreen: _hook, TokensScreen: _tokens, AccountsScreen: _accounts,
    EventsScreen: _events, AuditScreen: _audit, DeliveryScreen: _delivery, SecretScreen: _secret,
    DiagnosisScreen: _diagnosis, HookForm: _form, DeliveriesScreen: _deliveries,
    UndeliveredScreen: _undelivered, ReplaysScreen: _replays, ReplayScreen: _replay,
    AlertsScreen: _alerts, ResolvedAlertsScreen: _resolved,
}  # fmt: skip


# Red for A3 (a sort moved the cursor to another hook), and when a reload, a filter, a change by
# somebody else, a resize or a way back does.
@pytest.mark.parametrize("tried_after", [4, pytest.param(2, marks=pytest.mark.soak)])
@pytest.mark.parametrize("screen", BEGINS, ids=lambda screen: screen.__name__)
async def test_every_command_acts_on_what_is_chosen_whatever_has_happened(
    screen: Screen, tried_after: int, client: Client, receiver: Receiver
):
    """Commands are tried after so many changes, and again after the next."""
    async with staged(client, receiver) as scene:
        one = await BEGINS[screen](scene)
        await one.settled()
        scene.gate.spoil(WRITES, says(503, "not now"))
        happened = 0
        for first in range(0, len(CHANGES), tried_after):
            changes = CHANGES[first : first + tried_after]
            done = [await change(one) for change in changes]
            if not any(done):
                continue
            happened += 1
            for command in on_rows(screen):
                await tries(one, command, one.row)
            # What a screen is about does not move in its list: there once is enough.
            if one.row is None or resized in changes:
                for command in THINGS.get(screen, ()):
                    await tries(one, command, one.thing or scene.hook.id)
        assert happened >= 2


async def test_switching_switches_to_the_account_under_the_cursor(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        one = await _accounts(scene)
        await one.settled()
        for change in (sorted_, turned, reloaded, resized):
            assert await change(one)
        scene.gate.asked.clear()
        await scene.console.press("enter")
        await scene.console.until(lambda: scene.app.account.number == one.row)
        assert acted_on(one, "open") == {str(one.row)}


# Red when a screen gets a command that acts on a thing, and no change is tried with it.
def test_every_command_that_acts_on_a_thing_is_tried():
    held = {(screen, command) for screen in BEGINS for command in on_rows(screen)}
    held |= {(screen, command) for screen, commands in THINGS.items() for command in commands}
    acting = {(case.screen, case.command) for case in ASKING if case.writes}
    assert acting - CREATES - {(HookScreen, "undo")} <= held
    screens = {case.screen for case in (*ASKING, *QUIET)}
    lists = {one for one in screens if getattr(one, "ROW_COMMANDS", ())}
    assert lists <= BEGINS.keys()
