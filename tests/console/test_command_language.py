"""The language of the ``:`` line: what is understood, what is said otherwise, and completion."""

import pytest

from docs.tools import tables
from hooktui.console.command_language import common, complete, parse
from hooktui.console.registry import BY_NAME, LINE_COMMANDS
from hooktui.domain.errors import Refused

THEMES = ("hooktui-dark", "nord")
DELIVERY = "dlv_01JDG3R8Z4000"
EVENT = "evt_01JDG3R8Z4000"


def refusal(line: str) -> str:
    with pytest.raises(Refused) as caught:
        parse(line, {"theme": THEMES})
    return caught.value.detail


@pytest.mark.parametrize(
    ("line", "command", "argument"),
    [
        ("hook 12", "hook", 12),
        (":hook  #12 ", "hook", 12),
        ("12", "hook", 12),
        ("log", "go_log", ""),
        ("log status:failed hook:1", "go_log", "status:failed hook:1"),
        (f"delivery {DELIVERY}", "delivery", DELIVERY),
        (DELIVERY, "delivery", DELIVERY),
        (EVENT, "event", EVENT),
        ("account 2", "account", 2),
        ("theme nord", "theme", "nord"),
        ("q", "quit", ""),
        ("mark-all", "mark_all", ""),
        ("filter code:5xx", "filter", "code:5xx"),
        ("filter", "filter", ""),
    ],
)
def test_a_line_is_a_command_and_its_argument(line, command, argument):
    parsed = parse(line, {"theme": THEMES})
    assert (parsed.command.name, parsed.argument) == (command, argument)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hok 12", "column 1: there is no command 'hok'; did you mean hook"),
        ("xyzzy", "there are hook, delivery, event, undelivered, replays, account, theme"),
        ("", "there are hook"),
        ("hook", "column 5: hook needs a hook's number, such as :hook 12"),
        ("hook x", "column 6: 'x' is not a number; hook needs a hook's number"),
        ("hook 99999999999999999999", "is not a number"),
        ("  account   two", "column 13: 'two' is not a number"),
        ("delivery dlv_x", "column 10: 'dlv_x' is not an id of the form dlv_"),
        (f"delivery {EVENT}", "is not an id of the form dlv_"),
        ("theme nrd", "column 7: there is no theme 'nrd'; did you mean nord?"),
        ("theme plaid", "there are hooktui-dark, nord"),
        ("ping 12", "column 6: ping takes no argument"),
    ],
)
def test_what_is_wrong_is_said_at_its_column_with_what_is_near(line, words):
    """Red when a line that errs is taken for something, or its column is not counted."""
    assert words in refusal(line)


def test_tab_offers_words_themes_accounts_and_terms_of_a_filter():
    assert complete("ho") == ["hook ", "hooks"]
    assert complete("theme h", {"theme": THEMES}) == ["theme hooktui-dark"]
    assert complete("account ", {"account": ("1", "12")}) == ["account 1", "account 12"]
    assert complete("log sta") == ["log status:"]
    assert complete("log hook:1 -status:f") == ["log hook:1 -status:failed"]
    assert complete("log tri") == ["log trigger:"]
    assert complete("log status:un") == ["log status:undelivered"]
    assert complete("deliveries cause:tls_") == ["deliveries cause:tls_certificate"]
    assert complete("log -cause:tl") == ["log -cause:tls", "log -cause:tls_certificate"]
    assert complete("log x:") == []
    assert complete("hook 1") == []
    assert complete("xyzzy") == []


@pytest.mark.parametrize(
    ("lines", "beginning"),
    [(["hook ", "hooks"], "hook"), (["log"], "log"), ([], ""), (["a", "b"], "")],
)
def test_what_is_certain_is_the_beginning_that_all_share(lines, beginning):
    assert common(lines) == beginning


@pytest.mark.parametrize("command", LINE_COMMANDS, ids=lambda command: command.name)
def test_each_command_of_the_line_is_declared_in_full(command):
    argument = command.argument
    if argument is None:
        assert parse(command.word).command == command
        assert f"{command.word} takes no argument" in refusal(f"{command.word} 3")
    else:
        known = {command.word: [argument.example]}
        assert str(parse(command.usage, known).argument) == argument.example
        assert f"{command.word} needs {argument.noun}" in refusal(command.word)
    assert f"`:{command.usage}` | {command.help}" in tables.line_commands()
    assert command.name not in BY_NAME  # or two commands would have one word
