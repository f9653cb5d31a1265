"""What holds for every answer: no browsers, the right host, one form of errors, no secrets."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import httpx
import pytest

from hooktui import sockets
from hooktui.api import bodies
from tests.api.as_user import ask_as
from tests.support.running_server import running_server
from tests.support.waiting import wait_for


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_web_pages_do_not_reach_the_api(api, tcp, headers, status):
    for client in (api, tcp):
        assert client.get("/v1/hooks", headers=headers).status_code == status
        assert client.get("/healthz", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("LOCALHOST:8080", 200),
        ("[::1]", 200),
        ("[::1]:9", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:x", 403),
        ("", 403),
    ],
)
def test_on_tcp_only_known_hosts_are_answered(tcp, host, status):
    assert tcp.get("/healthz", headers={"Host": host}).status_code == status


# Red when it names '' as the host that an admin can add.
def test_on_tcp_a_request_needs_a_host(tcp):
    answer = tcp.get("/healthz", headers={"Host": ""})
    assert answer.status_code == 403
    assert answer.json()["detail"] == "the request names no host; send a Host header"


def test_on_the_unix_socket_any_host_is_fine(api):
    assert api.get("/healthz", headers={"Host": "whatever"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/hooks", "/metric", "/docs", "/v1/hooks/", "/a/b"]
)
def test_what_is_not_there_is_reported_as_a_problem(api, path):
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 404
    assert "/openapi.json" in answer.json()["detail"]  # red when it does not say where to look


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/hooks/1", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/v1/hooks", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/events/x", "GET, HEAD, POST"),
        ("BREW", "/v1/status", "GET, HEAD"),
    ],
)
def test_a_wrong_method_names_the_right_ones(api, method, path, allowed):
    answer = api.request(method, path)
    if method == "BREW":
        assert answer.status_code in (400, 405)
        return
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_is_not_http_is_reported_as_a_problem(server):
    with sockets.connect(server.paths.socket, 5) as client:
        client.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
        answer = b""
        while part := client.recv(4096):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["status"] == 400


def test_no_answer_names_the_server_software(api):
    for path in ("/healthz", "/v1/hooks", "/nothing"):
        assert "server" not in api.get(path).headers


def test_health_needs_no_token_and_says_little(tcp):
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):

        def answers(path: str = path, status: str = status) -> bool:  # /readyz: within two seconds
            answer = httpx.get(tcp.base_url.join(path), trust_env=False, timeout=None)
            return (answer.status_code, answer.json()) == (200, {"status": status})

        wait_for(answers)


def test_the_status_has_what_the_contract_names(api, server):
    status = api.get("/v1/status").json()
    assert status["role"] == "admin"
    assert status["user"]
    (one,) = status["servers"]
    assert one["pid"] > 0
    assert status["database"]["kind"] == "sqlite"
    assert status["database"]["location"] == str(server.paths.database)
    assert set(status["backlog"]) == {"count", "held", "oldest_due_at", "hooks"}
    assert status["rates"]["in_flight"] >= 0
    assert status["disk"]["free"] > 0


def test_the_document_describes_every_call(api):
    document = api.get("/openapi.json")
    assert document.content.isascii()
    described = document.json()
    assert described["openapi"].startswith("3.1")
    calls = {(m.upper(), p) for p, of in described["paths"].items() for m in of}
    assert {("POST", "/v1/events/{event}"), ("POST", "/v1/events"), ("GET", "/v1/feed")} <= calls
    assert len(calls) > 25
    schemas = described["components"]["schemas"]
    for reference in _references(described):
        _, kind, name = reference.removeprefix("#/").split("/")
        assert name in described["components"][kind]
    assert "HTTPValidationError" not in schemas


def _references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("users", "status", "says"),
    [
        ({}, 403, "user nobody (uid 65534) has no role"),
        ({"nobody": "viewer"}, 200, '"role":"viewer"'),
    ],
)
def test_another_user_has_the_role_that_is_configured_or_none(users, status, says):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with running_server(home, users=users) as server:
            home.chmod(0o755)
            server.paths.socket.chmod(0o666)
            answer = ask_as(65534, server.paths.socket, "/v1/status")
    assert f" {status} ".encode() in answer.splitlines()[0]
    assert says.encode() in answer


def test_a_body_that_does_not_arrive_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_DEADLINE_S", 0.1)
    for target in ("/v1/hooks", "/v1/events/job.failed", "/v1/events"):
        with sockets.connect(server.paths.socket, 5) as client:
            client.sendall(
                f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
            )
            answer = b""
            while part := client.recv(4096):
                answer += part
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_refused_expectation_ends_the_connection(server):
    with sockets.connect(server.paths.socket, 5) as client:
        client.sendall(
            b"POST /v1/events/job.failed HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 300000\r\n\r\n"
        )
        answer = b""
        while part := client.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_expects_100_continue_gets_it(server):
    with sockets.connect(server.paths.socket, 5) as client:
        client.sendall(
            b"POST /v1/events/job.failed HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 2\r\n\r\n"
        )
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(4096).startswith(b"HTTP/1.1 202 ")


def test_refusals_are_logged_with_who_and_what(api, caplog):
    caplog.set_level("INFO", "hooktui")
    api.delete("/v1/hooks/7", headers={"Hooktui-Role": "viewer"})
    (line,) = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert "status=403 request=DELETE /v1/hooks/7" in line
