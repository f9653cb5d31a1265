"""Servers that a command or a console was led to, and that mean no good.

They answer with what the real server says, every text of it made hostile; with refusals whose words
are hostile; or with what is no answer at all.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx

from tests.support.hostile_texts import TEXTS
from tests.support.receivers import HttpServer

# Lone surrogates aside: the client does not even take such an answer for JSON.
SAID = [text.encode("utf-8", "ignore").decode() for text in TEXTS.values()]
EVERYTHING = "".join(SAID)
_REFUSALS = itertools.cycle((400, 403, 404, 409, 413, 415, 422, 429, 500, 503, 507, 418))
_LEFT = frozenset({"cursor", "next", "kind", "role", "at"})
"""What the client itself goes by."""

Answer = tuple[int, str, bytes]
Say = Callable[[int, object], Answer]


def twisted(status: int, answer: object) -> Answer:
    """Return the answer with hostile text in each of its texts; times and numbers stay."""
    texts = itertools.cycle(SAID)

    def twist(value: object, name: str = "") -> object:
        if isinstance(value, dict):
            return {key: twist(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [twist(one, name) for one in value]
        if isinstance(value, str) and name not in _LEFT and not name.endswith("_at"):
            return f"{next(texts)}{value}{next(texts)}{next(texts)}"
        return value

    return status, "application/json", json.dumps(twist(answer)).encode()


def refusing(status: int, answer: object) -> Answer:
    """Refuse everything but the status, in hostile words."""
    if isinstance(answer, dict) and "backlog" in answer:
        return status, "application/json", json.dumps(answer).encode()
    problem = {
        "type": EVERYTHING,
        "title": EVERYTHING,
        "detail": EVERYTHING,
        "errors": [{"pointer": EVERYTHING, "detail": text} for text in SAID],
    }
    refusal = next(_REFUSALS)
    return refusal, "application/problem+json", json.dumps(problem).encode()


@contextmanager
def hostile_server(home: Path, say: Say) -> Iterator[str]:
    """Run such a server in front of the one of a home; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(home / "hooktui.sock"), verify=False),
                base_url="http://hooktui",
                timeout=40,
            ) as client:
                answer = client.request(self.command, self.path, content=body)
            content = answer.json() if answer.content else None
            status, kind, said = say(answer.status_code, content)
            self.send_response_only(status, "\x1b]0;x\x07")
            self.send_header("Content-Type", kind)
            self.send_header("X-Evil", "\x9b31m")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HttpServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


NO_ANSWERS: dict[str, bytes] = {
    "no http": b"\x1b]0;owned\x07\xe2\x80\xae\n",
    "status line": b"HTTP/1.1 2\x1b[31m\x9b OK\r\n\r\n",
    "version": b"HTTP/\x1b[31m 200 OK\r\n\r\n",
    "content type": b"HTTP/1.1 200 OK\r\nContent-Type: \x1b[31m\x9b\r\nContent-Length: 1\r\n\r\n1",
    "no json": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n"
    b"\x1b[31m",
    "no object": b"HTTP/1.1 500 \x1b[31m\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
    b"\r\n" + b'"\x1b[31m"',
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: \x1b[31m\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[31m\r\n",
    "header": b"HTTP/1.1 200 OK\r\n\x1b[31m\x9b\r\n\r\n",
}


@contextmanager
def senseless_server(said: bytes) -> Iterator[str]:
    """Run a server that says the same bytes to everybody; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(65536)
                        connection.sendall(said)
                    except OSError:
                        continue  # it has gone already

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
