"""A backup goes to its caller, and the server writes no file that a caller names."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import socket
import sqlite3
from contextlib import closing

import pytest

from hooktui import sockets
from hooktui.api.connection import UNREAD_DEADLINE_S, ClientConnection
from hooktui.api.routes import backup
from tests.store.test_backup import open_copies
from tests.support.waiting import wait_for


def fill(api, account, count: int, size: int = 100) -> None:
    for _ in range(count):
        body = json.dumps("x" * size)
        path, params = "/v1/events/job.failed", {"account": account}
        headers = {"Content-Type": "application/json"}
        answer = api.post(path, params=params, content=body, headers=headers)
        assert answer.status_code == 202, answer.text


def audit_count(server) -> int:
    with closing(sqlite3.connect(f"file:{server.paths.database}?mode=ro", uri=True)) as conn:
        return conn.execute("SELECT count(*) FROM audit WHERE action = 'backup'").fetchone()[0]


@pytest.mark.parametrize("over", ["api", "tcp"])
def test_the_copy_is_sent_with_its_digest_and_audited(
    request, over, api, account, server, tmp_path
):
    client = request.getfixturevalue(over)
    fill(api, account, 3)
    before = audit_count(server)
    answer = client.post("/v1/backup")
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/vnd.sqlite3"
    assert int(answer.headers["content-length"]) == len(answer.content)
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    (tmp_path / "copy.db").write_bytes(answer.content)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM event").fetchone()[0] >= 3
    assert audit_count(server) == before + 1
    wait_for(lambda: open_copies() == 0)


PATHS = ["copy.db", "/", "/etc/shadow", "/tmp/a\nb", "", None, 5, ["/tmp/x"]]


@pytest.mark.parametrize("file", PATHS)
def test_no_path_of_a_caller_is_looked_at_let_alone_written(api, server, tmp_path, file) -> None:
    """Red when a body is read: which paths exist was told by the status (S08)."""
    before = audit_count(server)
    for name in (file, str(tmp_path / "copy.db")):
        answer = api.post("/v1/backup", json={"file": name})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/file"
        assert "takes no fields" in answer.json()["detail"]
    assert not (tmp_path / "copy.db").exists()
    assert audit_count(server) == before


@pytest.mark.parametrize("body", [{"x": 1}, [], [1], "file", 7])
def test_a_backup_takes_no_fields(api, body) -> None:
    assert api.post("/v1/backup", json=body).status_code == 422
    assert api.post("/v1/backup", json={}).status_code == 201


def test_only_an_admin_gets_a_copy(api) -> None:
    for role in ("viewer", "operator", "producer"):
        assert api.post("/v1/backup", headers={"Hooktui-Role": role}).status_code == 403


def ask(server) -> socket.socket:
    client = sockets.connect(server.paths.socket, 20)
    client.sendall(b"POST /v1/backup HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


def test_a_caller_that_disconnects_frees_the_copy_and_its_turn(api, account, server) -> None:
    """Red when the copy is let go by its last piece alone."""
    fill(api, account, 40, 200_000)
    with ask(server) as client:
        head = client.recv(64 * 1024)
        assert head.startswith(b"HTTP/1.1 201")
        assert open_copies() == 1
        refused = api.post("/v1/backup")
        assert refused.status_code == 409
        assert "in progress" in refused.json()["detail"]
    wait_for(lambda: open_copies() == 0, what="the copy is gone")
    wait_for(lambda: api.post("/v1/backup").status_code == 201, what="another may begin")


def test_a_caller_that_reads_nothing_is_sent_no_more_than_it_takes(api, account, server) -> None:
    """Red when pieces are read without waiting for the caller, or its deadline is a page's."""
    fill(api, account, 40, 200_000)
    with ask(server) as client:
        assert client.recv(1024).startswith(b"HTTP/1.1 201")
        [connection] = [one for one in gc.get_objects() if is_sending(one)]
        assert connection.transport.get_write_buffer_size() <= 2 * backup.PIECE_BYTES
        assert connection._unread_deadline_s == backup.IDLE_S > UNREAD_DEADLINE_S
    wait_for(lambda: open_copies() == 0)


def is_sending(one: object) -> bool:
    """Whether this is the connection on which a copy is sent."""
    return (
        isinstance(one, ClientConnection)
        and one.cycle is not None
        and one.cycle.scope["path"] == "/v1/backup"
        and not one.cycle.response_complete
    )


def test_what_a_killed_server_left_is_removed_at_the_start(tmp_path) -> None:
    """Red without `remove_drafts`."""
    from tests.support.running_server import running_server

    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    left = [home / ".hooktui.db.backup-0a1b2c3d", home / ".hooktui.db.backup-0a1b2c3d-journal"]
    stays = home / ".hooktui.db.backups"
    for one in (*left, stays):
        one.write_text("x")
    with running_server(home):
        assert not any(os.path.lexists(one) for one in left)
        assert stays.exists()
