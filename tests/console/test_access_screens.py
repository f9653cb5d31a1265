"""Engine, audit, tokens and accounts on a real server, and switching from account to account."""

from collections.abc import Iterator

import pytest

from hooktui.client import calls
from hooktui.console.access.token_form import NewTokenScreen
from hooktui.console.access.tokens_screen import TokensScreen
from hooktui.console.engine.engine_screen import EngineScreen
from tests.console.client import Client
from tests.console.command_scene import staged
from tests.console.gate import changed
from tests.support.receivers import Receiver


@pytest.fixture
def going(client: Client) -> Iterator[None]:
    """Resume delivery, whatever a test paused."""
    yield
    client.ask(calls.resume())


# -- engine


async def test_pausing_asks_first_and_is_reported_everywhere(open_console, client: Client, going):
    async with open_console() as console:
        await console.press("4")
        await console.shows("delivery  sending", "database  sqlite", "kept      events 30 days")
        await console.press("a")
        await console.shows("Pause all delivery?", "n  Cancel")
        await console.press("enter")
        await console.shows("delivery was not paused")
        assert client.ask(calls.server_status()).paused is None
        await console.press("a", "y")
        await console.shows("! paused by", "a resume")
        assert client.ask(calls.server_status()).paused is not None
        await console.press("1")
        await console.shows("delivery is paused · 0 waiting")
        await console.press("4", "a")
        await console.shows("delivery resumed; sending due deliveries", "a pause")
        assert client.ask(calls.server_status()).paused is None


# Red when the feed's line of the engine changes nothing here.
async def test_a_pause_of_somebody_else_shows_by_itself(open_console, client: Client, going):
    async with open_console() as console:
        await console.shows("No hooks yet", "0 waiting")
        client.ask(calls.pause())
        await console.shows("delivery is paused")
        client.ask(calls.resume())
        await console.hides("delivery is paused")


async def test_the_engine_lists_who_waits_and_opens_it(open_console, client: Client, going):
    hook = client.hook("http://127.0.0.1:9/in", name="billing")
    client.ask(calls.pause())
    client.emit()
    client.emit()
    async with open_console(size=(80, 24)) as console:
        await console.press("4")
        await console.shows("waiting   2", "continues after the resume", "billing", "closed")
        await console.press("enter")
        await console.shows(f"Hook {hook.id}")


# Red when the screen says that deliveries go out, or forecasts, while the server is lost.
async def test_a_lost_server_leaves_old_figures_with_their_time(client: Client, receiver: Receiver):
    breaker = {"hook": 7, "name": "billing", "probe_at": "2020-01-01T00:00:00Z", "failures": 12}
    claims = ("sending", "delivering", "probe now", "nothing due", "1 waiting · ")
    async with staged(client, receiver, size=(80, 24)) as scene:
        scene.gate.spoil("GET /v1/status", changed(breakers=[breaker]))
        await scene.open(EngineScreen)
        await scene.console.shows("open, probe now", *claims)
        await scene.gate.close()
        await scene.console.shows("Engine  last known figures, of", "unknown until the server")
        await scene.console.hides(*claims)
        assert "waiting   1" in scene.console.text
        assert "open after 12 failures" in scene.console.text
        await scene.gate.open()
        await scene.console.shows(*claims)
        assert "last known figures" not in scene.console.text


async def test_the_doctor_looks_and_looks_again(open_console):
    async with open_console() as console:
        await console.press("4", "x")
        await console.shows("integrity", "key file", "fsync")
        await console.press("x")
        await console.shows("x again")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, EngineScreen))


async def test_a_viewer_reads_why_the_engine_does_not_obey(open_console, client: Client):
    async with open_console(role="viewer") as console:
        await console.shows("(viewer)")
        await console.press("4")
        await console.shows("sending")
        await console.press("a")
        await console.shows("needs the role operator or admin")
        await console.press("x")
        await console.shows("needs the role")
        assert client.ask(calls.server_status()).paused is None


# -- audit


async def test_the_trail_is_shown_filtered_opened_and_verified(open_console, client: Client):
    hook = client.hook("http://127.0.0.1:9/in", name="trail")
    client.ask(calls.edit_hook(hook.id, {"active": False}))
    async with open_console() as console:
        await console.press("5")
        await console.shows("hook.change", f"hook {hook.id}", "account.create")
        await console.press("slash", *f'target:"hook {hook.id}"', "enter")
        await console.shows("2 entries", "filter: target")
        assert "account.create" not in console.text
        await console.press("enter")
        await console.shows("before → after", "- yes", "+ no", "hash")
        await console.press("escape", "escape")
        await console.shows("account.create")
        await console.press("x")
        await console.shows("entries are intact", "hooktui audit verify --known")


async def test_a_filter_of_the_trail_says_what_is_wrong_at_its_column(open_console):
    async with open_console() as console:
        await console.press("5")
        await console.shows("account.create")
        await console.press("slash", *"who:me")
        await console.shows("filter, column 1: unknown key 'who'")
        await console.press("escape", "slash", *"action:nothing")
        await console.shows("No entry matches the filter")


async def test_a_viewer_reads_the_trail_and_may_not_walk_through_it(open_console):
    async with open_console(role="viewer") as console:
        await console.shows("(viewer)")
        await console.press("5")
        await console.shows("account.create")
        await console.press("x")
        await console.shows("this needs the role")


# -- tokens


async def test_a_token_is_made_seen_once_and_revoked(open_console, client: Client, account: int):
    name = f"nightly{account}"  # other tests' tokens are on the list, too
    async with open_console(size=(100, 30)) as console:
        await console.press("6", "n")
        await console.shows("New token", "may only look")
        await console.press(*name, "tab", "right", "tab", "tab", *"30d", "ctrl+s")
        await console.shows("hkt_", "hidden again in", f"account {account} alone")
        screen = console.app.screen
        assert isinstance(screen, NewTokenScreen)
        token = screen.token.token
        assert token is not None
        # Red when the line is not masked in pictures.
        assert token[6:20] not in console.app.export_screenshot()
        await console.press("v")
        await console.hides("hkt_")
        await console.press("v")
        await console.shows("hkt_")
        made = client.ask(calls.list_tokens(account)).data
        assert [(one.name, one.role, one.account) for one in made] == [(name, "operator", account)]
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, TokensScreen))
        await console.shows(name)
        assert "hkt_" not in console.text
        await console.press("end", "d")
        await console.shows("Revoke token", "n  Cancel")
        await console.press("enter")
        await console.shows("no token was revoked")
        await console.press("d", "y")
        await console.hides(f"{name}  ")
        assert client.ask(calls.list_tokens(account)).data == []


# Red for A7: the cursor stays on the first line, and `d` revokes another token than the new one.
async def test_a_token_that_was_just_made_is_the_chosen_one(
    open_console, client: Client, account: int
):
    for name in ("first", "second"):
        client.ask(calls.create_token({"name": name, "role": "viewer", "account": account}))
    async with open_console(size=(100, 30)) as console:
        await console.press("6")
        await console.shows("first", "second")
        await console.press("n")
        await console.shows("New token")
        await console.press(*"third", "ctrl+s")
        await console.shows("hkt_")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, TokensScreen))
        await console.shows("third")
        await console.press("d")
        await console.shows("(third, viewer)?")
        await console.press("y")
        await console.hides("third")
        left = client.ask(calls.list_tokens(account)).data
        assert {one.name for one in left} == {"first", "second"}


async def test_what_is_wrong_with_a_token_is_said_and_nothing_is_made(
    open_console, client, account
):
    async with open_console() as console:
        await console.press("6", "n", "tab", "tab", "tab", *"soon", "ctrl+s")
        await console.shows(
            "enter the person or program that uses it", "enter a duration such as 30d"
        )
        assert client.ask(calls.list_tokens(account)).data == []


# Red when a viewer's console asks all the same: refusals are written to the trail.
async def test_tokens_are_not_shown_to_a_viewer_and_the_reason_is(open_console, client: Client):
    before = len(client.ask(calls.list_audit(result="refused")).data)
    async with open_console(role="viewer") as console:
        await console.shows("(viewer)")
        await console.press("6")
        await console.shows("Tokens: you have no access", "This needs the role admin; yours")
        assert isinstance(console.app.screen, TokensScreen)
        await console.press("n")
        await console.shows("this needs the role")
    assert len(client.ask(calls.list_audit(result="refused")).data) == before


# -- accounts


async def test_an_account_is_made_and_switched_to_and_everything_is_its(
    open_console, client: Client, make_hook
):
    make_hook(name="of the first")
    client.emit()
    async with open_console() as console:
        await console.shows("of the first", "✓ 200")
        await console.press("7", "n", *"acme", "enter")
        await console.shows("(acme) created; Enter switches to it", "shown now")
        made = next(one for one in client.ask(calls.list_accounts(limit=500)).data
                    if one.name == "acme")  # fmt: skip
        await console.press("enter")
        await console.shows("No hooks yet", "acme · ", "the log of acme")
        assert console.app.account.number == made.id
        assert "✓ 200" not in console.text
        there = Client(client.environ, made.id)
        hook = there.hook("http://127.0.0.1:9/in", name="of the second")
        # Red when the feed goes on with the account before: no change of this one shows then.
        await console.shows("of the second")
        there.emit()
        await console.shows("connect_refused"[:8])
        client.emit()
        assert "✓ 200" not in console.text
        there.ask(calls.delete_hook(hook.id))
        there.close()


async def test_the_name_of_a_refused_account_is_kept_for_the_next_try(open_console):
    async with open_console() as console:
        await console.press("7", "n", *"default", "enter")
        await console.shows("account 1 is named 'default' already; choose another name")
        await console.press(*" two")
        await console.hides("is named 'default' already")
        await console.press("enter")
        await console.shows("(default two) created; Enter switches to it")


async def test_an_account_that_is_not_there_changes_nothing(open_console, account: int):
    async with open_console() as console:
        await console.shows("No hooks yet", "0 waiting")
        await console.app.use_account(999_999)
        await console.shows("there is no account 999999")
        assert console.app.account.number == account


# Red when the console stays open without data, and says that the server is not available.
async def test_a_console_of_an_account_that_does_not_exist_ends(open_console):
    async with open_console(account=999_999) as console:
        await console.until(lambda: console.app.return_code == 3)
        words = "there is no account 999999; see: hooktui accounts list"
        assert console.app.fault == words


# Red when the list's own answer to Enter replaces the notice.
async def test_enter_on_a_token_says_that_it_is_shown_only_once(client: Client, receiver: Receiver):
    async with staged(client, receiver) as scene:
        await scene.open(TokensScreen)
        await scene.console.press("enter")
        await scene.console.shows("a token is shown only once, when it is created")
