"""The commands against the real server: where both ends must mean the same."""

import json
import re
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.installation import SAMPLES, LocalInstallation
from tests.support.receivers import receiving
from tests.support.running_server import running_server
from tests.support.waiting import LIMIT_S, wait_for

SAMPLE = str(SAMPLES / "job.failed.json")


@pytest.fixture(scope="module")
def receiver():
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    installation = LocalInstallation(tmp_path_factory.mktemp("real") / "home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    yield installation
    installation.stop()


def test_a_hook_is_made_edited_and_shown(home, receiver):
    hook = home.create_hook(
        receiver.url, "--header", "X-A=1", "--header", "X-Api-Key=secret-value",
        "--basic-auth", "me:password", "--rate", "5", "--filter", "data.id:157", "--ordered",
        "--retry-schedule", "", "--timeout", "3s", "--name", "-odd-",
    )  # fmt: skip
    assert hook["retry_schedule_s"] == []
    number = str(hook["id"])
    edited = home.json(
        "hooks", "edit", number, "--header", "X-A=2", "--rate", "", "--filter", "",
        "--basic-auth", "", "--no-ordered", "--inactive",
    )  # fmt: skip
    assert edited["headers"] == {"X-A": "2", "X-Api-Key": "***"}
    for field, value in (("rate_per_s", None), ("filter", None), ("basic_auth", None),
                         ("ordered", False), ("active", False), ("timeout_s", 3)):  # fmt: skip
        assert edited[field] == value
    shown = home.ok("hooks", "show", number)
    assert "-odd-" in shown
    assert "secret-value" not in shown
    assert home.json("hooks", "enable", number)["active"] is True
    listed = home.json("hooks", "list", "--all")
    assert [one for one in listed if one["id"] == hook["id"]]
    home.ok("hooks", "delete", number, "--yes")
    assert home.run("hooks", "show", number).returncode == 3
    assert home.run("hooks", "delete", number, "--yes").returncode == 3


# Red when the message is the server's: it says `timeout_s`, which is no option.
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--timeout", "99"), ("--rate", "0"), ("--retry-schedule", "1s," * 60 + "1s"),
        ("--retry-schedule", "999d"), ("--max-in-flight", "5000"), ("--max-in-flight", "auto:5000"),
        ("--sensitive-header", "Content-Type"),
    ],
)  # fmt: skip
def test_a_refused_value_is_said_of_its_option(home, receiver, option, value):
    refused = home.run("hooks", "create", "--url", receiver.url, "--events", "job", option, value)
    assert refused.returncode in {2, 6}
    assert option in (said := refused.stderr.decode())
    assert not re.search(r"[a-z]_[a-z]", said)


def test_the_edited_secret_header_is_still_sent(home, receiver):
    options = ("--url", receiver.url_of("/h"), "--events", "job", "--header", "X-Api-Key=-")
    hook = home.json("hooks", "create", *options, stdin=b"from-stdin\n")
    home.ok("hooks", "edit", str(hook["id"]), "--header", "X-B=1")
    home.ok("hooks", "ping", str(hook["id"]))
    [seen] = receiver.requests_to("/h")
    assert (seen.headers["X-Api-Key"], seen.headers["X-B"]) == ("from-stdin", "1")
    home.ok("hooks", "delete", str(hook["id"]), "--yes")


def test_what_was_sent_is_found_by_filters_and_shown(home, receiver):
    hook = home.create_hook(receiver.url_of("/f"))
    event = home.emit("job.failed")
    wait_for(lambda: home.deliveries("status:delivered", f"hook:{hook['id']}"))
    [delivery] = home.deliveries(f"hook:{hook['id']}", "-event:cluster.*", "since:10m")
    assert delivery["event"] == event
    assert home.deliveries(f"hook:{hook['id']}", "-status:delivered") == []
    shown = home.ok("deliveries", "show", delivery["id"])
    assert "attempt 1" in shown
    assert "X-Hook-Delivery: " + delivery["id"] in shown
    assert delivery["id"] in home.ok("events", "show", event)
    assert home.json("events", "list", "event:job.failed")[0]["id"] == event
    text = home.ok("log", f"hook:{hook['id']}", "--no-color")
    assert "job.failed" in text
    assert "200" in text
    again = home.ok("deliveries", "resend", delivery["id"]).strip()
    wait_for(lambda: len(receiver.requests_to("/f")) == 2)
    assert receiver.requests_to("/f")[1].headers["X-Hook-Delivery"] == again
    assert home.run("deliveries", "cancel", again).returncode == 1
    home.ok("hooks", "delete", str(hook["id"]), "--yes")


def test_a_lowered_role_may_look_and_no_more(home):
    assert home.run("hooks", "list", "--role", "viewer").returncode == 0
    refused = home.run("emit", "job.failed", SAMPLE, "--role", "viewer")
    assert refused.returncode == 4
    assert b"viewer" in refused.stderr
    assert home.run("hooks", "list", "--role", "producer").returncode == 4


def test_accounts_are_apart(home, receiver):
    account = home.json("accounts", "create", "acme")["id"]
    one = ("--account", str(account))
    hook = home.create_hook(receiver.url_of("/a"), *one)
    assert hook["account"] == account
    assert [h["id"] for h in home.json("hooks", "list", *one)] == [hook["id"]]
    assert hook["id"] not in [h["id"] for h in home.json("hooks", "list")]
    assert home.run("hooks", "show", str(hook["id"]), "--account", "1").returncode == 3
    assert "acme" in home.ok("accounts", "list")
    assert home.run("hooks", "list", "--account", "99").returncode == 3


def test_tokens_are_made_listed_and_revoked(home):
    token = home.json("tokens", "create", "ci", "--role", "producer", "--expires", "30d")
    assert token["token"].startswith("hkt_")
    assert "ci" in home.ok("tokens", "list")
    assert "token" not in {k for t in home.json("tokens", "list") for k, v in t.items() if v and k}
    assert home.json("tokens", "revoke", str(token["id"]), "--yes") == {"id": token["id"]}
    assert home.run("tokens", "create", "x", "--role", "king").returncode == 2


# Red when the command needs what the token of one account does not get.
def test_the_status_of_a_bound_token_is_shown(tmp_path):
    with running_server(tmp_path / "home", listen="127.0.0.1:0") as server:
        with server.client() as api:
            number = api.post("/v1/accounts", json={"name": "acme"}).json()["id"]
            wanted = {"name": "t", "role": "viewer", "account": number}
            token = api.post("/v1/tokens", json=wanted).json()["token"]
        host, port = server.listen[0]
        remote = LocalInstallation(tmp_path / "other")
        remote.environ |= {"HOOKTUI_TOKEN": token}
        connect = ("--connect", f"http://{host}:{port}")
        shown = remote.ok("status", *connect)
        assert f"account    {number}, the only one of this token" in shown
        assert "waiting    0 deliveries" in shown
        assert "database" not in shown
        assert remote.json("status", *connect)["servers"] == []


def test_many_events_from_a_pipe(home):
    lines = b"".join(b'{"type":"cluster.idled","data":{"n":%d}}\n' % n for n in range(1500))
    ids = home.ok("emit", "--many", stdin=lines).splitlines()
    assert len(set(ids)) == 1500
    assert len(home.json("events", "list", "event:cluster.idled", "--all")) == 1500


def test_status_names_the_process(home):
    assert home.json("status")["servers"][0]["pid"] == home.server.pid
    assert str(home.server.pid) in home.ok("status")


def test_a_socket_that_may_not_be_opened_is_exit_4(home):
    socket = home.home / "hooktui.sock"
    code = """if True:
        import os, sys
        import hooktui.cli.main, hooktui.cli.context, hooktui.cli.server
        if os.getuid() == 0:  # root may open anything; by now all that is needed is imported
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        sys.exit(hooktui.cli.main.main(["status"]))
    """
    socket.chmod(0)
    ended = subprocess.run(
        [sys.executable, "-c", code], env=home.environ, capture_output=True, timeout=60
    )
    socket.chmod(0o660)
    assert ended.returncode == 4, ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.fixture
def own(tmp_path):
    installation = LocalInstallation(tmp_path / "home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    yield installation
    installation.stop()


def test_the_log_loses_no_line_over_a_restart(own, receiver):
    # Ordered: attempts that run side by side may end, and so be logged, in any order.
    own.create_hook(receiver.url_of("/log"), "--ordered")
    log = subprocess.Popen([sys.executable, "-m", "hooktui", "log", "-f", "--json"],
                           env=own.environ, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)  # fmt: skip
    lines: list[dict[str, object]] = []
    thread = threading.Thread(
        target=lambda: [lines.append(json.loads(line)) for line in log.stdout], daemon=True
    )
    thread.start()
    try:
        events = [own.emit("job.failed")]
        wait_for(lambda: any(line["kind"] == "attempt" for line in lines))
        own.ok("stop")
        assert own.server.wait(LIMIT_S) == 0
        own.start()
        events += [own.emit("job.started"), own.emit("job.failed")]
        wait_for(lambda: sum(line["kind"] == "attempt" for line in lines) == 3)
        assert [line["event"] for line in lines if line["kind"] == "attempt"] == events
    finally:
        log.send_signal(signal.SIGINT)
        assert log.wait(LIMIT_S) == 130
        thread.join(LIMIT_S)


def test_stop_ends_the_server_and_says_when_there_is_none(own):
    assert own.run("stop").returncode == 0
    assert own.server.wait(LIMIT_S) == 0
    again = own.run("stop")
    assert again.returncode == 5
    assert b"no server to stop" in again.stderr
    assert b"hooktui serve" not in again.stderr


@pytest.mark.parametrize(
    "options",
    [("--listen", "nonsense"), ("--listen", "127.0.0.1:0", "--tls-cert", "/nonexistent"),
     ("--database", "mysql://x"), ("--bogus",)],
)  # fmt: skip
def test_a_server_with_wrong_options_is_a_usage_error(tmp_path, options):
    ended = LocalInstallation(tmp_path).run("serve", *options)
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert b"Traceback" not in ended.stderr
