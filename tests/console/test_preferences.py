"""The console's part of config.toml, and themes that somebody wrote."""

from pathlib import Path

import pytest

from hooktui.console.shell.preferences import ConsoleOptions, Preferences, read_preferences
from hooktui.server.settings import load

GOOD = 'primary = "#336699"\ndark = false\n[variables]\nquiet = "#777777"\n'


@pytest.fixture
def read(tmp_path: Path):
    """Write config.toml and read it."""

    def reading(text: str) -> Preferences:
        (tmp_path / "config.toml").write_text(text)
        return read_preferences({"HOOKTUI_HOME": str(tmp_path)})

    return reading


@pytest.fixture
def theme(tmp_path: Path):
    """Write a theme's file, and read all themes."""

    def reading(text: str, name: str = "mine") -> Preferences:
        (tmp_path / "themes").mkdir(exist_ok=True)
        (tmp_path / "themes" / f"{name}.toml").write_text(text)
        return read_preferences({"HOOKTUI_HOME": str(tmp_path)})

    return reading


def test_without_a_file_everything_is_as_built_in(tmp_path):
    assert read_preferences({"HOOKTUI_HOME": str(tmp_path / "none")}) == Preferences()
    assert read_preferences({}) == Preferences()


def test_it_is_the_users_own_file_also_where_the_server_is_the_systems(tmp_path):
    (tmp_path / "hooktui").mkdir()
    (tmp_path / "hooktui" / "config.toml").write_text('[keys]\nping = "P"\n')
    found = read_preferences({"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nowhere"})
    assert found.keymap.key("ping") == "P"


def test_keys_and_settings_are_read(read):
    found = read('[keys]\nping = "P"\n[console]\ntheme = "nord"\nmouse = false\nascii = true\n')
    assert found.problems == ()
    assert found.keymap.key("ping") == "P"
    options = found.under(ConsoleOptions())
    assert (options.theme, options.no_mouse, options.ascii) == ("nord", True, True)
    assert found.under(ConsoleOptions(theme="gruvbox")).theme == "gruvbox"


def test_a_terminal_with_few_signs_gets_ascii_unless_it_is_set(read):
    """Red when TERM is not asked: the Linux console draws our glyphs as one and the same box."""
    assert Preferences().under(ConsoleOptions(), "linux").ascii
    assert not Preferences().under(ConsoleOptions(), "xterm").ascii
    assert not read("[console]\nascii = false\n").under(ConsoleOptions(), "linux").ascii


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[keys", "cannot read"),
        ("keys = " + "[" * 5000, "cannot read"),
        ("keys = " + "1" * 5000, "cannot read"),
        ("keys = 3\n", "must be a table: [keys]"),
        ("[console]\nmice = true\n", "[console] mice: unknown; known: theme, mouse, ascii"),
        ('[console]\nmouse = "no"\n', "[console] mouse: expected true or false"),
        ("[console]\ntheme = 3\n", "[console] theme: expected a theme's name"),
        ('[keys]\nping = "x"\n', "x is also the key of diagnose"),
    ],
)
def test_what_is_wrong_is_reported_and_the_rest_holds(read, text, words):
    """Red when a wrong value is taken, or left out without a word."""
    found = read(text)
    assert words in "; ".join(found.problems)
    assert found.under(ConsoleOptions()) == ConsoleOptions()


def test_a_file_that_may_not_be_read_is_reported(tmp_path):
    (tmp_path / "config.toml").mkdir()
    assert "cannot read" in read_preferences({"HOOKTUI_HOME": str(tmp_path)}).problems[0]


def test_a_server_leaves_the_consoles_tables_alone(tmp_path):
    """Red when the tables are unknown settings: a server of one's own would not start."""
    config = tmp_path / "config.toml"
    config.write_text('keep_days = 3\n[keys]\nping = "P"\n[console]\nascii = true\n')
    assert load(config, {}).keep_days == 3


def test_a_theme_is_read_by_the_name_of_its_file(theme):
    found = theme(GOOD)
    assert found.problems == ()
    assert [one.name for one in found.themes] == ["mine"]
    assert found.themes[0].primary == "#336699"
    assert not found.themes[0].dark


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("primary", "themes/mine.toml"),
        ("primary = " + "[" * 5000, "recursion"),
        ("dark = true\n", 'write primary = "#rrggbb"'),
        ('primary = "#33669"\n', "primary: '#33669' is not a colour"),
        ("primary = 3\n", "primary must be a colour"),
        (f'primry = "#336699"\n{GOOD}', "unknown 'primry'; did you mean 'primary'?"),
        ('primary = "red"\ndark = "no"\n', "dark must be true or false"),
        ('primary = "red"\nvariables = 3\n', "[variables] must be a table"),
        (f'{GOOD}scrollbr = "red"\n', "unknown variable 'scrollbr'; did you mean 'scrollbar'?"),
        (f'{GOOD}scrollbar = "rd"\n', "scrollbar: 'rd' is not a colour"),
        (f'{GOOD}block-cursor-text-style = "fat"\n', "must be one or more of none, bold"),
    ],
)
def test_a_wrong_theme_is_left_out_and_says_where_it_errs(theme, text, words):
    """Red when a theme is not judged whole: a wrong colour ends the console while it draws."""
    theme(GOOD, "good")
    found = theme(text)
    assert [one.name for one in found.themes] == ["good"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith("themes/mine.toml: ")
    assert words in found.problems[0]
    assert found.problems[0].endswith("the theme is ignored")
