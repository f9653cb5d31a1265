"""The last layer of ``--ascii``: what the frame draws in Unicode, drawn in ASCII.

The signs of states come from `signs.ASCII`. Borders, scrollbars and the punctuation of sentences
are drawn in many places, by Textual too; they are exchanged here, one cell for one. Letters that
somebody typed stay as they are.
"""

from __future__ import annotations

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_INSTEAD: Final = {
    "-": "─━╌╍·▔▁▂",
    "|": "│┃▏▕▌▐",
    "+": "┌┐└┘├┤┬┴┼╭╮╰╯",
    "#": "▃▄▅▆▇█▀",
    "~": "…±",
    ">": "▸▶→",
    "<": "◀←",
    "^": "▲↑",
    "v": "▾▼↓",
    "*": "•●",
    "?": "".join(map(chr, range(0x2400, 0x2422))),  # what stands for control characters
}
_TABLE: Final = str.maketrans(
    {sign: instead for instead, signs in _INSTEAD.items() for sign in signs}
)


class AsciiFilter(LineFilter):
    """Exchanges what lines, blocks and arrows are drawn with."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments in ASCII signs."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(segment.text.translate(_TABLE), segment.style)
            for segment in segments
        ]
