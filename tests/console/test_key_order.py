"""Keys that arrive together act as if they were pressed one after the other."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from textual import events
from textual.widgets import Input

from hooktui.console.access.token_form import TokenForm
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.widgets.controls import Choice, TickBox
from tests.console.conftest import Console

_NAMES = {":": "colon", "/": "slash", "]": "right_square_bracket"}
_EDITING = ("left", "right", "home", "end", "backspace", "ctrl+u", "up", "down")


def send(console: Console, keys: Sequence[str]) -> None:
    """Send keys as a slow connection does: all of them before any is handled."""
    for key in keys:
        character = " " if key == "space" else key if len(key) == 1 else None
        console.app.post_message(events.Key(_NAMES.get(key, key), character))


async def handled(console: Console) -> None:
    """Wait until all keys and what they caused are handled."""
    await console.until(lambda: console.app._keys._turn is None)
    await console.pilot.pause()


async def press(console: Console, keys: Sequence[str], *, together: bool) -> None:
    """Press keys, together or each after the one before was handled."""
    for some in [keys] if together else [[key] for key in keys]:
        send(console, some)
        await console.pilot.pause()
        await handled(console)


async def hook_form(console: Console) -> HookForm:
    """Open the form of a new hook."""
    console.app.navigation.open("hooks.form_screen:HookForm", None)
    await console.until(lambda: isinstance(console.app.screen, HookForm))
    await console.until(lambda: isinstance(console.app.focused, Input))
    form = console.app.screen
    assert isinstance(form, HookForm)
    return form


def state(form: HookForm) -> object:
    """Return what keys change in a form."""
    focused = form.focused
    assert focused is not None
    at = focused.selection if isinstance(focused, Input) else None
    return form.values(), focused.id, type(focused).__name__, at, form.fields.fold_title.opened


@pytest.mark.parametrize("where", ["fields", "anywhere"])
# Red when a key is dispatched before the one before it has been handled.
async def test_keys_in_one_burst_do_the_same_as_one_by_one(open_console, where: str):
    chance = random.Random(where)
    keys = ["x", "y", "Z", *_EDITING, "space", "tab", "shift+tab", "enter"]
    async with open_console() as console:
        for _ in range(3):
            jump = chance.randrange(8) if where == "anywhere" else 0
            typed = ["tab"] * jump + chance.choices(keys, k=12)
            after = []
            for together in (False, True):
                form = await hook_form(console)
                await press(console, typed, together=together)
                after.append(state(form))
                form.leave()
                await console.until(lambda form=form: console.app.screen is not form)
            assert after[0] == after[1], (typed, after)


# Red when bound keys act after the letters that follow them.
@pytest.mark.parametrize(
    ("before", "keys", "value"),
    [
        ("hook 12", ["backspace", "9"], "hook 19"),
        ("xy", ["left", "z"], "xzy"),
        ("hook 12", ["ctrl+u", *"5007"], "5007"),
        ("xy", ["home", "z", "delete", "end", "w"], "zyw"),
    ],
)
@pytest.mark.parametrize("opens", [":", "/"])
async def test_editing_keys_of_a_prompt_act_in_their_order(
    open_console, opens: str, before: str, keys: list[str], value: str
):
    async with open_console() as console:
        await console.shows("No hooks yet")
        send(console, [opens, *before, *keys])
        await console.until(lambda: isinstance(console.app.focused, Input))
        await handled(console)
        assert isinstance(console.app.focused, Input)
        assert console.app.focused.value == value


# Red when Tab moves the focus before the key before it has acted.
async def test_space_and_tab_tick_the_box_that_had_the_focus(open_console):
    async with open_console() as console:
        form = await hook_form(console)
        active = form.query_one("#active", TickBox)
        events_before = form.values()["events"]
        active.focus()
        send(console, ["space", "tab"])
        await console.until(lambda: not active.ticked)
        await handled(console)
        assert form.values()["events"] == events_before
        assert form.focused is not active


async def test_right_and_tab_choose_the_role_and_not_the_account_of_a_token(open_console):
    async with open_console() as console:
        console.app.navigation.open("access.token_form:TokenForm")
        await console.until(lambda: isinstance(console.app.screen, TokenForm))
        await console.until(lambda: isinstance(console.app.focused, Input))
        role, account = (console.app.screen.query_one(f"#{name}", Choice)
                         for name in ("role", "account"))  # fmt: skip
        before = role.chosen, account.chosen
        role.focus()
        send(console, ["right", "tab"])
        await console.until(lambda: console.app.focused is account)
        await handled(console)
        assert (role.chosen, account.chosen) == (before[0] + 1, before[1])


# Red when a key is dispatched before the screen that the one before it opens.
async def test_a_key_after_enter_on_a_row_is_for_the_screen_that_it_opens(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.until(lambda: console.app.screen.disabled_reason("open") is None)
        send(console, ["enter", "]"])
        await console.until(lambda: isinstance(console.app.screen, HookScreen))
        await console.until(lambda: console.app.screen.query_one("TabLine").chosen == 1)
