"""Sentences name the keys that somebody has, not those of the table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import hooktui.console
from hooktui.console.access.token_form import TokenForm
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.list_screen import ListScreen
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import BY_NAME, TOP_SCREENS
from hooktui.console.shell.preferences import ConsoleOptions
from tests.console.client import Client
from tests.console.conftest import Console
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

SOURCES = sorted(Path(hooktui.console.__path__[0]).rglob("*.py"))
TABLES = {"registry.py", "keymap.py"}

NAMED = re.compile(r"(?<![\w+])(Esc|Space|Enter|PgUp|PgDn|\^[a-z]|ctrl\+[a-z])(?!\w)")
DOES = re.compile(
    r"(?:^|(?<!\d)[\s,;.(])([b-zB-HJ-Z?/+\[\]-])\s+(?:[a-z]+s|longer|shorter|or|and)\b"
    r"|[,;(]\s+a\s+(?!\w*ss\b|status\b)[a-z]+s\b"  # not the article
)
"""``r sends``, ``; a resumes``, ``+ longer``, ``[ or``: a single character that does something."""
ALONE = re.compile(r"  [\w?/+-]")
"""A key in a line of its own tone, as empty lists have it."""

FIXED = {
    "ctrl+q": "quits from everywhere, and cannot be mapped",
    " quits; ctrl+q does so from everywhere": "the same",
    "ctrl+q quits; unsaved text is lost": "the same",
    ", and so does ctrl+q": "the same",
    "ctrl+c": "answers how to quit, and cannot be mapped",
    "ctrl+z": "suspends the console, and cannot be mapped",
    "search text; Enter keeps it, then ": "in a field Enter is the field's",
    "- was, + is": "the signs of a comparison, no keys",
    "Enter creates it, ": "the same",
    "no completion; Enter lists the commands": "the same",
}


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file that are no docstrings, each with its line."""
    tree = ast.parse(path.read_text())
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def test_no_text_of_the_console_has_a_key_written_into_it():
    """Red when a sentence names a key itself: `[keys]` may have given that command another one."""
    found = [
        f"{path.name}:{line}: {text[:60]!r}"
        for path in SOURCES
        if path.name not in TABLES
        for line, text in literals(path)
        if text not in FIXED
        and "\n" not in text  # code to verify with, style sheets
        and (NAMED.search(text) or DOES.search(text) or ALONE.fullmatch(text))
    ]
    assert found == []


def test_no_help_of_a_command_names_a_key():
    """Red when the help of a command names a key: it is not asked for the mapped one."""
    assert [v.help for v in BY_NAME.values() if NAMED.search(v.help) or DOES.search(v.help)] == []


async def _look(console: Console, *also: str) -> None:
    """Look through a screen, and what it says of each command; ``also`` stands on it."""
    await console.shows(*also)
    screen = console.app.screen
    said = console.text
    if isinstance(screen, ConsoleScreen):
        said += "\n".join(filter(None, (screen.disabled_reason(name) for name in BY_NAME)))
    for pattern in (NAMED, DOES):
        wrong = [
            line
            for line in said.split("\n")
            if (hit := pattern.search(line)) and "Enter" not in hit[0]
        ]
        assert wrong == [], f"{type(screen).__name__}: {wrong}"


async def test_every_screen_names_the_keys_that_somebody_has(
    served, account: int, client: Client, receiver: Receiver, tmp_path: Path
):
    """Red when an empty list, a heading, a note or a reason names the key of the table."""
    letters = [chr(code) for code in range(0x0410, 0x0450)]  # Cyrillic: no command has one of these
    commands = [name for name in BY_NAME if not name.startswith("go_")]
    mapped = "".join(
        f'{name} = "{letter}"\n' for name, letter in zip(commands, letters, strict=False)
    )
    (tmp_path / "config.toml").write_text(f"[keys]\n{mapped}")
    socket = Path(served["HOOKTUI_HOME"]) / "hooktui.sock"
    environ = {**served, "HOOKTUI_HOME": str(tmp_path), "HOOKTUI_SOCKET": str(socket)}
    app = ConsoleApp(ConsoleOptions(account=account), environ=environ)
    assert app.problems() == []
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("No hooks yet")
        for one in TOP_SCREENS:
            app.navigation.go(one)
            await _look(console, screen_class(one).HEADING)
            if isinstance(app.screen, ListScreen):
                await console.until(lambda: app.screen.listing.loaded)
                await _look(console)
            if one.name in ("hooks", "events", "audit"):
                console.app.screen.filter.apply("user:nobody" if one.name == "audit" else "xyzzy")
                await _look(console, app.key("back") + "  shows")
                console.app.screen.filter.apply("")
        event = client.emit().id
        app.navigation.open_event(event)
        await _look(console, "This account has no hooks")
        hook = client.hook(receiver.url, name="billing")
        receiver.status = 410
        await _an_inactive_hook_with_things_held(console, client, hook.id)
        delivery = client.deliveries(hook.id)[0].id
        app.navigation.open_delivery(delivery)
        await _look(console, "sends it")
        app.navigation.open_secret(hook)
        await _look(console, "shows it for 30 seconds")
        app.navigation.open_diagnosis(hook)
        await _look(console, "To do:")
        app.navigation.open_form(None)
        await _look(console, "Webhook")
        await console.press(app.key("open"))
        await _look(console, "Type a URL", "ticks; a group includes")
        app.navigation.open_emit()
        await _look(console, "Send an event", "sends it")
        await app.push_screen(TokenForm())
        await _look(console, "creates it; the token is shown only once")
        app.navigation.open_help()
        await _look(console, "runs one")


async def _an_inactive_hook_with_things_held(console: Console, client: Client, hook: int) -> None:
    app = console.app
    app.navigation.open_hook(hook)
    await _look(console, "No deliveries yet")
    client.emit()
    wait_for(lambda: client.deliveries(hook))
    await _look(console, "disabled: receiver")
    app.screen.tabs.handlers["next"]()
    await _look(console, "longer")
