"""Well-formed responses, compared with what httpx reads."""

from dataclasses import dataclass
from itertools import pairwise

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
async def test_well_formed_answers_are_read_as_httpx_reads_them(clients, receivers, answer):
    """And a connection is kept for the next request only where httpx keeps it, too."""

    async def serve(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(len(b"{}"))
            for begin, end in pairwise([0, *answer.cuts, len(answer.stream)]):
                writer.write(answer.stream[begin:end])
                await writer.drain()
            if answer.closes:
                return

    mine_to, theirs_to = await receivers.behaving(serve), await receivers.behaving(serve)
    mine = clients.with_()
    async with httpx.AsyncClient(trust_env=False, timeout=None) as theirs:
        for _ in range(2):
            got = await mine.post(mine_to.target)
            expected = await theirs.post(theirs_to.target.url, content=b"{}")
            assert got.status_code == expected.status_code
            headers = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in expected.headers.raw
            ]
            assert list(got.headers) == headers
            assert got.body == expected.content
    assert mine_to.connections >= theirs_to.connections
