"""Escaped forms of text: JSON (and JavaScript), URL and HTML, decoded with a mapping back.

A receiver that repeats a value escapes it in its own format: ``%26`` in a URL, ``&amp;`` in HTML.
Decoding undoes one format at a time, because an escape of one format is plain text in another.
`Decoded` maps each position of the decoded text to its source bytes. All of it takes time in
proportion to the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.entities import html5
from itertools import accumulate
from typing import Final

_JSON = re.compile(
    rb"(\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}"
    rb"|u\{[0-9a-fA-F]{1,6}\}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[^ux]))",
    re.DOTALL,
)
_URL = re.compile(rb"(%(?:[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}))")
_HTML = re.compile(rb"(&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{0,31});)")

# An escape that is cut off by the end of the text.
_JSON_CUT = re.compile(rb"\\(?:u\{?[0-9a-fA-F]{0,6}(?:\\(?:u[0-9a-fA-F]{0,3})?)?|x[0-9a-fA-F]?)?\Z")
_URL_CUT = re.compile(rb"%(?:[0-9a-fA-F]|u[0-9a-fA-F]{0,3})?\Z")
_HTML_CUT = re.compile(rb"&(?:#[xX]?[0-9a-fA-F]{0,8}|[A-Za-z][A-Za-z0-9]{0,31})?\Z")

_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with the escapes of one format decoded.

    Attributes:
        text: the decoded text.
        source: its source in pieces: plain text and escapes in turn.
        pieces: the decoded form of each piece.
    """

    text: bytes
    source: list[bytes]
    pieces: list[bytes]

    def spans(self, matches: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Return spans of the decoded text as spans of its source, whole escapes included."""
        there = [0, *accumulate(map(len, self.pieces))]
        here = [0, *accumulate(map(len, self.source))]
        for start, end in matches:
            first, last = bisect_right(there, start) - 1, bisect_right(there, end - 1) - 1
            is_escape = first % 2 == 1
            begin = here[first] + (0 if is_escape else start - there[first])
            is_escape = last % 2 == 1
            yield begin, here[last + 1] if is_escape else here[last] + end - there[last]


@dataclass(frozen=True, slots=True)
class Spelling:
    """One format.

    Attributes:
        sign: the byte that begins each escape.
        escape: matches one, as a group.
        cut: matches one that is cut off by the end of the text.
        decode: returns the text of an escape.
    """

    sign: bytes
    escape: re.Pattern[bytes]
    cut: re.Pattern[bytes]
    decode: Callable[[bytes], bytes]

    def decoded(self, text: bytes) -> Decoded | None:
        """Return the text with escapes decoded; None if it has none."""
        if self.sign not in text:
            return None
        source = self.escape.split(text)
        meaning = {escape: self.decode(escape) for escape in set(source[1::2])}
        pieces = source.copy()
        pieces[1::2] = map(meaning.__getitem__, source[1::2])
        return Decoded(b"".join(pieces), source, pieces)

    def cut_off(self, decoded: Decoded) -> int:
        """Return the length of an incomplete escape at the end of a text."""
        part = self.cut.search(decoded.source[-1])
        return 0 if part is None else len(part[0])


def _of_json(escape: bytes) -> bytes:
    kind = escape[1:2]
    if len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:12], 16)
        return _encoded(0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00)
    if kind in b"ux":
        return _encoded(int(escape[2:].strip(b"{}"), 16))
    if len(escape) == 4:
        return _encoded(int(escape[1:], 8))
    return _CONTROLS.get(kind, kind)


def _of_url(escape: bytes) -> bytes:
    if escape[1:2] == b"u":
        return _encoded(int(escape[2:], 16))
    return bytes.fromhex(escape[1:].decode("ascii"))


def _of_html(escape: bytes) -> bytes:
    inner = escape[1:-1]
    if inner[:1] != b"#":
        return html5.get(f"{inner.decode('ascii')};", escape.decode("ascii")).encode()
    if inner[1:2] in b"xX":
        return _encoded(int(inner[2:], 16))
    return _encoded(int(inner[1:]))


def _encoded(code_point: int) -> bytes:
    if code_point > 0x10FFFF:
        return b"?"
    return chr(code_point).encode("utf-8", "replace")


SPELLINGS: Final = (
    Spelling(b"\\", _JSON, _JSON_CUT, _of_json),
    Spelling(b"%", _URL, _URL_CUT, _of_url),
    Spelling(b"&", _HTML, _HTML_CUT, _of_html),
)
