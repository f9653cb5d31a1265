"""Commands on many: progress, Esc stops, who failed is named, and marks are what is left to do."""

import asyncio

import pytest
from textual import events

from hooktui.client import calls
from hooktui.console.app import ConsoleApp
from hooktui.console.frame.bulk import BulkResult
from hooktui.console.run import run
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.domain.errors import Unavailable
from tests.console.client import Client
from tests.support.receivers import Receiver
from tests.support.waiting import until, wait_for

RETRIES = [600.0, 600.0]


def test_what_became_of_many_is_reported_with_names_and_counts():
    outcome: BulkResult[int, None] = BulkResult()
    assert (outcome.severity, outcome.rest(str)) == ("good", "")
    outcome.left = [8, 9]
    assert (outcome.severity, outcome.rest(str)) == ("warn", "; stopped, 2 not started")
    outcome.failed = [(number, "is gone") for number in range(5)]
    assert outcome.severity == "bad"
    assert outcome.rest(str) == (
        "; 0: is gone; 1: is gone; 2: is gone; 2 more failed; stopped, 2 not started"
    )


async def test_one_that_fails_is_named_and_the_others_go_on(open_console, make_hook, client):
    """Red when the first refusal ends it, or its words are lost behind those of the rest."""
    hooks = [make_hook(name=f"hook {letter}") for letter in "abc"]
    async with open_console() as console:
        await console.shows("hook c")
        await console.press("ctrl+a")
        await console.shows("3 marked")
        ask = console.app.connection.send

        async def refuse_one(call):
            if call.path == f"/v1/hooks/{hooks[1]['id']}" and call.method == "PATCH":
                client.ask(calls.delete_hook(hooks[1]["id"]))
            return await ask(call)

        console.app.connection.send = refuse_one
        await console.press("a")
        await console.shows("2 hooks disabled", f"hook {hooks[1]['id']} (hook b): ", "u undoes")
        await console.press("u")
        await console.shows("undone: 2 hooks enabled again")
        assert client.ask(calls.get_hook(hooks[2]["id"])).active


async def test_pings_that_fail_are_named(open_console, make_hook, receiver):
    hooks = [make_hook(name=f"hook {letter}") for letter in "ab"]
    receiver.status = 500
    async with open_console() as console:
        await console.shows("hook b")
        await console.press("ctrl+a")
        await console.shows("2 marked")
        await console.press("p")
        await console.shows("0 of 2 pings delivered", f"hook {hooks[0]['id']} (hook a): 500")


async def test_undo_works_on_another_screen_and_what_failed_can_be_undone_again(
    open_console, make_hook, client
):
    """Red when each screen has an undo of its own, or a failed one forgets what it was to do."""
    hook = make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.open_hook(hook["id"])
        await console.shows(f"Hook {hook['id']}", "active")
        await console.press("a")
        await console.shows("(billing) disabled")
        await console.press("1")
        await console.shows("disabled")
        ask = console.app.connection.send

        async def busy(call):
            if call.method == "PATCH":
                raise Unavailable("the database is busy")
            return await ask(call)

        console.app.connection.send = busy
        await console.press("u")
        await console.shows(f"hook {hook['id']} (billing): the database is busy")
        console.app.connection.send = ask
        await console.press("u")
        await console.shows("undone: 1 hook enabled again")
        assert client.ask(calls.get_hook(hook["id"])).active


async def test_esc_stops_a_long_work_and_the_marks_are_what_is_left(
    open_console, client: Client, receiver: Receiver
):
    """Red when Esc goes back, or a second press sends again what was sent."""
    hook = client.retrying_hook(receiver, 3)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("3 deliveries", "↻ retrying")
        await console.press("ctrl+a", "space")
        await console.hides("all that match")
        await console.shows("3 marked")
        ask, go_on = console.app.connection.send, asyncio.Event()

        async def slow(call):
            answer = await ask(call)
            if call.path.endswith("/cancel"):
                await go_on.wait()
            return answer

        console.app.connection.send = slow
        await console.press("c", "y")
        await console.shows("1 of 3", "Esc stops it")
        await console.press("r")
        await console.shows("still cancelling", "1 of 3")
        await console.press("escape")
        await console.shows("stopping after this one")
        go_on.set()
        await console.shows("cancelled; stopped, 2 not started", "2 marked")
        console.app.connection.send = ask
        await console.press("c", "y")
        await console.shows("2 deliveries cancelled")


async def test_deleted_hooks_are_not_marked_any_more(open_console, make_hook):
    """Red when marks outlive their hooks: the next command would act on what is gone."""
    for letter in "abc":
        make_hook(name=f"hook {letter}")
    async with open_console() as console:
        await console.shows("hook c")
        await console.press("space", "space")
        await console.shows("2 marked")
        await console.press("d")
        await console.shows("Delete 2 hooks?")
        await console.press("y")
        await console.shows("2 hooks deleted", "1 hook")
        await console.hides("2 marked")


async def test_marks_survive_a_filter_and_a_reload(open_console, make_hook):
    for name in ("billing", "backup"):
        make_hook(name=name)
    async with open_console() as console:
        await console.shows("backup")
        await console.press("space")
        await console.shows("1 marked")
        await console.press("slash", *"backup", "enter")
        await console.hides("billing")
        await console.press("ctrl+r")
        await console.shows("1 marked", "backup")
        assert [hook.name for hook in console.app.screen.selected_hooks()] == ["billing"]


# Red for A5: two keys sent all of them again, and since the marks stayed a third one did it twice.
async def test_more_than_one_is_sent_again_after_a_question_and_is_not_marked_any_more(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=RETRIES)
    client.emit()
    wait_for(lambda: client.deliveries(hook.id, "delivered"))
    receiver.status = 500
    client.emit()
    # While it is being sent, its try counts already, and the receiver has not answered.
    wait_for(lambda: [one.attempts for one in client.deliveries(hook.id, "pending")] == [1])
    receiver.status = 200

    def resent() -> int:
        return sum(one.trigger == "resend" for one in client.deliveries(hook.id))

    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("2 deliveries")
        await console.press("ctrl+a", "space")
        await console.hides("all that match")
        await console.press("r")
        await console.shows("Resend 2 deliveries?", "1 of them has already been delivered")
        await console.press("enter")
        await console.shows("nothing was resent", "2 marked")
        assert resent() == 0
        await console.press("r", "y")
        await console.shows("2 deliveries sent again")
        await console.hides("marked")
        wait_for(lambda: len(client.deliveries(hook.id, "delivered")) == 3)
        assert resent() == 1  # the other one was due, and is sent as it is


# Red while the question said only that none had been delivered: newer deliveries of the events had.
async def test_failed_deliveries_whose_events_were_sent_again_may_have_been_delivered(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=[])
    receiver.status = 500
    for _ in range(3):
        client.emit()
    wait_for(lambda: len(client.deliveries(hook.id, "failed")) == 3)
    receiver.status = 200
    for failed in client.deliveries(hook.id, "failed")[:2]:
        client.ask(calls.resend_delivery(failed.id))
    wait_for(lambda: len(client.deliveries(hook.id, "delivered")) == 2)
    async with open_console(size=(120, 40)) as console:
        await console.open_hook(hook.id)
        await console.press("slash", *"status:failed", "enter")
        await console.shows("3 deliveries")
        await console.press("ctrl+a", "space")
        await console.hides("all that match")
        await console.press("r")
        await console.shows(
            "Resend 3 deliveries?", "last showed them. 2", "of them were given up or sent"
        )


# Red when rows that left the list are counted as they were: what had been delivered was sent twice.
async def test_marked_rows_that_left_the_list_may_have_been_delivered(
    open_console, client: Client, receiver: Receiver
):
    hook = client.hook(receiver.url, retry_schedule_s=[3600])
    receiver.status = 500
    for _ in range(2):
        client.emit()
    wait_for(lambda: len(client.deliveries(hook.id, "pending")) == 2)
    async with open_console(size=(120, 40)) as console:
        await console.open_hook(hook.id)
        await console.shows("2 deliveries")
        await console.press("ctrl+a", "space")
        await console.hides("all that match")  # the server returns the rows to mark
        await console.press("r")
        await console.shows("None of them had been delivered when the list last showed them")
        await console.press("escape")
        console.app.screen.listing.window._pages.clear()  # as if others had come before them
        await console.press("r")
        await console.shows("All of them are not among the loaded rows any more")


# Red when a console that ends during a command on many says nothing of it.
@pytest.mark.parametrize("undoes", [False, True])
@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_what_many_became_when_the_console_ended_is_reported_after_it(
    open_console, make_hook, key: str, undoes: bool
):
    for letter in "abcd":
        make_hook(name=f"hook {letter}")
    async with open_console() as console:
        await console.shows("hook d")
        await console.press("ctrl+a")
        await console.shows("4 marked")
        if undoes:
            await console.press("a")
            await console.shows("4 hooks disabled")
        send, changes = console.app.connection.send, []

        async def second_hangs(call):
            if call.method == "PATCH":
                changes.append(call)
                if len(changes) == 2:
                    await asyncio.Event().wait()
            return await send(call)

        console.app.connection.send = second_hangs
        await console.press("u" if undoes else "a")
        await console.until(lambda: len(changes) == 2)
        console.app.post_message(events.Key(key, "q" if key == "q" else None))
        await until(lambda: not console.app.is_running)
    done = "enabled again" if undoes else "disabled"
    assert console.app.calls.stopped_work == [f"1 of 4 hooks {done}; 2 not started"]


async def test_what_many_became_when_their_screen_closed_is_a_notice(
    open_console, client, receiver
):
    hook = client.retrying_hook(receiver, 3)
    async with open_console() as console:
        await console.open_hook(hook.id)
        await console.shows("3 deliveries", "↻ retrying")
        await console.press("ctrl+a", "space")
        await console.hides("all that match")  # until then one call cancels all of them
        await console.shows("3 marked")
        send, cancels = console.app.connection.send, []

        async def second_hangs(call):
            if call.path.endswith("/cancel"):
                cancels.append(call)
                if len(cancels) == 2:
                    await asyncio.Event().wait()
            return await send(call)

        console.app.connection.send = second_hangs
        await console.press("c", "y")
        await console.until(lambda: len(cancels) == 2)
        await console.press("1")
        await console.shows("stopped when the screen was closed: 1 of 3 deliveries cancelled")


def test_the_report_is_printed_after_the_console_has_ended(monkeypatch, capsys, tmp_path):
    def ran(app: ConsoleApp, **_: object) -> None:
        app.calls.stopped_work.append("16 of 100 hooks disabled; 83 not started")
        app.calls.unfinished.append("disabling hook 17 (billing)")

    monkeypatch.setenv("HOOKTUI_HOME", str(tmp_path))
    monkeypatch.setattr(ConsoleApp, "run", ran)
    assert run(ConsoleOptions()) == 0
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "hooktui: you quit before all was done: 16 of 100 hooks disabled; 83 not started",
        "hooktui: you quit while disabling hook 17 (billing); check whether it was done",
    ]
