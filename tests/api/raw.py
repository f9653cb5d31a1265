"""Bytes to a server as they are written, and the answers that come back."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hooktui import sockets
from tests.support.running_server import RunningServer

Dial = Callable[[], socket.socket]


@dataclass(frozen=True)
class Answer:
    """One answer of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, object]:
        """Return the problem object that it is."""
        assert self.headers["content-type"] == "application/problem+json", self
        found = json.loads(self.body)
        assert found["status"] == self.status
        return found


def unix(server: RunningServer) -> socket.socket:
    """Return a connection to the Unix socket."""
    return sockets.connect(server.paths.socket, 15)


def tcp(server: RunningServer) -> socket.socket:
    """Return a connection over TCP."""
    return socket.create_connection(server.listen[0][:2], 15)


def say(client: socket.socket, data: bytes) -> None:
    """Send as much as the server takes; it may have hung up already."""
    with suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(data)


def hear(client: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    heard = b""
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            heard += part
    return heard


def answers_in(heard: bytes) -> list[Answer]:
    """Return the answers in what was heard; each says how long it is."""
    found = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, *_ = first.split(" ")
        assert version == "HTTP/1.1", heard[:200]
        if status == "100":
            heard = rest
            continue
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        size = int(headers.get("content-length", 0))
        found.append(Answer(int(status), headers, rest[:size]))
        heard = rest[size:]
    return found


def told(client: socket.socket, data: bytes) -> list[Answer]:
    """Return all answers to some bytes, once the server has closed the connection."""
    say(client, data)
    return answers_in(hear(client))


def next_answer(client: socket.socket) -> Answer:
    """Return one answer; the connection may go on."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        part = client.recv(65536)
        assert part, f"the connection ended: {heard!r}"
        heard += part
    while True:
        (answer,) = answers_in(heard)
        if len(answer.body) >= int(answer.headers.get("content-length", 0)):
            return answer
        heard += client.recv(65536)
