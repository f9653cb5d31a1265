"""Below the smallest size only quitting, help and resizing work, on every screen and dialog."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from textual import events
from textual.geometry import Size
from textual.widgets import Input, TextArea

from hooktui.console.access.accounts_screen import AccountsScreen, NameQuestion
from hooktui.console.app import ConsoleApp
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.events.events_screen import EventsScreen
from hooktui.console.frame.dialogs import Question
from hooktui.console.frame.help import HelpScreen
from hooktui.console.frame.palette import Palette
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.registry import BY_NAME
from hooktui.console.shell.terminal_size import LARGEST, SMALLEST, clamped, is_too_small
from tests.console.client import Client
from tests.console.command_scene import OPENERS, Scene, staged
from tests.console.screen_text import seen, until
from tests.support.receivers import Receiver

LARGE = (110, 24)
SIZES = ((40, 10), (110, 14), (1, 1))
READS = ("GET", "POST /v1/hooks/dry-run")
"""Calls that change nothing; one that was asked for before may come at any time."""


def keys() -> list[events.Key]:
    """Return every key of the table but those that quit or help, and letters, and what edits."""
    names = [key for command in BY_NAME.values() for key in command.keys.split(",")]
    names = [key for key in names if key not in ("q", "question_mark")]
    names += ["tab", "shift+tab", "backspace", "left", "right", "y", "i", "ctrl+z"]
    return [events.Key(name, name if len(name) == 1 else None) for name in dict.fromkeys(names)]


def input_events(scene: Scene) -> list[events.Event]:
    """Return a pasted text, a key of each kind, and a press of the mouse in a few places."""
    size = scene.app.size
    at = [(x, y) for x in (0, size.width // 2) for y in (0, size.height // 2, size.height - 1)]
    mouse = [
        kind(None, x, y, 0, 0, 1, shift=False, meta=False, ctrl=False)
        for x, y in at
        for kind in (events.MouseDown, events.MouseUp)
    ]
    return [*keys(), *mouse, events.Paste("pasted\ntext")]


def state(scene: Scene) -> tuple[object, ...]:
    """Return what input can change: screens, focus, texts, cursors and marks."""
    app = scene.app
    found: list[object] = [list(app.screen_stack), app.screen.focused]
    for screen in app.screen_stack:
        found += [one.value for one in screen.query(Input)]
        found += [one.text for one in screen.query(TextArea)]
        for one in screen.query("WindowedList"):
            found += [one.cursor, dict(one.marks), one.window.sort, one.window.descending]
        for one in screen.query("ShortList, Choice, EventBoxes"):
            found += [vars(one).get(name) for name in ("cursor", "chosen", "selection")]
    return tuple(found)


async def resize(scene: Scene, size: tuple[int, int]) -> None:
    await scene.console.pilot.resize_terminal(*size)
    await scene.console.until(
        lambda: scene.app.size == Size(*size) and scene.screen.size == Size(*size)
    )
    await scene.console.pilot.pause()


async def acts_on_nothing(scene: Scene) -> None:
    """Hold that no input changes anything while the screen in front is too small."""
    await scene.console.pilot.pause()
    before = state(scene)
    for size in SIZES:
        await resize(scene, size)
        scene.gate.asked.clear()
        for event in input_events(scene):
            scene.app.post_message(event)
        for _hop in ("app", "screen", "widget"):  # each passes them on behind what it waits for
            await scene.console.pilot.pause()
        if size[0] >= 30:
            assert f"this terminal is {size[0]}x{size[1]}" in scene.console.text
            assert len([line for line in scene.console.lines if line.strip()]) <= 4
        assert not [one.call for one in scene.gate.asked if not one.call.startswith(READS)]
        assert scene.app.is_running
    await resize(scene, LARGE)
    assert state(scene) == before
    assert "this terminal is" not in scene.console.text


# Red for A4: an active hook was disabled by a key while nothing but the message was drawn; red when
# the focus, which tells where keys go, is lost with the size.
@pytest.mark.parametrize("first", range(4))
async def test_below_the_smallest_size_no_screen_takes_a_key_a_click_or_a_paste(
    client: Client, receiver: Receiver, first: int
):
    async with staged(client, receiver, LARGE) as scene:
        for kind in [*OPENERS][first::4]:
            await scene.open(kind)
            await acts_on_nothing(scene)


async def _delete(scene: Scene) -> type:
    await scene.open(HooksScreen)
    await scene.console.press("d")
    return Question


async def _help(scene: Scene) -> type:
    await scene.open(HooksScreen)
    await scene.console.press("question_mark")
    return HelpScreen


async def _palette(scene: Scene) -> type:
    await scene.open(HooksScreen)
    await scene.console.press("ctrl+p")
    return Palette


async def _name(scene: Scene) -> type:
    await scene.open(AccountsScreen)
    await scene.console.press("n", *"acme")
    return NameQuestion


async def _filter(scene: Scene) -> type:
    await scene.open(HooksScreen)
    await scene.console.press("slash", *"bill")
    return HooksScreen


async def _command(scene: Scene) -> type:
    await scene.open(HooksScreen)
    await scene.console.press("colon", *"ping")
    return HooksScreen


# Red when a covered screen gives the focus to another widget: the next key acts on the log.
async def test_a_covered_screen_keeps_its_focus_over_a_size_that_is_too_small(
    client: Client, receiver: Receiver
) -> None:
    async with staged(client, receiver, size=LARGE) as scene:
        hooks = scene.app.screen
        focused = hooks.focused
        assert focused is hooks.query_one("#list")
        await scene.open(EventsScreen)
        for size in (SIZES[0], LARGE):
            await scene.console.pilot.resize_terminal(*size)
            await scene.console.until(lambda size=size: scene.app.size == Size(*size))
            await scene.console.pilot.pause(0.1)
        await scene.console.press("1")
        await scene.on(HooksScreen)
        await scene.console.shows("billing")
        await scene.console.pilot.pause()
        assert hooks.focused is focused


# Red when a dialog or a line takes keys, or is drawn over the message.
async def test_below_the_smallest_size_no_dialog_takes_a_key_a_click_or_a_paste(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, LARGE) as scene:
        for way in (_delete, _help, _palette, _name, _filter, _command):
            kind: type = await way(scene)
            await scene.on_dialog(kind)
            await acts_on_nothing(scene)
            await scene.console.press("escape")


# Red when a dialog that an answer of the server opens is drawn over the message.
async def test_a_dialog_that_opens_by_itself_is_not_drawn_over_the_message(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, LARGE) as scene:
        await scene.open(EmitScreen)
        held = scene.gate.hold("POST /v1/events/.*")
        await scene.console.press("ctrl+s")
        await scene.console.until(lambda: held.arrived)
        await resize(scene, (40, 10))
        held.release()
        await scene.on_dialog(Question)
        await scene.console.until(lambda: "this terminal is 40x10" in scene.console.text)
        assert "is in." not in scene.console.text
        scene.app.post_message(events.Key("l", "l"))
        await scene.console.pilot.pause()
        await resize(scene, LARGE)
        await scene.console.shows("job.failed accepted.")


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_below_the_smallest_size_the_console_can_be_left(
    key: str, client: Client, receiver: Receiver
):
    async with staged(client, receiver, LARGE) as scene:
        await scene.open(EmitScreen)  # where q is a letter
        await resize(scene, (40, 10))
        scene.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await scene.console.until(lambda: scene.app._exit)


async def test_help_below_the_smallest_size_tells_which_keys_work(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, LARGE) as scene:
        await scene.open(HooksScreen)
        await resize(scene, (40, 10))
        await scene.console.shows("hooktui needs 60x15", "q quits")
        scene.app.post_message(events.Key("question_mark", "?"))
        await scene.console.shows("and so does ctrl+q", "the other keys work when it is larger")
        await resize(scene, LARGE)
        await resize(scene, (40, 10))
        await scene.console.hides("and so does ctrl+q")


async def test_q_below_the_smallest_size_does_not_drop_what_was_typed(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver, LARGE) as scene:
        form = await scene.open(HookForm)
        await scene.console.press("tab", *"renamed")
        await resize(scene, (59, 14))
        scene.app.post_message(events.Key("q", "q"))
        await scene.console.shows("ctrl+q quits; unsaved text is lost")
        await resize(scene, LARGE)
        assert form.values()["name"] == "renamed"
        assert not scene.app._exit


@pytest.mark.parametrize(
    ("size", "small"), [((60, 15), False), ((59, 15), True), ((60, 14), True), ((0, 0), True)]
)
def test_the_smallest_size_is_enough(size: tuple[int, int], small: bool):
    assert is_too_small(Size(*size)) == small
    assert not is_too_small(SMALLEST)


@pytest.mark.parametrize("claimed", [(80, 24), (1000, 500), (1001, 501), (9000, 9000), (65535, 3)])
def test_no_more_is_drawn_than_the_largest_size(claimed: tuple[int, int]):
    drawn = clamped(Size(*claimed))
    assert drawn == (min(claimed[0], LARGEST.width), min(claimed[1], LARGEST.height))


# Red when only what a resize says is clamped: the first screen is laid out before the first one.
async def test_no_more_is_drawn_before_the_first_resize():
    console = ConsoleApp(environ={})
    console._driver = Mock(_size=(9000, 9000))
    assert console.size == LARGEST


# Red when a screen lays out the size of an event: it sends itself the size that it has laid out,
# and Textual lets that replace a size of the terminal that waited before it.
@pytest.mark.parametrize("over", [None, "question_mark", "ctrl+p"], ids=["", "dialog", "palette"])
async def test_two_sizes_that_a_busy_screen_gets_at_once_end_at_the_last(
    client: Client, over: str | None
) -> None:
    app = client.console()
    first, last = Size(100, 30), Size(120, 40)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No hooks yet" in seen(pilot))
        if over is not None:
            await pilot.press(over)
            await until(pilot, lambda: app.screen is not app.screen_stack[0])
        screen, busy = app.screen, asyncio.Event()
        await until(pilot, lambda: screen.outer_size == app.size)
        screen.call_later(busy.wait)
        app.post_message(events.Resize(last, last))
        await asyncio.sleep(0.3)
        assert app.size == last
        screen.post_message(events.Resize(first, first))
        screen.call_later(lambda: None)
        screen.post_message(events.Resize(last, last))
        busy.set()
        await asyncio.sleep(0.3)
        await until(pilot, lambda: screen.outer_size == last)
