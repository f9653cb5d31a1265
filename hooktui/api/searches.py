"""Bounds of what one caller may have the server look through, and wait for, at a time.

A search (a list or the feed with ``q``, a dry run, decisions) computes in a thread, or in slices of
the event loop, for as long as its caller likes. Threads share one interpreter with the loop: one
busy thread beside it raises the p99 of its wake-ups from 1.2 to 9.7 ms, four to 98 ms. So a caller
has one search at a time, and a server two; the others wait in turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request

from hooktui.api.access import Caller, caller_of
from hooktui.api.rates import is_trusted
from hooktui.domain.errors import TooManyRequests

MOST_SEARCHES: Final = 2
"""Of a server at a time."""
MOST_WAITING: Final = 20
"""Searches of a caller that wait for the one before."""
MOST_POLLS: Final = 10
"""Long polls of a caller at a time: each change wakes all of them."""


@dataclass(slots=True)
class _Caller:
    """What one caller does."""

    searches: int = 0
    polls: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Searches:
    """Counts the searches and the long polls of each caller."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}
        self._places = asyncio.Semaphore(MOST_SEARCHES)

    @asynccontextmanager
    async def search(self, caller: Caller) -> AsyncIterator[None]:
        """Wait for a place, and hold it.

        Raises:
            TooManyRequests: very many searches of the caller wait already.
        """
        with self._counted(caller) as mine:
            if mine.searches > MOST_WAITING:
                raise TooManyRequests(
                    f"{MOST_WAITING} searches of {caller.user} are waiting for each other; wait for"
                    " their answers, or narrow them"
                )
            mine.searches += 1
            try:
                async with mine.turn, self._places:
                    yield
            finally:
                mine.searches -= 1

    @contextmanager
    def poll(self, caller: Caller) -> Iterator[None]:
        """Count a long poll while it lasts; root and the server's owner may have any number.

        Raises:
            TooManyRequests: the caller has as many as it may.
        """
        with self._counted(caller) as mine:
            if mine.polls >= MOST_POLLS and not is_trusted(caller):
                raise TooManyRequests(
                    f"{caller.user} has {MOST_POLLS} long polls of the feed open, and may have no"
                    " more; end one, or use a token for each program"
                )
            mine.polls += 1
            try:
                yield
            finally:
                mine.polls -= 1

    @contextmanager
    def _counted(self, caller: Caller) -> Iterator[_Caller]:
        mine = self._callers.setdefault(caller.user, _Caller())
        try:
            yield mine
        finally:
            if not mine.searches and not mine.polls:
                self._callers.pop(caller.user, None)


def searching(request: Request, wanted: object | None) -> AbstractAsyncContextManager[None]:
    """Return what holds a place for a list that is searched; None: it is not."""
    if wanted is None:
        return nullcontext()
    searches: Searches = request.app.state.service.searches
    return searches.search(caller_of(request))
