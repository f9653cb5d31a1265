"""What holds for every answer: no browsers, the right host, one form of errors, no secrets."""

from __future__ import annotations

import json

import httpx
import pytest

from hooktui import sockets


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


def test_on_the_unix_socket_any_host_is_fine(api):
    assert api.get("/healthz", headers={"Host": "whatever"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/hooks", "/metrics", "/docs", "/v1/hooks/", "/a/b"]
)
def test_what_is_not_there_is_told_as_a_problem(api, path):
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/hooks/1", "DELETE, GET, PATCH"),
        ("DELETE", "/v1/hooks", "GET, POST"),
        ("OPTIONS", "/v1/events/x", "GET, POST"),
        ("BREW", "/v1/status", "GET"),
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


def test_what_is_not_http_is_told_as_a_problem(server):
    with sockets.connect(server.places.socket, 5) as client:
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
        answer = httpx.get(tcp.base_url.join(path), trust_env=False)
        assert (answer.status_code, answer.json()) == (200, {"status": status})


def test_the_status_has_what_the_contract_names(api, server):
    status = api.get("/v1/status").json()
    assert status["role"] == "admin"
    assert status["user"]
    (one,) = status["servers"]
    assert one["pid"] > 0
    assert status["database"]["kind"] == "sqlite"
    assert status["database"]["location"] == str(server.places.database)
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
        assert reference.removeprefix("#/components/schemas/") in schemas
    assert "HTTPValidationError" not in schemas


def _references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
