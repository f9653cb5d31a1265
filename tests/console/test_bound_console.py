"""A console with a token that is bound to one account, and administration on a server that goes."""

from __future__ import annotations

from pathlib import Path

from hooktui.api.access import RULES
from hooktui.console.app import ConsoleApp
from hooktui.console.shell.preferences import ConsoleOptions
from hooktui.console.shell.server_connection import ConnectionState
from tests.console.conftest import Console
from tests.support.running_server import running_server

BOUND = "your token is bound to account 2, and this concerns all accounts"
ABOUT_ALL_ACCOUNTS = [
    ("4", "Engine", "activate"),
    ("4", "Engine", "diagnose"),
    ("5", "Audit", "diagnose"),
    ("7", "Accounts", "new"),
]


# Red when the console stays at account 1, of which such a token may see nothing.
async def test_a_bound_token_shows_its_account_and_stops_nothing(tmp_path: Path):
    with running_server(tmp_path / "home", listen="127.0.0.1:0") as server:
        with server.client() as api:
            account = api.post("/v1/accounts", json={"name": "acme"}).json()["id"]
            wanted = {"name": "t", "role": "admin", "account": account}
            token = api.post("/v1/tokens", json=wanted).json()["token"]
        host, port = server.listen[0]
        environ = {"HOOKTUI_TOKEN": token, "HOME": str(tmp_path), "TERM": "xterm-256color"}
        app = ConsoleApp(ConsoleOptions(connect=f"http://{host}:{port}"), environ=environ)
        async with app.run_test(size=(100, 30)) as pilot:
            console = Console(app, pilot)
            await console.shows("acme · token 1 (t) (admin)", "No hooks yet")
            await console.press("7")
            await console.shows("1 account", "acme  ● shown now")
            await app.use_account(1)
            await console.shows("bound to account 2")
            # Red when the Engine screen or the status line needs what such a token does not get.
            await console.press("4")
            await console.shows("delivery  sending", "waiting   0", "kept      events 30 days")
            await console.hides("database", "process", "rates", "disk", "/s")
            for key, screen, command in ABOUT_ALL_ACCOUNTS:
                await console.press(key)
                await console.until(lambda screen=screen: screen == app.screen.HEADING)
                assert BOUND in (app.screen.disabled_reason(command) or "")
                await console.press(app.key(command))
                await console.shows(BOUND)
                assert screen == app.screen.HEADING  # and no dialog over it
            assert app.account.number == account
            # Red when the form of a token offers all accounts.
            await console.press("6", "n")
            await console.shows("New token", "only account 2")
            assert "all accounts" not in console.text


# Red when another call about all accounts is offered.
def test_every_command_about_all_accounts_is_listed():
    routes = {rule.path for rule in RULES if rule.all_accounts}
    known = {"/v1/engine/pause", "/v1/engine/resume", "/v1/doctor", "/v1/accounts",
             "/v1/audit/verify"}  # fmt: skip
    not_in_the_console = {"/metrics", "/v1/purge", "/v1/keys", "/v1/keys/rotate", "/v1/backup"}
    assert routes == known | not_in_the_console


async def test_a_server_that_goes_leaves_what_is_shown_and_every_key_alive(tmp_path: Path):
    with running_server(tmp_path / "home") as server:
        environ = {"HOOKTUI_HOME": str(tmp_path / "home"), "TERM": "xterm-256color"}
        app = ConsoleApp(ConsoleOptions(), environ=environ)
        async with app.run_test(size=(100, 30)) as pilot:
            console = Console(app, pilot)
            await console.press("4")
            await console.shows("delivery  sending")
            server.stop()
            await console.until(lambda: app.connection.state is ConnectionState.LOST)
            # What the screen was reading just then may tell the same in its own words.
            await console.until(
                lambda: "connection lost" in console.text or "no server responds" in console.text
            )
            await console.shows("last known figures, of", "kept      events 30 days")
            await console.press("a", "y")
            await console.shows("no server responds")
            await console.press("6")
            await console.until(lambda: app.screen.HEADING == "Tokens")
            await console.press("n")
            await console.shows("person or program that uses it")
