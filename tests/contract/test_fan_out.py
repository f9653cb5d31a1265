"""An event to many hooks: others have turns while it is taken in, and change nothing in it."""

from __future__ import annotations

import asyncio

import pytest

from hooktui import slices
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.ids import HookId
from hooktui.store import changes, queries
from hooktui.store.base import Store
from hooktui.store.contract import Acceptance, NewEvent
from hooktui.store.tx import Tx
from tests.support.stores import (
    ADA,
    DEFAULT,
    SECRET,
    Opened,
    deliveries,
    make_hook,
    offer,
    settings,
)
from tests.support.waiting import until

HOOKS = 150


async def make_hooks(store: Store) -> list[HookId]:
    """Create all hooks in one transaction."""

    def create(tx: Tx) -> list[HookId]:
        return [
            HookId(changes.create_hook(tx, ADA, DEFAULT, settings(), SECRET).id)
            for _ in range(HOOKS)
        ]

    return await store.write(create)


async def turns_in_planning(store: Store, offers: list[NewEvent]) -> tuple[list[Acceptance], int]:
    """Accept events; return the answer, and how many turns of the loop their planning took."""
    turn = 0
    seen: set[int] = set()

    def reserve(_: HookId) -> bool:
        seen.add(turn)
        return False

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        accepted, _ = await store.accept(offers, reserve)
    finally:
        counting.cancel()
    return accepted, len(seen)


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every step be a slice, however fast the machine is."""
    monkeypatch.setattr(slices, "SHARED_SLICE_S", 0)


# Red when all hooks are planned in one step: 20,000 held the event loop for 0.2 s.
async def test_others_have_turns_while_an_event_is_planned(
    opened: Opened, short_slices: None
) -> None:
    await make_hooks(opened.store)
    accepted, turns = await turns_in_planning(opened.store, [offer()])
    assert accepted[0].deliveries == HOOKS
    assert turns >= 2
    assert {one.status for one in await deliveries(opened.store)} == {DeliveryStatus.PENDING}


# Red when a batch is planned in one step, however many events it has.
async def test_others_have_turns_between_the_events_of_a_batch(
    opened: Opened, short_slices: None
) -> None:
    await make_hook(opened.store)
    _, turns = await turns_in_planning(opened.store, [offer() for _ in range(60)])
    assert turns >= 3


# Red when only as many parts of a batch are stored as its deliveries have.
async def test_a_late_event_of_a_long_batch_is_stored_with_its_delivery(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    silent = [offer(event_type="cluster.idled") for _ in range(1_100)]
    accepted, _ = await opened.store.accept([*silent, offer()])
    assert [one.deliveries for one in accepted] == [0] * 1_100 + [1]
    assert [one.hook for one in await deliveries(opened.store)] == [hook.id]
    last = await opened.store.read(queries.get_event, DEFAULT, accepted[-1].id)
    assert len(last.deliveries) == 1


# Red when who subscribes is looked up again after a turn of others: the counts of the answer and
# the deliveries would differ, or the delivery of a deleted hook wait for ever.
async def test_a_hook_that_is_deleted_meanwhile_gets_its_delivery_cancelled(
    opened: Opened, short_slices: None
) -> None:
    store = opened.store
    hooks = await make_hooks(store)
    deleting: list[asyncio.Task[None]] = []

    def reserve(_: HookId) -> bool:
        if not deleting:
            change = store.write(changes.delete_hook, ADA, DEFAULT, hooks[-1])
            deleting.append(asyncio.create_task(change))
        return False

    (accepted,), _ = await store.accept([offer()], reserve)
    await deleting[0]
    assert accepted.deliveries == HOOKS

    async def cancelled() -> bool:
        return (await deliveries(store, hook=hooks[-1]))[0].status == DeliveryStatus.CANCELLED

    await until(cancelled)  # the rest of a deletion comes after its commit
    waiting = await deliveries(store)
    assert len([one for one in waiting if one.status == DeliveryStatus.PENDING]) == HOOKS - 1
