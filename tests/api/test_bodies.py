"""What counts as JSON, and what is refused while it arrives."""

from __future__ import annotations

import pytest
from starlette.requests import ClientDisconnect

from hooktui.api import bodies
from hooktui.api.bodies import Holding, check_json, check_json_type, lines_of, read_body
from hooktui.domain.errors import Malformed, TooLarge, Unavailable, Unsupported

DEEP = bodies.MAX_DEPTH


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' \n{"a": 1}\r\n',
        b"1",
        b'"text"',
        b"null",
        b'{"a":1,"a":2}',
        b"1e999",
        b"-0",
        b'"\\ud800"',
        b"1" * 5000,
        '{"ä":"\u2028"}'.encode(),
        b"[" * DEEP + b"]" * DEEP,
        b'"' + b"[" * 5000 + b'"',
        b'["' + b'\\"[' * 500 + b'"]',
        b'{"a":[' + b"{}," * 500 + b"{}]}",
    ],
)
def test_every_json_text_of_the_rfc_is_taken(body):
    check_json(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "line 1 column"),
        (b"{'a': 1}", "line 1 column 2"),
        (b'{"a": 1,}', "not JSON"),
        (b"[1,]", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"NaN", "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b"01", "not JSON"),
        (b'"\x01"', "not JSON"),
        (b'"\\x"', "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'"\xff"', "offset 1"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "not JSON"),
        (b"[" * (DEEP + 1) + b"]" * (DEEP + 1), "nested"),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested"),
        (b"a=1&b=2", "not JSON"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(body, says):
    with pytest.raises(Malformed, match=says) as caught:
        check_json(body)
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    "media_type",
    [None, "", "application/json", "Application/JSON; charset=UTF-8", "application/vnd.a.v2+json"],
)
def test_json_media_types_and_none_at_all_are_taken(media_type):
    check_json_type(_scope(media_type))


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/jsonx",
        "multipart/form-data; boundary=x",
    ],
)
def test_other_media_types_are_refused_and_the_right_one_is_named(media_type):
    with pytest.raises(Unsupported, match="application/json"):
        check_json_type(_scope(media_type))


def test_compressed_bodies_are_refused():
    with pytest.raises(Unsupported, match="compressed"):
        check_json_type({"headers": [(b"content-encoding", b"gzip")]})


async def test_a_body_is_put_together_from_its_parts():
    assert await read_body(_scope(None), _arriving(b"ab", b"", b"cd"), 4, Holding()) == b"abcd"


async def test_a_body_that_grows_too_long_is_refused_before_the_rest_is_read():
    receive = _arriving(b"x" * 6, b"x" * 6, b"never read")
    with pytest.raises(TooLarge):
        await read_body(_scope(None), receive, 10, Holding())
    assert (await receive())["body"] == b"never read"


async def test_a_body_that_announces_too_much_is_not_read_at_all():
    receive = _arriving(b"x")
    scope = {"headers": [(b"content-length", b"11")]}
    with pytest.raises(TooLarge):
        await read_body(scope, receive, 10, Holding())
    assert (await receive())["body"] == b"x"


async def test_bodies_that_are_too_much_together_wait_until_others_are_done():
    holding, first, second = Holding(10), _scope(None), _scope(None)
    await read_body(first, _arriving(b"x" * 3, b"x" * 3), 10, holding)
    with pytest.raises(Unavailable):
        await read_body(second, _arriving(b"x" * 3, b"x" * 3), 10, holding)
    holding.give_back(second)
    assert holding.size == 6
    holding.give_back(first)
    assert holding.size == 0


async def test_a_client_that_goes_away_is_no_short_body():
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read_body(_scope(None), receive, 10, Holding())


def test_lines_are_numbered_from_zero_and_blank_ones_are_passed_over():
    assert list(lines_of(b"a\n\n b\r\n")) == [(0, b"a"), (2, b" b\r")]


def _scope(media_type):
    headers = [] if media_type is None else [(b"content-type", media_type.encode())]
    return {"headers": headers}


def _arriving(*parts):
    left = list(parts)

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive
