"""The places that live traffic leaves free for a replay."""

from __future__ import annotations

import pytest

from hooktui.delivery import hook_queue
from hooktui.delivery.hook_queues import HookQueues
from hooktui.domain.adaptive_limit import FIRST_LIMIT
from hooktui.domain.observation import Observation, Signal
from tests.delivery.driven_queues import delivery_of


@pytest.fixture(autouse=True, scope="module")
def nothing_ahead():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hook_queue, "MAX_AHEAD", 0)
        yield


def queues_of(slots: int | None = 8, **changed: object) -> HookQueues:
    queues = HookQueues()
    queues.put(1, slots=slots, active=True, **changed)
    return queues


@pytest.mark.parametrize(("most", "own", "count"), [(8, 0, 4), (8, 3, 1), (8, 4, 0), (1, 0, 1)])
def test_a_replay_gets_at_most_half_of_the_slots(most: int, own: int, count: int):
    assert queues_of(most).reserve_spare(1, 100, own, 0) == count


def test_an_adaptive_limit_counts_as_it_is_now():
    queues = queues_of(None)
    limit = queues.queue(1).slots
    assert queues.reserve_spare(1, 100, 0, 0) == max(limit // 2, 1)
    assert queues.queue(1).due_ms is None


# Red when the replay takes slots while live deliveries are due.
def test_it_gets_none_while_live_deliveries_are_due_or_being_claimed():
    queues = queues_of()
    queues.hint(1, 100, now_ms=100)
    assert queues.reserve_spare(1, 1, 0, 100) == 0
    (turn,) = queues.take_ready(100)
    assert queues.reserve_spare(1, 1, 0, 100) == 0
    queues.finish_claim(turn.queue, turn.rows, 0, 100)
    assert queues.reserve_spare(1, 1, 0, 100) == 1


def test_retries_that_are_due_later_keep_nothing_from_it():
    queues = queues_of()
    queues.hint(1, 5_000, now_ms=100)
    assert queues.reserve_spare(1, 1, 0, 100) == 1


def test_no_place_is_taken_beyond_the_slots():
    queues = queues_of(4)
    for _ in range(3):
        assert queues.reserve(1, 0)
    assert queues.reserve_spare(1, 100, 0, 0) == 1
    assert queues.reserve_spare(1, 100, 0, 0) == 0
    queues.unreserve(1, 0)
    assert queues.reserve_spare(1, 100, 0, 0) == 1


def test_an_inactive_hook_and_one_at_its_rate_give_none():
    queues = queues_of(rate_per_s=10)
    assert queues.reserve_spare(1, 5, 0, 0) == 1
    assert queues.reserve_spare(1, 5, 0, 0) == 0
    assert queues.reserve_spare(1, 5, 0, 100) == 1
    queues.put(1, slots=8, active=False)
    assert queues.reserve_spare(1, 5, 0, 1_000) == 0


def test_an_open_breaker_takes_one_as_its_probe():
    queues = queues_of(open_until_ms=1_000)
    assert queues.reserve_spare(1, 5, 0, 999) == 0
    assert queues.reserve_spare(1, 5, 0, 1_000) == 1
    assert queues.reserve_spare(1, 5, 1, 1_000) == 0


# Red when the slot that is kept goes to live traffic.
def test_an_owed_slot_is_kept_free_until_the_replay_takes_it():
    queues = queues_of(2)
    assert queues.reserve(1, 0)
    assert queues.reserve(1, 0)
    queues.hint(1, 0, now_ms=0)
    assert queues.reserve_spare(1, 5, 0, 0, owed=True) == 0
    queues.finish_attempt(1, 10)
    assert queues.take_ready(10) == []
    assert queues.reserve_spare(1, 5, 0, 10, owed=True) == 1
    queues.finish_attempt(1, 20)
    assert [turn.rows for turn in queues.take_ready(20)] == [1]


def test_a_kept_slot_goes_back_to_live_traffic():
    queues = queues_of(1)
    assert queues.reserve(1, 0)
    queues.hint(1, 0, now_ms=0)
    assert queues.reserve_spare(1, 5, 0, 0, owed=True) == 0
    queues.finish_attempt(1, 10)
    assert queues.take_ready(10) == []
    queues.keep_none(1, 10)
    assert [turn.rows for turn in queues.take_ready(10)] == [1]


# Red when only live deliveries count as waiting: a replay alone stays at half of the first limit.
def test_a_replay_that_waits_for_slots_lets_the_limit_grow():
    queues = queues_of(None)
    queue = queues.queue(1)
    now_ms = 0
    for _ in range(20):
        queues.reserve_spare(1, 100, 0, now_ms)
        own = queue.in_flight
        for _ in range(own):
            queues.arrived(delivery_of(1), now_ms)
            queue.began(now_ms / 1000)
        now_ms += 50
        for _ in range(own):
            observed = Observation(Signal.KEEPS_UP, (now_ms - 50) / 1000, now_ms / 1000, 0.05)
            queues.observe(queue, observed, now_ms)
            queues.finish_attempt(1, now_ms)
    assert queue.slots > 2 * FIRST_LIMIT
    assert not queue.is_saturated(now_ms + 1_000)
