"""Text with wildcards, as in the values of a filter, and its comparison.

Text is compared without regard to case, numbers by their value: ``1`` also matches ``1.0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Final

_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?(e[+-]?[0-9]{1,4})?")
_INTEGER = re.compile(r"-?[0-9]+")

ANYTHING: Final = ("", "")
"""The parts of ``*``, which also matches an object."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with wildcards: the case-folded parts between the ``*``.

    ``52`` is ``("52",)`` and ``*disk*`` is ``("", "disk", "")``; in SQL, join the escaped parts
    with ``%``.
    """

    parts: tuple[str, ...]

    @property
    def weight(self) -> int:
        """The cost of comparing it, in that of a short one.

        Python finds a part in a text of under 2500 letters by trial: 0.3 ns for a pair of letters.
        """
        return max(len(self.parts) - 2, 1) + sum(map(len, self.parts[1:-1])) // 16

    def fits(self, folded: str) -> bool:
        """Return whether the whole of a case-folded text matches (no regular expression)."""
        first, last = self.parts[0], self.parts[-1]
        if len(self.parts) == 1:
            return folded == first
        if len(folded) < len(first) + len(last) or not folded.startswith(first):
            return False
        end = len(folded) - len(last)
        return folded.endswith(last) and _in_order(self.parts[1:-1], folded, len(first), end)

    def found_in_folded(self, folded: str) -> bool:
        """Return whether any part of a case-folded text matches."""
        return _in_order(self.parts, folded, 0, len(folded))


def _in_order(parts: tuple[str, ...], text: str, start: int, end: int) -> bool:
    for part in parts:
        position = text.find(part, start, end)
        if position < 0:
            return False
        start = position + len(part)
    return True


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns by kind of comparison: ``texts`` and ``numbers`` are compared exactly.

    Comparing a value with all exact ones costs one look-up.
    """

    texts: frozenset[str]
    numbers: frozenset[str]
    wild: tuple[Pattern, ...]


def sort_patterns(patterns: Iterable[Pattern]) -> Patterns:
    """Return patterns by kind of comparison."""
    texts: list[str] = []
    wild: list[Pattern] = []
    for pattern in patterns:
        if len(pattern.parts) == 1:
            texts.append(pattern.parts[0])
        else:
            wild.append(pattern)
    numbers = (_number_in(text) for text in texts)
    return Patterns(
        frozenset(texts), frozenset(number for number in numbers if number is not None), tuple(wild)
    )


def _number_in(text: str) -> str | None:
    if not _NUMBER.fullmatch(text):
        return None
    # An int if possible: large ids would lose their last digits as floats.
    value = int(text) if _INTEGER.fullmatch(text) else float(text)
    return number_text(value) if isfinite(value) else None


def number_text(value: float) -> str:
    """Return the text that all equal numbers share: ``1`` for ``1.0``.

    Sets of texts are safe, whereas a sender could make numbers collide in a set of numbers.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr(value)
