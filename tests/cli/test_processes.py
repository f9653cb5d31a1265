"""What only shows in a process of its own: imports, time, signals, pipes."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.support.installation import PYTHON
from tests.support.scripted_server import HOOK, Answer, answer, page, problem

HEAVY = ("textual", "sqlmodel", "sqlalchemy", "fastapi", "httpx", "pydantic", "starlette")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
ACCEPTED = {"id": "evt_1", "type": "job.failed", "account": 1, "deliveries": 1, "skipped": 0,
            "duplicate": False}  # fmt: skip


def imported_by(environ, *arguments):
    code = (
        "import sys; from hooktui.cli.main import main; code = main(sys.argv[1:]);"
        "sys.stdout.flush();"
        "print('loaded', code, *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    printed = subprocess.check_output(
        [sys.executable, "-c", code, *arguments], env={**os.environ, **environ}, input=b"{}"
    )
    _, code, *modules = printed.decode().splitlines()[-1].split()
    assert code == "0"
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("emit", "job.failed"), ("emit", "job.failed", "--json"), ("hooks", "list")],
    ids=" ".join,
)
def test_quick_commands_import_nothing_heavy(environ, server, arguments):
    server.will(page(HOOK) if arguments[0] == "hooks" else answer(ACCEPTED, 202))
    modules = imported_by(environ, *arguments)
    assert modules.isdisjoint(HEAVY)
    assert ("sqlite3" in modules) == (arguments == ("--version",))


# Red when `hooktui` alone parses its empty command line: 60 ms before the first paint. It ends with
# a usage error here, for there is no terminal.
def test_the_console_is_opened_without_the_library_that_parses_commands():
    code = (
        "import sys; from hooktui.cli.main import main; code = main([]);"
        "print(code, 'cyclopts' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert printed.stdout.split() == ["2", "False"]
    assert "needs a terminal" in printed.stderr


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(environ, server):
    server.will(page(*[HOOK] * 500, following="more", total=10**6))
    command = f"{PYTHON} -m hooktui hooks list --all --json | head -1 > /dev/null"
    ended = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        env={**os.environ, **environ},
        capture_output=True,
        timeout=60,
    )
    assert ended.stdout == b"141\n"
    assert ended.stderr == b""


_HELP_IN_A_CLOSED_PIPE = """
import os, sys
from hooktui.cli.main import COMMANDS, main
for page in [[], *[[name] for name, *_ in COMMANDS], ["hooks", "create"], ["console"]]:
    if not os.fork():  # the library keeps a console of each command, silent after the first error
        ours, theirs = os.pipe()
        os.close(ours)
        os.dup2(theirs, 1)
        os._exit(main([*page, "--help"]))
    print(os.waitstatus_to_exitcode(os.wait()[1]), *page, file=sys.stderr)
"""


# Red when the library that writes the help ends the process itself, with 1.
def test_a_help_page_whose_reader_has_seen_enough_is_exit_141_as_well():
    ended = subprocess.run(
        [sys.executable, "-c", _HELP_IN_A_CLOSED_PIPE], capture_output=True, text=True, timeout=60
    )
    lines = ended.stderr.splitlines()
    assert len(lines) > 30
    assert [line for line in lines if not line.startswith("141")] == []


# Red when a full disk behind the output is "an internal error", or ends in Python's own traceback.
@pytest.mark.parametrize(
    "arguments",
    [("hooks", "list"), ("hooks", "list", "--json"), ("--version",), ("--help",), ("keys", "new")],
    ids=" ".join,
)
def test_a_full_disk_behind_the_output_is_one_line(environ, server, arguments):
    server.will(page(HOOK))
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "hooktui", *arguments],
            env={**os.environ, **environ}, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert ended.returncode == 1
    assert b"cannot write the output: No space left on device" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


# Red when only the output is reported: a repetition of the command makes the change twice.
@pytest.mark.parametrize("arguments", [("emit", "job.failed"), ("emit", "job.failed", "--json")])
def test_a_change_whose_output_is_lost_is_reported_as_done(environ, server, arguments):
    server.will(answer(ACCEPTED, 202))
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "hooktui", *arguments],
            env={**os.environ, **environ}, input=b"{}", stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert ended.returncode == 1
    assert b"No space left on device; the server has carried out the request" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


# Red when the number is lost with the output: nobody knows from which line to send the rest.
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["ids", "json"])
@pytest.mark.parametrize("output", ["a full disk", "a closed pipe"])
def test_many_events_whose_output_is_lost_are_counted(environ, server, output, options):
    server.will(answer({"accepted": 1000, "data": [ACCEPTED] * 1000}, 202))
    reads, writes = os.pipe()
    os.close(reads)
    with Path("/dev/full").open("wb") as full, os.fdopen(writes, "wb") as pipe:
        ended = subprocess.run(
            [sys.executable, "-m", "hooktui", "emit", "--many", *options],
            env={**os.environ, **environ},
            input=b'{"type": "job.failed", "data": {}}\n' * 2500,
            stdout=full if output == "a full disk" else pipe,
            stderr=subprocess.PIPE,
        )
    assert len(server.asked) == 1
    assert ended.returncode == (1 if output == "a full disk" else 141)
    assert b"the first 1,000 events were accepted" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


# Red when any other output that cannot be written is an internal error, told twice, and exit 120.
def test_an_output_that_is_not_writable_is_one_line(environ, server):
    server.will(page(HOOK))
    with Path(os.devnull).open("rb") as not_writable:
        ended = subprocess.run(
            [sys.executable, "-m", "hooktui", "hooks", "list"],
            env={**os.environ, **environ}, stdout=not_writable, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == b"hooktui: cannot write the output: Bad file descriptor\n"


# Red when a message that cannot be written fails the command: the event is accepted, and an error
# has its own exit code.
@pytest.mark.parametrize(
    ("arguments", "response", "code"),
    [
        (("emit", "job.failed"), answer(ACCEPTED | {"deliveries": 0}, 202), 0),
        (("hooks", "show", "1"), problem(404, "gone"), 3),
    ],
)
def test_messages_that_cannot_be_written_change_nothing(environ, server, arguments, response, code):
    server.will(response)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "hooktui", *arguments],
            env={**os.environ, **environ}, input=b"{}", stdout=subprocess.PIPE, stderr=full,
        )  # fmt: skip
    assert ended.returncode == code
    assert ended.stdout == (b"evt_1\n" if code == 0 else b"")


INTERRUPTED_ALL_THE_TIME = """
import signal, sys, time
from hooktui.cli.main import main
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
code = main(["serve", "--tls-cert", "y" * 300_000, "--tls-key", "y"])
print("z" * 300_000)
signal.setitimer(signal.ITIMER_REAL, 0)
sys.exit(code)
"""


# Red when Python writes to an unbuffered stream: it drops what the pipe had no room for.
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_no_output_is_lost_when_signals_come(environ, unbuffered):
    command = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_ALL_THE_TIME],
        env={**os.environ, **environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    written = b""
    while piece := command.stdout.read(4096):
        written += piece
        time.sleep(0.001)
    command.stdout.close()
    assert command.wait() == 2
    assert b"y" * 300_000 in written
    assert b"z" * 300_000 in written


def test_ctrl_c_is_exit_130_without_a_traceback(start, server):
    server.will(Answer(hang=True))
    command = start("hooks", "list")
    command.wait_for(lambda: server.asked)
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(10) == 130
    assert not any("Traceback" in line for line in command.err)


# A person who mistyped presses ctrl+c while Python still imports: for 80 ms that was a traceback.
INTERRUPTED_IMPORT = """
import os, signal, sys
from importlib import import_module
class Interrupt:
    left = int(sys.argv.pop(1))
    def find_spec(self, *_):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)
module, function = sys.argv.pop(1).split(":")
begin = getattr(import_module(module), function)
assert "hooktui.cli" not in sys.modules
sys.meta_path.insert(0, Interrupt())
sys.exit(begin())
"""


@pytest.mark.parametrize("imports", [1, 2, 5, 12, 25, 45, 70, 110])
def test_ctrl_c_while_modules_are_imported_is_exit_130_without_a_traceback(environ, imports):
    entry = tomllib.loads(PROJECT.read_text())["project"]["scripts"]["hooktui"]
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, str(imports), entry, "hooks", "list"],
        env={**os.environ, **environ},
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (130, b"")


def test_a_bug_is_one_line_and_a_traceback_only_when_asked_for(environ, server, tmp_path):
    # An answer that no server gives: the time is none, which only the table finds out.
    broken = {**HOOK, "stats": {**HOOK["stats"], "last_at": "yesterday"}}
    server.will(page(broken))
    for debug, expected in (({}, False), ({"HOOKTUI_DEBUG": "1"}, True)):
        ended = subprocess.run(
            [sys.executable, "-m", "hooktui", "hooks", "list"],
            env={**os.environ, **environ, **debug},
            capture_output=True,
        )
        assert ended.returncode == 1
        assert (b"Traceback" in ended.stderr) is expected
        assert expected or len(ended.stderr.splitlines()) == 1


def test_a_locale_without_utf_8_does_not_break_output(environ, server):
    server.will(page({**HOOK, "name": "日本"}))
    ended = subprocess.run(
        [sys.executable, "-m", "hooktui", "hooks", "list"],
        env={**os.environ, **environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert ended.returncode == 0
    assert b"\\u65e5" in ended.stdout


def test_closed_streams_are_no_reason_to_fail(environ, server):
    server.will(page(HOOK))
    ended = subprocess.run(
        ["bash", "-c", f"{PYTHON} -m hooktui hooks list <&- >&-"],
        env={**os.environ, **environ},
        capture_output=True,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


# Red when the backup goes to /dev/null, with exit code 0.
def test_a_closed_stdout_takes_no_backup(environ, server):
    server.will(page(HOOK))
    ended = subprocess.run(
        ["bash", "-c", f"{PYTHON} -m hooktui backup - >&-"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "stdout is closed" in ended.stderr


# Red when a token is created that no one can read any more, with exit code 0.
@pytest.mark.parametrize("more", ["", "--json"])
def test_no_token_is_created_for_a_closed_stdout(environ, server, more):
    ended = subprocess.run(
        ["bash", "-c", f"{PYTHON} -m hooktui tokens create ci --role viewer {more} >&-"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "stdout is closed" in ended.stderr
    assert not server.asked


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("emit $'job.\\xff'", 2),
        ("hooks edit 1 --name $'\\xff'", 2),
        ("hooks list $'\\xff'", 2),
        ("emit job.failed --key $'a\\nb'", 6),
    ],
)
def test_arguments_that_no_request_can_hold_are_refused(environ, server, command, code):
    server.will(page(HOOK))
    ended = subprocess.run(
        ["bash", "-c", f"{PYTHON} -m hooktui {command}"],
        env={**os.environ, **environ, "LC_ALL": "C.UTF-8"},
        input=b"{}",
        capture_output=True,
    )
    assert ended.returncode == code, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert b"internal" not in ended.stderr
    assert server.asked == []


def test_ctrl_c_ends_a_server_without_a_traceback(environ, start, tmp_path):
    environ |= {"HOOKTUI_HOME": str(tmp_path / "home")}
    server = start("serve")
    server.wait_for(lambda: any("started" in line for line in server.err))
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
    assert not any("Traceback" in line for line in server.err)
