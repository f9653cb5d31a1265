"""What is remembered of a server: one file, whole or not at all, and never in the way."""

import json
import stat
from pathlib import Path

import pytest

from hooktui.console.shell.session_state import MAX_BYTES, MAX_COMMANDS, SessionState, load_state

SERVER = "/run/somewhere.sock"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOOKTUI_HOME": str(tmp_path / "home")}


def file_of(environ: dict[str, str]) -> Path:
    file = load_state(environ, SERVER).file
    assert file is not None
    return file


def remembered(environ: dict[str, str]) -> SessionState:
    memory = load_state(environ, SERVER)
    memory.screen = "log"
    memory.theme = ("nord", "hooktui-dark")
    memory.ran("hook 12")
    memory.keep("Hooks", 1, {"filter": "a\ud800", "pane": 9, "sort": None, "zoomed": False})
    assert memory.write() == ""
    return memory


def test_what_is_kept_is_found_again(environ):
    remembered(environ)
    again = load_state(environ, SERVER)
    assert again.problem == ""
    assert (again.screen, again.theme) == ("log", ("nord", "hooktui-dark"))
    assert again.commands == ["hook 12"]
    assert again.of("Hooks", 1) == {"filter": "a\ud800", "pane": 9, "sort": None, "zoomed": False}
    assert again.of("Hooks", 2) == {}


def test_another_server_is_another_memory(environ):
    """Red when the file does not depend on the server."""
    remembered(environ)
    assert load_state(environ, "https://elsewhere:443").screen == ""


def test_only_the_user_may_read_the_file_and_nothing_else_is_left(environ):
    """Red without 0600, or when the new file is not renamed over the old one."""
    remembered(environ)
    remembered(environ)
    file = file_of(environ)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_of_two_consoles_the_one_that_ends_last_is_remembered(environ):
    first, second = load_state(environ, SERVER), load_state(environ, SERVER)
    first.screen, second.screen = "log", "events"
    second.write()
    first.write()
    assert load_state(environ, SERVER).screen == "log"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"screen": 3}',
        b'{"theme": ["nord"]}',
        b'{"commands": "q"}',
        b'{"kept": {"Hooks 1": 3}}',
        b'{"kept": []}',
        b'{"commands": ["' + b"x" * MAX_BYTES + b'"]}',
    ],
)
def test_a_broken_file_is_reported_and_replaced(environ, content):
    """Red when what is read is believed: the console would end, or draw nonsense."""
    remembered(environ)
    file_of(environ).write_bytes(content)
    memory = load_state(environ, SERVER)
    assert "the saved console state cannot be used" in memory.problem
    assert (memory.screen, memory.theme, memory.commands) == ("", None, [])
    assert memory.write() == ""
    assert load_state(environ, SERVER).problem == ""


def test_values_of_another_kind_are_left_out(environ):
    remembered(environ)
    file = file_of(environ)
    content = json.loads(file.read_text())
    content["kept"] = {"Hooks 1": {"filter": ["x"], "pane": 9}}
    file.write_text(json.dumps(content))
    assert load_state(environ, SERVER).of("Hooks", 1) == {"pane": 9}


# Red when the server of the file is checked, too: it is there for people, and nothing reads it.
def test_the_server_in_the_file_is_not_read(environ):
    remembered(environ)
    file = file_of(environ)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"server": None}))
    again = load_state(environ, SERVER)
    assert (again.screen, again.problem, again.server) == ("log", "", SERVER)


def test_in_restricted_mode_nothing_is_read_or_written(environ):
    """Red when `load_state` does not ask for it: somebody who is confined would write files."""
    remembered(environ)
    confined = load_state({**environ, "HOOKTUI_RESTRICTED": "1"}, SERVER)
    assert (confined.file, confined.screen) == (None, "")
    confined.screen = "events"
    assert confined.write() == ""
    assert load_state(environ, SERVER).screen == "log"


def test_where_nothing_can_be_written_it_says_why(tmp_path):
    (tmp_path / "home").write_text("a file")
    memory = load_state({"HOOKTUI_HOME": str(tmp_path / "home")}, SERVER)
    assert "cannot save the console's state in" in memory.write()


def test_without_a_home_nothing_is_remembered():
    memory = load_state({}, SERVER)
    assert (memory.file, memory.write()) == (None, "")


def test_the_history_keeps_each_line_once_the_latest_last():
    memory = SessionState()
    for number in range(MAX_COMMANDS + 20):
        memory.ran(f"hook {number}")
    memory.ran("hook 30")
    assert len(memory.commands) == MAX_COMMANDS
    assert memory.commands[-1] == "hook 30"
    assert memory.commands.count("hook 30") == 1
