"""Receivers with one misbehaviour each, in a process of their own so that their memory is not ours.

``python -m tests.delivery.misbehaving_receivers`` prints the port of each as one line of JSON and
reads commands: ``misbehave NAME``, and ``behave NAME``, after which the receiver responds to each
request with the SHA-256 of the body. It has plain sockets, for exact bytes and packets.
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

from tests.delivery.misbehaviours import MISBEHAVIOURS, At, Misbehaviour, Visit
from tests.support.certificates import Authority


@dataclass
class MisbehavingReceiver:
    """One receiver behind one port."""

    misbehaviour: Misbehaviour
    server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    misbehaving: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, tls: ssl.SSLContext) -> None:
        """Accept connections; one that never accepts waits until it is to behave."""
        while True:
            select.select([self.server], [], [])  # the kernel has one; nobody accepted it yet
            if self.misbehaving and self.misbehaviour.at is At.BEFORE_ACCEPT:
                self.stop.wait()
            connection, _ = self.server.accept()
            threading.Thread(target=self._meet, args=(connection, tls), daemon=True).start()

    def _meet(self, connection: socket.socket, tls: ssl.SSLContext) -> None:
        # A client that closes first is what these tests are about, no fault.
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_now:
            open_now.enter_context(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.misbehaving and self.misbehaviour.at is At.ACCEPT:
                self._misbehave(connection)
                return
            if self.misbehaviour.tls:
                connection = open_now.enter_context(tls.wrap_socket(connection, server_side=True))
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        while head := _until_blank_line(connection):
            if self.misbehaving and self.misbehaviour.at is At.HEAD:
                self._misbehave(connection)
                return
            body = _exactly(connection, _length(head))
            if self.misbehaving:
                if not self._misbehave(connection):
                    return
                continue
            digest = hashlib.sha256(body).hexdigest().encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + digest)

    def _misbehave(self, connection: socket.socket) -> bool:
        return bool(self.misbehaviour.act(Visit(connection, self.stop)))


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
    """Run until the end of the standard input."""
    with tempfile.TemporaryDirectory() as folder:
        tls = Authority(Path(folder)).server_context("127.0.0.1")
    receivers = {name: MisbehavingReceiver(how) for name, how in MISBEHAVIOURS.items()}
    for receiver in receivers.values():
        threading.Thread(target=receiver.run, args=(tls,), daemon=True).start()
    ports = {name: receiver.server.getsockname()[1] for name, receiver in receivers.items()}
    print(json.dumps(ports), flush=True)
    for line in sys.stdin:
        command, _, name = line.rstrip("\n").partition(" ")
        receiver = receivers[name]
        if command == "misbehave":
            receiver.stop.clear()
        receiver.misbehaving = command == "misbehave"
        if command == "behave":
            receiver.stop.set()
        print("ok", flush=True)


if __name__ == "__main__":
    main()
