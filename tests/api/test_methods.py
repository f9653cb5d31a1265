"""Methods of HTTP, on every path there is: those it has, HEAD with GET, and 405 for all others."""

from __future__ import annotations

import pytest

from hooktui.api.access import RULES
from tests.api.raw import answers_in, hear, say, unix

METHODS = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "MKCOL",
    "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT", "PURGE", "SUBSCRIBE", "M-SEARCH", "LINK",
]  # fmt: skip
MADE_UP = ["BREW", "get", "X", "GETT", "QUERYY"]
PATHS = sorted({rule.path for rule in RULES} - {"/docs"})
NAMES = {"{event}": "evt_0000000000001", "{delivery}": "dlv_0000000000001"}


def _path(template: str) -> str:
    return "/".join(
        NAMES.get(part, "7" if part[:1] == "{" else part) for part in template.split("/")
    )


def _ask(server, method: str, target: str, *more: str) -> bytes:
    with unix(server) as client:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *more]
        say(client, "\r\n".join([*lines, "", ""]).encode())
        return hear(client)


# Red when a route answers a method that the table does not give it, or Allow leaves one out.
@pytest.mark.parametrize("template", PATHS)
def test_a_path_has_its_methods_and_names_them_in_a_405(server, template):
    has = {rule.method for rule in RULES if rule.path == template}
    allowed = ", ".join(sorted(has | ({"HEAD"} if "GET" in has else set())))
    for method in METHODS:
        if method in allowed.split(", "):
            continue
        heard = _ask(server, method, _path(template), "X-Mine: echo")
        head, _, body = heard.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 "), (method, heard)
        assert f"\r\nallow: {allowed}\r\n".encode() in head + b"\r\n"
        assert b"\r\nserver:" not in head.lower()
        assert b"echo" not in heard
        if method == "HEAD":
            assert body == b""
        else:
            (answer,) = answers_in(heard)
            assert allowed in answer.problem()["detail"]


@pytest.mark.parametrize("method", MADE_UP)
def test_an_unknown_method_is_reported(server, method):
    (answer,) = answers_in(_ask(server, method, "/v1/hooks"))
    assert answer.status == 400
    assert "unknown method" in answer.problem()["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_who_watches_a_server_may_ask_for_the_head_alone(server, path):
    """As ``curl -I`` does."""
    heard = _ask(server, "HEAD", path)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: application/json" in head
    assert body == b""


@pytest.mark.parametrize("target", ["/nothing", "//healthz", "/healthz/", "/healthz;a"])
def test_what_is_not_there_is_not_there_by_any_method(server, target):
    for method in METHODS:
        heard = _ask(server, method, target)
        assert heard.startswith(b"HTTP/1.1 404 "), (method, heard)
        if method != "HEAD":
            (answer,) = answers_in(heard)
            assert answer.problem()
