"""Whatever is sent as an event: stored and delivered to the byte, or refused for what is wrong.

What the answer must be is worked out here anew, with Python's parser alone; the program asks a
faster one first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hooktui.api.ingest import MAX_BODY_BYTES, MAX_LINES
from hooktui.domain.json_text import MAX_DEPTH
from tests.api.raw import Answer, next_answer, say, unix
from tests.support.odd_bodies import ODD, PIECES, broken, written
from tests.support.receivers import Receiver, receiving
from tests.support.running_server import RunningServer, running_server
from tests.support.waiting import wait_for

EXAMPLES, MANY_EXAMPLES = 200, 20_000
TYPE = "job.failed"

# The server runs in this process, and throws its dice while hypothesis does.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


@dataclass
class Line:
    """A server with one hook, its receiver, and what was accepted so far."""

    server: RunningServer
    receiver: Receiver
    accepted: dict[str, bytes] = field(default_factory=dict)

    def send(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes, cut: int) -> Answer:
        """Send a body, in two chunks or (``cut`` -1) with its length."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
        head += b"".join(b"%b: %b\r\n" % one for one in headers)
        if cut < 0:
            data = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        else:
            parts = [part for part in (body[:cut], body[cut:]) if part]
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            data = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        with unix(self.server) as client:
            say(client, data)
            return next_answer(client)

    def check_arrivals(self) -> None:
        """Wait until all that was accepted has arrived, and compare each byte."""
        wait_for(lambda: self.accepted.keys() <= _ids(self), 60)
        arrived = {one.headers["webhook-id"]: one.body for one in self.receiver.requests}
        assert arrived == self.accepted


def _ids(line: Line) -> set[str]:
    return {one.headers["webhook-id"] for one in line.receiver.requests}


@pytest.fixture
def line(tmp_path) -> Iterator[Line]:
    with receiving() as receiver, running_server(tmp_path) as server, server.client() as api:
        made = api.post("/v1/hooks", json={"url": receiver.url, "events": [TYPE]})
        assert made.status_code == 201, made.text
        yield Line(server, receiver)


# What Python's parser says


class NotJson(Exception):
    """The bytes are no JSON text."""


def _refuse(constant: str) -> None:
    raise NotJson(constant)


def _parsed(body: bytes) -> object:
    """Return the value; numbers as they are written."""
    try:
        return json.loads(
            body.decode("utf-8"), parse_int=str, parse_float=str, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise NotJson from None


def _is_json(body: bytes) -> bool:
    try:
        return _depth(_parsed(body)) <= MAX_DEPTH
    except NotJson:
        return False


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:  # no recursion: too deep
        depth += 1
        level = [x for one in level for x in (one.values() if isinstance(one, dict) else one)]
    return depth


# What is sent

bodies = written() | broken() | st.sampled_from(PIECES + ODD) | st.binary(max_size=40)

GOOD_TYPES = [
    None, b"", b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON",
    b"application/problem+json", b'application/json;charset="UTF-8"', b"application/json;",
]  # fmt: skip
BAD_TYPES = [
    b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=utf-16",
    b"application/jsonp", b"application/json, text/plain", b"json", b";", b"\xff", b"*/*",
    b"application/json\x80", b"multipart/form-data; boundary=application/json",
]  # fmt: skip
GOOD_KEYS = [[], [b"k"], [b"k 1"], ["é".encode()], [b"a" * 255]]
BAD_KEYS = [
    [b"\xe9"],
    [b""],
    [b"a" * 256],
    [b"\t\xa0"],
    [b"a\x85b"],
    [b"\xad"],
    [b"a", b"b"],
    [b"a", b"a"],
]
cuts = st.sampled_from([-1, -1, 0, 1, 7])


# Red when NaN, a byte order mark, 201 levels or bytes that are no UTF-8 get through, when a second
# Idempotency-Key is passed over, and when the stored body is written anew from what was parsed.
def _fuzz_one(line: Line, examples: int) -> None:
    keys: dict[bytes, tuple[bytes, str]] = {}

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples == EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        body=bodies,
        media_type=st.sampled_from(GOOD_TYPES * 6 + BAD_TYPES),
        encoding=st.sampled_from([None] * 20 + [b"identity", b"gzip", b"br", b"gzip, identity"]),
        key=st.sampled_from(GOOD_KEYS[:1] * 20 + GOOD_KEYS + BAD_KEYS),
        cut=cuts,
    )
    def sent(
        body: bytes, media_type: bytes | None, encoding: bytes | None, key: list[bytes], cut: int
    ) -> None:
        headers = [(b"Idempotency-Key", one) for one in key]
        headers += [(b"Content-Type", media_type)] if media_type is not None else []
        headers += [(b"Content-Encoding", encoding)] if encoding else []
        if media_type in BAD_TYPES or encoding not in (None, b"identity"):
            expected = 415
        elif len(body) > MAX_BODY_BYTES:
            expected = 413
        elif not _is_json(body):
            expected = 400
        elif key in BAD_KEYS or (key and keys.get(key[0], (body, ""))[0] != body):
            expected = 422
        else:
            expected = 202
        answer = line.send(f"/v1/events/{TYPE}", headers, body, cut)
        assert answer.status == expected, (answer, headers, body[:200])
        if expected != 202:
            assert answer.problem()["detail"]
            return
        told = json.loads(answer.body)
        assert told["duplicate"] == bool(key and key[0] in keys)
        line.accepted[told["id"]] = body
        if key:
            assert keys.setdefault(key[0], (body, told["id"])) == (body, told["id"])

    plain = {"body": b"[]", "media_type": None, "encoding": None, "key": [], "cut": -1}
    certainly = [
        *({"body": body} for body in ODD + PIECES),
        *({"media_type": media_type} for media_type in GOOD_TYPES + BAD_TYPES),
        *({"key": key} for key in GOOD_KEYS + BAD_KEYS),
    ]
    for one in certainly:
        sent = example(**plain | one)(sent)
    sent()
    line.check_arrivals()


def test_a_body_is_delivered_to_the_byte_or_refused_for_what_is_wrong(line):
    _fuzz_one(line, EXAMPLES)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_body_is_delivered_to_the_byte_or_refused_for_what_is_wrong_for_long(line):
    _fuzz_one(line, MANY_EXAMPLES)


# Many at once

spaces = st.sampled_from([b"", b" ", b"\t", b"\r", b" \r "])
ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n\t\r\n", b"\n \n"])


# Each is another key, so that no line repeats one before it.
KEY_VALUES = [b"null", b'"#"', b'"#\\"type\\":\\\\"', b'"#\\u0022"', b'"#\\\\\\""']
# Half a character, as where a text was cut within an emoji. Red when such a line refuses all.
HALVES = [
    rb'"\ud83d"', rb'"\uDE00 and more text"', rb'{"a":"\ud800\ud800","b":1}', rb'{"\ud800":[]}',
    rb'["\\ud800", "\\\ud800", "\ud83d\ude00"]',
]  # fmt: skip
_numbers = count()


@st.composite
def good_line(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A line, and the very bytes of its ``data``."""
    one_line = written().filter(lambda one: b"\n" not in one and _is_json(one))
    data = draw(one_line | st.sampled_from(HALVES))
    fields = [(b'"type"', json.dumps(TYPE).encode()), (b'"data"', data)]
    if draw(st.booleans()):
        fields[1] = (b'"\\u0064ata"', data)
    if draw(st.booleans()):
        key = draw(st.sampled_from(KEY_VALUES)).replace(b"#", b"%d" % next(_numbers))
        fields.insert(draw(st.integers(0, 2)), (b'"key"', key))
    joined = b",".join(
        draw(spaces) + name + draw(spaces) + b":" + draw(spaces) + value + draw(spaces)
        for name, value in fields
    )
    return draw(spaces) + b"{" + joined + b"}" + draw(spaces), data


BAD_LINES = [
    b"{}", b"[]", b"1", b"null", b'{"type":"job.failed"}', b'{"data":{}}', b'{"type":1,"data":1}',
    b'{"type":"job.faild","data":1}', b'{"type":"job.failed","data":}', b"\xef\xbb\xbf{}",
    b'{"type":"job.failed","data":NaN}', b'{"type":"job.failed","data":1,"x":1}', b"}", b"\x1e{}",
    b'{"type":"job.failed","data":1,"key":""}', b'{"type":"job.failed","data":1,"key":7}',
    b'{"type":"job.failed","data":1}{"type":"job.failed","data":1}', b'{"type":"job.failed",',
    b'{"type":"job.failed","data":1}\r{"type":"job.failed","data":1}',
    b'{"type":"\\ud800","data":1}', b'{"type":"job.failed","data":1,"key":"\\ud800"}',
    rb'{"type":"job.failed","data":"\ud800","key":"\ud800"}', rb'{"type":1,"data":"\ud800"}',
    rb'{"type":"job.failed","data":"\ud800","data":"\ud800"}', rb'["\ud800"]', rb'"\ud800"',
    rb'{"key":"\ud800","type":"job.failed","data":0}',
    rb'{"key":"\ud800","type":"job.failed","data":"\u0020"}',
    rb'{"data":"\ud800","type":"job.failed","data":0}', rb'{"type":"\ud800","data":"\ud800"}',
    rb'{"type":"job.failed","data":"\ud800","\ud800":1}', rb'{"type":"job.failed","key":"\ud800"}',
    b'{"type":"job.failed","data":1,"\\u0064ata":2}', b'{"type":"job.failed","type":"x","data":1}',
    b'{"type":"x","key":null,"type":"job.failed","data":1}',
    b'{"key":"\\"","key":"k","type":"job.failed","data":"\""}',
    b'{"key":"k","type":"job.failed","data":1,"key":null}',
    b'{"type":"job.failed","data":"\xff"}', b'{"type":"job.failed","data":"\xed\xa0\x80"}',
    b'{"type":"job.failed","data":' + b"[" * 201 + b"]" * 201 + b"}", b"\x0b1", b"\0",
    b'{"type":"job.failed","data":"' + b"a" * MAX_BODY_BYTES + b'"}',
]  # fmt: skip


# Red when a line's data is written anew, when one bad line lets the others in, and when a line ends
# at anything but a line feed.
def _fuzz_many(line: Line, examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples < MANY_EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        lines=st.lists(good_line(), max_size=6),
        end=ends,
        last=st.booleans(),
        bad=st.none() | st.sampled_from(BAD_LINES) | st.binary(max_size=20),
        at=st.integers(0, 6),
        cut=cuts,
    )
    def sent(
        lines: list[tuple[bytes, bytes]],
        end: bytes,
        last: bool,
        bad: bytes | None,
        at: int,
        cut: int,
    ) -> None:
        written_lines = [one for one, _data in lines]
        if bad is not None and bad.strip():
            written_lines.insert(at, bad)
        body = end.join(written_lines) + (end if last else b"")
        answer = line.send("/v1/events", [], body, cut)
        if (bad is not None and bad.strip()) or not lines:
            assert answer.status in (400, 413, 422), (answer, body[:200])
            assert answer.problem()["detail"]
            return
        assert answer.status == 202, (answer, body[:200])
        told = json.loads(answer.body)
        assert told["accepted"] == len(lines)
        ids = [one["id"] for one in told["data"]]
        line.accepted |= dict(zip(ids, (data for _one, data in lines), strict=True))

    for data in HALVES:
        good = [(b'{"type":"job.failed","data": %b }' % data, data)]
        sent = example(lines=good, end=b"\n", last=True, bad=None, at=1, cut=-1)(sent)
    for bad in BAD_LINES:
        good = [(b'{"type":"job.failed","data": 1 }', b"1")]
        sent = example(lines=good, end=b"\n", last=True, bad=bad, at=1, cut=-1)(sent)
    sent()
    line.check_arrivals()


def test_each_line_is_delivered_to_the_byte_or_none_at_all(line):
    _fuzz_many(line, EXAMPLES // 2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_each_line_is_delivered_to_the_byte_or_none_at_all_for_long(line):
    _fuzz_many(line, MANY_EXAMPLES)


@pytest.mark.parametrize(("count", "status"), [(MAX_LINES, 202), (MAX_LINES + 1, 413)])
def test_so_many_lines_and_no_more(line, count, status):
    body = b'{"type":"job.failed","data":{}}\r\n' * count
    assert line.send("/v1/events", [], body, -1).status == status


# Red when the first such text is taken for the data.
@pytest.mark.parametrize(
    "body",
    [
        rb'{"type":"job.failed","key":"\u0020","data":"\ud800"}',
        rb'{"data":"\ud801","key":"\u0020 ","type":"job.failed"}',
    ],
)
def test_half_a_character_beside_a_key_of_the_same_form(line, body):
    response = line.send("/v1/events", [], body, -1)
    assert response.status == 202, response
    (event,) = json.loads(response.body)["data"]
    line.accepted[event["id"]] = json.dumps(json.loads(body)["data"]).encode()
    line.check_arrivals()


# Red when each of them is tried: a body of such lines kept the server busy for a minute.
def test_half_a_character_beside_thousands_of_keys_is_refused_at_once(line):
    keys = rb'"key":"\u0020",' * 10_000
    response = line.send(
        "/v1/events", [], b"{" + keys + rb'"type":"%b","data":"\ud800"}' % TYPE.encode(), -1
    )
    assert response.status == 400
    assert "a field repeats" in response.problem()["detail"]
