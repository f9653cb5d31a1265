"""The synchronous client, on ``http.client`` only: quick to import, for commands and scripts."""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import struct
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from hooktui import __version__, sockets
from hooktui.client.address import ServerAddress
from hooktui.client.calls import Call
from hooktui.client.download import IDLE_S, Download, announced
from hooktui.client.responses import (
    MAX_RESPONSE_BYTES,
    LineSplitter,
    broken_off,
    comes_in_lines,
    explain_unknown_outcome,
    no_connection,
    not_ours,
    not_reached,
    read_line,
    read_response,
    reason,
    too_large,
    too_slow,
)
from hooktui.domain.errors import NotAllowed

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

API_REVISION = 2
"""What this client reads; see ``is_of_revision_1`` of the server."""

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
_PIECE_BYTES = 64 * 1024


class _SocketConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Open the socket, whose path may have any length."""
        self.sock = sockets.connect(self._path, CONNECT_TIMEOUT_S)


class _TimedSocket:
    """A connected socket with a deadline for everything, or a timeout for each read.

    The timeout of a socket applies to each read, so a server that sends a byte now and then would
    block a command forever.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._deadline: float | None = None
        self._idle_s: float | None = None

    def set_deadline(self, seconds: float) -> None:
        """Set one deadline for all later operations."""
        self._deadline, self._idle_s = time.monotonic() + seconds, None

    def set_idle(self, seconds: float) -> None:
        """Set a timeout for each read and write."""
        self._deadline, self._idle_s = None, seconds

    def before_use(self) -> None:
        """Set the timeout of the next read or write of the socket.

        Raises:
            TimeoutError: the deadline has passed.
        """
        left = self._idle_s
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
        self._socket.settimeout(left)

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of the data."""
        left = memoryview(data).cast("B")
        while left:
            self.before_use()
            left = left[self._socket.send(left[:_PIECE_BYTES]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a file that reads from the socket, which stays open as long as the file."""
        return io.BufferedReader(_Reader(self, self._socket.makefile("rb", buffering=0)))

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """Return an option of the socket."""
        return self._socket.getsockopt(level, option, size)

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it, once its files are closed."""
        self._socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, timed: _TimedSocket, raw: socket.SocketIO) -> None:
        self._timed = timed
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._timed.before_use()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class PlainClient:
    """Sends calls one after another over one persistent connection. Not thread-safe.

    The address is from `find_server`; ``role`` lowers the role of every call, as ``--role`` does.
    ``changed`` says whether a call that changes something has succeeded.
    """

    def __init__(self, address: ServerAddress, role: str | None = None) -> None:
        self.address = address
        self._headers = request_headers(address, role)
        self.changed = False
        self._connection: HTTPConnection | None = None
        self._socket: _TimedSocket  # the connection drops it before the end of a response

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, call: Call[T]) -> T:
        """Send a call and return its value.

        Raises:
            HooktuiError: the server refused the call, or does not respond.
        """
        with explain_unknown_outcome(changes=call.changes):
            return decoded(call, self.address, self._response_json(call))

    def response_json(self, call: Call[T]) -> object:
        """Send a call and return its decoded JSON unchanged, for output as JSON.

        Raises:
            HooktuiError: as `call`.
        """
        with explain_unknown_outcome(changes=call.changes):
            return self._response_json(call)

    def _response_json(self, call: Call[T]) -> object:
        response = self._request(call)
        body = self._body_of(response, call)
        if response.will_close:
            self.close()
        value = read_response(self.address, response.status, _lower_names(response), body)
        self.changed = self.changed or call.changes
        return value

    def _request(self, call: Call[T]) -> HTTPResponse:
        """Send a call and return the head of its response."""
        connection = self._connected()
        self._socket.set_deadline(call.timeout_s)
        with self._translate_errors(call.timeout_s):
            connection.request(call.method, call.path, call.body, {**self._headers, **call.headers})
            return connection.getresponse()

    def _body_of(self, response: HTTPResponse, call: Call[T]) -> bytes:
        with self._translate_errors(call.timeout_s, began=True):
            body = response.read(MAX_RESPONSE_BYTES)
            if response.read(1):
                self.close()
                raise too_large(self.address)
        return body

    @contextmanager
    def _translate_errors(self, timeout_s: float, *, began: bool = False) -> Iterator[None]:
        """Convert errors of the connection to ours, and close it; ``began``: a head has arrived."""
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise too_slow(self.address, timeout_s, began=began) from error
        except (OSError, HTTPException) as error:
            self.close()
            raise broken_off(self.address, error) from error
        except BaseException:  # such as Ctrl-C: the rest of the response may still come
            self.close()
            raise

    def lines(self, call: Call[T]) -> Generator[T]:
        """Send a call with a response in lines, and yield the value of each as it arrives.

        A caller that stops early closes the connection, which the server detects: use it within
        ``contextlib.closing``.

        Raises:
            HooktuiError: as `call`; also if the response broke off.
        """
        response = self._request(call)
        whole = False
        try:
            headers = _lower_names(response)
            if not comes_in_lines(response.status, headers):
                body = self._body_of(response, call)
                read_response(self.address, response.status, headers, body)
                raise not_ours(self.address, f"{call.method} {call.path} has no response in lines")
            with self._translate_errors(call.timeout_s, began=True):
                for line in _lines_in(response, LineSplitter(self.address)):
                    yield decoded(call, self.address, read_line(self.address, line))
            whole = not response.will_close
        finally:
            if not whole:
                self.close()

    @contextmanager
    def download(self, call: Call[T]) -> Iterator[Download]:
        """Send a call with a file as its response; the connection is not reused.

        The call's timeout is for the head of the response. The file has neither a size limit nor a
        deadline, but a server that is silent for too long ends it.

        Raises:
            HooktuiError: as `call`; from the block also if the file broke off.
        """
        response = self._request(call)
        try:
            headers = _lower_names(response)
            file = announced(headers) if response.status == 201 else None
            if file is None:
                body = self._body_of(response, call)
                read_response(self.address, response.status, headers, body)
                raise not_ours(
                    self.address, f"{call.method} {call.path} has no file as its response"
                )
            self._socket.set_idle(IDLE_S)

            def read(most_bytes: int) -> bytes:
                with self._translate_errors(IDLE_S):
                    return response.read(most_bytes)

            yield Download(*file, read)
        finally:
            self.close()

    def server_pid(self) -> int:
        """Return the process at the other end of the Unix socket, from the kernel.

        Raises:
            HooktuiError: no server listens, or its process is not visible.
        """
        connected = self._connected().sock
        credentials = connected.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        pid: int = struct.unpack("3i", credentials)[0]
        if pid <= 0:
            raise NotAllowed(
                f"the server at {self.address} runs in another container; stop it there"
            )
        return pid

    def _connected(self) -> HTTPConnection:
        """Return a connection that the server has not closed."""
        if self._connection is not None and not _readable(self._connection.sock):
            return self._connection
        self.close()
        connection = _connection_to(self.address)
        try:
            connection.connect()
        except TimeoutError as error:
            raise not_reached(self.address, CONNECT_TIMEOUT_S) from error
        except OSError as error:
            raise no_connection(self.address, error) from error
        connection.sock = self._socket = _TimedSocket(connection.sock)
        self._connection = connection
        return connection


def request_headers(address: ServerAddress, role: str | None) -> dict[str, str]:
    """Return the headers of every request to a server."""
    headers = {
        "User-Agent": f"hooktui/{__version__} api/{API_REVISION}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    if address.token is not None:
        headers["Authorization"] = f"Bearer {address.token}"
    if role is not None:
        headers["Hooktui-Role"] = role
    return headers


def decoded(call: Call[T], address: ServerAddress, response: object) -> T:
    """Return the value of a call's response.

    Raises:
        HooktuiError: it does not have the expected form.
    """
    try:
        return call.decode(response)
    except (msgspec.ValidationError, RecursionError) as error:
        raise not_ours(address, f"{call.method} {call.path}: {reason(error)}") from error


def _connection_to(address: ServerAddress) -> HTTPConnection:
    if address.socket is not None:
        return _SocketConnection(address.socket)
    if address.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=CONNECT_TIMEOUT_S, context=context
        )
    return HTTPConnection(address.host, address.port, timeout=CONNECT_TIMEOUT_S)


def _readable(idle: socket.socket | _TimedSocket | None) -> bool:
    """Return whether an idle socket is readable, which usually means that it was closed."""
    if idle is None:
        return True
    return bool(select.select([idle], [], [], 0)[0])


def _lines_in(response: HTTPResponse, splitter: LineSplitter) -> Iterator[bytes]:
    """Yield each line as it arrives; ``readline`` does not detect a response that breaks off.

    Raises:
        HTTPException: it broke off.
        HooktuiError: it is too long.
    """
    while response.chunked and (piece := response.read1(_PIECE_BYTES)):
        yield from splitter.feed(piece)
    if not response.chunked:  # an intermediary has buffered it
        rest = response.read(MAX_RESPONSE_BYTES)
        if response.length:
            raise IncompleteRead(rest, response.length)
        yield from splitter.feed(rest)
    if last := splitter.last():
        yield last


def _lower_names(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
