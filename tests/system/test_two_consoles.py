"""Two admins at two terminals on one server: one creates a hook by keys, the other sees it."""

from __future__ import annotations

import re
import sys

import pytest

from tests.support.installation import Installation
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for
from tests.system.terminal import Terminal, open_terminal

# What Textual's own driver writes with a BEL in it: the shape of the mouse pointer.
POINTER_SHAPE = re.compile(rb"\x1b\]22;[a-z-]*\x07")
TAB, ENTER, ESCAPE, SAVE = "\t", "\r", "\x1b", "\x13"


@pytest.fixture
def consoles(home: Installation):
    """Open consoles on the installation; end them all afterwards."""
    opened: list[Terminal] = []

    def open_console(columns: int, lines: int) -> Terminal:
        environ = {k: v for k, v in home.environ.items() if k != "NO_COLOR"}
        command = [sys.executable, "-m", "hooktui"]
        opened.append(open_terminal(command, environ, columns=columns, lines=lines))
        return opened[-1]

    yield open_console
    for terminal in opened:
        terminal.end()


@pytest.mark.slow
def test_one_admin_creates_and_pings_a_hook_by_keys_while_the_other_sees_it(
    home: Installation, receiver: Receiver, consoles
):
    one, other = consoles(80, 24), consoles(120, 36)
    one.wait_for("n new")
    other.wait_for("n new")

    one.press("n")
    one.wait_for("Webhook")
    one.press(ENTER)
    one.wait_for("All Job Notifications", "^s save")
    one.press(receiver.url_of("/from-the-console"))
    one.wait_for("/from-the-console")
    one.press(TAB + "Made by keys" + TAB + TAB + " ")
    one.wait_for("[x] All Job Notifications", "[x] Job Failed")
    one.press(SAVE)
    one.wait_for("Secret", "hidden again in", "How to verify", "whsec_")
    shown = re.search(r"whsec_\S+", one.text())  # it is masked after 30 seconds
    assert shown is not None
    secret = shown[0]
    one.press("v")
    one.wait_for("masked")
    wait_for(lambda: secret not in one.text(), what="the secret is masked")

    other.wait_for("Made by keys")
    [hook] = home.json("hooks", "list")
    assert hook["events"] == ["job"]
    assert hook["name"] == "Made by keys"

    assert home.json("hooks", "secret", str(hook["id"]))["secret"] == secret

    one.press("p")
    wait_for(lambda: receiver.requests_to("/from-the-console"), what="the ping arrives")
    one.wait_for("ping", "200")
    assert receiver.requests[0].headers["X-Hook-Event"] == "ping"
    other.wait_for("ping", "200")

    home.emit("job.failed")
    other.wait_for("job.failed")
    for terminal in (one, other):
        terminal.press("q")
        assert terminal.status() == 0
        assert b"\x1b[?1049l" in terminal.raw, "the terminal is left as it was found"
        assert secret.encode() not in terminal.raw.split(b"\x1b[?1049l")[-1]
    assert home.run("status").returncode == 0, "the server outlives its consoles"


@pytest.mark.slow
def test_what_a_receiver_writes_never_reaches_the_terminal_as_an_escape(
    home: Installation, receiver: Receiver, consoles
):
    name = "\x1b]52;c;aGFja2Vk\x07[/b][@click=app.quit]x"
    home.create_hook(receiver.url, "--name", name)
    receiver.body = "\x1b]0;owned\x07\u202etxt [/nope]".encode()
    console = consoles(120, 36)
    console.wait_for("␛]52;c;")
    home.emit("job.failed")
    console.wait_for("job.failed", "200")
    console.press("2" + ENTER)
    console.wait_for("[/nope]")
    console.press("q")
    assert console.status() == 0
    assert b"\x1b]52" not in console.raw
    assert b"\x1b]0;" not in console.raw
    assert b"\x07" not in POINTER_SHAPE.sub(b"", console.raw)
    assert "\u202e".encode() not in console.raw
