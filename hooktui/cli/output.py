"""The output of commands: text through `visible`, JSON for programs.

All of it passes one `Output`: untrusted text reaches a terminal only escaped, data goes to stdout,
and everything else to stderr.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from hooktui.domain.text import keep_order, visible

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Style = Literal["good", "bad", "warn", "dim", "bold"]

_CODES: dict[Style, str] = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
_MAX_CELL = 60
"""Characters of a table cell; ``--json`` and the show commands have the whole."""


@dataclass(frozen=True, slots=True)
class Styled:
    """Text with a colour; the text alone carries the meaning."""

    text: str
    style: Style


Piece = str | Styled


@dataclass(frozen=True, slots=True)
class TextColumn:
    """One column of a table; numbers are right-aligned."""

    title: str
    right: bool = False


def text_columns(titles: str) -> tuple[TextColumn, ...]:
    """Return the columns with some titles, separated by commas; ``>``: aligned to the right."""
    return tuple(TextColumn(title.rstrip(">"), title.endswith(">")) for title in titles.split(", "))


def fields_without(name: str, value: DataclassInstance) -> dict[str, object]:
    """Return the fields of an object but one, such as where the next part of its work begins."""
    return {key: field for key, field in asdict(value).items() if key != name}


class Output:
    """The streams of a command: stdout for data, stderr for hints, progress and errors.

    ``color``: stdout shows styles. ``quiet``: hints are omitted. ``dumb``: the terminal cannot
    clear a line, so that no progress is shown.
    """

    def __init__(
        self, stdout: TextIO, stderr: TextIO, *, color: bool, quiet: bool, dumb: bool = False
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._color = color
        self._quiet = quiet
        self._dumb = dumb
        self._in_progress = False

    @property
    def progress_shown(self) -> bool:
        """Whether stderr is a terminal that can show progress."""
        return not (self._quiet or self._dumb) and self._stderr.isatty()

    def line(self, *pieces: Piece) -> None:
        """Write one line of data; line breaks in the pieces are escaped."""
        self._write(keep_order("".join(self._shown(piece) for piece in pieces)) + "\n")

    def block(self, text: str) -> None:
        """Write text that may have several lines, indented."""
        for row in visible(text, lines=True).split("\n"):
            self._write(keep_order(f"    {row}".rstrip()) + "\n")

    def script(self, text: str) -> None:
        """Write a trusted script unchanged."""
        self._write(text if text.endswith("\n") else text + "\n")

    def note(self, text: str) -> None:
        """Write a hint for people to stderr."""
        if not self._quiet:
            self.end_progress()
            self._stderr.write(keep_order(visible(text)) + "\n")
            self._stderr.flush()

    def progress(self, text: str) -> None:
        """Replace the progress line, if stderr is a terminal; "" clears it."""
        if self.progress_shown and (text or self._in_progress):
            self._stderr.write(f"\r\x1b[K{visible(text)}")
            self._stderr.flush()
            self._in_progress = bool(text)

    def end_progress(self) -> None:
        """Clear the progress line if there is one."""
        if self._in_progress:
            self.progress("")

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Write labels with their values, one a line; those without a value are left out."""
        shown = [(label, value) for label, value in facts if value]
        longest = max((len(label) for label, _ in shown), default=0)
        for label, value in shown:
            self.line(Styled(f"  {label:<{longest}} ", "dim"), value)

    def table(self, columns: Sequence[TextColumn], rows: Iterable[Sequence[Piece]]) -> None:
        """Write aligned rows below their titles."""
        cells = [[_cut(piece) for piece in row] for row in rows]
        titles: list[Piece] = [Styled(column.title, "dim") for column in columns]
        widths = [
            max(width(_text(row[index])) for row in [titles, *cells])
            for index in range(len(columns))
        ]
        for row in [titles, *cells]:
            shown = (
                self._aligned(piece, widths[index], right=columns[index].right)
                for index, piece in enumerate(row)
            )
            self._write(keep_order("  ".join(shown).rstrip()) + "\n")

    def json(self, value: object) -> None:
        """Write one JSON document: indented on a terminal, else on one line."""
        indent = 2 if self._stdout.isatty() else None
        self._write(json.dumps(value, indent=indent) + "\n")

    def json_line(self, value: object) -> None:
        """Write and flush one line of NDJSON."""
        self._write(json.dumps(value) + "\n")
        self._stdout.flush()

    def json_array(self, values: Iterable[object]) -> None:
        """Write a JSON array, one element per line, without keeping it in memory."""
        separator = "["
        for value in values:
            self._write(separator + json.dumps(value))
            separator = ",\n "
        self._write("[]\n" if separator == "[" else "]\n")

    def _write(self, text: str) -> None:
        self.end_progress()
        self._stdout.write(text)

    def flush(self) -> None:
        """Flush stdout."""
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
    """Return the width of an escaped text in terminal cells."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.text


def _cut(piece: Piece) -> Piece:
    """Return a piece for a table: escaped, and of a bounded length."""
    text = visible(_text(piece), limit=_MAX_CELL)
    return text if isinstance(piece, str) else Styled(text, piece.style)
