"""Restricted mode on the command line: one server, no files, no other program, no higher role."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from hooktui.cli.main import COMMANDS
from hooktui.cli.options import ALLOWED
from hooktui.domain.roles import Role, restricted
from tests.support.scripted_server import answer

HOOK_FIELDS = ("--url", "https://receiver.example/", "--events", "job")
NOT_HERE = "is not possible here: this is a restricted hooktui (HOOKTUI_RESTRICTED)"


@pytest.fixture
def confined(environ, run):
    environ["HOOKTUI_RESTRICTED"] = "1"
    return run


@pytest.mark.parametrize(
    ("value", "on"),
    [("1", True), ("true", True), ("yes", True), ("please", True), (" 1 ", True), ("2", True),
     ("", False), ("0", False), ("no", False), ("False", False), (" off ", False)],
)  # fmt: skip
def test_whatever_does_not_say_off_is_on(value, on):
    assert restricted({"HOOKTUI_RESTRICTED": value}) is on
    assert restricted({}) is False


REFUSED = sorted({name for name, *_ in COMMANDS} - ALLOWED)


def test_the_commands_that_need_the_machine_are_not_among_the_allowed_ones():
    assert {
        "serve", "stop", "demo", "listen", "bench", "selftest", "restore", "move", "backup",
        "doctor",
    } <= set(REFUSED)  # fmt: skip
    assert ALLOWED - {name for name, *_ in COMMANDS} == {"console"}


@pytest.mark.parametrize("command", [*REFUSED, "nonsense"])
def test_what_needs_the_machine_is_refused(confined, server, command):
    result = confined(command)
    assert (result.code, result.out, server.asked) == (4, "", [])
    assert result.err == f"hooktui: hooktui {command} {NOT_HERE}\n"


@pytest.mark.parametrize(
    "where", [("--connect", "https://other.example"), ("--connect=/tmp/other.sock",)]
)
def test_there_is_no_other_server(confined, server, where):
    result = confined(*where, "status")
    assert (result.code, server.asked) == (4, [])
    assert f"--connect {NOT_HERE}" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("emit", "job.failed", "FILE"),
        ("emit", "--many", "FILE"),
        ("hooks", "create", *HOOK_FIELDS, "--secret", "@FILE"),
        ("hooks", "create", *HOOK_FIELDS, "--header", "K=@FILE"),
        ("hooks", "create", *HOOK_FIELDS, "--basic-auth", "@FILE"),
        ("hooks", "create", *HOOK_FIELDS, "--basic-auth", "me:@FILE"),
        ("hooks", "edit", "1", "--header", "K=@FILE"),
        ("hooks", "secret", "1", "--rotate", "--secret", "@FILE"),
        ("verify", "--secret", "@FILE", "--signature", "00"),
    ],
)
def test_no_file_is_read(confined, server, tmp_path, arguments):
    file = tmp_path / "file"
    file.write_text('{"type": "job.failed", "data": {}}')
    result = confined(*(one.replace("FILE", str(file)) for one in arguments))
    assert (result.code, result.out, server.asked) == (4, "", [])
    assert f"reading a file {NOT_HERE}" in result.err


def test_a_value_from_stdin_is_taken(confined, server):
    server.will(answer({"id": "evt_1", "type": "job.failed", "account": 1, "deliveries": 0,
                        "skipped": 0, "duplicate": False}, 202))  # fmt: skip
    assert confined("emit", "job.failed", stdin=b"{}").code == 0


def test_reading_goes_on(confined, server):
    server.will(answer({"data": [], "next": None, "prev": None, "total": 0,
                        "total_is_estimate": False}))  # fmt: skip
    assert confined("--role", "viewer", "hooks", "list", "--json").out == "[]\n"
    assert server.asked[0].headers["hooktui-role"] == "viewer"


def test_a_refusal_is_a_problem_object_where_json_is_wanted(confined):
    result = confined("backup", "x", "--json")
    assert json.loads(result.err)["status"] == 403


def test_version_and_help_are_shown(confined):
    assert confined("--version").code == 0
    assert confined("--help").code == 0


# Red when a command stops at ctrl+z: the terminal would go back to whatever started it.
def test_a_command_does_not_stop_under_its_user(confined):
    assert signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN
    confined("status")
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN


RANKS = {"viewer": {"viewer"}, "producer": {"producer"}, "operator": {"operator", "viewer"},
         "admin": {"admin", "operator", "viewer", "producer"}}  # fmt: skip


@pytest.mark.parametrize("first", Role)
def test_a_second_role_only_lowers_the_first(run, server, first):
    server.will(answer({"data": [], "next": None, "prev": None, "total": 0,
                        "total_is_estimate": False}))  # fmt: skip
    for second in Role:
        result = run("--role", first, "hooks", "list", f"--role={second}")
        if second in RANKS[first]:
            assert server.asked[-1].headers["hooktui-role"] == second
        else:
            assert result.code == 2
            assert f"--role was {first} already" in result.err


def test_an_error_of_our_own_shows_no_traceback_in_restricted_mode(environ):
    script = (
        "import os; from hooktui.cli import main; main._run_command = lambda *_: 1 / 0; "
        "raise SystemExit(main.main(['status'], os.environ))"
    )
    environ |= {"HOOKTUI_RESTRICTED": "1", "HOOKTUI_DEBUG": "1"}
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environ, capture_output=True
    )
    assert run.returncode == 1
    assert b"Traceback" not in run.stderr
