"""Clients that are slow, silent, deaf or many: each is ended in its time, others get through."""

from __future__ import annotations

import os
import select
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from hooktui.api import bodies, connection, listener
from hooktui.bench.sink import write_certificate
from tests.api.as_user import ask_as, hold_as
from tests.api.raw import answers_in, hear, next_answer, say, tcp, told, unix
from tests.support.file_limit import no_file_left
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
OPENAPI = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
MAX = 10


@pytest.fixture
def crowded(tmp_path) -> Iterator[RunningServer]:
    """A server with few connection slots; none is still held by another test."""
    with running_server(tmp_path, listen="127.0.0.1:0", max_connections=MAX) as one:
        yield one


# Slow


@pytest.mark.parametrize("dial", [unix, tcp])
@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"", None),
        (b"\r\n", None),
        (b"GET", 408),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", 408),
        (HEALTHZ + b"GET /", 408),
    ],
    ids=["nothing", "blank lines", "a word", "half a head", "half a second head"],
)
def test_a_head_that_does_not_arrive_is_not_waited_for(server, monkeypatch, dial, said, status):
    monkeypatch.setattr(connection, "HEAD_DEADLINE_S", 0.2)
    expected = [] if status is None else [status]
    for _ in range(5):  # on a busy machine it may be over before the first byte is sent
        with dial(server) as client:
            found = [one.status for one in told(client, said) if one.status != 200]
        if found == expected:
            break
    assert found == expected


def test_an_idle_connection_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(listener, "KEEP_ALIVE_S", 1)
    with running_server(tmp_path) as one, unix(one) as client:
        begun_s = time.monotonic()
        assert [answer.status for answer in told(client, HEALTHZ)] == [200]
        assert time.monotonic() - begun_s >= 1


def test_a_head_that_drips_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_DEADLINE_S", 0.5)
    dripped = 0
    with unix(server) as client:
        client.settimeout(0.05)
        while dripped < 200:
            dripped += 1
            try:
                client.sendall(b"G" if dripped == 1 else b"a")
                if client.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert dripped < 200


@pytest.mark.parametrize("target", ["/v1/hooks", "/v1/events/job.failed", "/v1/events"])
def test_a_body_that_drips_is_not_waited_for(server, monkeypatch, target):
    monkeypatch.setattr(bodies, "BODY_DEADLINE_S", 0.3)
    dripped = 0
    with unix(server) as client:
        client.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\n".encode())
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        client.settimeout(0.05)
        heard = b""
        while not heard and dripped < 200:
            dripped += 1
            say(client, b"1\r\n \r\n")
            try:
                heard = client.recv(4096)
            except TimeoutError:
                continue
    assert heard.startswith(b"HTTP/1.1 408 ")


# Red without the deadline of a body, or of what is left of one after the response.
@pytest.mark.parametrize("request_line", ["POST /v1/hooks/dry-run", "GET /healthz"])
@pytest.mark.parametrize(
    ("begin", "drip"),
    [(b"5;", b"a"), (b"5", b"0"), (b"1\r\n \r\n", b"1\r\n \r\n"), (b"0\r\n", b"X: 1\r\n")],
    ids=["chunk extension", "chunk size", "chunks", "trailers"],
)
def test_no_part_of_a_chunked_body_may_drip(server, monkeypatch, request_line, begin, drip):
    monkeypatch.setattr(bodies, "BODY_DEADLINE_S", 0.3)
    monkeypatch.setattr(connection, "HEAD_DEADLINE_S", 0.3)
    with unix(server) as client:
        client.sendall(f"{request_line} HTTP/1.1\r\nHost: x\r\n".encode())
        client.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + begin)
        client.settimeout(0.05)
        heard, ended, dripped = b"", False, 0
        while not ended and dripped < 400:
            dripped += 1
            say(client, drip)
            try:
                part = client.recv(4096)
            except TimeoutError:
                continue
            except ConnectionResetError:
                part = b""
            heard, ended = heard + part, not part
    assert ended
    assert heard[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 408", b"HTTP/1.1 400")


def test_a_refused_body_that_drips_is_not_waited_for_either(server, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_DEADLINE_S", 0.3)
    with unix(server) as client:
        client.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
        assert next_answer(client).status == 413
        assert hear(client) == b""


def test_a_refused_body_without_end_is_not_read_to_its_end(server):
    with unix(server) as client:
        client.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        )
        sent = 0
        with suppress(OSError):
            while sent < 1 << 27:
                sent += client.send(b" " * 65536)
    assert sent < 2 * connection.MAX_DISCARDED_BYTES


def test_the_connection_goes_on_after_a_refused_body_that_did_arrive(server):
    with unix(server) as client:
        client.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        client.sendall(b" " * 9_000_000)
        assert next_answer(client).status == 413
        client.sendall(HEALTHZ)
        assert next_answer(client).status == 200


# Red when the connection lingers for the next head instead of the response: it was cut off.
def test_a_broken_next_request_does_not_cut_off_the_response(server, api, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_S", 0.1)
    after = api.get("/v1/feed").json()["next"]
    with unix(server) as client:
        client.sendall(b"GET /v1/feed?wait=3&after=%b HTTP/1.1\r\nHost: x\r\n\r\n" % after.encode())
        client.sendall(b"GE")
        time.sleep(0.1)
        client.sendall(b"\x00 / HTTP/1.1\r\n\r\n")
        assert next_answer(client).status == 200


# Red when the deadline is taken out: nothing else ends such a connection.
def test_who_never_reads_the_answers_is_hung_up_on(server, api, monkeypatch):
    monkeypatch.setattr(connection, "UNREAD_DEADLINE_S", 0.3)
    with unix(server) as client:
        client.sendall(OPENAPI * (connection.MAX_PIPELINED - 1))
        poll = select.poll()
        poll.register(client, 0)  # tells the end alone
        wait_for(lambda: poll.poll(0))
    counted = 'hooktui_client_connections_closed_total{reason="unread"} 1\n'
    assert counted in api.get("/metrics").text


# Red when only a buffer that is empty, or one that has become shorter, counts as reading.
def test_who_reads_the_answers_slowly_gets_them_whole(server, api, monkeypatch):
    count = connection.MAX_PIPELINED - 1
    whole = len(api.get("/openapi.json").content) * count
    monkeypatch.setattr(connection, "UNREAD_DEADLINE_S", 2.0)
    for _ in range(5):
        heard, longest_s = 0, 0.0
        with unix(server) as client:
            client.sendall(OPENAPI * count)
            while heard < whole:
                read_s = time.monotonic()
                time.sleep(0.1)
                part = client.recv(whole // 60)
                longest_s = max(longest_s, time.monotonic() - read_s)
                if not part:
                    break
                heard += len(part)
        if longest_s < 1:  # on a busy machine a longer pause may end the connection rightly
            break
    assert heard >= whole, f"the connection ended after {heard} of {whole} bytes"


# Red when a client that was refused may go on for as long as a head may take.
def test_who_was_refused_and_goes_on_is_hung_up_on(server, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_DEADLINE_S", 1000)
    monkeypatch.setattr(connection, "LINGER_S", 0.3)
    with tcp(server) as client:
        assert [one.status for one in told(client, b"no request\r\n\r\n")] == [400]

        def ended() -> bool:
            try:
                client.send(b"x")
            except OSError:
                return True
            return False

        wait_for(ended)


# Many


def _idle(server: RunningServer) -> socket.socket:
    client = tcp(server)
    client.sendall(HEALTHZ)
    assert next_answer(client).status == 200
    return client


def test_when_all_connections_are_taken_the_one_idle_for_longest_is_evicted(crowded):
    with ExitStack() as stack:
        clients = [stack.enter_context(_idle(crowded)) for _ in range(MAX)]
        stack.enter_context(_idle(crowded))
        assert hear(clients[0]) == b""
        clients[1].sendall(HEALTHZ)
        assert next_answer(clients[1]).status == 200


# Red when the places of one source are not shared out again: the late one is refused.
def test_the_oldest_half_head_of_a_source_is_closed_for_the_next_connection(crowded):
    with ExitStack() as stack:
        clients = [stack.enter_context(tcp(crowded)) for _ in range(MAX)]
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert _status(crowded) == 200
        (answer,) = answers_in(hear(clients[0]))
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert "too many connections" in answer.problem()["detail"]
        clients[1].sendall(b"Host: localhost\r\n\r\n")
        assert next_answer(clients[1]).status == 200


def _status(server: RunningServer) -> int:
    with tcp(server) as client:
        say(client, HEALTHZ)
        return next_answer(client).status


def test_root_and_the_owner_always_get_in(crowded):
    with ExitStack() as stack:
        for _ in range(3 * MAX):
            stack.enter_context(unix(crowded)).sendall(b"GET /healthz HTTP/1.1\r\n")
        with crowded.client() as api:
            assert api.get("/v1/status").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_of_the_socket_has_so_many_connections_and_no_more():
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        given = {"listen": "127.0.0.1:0", "max_connections": MAX, "users": "nobody=viewer"}
        with running_server(home, **given) as server:
            home.chmod(0o755)
            server.paths.socket.chmod(0o666)
            with hold_as(65534, server.paths.socket, MAX):
                answer = ask_as(65534, server.paths.socket, "/healthz")
                assert b" 503 " in answer.splitlines()[0]
                assert _status(server) == 200  # red when all users and TCP share their places
                with server.client() as api:
                    assert api.get("/v1/status").status_code == 200


# Red when a connection takes a file besides its own: the kernel's word on its peer was read of one.
def test_the_last_file_is_enough_for_a_connection(crowded, caplog):
    with socket.socket() as client:
        client.settimeout(20)
        with no_file_left(1):
            client.connect(crowded.listen[0][:2])
            say(client, HEALTHZ)
            assert next_answer(client).status == 200
    assert [one for one in caplog.records if one.exc_info] == []


# TLS


@pytest.fixture
def secure(tmp_path) -> Iterator[tuple[RunningServer, ssl.SSLContext]]:
    certificate = tmp_path / "certificate.pem"
    write_certificate(certificate)
    given = {"tls_cert": certificate, "tls_key": certificate, "max_connections": MAX}
    with running_server(tmp_path / "home", listen="127.0.0.1:0", **given) as one:
        yield one, ssl.create_default_context(cafile=certificate)


def _answers_over_tls(server: RunningServer, trusting: ssl.SSLContext) -> bool:
    url = f"https://127.0.0.1:{server.listen[0][1]}/healthz"
    try:
        return httpx.get(url, verify=trusting, trust_env=False, timeout=None).status_code == 200
    except httpx.TransportError:
        return False


# Red when a handshake takes no place, or when the oldest one is not ended: nothing else ends it.
def test_the_oldest_handshake_is_ended_for_the_next_connection(secure, monkeypatch):
    server, trusting = secure
    monkeypatch.setattr(listener, "HANDSHAKE_DEADLINE_S", 1000)
    with ExitStack() as stack:
        clients = [stack.enter_context(tcp(server)) for _ in range(MAX)]
        assert _answers_over_tls(server, trusting)
        assert hear(clients[0]) == b""
        for _ in range(MAX):
            stack.enter_context(tcp(server))
        for client in clients:
            assert hear(client) == b""
        assert _answers_over_tls(server, trusting)


# Red without the deadline, and when a place is not given back.
def test_handshakes_that_do_not_end_take_connections_only_for_a_while(secure, monkeypatch):
    server, trusting = secure
    monkeypatch.setattr(listener, "HANDSHAKE_DEADLINE_S", 0.5)
    with ExitStack() as stack:
        for client in [stack.enter_context(tcp(server)) for _ in range(MAX)]:
            assert hear(client) == b""
    wait_for(lambda: _answers_over_tls(server, trusting))


def test_what_is_no_handshake_ends_and_leaves_nothing_behind(secure):
    server, trusting = secure
    for said in (HEALTHZ, b"\x16\x03\x01\xff\xff" + b"\xff" * 500, b"\0" * 100):
        for _ in range(MAX + 1):
            with tcp(server) as client:
                say(client, said)
                hear(client)
    assert _answers_over_tls(server, trusting)


# Red when the handshake fails with a traceback, and its place is lost for good.
def test_a_handshake_without_a_file_left_takes_no_place(secure, caplog):
    server, trusting = secure
    with socket.socket() as client:
        client.settimeout(20)
        with no_file_left(1):
            client.connect(server.listen[0][:2])
            assert hear(client) == b""
    assert _answers_over_tls(server, trusting)
    with server.client() as owner:
        assert owner.get("/v1/status").json()["clients"]["unknown"] == 0
    errors = [one for one in caplog.records if one.exc_info]
    assert errors == []
    assert "this machine has no file descriptor left for this process" in caplog.text


def test_limits_hold_behind_tls_too(secure, monkeypatch):
    server, trusting = secure
    monkeypatch.setattr(connection, "HEAD_DEADLINE_S", 0.3)
    for said, status in ((b"GET / HTTP/1.1\r\nX: " + b"a" * 600_000, 431), (b"GET /", 408)):
        with trusting.wrap_socket(tcp(server), server_hostname="127.0.0.1") as client:
            (answer,) = told(client, said)
        assert answer.status == status
