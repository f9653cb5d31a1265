"""Steps of replays on PostgreSQL, which have a connection of their own."""

from __future__ import annotations

import asyncio

from hooktui.domain.ids import HookId
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.store import changes
from hooktui.store.contract import ReplayStep, StepOutcome
from hooktui.store.postgres import sql
from tests.store.servers import Servers, connected
from tests.support.stores import ADA, DEFAULT, attempt, emit, make_hook
from tests.support.waiting import until


# Red when steps share a connection with events, claims or results.
async def test_nothing_else_waits_for_a_step(servers: Servers) -> None:
    store = await servers.another()
    hook = await make_hook(store)
    await emit(store)
    assert await attempt(store, servers.clock, hook, 503) == [True]
    selection = check_selection(ReplaySelection(hooks=(hook.id,)), servers.clock.ms)
    number, _ = await store.write(changes.create_replay, ADA, DEFAULT, selection, 50, None)
    await store.write(changes.take_replays, store.token, "0")
    live = store.hooks()[HookId(hook.id)]
    step = ReplayStep(
        replay=number, token=store.token, hook=live.id, version=live.version, selection=selection,
        cursor=0, candidates=(), end=0, skipped={}, complete=True, places=0,
    )  # fmt: skip
    async with connected(servers.url) as raw:
        async with raw.transaction():
            await raw.execute(sql.LOCK_REPLAY, number)
            stepping = asyncio.create_task(store.replay(step))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            await until(lambda: raw.fetchval(waiting), what="the step waits")
            await emit(store)
            assert await attempt(store, servers.clock, hook, 200) == [True]
            assert not stepping.done()
        result = await stepping
    assert (result.outcome, result.walked) == (StepOutcome.DONE, True)
