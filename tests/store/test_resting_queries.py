"""Queries of SQLite that rest: they hold no snapshot meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace

import pytest

from hooktui.domain.clock import now_ms
from hooktui.domain.ids import HookId
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store.queries import pace
from hooktui.store.queries.replay_plans import PlanPosition, count_pairs
from hooktui.store.sqlite import store as sqlite
from hooktui.store.sqlite.connections import truncate
from hooktui.store.sqlite.store import SqliteStore
from tests.contract.test_feed import events_alone
from tests.support.stores import DEFAULT, emit, make_hook


class Rest:
    """A rest of a query: it begins when the query is due, and ends when the test says so."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()

    def sleep(self, _: float) -> None:
        self.begun.set()
        assert self.over.wait(10)


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> Rest:
    """Have each query rest after each of its steps; its first rest is this one."""
    rest = Rest()
    monkeypatch.setattr(pace, "SLICE_S", 0)
    monkeypatch.setattr(pace.time, "sleep", rest.sleep)
    return rest


@asynccontextmanager
async def resting(rest: Rest, query) -> AsyncIterator[asyncio.Task]:
    task = asyncio.create_task(query)
    assert await asyncio.to_thread(rest.begun.wait, 10)
    try:
        yield task
    finally:
        rest.over.set()


# Red when the transaction goes on while the query rests.
async def test_a_query_that_rests_holds_no_log(store: SqliteStore, rest: Rest) -> None:
    await make_hook(store)
    await emit(store, 3)
    async with resting(rest, store.feed(None, 500, DEFAULT, events_alone)) as task:
        await emit(store)
        assert await store._writer.between(partial(truncate, store._raw)) is True
    page = await task
    assert len(page.items) == 3


# Red when a page goes on behind rows that were trimmed meanwhile, as if there were none.
async def test_a_feed_trimmed_while_a_query_rests_says_reset(
    store: SqliteStore, rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooktui.store.feed._ROWS_AT_ONCE", 2)
    monkeypatch.setattr(sqlite, "MAX_FEED_ROWS", 5)
    await make_hook(store)
    for _ in range(4):
        await emit(store)
    async with resting(rest, store.feed(None, 500, DEFAULT, events_alone)) as task:
        for _ in range(6):
            await emit(store)
    page = await task
    assert not page.reset
    assert (await store.feed(page.next, 500, DEFAULT, events_alone)).reset


# Red when a plan takes half of a core from those who send events.
@pytest.mark.parametrize(("busy", "rested_s"), [(False, 0.0625), (True, 0.375)])
async def test_a_plan_rests_longer_while_events_wait(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, busy: bool, rested_s: float
) -> None:
    hook = await make_hook(store)
    await emit(store)
    given = ReplaySelection(hooks=(hook.id,), mode="sent", since="1d")
    live = store.hooks()[HookId(hook.id)]
    rests: list[float] = []
    seconds = itertools.count(0.0, 0.0625)  # each slice takes one step
    times = SimpleNamespace(perf_counter=lambda: next(seconds), sleep=rests.append)
    monkeypatch.setattr(pace, "time", times)
    plan = (check_selection(given, now_ms()), [live], PlanPosition(0, 0, 2**62), lambda: busy)
    await store.read(count_pairs, *plan)
    assert set(rests) == {rested_s}
