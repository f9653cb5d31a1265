"""Events that several servers take in on PostgreSQL: one key is one event, and ids grow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncpg import exceptions as pg

from hooktui.domain.errors import Refused, Unavailable
from hooktui.store.postgres import queue
from hooktui.store.postgres.queue import Accept
from hooktui.store.postgres.transaction import WriteTransaction
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


# Red with ON CONFLICT DO NOTHING: a transaction that writes nothing does not wait for a synchronous
# standby, and the first one may have given up its wait. Then a 202 is lost with the primary.
async def test_the_repetition_of_a_key_is_a_transaction_that_writes(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()
    await emit(store, key="a")
    keep, written = queue._keep_keys, []

    async def watched(work: WriteTransaction, *arguments: Any) -> None:
        await keep(work, *arguments)
        written.append(await work.raw.fetchval("SELECT pg_current_xact_id_if_assigned()::text"))

    monkeypatch.setattr(queue, "_keep_keys", watched)
    assert (await emit(store, key="a"))[0].duplicate
    assert len(written) == 1
    assert written[0] is not None


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


# Red when the keys of other calls of the transaction are no part of what a call is planned with:
# the second call got the id of an event that was never stored.
async def test_a_duplicate_of_a_call_that_fails_is_no_duplicate(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()
    planned, insert = Accept.planned, queue._insert
    calls: list[Accept] = []

    async def note(accept: Accept, *args: object) -> object:
        calls.append(accept)
        return await planned(accept, *args)

    async def fail_twice(*args: object) -> None:
        if len(calls) > 2:
            assert len(calls) == 4
            monkeypatch.setattr(queue, "_insert", insert)
            calls[0].since_s = -1e9  # it is given up; the other call is repeated
        raise pg.ConnectionDoesNotExistError("connection was closed")

    monkeypatch.setattr(Accept, "planned", note)
    monkeypatch.setattr(queue, "_insert", fail_twice)
    both = [store.accept([offer(key="k")]) for _ in range(2)]
    given_up, repeated = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(given_up, Unavailable)
    assert isinstance(repeated, Unavailable)
    ((accepted,), _) = await store.accept([offer(key="k")])
    assert not accepted.duplicate
