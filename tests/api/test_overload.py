"""A server that is asked for too much, or has no room: it says so, when to come again, and why.

The order is part of it: a caller learns nothing, and costs nothing, before it may ask at all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from hooktui.api import ingest
from hooktui.api.routes import accounts
from hooktui.store import queries, write_queue
from hooktui.store.sqlite import writer
from tests.api.raw import next_answer, say, tcp, unix
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for

ONE, MANY = "/v1/events/job.failed", "/v1/events"
LINE = b'{"type":"job.failed","data":{}}\n'
RESERVE_MB = 1_000_000
"""More than any disk has: there is never room."""


@contextmanager
def _client(server: RunningServer, role: str = "admin") -> Iterator[httpx.Client]:
    """Return a client over TCP with a token of its own."""
    with server.client() as api:
        token = api.post("/v1/tokens", json={"name": role, "role": role}).json()["token"]
    host, port = server.listen[0]
    with httpx.Client(
        base_url=f"http://{host}:{port}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=40,
    ) as client:
        yield client


def _refusal(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Iterator[RunningServer]:
    """A server that gives each caller little."""
    home = tmp_path_factory.mktemp("home")
    with running_server(home, listen="127.0.0.1:0", events_per_s=0.1, calls_per_s=0.1) as one:
        yield one


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Iterator[RunningServer]:
    """A server without room."""
    home = tmp_path_factory.mktemp("home")
    with running_server(home, listen="127.0.0.1:0", reserve_mb=RESERVE_MB, events_per_s=0.1) as one:
        yield one


@pytest.mark.parametrize(
    ("method", "path", "body", "ok"),
    [
        ("POST", ONE, b"{}", 202),
        ("POST", MANY, LINE * 3, 202),
        ("GET", "/v1/hooks", None, 200),
        ("POST", "/v1/accounts", b'{"name":"', 400),  # what is refused counts as well
    ],
)
def test_an_overload_refusal_says_when_to_come_again(slow, method, path, body, ok):
    with _client(slow) as client:
        assert client.request(method, path, content=body).status_code == ok
        answer = client.request(method, path, content=body)
        assert "a second; try again in" in _refusal(answer, 429)["detail"]
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    with _client(slow) as another:
        assert another.request(method, path, content=body).status_code == ok
    with slow.client() as owner:
        for _ in range(5):
            assert owner.request(method, path, content=body).status_code in (ok, 202)


def test_health_is_reported_at_any_rate(slow):
    with _client(slow) as client:
        for _ in range(20):
            assert client.get("/healthz").status_code == 200


# Red when the queue to the writer has no bound.
@pytest.mark.parametrize("bound", ["MAX_WAITING_ROWS", "MAX_WAITING_BYTES"])
def test_what_the_disk_cannot_take_is_refused_and_reads_go_on(server, api, monkeypatch, bound):
    monkeypatch.setattr(write_queue, bound, -1)
    for path, body in ((ONE, b"{}"), (MANY, LINE)):
        answer = api.post(path, content=body)
        assert "send more slowly" in _refusal(answer, 503)["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
    assert api.get("/v1/events").status_code == 200
    monkeypatch.undo()
    assert api.post(ONE, content=b"{}").status_code == 202


def test_without_room_events_are_refused_and_the_rest_goes_on(full):
    with full.client() as api:
        for path, body in ((ONE, b"{}"), (MANY, LINE)):
            problem = _refusal(api.post(path, content=body), 507)
            assert "purge" in problem["detail"]
        ready = api.get("/readyz")
        assert _refusal(ready, 503)
        assert ready.headers["Retry-After"] == "60"
        assert api.get("/healthz").status_code == 200
        assert api.post("/v1/purge", json={"older_than": "1d"}).status_code == 200


# Red when the route does not look for room itself: then the second one is told to slow down.
def test_who_sends_where_there_is_no_room_uses_up_no_share(full):
    with _client(full) as client:
        for _ in range(3):
            _refusal(client.post(ONE, content=b"{}"), 507)


# Red when two of the steps change places.
def test_each_refusal_comes_before_the_next(full, monkeypatch):
    monkeypatch.setattr(ingest, "MAX_BODY_BYTES", 100)
    headers = {
        "authorization": "Bearer hkt_x",
        "hooktui-role": "viewer",
        "content-type": "text/plain",
        "idempotency-key": "",
    }
    request: dict[str, object] = {"url": "/v1/events/job.nothing", "content": b"{" * 200}
    with _client(full) as client:
        steps = [
            (401, headers, "authorization", client.headers["authorization"]),
            (403, headers, "hooktui-role", "producer"),
            (415, headers, "content-type", "application/json"),
            (413, request, "content", b"{"),
            (400, request, "content", b"{}"),
            (422, request, "url", ONE),
            (422, headers, "idempotency-key", "k"),
        ]
        for status, part, name, mended in steps:
            _refusal(client.post(headers=headers, **request), status)
            part[name] = mended
        _refusal(client.post(headers=headers, **request), 507)


def test_a_caller_without_a_token_is_refused_before_the_body_is_read(server):
    for target in (ONE, MANY, "/v1/hooks"):
        with tcp(server) as client:
            say(client, f"POST {target} HTTP/1.1\r\nHost: localhost\r\n".encode())
            say(client, b"Content-Length: 200\r\n\r\n")  # of which nothing comes
            assert next_answer(client).status == 401


@pytest.mark.parametrize("target", [ONE, MANY, "/v1/hooks"])
@pytest.mark.parametrize("way", ["length", "chunks"])
def test_what_is_too_large_is_refused_before_the_rest_comes(server, target, way):
    most = ingest.MAX_LINES_BYTES if target == MANY else ingest.MAX_BODY_BYTES
    with unix(server) as client:
        say(client, f"POST {target} HTTP/1.1\r\nHost: localhost\r\n".encode())
        if way == "length":
            say(client, b"Content-Length: %d\r\n\r\n" % (most + 1))
        else:
            say(
                client, b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (most * 2) + b" " * (most + 1)
            )
        answer = next_answer(client)
    assert answer.status == 413
    assert "the limit of this call" in answer.problem()["detail"]


# Red when an answer is made from what was raised.
def test_a_fault_of_ours_is_reported_without_its_inside(server, api, monkeypatch, caplog):
    def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(queries, "list_accounts", fail)
    monkeypatch.setattr(ingest, "_encode", fail)
    monkeypatch.setattr(accounts, "check_name", fail)
    for answer in (
        api.get("/v1/accounts"),
        api.post("/v1/accounts", json={"name": "x"}),
        api.post(ONE, content=b"{}"),
        api.post(MANY, content=LINE),
    ):
        detail = _refusal(answer, 500)["detail"]
        assert detail == "internal server error; see the server log"
        assert "inside" not in json.dumps(dict(answer.headers)) + answer.text
    assert caplog.text.count("RuntimeError: a secret of the inside") >= 4


# Red when a server whose disk hangs is ready, and when its status does not show it.
def test_a_server_that_cannot_commit_is_not_ready(server, api, monkeypatch):
    assert api.post(ONE, content=b"{}").status_code == 202
    wait_for(lambda: api.get("/readyz").status_code == 200)
    assert api.get("/v1/status").json()["database"]["longest_commit_ms"] > 0
    monkeypatch.setattr(write_queue, "STALLED_S", -1)
    monkeypatch.setattr("hooktui.api.routes.status.STALLED_S", -1)
    for answer in (api.get("/readyz"), api.post(ONE, content=b"{}")):
        assert "slow or hung disk" in _refusal(answer, 503)["detail"]
        assert answer.headers["Retry-After"] == "5"
    assert api.get("/healthz").status_code == 200


# Red when only a transaction that hangs is seen: each one failed, and the server was ready.
def test_a_server_whose_transactions_fail_is_not_ready(server, api, monkeypatch):
    monkeypatch.setattr(writer, "LOCKED_FOR_S", 0.05)
    other = sqlite3.connect(server.paths.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for answer in (api.post(ONE, content=b"{}"), api.get("/readyz")):
        assert "another program has held the database" in _refusal(answer, 503)["detail"]
    other.close()
    assert api.post(ONE, content=b"{}").status_code == 202
    assert api.get("/readyz").status_code == 200
