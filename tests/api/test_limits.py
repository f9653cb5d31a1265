"""How much one caller may ask for: never more than its share, and the share is there again."""

from __future__ import annotations

import os
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.api import limits
from hooktui.api.access import Caller
from hooktui.api.limits import BURST_S, RateLimiter
from hooktui.api.peer_credentials import PeerCredentials
from hooktui.domain.errors import TooManyRequests
from hooktui.domain.roles import Role
from hooktui.slices import LoopTurns
from tests.support.clocks import Clock


def _caller(user: str = "a", peer: PeerCredentials | None = None) -> Caller:
    return Caller(user, Role.PRODUCER, peer=peer, address="127.0.0.1")


def _taken(rate: RateLimiter, caller: Caller, most: int) -> int:
    """Return how many calls get through at this moment."""
    for count in range(most):
        try:
            rate.take(caller)
        except TooManyRequests:
            return count
    return most


# Red when a bucket fills without end, or a batch is not owed.
@given(
    per_s=st.floats(0.1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), min_size=1, max_size=60),
)
def test_nobody_gets_more_than_the_burst_and_the_rate(per_s, steps):
    clock = Clock()
    rate = RateLimiter(per_s, "events", "X", clock.steady_s)
    taken, largest, begun = 0, 0, clock.steady_s()
    for pause_s, count in steps:
        clock.advance(pause_s)
        try:
            rate.take(_caller(), count)
        except TooManyRequests:
            continue
        taken, largest = taken + count, max(largest, count)
    share = max(per_s * BURST_S, 1) + per_s * (clock.steady_s() - begun)
    assert taken <= share + largest  # the last batch may be over; it is owed


# Red when Retry-After says less than it takes.
@given(per_s=st.floats(0.01, 500), count=st.integers(1, 5000))
def test_a_caller_that_waits_for_retry_after_is_admitted(per_s, count):
    clock = Clock()
    rate = RateLimiter(per_s, "events", "X", clock.steady_s)
    rate.take(_caller(), count)
    for _ in range(3):
        clock.advance(_wait_of(rate, _caller()))
        rate.take(_caller(), count)


def _wait_of(rate: RateLimiter, caller: Caller) -> int:
    """Return how long a caller is told to wait, once it has used up what it may."""
    _taken(rate, caller, 2000)
    with pytest.raises(TooManyRequests) as refused:
        rate.take(caller)
    assert refused.value.retry_after_s >= 1
    return refused.value.retry_after_s


def test_each_caller_has_a_share_of_its_own():
    rate = RateLimiter(10, "calls", "X", Clock().steady_s)
    assert _taken(rate, _caller("a"), 100) == 20
    assert _taken(rate, _caller("a"), 100) == 0
    assert _taken(rate, _caller("b"), 100) == 20


def test_the_refusal_names_who_how_much_and_the_setting():
    rate = RateLimiter(1, "calls", "HOOKTUI_CALLS_PER_S", Clock().steady_s)
    _taken(rate, _caller(), 100)
    with pytest.raises(TooManyRequests, match=r"a sends more than 1 calls.*HOOKTUI_CALLS_PER_S"):
        rate.take(_caller())


@pytest.mark.parametrize(("uid", "most"), [(0, 100), (os.geteuid(), 100), (4_000_000, 20)])
def test_root_and_the_owner_are_not_counted(uid, most):
    rate = RateLimiter(10, "calls", "X", Clock().steady_s)
    assert _taken(rate, _caller(peer=PeerCredentials(uid=uid, gid=uid, pid=1)), 100) == most


def test_no_limit_is_no_limit():
    assert _taken(RateLimiter(0, "calls", "X", Clock().steady_s), _caller(), 1000) == 1000


# Red when buckets are kept for ever: names of callers are remembered, so they must not pile up.
def test_callers_that_rest_are_forgotten(monkeypatch):
    monkeypatch.setattr(limits, "_MAX_KEPT", 50)
    clock = Clock()
    rate = RateLimiter(10, "calls", "X", clock.steady_s)
    busy = _caller("busy")
    for number in range(500):
        clock.advance(ceil(BURST_S) / 20)
        _taken(rate, _caller(str(number)), 5)
        _taken(rate, busy, 5)
    assert len(rate._buckets) <= 51
    assert _taken(rate, busy, 100) < 20


# Red when the middleware lets calls begin as they come.
def test_each_call_but_events_and_healthz_takes_a_turn(api, tcp, monkeypatch):
    entered = []

    async def enter(_turns, share):
        entered.append(share)

    monkeypatch.setattr(LoopTurns, "enter", enter)
    for client in (api, tcp):
        assert client.get("/v1/hooks").status_code == 200
        assert client.post("/v1/events/job.failed", json={}).status_code == 202
        assert client.get("/healthz").status_code == 200
        assert client.get("/openapi.json").status_code == 200
    assert len(set(entered)) == 3
    assert entered[1::2] == ["", ""]
