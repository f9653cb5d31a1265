"""A small HTTP receiver on loopback that verifies signatures.

Its resources are bounded: 1 MiB for a body, 30 s without a byte of a request. Senders wait while
requests queue to be shown.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.signatures import (
    HASH_OF_DIGITS,
    SignatureCheck,
    check_standard_signature,
    standard_key,
    verify_hook_signature,
)

MAX_BODY_BYTES = 1024 * 1024
_REQUEST_TIMEOUT_S = 30.0
_WAITING = 100


@dataclass(frozen=True, slots=True)
class Received:
    """One request.

    Attributes:
        checks: the result of each signature; empty without a secret.
        verified: whether the request is authentic and recent; None without a secret.
        answer: the status of the response.
    """

    at_ms: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    checks: Mapping[str, SignatureCheck]
    verified: bool | None
    answer: int

    def fields(self) -> dict[str, object]:
        """Return the request as JSON shows it."""
        return {
            "at": to_rfc3339(self.at_ms),
            "method": self.method,
            "path": self.path,
            "headers": [list(pair) for pair in self.headers],
            "body": self.body.decode("utf-8", "backslashreplace"),
            "verified": self.verified,
            "signatures": {name: check == "ok" for name, check in self.checks.items()},
            "stale": "stale" in self.checks.values(),
            "status": self.answer,
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """How a receiver verifies requests.

    Attributes:
        secret: as it is shown.
        tolerance_s: how far ``webhook-timestamp`` may be from now.
    """

    secret: str = field(repr=False)
    tolerance_s: float

    def checks(
        self, headers: Mapping[str, str], body: bytes, now_s: float
    ) -> dict[str, SignatureCheck]:
        """Return the result of each signature that a request has, or should have.

        A ``whsec_`` secret always signs ``webhook-signature``: without that header a captured
        request could be replayed at any time, stripped of its timestamp.

        ``headers`` have lower-case names; ``now_s`` is the receipt in Unix seconds.
        """
        checks: dict[str, SignatureCheck] = {}
        hexadecimal = headers.get("x-hook-signature")
        key = standard_key(self.secret)
        if hexadecimal is not None or key is None:
            digits = (hexadecimal or "").strip().rpartition("=")[2]
            name = HASH_OF_DIGITS.get(len(digits), "sha256")
            good = verify_hook_signature(self.secret, body, digits, name)
            checks["X-Hook-Signature"] = "ok" if good else "mismatch"
        if key is not None:
            checks["webhook-signature"] = check_standard_signature(
                key,
                headers.get("webhook-id", ""),
                headers.get("webhook-timestamp", ""),
                body,
                headers.get("webhook-signature", ""),
                now_s=now_s,
                tolerance_s=self.tolerance_s,
            )
        return checks

    def passes(self, checks: Mapping[str, SignatureCheck], headers: Mapping[str, str]) -> bool:
        """Return whether a request is authentic and recent.

        During a rotation ``webhook-signature`` holds one signature for each live secret, while
        X-Hook-Signature stays with the previous secret: then the former decides alone.
        """
        rotating = len(headers.get("webhook-signature", "").split()) > 1
        if rotating and "webhook-signature" in checks:
            return checks["webhook-signature"] == "ok"
        return all(check == "ok" for check in checks.values())


class VerifyingReceiver:
    """Listens when created; iterate over it for the requests in their order of arrival.

    Args:
        port: 0 for any.
        verification: how to verify; a request that fails gets 401.
        status: the status of all other responses.
        delay_s: how long to wait before the response.

    Raises:
        OSError: the port is taken, or not permitted.
    """

    def __init__(
        self, port: int, verification: Verification | None, status: int, delay_s: float
    ) -> None:
        self._verification = verification
        self._status = status
        self._delay_s = delay_s
        self._received: queue.Queue[Received] = queue.Queue(_WAITING)
        self._server = _Server(("127.0.0.1", port), _Request)
        self._server.take = self._take
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __iter__(self) -> Iterator[Received]:
        while True:
            yield self._received.get()

    def _take(self, request: _Request, body: bytes | None) -> int:
        """Queue a request to be shown, and return the status of its response."""
        headers = tuple(request.headers.items())
        received_ms = now_ms()
        checks: dict[str, SignatureCheck] = {}
        verified = None
        if self._verification is not None and body is not None:
            by_name = {name.lower(): value for name, value in headers}
            checks = self._verification.checks(by_name, body, received_ms / 1000)
            verified = self._verification.passes(checks, by_name)
        answer = 413 if body is None else 401 if verified is False else self._status
        self._received.put(
            Received(
                received_ms, request.command, request.path, headers, body or b"", checks,
                verified, answer,
            )
        )  # fmt: skip
        time.sleep(self._delay_s)
        return answer


class _Server(ThreadingHTTPServer):
    take: Callable[[_Request, bytes | None], int]
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore broken connections; their senders see them."""


class _Request(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _REQUEST_TIMEOUT_S

    def _answer(self) -> None:
        body = self._body()
        status = self.server.take(self, body)
        content = b"" if status in (204, 304) else b"%d\n" % status
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(content)))
        if body is None:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def _body(self) -> bytes | None:
        """Return the body; None if it is too long."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("Content-Length", "0")
        digits = length.isascii() and length.isdigit() and len(length) <= 15
        if not digits or int(length) > MAX_BODY_BYTES:
            return None
        return self._read(int(length))

    def _read(self, size: int) -> bytes:
        """Return so many bytes; a request that its sender broke off is not shown.

        Raises:
            ConnectionError: it ends earlier.
        """
        content = self.rfile.read(size)
        if len(content) < size:
            raise ConnectionError("the sender broke off the request")
        return content

    def _chunks(self) -> bytes | None:
        body = b""
        while True:
            line = self.rfile.readline(1000)
            if not line.endswith(b"\n"):
                raise ConnectionError("the sender broke off the request")
            try:
                size = int(line.partition(b";")[0].strip(), 16)
            except ValueError:
                return None
            if size < 0 or len(body) + size > MAX_BODY_BYTES:
                return None
            if size == 0:
                while self.rfile.readline(1000).strip():
                    pass
                return body
            body += self._read(size)
            self.rfile.readline(10)

    def version_string(self) -> str:
        """Return the value of ``Server``."""
        return "hooktui-listen"

    def log_message(self, *_: object) -> None:
        """Log nothing; requests are shown elsewhere."""
