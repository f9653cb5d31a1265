"""``hooktui backup`` as people run it: it writes with the caller's rights, or says why not."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hooktui.api.routes.backup import IDLE_S
from hooktui.cli.main import main
from hooktui.client import download
from hooktui.client.address import ServerAddress
from hooktui.client.calls import backup
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import HooktuiError
from tests.support.disks import small_disk
from tests.support.installation import LocalInstallation


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[LocalInstallation]:
    installation = LocalInstallation(tmp_path_factory.mktemp("backup") / "home")
    installation.home.mkdir(mode=0o700)
    installation.start()
    installation.emit("job.failed")
    yield installation
    installation.stop()


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_backup_is_the_callers_file(home, tmp_path) -> None:
    """Red when the server writes it: with the service it lay in a private /tmp (B3)."""
    file = tmp_path / "copy.db"
    made = home.json("backup", str(file))
    content = file.read_bytes()
    assert made == {
        "file": str(file), "size": len(content), "events": 1, "deliveries": 0,
        "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    assert file.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["copy.db"]


def test_an_older_backup_is_replaced_when_that_is_asked_for_alone(home, tmp_path) -> None:
    file = tmp_path / "copy.db"
    older = b"SQLite format 3\0 precious"
    file.write_bytes(older)
    refused = home.run("backup", str(file))
    assert refused.returncode == 2
    assert b"--yes" in refused.stderr
    assert file.read_bytes() == older
    home.ok("backup", str(file), "--yes")
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert names(tmp_path) == ["copy.db"]


def test_stdout_takes_it_whole(home, tmp_path) -> None:
    result = home.run("backup", "-")
    assert result.returncode == 0
    (tmp_path / "copy.db").write_bytes(result.stdout)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert hashlib.sha256(result.stdout).hexdigest().encode() in result.stderr
    assert home.run("backup", "-", "--json").returncode == 2


def test_what_cannot_be_written_is_reported_before_the_server_copies_anything(
    home, tmp_path
) -> None:
    """Red when the server is asked first: each try would be in the audit trail."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "pipe")
    before = len(home.json("audit", "list", "--action", "backup"))
    odd = ["folder", "link", "pipe", "nowhere/copy.db", "x" * 300, ".", "/", "a\0b"]
    # Red when the server loses its database or its keys.
    own = [home.home / "hooktui.key", home.home / "hooktui.db", Path("/dev/null")]
    before_them = [path.stat() for path in own]
    odd += map(str, own)
    for name in odd:
        result = home.run("backup", str(tmp_path / name), "--yes")
        assert result.returncode == 2, (name, result.stderr)
        assert b"internal error" not in result.stderr
    assert home.run("backup", "", "--yes").returncode == 2
    assert all(map(os.path.samestat, before_them, map(Path.stat, own)))
    assert names(tmp_path) == ["folder", "link", "pipe"]
    assert len(home.json("audit", "list", "--action", "backup")) == before


def test_a_full_disk_leaves_nothing(home, tmp_path) -> None:
    with small_disk(tmp_path / "disk", 1) as folder:
        (folder / "full").write_bytes(bytes(1_000_000))
        result = home.run("backup", str(folder / "copy.db"))
        assert result.returncode == 2
        assert b"needs" in result.stderr
        assert names(folder) == ["full"]


STUCK = """
import sys, time
from hooktui.client.download import Download
def stuck(self):
    print("here", flush=True)
    time.sleep(60)
    yield b""
Download.pieces = stuck
from hooktui.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_stops_it_leaves_nothing(home, tmp_path, number) -> None:
    """Red when a signal ends the process without its cleaning up."""
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, "backup", str(tmp_path / "copy.db")],
        env=home.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert len(names(tmp_path)) == 1
        process.send_signal(number)
        assert process.wait(20) != 0
    assert names(tmp_path) == []


BODY = b"x" * 300_000
RIGHT = "sha-256=:" + base64.b64encode(hashlib.sha256(BODY).digest()).decode() + ":"
HEADERS = {"Content-Length": "300000", "Repr-Digest": RIGHT}


@contextmanager
def answering(
    path: Path,
    status: str,
    headers: dict[str, str],
    body: bytes,
    hold: threading.Event | None,
) -> Iterator[PlainClient]:
    """Serve one answer on a socket; keep the connection until ``hold`` is set."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(4096)
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            client.sendall(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)
            if hold is not None:
                hold.wait(20)

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, PlainClient(ServerAddress(socket=path)) as client:
        yield client
    if hold is not None:
        hold.set()
    thread.join(20)


FOREIGN = "is not a hooktui server"


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        (HEADERS, BODY, None),
        (HEADERS, BODY[:-1], "299,999 of"),
        (HEADERS, b"", "sent 0 of"),
        (HEADERS, b"y" + BODY[1:], "was altered"),
        ({"Content-Length": "300000"}, BODY, FOREIGN),
        ({"Repr-Digest": RIGHT}, BODY, FOREIGN),
        ({"Content-Length": "300000", "Repr-Digest": "sha-256=:AAAA:"}, BODY, FOREIGN),
    ],
)
def test_a_copy_is_taken_only_as_the_server_announced_it(tmp_path, headers, body, told) -> None:
    """Red when length or digest is not compared."""

    def take(client: PlainClient) -> bytes:
        with client.download(backup()) as got:
            return b"".join(got.pieces())

    with answering(tmp_path / "s", "201 Created", headers, body, None) as client:
        if told is None:
            assert take(client) == body
        else:
            with pytest.raises(HooktuiError, match=told):
                take(client)


@pytest.mark.parametrize("after", [{}, {"Connection": "close"}], ids=["kept", "closed"])
def test_a_silent_server_is_left_after_the_time_that_it_gives_a_silent_caller(
    tmp_path, monkeypatch, after
) -> None:
    """Red when the long deadline of the head holds for the file, too."""
    assert download.IDLE_S == IDLE_S
    monkeypatch.setattr("hooktui.client.sync_client.IDLE_S", 0.1)
    hold = threading.Event()
    with (
        answering(tmp_path / "s", "201 x", HEADERS | after, b"x", hold) as client,
        pytest.raises(HooktuiError, match="did not respond within"),
        client.download(backup()) as got,
    ):
        b"".join(got.pieces())


# Red when only a time-out is explained: an internal error, or the exit of a closed stdout.
@pytest.mark.parametrize("sent", ["", "HTTP/1.1 201 Cr", "head", "half"])
def test_a_connection_that_is_reset_is_explained(tmp_path, capsys, sent: str) -> None:
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    whole = b"HTTP/1.1 201 Created\r\n" + head + b"\r\n"
    parts = {"head": whole, "half": whole + BODY[:1000]}

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(1)  # the rest stays unread, so that the end is a reset
            client.sendall(parts.get(sent, sent.encode()))

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        code = main(
            ["backup", str(tmp_path / "copy.db")],
            {"HOME": str(tmp_path), "HOOKTUI_SOCKET": str(path)},
        )
    thread.join(20)
    told = capsys.readouterr().err
    assert code in (1, 5), told
    assert "internal error" not in told
    assert str(path) in told or "bytes and stopped" in told
    assert not (tmp_path / "copy.db").exists()


def test_a_server_of_an_older_version_is_named(tmp_path, capsys) -> None:
    """Red when its refusal of a missing path is passed on as it is."""
    problem = (
        b'{"type":"about:blank","title":"x","status":422,"detail":"file: Field required",'
        b'"errors":[{"pointer":"/file","detail":"Field required"}]}'
    )
    headers = {"Content-Type": "application/problem+json", "Content-Length": str(len(problem))}
    with answering(tmp_path / "s", "422 x", headers, problem, None):
        code = main(
            ["backup", str(tmp_path / "copy.db")],
            {"HOME": str(tmp_path), "HOOKTUI_SOCKET": str(tmp_path / "s")},
        )
    assert code == 1
    assert "is older than this command" in capsys.readouterr().err
    assert not (tmp_path / "copy.db").exists()
