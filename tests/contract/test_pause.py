"""The pause of all sending, as the store keeps it: on SQLite and on PostgreSQL."""

from __future__ import annotations

from hooktui.domain.ids import HookId
from hooktui.domain.wire.server import Pause
from hooktui.store import changes, queries
from hooktui.store.base import Store
from hooktui.store.queries.pages import PageRequest
from tests.support.stores import (
    ADA,
    BOB,
    DEFAULT,
    Heard,
    Opened,
    attempt,
    emit,
    make_hook,
    the_delivery,
)


async def trail(store: Store) -> list[tuple[str, str]]:
    page = PageRequest(limit=50)
    entries = (await store.read(queries.list_audit, None, page, queries.AuditQuery())).data
    return sorted((one.action, one.user) for one in entries if one.target == "engine")


# Red when claims do not look at the pause, on either store.
async def test_while_paused_nothing_is_claimed_and_after_it_everything_is(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    hook = HookId((await make_hook(store)).id)
    await emit(store)
    heard = Heard(store)
    state = await store.write(changes.pause, BOB)
    assert state.paused == Pause(at="2027-01-15T08:00:00.000Z", by="bob")
    assert store.paused
    assert [one.paused for one in heard.signals if one.paused is not None] == [True]
    await emit(store)
    assert await store.claim(hook, 10) == []
    assert (await store.claim_ping(hook, b"{}")).number == 1

    state = await store.write(changes.resume, ADA)
    assert state.paused is None
    assert not store.paused
    assert [one.paused for one in heard.signals if one.paused is not None] == [True, False]
    assert len(await store.claim(hook, 10)) == 2
    assert clock.ms  # nothing had to wait for another time


# Red when a start does not look for the row.
async def test_a_pause_outlives_a_restart(opened: Opened) -> None:
    hook = await make_hook(opened.store)
    await emit(opened.store)
    await opened.store.write(changes.pause, ADA)
    store = await opened.again()
    assert store.paused
    assert await attempt(store, opened.clock, hook) == []
    await store.write(changes.resume, ADA)
    assert await attempt(store, opened.clock, hook) == [True]
    assert (await the_delivery(store)).status == "delivered"


# Red when a second pause is written down like the first, or takes its place.
async def test_who_paused_first_is_kept_and_each_turn_is_audited_once(opened: Opened) -> None:
    store, clock = opened.store, opened.clock
    first = await store.write(changes.pause, BOB)
    clock.advance(60)
    assert await store.write(changes.pause, ADA) == first
    assert await store.read(queries.engine_state) == first
    await store.write(changes.resume, ADA)
    await store.write(changes.resume, BOB)
    assert await trail(store) == [("engine.pause", "bob"), ("engine.resume", "ada")]


async def test_the_feed_of_every_account_tells_of_a_pause(opened: Opened) -> None:
    store = opened.store
    end = store.feed_end()
    await store.write(changes.pause, BOB)
    await store.write(changes.resume, BOB)
    page = await store.feed(end, 10, DEFAULT)
    told = [(one.kind, one.object) for one in page.items]
    at = "2027-01-15T08:00:00.000Z"
    assert told == [
        ("engine", {"paused": {"at": at, "by": "bob"}}),
        ("engine", {"paused": None}),
    ]
