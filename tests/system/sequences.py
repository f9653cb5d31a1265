"""A strict reading of what a program writes to its terminal: every sequence, every odd character.

Stricter than any terminal: what it does not know is reported, not passed over.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Set

SEQUENCE = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC
    r"|\x1b[P_^X][^\x1b]*(?:\x1b\\)?"  # DCS, APC, PM, SOS
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[ -/]*[0-~]"  # other escapes
    r"|[\x00-\x1f\x7f]"
)
_DRAWING = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]+;[0-9]+H)")
"""Colours and cursor positions: what any drawing consists of."""

_IGNORABLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
MAX_MARKS = 3


def sequences(written: bytes) -> set[str]:
    """Return every escape sequence and control character, drawing aside."""
    text = written.decode("utf-8", "surrogateescape")
    return {found for found in SEQUENCE.findall(text) if not _DRAWING.fullmatch(found)}


def foreign(written: bytes, known: Set[str]) -> list[str]:
    """Return what should not be there: unknown sequences, hidden characters, stacked marks."""
    text = written.decode("utf-8", "surrogateescape")
    return [*sorted(sequences(written) - known), *_odd_letters(SEQUENCE.sub("", text))]


def _odd_letters(text: str) -> Iterator[str]:
    marks = 0
    for place, letter in enumerate(text):
        if letter.isascii():
            marks = 0
            continue
        kind = unicodedata.category(letter)
        if kind in _HIDDEN or _IGNORABLE.match(letter):
            yield f"{letter!a} in {text[max(place - 20, 0) : place + 20]!a}"
        marks = marks + 1 if kind.startswith("M") else 0
        if marks == MAX_MARKS + 1:
            yield f"a stack of marks in {text[max(place - 20, 0) : place + 20]!a}"
