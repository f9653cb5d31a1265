"""The lines of a document: foldable JSON, headers, raw text, or a hex dump.

Independent of widgets. JSON is tokenised, not parsed and serialised again, so that numbers, escapes
and duplicate keys are shown exactly as sent. Every span is safe to display (`visible`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from hooktui.domain.text import visible

Kind = Literal[
    "key", "string", "number", "word", "mark", "title", "note", "plain", "added", "removed"
]
Form = Literal["tree", "raw", "hex"]
"""The form of bodies: foldable JSON, the text as it was sent, or its bytes."""

FORM_WORDS: Final[dict[Form, str]] = {
    "tree": "as a tree", "raw": "as sent", "hex": "in hex",
}  # fmt: skip

MAX_LINES: Final = 10_000
"""A body with more lines is shown raw: a tree would be unreadable, and 256 KiB can hold 131,000."""

_KEPT: Final = 4
"""Number of bodies whose lines are cached, as the documents of all attempts share most parts."""

MAX_SPAN: Final = 2_000
"""Maximum characters of one value in the tree form; the raw form shows all of them."""

MAX_INDENT: Final = 20
"""Maximum levels of indentation; deeper ones are not indented more, to keep the text on screen."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a line and its kind."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document.

    Attributes:
        spans: the spans that are drawn.
        end: the index after the last line that this one can fold; 0 if it cannot fold.
        folded: drawn instead of ``spans`` while folded.
        source: the text that contains the value of this line, for copying.
        start: the start of the value in ``source``.
        stop: the end of the value in ``source``.
    """

    spans: tuple[Span, ...]
    end: int = 0
    folded: tuple[Span, ...] = ()
    source: str = ""
    start: int = 0
    stop: int = 0

    @property
    def text(self) -> str:
        """The text of the unfolded line."""
        return "".join(span.text for span in self.spans)

    def copied(self) -> str:
        r"""Return the text to copy: the characters of a JSON string, else the text as sent.

        A string with half a character, such as ``\ud83d``, has no characters to copy.
        """
        piece = self.source[self.start : self.stop]
        if len(piece) >= 2 and piece[0] == piece[-1] == '"':
            try:
                value = str(json.loads(piece))
                value.encode()
            except ValueError:
                return piece
            return value
        return piece


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document under its own heading, which folds it.

    Attributes:
        title: the name of the part, set by the console.
        note: text next to the title, such as a size.
        text: a body or another text; shown as a tree if it is JSON.
        pairs: headers; shown before the text.
        opened: whether it starts unfolded.
        kind: the kind of the text: a body, a diff (lines that start with + and -), or a text of the
            console, which is shown unchanged in every form.
    """

    title: str
    note: str = ""
    text: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    opened: bool = True
    kind: Literal["body", "difference", "words"] = "body"

    @property
    def whole(self) -> str:
        """The text of the part, for copying."""
        if self.text is not None:
            return self.text
        return "\n".join(f"{name}: {value}" for name, value in self.pairs)


def is_json(text: str) -> bool:
    """Return whether a text is one JSON object or list; a single value needs no tree."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


@lru_cache(_KEPT)
def json_lines(text: str) -> Sequence[Line] | None:
    """Return the lines of a JSON text; None if it is not JSON or has too many lines."""
    if not is_json(text):
        return None
    lines: list[Line] = []
    opened: list[_Opened] = []
    head: list[Span] = []  # the key (and colon) of the next value
    # Look one token ahead, without a list of all tokens: 256 KiB can hold 260,000.
    tokens = _TOKEN.finditer(text)
    coming = next(tokens, None)
    while coming is not None:
        token, coming = coming, next(tokens, None)
        piece = token[0]
        following = "" if coming is None else coming[0]
        if piece == ",":
            continue
        if piece == ":":
            head.append(Span(": ", "mark"))
        elif following == ":" and opened and opened[-1].bracket == "{" and not head:
            opened[-1].count += 1
            head = [Span(_value(piece), "key")]
        elif piece in "}]":
            _close(text, lines, opened, token.end(), "," if following == "," else "")
        else:
            if opened and opened[-1].bracket == "[":
                opened[-1].count += 1
            indent = Span("  " * min(len(opened), MAX_INDENT), "plain")
            if piece in "{[":
                opened.append(_Opened(len(lines), piece, token.start(), (indent, *head)))
                if following not in ("}", "]"):  # an empty one gets its line when it is closed
                    spans = (indent, *head, Span(piece, "mark"))
                    lines.append(Line(spans, source=text, start=token.start()))
            else:
                comma = (Span(",", "mark"),) if following == "," else ()
                spans = (indent, *head, Span(_value(piece), _kind(piece)), *comma)
                lines.append(Line(spans, source=text, start=token.start(), stop=token.end()))
            head = []
        if len(lines) > MAX_LINES:
            return None
    return lines


@dataclass(slots=True)
class _Opened:
    """A bracket that is not closed yet."""

    line: int
    bracket: str
    start: int
    head: tuple[Span, ...]
    count: int = 0


def _close(text: str, lines: list[Line], opened: list[_Opened], stop: int, comma: str) -> None:
    """Close the innermost bracket: add one line if it is empty, else its closing line."""
    bracket = opened.pop()
    mark = ("}" if bracket.bracket == "{" else "]") + comma
    if bracket.line == len(lines):
        spans = (*bracket.head, Span(bracket.bracket + mark, "mark"))
        lines.append(Line(spans, source=text, start=bracket.start, stop=stop))
        return
    indent = Span("  " * min(len(opened), MAX_INDENT), "plain")
    lines.append(Line((indent, Span(mark, "mark")), source=text, start=bracket.start, stop=stop))
    noun = "key" if bracket.bracket == "{" else "item"
    counted = f" {bracket.count} {noun}{'' if bracket.count == 1 else 's'} "
    lines[bracket.line] = replace(
        lines[bracket.line],
        end=len(lines),
        stop=stop,
        folded=(
            *bracket.head,
            Span(bracket.bracket, "mark"),
            Span(counted, "note"),
            Span(mark, "mark"),
        ),
    )


def _value(token: str) -> str:
    return visible(token, limit=MAX_SPAN)


def _kind(token: str) -> Kind:
    if token.startswith('"'):
        return "string"
    return "word" if token in ("true", "false", "null") else "number"


def raw_lines(text: str) -> list[Line]:
    """Return the lines of a text as sent; tabs become four spaces."""
    lines = []
    start = 0
    for piece in text.split("\n"):
        shown = visible(piece.removesuffix("\r").replace("\t", "    "))
        stop = start + len(piece)
        lines.append(Line((Span(shown, "plain"),), source=text, start=start, stop=stop))
        start = stop + 1
    return lines


def pair_lines(pairs: Iterable[tuple[str, str]]) -> list[Line]:
    """Return headers, one per line; copying a line copies the value."""
    return [
        Line(
            (Span(visible(name), "key"), Span(": ", "mark"), Span(visible(value), "plain")),
            source=value,
            stop=len(value),
        )
        for name, value in pairs
    ]


def difference_lines(text: str) -> list[Line]:
    """Return the lines of a unified diff, with added and removed lines highlighted."""
    kinds: dict[str, Kind] = {"+": "added", "-": "removed", "@": "note"}
    return [
        replace(line, spans=(Span(line.text, kinds.get(line.text[:1], "plain")),))
        for line in raw_lines(text)
    ]


def _text_lines(section: Section, form: Form) -> Sequence[Line]:
    text = section.text
    if text is None:
        return []
    if section.kind == "difference":
        return difference_lines(text)
    if section.kind == "words" or form == "raw":
        return raw_lines(text)
    if form == "hex":
        return hex_lines(text)
    pretty = json_lines(text)
    return raw_lines(text) if pretty is None else pretty


def document_lines(sections: Sequence[Section], form: Form = "tree") -> list[Line]:
    """Return the lines of all sections, each under a heading line that folds it."""
    document: list[Line] = []
    for section in sections:
        lines = [*pair_lines(section.pairs), *_text_lines(section, form)]
        whole = section.whole
        heading = [Span(section.title, "title")]
        if section.note:
            heading.append(Span(f"  {visible(section.note)}", "note"))
        offset = len(document) + 1
        document.append(
            Line(
                (Span("▾ ", "mark"), *heading),
                end=offset + len(lines),
                folded=(Span("▸ ", "mark"), *heading),
                source=whole,
                stop=len(whole),
            )
        )
        document += [replace(n, end=n.end + offset) if n.end else n for n in lines]
    return document


ROW = 16
"""Bytes per line: 74 cells with offset and characters, which fit into 80."""


def hex_lines(text: str) -> list[Line]:
    """Return the UTF-8 bytes of a text, 16 per line; copying a line copies its bytes in hex.

    The API replaces bytes that are not UTF-8 with U+FFFD, which is shown here as its bytes.
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
