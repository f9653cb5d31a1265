"""The terms of a filter and their matching.

The tree is small and public: the store translates its terms to SQL, console and log match received
objects. Text is compared without regard to case. `hooktui.domain.filters.parser` parses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Final

from hooktui.domain.catalogue import group_of
from hooktui.domain.deliveries import OPEN
from hooktui.domain.filters.data import UNREADABLE, Leaves, Stored, free_steps, leaves_steps
from hooktui.domain.filters.patterns import Pattern, Patterns, sort_patterns
from hooktui.domain.json_text import Steps, finish

HELD, WAITING, RETRYING, UNDELIVERED = "held", "waiting", "retrying", "undelivered"
"""Values of ``status:`` besides statuses and outcomes: pending while its hook is disabled; pending
or sending, not held; tried again after a failure; failed or retrying."""

_UNREAD: Final = object()
_MAX_PATHS: Final = 16
"""Cached paths of a body; each may hold all of it."""
_LONG_TEXT: Final = 2000
"""Letters in which all words of a query, of 2000 letters together, are searched in 1 ms."""


class FilterKey(StrEnum):
    """The property that a term tests; a term without a key is a `WORD`."""

    WORD = "word"
    STATUS = "status"
    HOOK = "hook"
    EVENT = "event"
    CODE = "code"
    TOOK = "took"
    SINCE = "since"
    UNTIL = "until"
    ERROR = "error"
    CAUSE = "cause"
    TRIGGER = "trigger"
    REPLAY = "replay"
    ID = "id"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class FilterTerms:
    """The terms that the filter of one list has, for completing it.

    Attributes:
        values: what a term begins with, such as ``status:``, and the values that are known.
        negatable: whether ``-`` before a term negates it.
    """

    values: Mapping[str, Sequence[str]]
    negatable: bool = True


NO_TERMS: Final = FilterTerms({})


@dataclass(frozen=True, slots=True)
class CodeRange:
    """HTTP status codes, both ends included: ``5xx`` is 500 to 599."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class DurationComparison:
    """A comparison with the duration in milliseconds, by ``<``, ``<=``, ``>`` or ``>=``."""

    operator: str
    ms: float


_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lt, "<=": le, ">": gt, ">=": ge
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TimeBound:
    """The bound of ``since:`` or ``until:``: an age, or a time since the epoch; in milliseconds."""

    ms: int
    is_age: bool = False

    def at_ms(self, now_ms: int) -> int:
        """Return it as a time."""
        return now_ms - self.ms if self.is_age else self.ms


Value = Pattern | CodeRange | DurationComparison | TimeBound | int | str
"""By key: word, event, cause and data hold patterns; status, error and trigger exact names; replay
and id public ids; hook numbers; code ranges; took comparisons; since and until a `TimeBound`."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """The object that a filter is matched with: a delivery, an attempt or a line of the log.

    ``ids`` are those of its event and its delivery. ``words`` (the text in which words are
    searched) and ``data`` (the event's body, parsed or `Stored`) are called at most once, when a
    term needs them.
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
    cause: str | None = None
    trigger: str | None = None
    replay: str | None = None
    ids: tuple[str, ...] = ()
    words: Callable[[], str] = str
    data: Callable[[], object] = dict
    _folded: str | None = field(default=None, init=False, repr=False, compare=False)
    _body: object = field(default=_UNREAD, init=False, repr=False, compare=False)
    _nested: bool = field(default=False, init=False, repr=False, compare=False)
    _leaves: dict[tuple[str, ...], Leaves] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def folded_words(self) -> str:
        """Return the text in which words are searched, case-folded."""
        if self._folded is None:
            self._folded = self.words().casefold()
        return self._folded

    def leaves_steps(self, path: tuple[str, ...]) -> Steps[Leaves | None]:
        """Return the values at the end of a path; None: the body cannot be read."""
        if self._body is _UNREAD:
            data = self.data()
            if isinstance(data, Stored):
                self._nested = data.is_nested
                data = yield from data.read_steps()
            self._body = data
        if self._body is UNREADABLE:
            return None
        leaves = self._leaves.get(path)
        if leaves is None:
            leaves = yield from leaves_steps(self._body, path)
            if len(self._leaves) >= _MAX_PATHS:
                self._leaves.clear()
            self._leaves[path] = leaves
        return leaves

    def forget_steps(self) -> Steps[None]:
        """Free the cached body; another term reads it again."""
        data, nested = self._body, self._nested
        self._body, self._nested = _UNREAD, False
        if nested:
            yield from free_steps(data)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: it holds if any of its values matches, or if negated, none of them.

    Attributes:
        key: the tested property.
        values: at least one; their type depends on the key, see `Value`.
        negated: whether it was written with a ``-``.
        column: its column in the filter's text, from 1.
        path: the fields to follow, for `FilterKey.DATA` only.
    """

    key: FilterKey
    values: tuple[Value, ...]
    negated: bool
    column: int
    path: tuple[str, ...] = ()
    _patterns: Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        patterns = (value for value in self.values if isinstance(value, Pattern))
        object.__setattr__(self, "_patterns", sort_patterns(patterns))

    def match_steps(self, subject: Subject, now_ms: int) -> Steps[bool]:
        """Return in steps whether the term holds for a subject.

        No ``data.`` term holds for a body that cannot be read, because its content is unknown.
        """
        if self.key is FilterKey.DATA:
            leaves = yield from subject.leaves_steps(self.path)
            if leaves is None:
                return False
            return (yield from leaves.fit_steps(self._patterns)) != self.negated
        if self.key is FilterKey.WORD:
            folded = subject.folded_words()
            for value in self.values:
                if len(folded) > _LONG_TEXT:
                    yield
                if isinstance(value, Pattern) and value.found_in_folded(folded):
                    return not self.negated
            return self.negated
        return any(_fits(self.key, value, subject, now_ms) for value in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; ``str()`` returns its source text. Without terms it matches everything."""

    terms: tuple[Term, ...]
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.source

    @property
    def needs_data(self) -> bool:
        """Whether a term needs the event's body."""
        return any(term.key is FilterKey.DATA for term in self.terms)

    @property
    def weight(self) -> int:
        """The approximate cost of matching a body: the number of its values, weighted."""
        values = (value for term in self.terms for value in term.values)
        return sum(value.weight if isinstance(value, Pattern) else 1 for value in values)

    def required(self, key: FilterKey) -> list[Term]:
        """Return the terms that are not negated and test a property."""
        return [term for term in self.terms if term.key is key and not term.negated]

    def matches(self, subject: Subject, now_ms: int) -> bool:
        """Return whether all terms hold; ``since:10m`` counts from ``now_ms``."""
        return finish(self.match_steps(subject, now_ms))

    def match_once_steps(self, subject: Subject, now_ms: int) -> Steps[bool]:
        """Return in steps whether all terms hold, and free what was read of the body."""
        fits = yield from self.match_steps(subject, now_ms)
        yield from subject.forget_steps()
        return fits

    def match_steps(self, subject: Subject, now_ms: int) -> Steps[bool]:
        """Return in steps whether all terms hold."""
        for term in self.terms:
            if not (yield from term.match_steps(subject, now_ms)):
                return False
        return True


def _fits(key: FilterKey, value: Value, subject: Subject, now_ms: int) -> bool:
    match value:
        case Pattern() if key is FilterKey.CAUSE:
            return subject.cause is not None and value.fits(subject.cause)
        case Pattern():
            return subject.event_type is not None and _fits_event(value, subject.event_type)
        case CodeRange(low, high):
            return subject.code is not None and low <= subject.code <= high
        case DurationComparison():
            took = subject.took_ms
            return took is not None and _COMPARE[value.operator](took, value.ms)
        case TimeBound() if key is FilterKey.UNTIL:
            return subject.at_ms <= value.at_ms(now_ms)
        case TimeBound():
            return subject.at_ms >= value.at_ms(now_ms)
        case int():
            return subject.hook == value
        case str():
            return _fits_name(key, value, subject)


def _fits_event(pattern: Pattern, event_type: str) -> bool:
    # A bare group covers all of its types, as in a subscription.
    return pattern.fits(event_type) or (
        len(pattern.parts) == 1 and pattern.fits(group_of(event_type))
    )


def _fits_name(key: FilterKey, name: str, subject: Subject) -> bool:
    match key:
        case FilterKey.STATUS:
            return name in (subject.status, subject.outcome) or _fits_state(name, subject)
        case FilterKey.ERROR:
            return name == subject.error
        case FilterKey.REPLAY:
            return name == subject.replay
        case FilterKey.ID:
            return name in subject.ids
        case _:
            return name == subject.trigger


def _fits_state(name: str, subject: Subject) -> bool:
    match name:
        case "held":
            return subject.held
        case "waiting":
            return subject.status in OPEN and not subject.held
        case "retrying":
            return subject.status in OPEN and subject.cause is not None
        case "undelivered":
            return subject.cause is not None
        case _:
            return False
