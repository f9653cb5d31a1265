"""What the server holds in memory for its callers, at its bound, at a real server."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from hooktui.api import bodies
from hooktui.api.connection_limiter import ConnectionSlot, _Pool
from hooktui.api.responses import respond
from hooktui.api.routes.events import respond_in_parts
from hooktui.domain.ids import encode
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.events import EventDetail, Skip
from hooktui.store import queries
from tests.api.raw import next_answer
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for

MAX = 1000


@pytest.fixture
def small(tmp_path, monkeypatch) -> Iterator[RunningServer]:
    """A server that holds few bytes."""
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", MAX)
    monkeypatch.setattr(bodies, "BODY_DEADLINE_S", 1000)
    with running_server(tmp_path, listen="127.0.0.1:0") as one:
        yield one


def _token(server: RunningServer, name: str, role: str) -> str:
    with server.client() as api:
        return api.post("/v1/tokens", json={"role": role, "name": name}).json()["token"]


def _ask(server: RunningServer, token: str, path: str = "/v1/hooks") -> int:
    with socket.create_connection(server.listen[0][:2], 15) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        client.sendall(head.encode())
        return next_answer(client).status


def _hold(server: RunningServer, token: str, size: int) -> socket.socket:
    """Send a body except its last byte."""
    client = socket.create_connection(server.listen[0][:2], 15)
    client.sendall(
        f"POST /v1/events/job.failed HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size + 1}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
        + b" " * size
    )
    return client


# Red when each token has a half of its own: an account with two of them leaves nothing.
def test_the_tokens_of_an_account_hold_half_together(small):
    with small.client() as api:
        asked = {"role": "producer", "account": 1}
        one, two = (
            api.post("/v1/tokens", json=asked | {"name": name}).json()["token"] for name in "ab"
        )
        with _hold(small, one, MAX // 2):
            wait_for(lambda: api.get("/v1/status").json()["clients"]["held_bytes"] == MAX // 2)
            with _hold(small, two, 1) as over:
                assert next_answer(over).status == 503


# Red without the share of a caller, and when each of two has half of all.
def test_one_caller_holds_half_and_two_leave_room_for_others(small):
    one, other = (_token(small, name, "producer") for name in ("one", "other"))
    viewer = _token(small, "viewer", "viewer")
    with ExitStack() as stack:
        for token, most in ((one, MAX // 2), (other, MAX // 4)):
            before = _held(small)
            over = stack.enter_context(_hold(small, token, most + 1))
            assert next_answer(over).status == 503
            over.close()
            stack.enter_context(_hold(small, token, most))
            wait_for(partial(_holds, small, before + most))
        assert _ask(small, viewer) == 200


# Red when a full server takes new work.
def test_a_full_server_refuses_new_work_but_that_of_its_owner(small, monkeypatch):
    viewer = _token(small, "viewer", "viewer")
    assert _ask(small, viewer) == 200
    monkeypatch.setattr(bodies.BodyBudget, "is_full", True)
    assert _ask(small, viewer) == 503
    assert _ask(small, viewer, "/healthz") == 200
    with small.client() as owner:
        assert owner.get("/v1/hooks").status_code == 200


def _holds(server: RunningServer, size: int) -> bool:
    return _held(server) == size


def _held(server: RunningServer) -> int:
    with server.client() as api:
        return api.get("/v1/status").json()["clients"]["held_bytes"]


def _event(deliveries: int, body: str, skips: int = 1) -> EventDetail:
    one = Delivery(
        id="dlv_1", event="evt_1", event_type="job.failed", hook=1, account=1, trigger="event",
        status="pending", held=False, reason="\x1b\x7fé", attempts=0, next_attempt_at=None,
        created_at="2026-11-26T00:00:00.000Z", finished_at=None, duration_ms=None,
    )  # fmt: skip
    return EventDetail(
        id="evt_1", type="job.failed", account=1, created_at="2026-11-26T00:00:00.000Z", size=1,
        body=body, deliveries=(one,) * deliveries, skips=(Skip(hook=1, reason="filter"),) * skips,
    )  # fmt: skip


@pytest.mark.parametrize("skips", [0, 1, 3_000])
@pytest.mark.parametrize("count", [0, 1, 100, 101, 200, 1001])
@pytest.mark.parametrize("body", ["{}", '"deliveries":[]', '{"deliveries":[]}\\"deliveries\\":[]'])
async def test_an_answer_in_parts_is_the_same_as_in_one(count, skips, body):
    found = _event(count, body, skips)
    sent: list[bytes] = []

    async def send(message):
        sent.append(message.get("body", b""))

    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    slot = ConnectionSlot(None, "", None, _Pool(1))
    await respond_in_parts(found, slot)(scope, receive, send)
    assert slot.unencoded == 0
    assert b"".join(sent) == respond(found).body
    assert json.loads(b"".join(sent))["body"] == body
    assert max(map(len, sent)) < 50_000 + len(body)


@contextmanager
def _not_reading(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Ask for an event with many deliveries and for more, and read nothing; close at the end."""
    found = _event(30_000, "{}")
    monkeypatch.setattr(queries, "get_event", lambda _conn, _account, _event, limit=0: found)
    with running_server(home, listen="127.0.0.1:0") as server, server.client() as owner:
        head = f"Host: localhost\r\nAuthorization: Bearer {_token(server, 'v', 'viewer')}\r\n\r\n"
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(server.listen[0][:2])
            for path in (f"/v1/events/{encode('evt', 1)}", "/v1/status"):
                client.sendall(f"GET {path} HTTP/1.1\r\n{head}".encode())
            yield owner
        wait_for(lambda: _unsent(owner) == 0)


def _unsent(owner: httpx.Client) -> int:
    return owner.get("/v1/status").json()["clients"]["unsent_bytes"]


# Red when only the bytes in the buffer of the connection count.
def test_what_is_not_encoded_yet_counts_as_unread(tmp_path, monkeypatch):
    with _not_reading(tmp_path, monkeypatch) as owner:
        wait_for(lambda: _unsent(owner) > 30_000 * 500)


# Red when only the newest request of a connection ends with it: the older one writes on.
def test_a_response_ends_with_its_connection(tmp_path, monkeypatch, caplog):
    with _not_reading(tmp_path, monkeypatch) as owner:
        wait_for(lambda: _unsent(owner) > 0)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
