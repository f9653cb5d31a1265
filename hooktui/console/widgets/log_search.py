"""A search in the lines of a log: which of them match, kept up as lines come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from hooktui.console.log_buffer import LogLine
from hooktui.console.widgets.search import Found, folded, step


class LogSearch:
    """The matching lines, by their numbers, in order.

    Args:
        text_of: returns what can be found in a line.
    """

    def __init__(self, text_of: Callable[[LogLine], str]) -> None:
        self._text_of = text_of
        self.needle = ""
        self._found: deque[int] = deque()

    def begin(self, text: str, lines: Iterable[tuple[int, LogLine]]) -> None:
        """Search for another text in all lines that are there."""
        self.needle = folded(text)
        self._found.clear()
        self.take(lines)

    def take(self, lines: Iterable[tuple[int, LogLine]]) -> None:
        """Look at lines that came; costs nothing while nothing is searched for."""
        if self.needle:
            self._found.extend(
                number for number, line in lines if self.needle in folded(self._text_of(line))
            )

    def forget(self, first: int) -> None:
        """Forget lines before a number."""
        while self._found and self._found[0] < first:
            self._found.popleft()

    def go(self, here: int, *, forward: bool, stay: bool = False) -> tuple[int, Found] | None:
        """Return the number of the match after (or before) a line; None: there is none."""
        if not self._found:
            return None
        # A copy: reaching into the middle of a deque takes as long as walking there.
        found = list(self._found)
        at, wrapped = step(found, here, forward=forward, stay=stay)
        return found[at], Found(at + 1, len(found), wrapped)
