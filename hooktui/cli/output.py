"""What commands write: text for people through `visible`, JSON for programs.

Everything goes through one `Output`, so that no text of others reaches a terminal as it came, and
so that data stays on stdout and all else on stderr.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

from hooktui.domain.text import visible

Style = Literal["good", "bad", "warn", "dim", "bold"]

_CODES: dict[Style, str] = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
_MAX_CELL = 60
"""Characters of a table cell; ``--json`` and the show commands have the whole."""


@dataclass(frozen=True, slots=True)
class Styled:
    """Text with a colour; the text alone says everything."""

    text: str
    style: Style


Piece = str | Styled


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; numbers stand to the right."""

    title: str
    right: bool = False


class Output:
    """The two streams of a command.

    Args:
        stdout: for data.
        stderr: for hints, progress and errors.
        color: whether pieces keep their style on stdout.
        quiet: whether hints are left out.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO, *, color: bool, quiet: bool) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._color = color
        self._quiet = quiet

    @property
    def progress_shown(self) -> bool:
        """Whether progress has somebody to look at it."""
        return not self._quiet and self._stderr.isatty()

    def line(self, *pieces: Piece) -> None:
        """Write one line of data; line breaks in the pieces are shown, not made."""
        self._stdout.write("".join(self._shown(piece) for piece in pieces) + "\n")

    def block(self, text: str, indent: str = "") -> None:
        """Write text that may have several lines."""
        for row in visible(text, lines=True).split("\n"):
            self._stdout.write(f"{indent}{row}".rstrip() + "\n")

    def script(self, text: str) -> None:
        """Write a script of our own, as it is."""
        self._stdout.write(text if text.endswith("\n") else text + "\n")

    def note(self, text: str) -> None:
        """Write a hint for people to stderr."""
        if not self._quiet:
            self._stderr.write(visible(text) + "\n")
            self._stderr.flush()

    def progress(self, text: str) -> None:
        """Write progress over the progress before it, when stderr is a terminal; "" ends it."""
        if self.progress_shown:
            self._stderr.write(f"\r\x1b[K{visible(text)}")
            self._stderr.flush()

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Piece]]) -> None:
        """Write rows under a line of titles, aligned."""
        cells = [[_cut(piece) for piece in row] for row in rows]
        titles: list[Piece] = [Styled(column.title, "dim") for column in columns]
        widths = [
            max(width(_text(row[place])) for row in [titles, *cells])
            for place in range(len(columns))
        ]
        for row in [titles, *cells]:
            shown = (
                self._aligned(piece, widths[place], right=columns[place].right)
                for place, piece in enumerate(row)
            )
            self._stdout.write("  ".join(shown).rstrip() + "\n")

    def json(self, value: object) -> None:
        """Write one JSON document: indented for a terminal, in one line else."""
        indent = 2 if self._stdout.isatty() else None
        self._stdout.write(json.dumps(value, indent=indent) + "\n")

    def json_line(self, value: object) -> None:
        """Write one line of NDJSON, at once."""
        self._stdout.write(json.dumps(value) + "\n")
        self._stdout.flush()

    def json_array(self, values: Iterable[object]) -> None:
        """Write a bare array, one element a line, without holding them all."""
        separator = "["
        for value in values:
            self._stdout.write(separator + json.dumps(value))
            separator = ",\n "
        self._stdout.write("[]\n" if separator == "[" else "]\n")

    def flush(self) -> None:
        """Hand over what is written."""
        self._stdout.flush()

    def _shown(self, piece: Piece) -> str:
        if isinstance(piece, str):
            return visible(piece)
        text = visible(piece.text)
        return f"\x1b[{_CODES[piece.style]}m{text}\x1b[0m" if self._color and text else text

    def _aligned(self, piece: Piece, size: int, *, right: bool) -> str:
        padding = " " * (size - width(_text(piece)))
        return padding + self._shown(piece) if right else self._shown(piece) + padding


def width(text: str) -> int:
    """Return the columns that a visible text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.text


def _cut(piece: Piece) -> Piece:
    """Return a piece as a table shows it: visible already, and of a bounded length."""
    text = visible(_text(piece), limit=_MAX_CELL)
    return text if isinstance(piece, str) else Styled(text, piece.style)
