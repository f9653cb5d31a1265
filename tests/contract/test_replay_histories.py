"""Random histories of two hooks with replays, alerts and everything that ends undelivered events.

After each step the rows, the groups and the alerts keep their promises.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from hooktui.domain.errors import Conflict
from hooktui.domain.ids import DeliveryId, HookId, decode, encode
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.domain.wire.undelivered import UndeliveredGroup
from hooktui.store import changes, queries
from hooktui.store.contract import ClaimedDelivery, ReplayStep
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tables import DELIVERY, EVENT
from tests.contract.test_alert_histories import wrong
from tests.support.stores import ADA, DEFAULT, Opened, deliveries, emit, make_hook, result_of

STEPS = 80
MAX = 7
PAGE = PageRequest()
MODES = ("failed", "sent", "all", "never-sent")


class History:
    """Two hooks, what is claimed of them, and the replay that runs; ``hook``: of the next act."""

    def __init__(self, opened: Opened, seed: int) -> None:
        self.opened, self.store, self.chance = opened, opened.store, random.Random(seed)
        self.claims: list[ClaimedDelivery] = []
        self.token = opened.store.token
        self.stale: ReplayStep | None = None
        self.created = 0
        self.aside: set[tuple[str, HookId]] = set()

    async def begin(self) -> None:
        self.hooks = [HookId((await make_hook(self.store)).id) for _ in range(2)]
        await make_hook(self.store, events=("cluster",))
        await make_hook(self.store, events=("hooktui",))

    async def accept(self) -> None:
        await emit(self.store, self.chance.randint(1, 3))

    async def skip_some(self) -> None:
        await self.change(active=False)
        await emit(self.store, 1)
        await self.change(active=True)

    async def change(self, **settings: object) -> None:
        await self.store.write(
            changes.change_hook, ADA, None, self.hook, lambda before: replace(before, **settings)
        )

    async def claim(self) -> None:
        self.claims += await self.store.claim(self.hook, 3)

    async def record(self) -> None:
        claims, self.claims = self.claims[:3], self.claims[3:]
        clock = self.opened.clock
        results = [
            result_of(
                claim, clock, self.chance.choice([200, 404, 500]),
                schedule_s=self.chance.choice([(), (5, 5)]),
            )
            for claim in claims
        ]  # fmt: skip
        await self.store.record(results)

    async def release(self) -> None:
        claims, self.claims = self.claims[:1], self.claims[1:]
        await self.store.release(claims)

    async def resend_or_cancel(self) -> None:
        rows = await deliveries(self.store, hook=self.hook)
        if rows:
            chosen = DeliveryId(decode("dlv", self.chance.choice(rows).id))
            act = self.chance.choice([changes.resend, changes.cancel])
            try:
                await self.store.write(act, ADA, None, chosen)
            except Conflict:
                return

    async def purge_body(self) -> None:
        done = select(DELIVERY.c.event_id).where(DELIVERY.c.status == "delivered")
        some = update(EVENT).where(EVENT.c.id.in_(done.order_by(DELIVERY.c.id).limit(1)))
        await self.store.write(lambda tx: tx.conn.execute(some.values(body=None)))

    async def pass_time(self) -> None:
        self.opened.clock.advance(self.chance.choice([1, 6, 16, 70, 400]))

    async def set_active(self) -> None:
        await self.change(active=self.chance.random() < 0.7)

    async def act(self) -> None:
        acts = (
            self.accept, self.accept, self.skip_some, self.claim, self.claim, self.record,
            self.record, self.release, self.resend_or_cancel, self.purge_body, self.pass_time,
            self.start, self.start, self.take, self.take_over, self.steer, self.step, self.step,
            self.step, self.set_aside, self.set_active, self.give_up, self.answer_group, self.look,
        )  # fmt: skip
        self.hook = self.chance.choice(self.hooks)
        await self.chance.choice(acts)()

    async def groups(self) -> list[UndeliveredGroup]:
        query, now_ms = queries.UndeliveredQuery(hooks=[self.hook]), self.opened.clock.ms
        args = (DEFAULT, PAGE, query)
        return (await self.store.read(queries.list_undelivered, *args, now_ms=now_ms)).data

    async def give_up(self) -> None:
        for group in (await self.groups())[:1]:
            until_ms = self.opened.clock.ms
            args = (ADA, None, self.hook, group.cause, until_ms)
            await self.store.write(changes.give_up, *args)

    async def answer_group(self) -> None:
        for group in (await self.groups())[:1]:
            if self.chance.random() < 0.5:
                await self.store.write(changes.acknowledge_group, ADA, group)
            else:
                await self.store.write(changes.snooze_group, ADA, group, 100)

    async def look(self) -> None:
        await self.store.check_alerts()

    async def start(self) -> None:
        mode = self.chance.choice(MODES)
        given = ReplaySelection(hooks=tuple(self.hooks), mode=mode, since="30d")
        selection = check_selection(given, self.opened.clock.ms)
        await self.change(active=True)
        try:
            await self.store.write(changes.create_replay, ADA, DEFAULT, selection, 50, MAX)
        except Conflict:
            return
        self.created += 1

    async def take(self) -> None:
        await self.store.write(changes.take_replays, self.token, "0")

    async def take_over(self) -> None:
        """Let another server own the replay; steps of the owner before must not count."""
        self.opened.clock.advance(16)
        await self.store.write(changes.take_replays, 1 + self.token, "1")
        if self.stale is not None:
            result = await self.store.replay(self.stale)
            assert not result.claims
        await self.store.write(changes.release_replays, 1 + self.token)
        await self.take()

    async def steer(self) -> None:
        for replay in (await self.store.read(queries.list_replays, DEFAULT, PAGE)).data[:1]:
            act = self.chance.choice(
                [changes.pause_replay, changes.resume_replay, changes.resume_replay]
            )
            try:
                await self.store.write(act, ADA, None, decode("rpl", replay.id))
            except Conflict:
                return
            if act is changes.resume_replay:
                self.aside.clear()
            await self.take()

    async def set_aside(self) -> None:
        for running in await self.store.read(queries.replays_of, self.token):
            if self.hook in running.cursors:
                await self.store.write(changes.set_aside, self.token, running.id, self.hook)
                self.aside.add((encode("rpl", running.id), self.hook))

    async def step(self) -> None:
        for running in await self.store.read(queries.replays_of, self.token):
            if not running.cursors:
                await self.store.write(changes.finish_replay, self.token, running.id)
                continue
            hook, cursor = self.chance.choice(list(running.cursors.items()))
            live = self.store.hooks()[hook]
            place = queries.ReplayWalk(
                running.selection, live, running.id, running.id, running.ids_ahead
            )
            found = await self.store.read(queries.next_candidates, place, cursor)
            candidates = list(found.candidates[: self.chance.randint(1, 4)])
            whole = len(candidates) == len(found.candidates)
            planned = ReplayStep(
                replay=running.id, token=self.token, hook=hook, version=live.version,
                selection=running.selection, cursor=cursor, candidates=candidates,
                end=found.end if whole else candidates[-1].cursor,
                skipped=found.skipped if whole else {}, complete=found.complete and whole,
                places=len(candidates),
            )  # fmt: skip
            self.stale = planned
            if self.chance.random() < 0.5:
                await self.chance.choice([self.record, self.resend_or_cancel, self.purge_body])()
            result = await self.store.replay(planned)
            self.claims += result.claims

    async def check(self) -> None:
        for hook in self.hooks:
            self.hook = hook
            await self.check_hook()
        sent = select(DELIVERY.c.replay_id).where(DELIVERY.c.replay_id.is_not(None))
        rows = await self.store.read(lambda conn: conn.execute(sent).scalars().all())
        assert max(Counter(rows).values(), default=0) <= MAX, "R2"
        for replay in (await self.store.read(queries.list_replays, DEFAULT, PAGE)).data:
            for hook in replay.hooks:
                is_aside = (replay.id, hook.hook) in self.aside and replay.state != "aborted"
                assert not is_aside or hook.state == "set_aside", "nothing was left out silently"
        live = {hook: one.failing for hook, one in self.store.hooks().items()}
        assert await self.store.read(wrong, live) == [], "I4, and the counter of what waits"

    async def check_hook(self) -> None:
        columns = (
            DELIVERY.c.id, DELIVERY.c.event_id, DELIVERY.c.status, DELIVERY.c.cause,
            DELIVERY.c.replay_id, DELIVERY.c.trigger,
        )  # fmt: skip
        query = select(*columns).where(DELIVERY.c.hook_id == self.hook)
        rows = await self.store.read(lambda conn: conn.execute(query).all())
        newest = {event: max(r.id for r in rows if r.event_id == event) for event in
                  {r.event_id for r in rows}}  # fmt: skip
        for row in rows:
            assert row.cause is None or newest[row.event_id] == row.id, "I1"
        pairs = Counter((row.replay_id, row.event_id) for row in rows if row.replay_id)
        assert max(pairs.values(), default=1) == 1, "R1"
        dead = Counter(row.cause for row in rows if row.cause)
        counted = {group.cause: group.count for group in await self.groups()}
        assert {cause: counted.get(cause) for cause in dead} == dead, "I2"
        assert counted.keys() - dead.keys() <= {"held", "skipped"}, "I2"


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 200))]
)
async def test_random_histories_keep_the_promises(opened: Opened, seed: int) -> None:
    history = History(opened, seed)
    await history.begin()
    for _ in range(STEPS):
        await history.act()
        await history.check()
    assert history.created
