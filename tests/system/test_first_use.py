"""Somebody who has never seen the console gets along by what the screen says alone, at 80 by 24.

No key is pressed here that the screen does not name at that moment, but Tab and the arrows.
"""

from __future__ import annotations

import re

import pytest

from tests.support.installation import Installation
from tests.support.receivers import Receiver
from tests.system.terminal import Terminal
from tests.system.test_two_consoles import consoles as consoles

PATH = "/first-time"
KEYS = {"Enter": "\r", "^s": "\x13", "Tab": "\t", "Space": " ", "Esc": "\x1b", "Down": "\x1b[B"}
UNSAID = ("Tab", "Down")


def press(terminal: Terminal, key: str, label: str = "", times: int = 1) -> None:
    """Press a key that the screen names, with what it does beside it."""
    if key not in UNSAID:
        terminal.wait_for(f"{key} {label}")
    terminal.press(KEYS.get(key, key) * times)


@pytest.mark.slow
def test_a_hook_is_made_pinged_and_its_failed_delivery_understood_and_resent_by_the_screen_alone(
    home: Installation, receiver: Receiver, consoles
):
    # Red when a place no longer names the key that leads on from it.
    console = consoles(80, 24)
    press(console, "n", " creates the first one")
    console.wait_for("Choose where the new hook sends its events", "Webhook")
    press(console, "Enter", "open")
    console.wait_for("New webhook", "Type a URL; Tab moves to the events")
    console.press(receiver.url_of(PATH))
    console.wait_for(PATH, "not encrypted")
    press(console, "Tab", times=3)
    press(console, "Space", "tick")
    press(console, "Down", times=6)
    press(console, "Space", "tick")
    console.wait_for("[x] All Job Notifications", "[x] All Cluster Notifications")
    console.wait_for("for all job events and all cluster events, active")
    press(console, "^s", "save")

    console.wait_for("Give this secret to the receiver", "whsec_")
    shown = re.search(r"whsec_\S+", console.text())
    assert shown is not None
    [hook] = home.json("hooks", "list")
    assert hook["events"] == ["job", "cluster"]
    assert home.json("hooks", "secret", str(hook["id"]))["secret"] == shown[0]
    press(console, "p", "sends a ping")
    console.wait_for("delivered: 200")
    assert [one.headers["X-Hook-Event"] for one in receiver.requests] == ["ping"]
    press(console, "Esc", "goes back")

    receiver.body = b'{"error":"the disk is full"}'
    receiver.script[PATH] = [500] * 50
    home.emit("job.failed")
    console.wait_for("retrying")
    press(console, "Enter", "open")
    # The list is in: the heading says retrying before it is.
    console.wait_for("[Deliveries]", "job.failed")
    press(console, "Enter", "open")
    console.wait_for("HTTP 500", "the disk is full", "reason:")
    receiver.script[PATH] = []
    press(console, "r", "resend")
    console.wait_for("delivered", "HTTP 200")
    assert shown[0] not in console.text()
    console.press("q")
    assert console.status() == 0
