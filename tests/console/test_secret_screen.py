"""The Secret screen on a real server: when a secret is seen, and when it must not be."""

from typing import Any

import pytest

from hooktui.client import calls
from hooktui.client.calls import Call
from hooktui.console.hooks.secret_lines import SecretLines
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.domain.signatures import hook_signature
from tests.console.client import Client
from tests.support.receivers import Receiver


async def test_the_secret_is_masked_until_v_and_again_after_v(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console(size=(80, 24)) as console:
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("secret     •••", "masked", "1 2 3")
        assert "whsec_" not in console.text
        await console.press("v")
        await console.shows(hook.secret, "hidden again in")
        await console.press("v")
        await console.shows("secret     •••", "masked", "1 2 3")
        assert hook.secret not in console.text


async def test_a_revealed_secret_hides_by_itself_and_its_value_is_forgotten(
    open_console, client: Client
):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        screen = SecretScreen(hook, hook.secret)
        await console.app.push_screen(screen)
        await console.shows(hook.secret, "hidden again in")
        screen.reveal_timer._seconds_left = 1
        await console.shows("masked")
        lines = screen.query_one(SecretLines)
        assert lines.value_under_cursor() == ""


async def test_no_picture_and_no_repr_shows_a_revealed_secret(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        screen = SecretScreen(hook, hook.secret)
        await console.app.push_screen(screen)
        await console.shows(hook.secret)
        picture = console.app.export_screenshot()
        assert hook.secret[6:20] not in picture
        assert "masked" not in console.text
        assert hook.secret in console.text
        assert hook.secret not in repr(hook)
        assert hook.secret not in repr(screen.query_one(SecretLines)._known)


async def test_another_screen_in_front_leaves_nothing_revealed_behind(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook, hook.secret))
        await console.shows(hook.secret)
        await console.press("question_mark")
        await console.hides(hook.secret)


async def test_the_audited_call_is_made_for_each_reveal_and_for_nothing_else(
    open_console, client: Client
):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        asked: list[str] = []
        ask = console.app.connection.send

        async def listening(call: Call[Any]) -> Any:
            asked.append(call.path)
            return await ask(call)

        console.app.connection.send = listening
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("masked", "its age is shown after")
        await console.press("right_square_bracket", "tab", "tab", "down", "ctrl+r")
        assert not [path for path in asked if "/secret" in path]
        await console.press("v")
        await console.shows(hook.secret)
        await console.press("v", "v")
        await console.shows(hook.secret)
        assert [path for path in asked if "/secret" in path] == [f"/v1/hooks/{hook.id}/secret"] * 2


async def test_y_copies_the_secret_without_showing_it(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        sent: list[str] = []
        console.app.copy_to_clipboard = sent.append
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("masked")
        await console.press("y")
        await console.shows(f"the secret of hook {hook.id} sent to the terminal")
        assert sent == [hook.secret]
        assert hook.secret not in console.text


async def test_a_rotation_shows_both_secrets_until_it_is_finished(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("masked")
        await console.press("t")
        await console.shows("the old one lasts 24 hours", "cancel")
        await console.press("d")
        await console.shows("newest", "previous", "signs X-Hook-Signature until")
        await console.press("v")
        secrets = client.ask(calls.hook_secrets(hook.id)).secrets
        await console.shows(*(one.secret for one in secrets))
        await console.press("p")
        await console.shows("delivered")
        _, headers, body, _ = receiver.requests[-1]
        assert headers["X-Hook-Signature"] == hook_signature(hook.secret, body)
        await console.press("t")
        await console.shows("finish: only the newest")
        await console.press("f")
        await console.shows("only the newest secret is valid now")
        await console.hides("keys X-Hook-Signature")
        await console.press("p")
        await console.until(lambda: len(receiver.requests) == 2)
        _, headers, body, _ = receiver.requests[-1]
        assert headers["X-Hook-Signature"] == hook_signature(secrets[0].secret, body)


# Red when the secret that is shown is one that another user has replaced.
@pytest.mark.parametrize("revealed", [True, False])
async def test_a_rotation_by_another_user_is_reported(
    open_console, client: Client, receiver: Receiver, revealed: bool
):
    hook = client.hook(receiver.url)
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook))
        await console.press("v")
        await console.shows(hook.secret, "created just now")
        if not revealed:
            await console.press("v")
            await console.hides(hook.secret)
        client.ask(calls.rotate_secret(hook.id, overlap_s=3600))
        await console.shows("another user changed the hook's secrets", "its age is shown")
        assert hook.secret not in console.text
        await console.press("t")
        await console.shows("finish: only the newest")


async def test_enter_on_the_rotation_question_changes_nothing(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("masked")
        await console.press("t")
        await console.shows("leaked")
        await console.press("enter")
        await console.hides("leaked")
        assert len(client.ask(calls.hook_secrets(hook.id)).secrets) == 1


async def test_a_leak_switches_at_once(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("masked")
        await console.press("t")
        await console.shows("leaked")
        await console.press("l")
        await console.shows("a new secret is valid; the old one is not")
        now = client.ask(calls.hook_secrets(hook.id))
        assert len(now.secrets) == 1
        assert now.secret != hook.secret


async def test_the_code_is_for_the_hash_of_the_hook_and_brackets_change_the_language(
    open_console, client: Client
):
    hook = client.hook("http://127.0.0.1:9/in", signature_hash="sha512")
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook))
        await console.shows("HMAC-SHA-512", "(x) Python", "import hashlib")
        await console.press("left_square_bracket")
        await console.shows("! this is the first language")
        await console.press("right_square_bracket")
        await console.shows("(x) Node", 'require("node:crypto")')
        await console.press("left_square_bracket", "tab")
        sent: list[str] = []
        console.app.copy_to_clipboard = sent.append
        await console.press("y")
        await console.shows("the Python code")
        assert "hashlib.sha512" in sent[0]


async def test_an_operator_sees_why_not(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in")
    async with open_console(role="operator") as console:
        await console.shows("(operator)")
        await console.app.push_screen(SecretScreen(hook))
        for key in ("v", "y", "t"):
            await console.press(key)
            await console.shows("needs the role admin")
            console.app.screen.notices.clear()


# Red when the secret at that place by now is copied: another one, or none, which ended the console.
async def test_a_copy_takes_no_other_secret_than_the_one_that_is_shown(
    open_console, client: Client
):
    hook = client.hook("http://127.0.0.1:9/in")
    client.ask(calls.rotate_secret(hook.id, overlap_s=3600))
    async with open_console() as console:
        await console.app.push_screen(SecretScreen(hook))
        sent: list[str] = []
        console.app.copy_to_clipboard = sent.append
        await console.press("v")
        await console.shows("previous", hook.secret)
        await console.press("v", "down")
        client.ask(calls.finish_rotation(hook.id))
        await console.press("y")
        await console.shows("the hook's secrets have changed; check, then press y again")
        assert sent == []
        await console.press("y")
        await console.until(lambda: sent)
        assert sent == [client.ask(calls.hook_secrets(hook.id)).secret]


# Red when the screen keeps the hook as it was opened with: its code rejected what the hook signs.
async def test_the_code_follows_an_edit_of_the_hook(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in", name="billing")
    async with open_console(size=(100, 50)) as console:
        screen = SecretScreen(hook)
        await console.app.push_screen(screen)
        await console.shows("HMAC-SHA-256 of the raw body")
        client.ask(calls.edit_hook(hook.id, {"signature_hash": "sha512", "name": "invoices"}))
        await console.shows("HMAC-SHA-512 of the raw body", "(invoices)")
        assert "sha512" in screen._snippets["Python"].lower()
