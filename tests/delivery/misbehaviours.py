"""What a misbehaving receiver does, and how the attempt must end.

A receiver misbehaves at one moment of a connection: before it is accepted, right after, when the
head of the request is read, or the whole request; if need be until it is told to stop.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import repeat

from hooktui.domain.deliveries import ErrorClass

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
PAUSE_S = 0.02


class At(Enum):
    """When a receiver misbehaves."""

    BEFORE_ACCEPT = auto()
    ACCEPT = auto()
    HEAD = auto()
    REQUEST = auto()


class Visit:
    """A connection of a misbehaving receiver."""

    def __init__(self, connection: socket.socket, stop: threading.Event) -> None:
        self._connection = connection
        self._stop = stop

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def wait(self) -> None:
        """Do nothing until the end."""
        self._stop.wait(10)

    def pause(self) -> bool:
        """Wait a moment; False when it is time to stop."""
        return not self._stop.wait(PAUSE_S)

    def flood(self, piece: bytes) -> None:
        """Send without end, as fast as it is taken."""
        many = piece * (65536 // len(piece) + 1)
        while not self._stop.is_set():
            self.send(many)

    def trickle(self, pieces: Iterable[bytes]) -> None:
        """Send piece by piece, with a pause after each, then wait."""
        for piece in pieces:
            self.send(piece)
            if not self.pause():
                return
        self.wait()

    def half_close(self) -> None:
        self._connection.shutdown(socket.SHUT_WR)
        self.wait()

    def reset(self) -> None:
        """Let go what was sent, then break off without a goodbye."""
        self.pause()
        linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.close()

    def read(self, size: int) -> None:
        self._connection.recv(size)


Act = Callable[[Visit], object]


@dataclass(frozen=True)
class Misbehaviour:
    """One misbehaviour.

    Attributes:
        ends: the error classes that an attempt may end with; None stands for delivered.
        act: what it does; returns True when it goes on with the connection.
        at: when.
        tls: whether the receiver speaks TLS.
        body: bytes of the request that it gets.
    """

    ends: frozenset[ErrorClass | None]
    act: Act
    at: At = At.REQUEST
    tls: bool = False
    body: int = 2


MISBEHAVIOURS: dict[str, Misbehaviour] = {}


def _add(
    name: str,
    *ends: ErrorClass | None,
    at: At = At.REQUEST,
    tls: bool = False,
    body: int = 2,
) -> Callable[[Act], Act]:
    def take(act: Act) -> Act:
        assert name not in MISBEHAVIOURS
        MISBEHAVIOURS[name] = Misbehaviour(frozenset(ends), act, at, tls, body)
        return act

    return take


def _sends(name: str, error: ErrorClass | None, data: bytes, *, tls: bool = False) -> None:
    """Add a receiver that sends these bytes and then neither speaks nor closes."""

    def act(visit: Visit) -> None:
        visit.send(data)
        visit.wait()

    _add(name, error, tls=tls)(act)


def _floods(
    name: str, error: ErrorClass | None, start: bytes, piece: bytes, *, tls: bool = False
) -> None:
    def act(visit: Visit) -> None:
        visit.send(start)
        visit.flood(piece)

    _add(name, error, tls=tls)(act)


def _trickles(name: str, start: bytes, piece: bytes) -> None:
    def act(visit: Visit) -> None:
        visit.send(start)
        visit.trickle(repeat(piece))

    _add(name, ErrorClass.TIMEOUT)(act)


PROTOCOL, TIMEOUT, RESET = ErrorClass.PROTOCOL, ErrorClass.TIMEOUT, ErrorClass.RESET
TOO_LARGE, TLS, STATUS = ErrorClass.RESPONSE_TOO_LARGE, ErrorClass.TLS, ErrorClass.STATUS

# Nothing, or not yet

_add("hangs before it accepts", TIMEOUT, at=At.BEFORE_ACCEPT)(Visit.wait)
_add("accepts and says nothing", TIMEOUT, at=At.ACCEPT)(Visit.wait)
_add("reads nothing of a large body", TIMEOUT, at=At.HEAD, body=262_144)(Visit.wait)
_add("reads the request and says nothing", TIMEOUT)(Visit.wait)
_sends("stops after the status line", TIMEOUT, OK)
_sends("stops in the middle of a header", TIMEOUT, OK + b"Content-Le")
_sends("stops before the body", TIMEOUT, OK + b"Content-Length: 5\r\n\r\n")
_sends("stops within the body", TIMEOUT, OK + b"Content-Length: 5\r\n\r\nhel")
_sends("leaves the last chunk out", TIMEOUT, CHUNKED + b"5\r\nhello\r\n")
_sends("leaves the end of the trailers out", TIMEOUT, CHUNKED + b"0\r\nA: b\r\n")
_sends("keeps a body without length open", TIMEOUT, OK + b"\r\nhello")
_sends("continues and says nothing more", TIMEOUT, b"HTTP/1.1 100 Continue\r\n\r\n")

# Slowly

_trickles("sends a head byte by byte", OK + b"X: ", b"y")
_trickles("sends headers one by one", OK, b"X: y\r\n")
_trickles("sends a body byte by byte", OK + b"Content-Length: 1000\r\n\r\n", b"x")
_trickles("sends a body without length byte by byte", OK + b"\r\n", b"x")
_trickles("sends chunks one by one", CHUNKED, b"1\r\nx\r\n")
_trickles("sends 103 after 103", b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")
_trickles("sends blank lines one by one", b"", b"\r\n")

# Without end

_floods("floods with 103", TOO_LARGE, b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
_floods("floods with 100", TOO_LARGE, b"", b"HTTP/1.1 100 Continue\r\n\r\n")
_floods("floods with blank lines", TOO_LARGE, b"", b"\r\n")
_floods("floods with headers", TOO_LARGE, OK, b"X: y\r\n")
_floods("sends a header name without end", TOO_LARGE, OK, b"n")
_floods("sends a header value without end", TOO_LARGE, OK + b"X: ", b"v")
_floods("sends a reason without end", TOO_LARGE, b"HTTP/1.1 200 ", b"O")
_floods("sends a body without end", None, OK + b"\r\n", b"x")
_floods("sends a long body", None, OK + b"Content-Length: 99999999999\r\n\r\n", b"x")
_floods("sends chunks without end", None, CHUNKED, b"1\r\nx\r\n")
_floods("sends one chunk without end", None, CHUNKED + b"FFFFFFFFFFFFFFF\r\n", b"x")
_floods("sends a chunk extension without end", None, CHUNKED + b"1;e=", b"e")
_floods("sends chunk extensions without end", None, CHUNKED, b"1;%s\r\nx\r\n" % (b"e" * 500))
_floods("sends leading zeros of a chunk size without end", None, CHUNKED, b"0")
_floods("sends trailers without end", None, CHUNKED + b"0\r\n", b"A: b\r\n")
_floods("sends an endless error", STATUS, b"HTTP/1.1 500 No\r\n\r\n", b"x")
_floods("sends a body without end over TLS", None, OK + b"\r\n", b"x", tls=True)
_sends("sends 9,000 headers", TOO_LARGE, OK + b"X: y\r\n" * 9000 + EMPTY)
_sends("sends a cookie of a megabyte", TOO_LARGE, OK + b"Set-Cookie: %s\r\n" % (b"c" * 1_000_000))
_sends(
    "wants a long pause",
    STATUS,
    b"HTTP/1.1 429 No\r\nRetry-After: %s\r\n" % (b"9" * 60_000) + EMPTY,
)


# What is packed is stored as it came


def _packed(kind: bytes, data: bytes) -> bytes:
    return OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(data)) + data


ZEROS = b"\0" * 5_000_000
_sends("sends a gzip bomb", None, _packed(b"gzip", gzip.compress(ZEROS)))
_sends("sends a deflate bomb", None, _packed(b"deflate", zlib.compress(ZEROS)))
_sends(
    "sends a bomb in a bomb",
    None,
    _packed(b"gzip, gzip", gzip.compress(gzip.compress(ZEROS))),
)

# No answer of HTTP/1.1

_sends(
    "switches protocols", PROTOCOL, b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"
)
_sends("switches protocols without a word", PROTOCOL, b"HTTP/1.1 101 S\r\n\r\n")
_sends("speaks HTTP/0.9", PROTOCOL, b"<html>hello</html>\r\n")
_sends("says it speaks HTTP/0.9", PROTOCOL, b"HTTP/0.9 200 OK\r\n" + EMPTY)
_sends("says it speaks HTTP/2", PROTOCOL, b"HTTP/2.0 200 OK\r\n" + EMPTY)
_sends("says it speaks HTTP/1.2", PROTOCOL, b"HTTP/1.2 200 OK\r\n" + EMPTY)
_sends("speaks HTTP/2", PROTOCOL, b"\0\0\x12\x04\0\0\0\0\0" + b"\0\x03\0\0\0\x64" * 3)
_sends("sends the preface of HTTP/2", PROTOCOL, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_sends("sends a request", PROTOCOL, b"POST / HTTP/1.1\r\nHost: x\r\n" + EMPTY)
_sends("speaks RTSP", PROTOCOL, b"RTSP/1.0 200 OK\r\n" + EMPTY)
_sends("speaks ICE", PROTOCOL, b"ICE/1.0 200 OK\r\n" + EMPTY)
_sends("speaks SSH", PROTOCOL, b"SSH-2.0-OpenSSH_9.2\r\n")
_sends("speaks TLS", PROTOCOL, b"\x15\x03\x03\0\x02\x02\x46")
_sends("speaks UTF-16", PROTOCOL, (OK + EMPTY).decode().encode("utf-16"))
_sends("writes http in lower case", PROTOCOL, b"http/1.1 200 OK\r\n" + EMPTY)
_sends("has a status of two digits", PROTOCOL, b"HTTP/1.1 20 OK\r\n" + EMPTY)
_sends("has a status of four digits", PROTOCOL, b"HTTP/1.1 2000 OK\r\n" + EMPTY)
_sends("has a status of zero", PROTOCOL, b"HTTP/1.1 000 OK\r\n" + EMPTY)
_sends("has a negative status", PROTOCOL, b"HTTP/1.1 -20 OK\r\n" + EMPTY)
_sends("has the status 99", PROTOCOL, b"HTTP/1.1 099 OK\r\n" + EMPTY)
_sends("has the status 999", STATUS, b"HTTP/1.1 999 No\r\n" + EMPTY)

for _name, _header in {
    "with a bare line feed": b"X: y\nA: b",
    "with bare line feeds only": b"X: y\n\n",
    "with a bare carriage return": b"X: y\rz",
    "with a NUL": b"X: a\0b",
    "with an escape": b"X: \x1b]52;c;aGk=\x07",
    "with a NUL in its name": b"X\0: a",
    "with a space in its name": b"X Y: a",
    "with a space before the colon": b"X : a",
    "without a colon": b"XY",
    "without a name": b": a",
    "in Latin-1": b"\xdc: a",
    "that is folded": b"X: a\r\n b",
    "with two lengths": b"Content-Length: 0\r\nContent-Length: 1",
    "with the same length twice": b"Content-Length: 0\r\nContent-Length: 0",
    "with a list of lengths": b"Content-Length: 0, 0",
    "with a negative length": b"Content-Length: -1",
    "with a plus in its length": b"Content-Length: +0",
    "with a length in hex": b"Content-Length: 0x0",
    "with a length of nothing": b"Content-Length: ",
    "with a length past 64 bits": b"Content-Length: 18446744073709551617",
    "with a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "with chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
}.items():
    _sends(f"sends a header {_name}", PROTOCOL, OK + _header + b"\r\n\r\n0\r\n\r\n")

for _name, _chunk in {
    "of no size": b"\r\nx\r\n",
    "of a negative size": b"-1\r\nx\r\n",
    "of a size that is no number": b"zz\r\nx\r\n",
    "of a size past 64 bits": b"10000000000000001\r\nx\r\n",
    "with a size in C": b"0x1\r\nx\r\n",
    "that ends in a line feed": b"1\nx\n0\n\n",
    "longer than its size": b"1\r\nxy\r\n",
    "with a broken extension": b'1;a="b\r\n"\r\nx\r\n',
    "and a length among the trailers": b"0\r\nContent-Length: 7\r\n\r\n",
}.items():
    _sends(f"sends a chunk {_name}", PROTOCOL, CHUNKED + _chunk)


# Breaking off, at each moment

_CUTS = {
    "before any response": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the head": OK + b"X: y\r\n",
    "in the body": OK + b"Content-Length: 10\r\n\r\nhello",
    "in a chunk": CHUNKED + b"5\r\nhel",
    "between chunks": CHUNKED + b"5\r\nhello\r\n",
    "after a 103": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


def _cuts(how: str, where: str, sent: bytes, end: Act, *, tls: bool = False) -> None:
    def act(visit: Visit) -> None:
        visit.send(sent)
        end(visit)

    over = " over TLS" if tls else ""
    ends = {RESET, TLS} if tls else {RESET}
    _add(f"{how} {where}{over}", *ends, tls=tls)(act)


for _where, _sent in _CUTS.items():
    _cuts("closes", _where, _sent, lambda visit: None)
    _cuts("resets", _where, _sent, Visit.reset)
    _cuts("half-closes", _where, _sent, Visit.half_close)
    _cuts("closes", _where, _sent, lambda visit: None, tls=True)
_cuts("resets", "in the body", _CUTS["in the body"], Visit.reset, tls=True)

_add("closes at accept", RESET, at=At.ACCEPT)(lambda visit: None)
_add("half-closes at accept", RESET, at=At.ACCEPT)(Visit.half_close)
_add("resets at accept", RESET, ErrorClass.CONNECT, at=At.ACCEPT)(Visit.reset)
_add("closes with a large body unread", RESET, at=At.HEAD, body=262_144)(lambda visit: None)
_add("resets within a large body", RESET, at=At.HEAD, body=262_144)(Visit.reset)


# Too early


@_add("speaks before it is asked", PROTOCOL, at=At.ACCEPT)
def _banner(visit: Visit) -> None:
    visit.send(b"220 mail.example ESMTP\r\n")
    visit.wait()


@_add("answers before it is asked", PROTOCOL, None, at=At.ACCEPT)
def _answers_nothing(visit: Visit) -> None:
    visit.send(OK + EMPTY)
    visit.wait()


@_add("answers before it has read a large body", STATUS, at=At.HEAD, body=262_144)
def _early(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\n" + EMPTY)
    visit.wait()


@_add("answers, and closes with a large body unread", STATUS, RESET, at=At.HEAD, body=262_144)
def _early_and_away(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\n" + EMPTY)


@_add("answers, and half-closes with a large body unread", STATUS, at=At.HEAD, body=262_144)
def _early_and_half_away(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\n" + EMPTY)
    visit.half_close()


# Too much: the answer stands, its connection is not used again

_sends("sends a second answer", None, OK + EMPTY + b"HTTP/1.1 299 Forged\r\n" + EMPTY)
_sends("sends half a second answer", None, OK + EMPTY + b"HTTP/1.1 2")
_sends("sends a hundred answers", None, (OK + EMPTY) * 100)
_sends("sends a body after a length of 0", None, OK + EMPTY + b"hello")
_sends("sends more than its length", None, OK + b"Content-Length: 2\r\n\r\nhello")
_sends("sends a body after 204", None, b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello")
_sends(
    "sends chunks after 204", None, CHUNKED.replace(b"200 OK", b"204 No") + b"1\r\nx\r\n0\r\n\r\n"
)
_sends(
    "sends a body after 304",
    ErrorClass.REDIRECT,
    b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nhello",
)
_sends(
    "sends a second answer behind the cap",
    None,
    OK + b"Content-Length: 65493\r\n\r\n" + b"x" * 65_493 + b"HTTP/1.1 299 Forged\r\n" + EMPTY,
)
_sends("says close and stays", None, OK + b"Connection: close\r\n" + EMPTY)
_sends("answers in HTTP/1.0 and stays", None, b"HTTP/1.0 200 OK\r\n" + EMPTY)


@_add("sends a second answer by and by", None)
def _forges_slowly(visit: Visit) -> None:
    visit.send(OK + EMPTY + b"HTTP/1.1 299 For")
    visit.trickle([b"ged\r\n", EMPTY])


@_add("says keep-alive and closes", None)
def _lies_and_closes(visit: Visit) -> None:
    visit.send(OK + b"Connection: keep-alive\r\n" + EMPTY)


@_add("says keep-alive and half-closes", None)
def _lies_and_half_closes(visit: Visit) -> None:
    visit.send(OK + b"Connection: keep-alive\r\n" + EMPTY)
    visit.half_close()


@_add("says keep-alive and resets", None)
def _lies_and_resets(visit: Visit) -> None:
    visit.send(OK + b"Connection: keep-alive\r\n" + EMPTY)
    visit.reset()


@_add("is honest in odd ways", None)
def _honest(visit: Visit) -> bool:
    visit.send(b"\r\nHTTP/1.1 200\r\ncontent-LENGTH:0\r\nX:\r\nX:\t y\xe9 \r\n\r\n")
    return True


# TLS, or what is said to be

_add("says nothing in the handshake", TIMEOUT, at=At.ACCEPT, tls=True)(Visit.wait)
_add("closes before the handshake", TLS, at=At.ACCEPT, tls=True)(lambda visit: None)
_add("resets before the handshake", TLS, ErrorClass.CONNECT, at=At.ACCEPT, tls=True)(Visit.reset)

for _name, _garbage in {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeros": b"\0" * 100_000,
    "noise": bytes(range(256)) * 400,
    "an alert": b"\x15\x03\x03\0\x02\x02\x28",
    "half a record": b"\x16\x03\x03\xff\xff" + b"\x02" * 70_000,
    "a huge handshake message": b"\x16\x03\x03\x40\0\x02\xff\xff\xff" + b"\0" * 16_380,
    "data before the handshake": b"\x17\x03\x03\0\x05hello",
    "its own hello back": b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
}.items():

    def _answer_with(visit: Visit, garbage: bytes = _garbage) -> None:
        visit.read(517)
        visit.send(garbage)
        visit.wait()

    _add(f"answers a handshake with {_name}", TLS, TIMEOUT, at=At.ACCEPT, tls=True)(_answer_with)


@_add("shakes hands byte by byte", TIMEOUT, at=At.ACCEPT, tls=True)
def _slow_handshake(visit: Visit) -> None:
    visit.read(517)
    visit.send(b"\x16\x03\x03\x40\0\x02\0\x3f\xfc")
    with contextlib.suppress(OSError):
        visit.trickle(repeat(b"\x03"))


@_add("sends alerts without end", TLS, TIMEOUT, at=At.ACCEPT, tls=True)
def _warns(visit: Visit) -> None:
    visit.read(517)
    visit.flood(b"\x15\x03\x03\0\x02\x01\x5a")


@_add("shakes hands and says nothing", TIMEOUT, tls=True)
def _silent_in_tls(visit: Visit) -> None:
    visit.wait()
