"""Memory of the server while clients try to use it up: bounded, and the next caller is answered.

Measured from outside, of the real process (resident set). The bounds are generous, and far below
what would be held if the guard were not there.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psutil
import pytest

from hooktui.api.bodies import MAX_HELD_BYTES
from hooktui.api.connection import MAX_HEAD_BYTES
from hooktui.api.connection_limiter import MAX_CONNECTIONS
from hooktui.sockets import raise_file_limit
from tests.support.installation import Installation
from tests.support.ports import free_port
from tests.support.waiting import wait_for

MIB = 1 << 20
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Pressed:
    """A server over TCP, and how its memory grew since it was at rest."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.address = "127.0.0.1", free_port()
        installation.start("--listen", f"127.0.0.1:{self.address[1]}")
        self.token = installation.json("tokens", "create", "p", "--role", "producer")["token"]
        assert installation.server is not None
        self.process = psutil.Process(installation.server.pid)
        assert self.answers()
        self._at_rest = self.process.memory_info().rss
        self.most_grown = 0

    def look(self) -> None:
        """Measure now."""
        grown = self.process.memory_info().rss - self._at_rest
        self.most_grown = max(self.most_grown, grown)

    def dial(self) -> socket.socket:
        return socket.create_connection(self.address, 20)

    def answers(self) -> bool:
        """Ask on a connection of its own."""
        with suppress(OSError), self.dial() as client:
            client.sendall(HEALTHZ)
            return client.recv(4096).startswith(b"HTTP/1.1 200 ")
        return False

    def held_connections(self) -> int:
        """Return how many connections the server has open over TCP."""
        port = self.address[1]
        found = self.process.net_connections("tcp")
        return sum(one.laddr.port == port and one.status == "ESTABLISHED" for one in found)

    def event(self, body: bytes = b"", *, length: int | None = None, path: str = "") -> bytes:
        """Return a request that sends events."""
        return (
            f"POST /v1/events{path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self.token}\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        ).encode() + body


@pytest.fixture
def pressed(idle_home: Installation) -> Iterator[Pressed]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_file_limit()
    try:
        one = Pressed(idle_home)
        yield one
        print(f"grew by {one.most_grown / MIB:.1f} MiB")
        assert one.process.is_running()
        wait_for(one.answers, what="the server answers the next caller")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# Red when a head has no bound: each of these sends 8 MiB of one.
def test_heads_without_end_take_no_memory(pressed):
    with ExitStack() as stack:
        for number in range(100):
            client = stack.enter_context(pressed.dial())
            start = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " if number % 2 else b"GET /"
            with suppress(OSError):
                client.sendall(start + b"a" * (8 * MIB))
            pressed.look()
    assert pressed.most_grown < 100 * MIB


def test_the_largest_heads_on_all_connections_take_little(pressed):
    line = b"X-%d: " + b"a" * 900 + b"\r\n"
    head = b"".join(line % number for number in range(MAX_HEAD_BYTES // 1000))
    with ExitStack() as stack:
        clients = [stack.enter_context(pressed.dial()) for _ in range(MAX_CONNECTIONS)]
        for client in clients:  # the deadline of a head begins when a connection is idle
            client.sendall(HEALTHZ)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head)
        wait_for(lambda: pressed.held_connections() >= MAX_CONNECTIONS, what="all are there")
        pressed.look()
    assert pressed.most_grown < 3 * MAX_CONNECTIONS * MAX_HEAD_BYTES


# Red when there is no bound on connections.
def test_idle_connections_are_bounded_and_take_little(pressed):
    asked = MAX_CONNECTIONS * 3 // 2
    with ExitStack() as stack:
        for _ in range(asked):
            client = stack.enter_context(pressed.dial())
            client.sendall(HEALTHZ)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        pressed.look()
        wait_for(lambda: pressed.held_connections() <= MAX_CONNECTIONS, what="idle ones go")
        assert pressed.answers()
    assert pressed.most_grown < 100 * MIB


# Red when bodies are counted one by one only, for each of these alone is small enough.
def test_slow_bodies_share_one_bound(pressed):
    size = 7 * MIB
    count = 3 * MAX_HELD_BYTES // size
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(pressed.dial())
            with suppress(OSError):
                client.sendall(pressed.event(b" " * size, length=size + 1))
            pressed.look()
    assert pressed.most_grown < 2 * MAX_HELD_BYTES

    def taken() -> bool:
        with pressed.dial() as client:
            client.sendall(pressed.event(b"{}", path="/job.failed"))
            return client.recv(4096).startswith(b"HTTP/1.1 202 ")

    wait_for(taken, what="what was held is given back")
