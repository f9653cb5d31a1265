"""What the tests of replays do with a store, and what they read there."""

from __future__ import annotations

from sqlalchemy import select

from hooktui.domain.ids import HookId, decode
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.replays import Replay, ReplaySelection
from hooktui.store import changes, queries
from hooktui.store.contract import ReplayStep, ReplayStepResult
from hooktui.store.tables import HOOK_STATE
from tests.support.stores import ADA, DEFAULT, Opened, emit, result_of


async def give_up(opened: Opened, hook: Hook, count: int, code: int = 503) -> None:
    """Emit events whose delivery to a hook fails for good; other hooks keep theirs waiting."""
    await emit(opened.store, count)
    claims = await opened.store.claim(HookId(hook.id), 500)
    results = [result_of(claim, opened.clock, code, schedule_s=()) for claim in claims]
    await opened.store.record(results)


async def start(
    opened: Opened, *hooks: Hook, most: int | None = None, rate: float = 50, **selection: object
) -> Replay:
    """Create a replay and take it."""
    given = ReplaySelection(hooks=tuple(hook.id for hook in hooks), **selection)
    checked = check_selection(given, opened.clock.ms)
    made, _ = await opened.store.write(changes.create_replay, ADA, DEFAULT, checked, rate, most)
    await opened.store.write(changes.take_replays, opened.store.token, "0")
    return await opened.store.read(queries.get_replay, DEFAULT, made)


def number(replay: Replay) -> int:
    return decode("rpl", replay.id)


async def next_step(opened: Opened, replay: Replay, hook: Hook, most: int = 100) -> ReplayStep:
    """Plan the next step as the runner does."""
    store = opened.store
    mine = {one.id: one for one in await store.read(queries.replays_of, store.token)}
    running = mine[number(replay)]
    cursor = running.cursors[HookId(hook.id)]
    live = store.hooks()[HookId(hook.id)]
    selected = queries.ReplayWalk(
        running.selection, live, running.id, running.id, running.ids_ahead
    )
    found = await store.read(queries.next_candidates, selected, cursor)
    candidates = found.candidates[:most]
    whole = len(candidates) == len(found.candidates)
    return ReplayStep(
        replay=running.id, token=store.token, hook=live.id, version=live.version,
        selection=running.selection, cursor=cursor, candidates=candidates,
        end=found.end if whole else candidates[-1].cursor, skipped=found.skipped if whole else {},
        complete=found.complete and whole, places=len(candidates),
    )  # fmt: skip


async def step(opened: Opened, replay: Replay, hook: Hook, most: int = 100) -> ReplayStepResult:
    return await opened.store.replay(await next_step(opened, replay, hook, most))


async def seen(opened: Opened, replay: Replay) -> Replay:
    return await opened.store.read(queries.get_replay, DEFAULT, number(replay))


async def waiting_of(opened: Opened, hook: Hook) -> int:
    query = select(HOOK_STATE.c.waiting).where(HOOK_STATE.c.hook_id == hook.id)
    return (await opened.store.read(lambda conn: conn.execute(query).one()))[0]
