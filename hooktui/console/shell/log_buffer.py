"""The latest lines of the live log: a ring buffer that knows nothing of Textual.

Every line has a number that never changes; a line that fell out of the ring is simply gone. Widgets
remember numbers, so that a full ring costs them nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

CAPACITY = 10_000
"""Lines kept: 4 MB at most, and minutes of a busy server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One attempt as a line of the log, an alert, or a remark about the log itself.

    ``note`` is the text of an alert or a remark; ``alert`` the words by which the alert is found;
    ``result`` is the status code or the error class; ``status`` the delivery's after it; ``held``,
    ``cause`` and ``replay`` are those of the delivery.
    """

    at_ms: int
    delivery: str = ""
    hook: int = 0
    event: str = ""
    event_type: str = ""
    trigger: str = ""
    attempt: int = 0
    status: str = ""
    outcome: str = ""
    result: str = ""
    duration_ms: float | None = None
    size: int | None = None
    detail: str = ""
    note: str = ""
    alert: str = ""
    held: bool = False
    cause: str | None = None
    replay: str | None = None


class LogBuffer:
    """A ring of lines with running numbers.

    Attributes:
        end: the number that the next line will get.
        cleared: lines before this number must not be shown any more.
        listeners: called after lines were added.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self.end = 0
        self.cleared = 0
        self.listeners: list[Callable[[], None]] = []

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept."""
        return self.end - len(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> LogLine:
        if not self.first <= number < self.end:
            raise KeyError(number)
        return self._lines[number - self.first]

    def since(self, number: int) -> Iterator[tuple[int, LogLine]]:
        """Return the lines from a number on, each with its number, oldest first."""
        for at in range(max(number, self.first), self.end):
            yield at, self[at]

    def clear(self) -> None:
        """Remove all lines; numbers continue."""
        self._lines.clear()
        self.cleared = self.end

    def extend(self, lines: Iterable[LogLine]) -> None:
        """Add lines at the end."""
        for line in lines:
            self._lines.append(line)
            self.end += 1
        for listener in tuple(self.listeners):
            listener()
