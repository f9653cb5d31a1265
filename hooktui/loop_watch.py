"""Who holds the event loop for how long: one program for everybody means that nobody may.

Two measurements complete each other. A request is timed from one wait to the next, which names its
route (but for single events, which are little work); a beat every 20 ms is late by as long as
anything held the loop, and finds what is no request. The longest of both in the last minute is what
people see.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)

KEPT_S: Final = 60.0
BEAT_S: Final = 0.02
NOTED_S: Final = 0.002
"""Shorter holds are what a loop is for."""
LOGGED_S: Final = 0.1
ELSEWHERE: Final = "other work"


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which nothing else ran: how long, by what, and when it ended (monotonic)."""

    seconds: float
    by: str
    at_s: float


class LoopWatch:
    """Keeps the longest holds of the last minute.

    Args:
        clock: seconds, monotonic.

    Attributes:
        logging: whether long holds are logged: while the beat goes on, and not during a start,
            which imports much, or a stop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.logging = False
        self._clock = clock
        self._holds: deque[Hold] = deque()  # each one longer than those after it
        self._since_beat_s = 0.0

    def note(self, seconds: float, by: str) -> None:
        """Note that the loop was held until now."""
        if seconds < NOTED_S:
            return
        self._since_beat_s = max(self._since_beat_s, seconds)
        now = self._clock()
        while self._holds and self._holds[-1].seconds <= seconds:
            self._holds.pop()
        self._holds.append(Hold(seconds, by, now))
        self._forget(now)
        if seconds >= LOGGED_S and self.logging:
            _log.warning("event loop held for %.0f ms by %s", seconds * 1000, by)

    def longest(self) -> Hold | None:
        """Return the longest hold of the last minute; None: nothing took over 2 ms."""
        self._forget(self._clock())
        return self._holds[0] if self._holds else None

    async def beat(self) -> None:
        """Look how late the loop is, again and again."""
        self.logging = True
        try:
            while True:
                await self._beat_once()
        finally:
            self.logging = False

    async def _beat_once(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
        late_s, known_s = loop.time() - due, self._since_beat_s
        # It is late by all that ran meanwhile; what is known explains it if it is most of that.
        if late_s > 2 * known_s:
            self.note(late_s, ELSEWHERE)
        self._since_beat_s = 0.0

    def _forget(self, now: float) -> None:
        while self._holds and self._holds[0].at_s < now - KEPT_S:
            self._holds.popleft()


class Timed(Generic[T]):
    """Something to wait for that is timed from one wait of its own to the next.

    Args:
        work: what to wait for, such as a coroutine.
        note: told of each time that it ran for over `NOTED_S`, in seconds, and of ``what``.
        what: passed on.
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
"""Of this process: it has one event loop."""
