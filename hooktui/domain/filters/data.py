"""The values of an event's body that filters compare: those at the end of a path, case-folded once.

All work is done in steps (`hooktui.domain.json_text.Steps`), because bodies are large and come from
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hooktui.domain.errors import Malformed
from hooktui.domain.filters.patterns import ANYTHING, Pattern, Patterns, number_text
from hooktui.domain.json_text import Steps, read_steps


class Unreadable(Enum):
    """Represents a body that cannot be read or is not stored.

    It matches no ``data.`` term, negated or not.
    """

    UNREADABLE = "unreadable"


UNREADABLE: Final = Unreadable.UNREADABLE

_A_STEP: Final = 50
"""Values, about 20 µs: each of the 200 terms of a query may end just short of a step."""
_NESTED: Final = 20_000
"""Lists and objects that are freed in about 1 ms, however they are nested."""
_LETTERS_A_STEP: Final = 2000
"""Letters that are compared with all patterns of a query, of 2000 letters together, in 3 ms."""
_LOOK: Final = 40
"""The fixed cost of a value, in letters."""
_SEPARATOR: Final = "\0"
"""A filter cannot contain control characters, so no pattern spans two values."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored body, parsed when a term needs it; None: it is purged."""

    text: bytes | None

    @property
    def is_nested(self) -> bool:
        """Whether it has so many lists and objects that they are freed in steps."""
        text = self.text or b""
        return len(text) > _NESTED and text.count(b"[") + text.count(b"{") > _NESTED

    def read_steps(self) -> Steps[object]:
        """Return the parsed body, or `UNREADABLE`."""
        if self.text is None:
            return UNREADABLE
        try:
            return (yield from read_steps(self.text))
        except Malformed:
            return UNREADABLE


def free_steps(data: object) -> Steps[None]:
    """Free an unshared body in steps: 130,000 lists take 7 ms at once."""
    todo = [data]
    count = 0
    while todo:
        inner = todo[-1]
        if isinstance(inner, list) and inner:
            todo.append(inner.pop())
        elif isinstance(inner, dict) and inner:
            todo.append(inner.popitem()[1])
        else:
            todo.pop()
            count += 1
            if count % _A_STEP == 0:
                yield


def walk(data: object, path: tuple[str, ...]) -> Iterator[tuple[bool, object]]:
    """Yield the values at the end of a path, each with True; lists are unfolded.

    A number in the path picks an item of a list; any other step applies to each of its items.
    Values on the way and dead ends are yielded with False, because a list may be long.
    """
    # An explicit stack: the sender chooses the nesting, which may exceed Python's recursion limit.
    todo: list[tuple[Iterator[object], int]] = [(iter((data,)), 0)]
    while todo:
        values, depth = todo[-1]
        for value in values:
            if isinstance(value, list):
                step = path[depth] if depth < len(path) else ""
                if not (step.isascii() and step.isdigit()):
                    todo.append((iter(value), depth))
                elif int(step[:9]) < len(value):
                    todo.append((iter((value[int(step[:9])],)), depth + 1))
            elif depth == len(path):
                yield True, value
                continue
            elif isinstance(value, dict) and path[depth] in value:
                todo.append((iter((value[path[depth]],)), depth + 1))
            yield False, None
            if todo[-1][0] is not values:
                break
        else:
            todo.pop()


def first_steps(data: object, path: tuple[str, ...], limit: int) -> Steps[list[object]]:
    """Return the first values at the end of a path, lists unfolded, in the order of the body."""
    values: list[object] = []
    for count, (ended, value) in enumerate(walk(data, path), 1):
        if count % _A_STEP == 0:
            yield
        if ended:
            values.append(value)
            if len(values) == limit:
                break
    return values


@dataclass(frozen=True, slots=True)
class Leaves:
    """The values at the end of one path, prepared for comparison.

    ``texts`` are the distinct ones, case-folded (numbers, booleans and null by their JSON text),
    ``numbers`` the numbers as `number_text` writes them; ``has_values``: there is any value.
    """

    texts: frozenset[str]
    numbers: frozenset[str]
    has_values: bool
    joined: str

    def fit_steps(self, patterns: Patterns) -> Steps[bool]:
        """Return whether one of them matches one of the patterns."""
        if not patterns.texts.isdisjoint(self.texts):
            return True
        if not patterns.numbers.isdisjoint(self.numbers):
            return True
        for pattern in patterns.wild:
            if (yield from self._fits_steps(pattern)):
                return True
        return False

    def _fits_steps(self, pattern: Pattern) -> Steps[bool]:
        parts = pattern.parts
        if parts == ANYTHING:
            return self.has_values
        if len(parts) == 3 and not parts[0] and not parts[2]:
            if len(self.joined) > _LETTERS_A_STEP:
                yield
            return parts[1] in self.joined
        letters = 0
        for text in self.texts:
            if pattern.fits(text):
                return True
            letters += len(text) + _LOOK
            if letters > _LETTERS_A_STEP:
                letters = 0
                yield
        return False


def _only_value(data: object, path: tuple[str, ...]) -> Leaves | None:
    """Return the leaf at the end of a path through objects, as most are; None: look properly."""
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return None
        data = data[step]
    if type(data) is int:
        return Leaves(frozenset((repr(data),)), frozenset((number_text(data),)), True, repr(data))
    if type(data) is not str or len(data) > _LETTERS_A_STEP:
        return None
    text = data.casefold()
    return Leaves(frozenset((text,)), frozenset(), True, text)


def leaves_steps(data: object, path: tuple[str, ...]) -> Steps[Leaves]:
    """Return the values at the end of a path."""
    only = _only_value(data, path)
    if only is not None:
        return only
    texts: set[str] = set()
    numbers: set[str] = set()
    has_value = False
    letters = 0
    for count, (ended, value) in enumerate(walk(data, path), 1):
        if count % _A_STEP == 0:
            yield
        if not ended:
            continue
        has_value = True
        match value:
            case str():
                texts.add(value.casefold())
                letters += len(value)
                if letters > _LETTERS_A_STEP:
                    letters = 0
                    yield
            case bool():
                texts.add("true" if value else "false")
            case None:
                texts.add("null")
            case int() | float():
                texts.add(repr(value).casefold())
                numbers.add(number_text(value))
            case _:
                pass  # an object matches only *
    return Leaves(frozenset(texts), frozenset(numbers), has_value, _SEPARATOR.join(texts))
