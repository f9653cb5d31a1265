"""Where a number is going: how fast it changes, and when it will get somewhere."""

from __future__ import annotations

from collections import deque
from typing import Final

REMEMBERED_MS: Final = 5 * 60_000
LEAST_SAMPLES: Final = 3
LEAST_SPAN_MS: Final = 10_000
"""Below it a line through the samples says nothing."""


class Trend:
    """The latest samples of a number, and the line through them."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque()

    def add(self, at_ms: int, value: float) -> None:
        """Take a sample; old ones are forgotten, and all after a clock that was set back."""
        if self._samples and at_ms < self._samples[-1][0]:
            self._samples.clear()
        self._samples.append((at_ms, value))
        while at_ms - self._samples[0][0] > REMEMBERED_MS:
            self._samples.popleft()

    def clear(self) -> None:
        """Forget all samples."""
        self._samples.clear()

    @property
    def span_ms(self) -> int:
        """How long the samples reach back."""
        return self._samples[-1][0] - self._samples[0][0] if self._samples else 0

    @property
    def per_s(self) -> float | None:
        """By how much the number grows each second; None while that cannot be told."""
        if len(self._samples) < LEAST_SAMPLES or self.span_ms < LEAST_SPAN_MS:
            return None
        begun_ms = self._samples[0][0]
        times = [(at_ms - begun_ms) / 1000 for at_ms, _ in self._samples]
        values = [value for _, value in self._samples]
        middle_s, mean = sum(times) / len(times), sum(values) / len(values)
        spread = sum((at_s - middle_s) ** 2 for at_s in times)
        both = sum((s - middle_s) * (v - mean) for s, v in zip(times, values, strict=True))
        return both / spread

    def falls_to_s(self, value: float) -> float | None:
        """Return in how many seconds the number is down to a value; None: not as it goes now."""
        per_s = self.per_s
        if per_s is None or per_s >= 0 or not self._samples:
            return None
        return max(self._samples[-1][1] - value, 0) / -per_s
