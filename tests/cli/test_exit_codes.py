"""Exit codes and error output, as the contract has them."""

import json

import pytest

from tests.support.scripted_server import Answer, problem

CODES = {400: 6, 401: 4, 403: 4, 404: 3, 409: 1, 413: 6, 415: 6, 422: 6, 429: 1, 503: 1, 507: 1}


@pytest.mark.parametrize("status", CODES)
def test_the_exit_code_follows_from_the_status(run, server, status):
    server.will(problem(status, "what happened and what to do"))
    result = run("hooks", "show", "12")
    assert result.code == CODES[status]
    assert result.err == "hooktui: what happened and what to do\n"
    assert result.out == ""


@pytest.mark.parametrize("status", [404, 422])
def test_with_json_an_error_is_the_problem_object_as_it_came(run, server, status):
    server.will(problem(status, "no \x1b[31m", errors=[{"pointer": "/url", "detail": "bad"}]))
    result = run("hooks", "show", "12", "--json")
    assert result.code == CODES[status]
    assert result.out == ""
    told = json.loads(result.err)
    assert told["status"] == status
    assert told["errors"] == [{"pointer": "/url", "detail": "bad"}]
    assert result.err.isascii()
    assert "\x1b" not in result.err


def test_no_server_is_exit_5(run, tmp_path):
    result = run("hooks", "list")
    assert result.code == 5
    assert str(tmp_path / "server.sock") in result.err
    assert "hooktui serve" in result.err
    assert len(result.err.splitlines()) == 1
    told = json.loads(run("hooks", "list", "--json").err)
    assert {"type", "title", "status", "detail"} <= set(told)


def test_what_is_no_hooktui_server_is_exit_5(run, server):
    server.will(Answer(200, b"hello", "text/html"))
    assert run("status").code == 5


USAGE = {
    "unknown command": ("frobnicate",),
    "unknown sub-command": ("hooks", "lst"),
    "unknown option": ("hooks", "show", "1", "--colour"),
    "unknown option beside a filter": ("deliveries", "list", "--stauts", "failed"),
    "no id": ("hooks", "show"),
    "no number": ("hooks", "show", "twelve"),
    "no value": ("hooks", "list", "--limit"),
    "no list": ("hooks", "list", "--limit", "0"),
    "no account": ("hooks", "list", "--account", "x"),
    "no role": ("hooks", "list", "--role", "king"),
    "connect to nonsense": ("hooks", "list", "--connect", "ftp://x"),
    "value of a global option missing": ("hooks", "list", "--account"),
    "hook without url": ("hooks", "create", "--events", "job"),
    "hook without events": ("hooks", "create", "--url", "https://x.test"),
    "timeout": ("hooks", "edit", "1", "--timeout", "soon"),
    "rate": ("hooks", "edit", "1", "--rate", "fast"),
    "header": ("hooks", "edit", "1", "--header", "no equals"),
    "basic auth": ("hooks", "edit", "1", "--basic-auth", "nobody"),
    "nothing to edit": ("hooks", "edit", "1"),
    "unreadable file": ("emit", "job.failed", "/nonexistent"),
    "unreadable secret": ("hooks", "edit", "1", "--basic-auth", "@/nonexistent"),
    "a folder as file": ("emit", "job.failed", "/"),
    "no type": ("emit",),
    "emit with an unknown option": ("emit", "job.failed", "--kye=1"),
    "two files": ("emit", "--many", "a", "b"),
    "rotate and finish": ("hooks", "secret", "1", "--rotate", "--finish"),
    "overlap alone": ("hooks", "secret", "1", "--overlap", "1h"),
    "delete without yes": ("hooks", "delete", "1"),
    "revoke without yes": ("tokens", "revoke", "1"),
    "token without role": ("tokens", "create", "ci"),
    "expiry": ("tokens", "create", "ci", "--role", "viewer", "--expires", "never"),
    "port": ("listen", "--port", "70000"),
    "status": ("listen", "--status", "99"),
    "hash": ("verify", "--secret", "s", "--signature", "x", "--hash", "md5"),
    "shell": ("completion", "tcsh"),
    "console without a terminal": (),
    "console with an unknown option": ("--bogus",),
}


@pytest.mark.parametrize("name", USAGE)
def test_a_wrong_command_line_is_exit_2_in_one_line(run, name):
    result = run(*USAGE[name])
    assert result.code == 2, result.err
    assert result.out == ""
    assert result.err.startswith("hooktui: ")
    assert len(result.err.splitlines()) == 1


def test_usage_errors_are_problem_objects_too(run):
    told = json.loads(run("hooks", "show", "twelve", "--json").err)
    assert "twelve" in told["detail"]


def test_the_detail_of_a_problem_cannot_act_on_the_terminal(run, server):
    server.will(problem(404, "no\x1b]52;c;AAAA\x07\n\u202eevil"))
    err = run("hooks", "show", "12").err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert "\u202e" not in err


def test_help_is_no_error(run):
    for arguments in (("--help",), ("hooks", "--help"), ("hooks", "create", "--help"), ("hooks",)):
        result = run(*arguments)
        assert result.code == 0
        assert "Usage: hooktui" in result.out
