"""Receives a file from a server, verified by its length and its digest."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hooktui.domain.errors import HooktuiError

IDLE_S: Final = 60.0
"""Maximum pause in the middle of a file, after which the server counts as gone."""
_PIECE_BYTES: Final = 256 * 1024
_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class BrokenDownload(HooktuiError):
    """A file did not arrive as the server sent it and must not be used."""

    title = "Broken download"


@dataclass(frozen=True, slots=True)
class Download:
    """A file being received.

    Attributes:
        size: its bytes, as the server announced.
        sha256: its digest, as the server announced.
    """

    size: int
    sha256: bytes
    _read: Callable[[int], bytes]

    def pieces(self) -> Iterator[bytes]:
        """Yield the file; complete without an error only if all of it arrived unchanged.

        Raises:
            BrokenDownload: it broke off, or arrived changed.
            OSError: the connection failed.
        """
        digest, left = hashlib.sha256(), self.size
        while left and (piece := self._read(min(left, _PIECE_BYTES))):
            digest.update(piece)
            left -= len(piece)
            yield piece
        if left:
            raise BrokenDownload(
                f"the server sent {self.size - left:,} of {self.size:,} bytes and stopped"
            )
        if digest.digest() != self.sha256:
            raise BrokenDownload(
                "the copy was altered: its SHA-256 is not the one that the server announced"
            )


def announced(headers: Mapping[str, str]) -> tuple[int, bytes] | None:
    """Return the announced size and digest of a response; None: it is not a file."""
    size = headers.get("content-length", "")
    match = _DIGEST.search(headers.get("repr-digest", ""))
    if match is None or not (size.isascii() and size.isdigit()):
        return None
    return int(size), base64.b64decode(match[1])
