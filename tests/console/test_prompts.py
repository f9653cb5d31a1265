"""The lines for a filter, a search and a command: they are open only while they have the focus."""

import pytest
from textual import events
from textual.widgets import Input

from hooktui.client import calls
from hooktui.console.frame import filtering
from hooktui.console.frame.screen import ConsoleScreen, front_screen
from hooktui.console.hooks.form_fields import FormFields
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.log.log_screen import LiveLogScreen
from hooktui.console.registry import COMMANDS, LINE_COMMANDS
from hooktui.console.widgets.chrome import KeyLine
from hooktui.console.widgets.prompt_bars import Prompt

PROMPTS = {"slash": "1", "ctrl+f": "2", "colon": "1"}
"""The key of each line, and of a screen that has it."""


def prompts(console):
    return [prompt for prompt in console.app.screen.query(Prompt) if not prompt.closed]


def in_prompt(console):
    return any(prompt.has_focus_within for prompt in prompts(console))


async def opened(console, key):
    await console.shows("billing")
    await console.press(PROMPTS[key], key)
    await console.until(lambda: in_prompt(console))


# Red when Tab is left to Textual: the line stays without the focus, and "a" disables the hook.
@pytest.mark.parametrize("tab", ["tab", "shift+tab"])
@pytest.mark.parametrize("key", PROMPTS)
async def test_tab_leaves_the_focus_in_a_prompt(open_console, make_hook, client, key, tab):
    hook = make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, key)
        await console.pilot.press("z", "z", tab, "a")
        assert in_prompt(console)
        assert console.app.focused.value == "zza"
        await console.pilot.press("escape")
        await console.until(lambda: not prompts(console))
        assert client.ask(calls.get_hook(hook["id"])).active


# Red when the key line names keys as commands that are only typed into the line.
async def test_keys_that_are_typed_into_a_prompt_are_dimmed(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await console.shows("billing", "n new", "p ping")
        line = console.app.screen.query_one(KeyLine)

        def lit():
            bright = line.tone("accent").color
            keys = (part.text for part in line.render_line(0) if part.style.color == bright)
            return [key.strip() for key in keys]

        assert lit() == ["Enter", "n", "e", "p", "x", "a", "s", "?"]
        await opened(console, "slash")
        await console.until(lambda: lit() == ["F1"])  # Enter keeps the filter and opens nothing
        assert "n new" in console.text
        await console.press("escape")
        await console.until(lambda: lit() == ["Enter", "n", "e", "p", "x", "a", "s", "?"])


# Red when a line stays open after the focus has moved: it takes no keys, and nothing closes it.
@pytest.mark.parametrize("way", ["click", "code", "other prompt"])
@pytest.mark.parametrize("key", PROMPTS)
async def test_a_prompt_closes_when_the_focus_leaves_it(open_console, make_hook, key, way):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, key)
        screen = console.app.screen
        assert isinstance(screen, ConsoleScreen)
        body = screen.log_lines if PROMPTS[key] == "2" else screen.listing
        [first] = prompts(console)
        if way == "click":
            await console.pilot.click(type(body))
        elif way == "code":
            screen.set_focus(body)
        else:
            screen.run_command("filter" if key == "colon" else "command")
            await console.until(lambda: prompts(console) not in ([], [first]))
        await console.until(lambda: first not in prompts(console))
        await console.until(lambda: in_prompt(console) == (way == "other prompt"))
        await console.press(*["escape"] * (way == "other prompt"), key)
        await console.until(lambda: in_prompt(console) and len(prompts(console)) == 1)


# Red when Tab completes a filter only behind ":filter", and does nothing in the line of the filter.
async def test_tab_completes_a_filter(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "slash")
        await console.press(*"bill st", "tab")
        assert console.app.focused.value == "bill status:"
        await console.press("tab")
        await console.shows("status:active  status:disabled  status:failing")
        await console.press("tab", "tab", "tab", "shift+tab")
        assert console.app.focused.value == "bill status:failing"
        await console.press("enter")
        await console.shows("filter: bill status:failing", "No hook matches")
        await console.press("2", "slash", *"took", "tab", "tab")
        await console.shows("no completion; type a word, or status:, hook:")
        await console.press("escape")
        await console.press("1", "slash", "end", *["backspace"] * 7, "enter")
        await console.shows("filter, column 13: a value is missing")  # Enter says so


# Red when a filter that is wrong keeps its line open without the focus, or hides the reason.
async def test_a_wrong_filter_goes_with_its_line_and_the_last_good_one_stays(
    open_console, make_hook, monkeypatch: pytest.MonkeyPatch
):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "slash")
        await console.press(*"billing")
        await console.shows("filter: billing")
        monkeypatch.setattr(filtering, "TYPING_S", 3_600.0)  # "billing status" is not applied
        await console.press(*" status:foo")
        console.app.screen.set_focus(console.app.screen.listing)
        await console.shows("'foo' is not a status of a hook", "filter: billing ")
        await console.until(lambda: not prompts(console))
        await console.press("slash")
        await console.until(lambda: in_prompt(console))
        assert console.app.focused.value == "billing"


# Red when a line closes because another window of the desktop has the focus for a moment.
async def test_a_prompt_stays_while_the_terminal_has_no_focus(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "slash")
        await console.press(*"bil")
        console.app.post_message(events.AppBlur())
        await console.until(lambda: console.app.focused is None)
        await console.pilot.pause()
        console.app.post_message(events.AppFocus())
        await console.until(lambda: in_prompt(console))
        assert isinstance(console.app.focused, Input)
        assert console.app.focused.value == "bil"


# Red when the key of an open line does nothing where the focus was lost.
@pytest.mark.parametrize("key", PROMPTS)
async def test_the_key_of_an_open_prompt_gives_it_the_focus_again(open_console, make_hook, key):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, key)
        console.app.app_focus = False
        console.app.screen.set_focus(console.app.screen.query("LiveLog, WindowedList").first())
        console.app.app_focus = True
        await console.pilot.pause()
        await console.press(key)
        await console.until(lambda: in_prompt(console) and len(prompts(console)) == 1)


# Red when the line completes with the terms of another list than the one that it filters.
async def test_tab_offers_the_terms_of_the_list_that_is_filtered(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "colon")
        for line in ("hooks status:", "filter status:"):
            await console.press(*line, "tab")
            await console.shows("status:active  status:disabled  status:failing")
            assert console.app.focused.value == line
            await console.press("tab")
            await console.until(lambda line=line: console.app.focused.value == f"{line}active")
            await console.press("ctrl+u")
        await console.press(*"audit us", "tab")
        await console.until(lambda: console.app.focused.value == "audit user:")
        await console.hides("status:")  # the offers before


# Red when only themes and accounts are completed: `:hook ` offered nothing, of 17 hooks.
async def test_tab_offers_the_hooks_that_are_known_with_their_names(open_console, make_hook):
    hooks = [make_hook(name=name)["id"] for name in ("billing", "crm", "x" * 40)]
    async with open_console(size=(80, 24)) as console:
        await opened(console, "colon")
        await console.press(*"hook ", "tab")
        await console.shows(f"{hooks[0]} billing  {hooks[1]} crm  {hooks[2]} xxxxxxx")
        await console.press("ctrl+u", *f"hook {hooks[1]}", "tab", "enter")
        await console.shows(f"Hook {hooks[1]}")


# Red when a line that nothing completes does not say what to type.
async def test_tab_says_what_to_type_where_it_completes_nothing(open_console):
    async with open_console(size=(80, 24)) as console:
        await console.shows("No hooks yet")
        await console.press("colon", *"hook ", "tab")
        await console.shows("type a hook's number, such as :hook 12")
        await console.press("ctrl+u", *"filter ", "tab")
        await console.until(lambda: console.app.focused.value == "filter status:")


BURSTS = {
    "filter": ("/bil\r2", "bil"),
    "search": ("bil\r1", ""),
    "command": (":filter bil\r2", "bil"),
    "nothing": (":\r2", ""),
}
"""By prompt: keys as a slow line brings them, and the filter of the hooks then."""


def burst(console, keys):
    for key in keys:
        name = {"/": "slash", ":": "colon", "\r": "enter", " ": "space"}.get(key, key)
        console.app.post_message(events.Key(name, key))


# Red when keys after Enter go into the text of the prompt.
@pytest.mark.parametrize("prompt", BURSTS)
async def test_keys_in_a_burst_after_enter_are_for_what_comes_next(open_console, make_hook, prompt):
    make_hook(name="billing")
    keys, filtered = BURSTS[prompt]
    async with open_console(size=(80, 24)) as console:
        if prompt == "search":
            await opened(console, "ctrl+f")
        else:
            await console.shows("billing")
        burst(console, keys)
        if prompt != "search":
            await console.until(lambda: isinstance(console.app.screen, LiveLogScreen))
            await console.press("1")
        await console.until(lambda: isinstance(console.app.screen, HooksScreen))
        assert console.app.screen.filter.text == filtered
        await console.until(lambda: not prompts(console))


async def test_keys_after_a_wrong_command_are_typed_behind_it(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "colon")
        burst(console, "hok 1\r2")
        await console.shows("'hok'")
        await console.until(lambda: console.app.focused.value == "hok 12")


# Red while 0 counted as no argument: the console ended with a KeyError.
@pytest.mark.parametrize("line", ["0", "hook 0", "account 0"])
async def test_zero_is_an_argument(open_console, make_hook, line):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "colon")
        await console.press(*line, "enter")
        await console.shows("'0' is not an id")


TAKING = [one.word for one in (*COMMANDS, *LINE_COMMANDS) if one.argument and one.argument.required]
ODD_ARGUMENTS = ("0", "-1", "9" * 20, "²", '"', "[red]", "a:b", "evt_0", "rpl_0000000000000")


# Red while 0 counted as no argument.
@pytest.mark.parametrize("word", [*TAKING, "replay", "filter", "log"])
async def test_no_argument_of_a_line_ends_the_console(open_console, make_hook, word):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await console.shows("billing")
        for argument in ODD_ARGUMENTS:
            await console.pilot.press("escape", "escape", "colon")
            await console.until(lambda: in_prompt(console))
            console.app.focused.value = f"{word} {argument}"
            await console.pilot.press("enter")
            await console.pilot.pause()
            assert console.app.is_running, (word, argument)


# Red when what was pasted after Enter is filtered for.
async def test_a_text_pasted_in_a_burst_after_enter_changes_nothing(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "slash")
        burst(console, "bil\r")
        console.app.post_message(events.Paste("x"))
        await console.until(lambda: not prompts(console))
        await console.pilot.pause()
        assert console.app.screen.filter.text == "bil"


# Red when later lines are dropped without a word, or an empty first line is taken.
@pytest.mark.parametrize(
    ("pasted", "typed", "notice"),
    [
        ("one\r\ntwo\nthree\n", "one", "pasted the first of 3 lines: this field takes one"),
        ("\n \nonly\n", "only", None),
        ("\n", "", None),
    ],
)
async def test_a_field_of_one_line_takes_the_first_line_of_a_paste_and_says_so(
    open_console, make_hook, pasted, typed, notice
):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await opened(console, "slash")
        console.app.post_message(events.Paste(pasted))
        await console.until(lambda: console.app.focused.value == typed)
        if notice is None:
            await console.pilot.pause()
            assert "pasted" not in console.text
        else:
            await console.shows(notice)


# Red when a notice is drawn only on the screen below, which a dialog hides in 16 colours.
@pytest.mark.parametrize("keys", [("ctrl+p",), ("7", "n")], ids=["palette", "dialog"])
async def test_a_notice_is_shown_over_what_hides_the_status_line(open_console, make_hook, keys):
    make_hook(name="billing")
    async with open_console(size=(80, 24), theme="ansi-dark") as console:
        await console.shows("billing")
        await console.press(*keys)
        await console.until(lambda: isinstance(console.app.focused, Input))
        console.app.post_message(events.Paste("one\ntwo"))
        await console.shows("! pasted the first of 2 lines: this field takes one")
        assert console.app.focused.value == "one"
        front_screen(console.app).notices.clear()
        await console.hides("pasted")


async def test_a_field_of_several_lines_takes_all_lines_of_a_paste(open_console, make_hook):
    make_hook(name="billing")
    async with open_console(size=(80, 24)) as console:
        await console.shows("billing")
        await console.press("e")
        await console.shows("Edit hook")
        fields = console.app.screen.query_one(FormFields)
        fields.go_to("headers")
        console.app.post_message(events.Paste("A: 1\nB: 2\n"))
        await console.until(lambda: fields.values()["headers"] == "A: 1\nB: 2\n")
        assert "pasted" not in console.text
