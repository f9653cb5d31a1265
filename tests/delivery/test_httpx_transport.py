"""The httpx adapter, and httpx itself as the oracle for well-formed answers."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooktui.delivery.httpx_transport import HooktuiTransport
from hooktui.delivery.resolver import Resolver
from hooktui.delivery.transport import Transport
from hooktui.domain.addresses import parse_networks

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
    ("answer", "error"),
    [
        (b"", httpx.ReadError),
        (b"nonsense\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n", httpx.ReadTimeout),
    ],
)
async def test_faults_are_the_exceptions_of_httpx(client, receivers, answer, error):
    receiver = await receivers.answering(answer)
    transport = HooktuiTransport(client.transport, timeout_s=0.3)
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


_TOKEN = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=10).map(
    lambda name: f"X-{name}".encode()
)
_VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20).map(
    str.encode
)


@st.composite
def answers(draw):
    """Draw a well-formed answer in one of the four framings that HTTP/1.1 knows."""
    status = draw(st.sampled_from([200, 201, 204, 302, 400, 410, 429, 500, 503]))
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * draw(st.integers(0, 2))
    headers = draw(st.lists(st.tuples(_TOKEN, _VALUE), max_size=5))
    body = b"" if status == 204 else draw(st.binary(max_size=300))
    framing = draw(st.sampled_from(["length", "chunks", "close", "close with a length"]))
    lines = [b"HTTP/1.1 %d Reason" % status, *(b"%s: %s" % pair for pair in headers)]
    if status == 204:
        framing = "length"
    elif framing == "chunks":
        lines.append(b"Transfer-Encoding: chunked")
        size = draw(st.integers(1, 100))
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        return interim + b"\r\n".join([*lines, b"", chunks + b"0\r\n\r\n"]), True
    elif framing != "close":
        lines.append(b"Content-Length: %d" % len(body))
    if framing.startswith("close"):
        lines.append(b"Connection: close")
    return interim + b"\r\n".join([*lines, b"", body]), framing == "length"


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(answer=answers())
async def test_well_formed_answers_are_read_as_httpx_reads_them(receivers, answer):
    stream, stays_open = answer

    async def once(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stream)
        if stays_open:
            await reader.read()

    receiver = await receivers.behaving(once)
    url = receiver.target.url
    ours = Transport(parse_networks("127.0.0.0/8"), Resolver())
    async with (
        httpx.AsyncClient(transport=HooktuiTransport(ours)) as mine,
        httpx.AsyncClient(trust_env=False) as theirs,
    ):
        got, expected = await mine.post(url), await theirs.post(url)
    assert got.status_code == expected.status_code
    assert got.headers.raw == expected.headers.raw
    assert got.content == expected.content
