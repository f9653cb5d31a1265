"""Reads a server's response: the JSON of a success, or the error of a problem object.

Both transports use it, so that errors are the same in both.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from hooktui.client.address import ServerAddress
from hooktui.domain.errors import (
    Conflict,
    DiskFull,
    FieldError,
    HooktuiError,
    Malformed,
    NoServer,
    NotAllowed,
    NotFound,
    OlderServer,
    Refused,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from hooktui.domain.paths import START_SERVICE
from hooktui.domain.text import tls_reason

E = TypeVar("E", bound=HooktuiError)

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Ten times the largest page of a server; a longer response is not from hooktui."""

MAX_LINE_BYTES = 4 * 1024 * 1024
"""The longest line is a diagnosis with a body of 16 KiB, about 100 KiB."""
MAX_LINES = 100_000
"""A diagnosis has ten."""
MAX_VALUES = 3_000_000
"""Twice as many as an event to 100,000 hooks has. Two bytes of JSON may take 100 in memory."""

_CLASSES: dict[int, type[HooktuiError]] = {
    kind.status: kind
    for kind in (
        Malformed, Unauthenticated, NotAllowed, NotFound, Conflict, TooLarge, Unsupported, DiskFull,
    )
}  # fmt: skip
_NO_ROUTE = "there is nothing at /"
"""Begins the detail of a 404 for a path that the server does not have: it lacks the whole call."""
_LATER: dict[int, type[TooManyRequests | Unavailable]] = {429: TooManyRequests, 503: Unavailable}
LINES = "application/x-ndjson"
_JSON_TYPES = ("application/json", "application/problem+json")


class Problem(Exception):
    """The cause of an error that a server reported: its problem object (RFC 9457), unchanged."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        super().__init__(str(fields.get("detail", "")))
        self.fields = fields


class UnexpectedResponse(HooktuiError):
    """The server responded with a status that none of our errors has."""

    status = 500
    title = "Unexpected response"


def read_response(
    address: ServerAddress, status: int, headers: Mapping[str, str], body: bytes
) -> object:
    """Return the decoded JSON of a success (None for an empty one).

    ``headers`` have lower-case names; the address is for messages.

    Raises:
        HooktuiError: the class of the status; its ``__cause__`` is the `Problem`.
    """
    if status == 204 or (200 <= status < 300 and not body):
        return None
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise not_ours(address, "its response is compressed, which was not requested")
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _JSON_TYPES:
        raise not_ours(address, f"it responds {status} with {content_type or 'no content type'}")
    content = _json(address, body, "its response")
    if 200 <= status < 300:
        return content
    if not isinstance(content, dict):
        raise not_ours(address, f"it responds {status} without a problem object")
    raise _error_of(address, status, headers, content) from Problem(content)


def comes_in_lines(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a response, with lower-case names of headers, is one of lines."""
    return status == 200 and headers.get("content-type", "").partition(";")[0].strip() == LINES


def read_line(address: ServerAddress, line: bytes | str) -> object:
    """Return the decoded JSON of one line.

    Raises:
        HooktuiError: the line contains a ``problem``, or is not JSON.
    """
    content = _json(address, line, "a line of its response")
    problem = content.get("problem") if isinstance(content, dict) else None
    if isinstance(problem, dict):
        status = problem.get("status")
        raise _error_of(address, status if isinstance(status, int) else 500, {}, problem)
    return content


def _json(address: ServerAddress, text: bytes | str, what: str) -> object:
    """Return the value of a JSON text, unless it would take too much memory."""
    if len(text) > MAX_VALUES:
        data = text.encode() if isinstance(text, str) else text
        if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise not_ours(address, f"{what} has over {MAX_VALUES:,} values")
    try:
        content: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise not_ours(address, f"{what} is not JSON: {error}") from error
    except RecursionError as error:
        raise not_ours(address, f"{what} is nested too deeply") from error
    return content


def too_large(address: ServerAddress) -> NoServer:
    """Return the error for a response that is longer than any of a hooktui server."""
    return not_ours(address, f"its response is over {MAX_RESPONSE_BYTES >> 20} MiB")


class LineSplitter:
    """Splits a response into lines as its bytes arrive, in linear time."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._parts: list[bytes] = []
        self._line_bytes = self._bytes = self._lines = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that end in a piece, without blank ones.

        Raises:
            NoServer: a line or the response is too long.
        """
        self._bytes += len(piece)
        if self._bytes > MAX_RESPONSE_BYTES:
            raise too_large(self._address)
        head, *others = piece.split(b"\n")
        lines: list[bytes] = []
        if others:
            lines = [b"".join([*self._parts, head]), *others[:-1]]
            self._parts, self._line_bytes = [], 0
            head = others[-1]
        if head:
            self._parts.append(head)
            self._line_bytes += len(head)
        if max([self._line_bytes, *map(len, lines)]) > MAX_LINE_BYTES:
            raise not_ours(
                self._address, f"a line of its response is over {MAX_LINE_BYTES >> 20} MiB"
            )
        self._lines += len(lines)
        if self._lines > MAX_LINES:
            raise not_ours(self._address, f"its response has over {MAX_LINES:,} lines")
        return list(filter(None, lines))

    def last(self) -> bytes:
        """Return the bytes after the last line break."""
        return b"".join(self._parts)


def not_ours(address: ServerAddress, why: str) -> NoServer:
    """Return the error for a response of another program, such as a proxy."""
    return _mark_unknown(
        _listening(f"the server at {address} is not a hooktui server of this version: {why}")
    )


def _listening(detail: str) -> NoServer:
    error = NoServer(detail)
    error.listens = True
    return error


def _error_of(
    address: ServerAddress, status: int, headers: Mapping[str, str], problem: Mapping[str, object]
) -> HooktuiError:
    detail = str(problem.get("detail") or problem.get("title") or f"the server responded {status}")
    if status == Refused.status:
        return Refused(detail, _field_errors(problem.get("errors")))
    if status == Unauthenticated.status and address.socket is None and address.token is None:
        return Unauthenticated(
            f"{address} requires a token; set HOOKTUI_TOKEN (an admin creates one with"
            " `hooktui tokens create`)"
        )
    if status == NotFound.status and detail.startswith(_NO_ROUTE):
        return OlderServer(
            f"the server at {address} is older than this command and cannot do this; restart it"
            " with this version"
        )
    later = _LATER.get(status)
    if later is not None:
        seconds = headers.get("retry-after", "")
        return later(detail, int(seconds) if seconds.isascii() and seconds.isdigit() else 1)
    error = _CLASSES.get(status, UnexpectedResponse)(detail)
    return _mark_unknown(error) if isinstance(error, UnexpectedResponse) else error


def _field_errors(errors: object) -> list[FieldError]:
    if not isinstance(errors, list):
        return []
    return [
        FieldError(str(error.get("pointer", "")), str(error.get("detail", "")))
        for error in errors
        if isinstance(error, dict)
    ]


_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL reports, by its version, for a response that is not TLS."""


def no_connection(address: ServerAddress, error: OSError) -> HooktuiError:
    """Return the error for a connection that could not be opened."""
    if error.errno in (errno.EACCES, errno.EPERM) and address.socket is not None:
        return NotAllowed(
            f"permission denied for {address}; ask its owner to add you to the group of that socket"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _listening(
            f"{address} shows a certificate that is not trusted: {error.verify_message};"
            " SSL_CERT_FILE can name another authority"
        )
    if isinstance(error, ssl.SSLError) and error.reason in _NOT_TLS:
        return _listening(
            f"the server at {address} does not use TLS; use http:// on this machine, or set up TLS"
            " for the server"
        )
    if address.socket is None:
        return NoServer(f"no server responds at {address}: {reason(error)}; check --connect")
    if address.is_service:
        return NoServer(
            f"the hooktui service is not running ({reason(error)}: {address}); start it with:"
            f" {START_SERVICE}"
        )
    return NoServer(f"no server responds at {address}; start one with: hooktui serve")


def broken_off(address: ServerAddress, error: Exception) -> NoServer:
    """Return the error for a connection that ended before the response was complete."""
    tls = address.socket is None and address.scheme == "http"
    https = address.origin.replace("http", "https", 1)
    hint = f"; if it uses TLS, the address is {https}" if tls else ""
    return _mark_unknown(
        NoServer(
            f"the server at {address} closed the connection before it responded"
            f" ({reason(error)}){hint}"
        )
    )


def too_slow(address: ServerAddress, timeout_s: float, *, began: bool) -> Unavailable:
    """Return the error for a response that did not come in time; ``began``: a part of it did."""
    if began:
        return _mark_unknown(
            Unavailable(
                f"the server at {address} did not finish its response within {timeout_s:g} s"
            )
        )
    return _mark_unknown(not_reached(address, timeout_s))


def not_reached(address: ServerAddress, timeout_s: float) -> Unavailable:
    """Return the error for a connection that was not opened in time."""
    return Unavailable(f"the server at {address} did not respond within {timeout_s:g} s")


def _mark_unknown(error: E) -> E:
    error.outcome_unknown = True
    return error


@contextmanager
def explain_unknown_outcome(*, changes: bool) -> Iterator[None]:
    """Mark an error of a call that ``changes`` something, which may have been carried out."""
    try:
        yield
    except HooktuiError as error:
        if changes and error.outcome_unknown:
            error.detail += "; it may have carried out the request: check before you repeat it"
            error.args = (error.detail,)
        raise


def reason(error: Exception) -> str:
    """Return the reason in words: the system's text for an ``OSError``."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {tls_reason(error)}"
    text = error.strerror if isinstance(error, OSError) else None
    return text or str(error) or type(error).__name__
