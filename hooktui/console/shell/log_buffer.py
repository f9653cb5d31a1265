"""The latest lines of the live log, in a ring buffer that is independent of Textual.

Every line has a permanent number; a full buffer drops its oldest lines. Widgets store the numbers,
so that dropped lines cause no work for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

CAPACITY = 10_000
"""Number of lines: at most 4 MB, and enough for minutes of a busy server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of the log: an attempt, an alert, or a remark about the log itself.

    ``note`` is the text of an alert or a remark; ``alert`` contains words that filters match for an
    alert; ``result`` is the status code or the error class; ``status`` is the delivery's status
    after the attempt; ``held``, ``cause`` and ``replay`` are those of the delivery.
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
    """A ring buffer of consecutively numbered lines.

    Attributes:
        end: the number of the next line.
        cleared: lines before this number must no longer be shown.
        listeners: called after lines were added.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[LogLine] = deque(maxlen=capacity)
        self.end = 0
        self.cleared = 0
        self.listeners: list[Callable[[], None]] = []

    @property
    def first(self) -> int:
        """The number of the oldest line in the buffer."""
        return self.end - len(self._lines)

    def __getitem__(self, number: int) -> LogLine:
        if not self.first <= number < self.end:
            raise KeyError(number)
        return self._lines[number - self.first]

    def since(self, number: int) -> Iterator[tuple[int, LogLine]]:
        """Yield the lines from a number on, each with its number, oldest first."""
        for at in range(max(number, self.first), self.end):
            yield at, self[at]

    def clear(self) -> None:
        """Remove all lines; numbers continue."""
        self._lines.clear()
        self.cleared = self.end

    def extend(self, lines: Iterable[LogLine]) -> None:
        """Append lines and call the listeners."""
        for line in lines:
            self._lines.append(line)
            self.end += 1
        for listener in tuple(self.listeners):
            listener()
