"""Heads of requests that are made to be misread: refused, and nothing behind them is believed."""

from __future__ import annotations

import zlib
from contextlib import suppress

import httpx
import pytest

from hooktui.api import connection
from tests.api.raw import hear, next_answer, say, tcp, told, unix

SMUGGLED = b"POST /v1/events/job.failed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"POST /v1/events/job.failed HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CODED = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
LAST = b"Connection: close\r\n\r\n"

TWO_READINGS = {
    "a length and chunks": HEAD + b"Content-Length: 6\r\n" + CODED,
    "chunks and a length": CHUNKED[:-2] + b"Content-Length: 6\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
    "the same length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a sign": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "a length below zero": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a length in hex": HEAD + b"Content-Length: 0x2\r\n\r\n{}",
    "a length past 64 bits": HEAD + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "a folded line": HEAD + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    "a folded length": HEAD + b"Content-Length:\r\n 2\r\n\r\n{}",
    "a blank before the first field": b"POST /v1/events HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a blank before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab in the coding": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "another coding": HEAD + b"Transfer-Encoding: identity\r\n\r\n{}",
    "compressed chunks": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks within something": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "nearly chunked": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": CHUNKED[:-2] + CODED,
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"2\r\n{}XX0\r\n\r\n",
    "a chunk size past 64 bits": CHUNKED + b"ffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    "a chunk size below zero": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a bare line feed in chunks": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "bare line feeds": HEAD.replace(b"\r\n", b"\n") + b"\n",
    "a bare return": HEAD + b"X: a\rContent-Length: 2\r\n\r\n{}",
    "a zero byte": HEAD + b"X: a\0b\r\n\r\n",
    "no field name": HEAD + b": a\r\n\r\n",
    "two hosts": HEAD + b"Host: other\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "another host in the line": b"GET http://evil.test/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/0.9 with a head": b"GET /healthz\r\nHost: localhost\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "HTTP/2 in the line": b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/1.9": b"GET /healthz HTTP/1.9\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\r\n" * 8,
    "a letter that is none": "GET /ä HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "RTSP": b"DESCRIBE rtsp://localhost/x RTSP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("dial", [unix, tcp])
@pytest.mark.parametrize("form", TWO_READINGS)
def test_what_can_be_read_in_two_ways_ends_the_connection(server, api, dial, form):
    before = api.get("/v1/events?limit=1").json()["total"]
    with dial(server) as client:
        (answer,) = told(client, TWO_READINGS[form] + SMUGGLED)
    assert answer.status in (400, 415)
    assert answer.headers["connection"] == "close"
    assert answer.problem()["detail"]
    assert api.get("/v1/events?limit=1").json()["total"] == before


def test_the_same_head_without_the_trick_is_taken(server):
    for head in (HEAD + b"Content-Length: 2\r\n\r\n{}", CHUNKED + b"2;x=y\r\n{}\r\n0\r\n\r\n"):
        with unix(server) as client:
            client.sendall(head)
            assert next_answer(client).status == 202


def test_the_whole_address_may_stand_in_the_line_when_the_host_is_the_same(server):
    with tcp(server) as client:
        client.sendall(b"GET http://LOCALHOST:1/healthz HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        assert next_answer(client).status == 200


# Red when a target without a path is none: RFC 9112, 3.2.2, has it name the root.
def test_an_address_without_a_path_names_the_root(server):
    with tcp(server) as client:
        client.sendall(b"GET http://localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        assert next_answer(client).status == 404


def test_what_stands_behind_a_body_is_no_header(server, api):
    trailer = b"2\r\n{}\r\n0\r\nIdempotency-Key: \x01\r\nHooktui-Role: viewer\r\nHost: b\r\n\r\n"
    with unix(server) as client:
        client.sendall(CHUNKED + trailer.replace(b"\x01", b"k" * 300))
        assert next_answer(client).status == 202


def test_another_protocol_is_not_begun_and_the_answer_is_the_last(server):
    with unix(server) as client:
        found = told(
            client,
            b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + SMUGGLED,
        )
    assert [one.status for one in found] == [200]
    assert found[0].headers["connection"] == "close"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/hooks?q=" + b"a" * connection.MAX_TARGET_BYTES, 414),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 60_000, 431),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 9000, 431),
        (b"GET /healthz HTTP/1.1\r\nHost: a" + b"\r\nA: b" * connection.MAX_HEADERS, 431),
        (CHUNKED + b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 9000, 431),
    ],
    ids=["line", "one field", "many fields", "one field too many", "behind the body"],
)
@pytest.mark.parametrize("dial", [unix, tcp])
def test_a_head_that_is_too_large_is_refused(server, dial, head, status):
    with dial(server) as client:
        (answer,) = told(client, head + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.status == status
    assert answer.problem()


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: "])
def test_a_head_that_never_ends_is_not_kept(server, start):
    with unix(server) as client:
        client.sendall(start)
        sent = 0
        with suppress(OSError):
            while sent < 1 << 26:
                sent += client.send(b"a" * 8192)
    assert sent < 2 * connection.MAX_DISCARDED_BYTES


def test_a_filter_of_the_greatest_length_still_fits_into_the_line(api):
    answer = api.get("/v1/events", params={"q": "名" * 2000})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("count", [2, connection.MAX_PIPELINED])
def test_requests_may_follow_each_other_without_waiting(server, count):
    with unix(server) as client:
        found = told(
            client,
            b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n" * (count - 1)
            + b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + LAST,
        )  # fmt: skip
    assert [one.status for one in found] == [200] * count


def test_so_many_requests_at_once_are_not_queued(server):
    with unix(server) as client:
        found = told(client, b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n" * 10_000)
    assert [one.status for one in found] == [200] * len(found)
    assert 1 < len(found) <= connection.MAX_PIPELINED + 1


def test_nonsense_behind_a_request_does_not_take_its_answer_away(server):
    with unix(server) as client:
        (answer,) = told(
            client, HEAD + b"Content-Length: 2\r\n\r\n{}" + b"\x16\x03 nonsense\r\n\r\n"
        )
    assert answer.status == 202


def test_a_body_that_breaks_off_in_nonsense_is_refused_at_once(server):
    with unix(server) as client:
        client.sendall(CHUNKED + b"2\r\n{}\r\n")
        (answer,) = told(client, b"zz\r\n")
    assert answer.status == 400


@pytest.mark.parametrize("path", ["/healthz", "/v1/hooks", "/v1/status", "/openapi.json"])
def test_head_answers_as_get_does_without_the_body(server, api, path):
    shown = api.get(path)
    with unix(server) as client:
        say(client, f"HEAD {path} HTTP/1.1\r\nHost: a\r\n".encode() + LAST)
        heard = hear(client)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert body == b""
    assert head.startswith(b"HTTP/1.1 200 ")
    length = next(x for x in head.decode().lower().split("\r\n") if x.startswith("content-length"))
    assert abs(int(length.split(": ")[1]) - len(shown.content)) < 20


def test_head_is_accepted_where_get_is_and_nowhere_else(api, tcp):
    assert httpx.head(tcp.base_url.join("/v1/hooks"), trust_env=False).status_code == 401
    lowered = {"Hooktui-Role": "producer"}
    assert api.head("/v1/hooks", headers=lowered).status_code == 403
    assert api.head("/v1/purge").status_code == 405
    assert api.head("/nothing").status_code == 404


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate, gzip", "x"])
@pytest.mark.parametrize("path", ["/v1/events/job.failed", "/v1/events", "/v1/hooks"])
def test_nothing_is_unpacked(api, path, encoding):
    bomb = zlib.compress(b"{" + b" " * 10_000_000 + b"}", 9)
    answer = api.post(path, content=bomb, headers={"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["detail"]
