"""Who subscribes to what, kept up with changes; and matching before the transaction."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hooktui.domain.errors import TooLarge
from hooktui.domain.filters.terms import Subject
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.json_text import Steps, finish
from hooktui.domain.live_hook import wants
from hooktui.store.contract import NewEvent
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning import matching
from hooktui.store.planning.matching import Match, Outdated, accept_matched, check_current
from tests.support.live_hooks import live_hook

TYPES = ("job.failed", "job.started", "cluster.error", "ping")
A, B = AccountId(1), AccountId(2)


# Red when a change leaves a hook among the subscribers of a type that it no longer asks for, when
# a hook that asks for a group and a type of it counts twice, and when a filter that was changed
# still weighs as before.
@pytest.mark.parametrize("seed", range(20))
def test_subscribers_are_what_a_look_at_all_hooks_finds(seed: int) -> None:
    choose, hooks = random.Random(seed), LiveHooks()
    for _ in range(60):
        number = choose.randint(1, 12)
        old = hooks.view.get(HookId(number))
        events = tuple(choose.sample(["job", "job.failed", "job.started", "cluster.error"], 2))
        text = choose.choice([None, "data.a:1", "data.a:1 data.b:*x*"])
        account = old.account if old else choose.choice([A, B])
        live = live_hook(number, events=events, filter=text, account=account)
        hooks.put({HookId(number): None if choose.random() < 0.3 else live})
        assert hooks.filtered == sum(hook.filter is not None for hook in hooks.view.values())
        for account in (A, B):
            mine = [hook for _, hook in sorted(hooks.view.items()) if hook.account == account]
            assert hooks.count(account) == len(mine)
            for event_type in TYPES:
                wanted = [hook for hook in mine if wants(hook, event_type)]
                found = hooks.subscribers(account, event_type)
                assert sorted(found.hooks, key=lambda hook: hook.id) == wanted
                assert found.weight == sum(hook.filter_weight for hook in wanted)


def offer(body: bytes = b'{"a":1}') -> NewEvent:
    return NewEvent(A, "job.failed", body)


async def test_cheap_events_are_matched_in_the_transaction() -> None:
    hooks = LiveHooks()
    hooks.put({HookId(1): live_hook(1, filter="data.a:1")})
    assert await accept_matched([offer()], hooks, _returning) == {}


async def _returning(known: matching.Matches) -> matching.Matches:
    return known


# Red when dear filters are matched in the transaction, which holds the loop for as long.
async def test_dear_events_are_matched_before_it_and_only_what_changed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "CHEAP", 1000)
    hooks = LiveHooks()
    hooks.put({HookId(n): live_hook(n, filter=f"data.a:{n % 2}") for n in range(1, 21)})
    tries: list[matching.Matches] = []

    async def submit(known: matching.Matches) -> matching.Matches:
        if not tries:  # somebody changes some hooks while the event waits
            hooks.put({HookId(n): live_hook(n, filter="data.a:7", version=2) for n in range(1, 6)})
        tries.append(known)
        check_current([offer()], hooks, known)
        return known

    (known,) = (await accept_matched([offer()], hooks, submit)).values()
    assert len(tries) == 2
    first = tries[0][0]
    assert known == {
        **{HookId(n): (2, False) for n in range(1, 6)},
        **{HookId(n): (1, n % 2 == 1) for n in range(6, 21)},
    }
    assert {hook for hook, match in known.items() if match == first[hook]} == set(range(6, 21))


def test_what_is_outdated_is_not_matched_in_the_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "CHEAP", 1000)
    hooks = LiveHooks()
    hooks.put({HookId(n): live_hook(n, filter="data.a:1") for n in range(1, 21)})
    with pytest.raises(Outdated):
        check_current([offer()], hooks, {})


async def test_a_batch_that_would_make_very_many_deliveries_is_refused() -> None:
    hooks = LiveHooks()
    one = live_hook(1)
    hooks.put({HookId(n): replace(one, id=HookId(n)) for n in range(1, 2001)})
    with pytest.raises(TooLarge, match="102,000 deliveries"):
        await accept_matched([offer()] * 51, hooks, _returning)
    assert await accept_matched([offer()] * 50, hooks, _returning) == {}


# Red when a body of very many values counts by its bytes alone: with one short filter it is matched
# in the transaction then, and 250 kB of numbers hold the loop for 80 ms.
@pytest.mark.parametrize("count", [10_000, 60_000, 120_000])
async def test_a_dense_body_is_matched_before_the_transaction(count: int) -> None:
    body = b"[" + b"1," * count + b"1]"
    hooks = LiveHooks()
    hooks.put({HookId(1): live_hook(1, filter="data.a:1")})
    matches = {0: {HookId(1): Match(1, False)}}
    assert await accept_matched([offer(body)], hooks, _returning) == matches
    check_current([offer(body)], hooks, matches)
    with pytest.raises(Outdated):
        check_current([offer(body)], hooks, {})


# Red when the events of an account do not share a place among the long computations.
async def test_the_events_of_an_account_share_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[object] = []

    async def in_slices(steps: Steps[matching.Matches], *given: object) -> matching.Matches:
        keys.extend(given)
        return finish(steps)

    monkeypatch.setattr(matching, "in_slices", in_slices)
    hooks = LiveHooks()
    hooks.put({HookId(1): live_hook(1, filter="data.a:1")})
    await accept_matched([offer(b"[" + b"1," * 10_000 + b"1]")], hooks, _returning)
    assert keys == [("account", A)]


# Red when a body is left to be freed in one step.
async def test_a_body_that_was_matched_ahead_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[Subject] = []

    def forget_steps(self: Subject) -> Steps[None]:
        given_up.append(self)
        yield

    monkeypatch.setattr(Subject, "forget_steps", forget_steps)
    hooks = LiveHooks()
    hooks.put({HookId(1): live_hook(1, filter="data.a:1")})
    await accept_matched([offer(b"[" + b"[]," * 85_000 + b"1]")], hooks, _returning)
    assert len(given_up) == 1
