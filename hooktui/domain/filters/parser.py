"""The filter language: ``status:failed hook:12 -event:job.* data.errors:"*disk full*"``.

Words match anywhere; one that is the id of an event or a delivery matches what has that id, unless
it is quoted. Terms are joined by *and*, commas in a value by *or*; ``-`` before a term
negates it; quotes keep spaces and commas, and inside them a backslash escapes a quote, a star and
itself. Every error is a `FilterError` that names the column and the expected input.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from hooktui.domain.clock import from_rfc3339, parse_duration_s, to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus, ErrorClass, Outcome, Trigger
from hooktui.domain.errors import Refused
from hooktui.domain.failure_causes import CAUSES, CAUSES_IN_WORDS, ERROR_CAUSES, SERVER_ERROR
from hooktui.domain.filters.patterns import Pattern
from hooktui.domain.filters.terms import (
    HELD,
    RETRYING,
    UNDELIVERED,
    WAITING,
    CodeRange,
    DurationComparison,
    Filter,
    FilterKey,
    FilterTerms,
    Term,
    TimeBound,
    Value,
)
from hooktui.domain.ids import Prefix, decode, encode

MAX_LENGTH = 2000
"""Characters of a filter; enough for people, and it fits into a query string."""

STATUSES: Final = tuple(
    dict.fromkeys([*DeliveryStatus, *Outcome, HELD, WAITING, RETRYING, UNDELIVERED])
)
"""The values of ``status:``: states of a delivery, outcomes of an attempt, and sets of states."""

_EXPECTED: Final[dict[FilterKey, str]] = {
    FilterKey.STATUS: f"one of {', '.join(STATUSES)}",
    FilterKey.HOOK: "a hook's number, as in hook:12",
    FilterKey.EVENT: "an event type, as in event:job.failed, event:job.* or event:job",
    FilterKey.CODE: "a status code, as in code:503, code:5xx or code:>=400",
    FilterKey.TOOK: "a comparison with a duration, as in took:>2s or took:<=500ms",
    FilterKey.SINCE: "a duration or a time, as in since:10m or since:2026-11-25T03:04:05Z",
    FilterKey.UNTIL: "a duration or a time, as in until:10m or until:2026-11-25T03:04:05Z",
    FilterKey.ERROR: f"one of {', '.join(ErrorClass)}",
    FilterKey.CAUSE: f"one of {CAUSES_IN_WORDS}; as in cause:dns or cause:http_4*",
    FilterKey.TRIGGER: f"one of {', '.join(Trigger)}",
    FilterKey.REPLAY: "a replay's id, as in replay:rpl_01JDG3R8Z4000",
    FilterKey.ID: "the id of an event or a delivery, as in id:evt_01JDG3R8Z4000",
    FilterKey.DATA: 'text, as in data.cluster_id:52 or data.errors:"*disk full*"',
}
KEYS: Final = (*(key.value for key in _EXPECTED if key is not FilterKey.DATA), "data.")
"""The keys of terms; ``data.`` is followed by the name of a field."""
TERMS: Final = FilterTerms(
    {key if key.endswith(".") else f"{key}:": () for key in KEYS}
    | {
        "status:": STATUSES,
        "error:": tuple(ErrorClass),
        "cause:": (*ERROR_CAUSES, "http_4*", SERVER_ERROR),
        "trigger:": tuple(Trigger),
    }
)
"""The terms of filters of deliveries."""
EVENT_TERMS: Final = FilterTerms(dict.fromkeys(("event:", "since:", "until:", "id:", "data."), ()))
_DATA: Final = "data."
_OF_EVENTS: Final = (
    FilterKey.WORD,
    FilterKey.ID,
    FilterKey.EVENT,
    FilterKey.SINCE,
    FilterKey.UNTIL,
    FilterKey.DATA,
)

_KEY = re.compile(r'([^\s":]+):')
_EVENT = re.compile(r"[a-z0-9_.*-]+")
_HOOK = re.compile(r"[0-9]{1,18}")  # fits a 64-bit column
_COMPARED = re.compile(r"(<=|>=|<|>)(.+)")
_CODE = re.compile(r"[1-9](xx|[0-9]x|[0-9][0-9])")
_LOWEST_CODE, _HIGHEST_CODE = 100, 999
# 3,000 years: a longer span has no limit in practice, and would overflow a 64-bit column.
_LONGEST_S = 3000 * 366 * 86400.0


class FilterError(Refused):
    """The text is not a filter. ``column`` counts characters from 1."""

    def __init__(self, column: int, what: str) -> None:
        super().__init__(f"filter, column {column}: {what}")
        self.column = column


@dataclass(frozen=True, slots=True)
class _Piece:
    """One value as written: its characters, its pattern, and its column."""

    text: str
    pattern: Pattern
    column: int
    quoted: bool


def parse(text: str) -> Filter:
    """Parse a filter; an empty one matches everything.

    Raises:
        FilterError: the text is not a filter.
    """
    _check(text)
    terms: list[Term] = []
    position = 0
    while (position := _skip_spaces(text, position)) < len(text):
        term, position = _term(text, position)
        terms.append(term)
    return Filter(tuple(terms), text)


def parse_hook_filter(text: str) -> Filter:
    """Parse the filter of a hook, which applies to events before deliveries exist.

    Raises:
        FilterError: the text is not a filter, or has terms other than ``data.`` and ``event:``.
    """
    parsed = parse(text)
    for term in parsed.terms:
        if term.key not in (FilterKey.DATA, FilterKey.EVENT):
            what = "words" if term.key is FilterKey.WORD else f"{term.key}:"
            raise FilterError(
                term.column,
                f"a hook's filter cannot use {what}; it can use event: and data. terms, as in"
                " data.errors:*disk*",
            )
    return parsed


def parse_event_filter(text: str) -> Filter:
    """Parse a filter of events, which has no terms of deliveries.

    Raises:
        FilterError: the text is not a filter, or has terms that only deliveries can match.
    """
    parsed = parse(text)
    for term in parsed.terms:
        if term.key not in _OF_EVENTS:
            raise FilterError(
                term.column,
                f"events have no {term.key}:, deliveries have; events are found by words, id:,"
                " event:, since:, until: and data.",
            )
    return parsed


def absolute_filter(parsed: Filter, now_ms: int) -> str:
    """Return the text of a filter with times in place of ages such as ``since:10m``."""
    starts = [term.column - 1 for term in parsed.terms]
    parts = []
    ends = [*starts[1:], len(parsed.source)][: len(starts)]
    for term, start, end in zip(parsed.terms, starts, ends, strict=True):
        bounds = [value for value in term.values if isinstance(value, TimeBound)]
        if any(bound.is_age for bound in bounds):
            times = ",".join(to_rfc3339(max(bound.at_ms(now_ms), 0)) for bound in bounds)
            parts.append(f"{'-' if term.negated else ''}{term.key.value}:{times}")
        else:
            parts.append(parsed.source[start:end].strip())
    return " ".join(parts)


def _check(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise FilterError(
            MAX_LENGTH + 1, f"a filter has at most {MAX_LENGTH} characters, this one {len(text)}"
        )
    for position, letter in enumerate(text):
        # PostgreSQL cannot store NUL, and lone surrogates cannot be encoded.
        if unicodedata.category(letter) in ("Cc", "Cs") and not letter.isspace():
            raise FilterError(
                position + 1, f"a filter must not have control characters (U+{ord(letter):04X})"
            )


def _skip_spaces(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _term(text: str, start: int) -> tuple[Term, int]:
    negated = text[start] == "-"
    position = start + negated
    if position == len(text) or text[position].isspace():
        raise FilterError(start + 1, 'write - directly before a term to negate it, or write "-"')
    match = _KEY.match(text, position)
    if not match:
        piece, position = _piece(text, position, "")
        if not piece.text:
            raise FilterError(piece.column, "empty quotes search for nothing; write a word in them")
        whole_id = None if piece.quoted else _canonical_id(piece.text)
        if whole_id is not None:
            return Term(FilterKey.ID, (whole_id,), negated, start + 1), position
        return Term(FilterKey.WORD, (piece.pattern,), negated, start + 1), position
    key, path = _key(match[1], position + 1)
    pieces: list[_Piece] = []
    position = match.end() - 1  # at the colon, which the values follow as they follow a comma
    while True:
        piece, position = _piece(text, position + 1, ",")
        if not piece.text and not (piece.quoted and key is FilterKey.DATA):
            raise FilterError(piece.column, f"a value is missing; expected {_EXPECTED[key]}")
        pieces.append(piece)
        if text[position : position + 1] != ",":
            break
    values = [value for piece in pieces for value in _READERS[key](piece)]
    return Term(key, tuple(dict.fromkeys(values)), negated, start + 1, path), position


def _key(name: str, column: int) -> tuple[FilterKey, tuple[str, ...]]:
    folded = name.lower()
    if folded.startswith(_DATA):
        path = tuple(name[len(_DATA) :].split("."))
        if not all(path):
            raise FilterError(column, f"{name[:50]!r} has an empty field; write data.field:value")
        return FilterKey.DATA, path
    if folded in KEYS:
        return FilterKey(folded), ()
    if folded == "data":
        raise FilterError(column, "data needs a field, as in data.cluster_id:52")
    raise FilterError(
        column,
        f"unknown key {name[:50]!r}; {_near(folded, KEYS)}; to search for the text itself, put it"
        " in quotes",
    )


def _near(name: str, known: Sequence[str]) -> str:
    import difflib  # lazy: needed only for an error

    close = difflib.get_close_matches(name[:50], known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"expected one of {', '.join(known)}"


def _piece(text: str, start: int, stops: str) -> tuple[_Piece, int]:
    """Read up to a space or a stop character outside quotes."""
    written: list[str] = []
    letters: list[list[str]] = [[]]  # a growing string would be copied for each letter
    position, quote = start, -1
    quoted = False
    while position < len(text):
        letter = text[position]
        if quote < 0 and (letter.isspace() or letter in stops):
            break
        position += 1
        if letter == '"':
            quote = position if quote < 0 else -1
            quoted = True
            continue
        escaped = (
            quote >= 0 and letter == "\\" and text[position : position + 1] in ('"', "*", "\\")
        )
        if escaped:
            letter = text[position]
            position += 1
        written.append(letter)
        if letter == "*" and not escaped:
            letters.append([])
        else:
            letters[-1].append(letter)
    if quote >= 0:
        raise FilterError(quote, 'the quote is not closed; expected another " after it')
    parts = ["".join(run) for run in letters]
    # Two adjacent stars are equal to one.
    inner = (part for part in parts[1:-1] if part)
    folded = (parts[0], *inner, *parts[-1:]) if len(parts) > 1 else (parts[0],)
    pattern = Pattern(tuple(part.casefold() for part in folded))
    return _Piece("".join(written), pattern, start + 1, quoted), position


def _wrong(key: FilterKey, piece: _Piece) -> FilterError:
    return FilterError(piece.column, f"{piece.text[:50]!r} is not {_EXPECTED[key]}")


def _name(key: FilterKey, known: Sequence[str], piece: _Piece) -> list[Value]:
    name = piece.text.lower()
    if name not in known:
        raise FilterError(
            piece.column, f"{piece.text[:50]!r} is not a value of {key.value}; {_near(name, known)}"
        )
    return [str(name)]


def _error(piece: _Piece) -> list[Value]:
    """Return all matching error classes: ``tls`` covers ``tls_certificate``."""
    name = piece.text.lower()
    meant: list[Value] = [
        str(known)
        for known in ErrorClass
        if piece.pattern.fits(known) or known.startswith(f"{name}_")
    ]
    return meant or _name(FilterKey.ERROR, tuple(ErrorClass), piece)


def _cause(piece: _Piece) -> list[Value]:
    if not any(piece.pattern.fits(name) for name in CAUSES):
        raise _wrong(FilterKey.CAUSE, piece)
    return [piece.pattern]


def _replay(piece: _Piece) -> list[Value]:
    try:
        return [encode("rpl", decode("rpl", piece.text))]
    except ValueError:
        raise _wrong(FilterKey.REPLAY, piece) from None


def _id(piece: _Piece) -> list[Value]:
    found = _canonical_id(piece.text)
    if found is None:
        raise _wrong(FilterKey.ID, piece)
    return [found]


def _canonical_id(text: str) -> str | None:
    """Return the id of an event or a delivery as the API writes it; None for other texts."""
    prefix: Prefix
    for prefix in ("evt", "dlv"):
        with suppress(ValueError):
            return encode(prefix, decode(prefix, text))
    return None


def _hook(piece: _Piece) -> list[Value]:
    if not _HOOK.fullmatch(piece.text):
        raise _wrong(FilterKey.HOOK, piece)
    return [int(piece.text)]


def _event(piece: _Piece) -> list[Value]:
    if not _EVENT.fullmatch(piece.text.lower()):
        raise _wrong(FilterKey.EVENT, piece)
    return [piece.pattern]


def _data(piece: _Piece) -> list[Value]:
    return [piece.pattern]


def _code(piece: _Piece) -> list[Value]:
    compared = _COMPARED.fullmatch(piece.text)
    code = compared[2] if compared else piece.text.lower()
    if not _CODE.fullmatch(code) or (compared and "x" in code):
        raise _wrong(FilterKey.CODE, piece)
    low, high = int(code.replace("x", "0")), int(code.replace("x", "9"))
    if compared and compared[1].startswith(">"):
        low, high = low + (compared[1] == ">"), _HIGHEST_CODE
    elif compared:
        low, high = _LOWEST_CODE, high - (compared[1] == "<")
    return [CodeRange(low, high)]


def _duration_ms(text: str, bare: str = "s") -> float:
    return min(parse_duration_s(text.lower(), bare), _LONGEST_S) * 1000


def _took(piece: _Piece) -> list[Value]:
    compared = _COMPARED.fullmatch(piece.text)
    if not compared:
        raise _wrong(FilterKey.TOOK, piece)
    try:
        return [DurationComparison(compared[1], _duration_ms(compared[2]))]
    except ValueError:
        raise _wrong(FilterKey.TOOK, piece) from None


def _time(key: FilterKey, piece: _Piece) -> list[Value]:
    try:
        return [TimeBound(round(_duration_ms(piece.text, bare="")), is_age=True)]
    except ValueError:
        pass  # then it is a time
    try:
        return [TimeBound(from_rfc3339(piece.text.upper()))]
    except ValueError:
        raise _wrong(key, piece) from None


_READERS: Final[dict[FilterKey, Callable[[_Piece], list[Value]]]] = {
    FilterKey.STATUS: partial(_name, FilterKey.STATUS, STATUSES),
    FilterKey.HOOK: _hook,
    FilterKey.EVENT: _event,
    FilterKey.CODE: _code,
    FilterKey.TOOK: _took,
    FilterKey.SINCE: partial(_time, FilterKey.SINCE),
    FilterKey.UNTIL: partial(_time, FilterKey.UNTIL),
    FilterKey.ERROR: _error,
    FilterKey.CAUSE: _cause,
    FilterKey.TRIGGER: partial(_name, FilterKey.TRIGGER, tuple(Trigger)),
    FilterKey.REPLAY: _replay,
    FilterKey.ID: _id,
    FilterKey.DATA: _data,
}
