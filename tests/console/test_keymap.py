"""The keys of a configuration: what holds, and what is said about the rest."""

import pytest

from hooktui.console.keymap import key_name, read_keys, shown
from hooktui.console.registry import BY_NAME


def said(table: dict[str, object]) -> str:
    _, problems = read_keys(table)
    return "\n".join(problems)


def test_an_entry_replaces_the_keys_of_its_command():
    keymap, problems = read_keys({"ping": "P", "mark-all": ["f5", "ctrl+t"]})
    assert problems == []
    assert keymap.ids() == {"command.ping": "P", "command.mark_all": "f5,ctrl+t"}
    assert keymap.fit(BY_NAME["ping"]).key == "P"
    assert keymap.key("mark_all") == "F5"
    assert keymap.key("edit") == "e"


def test_two_commands_may_swap_their_keys():
    """Red when a key is compared with those of the table instead of those that hold by then."""
    keymap, problems = read_keys({"ping": "x", "diagnose": "p"})
    assert problems == []
    assert (keymap.key("ping"), keymap.key("diagnose")) == ("x", "p")


def test_a_clash_names_both_commands_and_what_to_do_and_neither_holds():
    """Red when clashes are not looked for: Textual drops one of the two without a word."""
    keymap, problems = read_keys({"ping": "P", "edit": "P"})
    assert keymap.ids() == {}
    assert len(problems) == 2
    assert "P is also the key of edit" in said({"ping": "P", "edit": "P"})
    assert "use another key, or give edit another one" in said({"ping": "P", "edit": "P"})


def test_a_clash_with_the_key_of_a_command_that_is_not_mapped_is_one_too():
    keymap, problems = read_keys({"ping": "E"})
    assert keymap.ids() == {}
    assert "[keys] ping: E is also the key of emit" in problems[0]


def test_an_entry_that_is_left_out_may_bring_another_clash():
    """Red when clashes are looked for once: `e` would be the key of ping and of edit."""
    keymap, problems = read_keys({"edit": "D", "delete": "D", "ping": "e"})
    assert keymap.ids() == {}
    assert len(problems) == 3


def test_a_move_clashes_like_every_command():
    assert "j is also the key of down" in said({"ping": "j"})


def test_f1_opens_the_help_until_another_command_has_it():
    """Red when the entry of a user who mapped F1 before it opened the help is ignored."""
    keymap, problems = read_keys({"ping": "f1"})
    assert problems == []
    assert keymap.ids() == {"command.ping": "f1", "command.help": "question_mark"}
    assert "F1 is also the key of help" in said({"ping": "f1", "help": ["?", "f1"]})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("ctrl+j", "terminals send 'ctrl+j' as Enter"),
        ("^m", "as Enter"),
        ("ctrl+h", "as Backspace"),
        ("ctrl+I", "as Tab"),
        ("ctrl+[", "as Esc"),
        ("ctrl+1", "ctrl works with letters only"),
        ("ctrl+enter", "ctrl works with letters only"),
        ("alt+p", "not all terminals send 'alt+p'"),
        ("f13", "unknown key 'f13'; did you mean"),
        ("pagedwn", "did you mean 'pagedown'?"),
        ("tab", "goes to the next field"),
        ("ctrl+q", "quits from everywhere"),
        ("ctrl+z", "suspends the console"),
        ("left", "moves in fields"),
        ("\x01", "a control character is not a key"),
    ],
)
def test_a_key_that_cannot_hold_says_why(key, words):
    """Red when a key is taken as it is written: it would never come, or always."""
    assert words in said({"ping": key})


@pytest.mark.parametrize("value", [3, "", [], [3], ["P", 3], True, {"key": "P"}])
def test_what_is_no_key_at_all_says_what_to_write(value):
    assert 'write a key, ping = "P"' in said({"ping": value})


def test_an_unknown_command_names_the_near_one_or_all():
    assert "unknown command; did you mean ping?" in said({"png": "P"})
    assert "known: acknowledge, activate," in said({"xyzzy": "P"})


@pytest.mark.parametrize(
    ("written", "name", "sign"),
    [
        ("P", "P", "P"),
        ("?", "question_mark", "?"),
        ("/", "slash", "/"),
        ("-", "minus", "-"),
        ("_", "underscore", "_"),
        ("#", "number_sign", "#"),
        (",", "comma", ","),
        (" ", "space", "Space"),
        ("Esc", "escape", "Esc"),
        ("PgUp", "pageup", "PgUp"),
        ("F5", "f5", "F5"),
        ("^t", "ctrl+t", "^t"),
        ("ü", "ü", "ü"),
        ("question_mark", "question_mark", "?"),
    ],
)
def test_keys_are_written_as_people_write_them(written, name, sign):
    assert key_name(written) == name
    assert shown(name) == sign


def test_every_key_of_the_table_can_be_written():
    """Red when a key of the table has no way to be given to another command."""
    for command in BY_NAME.values():
        for key in command.keys.split(","):
            assert key_name(key) == key


def test_every_printable_character_is_shown_as_itself():
    for code in range(0x21, 0x7F):
        character = chr(code)
        assert shown(key_name(character)) == character
