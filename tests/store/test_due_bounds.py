"""Claims start where the last one ended; a look-up finds what they miss."""

from __future__ import annotations

import asyncio
import random

import pytest

from hooktui.domain.ids import HookId
from hooktui.store.contract import CommitNotice
from hooktui.store.postgres import due_bounds, notify
from hooktui.store.postgres.due_bounds import LOOK_UP_EVERY_S, ClaimStart, DueBounds
from hooktui.store.postgres.transaction import WriteTransaction
from tests.store.servers import Servers, connected
from tests.support.stores import emit, make_hook
from tests.support.waiting import until

HOOK = HookId(7)
BEGINNING = ClaimStart()


def bounds_after(first: tuple[int, int] = (500, 3)) -> DueBounds:
    """Return bounds after a claim that ended at a place."""
    bounds = DueBounds()
    bounds.begin(HOOK, 0)
    bounds.commit(HOOK, ClaimStart(first, (900, 0), 4))
    return bounds


def test_a_claim_starts_where_the_last_one_ended() -> None:
    assert bounds_after().begin(HOOK, 1) == ClaimStart((500, 3), (900, 0), 4)
    assert bounds_after().start_of(HOOK, 1) == ClaimStart((500, 3), (900, 0), 4)
    assert bounds_after().begin(HookId(8), 1) == BEGINNING


# Red when a claim moves the bound itself.
def test_a_claim_that_was_not_committed_moves_nothing() -> None:
    bounds = bounds_after()
    bounds.begin(HOOK, 1).first = (800, 1)
    assert bounds.begin(HOOK, 2).first == (500, 3)


@pytest.mark.parametrize(
    ("due_ms", "first", "again"),
    [(400, (400, 0), (400, 0)), (500, (500, 0), (500, 0)), (600, (500, 3), (600, 0))],
)
def test_a_hint_lowers_the_bound(
    due_ms: int, first: tuple[int, int], again: tuple[int, int]
) -> None:
    bounds = bounds_after()
    bounds.lower(CommitNotice(due={HOOK: due_ms, HookId(8): 1}))
    assert bounds.begin(HOOK, 1) == ClaimStart(first, again, 4)


# Red when a commit overwrites it: the claim did not see what was stored meanwhile.
def test_a_hint_during_a_claim_is_kept() -> None:
    bounds = bounds_after()
    end = bounds.begin(HOOK, 1)
    end.first, end.again = (800, 1), (1_000, 0)
    bounds.lower(CommitNotice(due={HOOK: 700}))
    bounds.lower(CommitNotice(due={HOOK: 750}))
    bounds.commit(HOOK, end)
    assert bounds.begin(HOOK, 2) == ClaimStart((700, 0), (700, 0), 4)


def test_a_hint_before_a_claim_counts_once() -> None:
    bounds = bounds_after()
    bounds.lower(CommitNotice(due={HOOK: 400}))
    end = bounds.begin(HOOK, 1)
    end.first = (600, 1)
    bounds.commit(HOOK, end)
    assert bounds.begin(HOOK, 2).first == (600, 1)


def test_a_bound_is_looked_up_from_the_beginning_now_and_then() -> None:
    bounds = bounds_after()
    assert bounds.begin(HOOK, LOOK_UP_EVERY_S - 0.1) != BEGINNING
    assert bounds.start_of(HOOK, LOOK_UP_EVERY_S) == BEGINNING
    assert bounds.begin(HOOK, LOOK_UP_EVERY_S) == BEGINNING


def test_a_changed_hook_is_searched_from_the_beginning() -> None:
    bounds = bounds_after()
    end = bounds.begin(HOOK, 1)
    bounds.lower(CommitNotice(hooks_changed=frozenset({HOOK})))
    bounds.commit(HOOK, end)
    assert bounds.begin(HOOK, 2) == BEGINNING


# Red when a bound is trusted for ever: no hint says that this delivery is due.
@pytest.mark.parametrize("ordered", [False, True])
async def test_a_delivery_below_the_bound_is_found_by_the_next_look_up(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    for module, name in ((due_bounds, "LOOK_UP_EVERY_S"), (notify, "DUE_EVERY_S")):
        monkeypatch.setattr(module, name, 3600.0)
    store = await servers.another()
    hook = HookId((await make_hook(store, ordered=ordered)).id)
    await emit(store, 2)
    assert await store.claim(hook, 1)
    async with connected(servers.url) as raw:
        # As if a server had claimed the first, died, and left no hint.
        await raw.execute("UPDATE delivery SET status = 'delivered' WHERE status = 'sending'")
        assert await store.claim(hook, 1)
        await raw.execute(
            "UPDATE delivery SET status = 'pending', next_attempt_at = created_at - 5000"
            " WHERE id = (SELECT MIN(id) FROM delivery)"
        )
        if ordered:
            await raw.execute("UPDATE delivery SET status = 'delivered' WHERE status = 'sending'")
    assert await store.next_due([hook]) == {}
    assert await store.claim(hook, 1) == []
    assert hook in await store.next_due()
    monkeypatch.setattr(due_bounds, "LOOK_UP_EVERY_S", 0.0)
    assert hook in await store.next_due([hook])
    assert len(await store.claim(hook, 1)) == 1


# Red when the commit of a claim overwrites a hint that came while it ran.
async def test_hints_alone_find_every_delivery(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((due_bounds, "LOOK_UP_EVERY_S"), (notify, "DUE_EVERY_S")):
        monkeypatch.setattr(module, name, 3600.0)
    store = await servers.another()
    hook = HookId((await make_hook(store)).id)
    commit, chance = WriteTransaction.commit, random.Random(7)

    async def commit_later(work: WriteTransaction) -> None:
        servers.clock.advance(0.001)
        await asyncio.sleep(chance.uniform(0, 0.01))  # others commit, and their hints arrive
        await commit(work)

    monkeypatch.setattr(WriteTransaction, "commit", commit_later)
    due = asyncio.Event()
    store.subscribe(lambda notice: due.set() if hook in notice.due else None)
    claimed: list[int] = []

    async def claim_what_is_due() -> None:
        while True:
            await due.wait()
            due.clear()
            while claims := await store.claim(hook, 7):
                claimed.extend(claim.delivery for claim in claims)

    async def accept() -> None:
        for _ in range(100):
            servers.clock.advance(0.001)
            await emit(store, 5)
            await asyncio.sleep(0.002)

    claims = asyncio.create_task(claim_what_is_due())
    await asyncio.gather(accept(), accept())
    await until(lambda: len(claimed) == 1_000)
    claims.cancel()
    assert len(set(claimed)) == 1_000
