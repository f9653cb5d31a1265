"""The language of the ``:`` line: what is understood, what is said otherwise, and completion."""

from functools import partial

import pytest

from docs.tools import tables
from hooktui.console.command_language import common, complete, expected, parse
from hooktui.console.frame.filtering import FilterPart
from hooktui.console.hooks.hook_screen import HookScreen
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.navigation import screen_class
from hooktui.console.registry import BY_NAME, LINE_COMMANDS, TOP_SCREENS
from hooktui.domain.errors import Refused
from hooktui.domain.filters.terms import NO_TERMS

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
        ("0", "hook", 0),
        ("log", "go_log", None),
        ("log status:failed hook:1", "go_log", "status:failed hook:1"),
        (f"delivery {DELIVERY}", "delivery", DELIVERY),
        (DELIVERY, "delivery", DELIVERY),
        (EVENT, "event", EVENT),
        ("account 2", "account", 2),
        ("theme nord", "theme", "nord"),
        ("q", "quit", None),
        ("mark-all", "mark_all", None),
        ("filter code:5xx", "filter", "code:5xx"),
        ("filter", "filter", None),
    ],
)
def test_a_line_is_a_command_and_its_argument(line, command, argument):
    parsed = parse(line, {"theme": THEMES})
    assert (parsed.command.name, parsed.argument) == (command, argument)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("und", "column 1: unknown command 'und'; did you mean undelivered or undo?"),
        ("ale", "column 1: unknown command 'ale'; did you mean alerts?"),
        ("hok 12", "column 1: unknown command 'hok'; did you mean hook"),
        ("xyzzy", "known: hook, delivery, event, undelivered, replays, account, theme"),
        ("", "enter a command; known: hook"),
        ("hook", "column 5: hook needs a hook's number, such as :hook 12"),
        ("hook x", "column 6: 'x' is not a number; hook needs a hook's number"),
        ("hook 99999999999999999999", "is not a number"),
        ("  account   two", "column 13: 'two' is not a number"),
        ("delivery dlv_x", "column 10: 'dlv_x' is not an id of the form dlv_"),
        (f"delivery {EVENT}", "is not an id of the form dlv_"),
        ("theme nrd", "column 7: unknown theme 'nrd'; did you mean nord?"),
        ("theme plaid", "known: hooktui-dark, nord"),
        ("ping 12", "column 6: ping takes no argument"),
    ],
)
def test_what_is_wrong_is_said_at_its_column_with_what_is_near(line, words):
    """Red when a line that errs is taken for something, or its column is not counted."""
    assert words in refusal(line)


def test_tab_offers_words_themes_and_accounts():
    assert complete("ho") == ["hook ", "hooks"]
    assert complete("theme h", {"theme": THEMES}) == ["theme hooktui-dark"]
    assert complete("account ", {"account": ("1", "12")}) == ["account 1", "account 12"]
    assert complete("hook 1") == []
    assert complete("xyzzy") == []


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("log sta", ["log status:"]),
        ("log hook:1 -status:f", ["log hook:1 -status:failed"]),
        ("log tri", ["log trigger:"]),
        ("log trigger:re", ["log trigger:resend", "log trigger:replay"]),
        ("log da", []),
        ("log x:", []),
        ("log status:un", ["log status:undelivered"]),
        ("deliveries cause:tls_", ["deliveries cause:tls_certificate"]),
        ("log -cause:tl", ["log -cause:tls", "log -cause:tls_certificate"]),
        ("hooks status:f", ["hooks status:failing"]),
        ("hooks hook", []),
        ("events st", []),
        ("events -da", ["events -data."]),
        ("audit us", ["audit user:"]),
        ("audit -us", []),
        ("audit result:r", ["audit result:refused"]),
        ("alerts st", []),
    ],
)
def test_tab_offers_the_terms_of_the_list(line, lines):
    assert complete(line, terms=terms_of(line.partition(" ")[0])) == lines


SAMPLES = {
    "status": "failed", "hook": "12", "event": "job.*", "code": "5xx", "took": ">2s",
    "since": "10m", "until": "10m", "error": "timeout", "cause": "dns", "trigger": "event",
    "replay": "rpl_01JDG3R8Z4000", "data.": "a:1", "user": "ada", "action": "hook.*",
    "target": "hook:12", "result": "done",
}  # fmt: skip
"""A value for each key that a filter of some list has."""


def terms_of(word):
    return next((screen_class(top).FILTER_TERMS for top in TOP_SCREENS if top.name == word), None)


def offered(line, terms):
    """Return all that can be completed from a line, each to its end."""
    letters = "".join(sorted({key[0] for key in SAMPLES}))
    for minus in ("", "-"):
        for start in (f"{line} {minus}{letter}" for letter in letters):
            for term in complete(start, terms=terms):
                key = term.rpartition(" ")[2].removeprefix("-").removesuffix(":")
                yield from complete(term, terms=terms) or [term + SAMPLES[key]]


# Red when a list is offered what its filter refuses: the states of a delivery for hooks, say.
@pytest.mark.parametrize(
    "screen", [*(screen_class(top) for top in TOP_SCREENS if top.filter), partial(HookScreen, 1)]
)
def test_a_list_accepts_whatever_completion_offers_and_offers_whatever_it_accepts(screen):
    listing = screen()
    [part] = [part for part in listing.parts if isinstance(part, FilterPart)]
    texts = [line.partition(" ")[2] for line in offered("filter", listing.FILTER_TERMS)]
    for text in texts:
        part._check(text)
    keys = {text.removeprefix("-").partition(":")[0].partition(".")[0] for text in texts}
    refused, is_of_hooks = set(), isinstance(listing, HooksScreen)
    for key, value in SAMPLES.items():
        value = "failing" if is_of_hooks and key == "status" else value
        try:
            part._check(f"{key}{'' if key.endswith('.') else ':'}{value}")
        except Refused:
            refused.add(key.removesuffix("."))
    words = {"user", "action", "target", "result"} if is_of_hooks else set()
    assert keys == {key.removesuffix(".") for key in SAMPLES} - refused - words


def test_no_term_is_offered_for_a_screen_without_a_filter():
    """Red when ``:alerts st`` offers ``status:``, which the screen refuses."""
    for top in (top for top in TOP_SCREENS if not top.filter):
        assert complete(f"{top.name} s", terms=screen_class(top).FILTER_TERMS) == []


# Red when Tab offers nothing before the first letter of a term: "nothing begins like this".
@pytest.mark.parametrize("word", [top.name for top in TOP_SCREENS if top.filter])
def test_tab_offers_all_keys_of_a_filter_before_one_is_typed(word):
    terms = terms_of(word)
    assert complete(f"{word} ", terms=terms) == [f"{word} {key}" for key in terms.values]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hook ", "no completion; type a hook's number, such as :hook 12"),
        ("delivery x", "no completion; type a delivery's id, such as :delivery dlv_"),
        ("hooks hook:", "no completion; type a word, or status:"),
        ("audit x", "no completion; type a word, or user:, action:, target:, result:, since:"),
        ("alerts ", "alerts takes no argument"),
        ("ping ", "ping takes no argument"),
        ("xyz", "no completion; Enter lists the commands"),
        ("xyz ", "no completion; Enter lists the commands"),
    ],
)
def test_where_nothing_completes_a_line_it_says_what_to_type(line, words):
    """Red when the hint is of another command, or of another list."""
    terms = terms_of(line.partition(" ")[0]) or NO_TERMS
    assert complete(line, terms=terms) == []
    assert expected(line, terms).startswith(words)


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
