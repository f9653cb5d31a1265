"""What a filter is once it is parsed: terms joined by *and*, values by *or*, and how they match.

The tree is small and public on purpose: the store turns its terms into SQL, the console and the log
match what passes by. Text is compared without regard to case. `hooktui.domain.filters` parses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from hooktui.domain.catalogue import group_of

HELD = "held"
"""A word of ``status:`` beside the statuses and outcomes: pending while its hook is disabled."""

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


class Key(StrEnum):
    """What a term is about; a term without a key is a `WORD`."""

    WORD = "word"
    STATUS = "status"
    HOOK = "hook"
    EVENT = "event"
    CODE = "code"
    TOOK = "took"
    SINCE = "since"
    UNTIL = "until"
    ERROR = "error"
    TRIGGER = "trigger"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with wildcards: what stands between the ``*``, case-folded.

    ``52`` is ``("52",)`` and ``*disk*`` is ``("", "disk", "")``; in SQL, join the escaped parts
    with ``%``.
    """

    parts: tuple[str, ...]

    def matches(self, text: str) -> bool:
        """Return whether the whole text fits. Linear: no regular expression to blow up."""
        folded = text.casefold()
        first, last = self.parts[0], self.parts[-1]
        if len(self.parts) == 1:
            return folded == first
        if len(folded) < len(first) + len(last) or not folded.startswith(first):
            return False
        end = len(folded) - len(last)
        return folded.endswith(last) and _in_order(self.parts[1:-1], folded, len(first), end)

    def found_in(self, text: str) -> bool:
        """Return whether any piece of the text fits."""
        folded = text.casefold()
        return _in_order(self.parts, folded, 0, len(folded))

    def equals(self, value: object) -> bool:
        """Return whether one JSON value fits; an object fits only ``*``, a list is never asked.

        Numbers, booleans and null are compared by their JSON text; ``1`` also fits ``1.0``.
        """
        match value:
            case str():
                return self.matches(value)
            case dict():
                return self.parts == ("", "")
            case True:
                return self.matches("true")
            case False:
                return self.matches("false")
            case None:
                return self.matches("null")
            case int() | float():
                return self.matches(repr(value)) or value == self._number()
            case _:
                return False

    def _number(self) -> float | None:
        text = self.parts[0]
        if len(self.parts) > 1 or not _NUMBER.fullmatch(text):
            return None
        # int where it is one: large ids would lose their last digits as floats.
        return int(text) if _INTEGER.fullmatch(text) else float(text)


def _in_order(parts: tuple[str, ...], text: str, start: int, end: int) -> bool:
    for part in parts:
        found = text.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True


@dataclass(frozen=True, slots=True)
class CodeRange:
    """HTTP status codes, both ends included: ``5xx`` is 500 to 599."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Took:
    """A comparison with the duration in milliseconds: ``>2s``."""

    operator: Literal["<", "<=", ">", ">="]
    ms: float


@dataclass(frozen=True, slots=True)
class Ago:
    """So many milliseconds ago: ``since:10m`` is not older than that, ``until:10m`` not newer."""

    ms: int


@dataclass(frozen=True, slots=True)
class At:
    """A time, in milliseconds since the epoch."""

    ms: int


Value = Pattern | CodeRange | Took | Ago | At | int | str
"""By key: word, event and data hold patterns; status, error and trigger exact names; hook numbers;
code ranges; took comparisons; since and until an `Ago` or an `At`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a filter is asked about: a delivery, an attempt or a line of the log.

    ``words`` and ``data`` are called only when a term needs them: the text in which words are
    searched, and the parsed body of the event (None when there is none).
    """

    at_ms: int
    status: str | None = None
    held: bool = False
    outcome: str | None = None
    hook: int | None = None
    event_type: str | None = None
    code: int | None = None
    took_ms: float | None = None
    error: str | None = None
    trigger: str | None = None
    words: Callable[[], str] = str
    data: Callable[[], object] = dict


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: it holds when any of its values fits, or none of them when negated.

    Attributes:
        key: what it is about.
        values: at least one; their type goes with the key, see `Value`.
        negated: whether a ``-`` stood before it.
        column: where it begins in the filter's text, from 1.
        path: the fields to walk, for `Key.DATA` only.
    """

    key: Key
    values: tuple[Value, ...]
    negated: bool = False
    column: int = 1
    path: tuple[str, ...] = ()

    def matches(self, subject: Subject, now_ms: int) -> bool:
        """Return whether the term holds for a subject."""
        if self.key is Key.DATA:
            return self.matches_data(subject.data())
        return any(_fits(self.key, value, subject, now_ms) for value in self.values) != self.negated

    def matches_data(self, data: object) -> bool:
        """Return whether a `Key.DATA` term holds; a missing field fits no value."""
        patterns = [value for value in self.values if isinstance(value, Pattern)]
        found = any(
            pattern.equals(leaf) for leaf in leaves(data, self.path) for pattern in patterns
        )
        return found != self.negated


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; ``str()`` gives the text as it was written. Without terms it fits all."""

    terms: tuple[Term, ...]
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.source

    @property
    def needs_data(self) -> bool:
        """Whether a term looks into the event's body."""
        return any(term.key is Key.DATA for term in self.terms)

    def matches(self, subject: Subject, now_ms: int) -> bool:
        """Return whether all terms hold; ``now_ms`` is what ``since:10m`` counts from."""
        return all(term.matches(subject, now_ms) for term in self.terms)

    def matches_event(self, event_type: str, data: object) -> bool:
        """Return whether a hook with this filter wants an event.

        Args:
            event_type: such as ``job.failed``.
            data: the parsed body; ignored unless `needs_data`.
        """
        subject = Subject(at_ms=0, event_type=event_type, data=lambda: data)
        return self.matches(subject, now_ms=0)


def leaves(data: object, path: tuple[str, ...]) -> Iterator[object]:
    """Return the values at the end of a path, lists unfolded.

    A number in the path picks an item of a list; any other step is taken by each of its items.
    """
    # A stack of our own: the nesting is the sender's choice, Python's recursion limit is not.
    todo: list[tuple[object, int]] = [(data, 0)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, list):
            step = path[depth] if depth < len(path) else ""
            if step.isascii() and step.isdigit():
                if int(step[:9]) < len(value):
                    todo.append((value[int(step[:9])], depth + 1))
            else:
                todo.extend((item, depth) for item in reversed(value))
        elif depth == len(path):
            yield value
        elif isinstance(value, dict) and path[depth] in value:
            todo.append((value[path[depth]], depth + 1))


def _fits(key: Key, value: Value, subject: Subject, now_ms: int) -> bool:
    match value:
        case Pattern() if key is Key.WORD:
            return value.found_in(subject.words())
        case Pattern():
            return subject.event_type is not None and _fits_event(value, subject.event_type)
        case CodeRange(low, high):
            return subject.code is not None and low <= subject.code <= high
        case Took():
            return subject.took_ms is not None and _compares(value, subject.took_ms)
        case Ago(ms):
            return _fits_time(key, now_ms - ms, subject.at_ms)
        case At(ms):
            return _fits_time(key, ms, subject.at_ms)
        case int():
            return subject.hook == value
        case str():
            return _fits_name(key, value, subject)


def _fits_time(key: Key, border_ms: int, at_ms: int) -> bool:
    return at_ms <= border_ms if key is Key.UNTIL else at_ms >= border_ms


def _fits_event(pattern: Pattern, event_type: str) -> bool:
    # A bare group means all of its types, as it does in a subscription.
    return pattern.matches(event_type) or (
        len(pattern.parts) == 1 and pattern.matches(group_of(event_type))
    )


def _fits_name(key: Key, name: str, subject: Subject) -> bool:
    if key is Key.STATUS:
        return name in (subject.status, subject.outcome) or (name == HELD and subject.held)
    return name == (subject.error if key is Key.ERROR else subject.trigger)


def _compares(took: Took, ms: float) -> bool:
    match took.operator:
        case "<":
            return ms < took.ms
        case "<=":
            return ms <= took.ms
        case ">":
            return ms > took.ms
        case ">=":
            return ms >= took.ms
