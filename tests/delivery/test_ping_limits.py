"""Pings of one hook, or of one account, leave slots to those of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from hooktui.delivery import pings
from hooktui.delivery.pings import PINGS_OF_HOOK, Pings
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import HookId
from hooktui.store.changes.access import create_account
from tests.delivery.receivers import Receivers, read_request
from tests.delivery.running_engine import ACTOR, OK, RunningEngine, forever, url_of
from tests.support.waiting import LIMIT_S, until


class Hung:
    """A receiver that responds once it may."""

    def __init__(self) -> None:
        self.open = 0
        self.end = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        self.open += 1
        await self.end.wait()
        writer.write(OK)

    async def settled(self, count: int) -> None:
        """Wait until pings have arrived, and for others that would."""

        async def arrived() -> bool:
            return self.open >= count

        await until(arrived)
        await asyncio.sleep(0.1)
        assert self.open == count


def limited(running: RunningEngine, limit: int) -> Pings:
    """Return the pings of an engine, of which so many may be in flight."""
    old = running.engine._pings
    running.engine._pings = Pings(
        old._store, old._sender, old._recorder, old._unsent, old._shortages, old._attempts,
        old._held, old._clock, limit,
    )  # fmt: skip
    return running.engine._pings


async def pinged(running: RunningEngine, hooks: Sequence[int]) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(running.engine.ping(HookId(hook), b"{}")) for hook in hooks]


# Red when the pings have one limit for all: those of one hook take every place.
async def test_a_hook_has_two_pings_in_flight(running: RunningEngine, receivers: Receivers) -> None:
    limits, hung = limited(running, 8), Hung()
    hook = await running.hook(url_of(await receivers.behaving(hung)))
    other = await running.hook(url_of(await receivers.behaving(forever(OK, []))))
    waiting = await pinged(running, [hook] * 12)
    await hung.settled(PINGS_OF_HOOK)
    async with asyncio.timeout(LIMIT_S):
        await running.engine.ping(other, b"{}")
    hung.end.set()
    await asyncio.gather(*waiting)
    assert not limits._shares


# Red when an account can take every place with several hooks.
async def test_an_account_has_half_of_the_pings(
    running: RunningEngine, receivers: Receivers
) -> None:
    limited(running, 4)
    hung = Hung()
    url = url_of(await receivers.behaving(hung))
    hooks = [await running.hook(url) for _ in range(4)]
    account = (await running.store.write(create_account, ACTOR, "other")).id
    of_others = await running.hook(
        url_of(await receivers.behaving(forever(OK, []))), account=account
    )
    waiting = await pinged(running, hooks * 3)
    await hung.settled(2)
    async with asyncio.timeout(LIMIT_S):
        await running.engine.ping(of_others, b"{}")
    hung.end.set()
    await asyncio.gather(*waiting)


async def test_a_ping_that_waits_too_long_says_what_to_do(
    running: RunningEngine, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pings, "_PING_TURN_S", 0.1)
    limits, hung = limited(running, 2), Hung()
    hook = await running.hook(url_of(await receivers.behaving(hung)))
    waiting = await pinged(running, [hook])
    await hung.settled(1)
    with pytest.raises(Unavailable, match=r"too many pings of hook .*; try again"):
        await running.engine.ping(hook, b"{}")
    hung.end.set()
    await asyncio.gather(*waiting)
    await running.engine.ping(hook, b"{}")
    assert not limits._shares


# Red when the stop is looked at before the ping is stored only: it was sent, and its result lost.
async def test_a_ping_that_is_stored_during_a_stop_is_not_sent(
    running: RunningEngine, receivers: Receivers, monkeypatch
) -> None:
    seen: list[bytes] = []
    hook = HookId(await running.hook(url_of(await receivers.behaving(forever(OK, seen)))))
    claim_ping, asked, may_store = running.store.claim_ping, asyncio.Event(), asyncio.Event()

    async def gated(*args: object) -> object:
        asked.set()
        await may_store.wait()
        return await claim_ping(*args)

    monkeypatch.setattr(running.store, "claim_ping", gated)
    ping = asyncio.create_task(running.engine.ping(hook, b"{}"))
    await asked.wait()
    await running.engine.stop()
    may_store.set()
    with pytest.raises(Unavailable, match="stopping"):
        await ping
    assert seen == []
    (delivery,) = await running.deliveries()
    assert (delivery.status, delivery.attempts) == ("cancelled", 0)
