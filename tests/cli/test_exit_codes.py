"""Exit codes and error output, as the contract has them."""

import json
import os
import subprocess
from typing import get_args

import pytest

from hooktui.cli.main import COMMANDS, command_table
from hooktui.cli.output import Output
from hooktui.client.sync_client import PlainClient
from hooktui.domain import catalogue
from hooktui.domain.file_budget import share_files
from hooktui.server import run as server_run
from hooktui.store.postgres.connections import parse_database_url
from hooktui.store.sqlite import files
from hooktui.store.sqlite.files import refuse_network_file_system
from tests.cli.test_replay import PLAN, REPLAY
from tests.cli.test_undelivered import GROUP, groups
from tests.support.installation import PYTHON
from tests.support.scripted_server import DELIVERY, HOOK, Answer, answer, page, problem

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
    "a rate that is no number": ("hooks", "edit", "1", "--rate", "nan"),
    "a rate with an underscore": ("hooks", "edit", "1", "--rate", "1_0"),
    "a rate of a replay with an exponent": ("replay", "rate", "rpl_1", "1e1"),
    "an endless rate": ("hooks", "edit", "1", "--rate", "inf"),
    "header": ("hooks", "edit", "1", "--header", "no equals"),
    "header, twice": ("hooks", "edit", "1", "--header", "X-A=1", "--header", "x-a=2"),
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
    "a state of no replay": ("replay", "list", "--state", "foo"),
    "a state of no alert": ("alerts", "list", "--state", "foo"),
    "a state of no group": ("undelivered", "list", "--state", "foo"),
    "a result of no entry": ("audit", "list", "--result", "foo"),
    "expiry": ("tokens", "create", "ci", "--role", "viewer", "--expires", "never"),
    "port": ("listen", "--port", "70000"),
    "status": ("listen", "--status", "99"),
    "a delay without end": ("listen", "--delay", "9999999999d"),
    "hash": ("verify", "--secret", "s", "--signature", "x", "--hash", "md5"),
    "shell": ("completion", "tcsh"),
    "console without a terminal": (),
    "console with an unknown option": ("--bogus",),
}


# Red when the message blames --connect.
def test_a_bad_token_is_blamed_on_its_variable(run, environ):
    environ["HOOKTUI_TOKEN"] = "a\x01b"
    result = run("status", "--connect", "https://localhost:1")
    assert result.code == 2
    assert result.err == "hooktui: HOOKTUI_TOKEN is not a token; a token looks like hkt_1_…\n"


@pytest.mark.parametrize("name", USAGE)
def test_a_wrong_command_line_is_exit_2_in_one_line(run, name):
    result = run(*USAGE[name])
    assert result.code == 2, result.err
    assert result.out == ""
    assert result.err.startswith("hooktui: ")
    assert len(result.err.splitlines()) == 1


def no_catalogue(folder):
    (folder / "catalogue.toml").write_text("[[group]]\n")
    catalogue.load(folder / "catalogue.toml")


UNUSABLE = {
    "catalogue": no_catalogue,
    "open files": lambda _: share_files(10, connections=1000),
    "file system": refuse_network_file_system,
    "database": lambda _: parse_database_url("postgresql://"),
}


# Red when only `BadSettings` is: systemd starts the service again and again.
@pytest.mark.parametrize("what", UNUSABLE)
def test_what_a_server_cannot_start_with_is_exit_2(run, tmp_path, monkeypatch, what):
    monkeypatch.setattr(files, "file_system", lambda _: "nfs4")
    monkeypatch.setattr(server_run, "main", lambda *_: UNUSABLE[what](tmp_path))
    result = run("serve")
    assert (result.code, len(result.err.splitlines())) == (2, 1), result.err


# Red when a configuration is refused like an input: 2 from serve alone, 6 from the others.
@pytest.mark.parametrize(
    "command",
    [("serve",), ("restore", "{}/copy.db", "--yes"), ("move", "--to", "postgresql://u@h/d")],
)
def test_a_broken_configuration_is_exit_2_from_every_command(run, environ, tmp_path, command):
    (tmp_path / "config.toml").write_text("listen = ")
    (tmp_path / "copy.db").touch()
    environ["HOOKTUI_HOME"] = str(tmp_path)
    result = run(*(part.format(tmp_path) for part in command))
    assert (result.code, len(result.err.splitlines())) == (2, 1), result.err
    assert "config.toml" in result.err


# Red when only serve ends with 2, and each other command with the 6 of a refused input.
@pytest.mark.parametrize("command", [("serve",), ("status",), ("doctor",), ("stop",), ()])
def test_no_home_folder_is_exit_2_from_every_command(run, environ, command):
    for name in [name for name in environ if name.startswith(("HOME", "HOOKTUI_", "XDG_"))]:
        del environ[name]
    result = run(*command)
    assert result.code == 2
    assert result.out == ""


def arguments_of_commands():
    """Yield each command with what it takes."""
    table = command_table()
    for name, *_ in [*COMMANDS, ("console",)]:
        parts = sorted(part for part in table[name] if not part.startswith("-"))
        for words in [(name, part) for part in parts] or [(name,)]:
            command = table[name][words[1]] if parts else table[name]
            yield words, [arg for arg in command.assemble_argument_collection() if arg.show]


def positional_arguments():
    """Yield each command with the number of an argument that it needs, and the usage of both."""
    for words, arguments in arguments_of_commands():
        options = [arg.names[0] for arg in arguments if arg.required and arg.index is None]
        for place, arg in enumerate(arg for arg in arguments if arg.index is not None):
            if arg.required:
                yield words, options, place, arg.names[0].removeprefix("--").upper()


# Red when a message names an argument as an option, such as --name for NAME.
def test_a_missing_argument_is_named_as_in_the_usage(run):
    found = list(positional_arguments())
    assert len(found) > 30
    for words, options, place, name in found:
        usage = run(*words, "--help").out.splitlines()[0]
        given = [part for option in options for part in (option, "1")]
        result = run(*words, *["1"] * place, *given)
        assert result.code == 2
        assert name in usage.split()
        assert result.err == f"hooktui: {' '.join(words)} needs {name}; see --help\n"
    assert "--name needs a value" in run("accounts", "create", "--name").err


# Red when cyclopts reads the number: it rounds, so that `hooks delete 1.6` deletes hook 2.
@pytest.mark.parametrize("text", ["1.6", "0x10", "1_0", "\u0661", "+1", "9" * 5000])
def test_a_whole_number_is_written_with_digits(run, server, text):
    found = 0
    for words, arguments in arguments_of_commands():
        needed = [(arg.names[0], arg.index is None) for arg in arguments if arg.required]
        for arg in arguments:
            if int not in (arg.hint, *get_args(arg.hint)):
                continue
            found += 1
            given = []
            for name, is_option in needed:
                value = text if name == arg.names[0] else "1"
                given += [name, value] if is_option else [value]
            if arg.names[0] not in [name for name, _ in needed]:
                given += [text] if arg.index is not None else [arg.names[0], text]
            result = run(*words, *given)
            assert (result.code, result.out) == (2, ""), (words, given)
            assert "is not a whole number" in result.err
    assert found > 30
    assert server.asked == []


# Red when the server judges some times (exit code 6) and the command others.
@pytest.mark.parametrize(
    "arguments",
    [
        "audit list --since",
        "audit list --until",
        "alerts snooze alr_38GYCYFCM0000 --for",
        "hooks secret 1 --rotate --overlap",
        "purge --yes --older-than",
        "replay plan --all-hooks --since",
        "replay run --all-hooks --yes --until",
        "tokens create a --role viewer --expires",
        "undelivered snooze 1 dns --for",
    ],
)
def test_a_time_that_is_none_is_a_wrong_option(run, server, arguments):
    *words, option = arguments.split()
    for text in ("soon", ""):
        result = run(*words, option, text)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"hooktui: {option}: '{text}' is not a ")
    assert server.asked == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hooks", "show", "1", "--bogus"], "unknown option --bogus; see --help"),
        (
            ["hooks", "edit", "1", "--tymeout=1s"],
            "unknown option --tymeout; did you mean --timeout?",
        ),
        (["hooks", "frobnicate"], "unknown command 'frobnicate'; see --help"),
        (["statsu"], "unknown command 'statsu'; did you mean status?"),
        (["undelivered", "list", "--hook", "x"], "--hook: 'x' is not a whole number"),
        (["replay", "rate", "rpl_1", "x"], "PER_S: 'x' is not a number"),
        (["replay", "plan", "--rate", "inf"], "--rate: 'inf' is not a number"),
        (["replay", "rate", "rpl_1", "x" * 99], f"PER_S: '{'x' * 59}…' is not a number"),
        (["completion", "tcsh"], "SHELL: 'tcsh' is not one of bash, zsh, fish"),
        (
            ["hooks", "edit", "1", "--active", "--inactive"],
            "--inactive repeats or contradicts an earlier option; see --help",
        ),
        (["log", "--follow=x"], "--follow takes no value"),
        (["hooks", "list", "--limit"], "--limit needs a value; see --help"),
        (["purge", "--older-than", "--yes"], "--older-than needs a value; see --help"),
        (
            ["purge", "--older-than", "-5d"],
            "--older-than needs a value; write one with a hyphen as --older-than=-5d",
        ),
        (
            ["audit", "list", "--since", "-1h"],
            "--since needs a value; write one with a hyphen as --since=-1h",
        ),
        (["tokens", "create", "ci"], "tokens create needs --role; see --help"),
        (["deliveries", "list", "--foo"], "unknown option --foo; see --help"),
    ],
)
def test_a_wrong_command_line_is_explained_in_plain_words(run, arguments, says):
    assert run(*arguments).err == f"hooktui: {says}\n"


def test_usage_errors_are_problem_objects_too(run):
    told = json.loads(run("hooks", "show", "twelve", "--json").err)
    assert "twelve" in told["detail"]


def test_the_detail_of_a_problem_cannot_act_on_the_terminal(run, server):
    server.will(problem(404, "no\x1b]52;c;AAAA\x07\n\u202eevil"))
    err = run("hooks", "show", "12").err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err
    assert "\u202e" not in err


# Red when an option has a default that its help does not name.
def test_the_help_names_each_default(run):
    missing, found = [], 0
    for words, arguments in arguments_of_commands():
        for arg in arguments:
            default = arg.field_info.default
            if isinstance(default, str | int) and not isinstance(default, bool):
                found += 1
                shown = " ".join(run(*words, "--help").out.replace("│", "").split())
                line = shown.partition(f"{arg.names[0]} ")[2].partition(" --")[0]
                if f"{default}" not in line.replace(",", ""):
                    missing.append((*words, arg.names[0], line))
    assert missing == []
    assert found > 8


# Red when an error points to a help page that does not name the options of the console.
def test_the_first_help_page_names_the_options_of_the_console_and_of_every_command(
    run, monkeypatch
):
    assert "hooktui --help" in run().err
    monkeypatch.setenv("COLUMNS", "80")
    for words in ((), ("hooks", "show")):
        lines = run(*words, "--help").out.splitlines()
        assert any("--role viewer|producer|operator|admin" in line for line in lines)
        assert max(map(len, lines)) <= 80
    page = run("--help").out
    for option in ("--theme NAME", "--ascii", "--no-mouse", "--version", "--connect URL"):
        assert option in page


def test_the_help_of_create_is_about_new_hooks(run):
    create, edit = (run("hooks", command, "--help").out for command in ("create", "edit"))
    assert "K= removes" in edit
    assert "again" in edit
    for of_edit in ("removes", "again"):
        assert of_edit not in create


# In a process of its own: one process makes the console of its help once. Red when Rich takes each
# width: 1 and 2 fill the memory, as do many digits, and ² is an internal error.
@pytest.mark.parametrize("words", [("hooks",), ("hooks", "ping")], ids=" ".join)
@pytest.mark.parametrize("width", ["0", "00", "-1", "1", "2", "3", "²", "1" + "0" * 8, "9" * 20])
def test_the_help_can_be_written_in_any_width(words, width):
    command = ["bash", "-c", f"ulimit -v 3000000; {PYTHON} -m hooktui {' '.join(words)} --help"]
    environ = {**os.environ, "COLUMNS": width, "LC_ALL": "C.UTF-8"}
    help_page = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
    assert (help_page.returncode, help_page.stderr) == (0, "")
    assert f"Usage: hooktui {' '.join(words)}" in " ".join(help_page.stdout.split())


# Red when the width of the help stays set: a console that a command opens, such as the demo's, was
# drawn in its first width after each change of the terminal's size.
@pytest.mark.parametrize("columns", [None, "5", "²"])
def test_a_command_sets_no_width_for_what_it_opens(run, server, monkeypatch, columns):
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda _=1: os.terminal_size((80, 24)))
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    server.will(page())
    assert run("hooks", "list").code == 0
    assert os.environ.get("COLUMNS") == columns


def test_help_is_no_error(run):
    for arguments in (("--help",), ("hooks", "--help"), ("hooks", "create", "--help"), ("hooks",)):
        result = run(*arguments)
        assert result.code == 0
        assert "Usage: hooktui" in result.out


PART = {"before": "2026-11-25T00:00:00.000Z", "events": 7, "deliveries": 9, "attempts": 9,
        "next": "evt_1"}  # fmt: skip
AGAIN = "the server finishes the part in progress; run the command again for the rest"
INTERRUPTED = {
    "replay run --hook 3 --yes --wait":
        ([answer(PLAN), answer(REPLAY, 201), answer(REPLAY)],
         "the replay continues at the server; watch it: hooktui replay show rpl_01JDG3R8Z4000;"
         " pause it: hooktui replay pause rpl_01JDG3R8Z4000; abort it: hooktui replay abort"
         " rpl_01JDG3R8Z4000"),
    "replay run --hook 3 --yes":
        ([answer(PLAN)], "the replay may have started; see: hooktui replay list"),
    "purge --older-than 30d --yes": ([answer(PART)], f"interrupted after 7 events; {AGAIN}"),
    "keys rotate --yes":
        ([answer({"key": "k", "made": True, "sealed": 3, "left": 9, "kept": [], "dropped": [],
                  "place": "key"})], f"interrupted after 3 values; {AGAIN}"),
    "deliveries cancel --filter hook:12 --yes":
        ([page(DELIVERY), answer({"cancelled": 1, "sending": 0, "next": "dlv_1"})],
         f"interrupted after 1 delivery; {AGAIN}"),
    "undelivered give-up 3 http_5xx --yes":
        ([answer(HOOK), groups(GROUP),
          answer({"given_up": 4, "cancelled": 1, "next": "dlv_1"})],
         f"interrupted after 5 events; {AGAIN}"),
    "hooks diagnose 12": ([], "interrupted; there is no verdict, and a ping may have been sent"),
    "hooks ping 12": ([], "interrupted; the server finishes the ping in progress"),
    "backup copy.db": ([], "interrupted; no backup was written"),
    "selftest": ([], "interrupted; the temporary server is stopped, and there is no result"),
    "bench": ([], "interrupted; the temporary servers are stopped, and there is no result"),
    "audit verify": ([], ""),
}  # fmt: skip


# Red when ctrl+c leaves the progress line behind, or is silent about what the server still does.
@pytest.mark.parametrize("command", INTERRUPTED)
def test_ctrl_c_ends_the_progress_line_and_names_what_continues(
    run, server, monkeypatch, tmp_path, command
):
    answers, note = INTERRUPTED[command]
    server.will(*answers)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    read, left = PlainClient._response_json, [None] * len(answers)

    def read_or_interrupted(client, call):
        return read(client, call) if left and not left.pop() else interrupted()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PlainClient, "_response_json", read_or_interrupted)
    for name in ("lines", "download"):
        monkeypatch.setattr(PlainClient, name, interrupted)
    monkeypatch.setattr("hooktui.cli.selftest.run_crash_test", interrupted)
    monkeypatch.setattr("hooktui.cli.bench.measure", interrupted)
    monkeypatch.setattr("hooktui.cli.replay._POLL_S", 0)
    monkeypatch.setattr(Output, "progress_shown", True)
    result = run(*command.split())
    assert result.code == 130
    # What follows the last time that the progress line is cleared.
    assert result.err.split("\r\x1b[K")[-1] == (f"{note}\n" if note else "")
    assert list(tmp_path.glob("*.db*")) == []


IN_PARTS = {
    command: (answers, note.removeprefix("interrupted after ").partition(";")[0])
    for command, (answers, note) in INTERRUPTED.items()
    if AGAIN in note
}


# Red when an error hides what cannot be undone: the counts of the parts before it.
@pytest.mark.parametrize("command", IN_PARTS)
def test_an_error_in_a_later_part_names_what_is_done(run, server, command):
    answers, done = IN_PARTS[command]
    server.will(*answers, problem(503, "the server is stopping"))
    result = run(*command.split())
    assert (result.code, result.out) == (1, "")
    note, error = result.err.splitlines()
    assert note == f"the command failed after {done}; run it again for the rest"
    assert "the server is stopping" in error
    server.will(*answers[:-1], problem(503, "the server is stopping"))
    assert len(run(*command.split()).err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        (["hooks", "delete", "1"], "Delete hook 1? Its waiting deliveries"),
        (["hooks", "delete", "1", "2"], "Delete hooks 1, 2? Their waiting deliveries"),
        (["tokens", "revoke", "1"], "Revoke token 1? Programs that use it"),
        (["tokens", "revoke", "1", "2"], "Revoke tokens 1, 2? Programs that use them"),
    ],
)
def test_a_question_has_the_number_of_its_objects(run, arguments, asks):
    assert asks in run(*arguments).err


# Red when only other errors are problem objects.
def test_an_internal_error_is_a_problem_object_too(run, monkeypatch):
    def broken(*_arguments: object) -> None:
        raise ValueError("odd\x1b[31m")

    monkeypatch.setattr("hooktui.cli.main.split_options", broken)
    result = run("status", "--json")
    assert result.code == 1
    problem_object = json.loads(result.err)
    assert problem_object["title"] == "Failed"
    assert problem_object["detail"].startswith("internal error: ValueError: odd")
    shown = run("status").err
    assert shown.startswith("hooktui: internal error: ValueError: odd")
    assert "\x1b" not in shown
    assert shown.endswith("HOOKTUI_DEBUG=1 shows where\n")
