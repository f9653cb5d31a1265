"""A console with its user's keys, themes and memory, and the ``:`` line, on a real server."""

import json
from pathlib import Path

import pytest
from textual.widgets import Input

from hooktui.console.access.accounts_screen import AccountsScreen
from hooktui.console.app import ConsoleApp
from hooktui.console.deliveries.delivery_screen import DeliveryScreen
from hooktui.console.frame.command_line import CommandBar
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.shell.preferences import ConsoleOptions
from tests.console.conftest import Console
from tests.support.waiting import wait_for


@pytest.fixture
def own(served: dict[str, str], account: int, tmp_path: Path):
    """Return what makes a console with a configuration, and a memory of its own."""

    def make(config: str = "", **options: object) -> ConsoleApp:
        (tmp_path / "config.toml").write_text(config)
        environ = {
            **served,
            "HOOKTUI_HOME": str(tmp_path),
            "HOOKTUI_SOCKET": str(Path(served["HOOKTUI_HOME"]) / "hooktui.sock"),
        }
        return ConsoleApp(ConsoleOptions(account=account, **options), environ=environ)  # type: ignore[arg-type]

    return make


async def test_a_mapped_key_works_and_is_shown_in_line_help_and_palette(own, make_hook):
    """Red when the keymap is not set, or a place shows the key of the table."""
    make_hook(name="billing")
    app = own('[keys]\nping = "P"\nhelp = "!"\n')
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing", "P ping", "! help")
        await console.press("p")
        await console.press("!")
        await console.shows("Enter runs one", "Send a test delivery")
        assert any("P " in line and "Send a test delivery" in line for line in console.lines)
        await console.press("escape", "ctrl+p")
        await console.shows("Send a test delivery and show the response  P")
        await console.press("escape")
        assert "(billing) delivered" not in console.text
        await console.press("P")
        await console.shows("(billing) delivered: 200")


async def test_a_clash_is_reported_at_the_start_and_both_keys_stay(own, make_hook):
    make_hook(name="billing")
    app = own('[keys]\nping = "x"\n')
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("[keys] ping: x is also the key of diagnose", "p ping", "x diagnose")


async def test_a_command_opens_a_screen_with_a_filter(own, make_hook, client):
    hook = make_hook(name="billing")
    app = own()
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing")
        await console.press("colon", *"log status:failed", "enter")
        await console.shows("Live log", "filter: status:failed")
        assert isinstance(app.screen, LiveLogScreen)
        await console.press("colon", *f"hook {hook['id']}", "enter")
        await console.shows(f"Hook {hook['id']}", "billing")
        assert isinstance(app.screen, HookScreen)
        await console.press("colon", *"filter status:x", "enter")
        await console.shows("filter, column 8", "'x' is not a value of status")
        await console.press("colon", *"audit result:refused", "enter")
        await console.shows("Audit", "filter: result:refused")
        await console.press("colon", *"accounts x", "enter")
        await console.shows("filter (/) is not available on this screen")
        await console.press("colon", *"hooks", "enter")
        await console.until(lambda: len(app.screen_stack) == 1)
        await console.press("colon", *"theme hooktui-light", "enter")
        await console.until(lambda: app.theme == "hooktui-light")


async def test_a_command_that_errs_stays_and_says_where(own, make_hook):
    make_hook(name="billing")
    app = own()
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing")
        await console.press("colon", *"hok 1", "enter")
        await console.shows("column 1: unknown command 'hok'; did you mean hook")
        assert app.screen.query_one(Input).value == "hok 1"
        await console.press("escape")
        await console.until(lambda: not app.screen.query(CommandBar))
        assert app.focused is app.screen.listing


async def test_tab_completes_and_up_brings_older_commands(own, make_hook):
    """Red when Tab goes to the next field, or overtakes the letters before it."""
    make_hook(name="billing")
    app = own()
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing")
        await console.press("colon", *"zo", "tab")
        await console.until(lambda: app.screen.query_one(Input).value == "zoom")
        await console.press("enter")
        await console.until(lambda: app.screen.has_class("-zoomed"))
        await console.press("colon", *"ho", "tab")
        await console.shows("hook  hooks")
        await console.press("tab", "tab")
        await console.until(lambda: app.screen.query_one(Input).value == "hooks")
        await console.press("up")
        await console.until(lambda: app.screen.query_one(Input).value == "zoom")
        await console.press("down")
        await console.until(lambda: app.screen.query_one(Input).value == "hooks")


async def test_the_palette_opens_a_delivery_by_its_id_and_another_account(own, make_hook, client):
    make_hook(name="billing")
    client.emit()
    wait_for(lambda: client.deliveries(None))
    delivery = client.deliveries(None)[0].id
    app = own()
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing")
        await console.press("ctrl+p", *delivery)
        await console.shows(f"Open delivery {delivery}")
        await console.press("enter")
        await console.until(lambda: isinstance(app.screen, DeliveryScreen))
        await console.press("ctrl+p", *"account 1 default")
        await console.shows("Account 1 default")
        await console.press("down", "enter")
        await console.until(lambda: app.account.number == 1)


async def test_the_next_console_begins_where_this_one_ended(own, make_hook, account):
    """Red when nothing is kept at the end, or not taken up at the start."""
    for name in ("billing", "backup"):
        make_hook(name=name)
    app = own()
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing", "backup")
        await console.press("o", "O", "plus", "slash", *"bill", "enter")
        await console.hides("backup")
        app.theme = "nord"
        pane = app.screen.live_log.size.height
        await console.press("2", "slash", *"status:failed", "enter")
        await console.shows("filter: status:failed")
        await console.press("q")
    assert app.session.write() == ""
    kept = json.loads(app.session.file.read_text())
    assert kept["screen"] == "log"

    app = own()
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("Live log", "filter: status:failed")
        assert app.theme == "nord"
        await console.press("1")
        await console.shows("filter: bill", "billing")
        assert "backup" not in console.text
        home = app.screen
        assert home.live_log.size.height == pane
        assert (home.listing.window.sort, home.listing.window.descending) == ("name", True)
        await console.press("q")

    app = own('[console]\ntheme = "gruvbox"\n')
    assert app.theme == "gruvbox", "what is set since goes before what was chosen before"
    assert own(theme="dracula").theme == "dracula"


# Red when a text names the key of the table beside another one in use.
async def test_the_account_that_is_shown_names_the_users_key_of_the_hooks(own, make_hook):
    make_hook(name="billing")
    app = own('[keys]\ngo_hooks = "f5"\n')
    async with app.run_test(size=(140, 36)) as pilot:
        console = Console(app, pilot)
        await console.shows("billing")
        await console.press("7")
        await console.until(lambda: isinstance(app.screen, AccountsScreen))
        await console.press("end")  # the newest account, which a list of many has not loaded yet
        await console.until(lambda: app.screen.cursor_row is not None)
        await console.until(lambda: app.screen.cursor_row.id == app.account.number)
        await console.press("enter")
        await console.shows("is already shown; F5 goes to its hooks")
