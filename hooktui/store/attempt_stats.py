"""Counts and durations of attempts in 5-minute buckets, and the figures that lists derive."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BUCKET_MS: Final = 5 * 60 * 1000

BOUNDS_MS: Final = (
    5, 10, 20, 50, 100, 200, 350, 500, 750, 1_000, 2_000, 3_500, 5_000, 10_000, 20_000, 30_000,
)  # fmt: skip
"""Upper bounds of the histogram; the last is the longest possible attempt."""

COLUMNS: Final = tuple(f"t{index}" for index in range(len(BOUNDS_MS)))
COUNTS: Final = ("delivered", "failed", *COLUMNS)
"""All columns of a bucket."""


def bucket_of(ms: int) -> int:
    """Return the start of the bucket that a time falls into."""
    return ms - ms % BUCKET_MS


def column_of(duration_ms: float) -> int:
    """Return the histogram column of a duration."""
    return min(bisect_left(BOUNDS_MS, duration_ms), len(BOUNDS_MS) - 1)


def percentile_ms(counts: Sequence[int], share: float) -> int | None:
    """Return the upper bound of the column that holds a percentile; None without counts."""
    total = sum(counts)
    if not total:
        return None
    rank, seen = share * total, 0
    for bound, count in zip(BOUNDS_MS, counts, strict=True):
        seen += count
        if seen >= rank:
            return bound
    return BOUNDS_MS[-1]
