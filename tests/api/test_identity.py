"""What the server remembers of callers."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from hooktui.api import identity as identity_module
from hooktui.api.access import Caller
from hooktui.api.identity import Identity, RecentUses
from hooktui.api.service import Service
from hooktui.domain.errors import Unauthenticated
from hooktui.domain.roles import Role
from hooktui.store.queries.access import TokenRecord
from tests.support.clocks import Clock
from tests.support.waiting import LIMIT_S


# Red when each token that was ever used is remembered.
def test_only_the_tokens_of_the_last_minute_are_remembered():
    clock = Clock()
    uses = RecentUses(clock.steady_s)
    for token in range(1000):
        clock.advance(1)
        assert uses.note(token)
        assert not uses.note(token)
        assert len(uses) <= 60
    clock.advance(60)
    assert uses.note(999)
    assert len(uses) == 1


class LookUps:
    """What `Identity` uses of a service: a store whose look-ups end one by one, as they are let."""

    def __init__(self) -> None:
        self.tokens_version = 0
        self.store = self
        self.begun: list[int] = []
        self.revoked: set[int] = set()
        self.free = asyncio.Semaphore(0)
        self._one = asyncio.Lock()

    async def look_up(self, query: Any) -> TokenRecord | None:
        async with self._one:
            number = query.keywords["token"]
            self.begun.append(number)
            valid = number < 100 and number not in self.revoked
            await self.free.acquire()
        return TokenRecord(number, "t", Role.VIEWER, None, None) if valid else None

    async def write(self, *_args: object) -> None:
        pass


def _asking(identity: Identity, *tokens: int) -> list[asyncio.Task[Caller]]:
    header = "Bearer hkt_{}_" + "a" * 32
    return [
        asyncio.create_task(identity.by_token(header.format(token), "192.0.2.1"))
        for token in tokens
    ]


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# Red when each request looks its token up: 500 of them wait for one another, each three seconds.
async def test_requests_with_one_token_look_it_up_once():
    service = LookUps()
    identity = Identity(cast(Service, service))
    asking = _asking(identity, *[1] * 100)
    await _settled()
    service.free.release()
    callers = await asyncio.wait_for(asyncio.gather(*asking), LIMIT_S)
    assert {caller.user for caller in callers} == {"token 1 (t)"}
    assert service.begun == [1]


# Red when the result of a look-up is for those that came after the revocation, too.
async def test_who_comes_after_a_revocation_takes_no_part_in_an_older_look_up():
    service = LookUps()
    identity = Identity(cast(Service, service))
    (before,) = _asking(identity, 1)
    await _settled()
    service.revoked.add(1)
    service.tokens_version += 1
    (after,) = _asking(identity, 1)
    await _settled()
    for _ in range(2):
        service.free.release()
    await before
    with pytest.raises(Unauthenticated):
        await after


# Red when all look-ups wait in one line: a flood of invented tokens delays each caller.
async def test_a_token_that_was_valid_waits_for_one_other_at_most(monkeypatch):
    service = LookUps()
    identity = Identity(cast(Service, service))
    service.free.release()
    await asyncio.gather(*_asking(identity, 1))
    monkeypatch.setattr(identity_module, "_TOKENS_KEPT_S", -1.0)
    identity._tokens.clear()
    service.free.release()
    await asyncio.gather(*_asking(identity, 1))
    flood = _asking(identity, *range(100, 200))
    await _settled()
    (known,) = _asking(identity, 1)
    await _settled()
    for _ in range(2):
        service.free.release()
    assert (await asyncio.wait_for(known, LIMIT_S)).user == "token 1 (t)"
    assert service.begun[:4] == [1, 1, 100, 1]
    for _ in flood:
        service.free.release()
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert all(isinstance(result, Unauthenticated) for result in results)
