"""A text's bytes as a hex dump: offset, sixteen bytes, and what of them is printable."""

from __future__ import annotations

from hooktui.console.widgets.json_lines import Line, Span

ROW = 16
"""Bytes of a line: 75 cells with offset and characters, which fit 80."""


def hex_lines(text: str) -> list[Line]:
    """Return the UTF-8 bytes of a text, 16 a line; copying a line gives its bytes in hex.

    What the API could not read as UTF-8 stands in the text as U+FFFD, and here as its bytes.
    """
    data = text.encode("utf-8", "surrogatepass")
    return [_line(data[at : at + ROW], at) for at in range(0, len(data), ROW)]


def _line(piece: bytes, at: int) -> Line:
    left, right = piece[: ROW // 2].hex(" "), piece[ROW // 2 :].hex(" ")
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
    spans = (
        Span(f"{at:06x}  ", "mark"),
        Span(f"{left:<23}  {right:<23}  ", "plain"),
        Span(shown, "string"),
    )
    source = piece.hex(" ")
    return Line(spans, source=source, stop=len(source))
