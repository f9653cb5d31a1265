"""What comes while an answer is on its way: dialogs over the screen, other screens, a deletion."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input, TextArea

from hooktui.client import calls
from hooktui.console.access.token_form import TokenForm
from hooktui.console.command_language import parse
from hooktui.console.events.emit_screen import EmitScreen
from hooktui.console.frame import command_line
from hooktui.console.frame.dialogs import DialogOption, Question
from hooktui.console.frame.help import HelpScreen
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.hooks.actions import HookActions
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import TOP_SCREENS
from hooktui.console.replays.replay_form import ReplayForm
from hooktui.console.widgets.controls import ShortList, ShortRow
from hooktui.domain.errors import Conflict
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.support.receivers import Receiver


# Red when the screen takes the dialog away in place of itself, and stays with a hook that is gone.
async def test_a_hook_that_somebody_deletes_takes_its_screen_and_the_help_over_it(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(HookScreen)
        held = scene.gate.hold(f"GET /v1/hooks/{scene.hook.id}")
        client.ask(calls.delete_hook(scene.hook.id))
        await scene.console.press("ctrl+r")
        await scene.console.until(lambda: held.arrived >= 1)
        await scene.console.press("question_mark")
        await scene.on_dialog(HelpScreen)
        held.release()
        await scene.on(HooksScreen)
        await scene.console.until(lambda: "the hook does not exist any more" in scene.notice)


# Red when the key that was meant for the deleted hook disables the one under the cursor below.
async def test_a_key_for_a_hook_that_somebody_deletes_does_not_act_on_another(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        other = client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        hooks = await scene.on(HooksScreen)
        await scene.console.until(lambda: hooks.listing.put_cursor_on(other.id))
        await scene.console.press(":", *f"hook {scene.hook.id}", "enter")
        await scene.on(HookScreen)
        await scene.console.shows(f"Hook {scene.hook.id}", "[Deliveries]", "state ")
        client.ask(calls.delete_hook(scene.hook.id))
        await scene.on(HooksScreen)
        await scene.console.until(lambda: "the hook does not exist any more" in scene.notice)
        await scene.console.shows("Hooks  1 hook ")
        await scene.console.press("a")
        await scene.console.shows("the cursor is now on another hook; check it, then press a again")
        assert client.ask(calls.get_hook(other.id)).active
        await scene.console.press("a")
        await scene.console.shows("(other) disabled")


# Red when the key that was meant for what the command names acts on the hook under the cursor.
@pytest.mark.parametrize(
    "line",
    [
        "hook 9999",
        "delivery dlv_0000000000000",
        "event evt_0000000000000",
        "replay rpl_0000000000000",
    ],
)
async def test_a_key_for_what_does_not_exist_does_not_act_on_the_list_below(
    client: Client, receiver: Receiver, line: str
):
    async with staged(client, receiver) as scene:
        await scene.console.shows("Hooks  1 hook ")
        await scene.console.press(":", *line, "enter")
        await scene.console.until(lambda: "there is no" in scene.notice)
        await scene.on(HooksScreen)
        await scene.console.press("a")
        await scene.console.shows("the cursor is now on another hook; check it, then press a again")
        assert client.ask(calls.get_hook(scene.hook.id)).active
        await scene.console.press("a")
        await scene.console.shows("disabled")


# Red when the question is closed by the answer and the form stays, or says that all is lost.
async def test_a_form_that_is_saved_while_it_asks_whether_to_leave_is_left_and_told(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(HookForm)
        held = scene.gate.hold("PATCH .*")
        await scene.console.press("tab", *"renamed", "ctrl+s")
        await scene.console.until(lambda: held.arrived == 1)
        await scene.console.press("escape")
        await scene.on_dialog(Question)
        await scene.console.shows(
            "Leave while it is being saved?", "A notice will say whether it was saved"
        )
        held.release()
        await scene.on(HooksScreen)
        await scene.console.until(lambda: "saved" in scene.notice)
        assert [hook.name for hook in scene.hooks()] == ["renamed"]


async def test_an_event_that_comes_in_while_it_asks_whether_to_leave_is_reported(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(EmitScreen)
        held = scene.gate.hold("POST /v1/events/.*")
        await scene.console.press("space", "ctrl+s")
        await scene.console.until(lambda: held.arrived == 1)
        await scene.console.press("escape")
        await scene.console.shows("Leave while it is being sent?")
        held.release()
        await scene.console.shows("job.failed accepted.")
        await scene.console.press("l")
        await scene.on(HooksScreen)


# Red when a token that came too late is shown over something else, or nobody hears of it.
async def test_a_token_that_is_made_under_another_screen_is_reported_and_not_shown(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        await scene.open(TokenForm)
        held = scene.gate.hold("POST /v1/tokens")
        await scene.console.press(*"robot", "ctrl+s")
        await scene.console.until(lambda: held.arrived == 1)
        await scene.app.push_screen(LiveLogScreen())
        held.release()
        await scene.console.until(lambda: "was never shown" in scene.notice)
        assert "hkt_" not in scene.console.text
        assert "robot" in scene.tokens()


# Red when a ping of one hook keeps the admin from pinging another one.
async def test_a_slow_ping_of_one_hook_does_not_keep_from_pinging_another(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        other = client.hook(receiver.url, name="other")
        await scene.console.shows("other")
        held = scene.gate.hold(f"POST /v1/hooks/{scene.hook.id}/ping")
        await scene.open(HooksScreen)
        await scene.console.press("p", "down", "p")
        await scene.console.until(lambda: "(other) delivered: 200" in scene.notice)
        assert scene.gate.count(f"POST /v1/hooks/{other.id}/ping") == 1
        scene.screen.notices.clear()
        # What is still on its way is told again when the notice has gone.
        await scene.console.until(lambda: scene.notice.endswith("(billing) …"))
        held.release()
        await scene.console.until(lambda: "(billing) delivered: 200" in scene.notice)


# Red when an error that a command does not expect ends the console.
async def test_a_refusal_that_a_command_does_not_expect_is_reported(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    async def refused(_actions: HookActions, _hooks: object) -> None:
        raise Conflict("not at this moment")

    monkeypatch.setattr(HookActions, "_ping", refused)
    async with staged(client, receiver) as scene:
        await scene.open(HooksScreen)
        await scene.console.press("p")
        await scene.console.until(lambda: "not at this moment" in scene.notice)


def _type(screen: ConsoleScreen) -> None:
    (
        screen.query(TextArea).first() if screen.query(TextArea) else screen.query(Input).first()
    ).focus()


# Red when a form loses typed text on a way out that it does not know of.
@pytest.mark.parametrize("kind", [HookForm, EmitScreen, TokenForm, ReplayForm])
async def test_typed_text_is_not_lost_without_a_question(
    client: Client, receiver: Receiver, kind: type[ConsoleScreen]
):
    async with staged(client, receiver) as scene:
        form = await scene.open(kind)
        assert not form.unsaved
        _type(form)
        await scene.console.press("x")
        await scene.console.until(lambda: form.unsaved)
        other = scene.ask(calls.create_account(f"left {client.id} {kind.__name__}")).id

        def typed(line: str) -> None:
            command_line._run(scene.app, parse(line, {}))

        for leave in (
            form.back,
            form.quit,
            lambda: form.go(TOP_SCREENS[1]),
            lambda: typed("log status:failed"),
            lambda: typed(f"account {other}"),
            lambda: scene.app.switch_account(other),
        ):
            leave()
            await scene.on_dialog(Question)
            await scene.console.press("s")
            await scene.on(kind)
        above = HookScreen(scene.hook.id)
        await scene.app.push_screen(above)
        for leave in (above.quit, lambda: above.go(TOP_SCREENS[1])):
            leave()
            await scene.on_dialog(Question)
            await scene.console.press("s")
            await scene.on(HookScreen)
        await scene.console.press("question_mark")
        await scene.on_dialog(HelpScreen)
        await scene.console.press("q")
        await scene.on_dialog(Question)
        await scene.console.press("s")
        await scene.on_dialog(HelpScreen)
        await scene.console.press("escape")
        await scene.on(HookScreen)
        typed("log status:failed")
        await scene.on_dialog(Question)
        await scene.console.press("y")
        log = await scene.on(screen_class(TOP_SCREENS[1]))
        await scene.console.until(lambda: "status:failed" in log.filter.text)


YES_OR_NO = (DialogOption("n", "no", "n"), DialogOption("y", "yes", "y"))


# Red when the second of two keys closes the screen below a dialog: a form lost its text, and on the
# first screen the console ended.
@pytest.mark.parametrize("kind", [HooksScreen, HookScreen])
@pytest.mark.parametrize("key", ["y", "enter", "escape"])
async def test_a_key_that_comes_twice_at_once_closes_a_dialog_alone(
    client: Client, receiver: Receiver, kind: type[ConsoleScreen], key: str
):
    async with staged(client, receiver) as scene:
        below = await scene.open(kind)
        question = Question("Sure?", "", YES_OR_NO)
        answers: list[str | None] = []
        await scene.app.push_screen(question, answers.append)
        for _ in range(2):
            if key == "enter":
                question.on_short_list_chosen(ShortList.Chosen(ShortRow("y", "y", "yes")))
            elif key == "escape":
                await question.action_command("back")
            else:
                question.on_key(events.Key(key, key))
        await scene.console.until(lambda: answers)
        await scene.console.pilot.pause()
        assert answers == [None if key == "escape" else "y"]
        assert scene.screen is below


# Red when who waits for a dialog is not told that it was closed from elsewhere: the command seemed
# to be under way for ever.
async def test_a_dialog_that_is_left_by_the_palette_ends_its_command(
    client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        screen = await scene.open(HooksScreen)
        await scene.console.press("d")
        await scene.on_dialog(Question)
        scene.app.navigation.go(TOP_SCREENS[1])
        await scene.on(screen_class(TOP_SCREENS[1]))
        await scene.console.press("1")
        await scene.on(HooksScreen)
        await scene.console.until(lambda: not screen._running_commands)
        await scene.console.press("d")
        await scene.on_dialog(Question)
