"""What one caller may have the server look through, and wait for, at a time."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack

import pytest

from hooktui.api.access import Caller
from hooktui.api.peers import Peer
from hooktui.api.searches import MOST_POLLS, MOST_SEARCHES, MOST_WAITING, Searches
from hooktui.domain.errors import TooManyRequests
from hooktui.domain.roles import Role


def _caller(user: str, peer: Peer | None = None) -> Caller:
    return Caller(user, Role.VIEWER, peer=peer)


class Looking:
    """Searches that end when they are told to."""

    def __init__(self) -> None:
        self.searches = Searches()
        self.now: list[str] = []
        self.end = asyncio.Event()

    async def search(self, user: str) -> None:
        async with self.searches.search(_caller(user)):
            self.now.append(user)
            await self.end.wait()
            self.now.remove(user)


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


# Red without the turn of a caller: both places go to the first, and the second waits.
async def test_a_caller_has_one_search_at_a_time_and_a_server_two() -> None:
    looking = Looking()
    tasks = [asyncio.create_task(looking.search(user)) for user in "aaabcd"]
    await _settled()
    assert sorted(looking.now) == ["a", "b"]
    assert len(looking.now) == MOST_SEARCHES
    looking.end.set()
    await asyncio.gather(*tasks)


async def test_very_many_searches_that_wait_are_refused() -> None:
    looking = Looking()
    tasks = [asyncio.create_task(looking.search("a")) for _ in range(MOST_WAITING + 2)]
    await _settled()
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 1
    with pytest.raises(TooManyRequests, match="searches of a are waiting"):
        await refused[0]
    looking.end.set()
    await asyncio.gather(*(task for task in tasks if task not in refused))
    await looking.search("a")


def test_long_polls_of_a_caller_are_bounded() -> None:
    searches = Searches()
    with ExitStack() as open_ones:
        for _ in range(MOST_POLLS):
            open_ones.enter_context(searches.poll(_caller("a")))
        with (
            pytest.raises(TooManyRequests, match="a has 10 long polls"),
            searches.poll(_caller("a")),
        ):
            pass
        with searches.poll(_caller("b")):
            pass
    with searches.poll(_caller("a")):
        pass


def test_the_owner_of_the_server_may_have_any_number() -> None:
    searches = Searches()
    owner = _caller("o", Peer(1, os.geteuid(), os.getegid()))
    with ExitStack() as open_ones:
        for _ in range(MOST_POLLS + 1):
            open_ones.enter_context(searches.poll(owner))
