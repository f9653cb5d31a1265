"""Measures what blocks the event loop and for how long, because all requests share one loop.

Two measurements complement each other. A request is timed from one wait to the next, which gives
its route (except for single events, which are short). A timer of 20 ms is late by as long as the
loop was blocked, and detects work outside of requests. The longest of both in the last minute is
reported.

The timer also measures the share of the time in which the thread of the loop uses a CPU or waits
for one that other programs use: close to 1, the server itself limits the throughput.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)

KEPT_S: Final = 60.0
BEAT_S: Final = 0.02
NOTED_S: Final = 0.002
"""Shorter holds are normal and not recorded."""
LOGGED_S: Final = 0.1
ELSEWHERE: Final = "other work"
_NEWEST: Final = 0.4
"""The weight of the newest beat in the busy share, which so shows the last 0.05 s."""
_SCHEDSTAT: Final = "/proc/thread-self/schedstat"
"""The time that a thread ran and waited for a CPU, in ns, and how often it ran (Linux)."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which the loop was blocked: seconds, by what, and its end (monotonic)."""

    seconds: float
    by: str
    at_s: float


class LoopWatch:
    """Keeps the longest holds of the last minute.

    Attributes:
        logging: whether long holds are logged: while the timer runs, and not during a start, which
            imports much, or a stop.
        busy_share: of the last 0.05 s, in which the thread of the loop used a CPU or waited for
            one; 0 without beats.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.logging = False
        self.busy_share = 0.0
        self._clock = clock
        self._holds: deque[Hold] = deque()  # each one longer than those after it
        self._since_beat_s = 0.0
        self._beat_due_s = math.inf

    def note(self, seconds: float, by: str) -> None:
        """Record that the loop was blocked until now."""
        if seconds < NOTED_S:
            return
        self._since_beat_s = max(self._since_beat_s, seconds)
        now = self._clock()
        while self._holds and self._holds[-1].seconds <= seconds:
            self._holds.pop()
        self._holds.append(Hold(seconds, by, now))
        self._forget(now)
        if seconds >= LOGGED_S and self.logging:
            _log.warning("event loop blocked for %.0f ms by %s", seconds * 1000, by)

    def longest(self) -> Hold | None:
        """Return the longest hold of the last minute; None: nothing took over 2 ms."""
        self._forget(self._clock())
        return self._holds[0] if self._holds else None

    def held_s(self, since_s: float, until_s: float) -> float:
        """Return the longest time in seconds between two times in which the loop was blocked.

        A timer that is late just now counts: what runs after a hold may run before the timer.
        ``until_s`` is the present time.
        """
        longest = max(0.0, until_s - max(since_s, self._beat_due_s))
        for hold in reversed(self._holds):
            if hold.at_s <= since_s:
                break
            longest = max(longest, hold.at_s - max(since_s, hold.at_s - hold.seconds))
        return longest

    async def beat(self) -> None:
        """Measure the lateness of the loop repeatedly."""
        self.logging = True
        waits: int | None = None
        with suppress(OSError):
            waits = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while True:
                await self._beat_once(waits)
        finally:
            if waits is not None:
                os.close(waits)
            self.logging = False
            self.busy_share = 0.0
            self._beat_due_s = math.inf

    async def _beat_once(self, waits: int | None) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + BEAT_S
        self._beat_due_s = self._clock() + BEAT_S
        busy_s = _busy_s(waits)
        await asyncio.sleep(BEAT_S)
        busy = (_busy_s(waits) - busy_s) / max(loop.time() - due + BEAT_S, BEAT_S)
        self.busy_share += _NEWEST * (busy - self.busy_share)
        late_s, known_s = loop.time() - due, self._since_beat_s
        # It is late by everything that ran meanwhile; known holds explain it if they are most of
        # that.
        if late_s > 2 * known_s:
            self.note(late_s, ELSEWHERE)
        self._since_beat_s = 0.0

    def _forget(self, now: float) -> None:
        while self._holds and self._holds[0].at_s < now - KEPT_S:
            self._holds.popleft()


def _busy_s(waits: int | None) -> float:
    """Return for how many seconds this thread used a CPU, or waited for one, read from a file."""
    waited_ns = 0 if waits is None else int(os.pread(waits, 64, 0).split()[1])
    return time.thread_time() + waited_ns / 1e9


class Timed(Generic[T]):
    """An awaitable that is timed from one wait to the next.

    Args:
        work: the awaitable, such as a coroutine.
        note: called with each run of over `NOTED_S`, in seconds, and with ``what``.
        what: passed to ``note``.
    """

    __slots__ = ("_note", "_what", "_work")

    def __init__(self, work: Awaitable[None], note: Callable[[float, T], None], what: T) -> None:
        self._work = work
        self._note = note
        self._what = what

    def __await__(self) -> Generator[Any, None, None]:
        run, clock = self._work.__await__(), time.perf_counter
        thrown: BaseException | None = None
        while True:
            begun = clock()
            try:
                waits_for = run.send(None) if thrown is None else run.throw(thrown)
            except StopIteration:
                return
            finally:
                took = clock() - begun
                if took > NOTED_S:
                    self._note(took, self._what)
            thrown = None
            try:
                yield waits_for
            except BaseException as error:
                thrown = error


WATCH: Final = LoopWatch()
"""The watch of this process, which has one event loop."""
