"""Random histories of hooks that fail, recover, and are edited: what holds for their alerts."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from sqlalchemy import Connection, func, select

from hooktui.domain.alerts import AlertType, key_of
from hooktui.domain.errors import Conflict, HooktuiError, NotFound
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.store import changes
from hooktui.store.tables import ALERT, DELIVERY, EVENT, HOOK, HOOK_STATE
from tests.support.stores import ADA, BOB, Opened, emit, make_hook, result_of

QUIET_MS = 600_000
CODES = (200, 200, 500, 500, 500, 404, 410)


@dataclass
class History:
    """A store with two hooks that fail at random and two that get alerts."""

    opened: Opened
    random: Random
    hooks: list[HookId] = field(default_factory=list)

    async def begin(self) -> None:
        for events in (("job",), ("job",), ("hooktui",), ("hooktui", "job")):
            hook = await make_hook(self.opened.store, events=events, retry_schedule_s=(5,))
            self.hooks.append(HookId(hook.id))

    async def step(self) -> None:
        steps = (
            self.send, self.send, self.send, self.wait, self.wait, self.look, self.edit,
            self.answer_alert, self.resend, self.restart,
        )  # fmt: skip
        await self.random.choice(steps)()

    async def send(self) -> None:
        hook = self.random.choice(self.hooks)
        await emit(self.opened.store)
        claims = await self.opened.store.claim(hook, self.random.randint(1, 4))
        schedule = self.random.choice([(), (5,), (5, 5, 5)])
        results = [
            result_of(claim, self.opened.clock, self.random.choice(CODES), schedule_s=schedule)
            for claim in claims
        ]
        await self.opened.store.record(results)

    async def wait(self) -> None:
        self.opened.clock.advance(self.random.choice([1, 20, 70, 400, 700]))

    async def look(self) -> None:
        await self.opened.store.check_alerts()

    async def edit(self) -> None:
        hook = self.random.choice(self.hooks)
        fields = self.random.choice(
            [{"active": True}, {"active": False}, {"active": True}, {"name": "x"},
             {"url": f"http://127.0.0.{self.random.randint(2, 9)}:9/in"}]
        )  # fmt: skip
        await self.opened.store.write(
            changes.change_hook, ADA, None, hook, lambda before: replace(before, **fields)
        )

    async def answer_alert(self) -> None:
        some = await self.opened.store.read(
            lambda conn: list(conn.execute(select(ALERT.c.id)).scalars())
        )
        if some:
            alert = self.random.choice(some)
            try:
                if self.random.random() < 0.5:
                    await self.opened.store.write(changes.acknowledge_alert, BOB, None, alert)
                else:
                    await self.opened.store.write(changes.snooze_alert, BOB, None, alert, 100)
            except Conflict:
                pass

    async def resend(self) -> None:
        ended = select(DELIVERY.c.id).where(DELIVERY.c.status == "failed")
        some = await self.opened.store.read(lambda conn: list(conn.execute(ended).scalars()))
        if some:
            delivery = DeliveryId(self.random.choice(some))
            with contextlib.suppress(Conflict, NotFound):
                await self.opened.store.write(changes.resend, ADA, None, delivery)

    async def restart(self) -> None:
        if self.random.random() < 0.1:
            await self.opened.again()


def wrong(conn: Connection, live: dict[int, bool]) -> list[str]:
    """Return the promises that do not hold."""
    found = []
    announced = defaultdict(list)
    events = select(EVENT.c.created_at, EVENT.c.body).where(EVENT.c.type.like("hooktui.%"))
    for at, body in conn.execute(events.order_by(EVENT.c.id)):
        alert = json.loads(body)["alert"]
        if alert["type"] != "replay.finished":  # resolved from the start
            announced[alert["key"]].append((at, alert["state"]))
    for key, told in announced.items():
        openings = [at for at, state in told if state != "resolved"]
        if any(b - a < QUIET_MS for a, b in itertools.pairwise(openings)):
            found.append(f"{key}: two openings within the quiet time")
        states = [state for _, state in told]
        if states[0] == "resolved" or ("resolved", "resolved") in itertools.pairwise(states):
            found.append(f"{key}: an end without its opening")
    keys = list(conn.execute(select(ALERT.c.key).where(ALERT.c.state != "resolved")).scalars())
    if len(keys) > len(set(keys)):
        found.append("two alerts of one key")
    rows = conn.execute(
        select(HOOK.c.id, HOOK_STATE.c.failing_alert, HOOK_STATE.c.waiting, HOOK.c.active)
        .join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    ).all()  # fmt: skip
    for hook, alert, waiting, active in rows:
        failing = key_of(AlertType.HOOK_FAILING, hook) in keys
        if failing != (alert is not None) or failing != live[hook]:
            found.append(f"hook {hook}: failing {failing}, stored {alert}, live {live[hook]}")
        if failing and not active:
            found.append(f"hook {hook} is disabled and failing")
        open_ones = select(func.count()).where(
            DELIVERY.c.hook_id == hook, DELIVERY.c.status.in_(["pending", "sending"])
        )
        if conn.execute(open_ones).scalar_one() != waiting:
            found.append(f"hook {hook}: {waiting} waiting is not the count")
    own = (
        select(func.count())
        .select_from(DELIVERY.join(EVENT, EVENT.c.id == DELIVERY.c.event_id))
        .where(EVENT.c.type.like("hooktui.hook.%"))
    )
    for hook, *_ in rows:
        about = own.where(
            DELIVERY.c.hook_id == hook, func.instr(EVENT.c.body, f'"hook.failing:{hook}"') > 0
        )
        if conn.dialect.name == "sqlite" and conn.execute(about).scalar_one():
            found.append(f"hook {hook} got an alert about itself")
    only_operators = select(HOOK.c.id).where(HOOK.c.events == '["hooktui"]')
    operators = select(func.count()).where(
        ALERT.c.type == "delivery.gave_up", ALERT.c.hook_id.in_(only_operators)
    )
    if conn.execute(operators).scalar_one():
        found.append("a dead letter of an operator event opened an alert")
    return found


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 50))]
)
async def test_what_holds_after_every_step(opened: Opened, seed: int) -> None:
    # Red without the lock of the hook's state, the quiet time, the skip of the own hook, or the
    # count of waiting deliveries.
    history = History(opened, Random(seed))
    await history.begin()
    for place in range(70):
        try:
            await history.step()
        except HooktuiError as error:
            raise AssertionError(f"step {place}: {error}") from error
        live = {hook: one.failing for hook, one in opened.store.hooks().items()}
        assert await opened.store.read(wrong, live) == [], f"step {place}"
