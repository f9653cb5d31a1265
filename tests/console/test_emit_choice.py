"""Sending an event sends the type that is seen to be chosen, or nothing; pausing only pauses."""

from __future__ import annotations

import pytest

from hooktui.client import calls
from hooktui.console.engine.engine_screen import EngineScreen
from hooktui.console.events import emit_screen
from hooktui.console.events.emit_screen import EmitScreen
from tests.console.client import Client
from tests.console.command_scene import Scene, staged
from tests.support.receivers import Receiver


async def opened(scene: Scene) -> EmitScreen:
    scene.gate.asked.clear()
    scene.app.navigation.open_emit()
    screen = await scene.on(EmitScreen)
    await scene.console.until(lambda: screen._type)
    return screen


def sent(scene: Scene) -> list[str]:
    """Return the types that the server was sent, or is being sent."""
    found = [one.call for one in scene.gate.asked if one.call.startswith("POST")]
    return [call.rpartition("/")[2] for call in found]


# Red for A1: the type that was chosen before stayed armed, and an event of that type went out.
@pytest.mark.parametrize("words", ["invoice.paid", "job.fialed", "job.failed x", "*"])
async def test_words_that_match_no_event_type_send_nothing(
    words: str, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        screen = await opened(scene)
        await scene.console.press(*words)
        await scene.console.shows("No event type matches.")
        await scene.console.press("ctrl+s")
        await scene.console.until(lambda: "no event type matches" in scene.notice)
        assert "job." not in scene.console.lines[0]
        assert (screen._type, screen.body.text) == ("", "")
        assert sent(scene) == []
        await scene.console.press(*["backspace"] * len(words), *"failed")
        await scene.console.until(lambda: screen._type == "job.failed" and screen.body.text)
        await scene.console.press("ctrl+s")
        await scene.console.shows("job.failed accepted.")
        assert sent(scene) == ["job.failed"]


# Red when a save takes the type of the words before: all keys are in the queue before the list is.
@pytest.mark.parametrize("words", ["cancel", "invoice.paid"])
async def test_a_save_typed_behind_the_words_in_one_go_sends_no_other_type(
    words: str, client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await opened(scene)
        for key in (*words, "ctrl+s"):
            scene.app.simulate_key("full_stop" if key == "." else key)
        await scene.console.until(lambda: scene.notice.startswith("!") or sent(scene))
        assert set(sent(scene)) <= {"job.cancelled"}


# Red when another type is chosen in place of one that the catalogue no longer has.
async def test_a_type_that_is_not_in_the_catalogue_is_replaced_by_none(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        scene.app.navigation.open_emit("job.renamed", '{"mine":1}')
        screen = await scene.on(EmitScreen)
        await scene.console.shows("No event type matches.", '{"mine":1}')
        scene.gate.asked.clear()
        await scene.console.press("ctrl+s")
        await scene.console.until(lambda: "no event type matches 'job.renamed'" in scene.notice)
        assert (screen._type, sent(scene)) == ("", [])


# Red when the sample of the type before is sent as one of this type.
async def test_the_sample_of_another_type_is_not_sent(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    async with staged(client, receiver) as scene:
        screen = await opened(scene)
        assert screen.body.text
        monkeypatch.setattr(emit_screen, "sample", lambda *_: None)
        scene.gate.hold("GET /v1/events")
        await scene.console.press("down")
        await scene.console.until(lambda: not screen.body.text)
        await scene.console.press("ctrl+s")
        await scene.console.until(lambda: "an event needs a body" in scene.notice)
        assert sent(scene) == []


# Red when the answer to "Pause all delivery?" resumes, because another admin has paused meanwhile.
async def test_pausing_pauses_also_when_it_is_paused_by_then(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(EngineScreen)
        await scene.console.press("a")
        await scene.console.shows("Pause all delivery?")
        client.ask(calls.pause())
        await scene.app.status.read()
        await scene.console.press("y")
        await scene.console.until(lambda: scene.gate.count("POST /v1/engine/pause"))
        assert not scene.gate.count("POST /v1/engine/resume")
