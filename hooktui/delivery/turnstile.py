"""Lets so many through in one turn of the event loop; the others follow, in their order."""

from __future__ import annotations

import asyncio
from collections import deque


class Turnstile:
    """What is begun by many at once is begun in parts, and the loop does other things in between.

    Args:
        most: how many pass in one turn.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._passed = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Return in the turn in which the caller may begin."""
        loop = asyncio.get_running_loop()
        if self._passed == 0:
            loop.call_soon(self._turn)
        if self._passed < self._most:
            self._passed += 1
            return
        place = loop.create_future()
        self._waiting.append(place)
        await place

    def _turn(self) -> None:
        self._passed = 0
        while self._waiting and self._passed < self._most:
            place = self._waiting.popleft()
            if not place.done():  # who was cancelled takes no turn
                place.set_result(None)
                self._passed += 1
        if self._passed:
            asyncio.get_running_loop().call_soon(self._turn)
