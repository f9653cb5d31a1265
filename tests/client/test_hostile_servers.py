"""What stands in for a server and means harm: both clients end with one of our errors, soon, small.

A command and the console are pointed at such a server by ``--connect``, or by whoever replaced it.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from http.client import HTTPConnection

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooktui.client import AsyncClient, Call, PlainClient, ServerAddress, calls
from hooktui.client.responses import MAX_LINE_BYTES, MAX_RESPONSE_BYTES, LineSplitter, read_response
from hooktui.client.sync_client import decoded
from hooktui.domain.errors import HooktuiError, NoServer, Unavailable
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.feed import AttemptLine, FeedLine
from hooktui.domain.wire.hooks import Hook

MIB = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LINES_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LIST, STREAM = calls.list_hooks(1), calls.follow_diagnosis(12)
WAIT_S = 0.5

Script = Callable[[], Iterator[bytes]]


@dataclasses.dataclass
class Hostile:
    """A server that sends the pieces of a script to whoever asks, ``pause_s`` apart."""

    address: ServerAddress
    asked: list[bytes] = dataclasses.field(default_factory=list)


@contextmanager
def hostile(script: Script, pause_s: float = 0.0) -> Iterator[Hostile]:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
        server = Hostile(ServerAddress(host="127.0.0.1", port=port, token="hkt_1_t"))

        def serve() -> None:
            while not ended.is_set():
                with suppress(OSError), listening.accept()[0] as client:
                    client.settimeout(30)
                    server.asked.append(client.recv(65536))
                    for piece in script():
                        if ended.wait(pause_s) if pause_s else ended.is_set():
                            break
                        client.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                pass
            listening.close()
            thread.join(10)


async def plain(address: ServerAddress, call: Call, *, lines: bool) -> object:
    with PlainClient(address) as client:
        if not lines:
            return client.call(call)
        with closing(client.lines(call)) as found:
            return list(found)


async def asynchronous(address: ServerAddress, call: Call, *, lines: bool) -> object:
    async with AsyncClient(address) as client:
        if not lines:
            return await client.call(call)
        async with aclosing(client.lines(call)) as found:
            return [one async for one in found]


both = pytest.mark.parametrize("ask", [plain, asynchronous], ids=["plain", "asynchronous"])


def _whole(body: bytes, *headers: bytes) -> Script:
    lines = b"".join(one + b"\r\n" for one in headers)
    return lambda: iter([HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body])


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _endless(head: bytes, piece: bytes) -> Script:
    return lambda: itertools.chain([head], itertools.repeat(piece))


BLANKS = b" " * MIB
ENDLESS = {
    "body": (_endless(HEAD + b"\r\n", BLANKS), LIST),
    "body of a length": (_endless(HEAD + b"Content-Length: 9999999999\r\n\r\n", BLANKS), LIST),
    "chunks": (_endless(HEAD + CHUNKED, _chunk(BLANKS)), LIST),
    "an error": (_endless(b"HTTP/1.1 500 No\r\n\r\n", BLANKS), LIST),
    "line of headers": (_endless(HEAD + b"X: ", b"a" * MIB), LIST),
    "headers": (_endless(HEAD, b"X-A: 1\r\n" * 1000), LIST),
    "status line": (_endless(b"HTTP/1.1 200 ", b"a" * MIB), LIST),
    "chunk extension": (_endless(HEAD + CHUNKED + b"5;", b"a" * MIB), LIST),
    "line of a stream": (_endless(LINES_HEAD + CHUNKED, _chunk(b"a" * MIB)), STREAM),
    "lines of a stream": (
        _endless(LINES_HEAD + CHUNKED, _chunk(b'{"running":"name"}\n' * 4000)), STREAM,
    ),
    "blank lines of a stream": (_endless(LINES_HEAD + CHUNKED, _chunk(b"\n" * MIB)), STREAM),
    "no stream": (_endless(HEAD + CHUNKED, _chunk(BLANKS)), STREAM),
}  # fmt: skip


# Red for each client without its caps: httpx has none, and unpacks.
@both
@pytest.mark.parametrize("what", ENDLESS)
async def test_what_has_no_end_is_ended(ask, what):
    script, call = ENDLESS[what]
    with hostile(script) as server:
        tracemalloc.start()
        try:
            with pytest.raises(HooktuiError):
                await ask(server.address, call, lines=call is STREAM)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3 * MAX_RESPONSE_BYTES


@both
async def test_a_compressed_response_is_refused_and_not_unpacked(ask):
    bomb = gzip.compress(b" " * (100 * MIB))
    with hostile(_whole(bomb, b"Content-Encoding: gzip")) as server:
        tracemalloc.start()
        try:
            with pytest.raises(NoServer, match="compressed"):
                await ask(server.address, LIST, lines=False)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 10 * MIB
    assert b"accept-encoding: identity\r\n" in server.asked[0].lower()


def _drip(head: bytes, rest: bytes) -> Script:
    return lambda: itertools.chain([head], (bytes([one]) for one in itertools.cycle(rest)))


DRIPS = {
    "status line": (_drip(b"HTTP/1.1 200 ", b"a"), LIST),
    "headers": (_drip(HEAD, b"X-A: 1\r\n"), LIST),
    "interim responses": (_drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), LIST),
    "body": (_drip(HEAD + b"Content-Length: 99999\r\n\r\n", b" "), LIST),
    "body without a length": (_drip(HEAD + b"\r\n", b" "), LIST),
    "chunks": (_drip(HEAD + CHUNKED, b"1\r\n \r\n"), LIST),
    "trailers": (_drip(HEAD + CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: 1\r\n"), LIST),
    "line of a stream": (_drip(LINES_HEAD + CHUNKED, b"1\r\n \r\n"), STREAM),
    "lines of a stream": (_drip(LINES_HEAD + CHUNKED, _chunk(b'{"running":"name"}\n')), STREAM),
}


# Red when the time of a call is for each read: the server drips for as long as it is asked to.
@both
@pytest.mark.parametrize("what", DRIPS)
async def test_who_drips_is_not_waited_for(ask, what):
    script, call = DRIPS[what]
    with hostile(script, pause_s=0.02) as server:
        hurried = dataclasses.replace(call, timeout_s=WAIT_S)
        with pytest.raises(Unavailable, match=r"within 0\.5 s"):
            await ask(server.address, hurried, lines=call is STREAM)


@both
async def test_a_request_that_is_not_read_is_not_waited_for(ask):
    def nothing() -> Iterator[bytes]:
        while True:
            yield b""

    lines = b" " * (32 * MIB)
    call = dataclasses.replace(calls.send_many(1, lines), timeout_s=WAIT_S)
    silent = hostile(nothing, pause_s=0.05)
    with silent as server, pytest.raises(Unavailable, match=r"within 0\.5 s"):
        await ask(server.address, call, lines=False)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


# Red when only errors close the connection: the next call got the end of the interrupted one.
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.call(calls.server_status()),
        lambda client: next(client.lines(calls.follow_diagnosis(1, account=1))),
        lambda client: client.download(calls.backup()).__enter__(),
    ],
    ids=["call", "lines", "download"],
)
def test_a_connection_whose_response_is_interrupted_is_closed(ask, monkeypatch):
    with hostile(lambda: iter([])) as server, PlainClient(server.address) as client:
        monkeypatch.setattr(HTTPConnection, "getresponse", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask(client)
        assert client._connection is None


# Red when it names the longest pause in a file, a minute: the server may need hours for a copy.
def test_a_file_that_does_not_come_names_the_time_that_was_waited():
    def nothing() -> Iterator[bytes]:
        while True:
            yield b""

    call = dataclasses.replace(calls.backup(), timeout_s=WAIT_S)
    with (
        hostile(nothing, pause_s=0.05) as server,
        PlainClient(server.address) as client,
        pytest.raises(Unavailable, match=r"within 0\.5 s"),
        client.download(call),
    ):
        pass


ODD = {
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"data":' * 100_000,
    "a long integer": b'{"data":[],"total":' + b"9" * 100_000 + b"}",
    "a large number": b'{"data":[],"total":1e999}',
    "very many values": b"[" + b"[]," * 4_000_000 + b"[]]",
    "no UTF-8": b'{"data":"\xff\xfe"}',
    "half a character": b'{"data":"\\ud800"}',
    "no JSON": b"\x00\x01",
    "null": b"null",
    "a text": b'"hooks"',
    "no list": b'{"data":{},"total":0}',
}


@both
@pytest.mark.parametrize("what", ODD)
async def test_odd_json_is_no_server_of_ours(ask, what):
    server_answers = hostile(_whole(ODD[what]))
    because = "has over 3,000,000 values" if what == "very many values" else ""
    expected = f"not a hooktui server of this version: .*{because}"
    with server_answers as server, pytest.raises(NoServer, match=expected):
        await ask(server.address, LIST, lines=False)


@both
async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(ask):
    elsewhere = (
        b"HTTP/1.1 307 Go\r\nLocation: /v1/tokens\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    )
    with hostile(lambda: iter([elsewhere])) as server:
        with pytest.raises(NoServer):
            await ask(server.address, LIST, lines=False)
        assert len(server.asked) == 1


async def test_a_cookie_is_not_sent_back():
    script = _whole(b'{"data":[],"next":null,"prev":null,"total":0,"total_is_estimate":false}',
                    b"Set-Cookie: a=b", b"Connection: close")  # fmt: skip
    with hostile(script) as server:
        async with AsyncClient(server.address) as client:
            for _ in range(2):
                await client.call(LIST)
    assert b"cookie" not in server.asked[1].lower()


EVERY_CALL = [
    calls.list_hooks(1), calls.get_hook(1), calls.hook_health(1), calls.dry_run(1, {}),
    calls.create_hook(1, {}), calls.ping_hook(1), calls.diagnose_hook(1), STREAM,
    calls.hook_secrets(1), calls.send_event(1, "a", b""), calls.send_many(1, b""),
    calls.list_events(1), calls.get_event("e"), calls.event_decisions("e"), calls.event_types(),
    calls.list_deliveries(1), calls.get_delivery("d"), calls.list_accounts(),
    calls.create_account("a"), calls.list_tokens(), calls.create_token({}), calls.list_audit(),
    calls.verify_audit(), calls.server_status(), calls.pause(), calls.purge("1d"), calls.checkup(),
    calls.list_keys(), calls.rotate_keys(), calls.follow_feed(1), calls.healthy(),
]  # fmt: skip
NAMES = ["data", "next", "total", "state", "checks", "running", "reset", "id", "name", "delivery"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.sampled_from(EVERY_CALL), JSON)
def test_whatever_json_comes_it_is_a_value_or_one_of_our_errors(call, value):
    body = json.dumps(value).encode()
    address = ServerAddress(host="a")
    with suppress(HooktuiError):
        decoded(
            call, address, read_response(address, 200, {"content-type": "application/json"}, body)
        )


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "hook", "status", "attempts"]), JSON))
def test_whatever_a_change_of_the_feed_holds_it_is_a_value_or_one_of_our_errors(fields):
    line = FeedLine("attempt", "", fields)
    for kind in (AttemptLine, Delivery, Event, Hook):
        with suppress(HooktuiError):
            line.read(kind)


def test_the_type_of_an_error_is_one_of_ours_though_msgspec_has_others():
    with pytest.raises(NoServer, match="cannot read"):
        FeedLine("hook", "", {"id": "x"}).read(Hook)
    assert not issubclass(msgspec.ValidationError, HooktuiError)


def test_a_line_is_put_together_from_any_pieces():
    text = b"one\n\ntwo\nthree"
    for size in range(1, len(text) + 1):
        splitter, lines = LineSplitter(ServerAddress()), []
        for start in range(0, len(text), size):
            lines += splitter.feed(text[start : start + size])
        assert [*lines, splitter.last()] == [b"one", b"two", b"three"]


@pytest.mark.parametrize("piece", [b"a" * MIB, b"a" * (MAX_LINE_BYTES + 1) + b"\n"])
def test_a_line_has_a_bound(piece):
    splitter = LineSplitter(ServerAddress())
    for _ in range(MAX_LINE_BYTES // len(piece)):
        splitter.feed(piece)
    with pytest.raises(NoServer, match="over 4 MiB"):
        splitter.feed(piece)


def _split_s(count: int) -> float:
    splitter = LineSplitter(ServerAddress())
    started = time.thread_time()
    for _ in range(count):
        splitter.feed(b"a")
    return time.thread_time() - started


# Red when what is left of a line is put together with each piece.
def test_a_line_that_comes_in_single_bytes_takes_linear_time():
    few, many = (min(_split_s(count) for _ in range(5)) for count in (20_000, 80_000))
    assert many <= 6 * few
