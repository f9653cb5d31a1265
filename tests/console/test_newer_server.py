"""A newer server: a value that this console does not know is shown as it is, and ends nothing."""

from __future__ import annotations

import json

from hooktui.console.hooks.hook_screen import HookScreen
from tests.console.client import Client
from tests.console.command_scene import OPENERS, Scene, staged
from tests.console.gate import Passing
from tests.support.receivers import Receiver

NEW = "brand_new"
ENUMERATIONS = (
    "status", "state", "outcome", "error", "trigger", "reason", "role", "signature_hash", "type",
    "disabled_reason", "last_status", "breaker", "decision", "action", "result", "kind", "running",
)  # fmt: skip
"""Fields whose values are words that a later version may add to."""

LINES = ("attempt",)
"""Kinds of the feed's lines that the live log shows; what it does not know it leaves out."""

SHOWS = "POST /v1/hooks/.*/diagnose|GET .*"


def renewed(value: object) -> object:
    """Return JSON in which every enumeration has a value that nobody knows."""
    if isinstance(value, list):
        return [renewed(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: NEW
        if key in ENUMERATIONS and isinstance(one, str) and one not in LINES
        else renewed(one)
        for key, one in value.items()
    }


async def newer(passing: Passing) -> None:
    """Answer as a server of a later version does."""
    head, _, body = (await passing.pass_on()).partition(b"\r\n\r\n")
    lines = [json.dumps(renewed(json.loads(line))).encode() for line in body.splitlines() if line]
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    body = b"\n".join(lines)
    kept.append(b"content-length: %d" % len(body))
    passing.writer.write(b"\r\n".join(kept) + b"\r\n\r\n" + body)


async def goes_on(scene: Scene) -> None:
    """Hold that the console neither ends nor says that it does not understand the server."""
    await scene.console.pilot.pause()
    assert scene.app.fault is None
    assert scene.app.is_running
    assert "is not valid" not in scene.notice, scene.notice


# Red for I1: one word that it did not know ended the console, in whatever screen it stood.
async def test_no_screen_ends_on_a_word_that_it_does_not_know(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        scene.gate.spoil(SHOWS, newer)
        await scene.console.press("ctrl+r")
        await scene.console.shows(NEW)
        for kind in OPENERS:
            screen = await scene.open(kind)
            await goes_on(scene)
            for name in screen.commands_here():
                screen.disabled_reason(name)
            if kind is HookScreen:
                for _ in range(4):
                    await scene.console.press("right_square_bracket")
                    await goes_on(scene)
