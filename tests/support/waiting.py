"""Waiting for what other threads and processes do.

The time limit ends a test that hangs. It measures nothing: on a busy machine everything may take
many times as long as usual.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_S = 30.0
_PAUSE_S = 0.02


def wait_for(condition: Callable[[], T], within_s: float = LIMIT_S, what: object = "") -> T:
    """Return the first true value of a condition; fail when the time is up."""
    deadline_s = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s} s: {what or inspect.getsource(condition)}")
        pause.wait(_PAUSE_S)


async def until(
    condition: Callable[[], T | Awaitable[T]], within_s: float = LIMIT_S, what: object = ""
) -> T:
    """Return the first true value of a condition, or of what it awaits, without blocking the loop.

    The clock is the process's, also where a test turns that of the event loop.
    """
    deadline_s = time.monotonic() + within_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s} s: {what or inspect.getsource(condition)}")
        await asyncio.sleep(_PAUSE_S / 4)
