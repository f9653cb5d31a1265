"""The home screen against a real server: rows, commands, filter, log, and other admins' changes."""

import gc

import pytest

from hooktui.client import calls
from hooktui.console.frame import chosen_rows
from hooktui.console.log.live_log import LiveLog
from hooktui.console.widgets.page_window import PAGE
from hooktui.domain.errors import NotFound
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.conftest import Console
from tests.console.gate import changed, says
from tests.support.receivers import Receiver


async def test_no_hooks_teach_what_to_do(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet", "n  creates the first one", "0 hooks")
        await console.press("p")
        await console.shows("there is no hook under the cursor; n creates one")


# Red when the key is named to a viewer, who may not use it.
async def test_no_hooks_do_not_teach_a_viewer_what_only_others_may_do(open_console):
    async with open_console(role="viewer") as console:
        await console.shows("No hooks yet", "lists all keys", "(viewer)")
        await console.press("enter")
        await console.shows("there is no hook under the cursor")
        assert "creates" not in console.text


# Red when an empty list says "0 hooks marked; Esc unmarks".
async def test_nothing_is_marked_in_an_empty_list(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("slash", *"zzz", "enter")
        await console.shows("No hook matches")
        await console.press("ctrl+a")
        await console.shows("there is no hook to mark")


async def test_a_hook_is_one_line_with_state_host_and_events(open_console, make_hook):
    make_hook(name="billing", events=["job", "cluster.error"])
    async with open_console(size=(150, 30)) as console:
        await console.shows("● active", "billing", "127.0.0.1:", "all job · 1 cluster", "never")


async def test_a_hook_that_another_admin_makes_appears_by_itself(open_console, make_hook, client):
    async with open_console() as console:
        await console.shows("No hooks yet")
        hook = make_hook(name="appears")
        await console.shows("appears", "1 hook")
        client.ask(calls.edit_hook(hook["id"], {"name": "renamed"}))
        await console.shows("renamed")
        client.ask(calls.delete_hook(hook["id"]))
        await console.shows("No hooks yet")


async def test_a_delivery_shows_in_the_log_and_in_the_row(
    open_console, make_hook, client, receiver
):
    hook = make_hook(name="billing")
    async with open_console() as console:
        await console.shows("no attempt yet")
        receiver.status = 503
        client.emit()
        await console.shows("↻ 503", "job.failed", "↻ retrying", "1 waiting")
        await console.until(lambda: f"{hook['id']} billing" in console.text)


async def test_p_pings_and_answers_where_the_eye_is(open_console, make_hook, receiver):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("p")
        await console.shows("(billing) delivered: 200 after")
        await console.shows("✓ 200")
        receiver.status = 500
        await console.press("p")
        await console.shows("(billing) failed: 500 after")
        await console.shows("✗ 500")


async def test_a_turns_a_hook_off_and_u_on_again(open_console, make_hook, client):
    hook = make_hook()
    async with open_console() as console:
        await console.shows("active")
        await console.press("u")
        await console.shows("there is nothing to undo")
        await console.press("a")
        await console.shows("its new events are skipped; u undoes it")
        await console.shows("○ disabled")
        assert client.ask(calls.get_hook(hook["id"])).active is False
        await console.press("u")
        await console.shows("undone: 1 hook enabled again")
        await console.shows("● active")


# Red while the name filled the three lines of the notice.
async def test_a_notice_about_a_hook_with_a_long_name_shows_its_result(open_console, make_hook):
    make_hook(name="a very long name " * 11)
    async with open_console(size=(80, 24)) as console:
        await console.shows("active")
        await console.press("a")
        result = "disabled; its new events are skipped; u undoes it"
        await console.until(lambda: result in " ".join(console.text.split()))


async def test_marked_hooks_are_turned_off_together_and_narrow_the_log(open_console, make_hook):
    hooks = [make_hook(name=f"hook {letter}") for letter in "abc"]
    async with open_console() as console:
        await console.shows("hook c")
        await console.press("space", "space")
        await console.shows("2 marked", f"hook {hooks[0]['id']}, {hooks[1]['id']}")
        await console.press("e")
        await console.shows("this works on one hook, but 2 are marked; Esc unmarks")
        await console.press("a")
        await console.shows("2 hooks disabled", "2 disabled")
        await console.press("u")
        await console.shows("undone: 2 hooks enabled again")  # before that Esc stops it
        await console.press("escape")
        await console.hides("marked")
        await console.hides("disabled")


async def test_deleting_asks_and_starts_on_cancel(open_console, make_hook, client):
    hook = make_hook(name="billing", active=True)
    async with open_console() as console:
        await console.shows("billing")
        await console.press("d")
        await console.shows(
            f"Delete hook {hook['id']} (billing)?", "secret are deleted permanently"
        )
        await console.press("enter")
        await console.shows("no hook was deleted")
        assert client.ask(calls.get_hook(hook["id"])).name == "billing"
        await console.press("d", "y")
        await console.shows("deleted", "No hooks yet")
        with pytest.raises(NotFound):
            client.ask(calls.get_hook(hook["id"]))


async def test_a_filter_narrows_while_typing_and_keeps_letters_typed_ahead(open_console, make_hook):
    for name in ("billing", "zebra", "alerts"):
        make_hook(name=name)
    async with open_console() as console:
        await console.shows("billing", "zebra", "alerts")
        # Posted at once, as a terminal does with "/ze": the letters are there before the bar is.
        for key in ("slash", "z", "e"):
            console.app.simulate_key(key)
        await console.shows("1 hook", "zebra", "filter: ze")
        await console.hides("billing")
        assert not console.app.screen.has_class("-zoomed")
        await console.press("enter", "escape")
        await console.shows("3 hooks", "billing")
        await console.press("slash", "x", "q")
        # Red while the text said that words match a status: "failing" found no failing hook.
        await console.shows("No hook matches", "Words search name, URL and events; status:failing")
        await console.press("escape", "slash", *"took:")
        await console.shows("column 1: hooks have no took:")
        await console.press(*["backspace"] * 5, *"status:disabled")
        await console.shows("No hook matches", "filter: status:disabled")
        await console.press("escape")
        await console.shows("3 hooks")


# Red when only the loaded rows count: at the other end of a list, nothing seems to fail.
async def test_a_long_list_counts_all_failing_hooks(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        for number in range(PAGE):
            client.hook(receiver.url, name=f"hook {number}")
        scene.gate.spoil("GET /v1/alerts", changed(total=1_200))
        await scene.console.press("ctrl+r")
        await scene.console.shows("1,200 failing")
        await scene.console.press("G")
        await scene.console.shows(f"hook {PAGE - 1}", f"{PAGE + 1} hooks · 1,200 failing")
        await scene.console.press("slash", *"hook")
        await scene.console.shows("filter: hook")
        await scene.console.hides("failing")
        scene.gate.spoil("GET /v1/alerts", says(404, "there is nothing at /v1/alerts"))
        await scene.console.press("escape", "ctrl+r")
        await scene.console.shows(f"{PAGE + 1} hooks")
        await scene.console.hides("failing")


def underlined(console) -> str:
    """Return what is underlined in the line where a filter is typed."""
    strip = console.app.screen.query_one("PromptBar Input").render_line(0)
    return "".join(one.text for one in strip if one.style is not None and one.style.underline)


async def test_what_is_wrong_in_a_filter_is_underlined_until_the_next_letter(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        await console.press("slash", *"  billing status:xy")
        await console.shows("'xy' is not a status of a hook")
        # Red when the place is counted without the blanks before the filter.
        assert underlined(console) == "xy"
        await console.press("home")
        assert underlined(console) == "xy"
        await console.press("end", "z")
        assert underlined(console) in {"", "xyz"}  # the new one at the latest soon
        await console.until(lambda: underlined(console) == "xyz")
        await console.press(*["backspace"] * 3)
        # There is nothing at that place: the last letter is marked.
        await console.until(lambda: underlined(console).strip() == ":")
        # Red when Enter shows the last good filter instead, and takes away what was typed.
        await console.press("x", "enter")
        await console.until(lambda: underlined(console) == "x")
        await console.press("escape", "5", "slash", *'user:ada "x')
        await console.shows("filter, column 10: a quote is not closed")
        assert underlined(console).startswith('"')


async def test_o_sorts_by_the_next_column_and_shift_o_turns_it_round(open_console, make_hook):
    for name in ("bbb", "aaa", "ccc"):
        make_hook(name=name)
    async with open_console() as console:
        await console.shows("ccc")
        await console.press("o")
        await console.shows("name▲")
        await console.until(lambda: order(console) == ["aaa", "bbb", "ccc"])
        await console.press("O")
        await console.until(lambda: order(console) == ["ccc", "bbb", "aaa"])


def order(console: Console) -> list[str]:
    return [word for word in console.text.split() if word in ("aaa", "bbb", "ccc")]


async def test_the_log_pane_hides_zooms_and_grows(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing", "Live log")
        await console.press("l")
        await console.hides("Live log")
        await console.press("z")
        await console.shows("the log pane is hidden; l shows it")
        await console.press("l")
        before = pane_height(console)
        await console.press("plus")
        assert pane_height(console) == before + 2
        await console.press("z")
        await console.hides("billing")
        await console.press("z")
        await console.shows("billing")
        assert pane_height(console) == before + 2


def pane_height(console: Console) -> int:
    return console.app.screen.query_one(LiveLog).size.height


async def test_a_viewer_sees_why_not(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(role="viewer") as console:
        await console.shows("billing", "(viewer)")
        for key in ("n", "p", "a", "d", "s"):
            await console.press(key)
            await console.shows("this needs the role")
            console.app.screen.notices.clear()


async def test_a_name_with_escape_characters_is_shown_and_never_acts(open_console, make_hook):
    make_hook(name="a\x1b]0;owned\x07[@click=app.quit]b[/]")
    async with open_console((170, 30)) as console:
        await console.shows("a␛]0;owned␇[@click=app.quit]b")
        await console.press("d")
        await console.shows("Delete hook")
        assert "\x1b" not in console.text


async def test_every_key_answers_at_80_by_24(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await console.shows("● active", "billing", "24 h", "waiting", "Live log", "? help")
        assert all(len(line) <= 80 for line in console.lines)
        await console.press("x")
        await console.press("r")
        await console.shows("resend (r) is not available on this screen; ? lists the commands")


async def test_a_tiny_terminal_is_told_what_is_needed(open_console):
    async with open_console(size=(50, 12)) as console:
        await console.shows("this terminal is 50x12", "hooktui needs 60x15")
        await console.pilot.resize_terminal(80, 24)
        await console.shows("Hooks", "No hooks yet")


async def test_ascii_signs_draw_nothing_but_ascii(open_console, make_hook, client):
    make_hook(name="billing")
    async with open_console(ascii=True) as console:
        await console.shows("* active")
        client.emit()
        await console.shows("+ 200")
        assert console.text.isascii()
        for keys, title in (
            (["question_mark"], "keys; Enter runs one"),
            (["escape", "d"], "Delete hook"),
            (["escape", "e"], "Edit hook"),
            (["escape", "enter"], "[Deliveries]"),
        ):
            await console.press(*keys)
            await console.shows(title)
            assert console.text.isascii(), console.text
        await console.shows("+ delivered")
        await console.press("enter")
        await console.shows("Response to attempt 1", "Request body")
        assert console.text.isascii(), console.text


# Red when the host, which a name is unless somebody gave another, takes the room of what tells
# since when something fails.
async def test_at_80_by_24_failures_over_time_have_more_room_than_the_host(open_console, make_hook):
    make_hook(name="Data warehouse")
    async with open_console(size=(80, 24)) as console:
        await console.shows("Data warehouse", "waiting", "24 h", "failures")
        await console.hides("127.0.0.")
    async with open_console(size=(100, 24)) as console:
        await console.shows("Data warehouse", "failures", "p95", "127.0.0.")


async def test_an_unknown_account_is_said(open_console):
    async with open_console(account=987654) as console:
        await console.shows("987654")


# Red when it promises to mark more than the maximum.
@pytest.mark.parametrize(
    ("maximum", "again", "last"),
    [
        (5_000, "again marks all 102", "102 hooks marked; Esc unmarks"),
        (101, "again marks up to 101", "101 of 102 hooks marked, the maximum"),
    ],
)
async def test_marking_all_marks_what_is_loaded_and_says_how_to_mark_the_rest(
    open_console, client, monkeypatch, maximum: int, again: str, last: str
):
    monkeypatch.setattr(chosen_rows, "MAX_MARKED", maximum)
    for number in range(102):
        client.hook("http://127.0.0.1:9/in", name=f"hook number {number}")
    async with open_console() as console:
        await console.shows("102 hooks", "hook number 3")
        await console.press("ctrl+a")
        await console.shows(f"100 of 102 hooks marked; ^a {again}", "100 marked")
        await console.press("ctrl+a")
        await console.shows(last)


# Red while the rows of the end were marked beside as many as the maximum from the start.
async def test_no_more_than_the_maximum_is_marked_from_the_end_of_a_list(
    open_console, client, monkeypatch
):
    monkeypatch.setattr(chosen_rows, "MAX_MARKED", 101)
    for number in range(202):
        client.hook("http://127.0.0.1:9/in", name=f"hook number {number}")
    async with open_console() as console:
        await console.shows("202 hooks", "hook number 3")
        await console.press("end")
        await console.shows("hook number 201")
        await console.press("ctrl+a")
        await console.shows("100 of 202 hooks marked; ^a again marks up to 101")
        await console.press("ctrl+a")
        await console.shows("101 of 202 hooks marked, the maximum")
        await console.press("home")
        await console.shows("hook number 3")
        await console.press("ctrl+a")
        await console.shows("101 of 202 hooks marked, the maximum")


# Red when a list without a column to sort by names a column that is none, and loses its order.
async def test_what_cannot_be_sorted_stays_as_it_is(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        listing = console.app.screen.listing
        before = listing.window.sort
        listing.next_sort = lambda: None
        await console.press(console.app.key("sort"))
        await console.shows("no visible column can be sorted")
        assert listing.window.sort == before


# Red when the worker gets a coroutine: replaced before it begins, it is never awaited.
async def test_a_sort_that_the_next_one_replaces_before_it_begins_warns_of_nothing(
    open_console, make_hook, recwarn
):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        for _ in range(2):
            console.app.screen.run_command("order")
        await console.shows("sorted by id, largest first")
    gc.collect()
    assert [warning for warning in recwarn if "never awaited" in str(warning.message)] == []
