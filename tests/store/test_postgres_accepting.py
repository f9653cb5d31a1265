"""Events that several servers take in on PostgreSQL: one key is one event, and ids grow."""

from __future__ import annotations

import asyncio

import pytest

from hooktui.domain.errors import Refused
from tests.store.servers import Servers
from tests.support.stores import emit, offer


# Red without the keys that are taken before the match.
async def test_one_key_at_two_servers_at_once_makes_one_event(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    for place in range(20):
        keys = [f"{place}-{number}" for number in range(5)]
        calls = [
            store.accept([offer(key=key) for key in order])
            for store in (one, two)
            for order in (keys, keys[::-1])
        ]
        answers = [accepted for accepted, _ in await asyncio.gather(*calls)]
        assert sum(not one.duplicate for answer in answers for one in answer) == len(keys)
        assert len({one.id for answer in answers for one in answer}) == len(keys)


async def test_a_key_of_a_refused_call_is_free_again(servers: Servers) -> None:
    store = await servers.another()
    await store.accept([offer(b"1", key="a")])
    with pytest.raises(Refused):
        await store.accept([offer(b"1", key="b"), offer(b"2", key="a")])
    assert not (await emit(store, body=b"3", key="b"))[0].duplicate


async def test_what_cannot_be_stored_spoils_nothing_beside_it(servers: Servers) -> None:
    store = await servers.another()
    bad = offer(event_type="job.\0")
    calls = [emit(store), store.accept([bad]), emit(store), store.accept([bad]), emit(store)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True] * 2 + [False]


async def test_ids_grow_over_restarts_whatever_number_a_server_gets(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    before = (await emit(two))[0].id
    await one.close()
    await two.close()
    servers.clock.advance(-3600)
    assert (await emit(await servers.another()))[0].id > before
