"""A socket for ``http.client`` whose reads and writes share one deadline.

The timeout of a socket applies to each read, so a server that sends a byte now and then would block
a command forever.
"""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_PIECE_BYTES: Final = 64 * 1024


class TimedSocket:
    """A connected socket with a deadline for everything, or a timeout for each read."""

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
    def __init__(self, timed: TimedSocket, raw: socket.SocketIO) -> None:
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
