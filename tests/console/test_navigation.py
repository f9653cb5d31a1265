"""Getting about: the live log, help, palette, digits, and what every screen offers."""

import pytest
from textual.command import CommandPalette

from hooktui.console.command_language import parse
from hooktui.console.frame.help import HelpScreen
from hooktui.console.frame.screen import front_screen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.registry import LINE_COMMANDS, TOP_SCREENS
from hooktui.domain.ids import encode


async def test_digits_go_to_the_screens_from_everywhere(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        await console.press("2")
        await console.shows("time", "result", "why", "following")
        assert isinstance(console.app.screen, LiveLogScreen)
        await console.press("1")
        await console.shows("No hooks yet")
        assert isinstance(console.app.screen, HooksScreen)
        assert len(console.app.screen_stack) == 1


async def test_the_log_says_what_is_wrong_with_a_filter_and_keeps_the_last_good_one(
    open_console, make_hook, client
):
    make_hook(name="billing")
    client.emit()
    async with open_console() as console:
        await console.press("2")
        await console.shows("✓ 200")
        await console.press("slash", *"hook:x")
        await console.shows("filter, column 6", "hook's number")
        await console.press(*["backspace"] * 6, *"data.id:1")
        await console.shows("log lines have no bodies")
        await console.press(*["backspace"] * 9, *"status:failed", "enter")
        await console.shows("no match yet", "filter: status:failed")
        await console.press("escape")
        await console.shows("✓ 200")
        await console.press("escape")
        await console.shows("1 hook", "billing")


async def test_the_log_is_searched_marked_wrapped_and_copied(open_console, make_hook, client):
    make_hook(name="billing")
    async with open_console() as console:
        await console.press("2", "space")
        await console.shows("there is no line yet")
        for kind in ("job.failed", "job.started", "job.failed"):
            client.emit(kind)
        await console.until(lambda: console.text.count("✓ 200") == 3)
        await console.press("ctrl+f", *"started", "enter")
        await console.shows("match 1 of 1", "search: started", "paused")
        await console.press("n")
        await console.shows("match 1 of 1; search wrapped to the top")
        await console.press("g", "space", "space")
        await console.shows("2 marked")
        await console.press("y")
        await console.shows("2 lines sent to the terminal")
        await console.press("w")
        await console.shows("long lines are wrapped")
        await console.press("escape")
        await console.hides("search: started")
        await console.press("escape")
        await console.hides("2 marked")
        await console.press("escape")
        await console.shows("1 hook", "billing")


async def test_a_paused_log_counts_and_f_follows_again(open_console, make_hook, client):
    make_hook(name="billing")
    client.emit()
    async with open_console() as console:
        await console.press("2")
        await console.shows("✓ 200", "following")
        await console.press("k")
        await console.shows("paused")
        client.emit("job.started")
        client.emit("job.started")
        await console.shows("2 new, f follows")
        assert "job.started" not in console.text
        await console.press("f")
        await console.shows("following", "job.started")


async def test_help_lists_the_keys_of_the_screen_and_runs_the_chosen_one(open_console, make_hook):
    make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("question_mark")
        await console.shows("Hooks: keys; Enter runs one", "Send a test delivery", "End G  move")
        assert isinstance(console.app.screen, HelpScreen)
        await console.press("j", "j", "j", "enter")
        await console.shows("(billing) delivered: 200")


async def test_help_lists_what_is_typed_and_types_the_chosen_one(open_console, make_hook):
    hook = make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("question_mark")
        await console.shows("Enter runs one")
        await console.press("end")
        await console.shows("Open a hook: hook 12", "Use another theme: theme nord")
        place = [command.name for command in reversed(LINE_COMMANDS)].index("hook")
        await console.press(*["k"] * place, "enter")
        await console.until(lambda: not isinstance(console.app.screen, HelpScreen))
        await console.shows(": hook")
        await console.press(*str(hook["id"]), "enter")
        await console.shows(f"Hook {hook['id']}")


async def test_help_keeps_its_last_lines_when_the_terminal_shrinks(open_console):
    """Red when the height of the list is the one that fitted when it was opened."""
    async with open_console(size=(100, 50)) as console:
        await console.until(lambda: console.app.screen.rows.listing.loaded)
        await console.press("?")
        await console.shows("Enter runs one", "cursor; n creates one", "Undo the last")
        for height in (24, 15, 40):
            await console.pilot.resize_terminal(80, height)
            await console.until(lambda height=height: len(console.lines) == height)
            await console.shows("keys; Enter runs one", "New hook", "cursor; n creates one", "╰")


async def test_help_says_why_something_is_not_possible(open_console):
    async with open_console(role="viewer") as console:
        await console.shows("(viewer)")
        await console.press("question_mark")
        await console.shows("New hook: this needs the role")
        await console.press("escape")
        await console.hides("Enter runs one")


async def test_the_palette_finds_commands_hooks_and_themes(open_console, make_hook):
    made = make_hook(name="billing")
    async with open_console() as console:
        await console.shows("billing")
        await console.press("ctrl+p")
        await console.shows("Search screens, hooks, commands and themes", "Send a test delivery")
        await console.press(*"billing")
        await console.shows(f"Hook {made['id']} billing")
        await console.press(*["backspace"] * 7, *"hooktui-light")
        await console.shows("Theme hooktui-light")
        await console.press("enter")
        await console.until(lambda: console.app.theme == "hooktui-light")
        assert not isinstance(console.app.screen, CommandPalette)


async def test_the_palette_runs_what_was_typed_however_fast(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        await console.press("ctrl+p", *"hooktui-light", "enter")
        await console.until(lambda: console.app.theme == "hooktui-light")


# Red when a hook counts the same however well it fits: "Enlarge the log pane or …" came first.
async def test_the_palette_puts_the_very_letters_first(open_console, make_hook):
    made = make_hook(name="Ops lager")
    async with open_console() as console:
        await console.shows("Ops lager")
        await console.press("ctrl+p", *"lager")
        await console.shows(f"Hook {made['id']} Ops lager", "Enlarge the log pane")
        await console.press("enter")
        await console.shows(f"Hook {made['id']}", "[Deliveries]")


async def test_q_quits_from_any_screen(open_console):
    for keys in (("q",), ("2", "q"), ("question_mark", "q")):
        async with open_console() as console:
            await console.shows("No hooks yet")
            await console.press(*keys)
            await console.until(lambda app=console.app: app._exit)


async def test_ctrl_c_tells_how_to_quit(open_console):
    async with open_console() as console:
        await console.shows("No hooks yet")
        await console.press("ctrl+c")
        await console.shows("q quits; ctrl+q does so from everywhere")


# Red when the palette lists only what has a key: `undelivered` and `replays` were not found.
async def test_the_palette_finds_every_screen_that_the_line_opens(open_console):
    opens = {top.name: f"{top.help}  {top.key}" for top in TOP_SCREENS}
    typed = [one for one in LINE_COMMANDS if one.screen and one.argument is None]
    opens |= {one.word: f"{one.help}  :{one.word}" for one in typed}
    assert {"undelivered", "replays"} <= opens.keys()
    async with open_console(size=(80, 24)) as console:
        await console.shows("No hooks yet")
        for top in TOP_SCREENS:
            await console.press("ctrl+p", *top.name)
            await console.shows(opens[top.name])
            await console.press("escape")
            await console.hides(opens[top.name])
        for one in typed:
            await console.press("ctrl+p", *one.word)
            await console.shows(opens[one.word])
            await console.press("enter")
            heading = one.label.capitalize()
            await console.until(
                lambda heading=heading: heading == front_screen(console.app).HEADING
            )


# Red when the brackets of a URL are shown as others, or read as markup.
async def test_the_palette_shows_a_url_as_it_is(open_console, make_hook):
    made = make_hook(name="six", url="http://127.0.0.1:9/?a[b]=1")
    async with open_console() as console:
        await console.shows("six")
        await console.press("ctrl+p", *"six")
        await console.shows(f"Hook {made['id']} six", "127.0.0.1:9/?a[b]=1")


# Red when an empty screen stays, or when what never existed "does not exist any more".
@pytest.mark.parametrize(
    ("noun", "identity", "see"),
    [
        ("hook", "999999", "hooks"),
        ("delivery", encode("dlv", 7), "deliveries"),
        ("event", encode("evt", 7), "events"),
        ("replay", encode("rpl", 7), "replays"),
    ],
)
async def test_the_screen_of_what_does_not_exist_closes_and_says_so(
    open_console, noun, identity, see
):
    async with open_console() as console:
        await console.shows("No hooks yet")
        await console.press("colon", *f"{noun} {identity}", "enter")
        await console.shows(f"there is no {noun} {identity} here; see :{see}", "No hooks yet")
        parse(see)  # the line accepts it
        assert isinstance(console.app.screen, HooksScreen)
