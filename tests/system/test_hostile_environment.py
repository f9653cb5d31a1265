"""Hostile text from the places around: environment, folder, certificate, requests of strangers."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.hostile_texts import BYTES, TEXTS
from tests.support.installation import Installation
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.system.hostile_server import hostile_server, twisted
from tests.system.many_commands import OURS, as_json, in_terminal
from tests.system.sequences import foreign
from tests.system.terminal import Terminal, open_terminal

pytestmark = pytest.mark.slow

EVERYTHING = "".join(TEXTS.values()).replace("\0", "")
ARGUMENT = EVERYTHING.encode("utf-8", "ignore").decode()
HOSTILE = "\x1b]0;x\x07\u202e[b]%s"
CTRL_C = "\x03"


@pytest.fixture(scope="module")
def hostile_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that runs in a folder with a hostile name."""
    home = Installation(tmp_path_factory.mktemp("h") / HOSTILE)
    home.home.mkdir(mode=0o700)
    home.start()
    yield home
    home.stop()


def running(home: Installation, *arguments: str) -> Terminal:
    """Start one command in a pseudo-terminal."""
    environ = {name: value for name, value in home.environ.items() if name != "NO_COLOR"}
    return open_terminal(
        [sys.executable, "-m", "hooktui", *arguments], environ, columns=120, lines=40
    )


def judge(terminal: Terminal, *codes: int) -> None:
    """Hold that a command ends when it is told to, and wrote nothing but our own sequences."""
    try:
        terminal.press(CTRL_C)
        assert terminal.status() in codes, terminal.text()
    finally:
        terminal.end()
    assert foreign(terminal.raw.replace(b"^C", b""), OURS) == []
    assert b"Traceback" not in terminal.raw


def test_no_claim_of_the_environment_acts(hostile_home: Installation, tmp_path: Path):
    # Red when the claims of an origin, or the folder in an error, are shown as they came.
    claims = {"SUDO_USER": ARGUMENT[:3000], "SSH_CONNECTION": HOSTILE, "USER": HOSTILE}
    commands = [
        ["hooks", "create", "--url", "http://127.0.0.1:9/", "--events", "job", "--inactive"],
        ["audit", "list", "--all"],
        ["status"],
        ["doctor"],
        ["keys", "list"],
        ["backup", str(hostile_home.home / "config.toml" / "no")],
    ]
    codes = in_terminal(hostile_home, tmp_path, commands, **claims)
    assert codes[:3] == [0] * 3
    assert "SUDO_USER" in hostile_home.ok("audit", "list")
    as_json(hostile_home, tmp_path, commands, **claims)


@pytest.mark.parametrize(
    "variables",
    [
        ("HOOKTUI_SOCKET",),
        ("HOOKTUI_TOKEN",),
        ("HOOKTUI_HOME", "STATE_DIRECTORY"),
        ("HOOKTUI_DATABASE_URL",),
        ("HOOKTUI_ALLOW_NETWORKS", "HOOKTUI_EVENTS_PER_S", "HOOKTUI_KEY"),
        ("HOOKTUI_FAILPOINT", "TERM", "LANG", "COLUMNS", "TZ", "NOTIFY_SOCKET", "WATCHDOG_USEC"),
    ],
)
def test_no_variable_of_the_environment_acts(tmp_path: Path, variables: tuple[str, ...]):
    # Red when an error quotes what a variable says as it came.
    home = Installation(tmp_path / "home")
    home.home.mkdir(mode=0o700)
    (home.home / "config.toml").write_text('listen = "nowhere"\n')  # a server never starts
    commands = [["status"], ["serve"], ["serve", "--print-unit"], ["restore", "/nowhere"]]
    codes = in_terminal(home, tmp_path, commands, **dict.fromkeys(variables, ARGUMENT[:2000]))
    assert codes[0] != 0


def test_no_line_that_is_followed_acts(hostile_home: Installation):
    # Red when `log -f` writes a line of the feed past `Output`.
    with hostile_server(hostile_home.home, twisted) as url:
        for where in ((), ("--connect", url)):
            terminal = running(hostile_home, "log", "-f", *where)
            new = ("hooks", "create", "--url", "http://127.0.0.1:9/", "--events", "job")
            for name in ("\u202e[b]%s", "a\x9b31m"):
                hostile_home.ok(*new, "--name", name)
            terminal.wait_for("hook 1 ")
            judge(terminal, 130)


def strangers_requests() -> list[bytes]:
    """Return requests as no honest sender makes them, each by itself."""
    raw = [text.encode("utf-8", "surrogatepass") for text in TEXTS.values()]
    flat = [one.replace(b"\r", b"").replace(b"\n", b"") for one in (*raw, *BYTES.values())]
    body = b"\n".join(raw) + b"\n".join(BYTES.values())
    end = b"Connection: close\r\n\r\n"
    return [
        *(
            b"POST /%s HTTP/1.1\r\nX-Evil: %s\r\n" % (one.replace(b" ", b""), one) + end
            for one in flat
        ),
        *(b"%s / HTTP/1.1\r\n" % one + end for one in flat),
        *(b"POST / HTTP/1.1\r\n%s: x\r\n" % one + end for one in flat),
        b"POST / HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + end + body,
        b"POST / HTTP/1.1\r\nContent-Length: \x1b[31m\r\n" + end,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + end + b"\x1b[31m\r\n",
        b"\x1b]0;no http\x07\r\n\r\n",
    ]


@pytest.mark.parametrize("options", [(), ("--secret", "whsec_AAAA"), ("--json",)])
def test_no_request_of_an_unknown_sender_acts_through_listen(idle_home: Installation, options):
    # Red when `listen` shows a path, a header or a body as it came.
    port = free_port()
    terminal = running(idle_home, "listen", "--port", str(port), *options)
    terminal.wait_for("listening on")
    errors: list[OSError] = []

    def send() -> None:
        for request in strangers_requests():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    connection.sendall(request)
                    connection.shutdown(socket.SHUT_WR)  # some never get to say that they close
                    while connection.recv(65536):
                        pass
            except (ConnectionResetError, BrokenPipeError):
                continue  # it closed before it had read all
            except OSError as error:
                errors.append(error)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET /the-last HTTP/1.1\r\nConnection: close\r\n\r\n")

    sending = threading.Thread(target=send)
    sending.start()
    terminal.wait_for("/the-last", within_s=60)
    sending.join()
    assert errors == []
    assert terminal.raw.count(b"X-Evil") > len(TEXTS) / 2
    judge(terminal, 130)


def test_the_demo_writes_our_own_sequences_alone(idle_home: Installation):
    idle_home.environ |= {"SUDO_USER": HOSTILE, "USER": HOSTILE}
    terminal = running(idle_home, "demo", "--headless", "--for", "3s")
    terminal.wait_for("summary of", within_s=60)
    judge(terminal, 0, 1, 130)


@contextmanager
def tls_receiver(context: ssl.SSLContext) -> Iterator[int]:
    """Offer a certificate on a port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(1)
                except OSError:
                    connection.close()  # the certificate was not taken

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def test_no_certificate_acts(hostile_home: Installation, tmp_path: Path):
    # Red when what a certificate says is quoted as it came.
    said = EVERYTHING.encode("utf-8", "ignore").decode()[:64]
    authority = Authority(tmp_path, name=said)
    context = authority.server_context("\x1b]0;owned\x07.example", subject=said)
    with tls_receiver(context) as port:
        hook = hostile_home.create_hook(f"https://127.0.0.1:{port}/", "--retry-schedule", "")
        hostile_home.run("hooks", "ping", str(hook["id"]))

        def failed() -> str:
            found = hostile_home.deliveries(f"hook:{hook['id']}")
            return found[0]["id"] if found and found[0]["finished_at"] else ""

        delivery = wait_for(failed)
        commands = [
            ["deliveries", "show", delivery],
            ["log"],
            ["hooks", "show", str(hook["id"])],
            ["status", "--connect", f"https://127.0.0.1:{port}"],
        ]
        in_terminal(hostile_home, tmp_path, commands, HOOKTUI_TOKEN="hkt_1_x")
        as_json(hostile_home, tmp_path, commands, HOOKTUI_TOKEN="hkt_1_x")
        assert "certificate" in hostile_home.ok("deliveries", "show", delivery)


def test_the_log_of_that_server_is_harmless(hostile_home: Installation):
    hostile_home.run("hooks", "list")
    assert foreign(hostile_home.log.read_bytes(), {"\n"}) == []
