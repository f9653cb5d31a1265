"""Hostile text from everywhere, on every screen and in every command, in a real pseudo-terminal.

Only what Textual's own driver writes may come out: learned from an empty app in the same run. One
server is filled once; a few sessions visit everything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from shutil import rmtree

import pytest

from tests.support.hostile_texts import TEXTS
from tests.support.installation import Installation
from tests.support.waiting import wait_for
from tests.system.hostile_names import ZONE
from tests.system.hostile_plant import Plant, planting
from tests.system.hostile_server import hostile_server, twisted
from tests.system.sequences import foreign, sequences
from tests.system.terminal import Terminal, open_terminal

pytestmark = pytest.mark.slow

SIZE = {"columns": 100, "lines": 30}
EMPTY_APP = """
from textual.app import App
from textual.widgets import Input
class Empty(App):
    def compose(self):
        yield Input("ready")
Empty().run()
"""
ONCE = ("\x1b[?1049h", "\x1b[?1049l", "\x1b[?2004l", "\x1b[?2026$p")
"""What the driver writes once in a run: a second one would be somebody's."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with planting(tmp_path_factory.mktemp("hostile") / "home") as plant:
        yield plant


@pytest.fixture(scope="module")
def drivers_own() -> set[str]:
    terminal = open_terminal([sys.executable, "-c", EMPTY_APP], dict(os.environ), **SIZE)
    terminal.wait_for("ready")

    def draws_whole_updates() -> bool:  # from when it knows that the terminal can: not at once
        terminal.press("x")
        terminal.read()
        return b"\x1b[?2026l" in terminal.raw

    wait_for(draws_whole_updates)
    terminal.press("\x11")
    assert terminal.status() == 0
    terminal.end()
    return sequences(terminal.raw)


def open_console(home: Installation, *arguments: str) -> Terminal:
    rmtree(home.home / "console", ignore_errors=True)  # else it opens where the last one was left
    environ = {name: value for name, value in home.environ.items() if name != "NO_COLOR"}
    return open_terminal([sys.executable, "-m", "hooktui", *arguments], environ, **SIZE)


def visit(terminal: Terminal, *steps: tuple[str, str]) -> None:
    """Press keys, and wait after each for a text of the place they lead to (``!``: to be gone)."""
    for keys, text in steps:
        terminal.press(keys)
        if text.startswith("!"):
            terminal.wait_until_gone(text[1:])
        else:
            terminal.wait_for(text)
        quiet(terminal)


def quiet(terminal: Terminal) -> None:
    """Read on until nothing comes for a moment: what is to be drawn is drawn."""
    silent = 0
    while silent < 2:
        before = len(terminal.raw)
        terminal.read()
        silent = silent + 1 if len(terminal.raw) == before else 0


def judge(terminal: Terminal, known: set[str]) -> None:
    """End a console; hold that it lived until then, and wrote nothing but the driver's own."""
    terminal.press("\x11")
    assert terminal.status() == 0, terminal.text()
    assert foreign(terminal.raw, known) == []
    text = terminal.raw.decode("utf-8", "surrogateescape")
    assert {once: text.count(once) for once in ONCE if text.count(once) > 1} == {}


@pytest.fixture
def consoles(planted: Plant) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(open_console(planted.home, *arguments))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.end()


ENTER, ESCAPE, TAB = "\r", "\x1b", "\t"
UP, DOWN, END, PAGE_UP, PAGE_DOWN = "\x1b[A", "\x1b[B", "\x1b[F", "\x1b[5~", "\x1b[6~"

LAST_HOOK = "yyyyyyyyyy"
"""The name of the last but one; the last is the one with deliveries."""


def test_no_list_and_no_log_lets_hostile_text_act(planted: Plant, consoles, drivers_own):
    console = consoles()
    console.wait_for("n new", "Hooks")
    quiet(console)
    for _ in range(len(TEXTS) // 10):
        console.press(PAGE_DOWN)
        quiet(console)
    visit(
        console,
        ("?", "Enter runs one"), (ESCAPE, "!Enter runs one"),
        ("/[b", "filter: [b"), (ENTER, "!filter /"), (ESCAPE, "!filter: "),
        ("\x10evil", "/quiet"), ("", ">  evil"), (ESCAPE, "!>  evil"),
        ("\x10[b", ">  [b"), ("", "Hook"), (ESCAPE, "!>  [b"),
        ("z", "!state  "), ("z", "state  "),
        ("2", "Live log  "),
    )  # fmt: skip
    for _ in range(8):
        console.press(PAGE_UP)
        quiet(console)
    visit(console, ("/status:[b\u202e", "filter /"), (ESCAPE, "!filter /"), ("1", "n new"))
    judge(console, drivers_own)


def test_no_hook_and_no_form_lets_hostile_text_act(planted: Plant, consoles, drivers_own):
    console = consoles()
    console.wait_for("n new", "Hooks")
    visit(
        console,
        (END, LAST_HOOK), (ENTER, f"Hook {planted.hook}"),
        ("]", "backlog"), ("]", "by its group"), (PAGE_DOWN, "Hook"),
        ("[", "backlog"), ("[", "tries"),
        ("/data.x:\u202e", "filter /"), (ESCAPE, "!filter /"),
        ("d", "Delete"), (ESCAPE, "!Cancel"),
        ("p", "ping"),
        ("s", "How to verify"), ("v", "hidden again"), ("t", "otate"),
        (ESCAPE, "How to verify"), (ESCAPE, "tries"),
        ("e", "Edit hook"),
    )  # fmt: skip
    for _ in range(30):
        console.press(TAB)
        quiet(console)
    console.press("x\x1b[200~\x1b[31m\u202e\x9b[/b]\x1b[201~")
    quiet(console)
    visit(console, ("\x13", "^s"), (ESCAPE, "Leave without"), ("y", "tries"))
    judge(console, drivers_own)


def test_no_delivery_lets_hostile_text_act(planted: Plant, consoles, drivers_own):
    console = consoles()
    console.wait_for("n new", "Hooks")
    visit(
        console,
        (END, LAST_HOOK), (ENTER, f"Hook {planted.hook}"), (END, "✓ delivered"),
    )  # fmt: skip
    for _ in range(6):  # the answers that hold everything come first
        # Its keys do nothing before it has been read.
        visit(console, (ENTER, "Delivery dlv_"), ("", "event evt_"), (ENTER, "Delivery"))
        for keys in (PAGE_DOWN * 3, "b", PAGE_DOWN * 3, "w", END, "b"):
            console.press(keys)
            quiet(console)
        visit(console, ("Y", "Copy as"), (ESCAPE, "!Copy as"), (ESCAPE, f"Hook {planted.hook}"))
        console.press(UP)
        quiet(console)
    judge(console, drivers_own)


def test_no_event_lets_hostile_text_act(planted: Plant, consoles, drivers_own):
    console = consoles()
    console.wait_for("n new", "Hooks")
    visit(
        console,
        ("3", "Events  "),
        ("/data.x:\u202e", "filter /"), (ESCAPE, "!filter /"),
        ("E", "Send an event"), (TAB, "Send an event"), (ESCAPE, "Events  "),
        (END, "ping"),
    )  # fmt: skip
    for _ in range(len(planted.lost)):
        visit(console, (UP, "Events  "))
    for _ in range(2):  # the events that hold everything are the oldest
        visit(console, (ENTER, "Event evt_"), ("", "Body"))
        for keys in (TAB, PAGE_DOWN * 3, "w", END):
            console.press(keys)
            quiet(console)
        visit(console, ("Y", "Copy as"), (ESCAPE, "!Copy as"))
        visit(console, ("\x06[b", "search   [b"), (ENTER, "next match"), (ESCAPE, "!next match"))
        visit(console, (ESCAPE, "Events  "), (UP, "Events  "))
    judge(console, drivers_own)


def test_no_diagnosis_lets_hostile_text_act(planted: Plant, consoles, drivers_own):
    # What was found of a receiver: the words of a name server, and an answer.
    console = consoles()
    console.wait_for("n new", ZONE[:8])
    for _ in planted.lost:
        visit(console, ("x", "To do:"), (TAB + PAGE_DOWN, "Diagnosis"), ("wY", "Copy as"))
        visit(console, (ESCAPE, "!Copy as"), (ESCAPE, "n new"), (DOWN, "n new"))
    visit(console, (END, LAST_HOOK), ("x", "✓ ok"), (TAB + PAGE_DOWN * 3, "Diagnosis"))
    judge(console, drivers_own)


def test_no_token_no_account_and_no_server_lets_its_text_act(
    planted: Plant, consoles, drivers_own, monkeypatch
):
    planted.home.environ["HOOKTUI_TOKEN"] = planted.token
    with hostile_server(planted.home.home, twisted) as url:
        for where in (planted.url, url):
            console = consoles("--connect", where, "--account", str(planted.account))
            console.wait_for("waiting", "n new")
            visit(console, ("n", "Webhook"), (ENTER, "^s save"))
            for _ in range(12):
                console.press(TAB)
                quiet(console)
            console.press(PAGE_DOWN)
            quiet(console)
            visit(console, (ESCAPE, "n new"), ("2", "Live log"), ("1", "n new"))
            visit(console, (ENTER, ""), (ENTER, ""))
            judge(console, drivers_own)
