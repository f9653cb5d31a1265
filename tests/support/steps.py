"""Times of steps: work in the event loop pauses after some milliseconds, so that others go on."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import Final

_REFERENCE_S: Final = 0.000_5
"""The time of `_work` on the machine for which the bounds of the tests were chosen."""


def longest_step_s(begin: Callable[[], Iterator[object]], bound_s: float) -> float:
    """Return the time of the longest step: of each, the least of up to 20 runs.

    Runs end when all steps are below the bound. On a machine that is slower than that of the
    bounds, it is the time that they would take there.
    """
    least_s = times_s(begin())
    for _ in range(19):
        if max(least_s) < bound_s:
            break
        least_s = list(map(min, zip(least_s, times_s(begin()), strict=True)))
    return longest_s if (longest_s := max(least_s)) < bound_s else longest_s / slowness()


def slowness() -> float:
    """Return how many times as long as on the machine of the bounds Python takes; at least 1."""
    return max(1.0, min(_took_s(_work) for _ in range(20)) / _REFERENCE_S)


def times_s(steps: Iterator[object]) -> list[float]:
    """Return the time of each step without collections, which grow with what other tests hold."""
    times: list[float] = []
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        while True:
            begun = time.thread_time()
            ended = next(steps, steps) is steps
            times.append(time.thread_time() - begun)
            if ended:
                return times
    finally:
        if was_enabled:
            gc.enable()


def _took_s(run: Callable[[], object]) -> float:
    begun = time.thread_time()
    run()
    return time.thread_time() - begun


def _work() -> dict[int, str]:
    return {number: str(number) for number in range(5_000)}
