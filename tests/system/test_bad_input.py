"""Bad input from outside: one clear line, the contract's exit code, nothing lost."""

import json

import pytest

from tests.support.installation import SAMPLES, Installation
from tests.support.ports import free_port
from tests.support.receivers import Receiver
from tests.support.waiting import wait_for

SAMPLE = str(SAMPLES / "job.failed.json")

BAD_SCHEDULE = ("--retry-schedule", "soon")
BAD = {
    "unknown event type": (6, ("emit", "job.faild", SAMPLE), "job.failed"),
    "not JSON": (6, ("emit", "job.failed", "-"), "JSON"),
    "no such file": (2, ("emit", "job.failed", "/nonexistent/file.json"), "nonexistent"),
    "wrong URL": (6, ("hooks", "create", "--url", "ftp://x.test/", "--events", "job"), "http"),
    "wrong event": (6, ("hooks", "create", "--url", "https://x.test/", "--events", "jub"), "job"),
    "no option": (2, ("hooks", "create", "--bogus"), ""),
    "no such command": (2, ("frobnicate",), "frobnicate"),
    "unknown hook": (3, ("hooks", "show", "4711"), "4711"),
    "unknown delivery": (3, ("deliveries", "show", "dlv_0000000000000"), "dlv_"),
    "malformed delivery": (3, ("deliveries", "show", "nonsense"), "nonsense"),
    "unknown event": (3, ("events", "show", "evt_0000000000000"), "evt_"),
    "bad filter": (6, ("deliveries", "list", "status:"), "column"),
    "bad schedule": (
        None,
        ("hooks", "create", "--url", "https://x.test/", *("--events", "job"), *BAD_SCHEDULE),
        "soon",
    ),
    "delete without yes": (2, ("hooks", "delete", "1"), "--yes"),
    "console without a terminal": (2, (), "terminal"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("shared") / "home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    yield installation
    installation.stop()


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_line_and_the_contracts_exit_code(shared, name):
    code, arguments, hint = BAD[name]
    result = shared.run(*arguments, stdin=b"{not json" if "-" in arguments else None)
    said = result.stderr.decode()
    assert result.returncode == code if code is not None else result.returncode in {2, 6}, said
    assert "Traceback" not in said
    assert hint in said
    assert len(said.strip().splitlines()) <= (1 if result.returncode not in {2} else 12), said
    assert result.stdout == b""


def test_an_error_is_a_problem_object_with_json(shared):
    result = shared.run("emit", "job.faild", SAMPLE, "--json")
    problem = json.loads(result.stderr)
    assert problem["status"] == 422
    assert problem["errors"][0]["pointer"] == "/type"
    assert {"type", "title", "detail"} <= set(problem)


def test_without_a_server_every_command_says_so(idle_home: Installation):
    for arguments in (("status",), ("emit", "job.failed", SAMPLE), ("hooks", "list"), ("stop",)):
        result = idle_home.run(*arguments)
        assert result.returncode == 5, arguments
        hint = b"no server to stop" if arguments == ("stop",) else b"hooktui serve"
        assert hint in result.stderr
        assert b"Traceback" not in result.stderr


def test_a_second_server_on_one_home_is_refused(home: Installation):
    second = home.run("serve")
    assert second.returncode == 1
    assert len(second.stderr.decode().strip().splitlines()) == 1
    assert home.run("status").returncode == 0


def test_a_wrong_token_is_not_allowed(home: Installation):
    home.stop()
    listen = f"127.0.0.1:{free_port()}"
    home.start("--listen", listen)
    url = f"http://{listen}"
    token = home.json("tokens", "create", "--name", "ci", "--role", "viewer")["token"]
    elsewhere = {"HOOKTUI_HOME": str(home.home / "none")}
    for wrong in ({}, {"HOOKTUI_TOKEN": "hkt_1_wrong"}):
        result = home.run("hooks", "list", "--connect", url, environ=elsewhere | wrong)
        assert result.returncode == 4, result.stderr
    right = elsewhere | {"HOOKTUI_TOKEN": token}
    assert home.run("hooks", "list", "--connect", url, environ=right).returncode == 0
    refused = home.run("emit", "job.failed", SAMPLE, "--connect", url, environ=right)
    assert refused.returncode == 4
    assert b"viewer" in refused.stderr


def test_refused_input_stores_nothing(home: Installation, receiver: Receiver):
    home.create_hook(receiver.url)
    lines = b'{"type":"job.started","data":{"n":1}}\n{"type":"job.nope","data":{"n":2}}\n'
    result = home.run("emit", "--many", "-", stdin=lines)
    assert result.returncode == 6
    assert home.json("events", "list") == []
    home.emit("job.failed")
    wait_for(lambda: len(receiver.requests) == 1)
    assert len(home.json("events", "list")) == 1
