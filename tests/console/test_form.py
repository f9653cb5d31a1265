"""The form on a real server: a hook is made, mended, edited by two admins at once."""

import pytest

from hooktui.client import calls
from hooktui.console.app import ConsoleApp
from hooktui.console.formatting import moment
from hooktui.console.frame.dialogs import Question
from hooktui.console.hooks.form_fields import LABELS
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.form_values import FormValues
from hooktui.console.hooks.secret_screen import SecretScreen
from hooktui.console.widgets.controls import Note
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Unavailable
from hooktui.domain.wire.hooks import Hook
from tests.console.client import Client
from tests.console.screen_text import seen, until
from tests.support.receivers import Receiver


def on(app: ConsoleApp, screen: type) -> bool:
    return isinstance(app.screen, screen) and app.screen.is_mounted


def hooks_of(client: Client) -> list[Hook]:
    found: list[Hook] = client.ask(calls.list_hooks(client.id)).data
    return found


async def test_a_hook_is_made_by_keys_alone_and_its_ping_arrives(
    client: Client, receiver: Receiver
) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No hooks yet" in seen(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "Webhook" in seen(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: on(app, HookForm))
        await pilot.press(*receiver.url, "tab", "tab", "tab", "space", "ctrl+s")
        await until(pilot, lambda: on(app, SecretScreen))
        await until(pilot, lambda: "whsec_" in seen(pilot))
        [hook] = hooks_of(client)
        assert (hook.url, hook.events, hook.name) == (receiver.url, ("job",), "127.0.0.1")
        secret = client.ask(calls.hook_secrets(hook.id)).secret
        assert secret in seen(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "delivered: 200" in seen(pilot))
        assert [one.headers["X-Hook-Event"] for one in receiver.requests] == ["ping"]


async def test_what_is_wrong_is_shown_at_its_field_and_the_first_one_gets_the_keys(
    client: Client,
) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(HookForm(None))
        await pilot.press(*"ftp://x", "tab", "tab", "ctrl+s")
        await until(pilot, lambda: "2 fields to correct" in seen(pilot))
        assert "use http or https" in seen(pilot)
        assert "choose at least one event" in seen(pilot)
        assert app.focused is not None
        assert app.focused.id == "url"
        assert hooks_of(client) == []


async def test_a_refusal_of_the_server_is_shown_at_its_field_even_when_that_is_folded(
    client: Client,
) -> None:
    hook = client.hook("http://127.0.0.1:9/in")
    app = client.console()
    async with app.run_test(size=(100, 40)) as pilot:
        form = HookForm(hook)
        await app.push_screen(form)
        # Another admin's server knows rules that this console does not: here a value that only the
        # server can judge, a header that is masked although nothing is stored under its name.
        form.query_one("#headers").text = "X-Code: ***"  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "give its value" in seen(pilot))
        assert app.focused is not None
        assert app.focused.id == "headers"


async def test_an_address_that_policy_forbids_is_said_at_the_url(client: Client) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(HookForm(None))
        await pilot.press(*"http://10.1.2.3/", "tab", "tab", "tab", "space", "ctrl+s")
        await until(pilot, lambda: "1 field to correct" in seen(pilot))
        assert "10.1.2.3" in seen(pilot)
        assert app.focused is not None
        assert app.focused.id == "url"
        await pilot.press("end", "4")
        await until(pilot, lambda: "to correct" not in seen(pilot))


async def test_esc_asks_only_when_something_typed_would_be_lost(client: Client) -> None:
    hook = client.hook("http://127.0.0.1:9/in")
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(HookForm(hook))
        await pilot.press("escape")
        await until(pilot, lambda: not on(app, HookForm))
        form = HookForm(hook)
        await app.push_screen(form)
        await pilot.press("tab", "end", "x", "escape")
        await until(pilot, lambda: on(app, Question))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is form)
        assert form.values()["name"] == "127.0.0.1x"
        await pilot.press("escape", "y")
        await until(pilot, lambda: not on(app, HookForm))
        assert client.ask(calls.get_hook(hook.id)).name == "127.0.0.1"


async def test_quitting_and_going_elsewhere_ask_too(client: Client) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        form = HookForm(None)
        await app.push_screen(form)
        await pilot.press("x", "tab", "tab")
        for key in ("q", "1", "2"):
            await pilot.press(key)
            await until(pilot, lambda: on(app, Question))
            await pilot.press("s")
            await until(pilot, lambda: app.screen is form)


async def test_two_admins_who_change_different_fields_both_keep_their_changes(
    client: Client,
) -> None:
    hook = client.hook("http://127.0.0.1:9/in")
    app = client.console()
    async with app.run_test(size=(80, 30)) as pilot:
        await app.push_screen(HookForm(hook))
        await pilot.press("tab", "end", "x")
        client.ask(calls.edit_hook(hook.id, {"timeout_s": 7}))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "different fields" in seen(pilot))
        changed = client.ask(calls.get_hook(hook.id))
        who, when = client.ask(calls.server_status()).user, moment(changed.updated_at, now_ms())
        for word in (f"you read 1: {who}", "changed it at", when):
            assert word in seen(pilot)
        await pilot.press("o")
        await until(pilot, lambda: " saved" in seen(pilot))
        now = client.ask(calls.get_hook(hook.id))
        assert (now.name, now.timeout_s) == ("127.0.0.1x", 7)


# Red when the choice promises to discard changes that it keeps, or discards them.
async def test_saving_over_a_change_keeps_its_other_fields_and_says_so(client: Client) -> None:
    hook = client.hook("http://127.0.0.1:9/in")
    app = client.console()
    async with app.run_test(size=(80, 30)) as pilot:
        await app.push_screen(HookForm(hook))
        await pilot.press("tab", "end", "x")
        client.ask(calls.edit_hook(hook.id, {"name": "theirs", "ordered": True}))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "save my changes over theirs" in seen(pilot))
        details = app.screen.query_one("#details", Note).text
        assert "Saving keeps your values of these, and their changes of other fields." in details
        await pilot.press("o")
        await until(pilot, lambda: " saved" in seen(pilot))
        now = client.ask(calls.get_hook(hook.id))
        assert (now.name, now.ordered) == ("127.0.0.1x", True)


async def test_reloading_keeps_what_was_typed_and_names_the_field_that_both_changed(
    client: Client,
) -> None:
    hook = client.hook("http://127.0.0.1:9/in")
    app = client.console()
    async with app.run_test(size=(80, 30)) as pilot:
        form = HookForm(hook)
        await app.push_screen(form)
        await pilot.press("tab", "end", "x")
        client.ask(calls.edit_hook(hook.id, {"name": "theirs", "ordered": True}))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "both changed: name" in seen(pilot))
        await pilot.press("r")
        await until(pilot, lambda: app.screen is form)
        await until(pilot, lambda: form.values()["ordered"])
        assert form.values()["name"] == "127.0.0.1x"
        assert client.ask(calls.get_hook(hook.id)).name == "theirs"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: client.ask(calls.get_hook(hook.id)).name == "127.0.0.1x")


def hook_with_write_only_values(client: Client) -> Hook:
    return client.hook(
        "http://127.0.0.1:9/in",
        headers={"X-Code": "geheim-4711"},
        sensitive_headers=["X-Code"],
        basic_auth={"user": "ann", "password": "geheim-4712"},
    )


# Red when a form of a hook that another admin has deleted cannot be saved at all, or a stored value
# that the form shows as *** becomes that of the new hook.
async def test_a_form_of_a_deleted_hook_can_be_saved_as_a_new_one(client: Client) -> None:
    hook = hook_with_write_only_values(client)
    app = client.console()
    async with app.run_test(size=(100, 50)) as pilot:
        form = HookForm(hook)
        await app.push_screen(form)
        await pilot.press("tab", "end", "x")
        client.ask(calls.delete_hook(hook.id))
        await pilot.press("ctrl+s")
        title = f"Hook {hook.id} was deleted while you were editing"
        await until(pilot, lambda: title in seen(pilot))
        await pilot.press("b")
        await until(pilot, lambda: on(app, HookForm))
        assert form.values()["name"] == "127.0.0.1x"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: title in seen(pilot))
        await pilot.press("c")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "headers")
        assert "type X-Code again" in seen(pilot)
        assert "New webhook" in seen(pilot)
        form.query_one("#headers").text = "secret X-Code: other-4711"  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "password")
        assert hooks_of(client) == []
        await pilot.press(*"other-4712", "ctrl+s")
        await until(pilot, lambda: on(app, SecretScreen))
        assert [one.name for one in hooks_of(client)] == ["127.0.0.1x"]


async def test_a_password_is_not_shown_and_stays_when_only_the_user_is_edited(
    client: Client,
) -> None:
    hook = client.hook(
        "http://127.0.0.1:9/in", basic_auth={"user": "ann", "password": "geheim4711"}
    )
    app = client.console()
    async with app.run_test(size=(80, 50)) as pilot:
        form = HookForm(hook)
        await app.push_screen(form)
        form.fields.unfold()
        form.query_one("#user").value = "bob"  # type: ignore[attr-defined]
        await pilot.pause()
        assert "geheim4711" not in seen(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: client.ask(calls.get_hook(hook.id)).basic_auth.user == "bob")


async def test_another_server_asks_at_the_fields_for_what_is_write_only(
    client: Client,
) -> None:
    # Red when nothing is asked while the URL is typed, or what was typed is lost.
    hook = hook_with_write_only_values(client)
    app = client.console()
    async with app.run_test(size=(100, 50)) as pilot:
        form = HookForm(hook)
        await app.push_screen(form)
        form.query_one("#url").value = "http://127.0.0.1:10/in"  # type: ignore[attr-defined]
        await until(pilot, lambda: "type X-Code again" in seen(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "headers")
        form.query_one("#headers").text = "secret X-Code: other-4711"  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "password")
        assert "type the password again" in seen(pilot)
        assert client.ask(calls.get_hook(hook.id)).version == 1
        await pilot.press(*"other-4712", "ctrl+s")
        await until(pilot, lambda: client.ask(calls.get_hook(hook.id)).version == 2)
        assert client.ask(calls.get_hook(hook.id)).url == "http://127.0.0.1:10/in"


async def test_a_viewer_may_look_at_the_form_and_sees_why_it_does_not_save(
    client: Client,
) -> None:
    hook = client.hook("http://127.0.0.1:9/in")
    app = client.console(role="viewer")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(HookForm(hook))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "this needs the role" in seen(pilot))


async def test_the_form_fits_a_small_terminal_and_scrolls_to_the_last_field(
    client: Client,
) -> None:
    app = client.console()
    async with app.run_test(size=(60, 15)) as pilot:
        form = HookForm(None)
        await app.push_screen(form)
        form.fields.unfold()
        await pilot.pause()
        form.query_one("#filter").focus()
        await until(pilot, lambda: "Filter" in seen(pilot))
        assert "Type a URL" in seen(pilot)


async def test_a_filter_is_tried_on_the_latest_events_while_it_is_typed(
    client: Client,
) -> None:
    # Red when the form does not ask again after a change, or asks without the hook.
    hook = client.hook("http://127.0.0.1:9/in")
    for number in range(3):
        client.emit(body=b'{"id":%d,"a":"seen\\u001b"}' % number)
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        form = HookForm(hook)
        await app.push_screen(form)
        await until(pilot, lambda: "3 of the last 3 events, the same as now" in seen(pilot))
        form.fields.go_to("filter")
        await pilot.press(*"data.id:1")
        await until(pilot, lambda: "1 of the last 3 events, 2 fewer than now" in seen(pilot))
        form.dry_run.title.focus()
        await pilot.press("enter")
        await until(pilot, lambda: "no longer sent" in seen(pilot))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "id: 2" in seen(pilot).replace('"', ""))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is form)
        assert form.values()["filter"] == "data.id:1"
        form.fields.go_to("filter")
        await pilot.press("end", *" hook:1")
        await until(pilot, lambda: "Would have received" not in seen(pilot))
        assert "column 11" in seen(pilot)
        assert client.ask(calls.get_hook(hook.id)).filter is None


async def test_a_server_that_cannot_try_says_so_and_the_form_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        form = HookForm(client.hook("http://127.0.0.1:9/in"))

        asked = []

        async def ask(call: object) -> None:
            asked.append(call)
            raise Unavailable("the server does not answer")

        monkeypatch.setattr(form, "send", ask)
        await app.push_screen(form)
        await until(pilot, lambda: "the server does not answer" in seen(pilot))
        await pilot.press("tab", "end", "x")
        assert form.values()["name"].endswith("x")
        # Red when the error stays after the server is back, until something is typed.
        await until(pilot, lambda: len(asked) > 1 and form.dry_run._asked is None)
        monkeypatch.undo()
        form.read_soon()
        await until(pilot, lambda: "the server does not answer" not in seen(pilot))


async def test_what_is_said_below_a_field_is_seen_when_the_keys_get_there(
    client: Client,
) -> None:
    # Red when only the field is scrolled to: the last one hides why its filter is wrong.
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        form = HookForm(None)
        await app.push_screen(form)
        await until(pilot, lambda: "where deliveries go" in seen(pilot))
        form.fields.go_to("filter")
        await until(pilot, lambda: "only events that match" in seen(pilot))


# Red when a form that was closed meanwhile is asked for its screen: the console ends.
async def test_a_form_may_close_while_its_settings_unfold(client: Client) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        form = HookForm(None)
        await app.push_screen(form)
        fields = form.fields
        await until(pilot, lambda: fields.is_mounted)
        fields.unfold()
        title = fields.fold_title
        await app.pop_screen()
        fields._show_title(title)  # as a refresh does that comes late


WRONG = {
    "url": ("ftp://x", "use http or https"),
    "events": ((), "choose at least one event"),
    "headers": ("no colon", "Name: value"),
    "timeout_s": ("soon", "'soon' is not a duration"),
    "filter": ("hook:1", "data.errors:*disk*"),
}
"""A value of each kind of field that is not saved, and words of the reason."""


SIZES = ((80, 24), (60, 15))
KEYS = {"below": ("pagedown",) * 4, "above": ("pageup",) * 4}
TO_CORRECT = [
    pytest.param(
        name, keys, size, id=f"{name}-{where}-{size[0]}x{size[1]}",
        marks=[pytest.mark.soak] * ((field + place + number) % 2),
    )
    for field, name in enumerate(WRONG)
    for place, (where, keys) in enumerate(KEYS.items())
    for number, size in enumerate(SIZES)
]  # fmt: skip
"""Each field from both sides, in one size each; with ``-m soak`` in the other size."""


# Red when the field is scrolled to before its error is laid out, or only the error is: its label
# was just above the edge, or nothing moved because the field had the focus already.
@pytest.mark.parametrize(("name", "keys", "size"), TO_CORRECT)
async def test_a_field_to_correct_is_in_view_with_its_label_and_its_error(
    client: Client, name: str, keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    app = client.console()
    async with app.run_test(size=size) as pilot:
        form = HookForm(client.hook("http://127.0.0.1:9/in"))
        await app.push_screen(form)
        form.fields.unfold()
        value, reason = WRONG[name]
        form.fields.fill(FormValues({**form.values(), name: value}))
        form.fields.go_to(name)
        await until(pilot, lambda: app.focused is not None and app.focused.id == name)
        await pilot.press(*keys, "ctrl+s")
        await until(pilot, lambda: "Not saved: 1 field to correct" in seen(pilot))
        await pilot.wait_for_animation()

        def shown(words: str) -> bool:
            return words in " ".join(seen(pilot).split())

        await until(pilot, lambda: shown(f" {LABELS[name]} ") and shown(reason))
        assert app.focused is not None
        assert app.focused.id == name


# Red when the hint of an empty form hides that it was not saved: nothing changed on the screen.
async def test_an_empty_form_says_that_it_is_not_saved(client: Client) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(HookForm(None))
        await pilot.press("pagedown", "pagedown", "ctrl+s")
        await until(pilot, lambda: "Not saved: 2 fields to correct" in seen(pilot))
        assert " URL " in seen(pilot)


# Red when the key line offers a key that the field takes as text.
async def test_beside_a_text_field_the_help_has_a_key_that_is_no_text(client: Client) -> None:
    app = client.console()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No hooks yet" in seen(pilot) and "? help" in seen(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "Webhook" in seen(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: on(app, HookForm) and "F1 help" in seen(pilot))
        await pilot.press("question_mark", "f1")
        await until(pilot, lambda: "keys; Enter runs one" in seen(pilot))
        await pilot.press("f1")
        await until(pilot, lambda: on(app, HookForm))
        await pilot.press(*["tab"] * 3)  # to the boxes of events
        await until(pilot, lambda: "? help" in seen(pilot))
