"""Blanks that are not the usual one are visible wherever a name is shown."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from hooktui.client import calls
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.log.log_screen import LiveLogScreen
from tests.console.client import Client
from tests.console.screen_text import seen, until
from tests.support.receivers import Receiver

NAMES = ("pay roll", "pay\xa0roll", "pay\u2800roll", "pay\u3000roll")
SHOWN = ("pay roll", "pay\\u{a0}roll", "pay\\u{2800}roll", "pay\\u{3000}roll")


# Red when two hooks look alike that differ in a blank.
async def test_lists_and_log_lines_show_which_blank_a_name_has(
    client: Client, receiver: Receiver
) -> None:
    for name in NAMES:
        client.hook(receiver.url, name=name)
    client.emit()
    app = client.console()
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: all(name in seen(pilot) for name in SHOWN))
        await app.push_screen(LiveLogScreen())
        await until(pilot, lambda: all(name in seen(pilot) for name in SHOWN))


async def test_a_field_of_a_form_shows_which_blank_it_holds(client: Client) -> None:
    hook = client.ask(calls.get_hook(client.hook("http://127.0.0.1:9/", name=NAMES[1]).id))
    app = client.console()
    async with app.run_test(size=(80, 30)) as pilot:
        await app.push_screen(HookForm(hook))
        await until(pilot, lambda: SHOWN[1] in seen(pilot))
        app.screen.query_one("#name", Input).value = "\xa0\u2800\u3000" * 30
        await until(pilot, lambda: "\\u{2800}" in seen(pilot))
        assert max(len(line) for line in seen(pilot).split("\n")) <= 80


# Red when a dialog escapes what is drawn below it again: the rows there move to the right.
@pytest.mark.parametrize("key", ["d", "ctrl+p"])
async def test_a_dialog_leaves_right_to_left_names_below_it_alone(
    client: Client, receiver: Receiver, key: str
) -> None:
    client.hook(receiver.url, name="\u05d0\u05d1 \u05d2")
    app = client.console(theme="hooktui-dark")
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: "\u05d0\u05d1 \u05d2\u2800" in seen(pilot))
        await pilot.press(key)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await until(pilot, lambda: "\u05d0\u05d1" in seen(pilot))
        assert "\\u{2800}" not in seen(pilot)
