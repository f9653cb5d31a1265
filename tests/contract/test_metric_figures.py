"""What is counted for whoever watches: hooks by their state, and transactions that were stored."""

from __future__ import annotations

from dataclasses import replace

from hooktui.domain.ids import HookId
from hooktui.store import changes, queries
from tests.support.stores import ADA, DEFAULT, Opened, attempt, emit, make_hook


async def test_hooks_are_counted_by_what_goes_out_to_them(opened: Opened) -> None:
    store = opened.store
    assert await store.read(queries.hooks_by_state) == {
        "active": 0, "disabled": 0, "breaker_open": 0,
    }  # fmt: skip
    await make_hook(store)
    await make_hook(store, active=False)
    gone = await make_hook(store)
    await store.write(changes.delete_hook, ADA, DEFAULT, HookId(gone.id))
    down = await make_hook(store, events=("cluster",))
    await emit(store, 10, event_type="cluster.error")
    await attempt(store, opened.clock, down, 500)
    expected = {"active": 1, "disabled": 1, "breaker_open": 1}
    assert await store.read(queries.hooks_by_state) == expected

    # Red when a deleted hook counts, or a disabled one by its breaker.
    await store.write(
        changes.change_hook, ADA, DEFAULT, HookId(down.id), lambda b: replace(b, active=False), None
    )
    expected = {"active": 1, "disabled": 2, "breaker_open": 0}
    assert await store.read(queries.hooks_by_state) == expected


async def test_a_transaction_that_is_stored_is_counted_with_its_time(opened: Opened) -> None:
    def counted() -> tuple[int, float]:
        heartbeats = opened.store.heartbeats
        return sum(h.finished_count for h in heartbeats), sum(h.finished_s for h in heartbeats)

    before = counted()
    await emit(opened.store)
    after = counted()
    # Red when steps that only rest count, too.
    assert after[0] == before[0] + 1
    assert after[1] > before[1]
