"""The memory of an adaptive limit: its size does not depend on the number of responses."""

from __future__ import annotations

import math
from typing import Final

RECENT: Final = 250
"""The share of overloads is that of at least as many responses."""
GUESSED_RESPONSE_S: Final = 0.1
"""The response time before one was measured."""
_SLICES: Final = 8
_MEMORY_S: Final = 600.0
_STEP_S: Final = 10.0


class RecentSuccesses:
    """Counts attempts that succeed within one response time, in eighths of it."""

    __slots__ = ("_at_s", "_counts", "_current", "_slice_s")

    def __init__(self) -> None:
        self._counts = [0] * _SLICES
        self._current, self._at_s, self._slice_s = 0, 0.0, GUESSED_RESPONSE_S / _SLICES

    def add(self, now_s: float, response_s: float, count: int) -> None:
        """Count successes at a time; both in seconds."""
        self._advance(now_s, response_s)
        self._counts[self._current] += count

    def count(self, now_s: float, response_s: float) -> int:
        """Return how many attempts succeeded within the last response time."""
        self._advance(now_s, response_s)
        return sum(self._counts)

    def _advance(self, now_s: float, response_s: float) -> None:
        """Begin the slices that have come since; counts before a change of their length remain."""
        passed = int((now_s - self._at_s) / self._slice_s)
        if passed <= 0:
            return
        self._at_s = now_s if passed > _SLICES else self._at_s + passed * self._slice_s
        for _ in range(min(passed, _SLICES)):
            self._current = (self._current + 1) % _SLICES
            self._counts[self._current] = 0
        self._slice_s = response_s / _SLICES


class RecentShare:
    """The share of overloads among the latest 250 responses or more, about 500 at most."""

    __slots__ = ("_overloads", "_previous", "_responses")

    def __init__(self) -> None:
        self._responses = self._overloads = 0
        self._previous = (0, 0)

    def add(self, successes: int, overloads: int) -> None:
        """Count responses."""
        if self._responses >= RECENT:
            self._previous = (self._responses, self._overloads)
            self._responses = self._overloads = 0
        self._responses += successes + overloads
        self._overloads += overloads

    @property
    def value(self) -> float:
        """The share, from 0 to 1."""
        responses, overloads = self._previous
        responses += self._responses
        return (overloads + self._overloads) / responses if responses else 0.0


class LeastMedians:
    """The least median response time of the last ten minutes."""

    __slots__ = ("_by_step",)

    def __init__(self) -> None:
        self._by_step: list[tuple[int, float]] = []

    def add(self, now_s: float, median_s: float) -> None:
        """Note a median at a time; both in seconds."""
        step = int(now_s / _STEP_S)
        if self._by_step and self._by_step[-1][0] == step:
            median_s = min(self._by_step.pop()[1], median_s)
        self._by_step.append((step, median_s))
        self._drop(step)

    def least(self, now_s: float) -> float:
        """Return the least median in seconds; infinity if there is none."""
        self._drop(int(now_s / _STEP_S))
        return min((median for _, median in self._by_step), default=math.inf)

    def _drop(self, step: int) -> None:
        oldest = step - int(_MEMORY_S / _STEP_S)
        while self._by_step and self._by_step[0][0] < oldest:
            del self._by_step[0]
