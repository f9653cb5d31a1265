"""Receivers with one bad habit each, in a process of their own: what they use is not our memory.

``python -m tests.delivery.zoo`` prints one line of JSON, the port of each animal, and then obeys:
``wild NAME`` lets it misbehave, ``tame NAME`` ends whatever it does and makes it an honest receiver
that answers each request with the SHA-256 of the body. Plain sockets in threads, so that a habit is
exactly the bytes and the packets that stand here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import select
import socket
import ssl
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.delivery.habits import HABITS, At, Habit, Visit
from tests.support.certificates import Authority


@dataclass
class Animal:
    """One habit behind one port."""

    habit: Habit
    server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    wild: bool = False
    tamed: threading.Event = field(default_factory=threading.Event)

    def run(self, tls: ssl.SSLContext) -> None:
        """Accept connections for ever; one that never accepts waits until it is tame."""
        while True:
            select.select([self.server], [], [])  # the kernel has one; nobody accepted it yet
            if self.wild and self.habit.at is At.BEFORE_ACCEPT:
                self.tamed.wait()
            connection, _ = self.server.accept()
            threading.Thread(target=self._meet, args=(connection, tls), daemon=True).start()

    def _meet(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        # A client that closes first is what these tests are about, not a fault of the zoo.
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_now:
            open_now.enter_context(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.wild and self.habit.at is At.ACCEPT:
                self._misbehave(connection)
                return
            if self.habit.tls:
                connection = open_now.enter_context(tls.wrap_socket(connection, server_side=True))
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        while head := _until_blank_line(connection):
            if self.wild and self.habit.at is At.HEAD:
                self._misbehave(connection)
                return
            body = _exactly(connection, _length(head))
            if self.wild:
                if not self._misbehave(connection):
                    return
                continue
            digest = hashlib.sha256(body).hexdigest().encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + digest)

    def _misbehave(self, connection: socket.socket) -> bool:
        return bool(self.habit.act(Visit(connection, self.tamed)))


def _until_blank_line(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def _exactly(connection: socket.socket, size: int) -> bytes:
    body = b""
    while len(body) < size:
        piece = connection.recv(size - len(body))
        if not piece:
            raise ConnectionResetError
        body += piece
    return body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    """Open the zoo; it closes with its standard input."""
    with tempfile.TemporaryDirectory() as folder:
        tls = Authority(Path(folder)).server_context("127.0.0.1")
    animals = {name: Animal(habit) for name, habit in HABITS.items()}
    for animal in animals.values():
        threading.Thread(target=animal.run, args=(tls,), daemon=True).start()
    ports = {name: animal.server.getsockname()[1] for name, animal in animals.items()}
    print(json.dumps(ports), flush=True)
    for line in sys.stdin:
        order, _, name = line.rstrip("\n").partition(" ")
        animal = animals[name]
        if order == "wild":
            animal.tamed.clear()
        animal.wild = order == "wild"
        if order == "tame":
            animal.tamed.set()
        print("ok", flush=True)


if __name__ == "__main__":
    main()
