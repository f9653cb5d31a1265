"""Servers of one database do anything at the same time, and hardly wait for each other in turn.

Every statement comes a little late, at random, and PostgreSQL looks for deadlocks immediately.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from hooktui.domain.errors import Conflict, HooktuiError
from hooktui.domain.ids import HookId
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.contract import ClaimedDelivery, ReplayStep
from hooktui.store.postgres.store import PostgresStore
from tests.contract.replay_steps import next_step
from tests.store.servers import Servers, connected
from tests.support.stores import ADA, DEFAULT, Opened, always, make_hook, offer, result_of
from tests.support.waiting import until

_LATE_S = 0.002
_FEW = 5
"""Claims that locked lines from the last hook to the first made 39 in 40 rounds. A few rare ones
remain: PostgreSQL ends them, and the transaction is repeated."""
_KEYS = [None, None, *(f"k{number}" for number in range(20))]
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
_WRONG = """
SELECT 'waiting', s.hook_id::text FROM hook_state s WHERE waiting <> (SELECT count(*)
    FROM delivery d WHERE d.hook_id = s.hook_id AND d.status IN ('pending', 'sending'))
UNION ALL SELECT 'reserved', "key" FROM idempotency_key WHERE event_id = 0
UNION ALL SELECT 'twice open', "key" FROM alert WHERE state <> 'resolved'
    GROUP BY "key" HAVING count(*) > 1
UNION ALL SELECT 'never sent', id::text FROM event e WHERE deliveries = 0
    AND EXISTS (SELECT FROM delivery d WHERE d.event_id = e.id)
UNION ALL SELECT 'two causes', event_id::text FROM delivery WHERE cause <> ''
    GROUP BY event_id, hook_id HAVING count(*) > 1"""


class Traffic:
    """What one server does. The claims are of all servers: some results are of another's lease."""

    def __init__(
        self, servers: Servers, store: PostgresStore, claims: list[ClaimedDelivery], seed: int
    ) -> None:
        self.opened = Opened(servers.another, store, servers.clock)
        self.store, self.clock, self.claims = store, servers.clock, claims
        self.accepted: list[int] = []
        self.chance = random.Random(seed)
        self._kinds: dict[Callable[[], Awaitable[object]], int] = {
            self.accept: 20, self.claim: 15, self.record: 20, self.release: 3, self.rescue: 10,
            self.replay: 3, self.steps: 12, self.abort: 1, self.delete: 6, self.look: 2,
            self.change: 2, self.ping: 1, self.pass_time: 4,
        }  # fmt: skip

    async def work(self, rounds: int) -> None:
        """Do four things at a time, that many times."""
        for _ in range(rounds):
            some = self.chance.choices(list(self._kinds), list(self._kinds.values()), k=4)
            await asyncio.gather(*(self._do(one) for one in some))

    async def _do(self, one: Callable[[], Awaitable[object]]) -> None:
        with contextlib.suppress(HooktuiError):  # refused, or the session was ended
            await one()

    def _hooks(self, most: int = 100) -> list[HookId]:
        known = list(self.store.hooks())
        return self.chance.sample(known, min(most, len(known)))

    def _take(self, most: int) -> list[ClaimedDelivery]:
        self.chance.shuffle(self.claims)
        return [self.claims.pop() for _ in range(min(most, len(self.claims)))]

    async def accept(self) -> None:
        offers = [offer(key=self.chance.choice(_KEYS)) for _ in range(4)]
        accepted, claims = await self.store.accept(offers, self.chance.choice([None, always]))
        self.accepted += [one.id for one in accepted]
        self.claims += claims

    async def claim(self) -> None:
        by_age = self.chance.random() < 0.3
        found = (self.store.claim(hook, 3, by_age=by_age) for hook in self._hooks())
        for claims in await asyncio.gather(*found):
            self.claims += claims

    async def ping(self) -> None:
        self.claims.append(await self.store.claim_ping(self._hooks()[0], b"{}"))

    async def record(self) -> None:
        claims = self._take(30)
        codes = self.chance.choices([200, 500, 404, 410], [400, 600, 100, 1], k=len(claims))
        results = [
            result_of(
                claim, self.clock, code, schedule_s=self.chance.choice([(), (1, 60)]),
                secret_ids=self.chance.sample(range(1, 8), 2),
            )
            for claim, code in zip(claims, codes, strict=True)
        ]  # fmt: skip
        await self.store.record(results)

    async def release(self) -> None:
        await self.store.release(self._take(5))

    async def rescue(self) -> None:
        await self.store.rescue()

    async def replay(self) -> None:
        mode = self.chance.choice(["failed", "all", "never-sent"])
        given = ReplaySelection(
            hooks=tuple(self._hooks(3)), include_ordered=True, mode=mode,
            since=None if mode == "failed" else "3h",
        )  # fmt: skip
        selection = check_selection(given, self.clock.ms)
        with contextlib.suppress(Conflict):
            await self.store.write(changes.create_replay, ADA, DEFAULT, selection, 50, None)
        await self.store.write(changes.take_replays, self.store.token, "0")

    async def _running(self) -> list[int]:
        running = await self.store.read(queries.replays_of, self.store.token)
        return [one.id for one in running]

    async def steps(self) -> None:
        steps: list[ReplayStep] = []
        for number in await self._running():
            replay = await self.store.read(queries.get_replay, DEFAULT, number)
            for hook in map(HookId, replay.selection.hooks):
                with contextlib.suppress(KeyError, IndexError):  # it is done
                    steps.append(await next_step(self.opened, replay, self.store.hooks()[hook], 20))
        self.chance.shuffle(steps)
        for done in await asyncio.gather(*map(self.store.replay, steps)):
            self.claims += done.claims
        for number in await self._running():
            await self.store.write(changes.finish_replay, self.store.token, number)

    async def abort(self) -> None:
        for number in await self._running():
            await self.store.write(changes.abort_replay, ADA, DEFAULT, number, cancel_waiting=True)

    async def change(self) -> None:
        active = self.chance.random() < 0.95
        await self.store.write(
            changes.change_hook, ADA, DEFAULT, self._hooks()[0],
            lambda before: replace(before, name=str(self.chance.random()), active=active),
        )  # fmt: skip

    async def delete(self) -> None:
        before_ms = self.clock.ms - self.chance.choice([60_000, 600_000, 6_000_000])
        await asyncio.gather(self.store.purge(before_ms, within_s=0.5), self.store.forget_keys())

    async def look(self) -> None:
        await self.store.check_alerts()

    async def pass_time(self) -> None:
        self.clock.advance(self.chance.choice([1, 7, 7, 61, 61, 400, 400, 400, 86_400]))


def _delay_statements(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)

    def delay(name: str) -> None:
        run = getattr(asyncpg.Connection, name)

        async def late(*args: Any, **options: Any) -> Any:
            await asyncio.sleep(max(chance.random() - 0.5, 0) * _LATE_S)
            return await run(*args, **options)

        monkeypatch.setattr(asyncpg.Connection, name, late)

    for name in ("execute", "fetch", "fetchrow"):
        delay(name)


async def _run(servers: Servers, seed: int, rounds: int) -> list[int]:
    """Let three servers do anything in each round; return the events that they accepted."""
    async with connected(servers.url) as raw:
        name = await raw.fetchval("SELECT current_database()")
        await raw.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    stores = [await servers.another() for _ in range(3)]
    for number in range(8):
        events = ("hooktui",) if number < 2 else ("job",)
        await make_hook(stores[0], events=events, ordered=number % 3 == 0)
    await until(lambda: all(len(store.hooks()) == 8 for store in stores))
    claims: list[ClaimedDelivery] = []
    servers_at_work = [Traffic(servers, one, claims, seed + n) for n, one in enumerate(stores)]
    await asyncio.gather(*(one.work(rounds) for one in servers_at_work))
    return [event for one in servers_at_work for event in one.accepted]


async def _count_deadlocks(servers: Servers) -> int:
    for store in servers.opened:
        await store.close()  # its sessions report what they counted
    async with connected(servers.url) as raw:
        assert await raw.fetch(_WRONG) == []
        return await raw.fetchval(_DEADLOCKS)


@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 40), pytest.param(2, 500, marks=pytest.mark.soak)]
)
async def test_servers_that_do_anything_at_the_same_time_hardly_deadlock(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    _delay_statements(monkeypatch, seed)
    assert len(await _run(servers, seed, rounds)) > 100
    assert await _count_deadlocks(servers) < _FEW
