"""The httpx adapter, and httpx itself as the oracle for well-formed answers."""

from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooktui.delivery.httpx_transport import HooktuiTransport
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_networks
from tests.support.waiting import LIMIT_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def adapted(client):
    async with httpx.AsyncClient(transport=HooktuiTransport(client.transport)) as made:
        yield made


async def test_a_request_of_httpx_goes_out_and_comes_back(adapted, receivers):
    receiver = await receivers.answering(
        b"HTTP/1.1 202 Accepted\r\nX-Name: a\r\nX-Name: b\r\nContent-Length: 2\r\n\r\nok", OK
    )
    url = receiver.target.url
    response = await adapted.post(f"{url}?a=1", json={"id": 1}, headers={"X-Mine": "yes"})
    assert (response.status_code, response.content) == (202, b"ok")
    assert response.headers.get_list("x-name") == ["a", "b"]
    assert response.extensions["hooktui"].size == 2
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /in?a=1 HTTP/1.1\r\n")
    assert b"\r\nX-Mine: yes" in head
    assert b"\r\nAccept-Encoding: identity" in head
    assert head.lower().count(b"content-length") == 1
    assert body == b'{"id":1}'
    assert (await adapted.get(url)).extensions["hooktui"].reused_connection


@pytest.mark.parametrize(
    ("answer", "error", "timeout_s"),
    [
        (b"", httpx.ReadError, LIMIT_S),
        (b"nonsense\r\n\r\n", httpx.RemoteProtocolError, LIMIT_S),
        (b"HTTP/1.1 200 OK\r\n", httpx.ReadTimeout, 2),
    ],
)
async def test_faults_are_the_exceptions_of_httpx(client, receivers, answer, error, timeout_s):
    receiver = await receivers.answering(answer)
    transport = HooktuiTransport(client.transport, timeout_s=timeout_s)
    async with httpx.AsyncClient(transport=transport) as adapted:
        with pytest.raises(error):
            await adapted.post(receiver.target.url)


async def test_a_forbidden_address_is_a_connect_error(clients):
    transport = HooktuiTransport(clients.with_(allowed=()).transport)
    async with httpx.AsyncClient(transport=transport) as adapted:
        with pytest.raises(httpx.ConnectError, match=r"loopback address.*HOOKTUI_ALLOW_NETWORKS"):
            await adapted.post("http://127.0.0.90/")


async def test_redirects_are_answers_and_head_is_not_sent(adapted, receivers):
    receiver = await receivers.answering(
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    )
    assert (await adapted.post(receiver.target.url)).status_code == 302
    with pytest.raises(httpx.UnsupportedProtocol):
        await adapted.head(receiver.target.url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X", b"a\r\nContent-Length: 9"),
        (b"X", b"a\nb"),
        (b"X", b"a\0b"),
        (b"X: y\r\nZ", b"a"),
        (b"X Y", b"a"),
        (b"", b"a"),
    ],
)
async def test_a_header_that_would_begin_another_one_is_not_sent(adapted, receivers, name, value):
    receiver = await receivers.answering(OK)
    with pytest.raises(httpx.LocalProtocolError):
        await adapted.post(receiver.target.url, headers=[(name, value)])
    assert receiver.connections == 0


async def test_headers_of_other_bytes_than_ascii_come_back_as_they_were(adapted, receivers):
    receiver = await receivers.answering(
        b"HTTP/1.1 200 OK\r\nX: caf\xe9\r\nContent-Length: 0\r\n\r\n"
    )
    assert (await adapted.post(receiver.target.url)).headers.raw[0] == (b"X", b"caf\xe9")


_NAME = st.text("abcXYZ019-_!#", min_size=1, max_size=10).map(lambda name: f"X-{name}".encode())
_BLANK = st.sampled_from([b"", b" ", b"\t", b" \t "])
_VALUE = st.lists(
    st.binary(min_size=1, max_size=8).map(
        lambda raw: bytes(33 + b % 94 if b < 161 else b for b in raw)
    ),
    max_size=3,
).map(b" ".join)
_REASON = st.sampled_from([b" OK", b" ", b" Not quite: (right)", b" caf\xe9"])
_INTERIM = st.sampled_from(
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-A: b\r\n\r\n",
    ]
)
_BODILESS = (204, 304)


@dataclass
class Wellformed:
    """An answer as a careful server may write it.

    Attributes:
        stream: its bytes.
        cuts: where it is cut into pieces.
        closes: whether the close is its end.
    """

    stream: bytes
    cuts: list[int]
    closes: bool


@st.composite
def _header(draw):
    return draw(_NAME) + b":" + draw(_BLANK) + draw(_VALUE) + draw(_BLANK)


@st.composite
def _chunks(draw, body):
    """Draw a body in chunks: sizes in either case, extensions, trailers."""
    stream, at = b"", 0
    while at < len(body):
        size = draw(st.integers(1, 100))
        piece = body[at : at + size]
        number = b"%x" % len(piece)
        stream += draw(st.sampled_from([number, number.upper(), b"00" + number]))
        stream += draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"'])) + b"\r\n"
        stream += piece + b"\r\n"
        at += size
    trailers = draw(st.lists(_header(), max_size=3))
    return stream + b"\r\n".join([b"0", *trailers, b"", b""])


@st.composite
def answers(draw):
    """Draw a well-formed answer in one of the framings that HTTP/1.1 knows."""
    status = draw(
        st.sampled_from([200, 201, 202, 204, 205, 302, 304, 400, 410, 429, 500, 503, 599])
    )
    body = b"" if status in (*_BODILESS, 205) else draw(st.binary(max_size=300))
    lines = draw(st.lists(_header(), max_size=draw(st.sampled_from([3, 45]))))
    framing = draw(st.sampled_from(["length", "chunks", "close"]))
    closes = framing == "close"
    if status in _BODILESS:  # as the answer to HEAD: a length may stand there, a body never follows
        lines += draw(st.sampled_from([[], [b"Content-Length: 0"], [b"Content-Length: 7"]]))
        closes = False
    elif framing == "chunks":
        name = draw(st.sampled_from([b"Transfer-Encoding", b"transfer-encoding"]))
        lines.append(name + b": chunked")  # h11 hands "Chunked" on in lower case
        body = draw(_chunks(body))
    elif framing == "length":
        lines.append(
            draw(st.sampled_from([b"Content-Length", b"CONTENT-length"])) + b": %d" % len(body)
        )
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"])) if framing != "chunks" else b"1.1"
    if draw(st.booleans()):
        lines.append(draw(st.sampled_from([b"Connection: close", b"connection: x, Close"])))
        closes = True
    closes = closes or version == b"1.0"
    lines = draw(st.permutations(lines)) if len(lines) < 9 else lines
    begin = b"HTTP/%s %d%s" % (version, status, draw(_REASON))
    interim = b"".join(draw(st.lists(_INTERIM, max_size=3)))
    stream = interim + b"\r\n".join([begin, *lines, b"", body])
    return Wellformed(
        stream, sorted(draw(st.lists(st.integers(1, len(stream)), max_size=4))), closes
    )


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=150,
)
@given(answer=answers())
async def test_well_formed_answers_are_read_as_httpx_reads_them(receivers, answer):
    """And a connection is kept for the next request only where httpx keeps it, too."""

    async def serve(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            for begin, end in pairwise([0, *answer.cuts, len(answer.stream)]):
                writer.write(answer.stream[begin:end])
                await writer.drain()
            if answer.closes:
                return

    mine_to, theirs_to = await receivers.behaving(serve), await receivers.behaving(serve)
    ours = Transport(parse_networks("127.0.0.0/8"), Resolver())
    async with (
        httpx.AsyncClient(transport=HooktuiTransport(ours)) as mine,
        httpx.AsyncClient(trust_env=False, timeout=None) as theirs,
    ):
        for _ in range(2):
            got, expected = (
                await mine.post(mine_to.target.url),
                await theirs.post(theirs_to.target.url),
            )
            assert got.status_code == expected.status_code
            assert got.headers.raw == expected.headers.raw
            assert got.content == expected.content
    assert mine_to.connections >= theirs_to.connections
