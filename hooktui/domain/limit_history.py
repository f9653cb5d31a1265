"""The limit of a hook over time, in steps of five minutes; in memory only."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Final

STEP_MS: Final = 300_000
"""Attempts are counted in steps of the same length."""
MAX_STEPS: Final = 288
"""Steps in which the limit changed that are kept: at least a day. One takes 10 bytes."""


class LimitHistory:
    """The lowest and the highest limit of each step in which it changed.

    ``now_ms`` is the time of the first limit, in ms since the epoch.

    Attributes:
        since_ms: the limit is known from here on.
        limit: the latest one.
    """

    __slots__ = ("_highest", "_last", "_lowest", "_steps", "limit", "since_ms")

    def __init__(self, now_ms: int, limit: int) -> None:
        self.since_ms, self.limit = now_ms, limit
        self._steps = array("I", [now_ms // STEP_MS])
        self._lowest, self._highest, self._last = (array("H", [limit]) for _ in range(3))

    def change(self, now_ms: int, limit: int) -> None:
        """Note another limit."""
        step = now_ms // STEP_MS
        if step > self._steps[-1]:
            self._append(step)
        self.limit = self._last[-1] = limit
        self._lowest[-1] = min(self._lowest[-1], limit)
        self._highest[-1] = max(self._highest[-1], limit)

    def _append(self, step: int) -> None:
        self._steps.append(step)
        for limits in (self._lowest, self._highest, self._last):
            limits.append(self.limit)
        if len(self._steps) > MAX_STEPS:
            for values in (self._steps, self._lowest, self._highest, self._last):
                del values[0]
            self.since_ms = self._steps[0] * STEP_MS

    def between(self, start_ms: int, end_ms: int) -> tuple[int, int] | None:
        """Return the lowest and the highest limit of a time; None: not known.

        Args:
            start_ms: its start, a multiple of `STEP_MS`.
            end_ms: its end, which does not belong to it.
        """
        if end_ms <= self.since_ms:
            return None
        first, after = start_ms // STEP_MS, -(-end_ms // STEP_MS)
        index = bisect_right(self._steps, first - 1)
        limits = [self._last[index - 1]] if index else []
        while index < len(self._steps) and self._steps[index] < after:
            limits += (self._lowest[index], self._highest[index])
            index += 1
        return min(limits), max(limits)
