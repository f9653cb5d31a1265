"""The Delivery screen on a real server: attempts, differences, bytes, copies, resends."""

import re
from typing import Any

import pytest

from hooktui.client import calls
from hooktui.client.calls import Call
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.domain.clock import from_rfc3339, now_ms
from hooktui.domain.errors import Unavailable
from hooktui.domain.wire.deliveries import Delivery
from tests.console.client import Client, tried_once
from tests.console.command_scene import staged
from tests.console.gate import says
from tests.console.screen_text import rows_of, seen, until
from tests.support import waiting
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

RETRIES = [3600]


def failed_twice(client: Client, receiver: Receiver) -> Delivery:
    """Return a delivery that was answered 500, then 503 with another body, and has ended."""
    receiver.status, receiver.body = 500, b'{"ok":false,"why":"first"}'
    hook = client.hook(receiver.url, retry_schedule_s=RETRIES)
    client.emit(body=b'{"id":7}')
    # Its number counts from the claim on; pending again, it was answered.
    wait_for(lambda: [one.attempts for one in client.deliveries(hook.id, "pending")] == [1])
    receiver.status, receiver.body = 503, b'{"ok":false,"why":"second"}'
    client.ask(calls.resend_delivery(client.deliveries(hook.id)[0].id))
    wait_for(lambda: client.deliveries(hook.id, "failed"))
    return client.deliveries(hook.id)[0]


async def test_two_attempts_are_compared_and_bodies_are_shown_in_hex(
    client: Client, receiver: Receiver
) -> None:
    one = failed_twice(client, receiver)
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = DeliveryScreen(one.id)
        await app.push_screen(screen)
        await until(pilot, lambda: "Response to attempt 2" in seen(pilot))
        await pilot.press("D")
        await until(pilot, lambda: "Attempt 2 against attempt 1" in seen(pilot))
        await until(pilot, lambda: "-status: 500" in seen(pilot))
        await until(pilot, lambda: "+status: 503" in seen(pilot))
        assert any(line.lstrip() == '-  "why": "first"' for line in rows_of(screen.document))
        # Red when reading the delivery again ends the comparison.
        await screen.changed(FeedChanges(everything=True))
        assert "Attempt 2 against attempt 1" in rows_of(screen.document)[0]
        await pilot.press("escape")
        await until(pilot, lambda: "Response to attempt 2" in seen(pilot))
        await pilot.press("b", "b")
        await until(pilot, lambda: "000000  7b 22 6f 6b 22" in seen(pilot))
        assert "in hex" in seen(pilot)


# Red while the key after a long reason is cut.
async def test_a_failed_ping_shows_the_key_that_sends_it_again(
    client: Client, receiver: Receiver
) -> None:
    receiver.status = 500
    client.ask(calls.ping_hook(hook := client.hook(receiver.url).id))
    wait_for(lambda: client.deliveries(hook, "failed"))
    app = client.console()
    async with app.run_test(size=(60, 20)) as pilot:
        await app.push_screen(DeliveryScreen(client.deliveries(hook)[0].id))
        await until(pilot, lambda: "a ping is never retried" in " ".join(seen(pilot).split()))
        assert "r sends it again" in " ".join(seen(pilot).split())


async def test_marks_choose_the_attempts_and_moving_shows_the_attempt_again(
    client: Client, receiver: Receiver
) -> None:
    one = failed_twice(client, receiver)
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(DeliveryScreen(one.id))
        await until(pilot, lambda: "Response to attempt 2" in seen(pilot))
        await pilot.press("home", "space", "D")
        await until(pilot, lambda: "Attempt 2 against attempt 1" in seen(pilot))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "Response to attempt 1" in seen(pilot))


async def test_a_resend_says_what_it_is_a_resend_of_and_enter_opens_that(
    client: Client, receiver: Receiver
) -> None:
    # Red when the deliveries of an event to a hook are not read, or Enter does not open one.
    one = failed_twice(client, receiver)
    receiver.status, receiver.body = 200, b"fine"
    again = client.ask(calls.resend_delivery(one.id))
    wait_for(lambda: client.deliveries(one.hook, "delivered"))
    app = client.console()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = DeliveryScreen(again.id)
        await app.push_screen(screen)
        await until(pilot, lambda: f"after {one.id}, failed" in seen(pilot))
        await pilot.press("D")
        await until(pilot, lambda: "comparing needs two attempts" in seen(pilot))
        screen.document.focus()
        await pilot.press("end", "up", "enter")
        await until(pilot, lambda: app.screen is not screen)
        await until(pilot, lambda: f"sent again as {again.id}" in seen(pilot))


async def test_what_waits_says_why_then_and_what_comes_after(
    client: Client, receiver: Receiver
) -> None:
    receiver.status = 500
    hook = client.hook(receiver.url, retry_schedule_s=[3600, 7200])
    client.emit()
    wait_for(lambda: tried_once(client, hook.id))
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(DeliveryScreen(client.deliveries(hook.id)[0].id))
        await until(pilot, lambda: "retry schedule: 1h after attempt 1" in seen(pilot))
        await until(pilot, lambda: "2 attempts if each fails" in seen(pilot))
        client.ask(calls.edit_hook(hook.id, {"active": False}))
        await until(pilot, lambda: f"hook {hook.id} has been disabled since" in seen(pilot))


async def test_a_viewer_compares_and_sees_why_it_does_not_resend(
    client: Client, receiver: Receiver
) -> None:
    one = failed_twice(client, receiver)
    app = client.console(role="viewer")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(DeliveryScreen(one.id))
        await until(pilot, lambda: "Response to attempt 2" in seen(pilot))
        await pilot.press("r")
        await until(pilot, lambda: "this needs the role" in seen(pilot))
        await pilot.press("D")
        await until(pilot, lambda: "Attempt 2 against attempt 1" in seen(pilot))
        assert len(client.deliveries(one.hook)) == 1


async def test_what_is_read_besides_may_fail_and_the_delivery_stays(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Red when a hook that cannot be read takes the delivery off the screen.
    one = failed_twice(client, receiver)
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = DeliveryScreen(one.id)
        real = screen.send

        async def ask(call: Call[Any]) -> Any:
            if call.path.startswith("/v1/deliveries/"):
                return await real(call)
            raise Unavailable("the server went away")

        monkeypatch.setattr(screen, "send", ask)
        await app.push_screen(screen)
        await until(pilot, lambda: "Response to attempt 2" in seen(pilot))
        await pilot.press("ctrl+r", "D")
        await until(pilot, lambda: "Attempt 2 against attempt 1" in seen(pilot))


async def test_a_delivery_that_waits_says_when_it_is_tried_again_and_shows_what_came_back(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=RETRIES)
    receiver.status, receiver.body = 503, b'{"detail":"[/b]\\u001b[31m disk full"}'
    client.emit(body=b'{"id":7,"owner":{"name":"Ann"}}')
    wait_for(lambda: tried_once(client, hook.id))
    async with open_console(size=(80, 24)) as console:
        await console.open_hook(hook.id)
        await console.shows("↻ retrying")
        await console.press("enter")
        await console.shows("next attempt at", "✗ 503", "◌ next attempt", "Response to attempt 1")
        await console.shows('"detail": "[/b]\\u001b[31m disk full"', "HTTP 503")
        await console.shows("reason: retry schedule:")  # with it what is to come, below
        await console.press("tab", "G", "up")
        await console.shows("What webhook-signature signs", "What X-Hook-Signature signs")
        await console.press("enter", "down")
        await console.shows(f"{client.deliveries(hook.id)[0].event}.")


async def test_cancel_and_resend_lead_to_the_new_delivery(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=RETRIES)
    receiver.status = 500
    client.emit()
    wait_for(lambda: tried_once(client, hook.id))
    first = client.deliveries(hook.id)[0].id
    async with open_console() as console:
        console.app.navigation.open_delivery(first)
        await console.shows("↻ retrying")
        await console.press("c")
        await console.shows("⊘ cancelled", "r sends it again")
        await console.press("c")
        await console.shows("only a waiting delivery can be cancelled")
        receiver.status = 200
        await console.press("r")
        await console.until(
            lambda: (
                isinstance(console.app.screen, DeliveryScreen)
                and console.app.screen.delivery_id != first
            )
        )
        await console.shows("sent again")
        await console.shows("✓ delivered", "by resend")
        await console.press("escape")
        await console.hides("Delivery dlv_")


async def test_brackets_go_through_the_attempts_and_the_answer_follows(
    open_console, client: Client, receiver: Receiver
):
    receiver.status, receiver.body = 500, b"first answer"
    hook = client.hook(receiver.url, retry_schedule_s=[0.05])
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "failed"))
    async with open_console() as console:
        console.app.navigation.open_delivery(client.deliveries(hook.id)[0].id)
        await console.shows("✗ failed", "gave up", "Response to attempt 2")
        await console.press("right_square_bracket")
        await console.shows("! this is the last attempt")
        await console.press("left_square_bracket")
        await console.shows("Response to attempt 1")
        await console.press("left_square_bracket")
        await console.shows("! this is the first attempt")
        await console.press("right_square_bracket")
        await console.shows("Response to attempt 2")


# Red when the keys of another attempt do nothing, without a word, where there is one attempt.
@pytest.mark.parametrize("key", ["left_square_bracket", "right_square_bracket"])
async def test_a_delivery_with_one_attempt_says_that_there_is_no_other(
    open_console, client: Client, receiver: Receiver, key: str
):
    hook = client.hook(receiver.url)
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    async with open_console(size=(80, 24)) as console:
        console.app.navigation.open_delivery(client.deliveries(hook.id)[0].id)
        await console.shows("✓ delivered", "Response to attempt 1")
        await console.press(key)
        await console.shows("! there is no other attempt")


async def test_a_delivery_is_copied_as_curl_and_in_pieces(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url)
    client.emit(body=b'{"id":7}')
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    one = client.deliveries(hook.id)[0]
    async with open_console() as console:
        sent: list[str] = []
        console.app.copy_to_clipboard = sent.append
        console.app.navigation.open_delivery(one.id)
        await console.shows("✓ delivered")
        await console.press("y")
        await console.shows("the delivery's id sent to the terminal")
        await console.press("Y")
        await console.shows("a curl command")
        await console.press("c")
        await console.shows("the curl command sent to the terminal")
        assert sent[0] == one.id
        assert sent[1].startswith(f"curl -sS -i -X POST {receiver.url}")
        assert sent[1].endswith("""--data-raw '{"id":7}'""")


async def test_raw_shows_the_body_byte_by_byte(open_console, client: Client, receiver: Receiver):
    hook = client.hook(receiver.url)
    client.emit(body=b'{"id": 7,   "x":[]}')
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    async with open_console() as console:
        console.app.navigation.open_delivery(client.deliveries(hook.id)[0].id)
        await console.shows('  "id": 7,')
        await console.press("b")
        await console.shows('{"id": 7,   "x":[]}')


async def test_a_delivery_that_cannot_be_loaded_is_said(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        scene.gate.spoil("GET /v1/deliveries/dlv_.*", says(500, "internal server error"))
        scene.console.app.navigation.open_delivery("dlv_0000000000001")
        await scene.console.shows("dlv_0000000000001", "! internal server error")

        async def is_refused() -> bool:
            await scene.console.pilot.press("r")
            return "not loaded yet" in scene.console.text

        # On a busy machine the screen may read once more, and its error replaces the reason.
        await waiting.until(is_refused)


async def test_an_open_delivery_follows_its_attempts_by_itself(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=RETRIES)
    receiver.status = 500
    async with open_console() as console:
        await console.shows("hook")
        client.emit()
        wait_for(lambda: client.deliveries(hook.id))
        console.app.navigation.open_delivery(client.deliveries(hook.id)[0].id)
        await console.shows("✗ 500", "◌ next attempt")
        receiver.status = 200
        client.ask(calls.resend_delivery(client.deliveries(hook.id)[0].id))
        await console.shows("✓ delivered", "✓ 200", "Response to attempt 2")
        await console.hides("next attempt")


async def test_an_open_delivery_follows_that_it_is_sent_again_elsewhere(
    open_console, client: Client, receiver: Receiver
):
    # Red when only the delivery itself is followed: this one does not change any more.
    hook = client.hook(receiver.url)
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    first = client.deliveries(hook.id)[0]
    one = client.ask(calls.resend_delivery(first.id))
    wait_for(lambda: len(client.deliveries(hook.id, "delivered")) == 2)
    async with open_console() as console:
        await console.shows("hook")
        console.app.navigation.open_delivery(one.id)
        await console.shows("✓ delivered", f"after {first.id}")
        await console.pilot.pause(2)  # the changes of the first page of the feed were applied
        again = client.ask(calls.resend_delivery(one.id))
        await console.shows(f"sent again as {again.id}")


NEXT_AT = re.compile(r" at \d\d:\d\d")


# Red when a delivery is due now although the open breaker of its hook, or a pause, holds it up, and
# when a pause of somebody else does not show by itself.
async def test_the_next_attempt_is_the_earliest_that_can_be_on_page_and_list(
    open_console, client: Client, receiver: Receiver
):
    receiver.status = 500
    hook = client.hook(receiver.url, retry_schedule_s=[1.0, 3600])
    for _ in range(10):
        client.emit()
    wait_for(lambda: client.ask(calls.get_hook(hook.id)).stats.breaker == "open")
    newest = client.deliveries(hook.id)[0]
    wait_for(lambda: now_ms() > from_rfc3339(newest.next_attempt_at))
    async with open_console(size=(120, 30)) as console:
        await console.open_hook(hook.id)
        await console.until(lambda: NEXT_AT.search(console.text))
        await console.hides("due now")
        client.ask(calls.pause())
        try:
            await console.shows("paused      ", "delivery is paused")
            await console.until(lambda: not NEXT_AT.search(console.text))
            console.app.navigation.open_delivery(newest.id)
            await console.shows("next attempt paused", "reason: all sending has been paused since")
        finally:
            client.ask(calls.resume())
        await console.shows("next attempt at ", ", in ", "probe attempt at")
        await console.hides("due now")
