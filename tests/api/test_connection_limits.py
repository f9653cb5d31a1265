"""Places on TCP, at a real server: floods without a token, callers with one, all from loopback."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.api.raw import hear, next_answer, unix
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for

MAX = 10
HALF_HEAD = b"GET /healthz HTTP/1.1\r\nX: "
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def small(tmp_path) -> Iterator[RunningServer]:
    """A server with few connection slots; none is still held by another test."""
    with running_server(tmp_path, listen="127.0.0.1:0", max_connections=MAX) as one:
        yield one


@pytest.fixture
def tokens(small) -> list[str]:
    with small.client() as api:
        asked = {"role": "viewer"}
        return [
            api.post("/v1/tokens", json=asked | {"name": name}).json()["token"] for name in "abc"
        ]


def _from(server: RunningServer, address: str) -> socket.socket:
    return socket.create_connection(server.listen[0][:2], 15, (address, 0))


def _listing(token: str) -> bytes:
    return (
        f"GET /v1/hooks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def _flood(server: RunningServer, stack: ExitStack, count: int, address: str) -> None:
    for _ in range(count):
        stack.enter_context(_from(server, address)).sendall(HALF_HEAD)


def _in_use(server: RunningServer, token: str) -> socket.socket:
    """Return a connection whose request was let in and waits for its body."""
    client = _from(server, "127.0.0.1")
    client.sendall(
        "POST /v1/hooks/dry-run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
        f"Expect: 100-continue\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    return client


def _asked_for_its_body(client: socket.socket) -> bool:
    return client.recv(4096).startswith(b"HTTP/1.1 100 ")


# Red when all of TCP shares its places without regard to addresses.
def test_a_flood_does_not_reach_the_connection_of_another_address(small):
    with ExitStack() as stack:
        careful = stack.enter_context(_from(small, "127.0.0.3"))
        careful.sendall(HALF_HEAD)
        _flood(small, stack, 3 * MAX, "127.0.0.9")
        careful.sendall(b"1\r\nHost: localhost\r\n\r\n")
        assert next_answer(careful).status == 200


# Red when a good token reserves nothing: the flood takes the connection after its first answer.
def test_a_caller_with_a_good_token_gets_in_from_the_address_that_floods(small, tokens):
    with ExitStack() as stack:
        _flood(small, stack, 3 * MAX, "127.0.0.9")
        caller = stack.enter_context(_from(small, "127.0.0.9"))
        for _ in range(3):
            caller.sendall(_listing(tokens[0]))
            assert next_answer(caller).status == 200
            _flood(small, stack, 2 * MAX, "127.0.0.9")


def test_a_flood_that_shows_bad_tokens_is_a_flood_all_the_same(small, tokens):
    with ExitStack() as stack:
        caller = stack.enter_context(_from(small, "127.0.0.9"))
        caller.sendall(_listing(tokens[0]))
        assert next_answer(caller).status == 200
        for _ in range(2 * MAX):
            client = stack.enter_context(_from(small, "127.0.0.9"))
            client.sendall(_listing("hkt_1_" + "a" * 32))
            assert next_answer(client).status == 401
        caller.sendall(_listing(tokens[0]))
        assert next_answer(caller).status == 200


# Red when slow readers without a token keep their places: each waits with a response unread.
def test_who_does_not_read_without_a_token_makes_room(small, tokens):
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(MAX)]
        for client in clients:
            # Small: else the kernel may take all responses, and the connection is merely idle.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(15)
            client.bind(("127.0.0.9", 0))
            client.connect(small.listen[0][:2])
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
            assert client.recv(1) == b"H"
        caller = stack.enter_context(_from(small, "127.0.0.9"))
        caller.sendall(_listing(tokens[0]))
        assert next_answer(caller).status == 200
        poll = select.poll()
        poll.register(clients[0], 0)  # reports the end alone
        wait_for(lambda: poll.poll(0))


# Red when the age of a connection counts instead of its last request.
def test_of_one_source_the_connection_that_asked_last_stays(small):
    with ExitStack() as stack:
        clients = [stack.enter_context(_from(small, "127.0.0.9")) for _ in range(MAX)]
        for client in [*clients, clients[0]]:
            client.sendall(HEALTHZ)
            assert next_answer(client).status == 200
        _flood(small, stack, 1, "127.0.0.9")
        assert hear(clients[1]) == b""
        clients[0].sendall(HEALTHZ)
        assert next_answer(clients[0]).status == 200


def test_a_revoked_token_keeps_no_connection(small):
    with small.client() as api, ExitStack() as stack:
        made = api.post("/v1/tokens", json={"role": "viewer", "name": "gone"}).json()
        client = stack.enter_context(_from(small, "127.0.0.9"))
        client.sendall(_listing(made["token"]))
        assert next_answer(client).status == 200
        assert api.delete(f"/v1/tokens/{made['id']}").status_code == 204
        client.sendall(_listing(made["token"]))
        assert next_answer(client).status == 401
        _flood(small, stack, 2 * MAX, "127.0.0.9")
        assert hear(client) == b""


def test_one_caller_has_half_of_the_connections_and_others_the_rest(small, tokens):
    with ExitStack() as stack:
        for _ in range(MAX // 2):
            assert _asked_for_its_body(stack.enter_context(_in_use(small, tokens[0])))
        over = stack.enter_context(_in_use(small, tokens[0]))
        answer = next_answer(over)
        assert answer.status == 429
        assert "HOOKTUI_MAX_CONNECTIONS" in answer.problem()["detail"]
        over.close()
        first, *_ = [stack.enter_context(_in_use(small, tokens[1])) for _ in range(MAX // 2)]
        assert _asked_for_its_body(first)
        # All are known and in use: others are admitted all the same.
        for request in (HEALTHZ, _listing(tokens[2]), _listing(tokens[2])):
            late = stack.enter_context(_from(small, "127.0.0.1"))
            late.sendall(request)
            assert next_answer(late).status == 200
        with unix(small) as owner:
            owner.sendall(HEALTHZ)
            assert next_answer(owner).status == 200


# Red when each token counts for itself: an account with two of them locks out all others.
def test_the_tokens_of_an_account_have_half_of_the_connections_together(small, tokens):
    with small.client() as api, ExitStack() as stack:
        asked = {"role": "viewer", "account": 1}
        bound = [
            api.post("/v1/tokens", json=asked | {"name": name}).json()["token"] for name in "de"
        ]
        for number in range(MAX // 2):
            assert _asked_for_its_body(stack.enter_context(_in_use(small, bound[number % 2])))
        over = stack.enter_context(_in_use(small, bound[1]))
        answer = next_answer(over)
        assert answer.status == 429
        assert answer.problem()["detail"].startswith("account 1 has 5 connections in use")
        over.close()
        other = stack.enter_context(_from(small, "127.0.0.1"))
        other.sendall(_listing(tokens[0]))
        assert next_answer(other).status == 200


# Behind a proxy all callers have one address, and use its connections in turn.
def test_callers_behind_a_proxy_share_no_bound_of_their_address(small, tokens):
    with ExitStack() as stack:
        proxy = [stack.enter_context(_from(small, "127.0.0.5")) for _ in range(MAX)]
        for turn in range(3):
            for number, connection in enumerate(proxy):
                connection.sendall(_listing(tokens[(number + turn) % len(tokens)]))
                assert next_answer(connection).status == 200


# Red when a figure is not counted, or not shown.
def test_status_and_metrics_show_the_connections_of_clients(small, tokens):
    with small.client() as owner, ExitStack() as stack:
        known = stack.enter_context(_from(small, "127.0.0.1"))
        known.sendall(_listing(tokens[0]))
        assert next_answer(known).status == 200
        _flood(small, stack, 2 * MAX, "127.0.0.9")
        deaf = stack.enter_context(unix(small))
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 31)
        wait_for(lambda: owner.get("/v1/status").json()["clients"]["unsent_bytes"] > 0)
        wait_for(lambda: owner.get("/v1/status").json()["clients"]["evicted"] == MAX + 1)
        found = owner.get("/v1/status").json()["clients"]
        assert (found["most"], found["known"], found["unknown"]) == (MAX, 1, MAX - 1)
        assert found["local"] == 2
        assert found["refused"] == found["reset"] == 0
        assert found["unsent_bytes"] <= found["held_bytes"] <= found["held_most"]
        text = owner.get("/metrics").text
        for line in (
            'hooktui_client_connections{kind="known"} 1',
            f'hooktui_client_connections{{kind="unknown"}} {MAX - 1}',
            f"hooktui_client_connections_limit {MAX}",
            f'hooktui_client_connections_closed_total{{reason="evicted"}} {MAX + 1}',
            f"hooktui_unsent_response_bytes {found['unsent_bytes']}",
            f"hooktui_held_bytes_limit {found['held_most']}",
        ):
            assert line in text.splitlines()
        bound = owner.post("/v1/tokens", json={"role": "viewer", "name": "b", "account": 1}).json()
        known.sendall(_listing(bound["token"]).replace(b"/v1/hooks", b"/v1/status"))
        assert json.loads(next_answer(known).body)["clients"] is None
