"""Text search in widgets: finding matches, moving between them, and highlighting them.

The search ignores case; a match never spans two lines.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

P = TypeVar("P", bound=Any)

MATCH: Final = Style(reverse=True, underline=True)
"""Style of a match; on a reversed line, only the underline distinguishes it."""


@dataclass(frozen=True, slots=True)
class SearchMatch:
    """A match: its number (from 1; 0 for none), the total, and whether the search wrapped."""

    number: int
    count: int
    wrapped: bool = False


class Searchable(Protocol):
    """A widget whose text can be searched."""

    def search(self, text: str) -> SearchMatch | None:
        """Search for a text from the cursor on; an empty one ends the search.

        Returns:
            The match; None without a search text, or while the widget has no text yet.
        """

    def search_on(self, *, forward: bool) -> SearchMatch | None:
        """Go to the next or the previous match; return None as `search` does."""

    def toggle_wrap(self) -> str:
        """Toggle between wrapping and cutting long lines; return a notice of the new state."""

    def focus(self) -> object:
        """Focus the widget."""


def folded(text: str) -> str:
    """Return a text in lower case, with the same number of characters."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def places_in(text: str, needle: str) -> Iterator[int]:
    """Yield the positions of a needle (already folded) in a text."""
    text = folded(text)
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + len(needle))


def step(matches: Sequence[P], here: P, *, forward: bool, stay: bool = False) -> tuple[int, bool]:
    """Return the index of the match after (or before) a position, and whether that wrapped.

    Args:
        matches: all matches, in order; at least one.
        here: the position of the current match, or of the cursor.
        forward: whether to search after ``here``, else before it.
        stay: whether a match at ``here`` itself counts.
    """
    if forward:
        at = bisect_left(matches, here) if stay else bisect_right(matches, here)
        return (0, True) if at == len(matches) else (at, False)
    at = (bisect_right(matches, here) if stay else bisect_left(matches, here)) - 1
    return (len(matches) - 1, True) if at < 0 else (at, False)


def highlighted(strip: Strip, needle: str) -> Strip:
    """Return a line with every match highlighted."""
    text = strip.text
    starts = list(places_in(text, needle)) if needle else []
    if not starts:
        return strip
    cuts: list[int] = []
    for start in starts:
        before = cell_len(text[:start])
        cuts += [before, before + cell_len(text[start : start + len(needle)])]
    parts = strip.divide([*cuts, strip.cell_length])
    marked = (part.apply_style(MATCH) if at % 2 else part for at, part in enumerate(parts))
    return Strip.join(list(marked))
