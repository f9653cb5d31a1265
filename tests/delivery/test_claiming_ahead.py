"""Claiming ahead of the slots: as many as ended in the last second, for two seconds, none lost."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.delivery.hook_queue import LONGEST_AHEAD_MS, MAX_AHEAD, MAX_PER_CLAIM, HookQueue
from hooktui.delivery.hook_queues import HookQueues
from hooktui.domain.observation import Observation, Signal
from tests.delivery.driven_queues import delivery_of


def busy(slots: int = 2, ended: int = 6, **settings: object) -> HookQueues:
    """Return queues of hook 1 with all slots in use, after attempts that ended just now."""
    queues = HookQueues()
    queues.put(1, **{"slots": slots, "active": True} | settings)
    for _ in range(ended):
        assert queues.reserve(1, 0)
        assert queues.arrived(delivery_of(1), 0)
        assert queues.finish_attempt(1, 0) is None
    for _ in range(slots):
        assert queues.reserve(1, 0)
        assert queues.arrived(delivery_of(1), 0)
    return queues


def test_nothing_is_claimed_ahead_before_an_attempt_ended():
    queues = busy(ended=0)
    assert not queues.reserve(1, 0)


# Red when may_claim_ahead() is not bounded by what ended in the last second.
def test_as_many_are_claimed_ahead_as_ended_in_the_last_second():
    queues = busy(ended=6)
    assert [queues.reserve(1, 0) for _ in range(7)] == [True] * 6 + [False]


def test_what_ended_before_the_last_second_does_not_count():
    queues = busy(ended=6)
    assert queues.reserve(1, 1_999)
    assert not queues.reserve(1, 2_000)


def test_a_delivery_claimed_ahead_starts_when_a_slot_is_free():
    queues = busy(ended=6)
    assert queues.reserve(1, 0)
    assert not queues.arrived(delivery_of(1, number=7), 0)
    assert queues.in_flight == 2
    assert queues.finish_attempt(1, 5) == delivery_of(1, number=7)
    assert queues.in_flight == 2
    assert queues.finish_attempt(1, 5) is None


@pytest.mark.parametrize(
    "settings", [{"slots": 1}, {"rate_per_s": 100_000}], ids=["one slot", "a rate"]
)
def test_hooks_with_one_slot_or_a_rate_claim_nothing_ahead(settings):
    queues = busy(**{"slots": 2} | settings)
    assert not queues.reserve(1, 0)


def test_an_open_breaker_claims_nothing_ahead():
    queues = busy()
    queues.put(1, slots=2, active=True, open_until_ms=10)
    queues.hint(1, 0, 10)
    assert queues.take_ready(10) == []


# Red when a queue claims again for each place that becomes free.
def test_ahead_is_claimed_again_when_half_of_it_is_used_up():
    queues = busy(ended=6)
    queues.hint(1, 0, 0)
    [turn] = queues.take_ready(0)
    assert turn.rows == 6
    for _ in range(6):
        assert not queues.arrived(delivery_of(1), 0)
    assert not queues.finish_claim(turn.queue, 6, 6, 0)
    rows = []
    for _ in range(6):
        assert queues.finish_attempt(1, 2_000) is not None
        rows += [turn.rows for turn in queues.take_ready(2_000)]
    assert rows == [4], "as many as ended in this second"


def test_a_claim_takes_free_slots_and_places_ahead_within_its_size():
    queues = HookQueues(4_000)
    queues.put(1, slots=60, active=True)
    for _ in range(MAX_AHEAD):
        assert queues.reserve(1, 0)
        assert queues.arrived(delivery_of(1), 0)
        queues.finish_attempt(1, 0)
    queues.hint(1, 0, 0)
    [turn] = queues.take_ready(0)
    assert (turn.rows, queues.in_flight) == (MAX_PER_CLAIM, 60)


# Red when a slot of the limit over all hooks is kept for what was claimed ahead.
def test_where_slots_are_short_what_was_claimed_ahead_waits_for_its_turn():
    queues = HookQueues(4)
    for hook in (1, 2, 3):
        queues.put(hook, slots=2, active=True).finished.add(0)
    for hook in (1, 1, 2):
        assert queues.reserve(hook, 0)
        assert queues.arrived(delivery_of(hook), 0)
    assert queues.reserve(1, 0)
    assert not queues.arrived(delivery_of(1), 0)
    assert queues.reserve(2, 0)
    assert queues.arrived(delivery_of(2), 0)
    assert not queues.reserve(2, 0), "at the limit nothing is claimed ahead"
    queues.hint(3, 0, 0)
    assert queues.take_ready(0) == []
    assert queues.finish_attempt(1, 0) is None, "hook 3 waits for the slot"
    [turn] = queues.take_ready(0)
    assert (turn.queue.hook, turn.rows, turn.starts) == (3, 1, [])
    assert queues.finish_attempt(2, 0) is None
    [turn] = queues.take_ready(0)
    assert (turn.queue.hook, turn.rows, len(turn.starts)) == (1, 0, 1)


# Red when withdraw_late() takes all, or none.
def test_what_waited_for_two_seconds_is_withdrawn():
    queues = busy()
    for number, now in ((1, 0), (2, 500)):
        assert queues.reserve(1, now)
        assert not queues.arrived(delivery_of(1, number=number), now)
    assert queues.withdraw_late(LONGEST_AHEAD_MS - 1) == []
    assert queues.withdraw_late(LONGEST_AHEAD_MS) == [delivery_of(1, number=1)]
    assert queues.finish_attempt(1, LONGEST_AHEAD_MS) == delivery_of(1, number=2)
    assert not queues.any_waiting


def test_a_clock_that_was_set_back_withdraws_what_waits():
    queues = busy()
    assert queues.reserve(1, 0)
    assert not queues.arrived(delivery_of(1), 5_000)
    assert len(queues.withdraw_late(0)) == 1


def test_a_lower_limit_withdraws_the_newest():
    queues = busy(ended=6)
    for number in range(4):
        assert queues.reserve(1, 0)
        assert not queues.arrived(delivery_of(1, number=number), 0)
    assert queues.withdraw(1, keep=1) == [delivery_of(1, number=number) for number in (3, 2, 1)]
    assert queues.finish_attempt(1, 0) == delivery_of(1, number=0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "reserve",
                "arrived",
                "end",
                "hint",
                "take",
                "claimed",
                "put",
                "drop",
                "withdraw",
                "open",
            ]
        ),
        st.integers(1, 3),
        st.integers(0, 900),
    ),
    max_size=120,
)


@given(STEPS, st.integers(1, 12))
def test_places_add_up_and_all_come_back(steps: list[tuple[str, int, int]], bound: int):
    queues = HookQueues(bound)
    for hook in (1, 2, 3):
        queues.put(hook, slots=2, active=True)
    promised: Counter[int] = Counter()  # reserved or asked for
    running: Counter[int] = Counter()
    waiting: Counter[int] = Counter()
    claims: dict[int, tuple] = {}
    deleted: set[int] = set()
    now = 0

    def began(hook: int, count: int = 1) -> None:
        waiting[hook] -= count
        running[hook] += count

    for step, hook, number in steps:
        now += number
        if step == "reserve":
            promised[hook] += queues.reserve(hook, now)
        elif step == "arrived" and promised[hook] > (claims[hook][1] if hook in claims else 0):
            promised[hook] -= 1
            waiting[hook] += 1
            if queues.arrived(delivery_of(hook), now):
                began(hook)
        elif step == "end" and running[hook]:
            running[hook] -= 1
            if queues.finish_attempt(hook, now, took_ms=number) is not None:
                began(hook)
        elif step == "hint":
            queues.hint(hook, now, now)
        elif step == "take":
            for turn in queues.take_ready(now):
                began(turn.queue.hook, len(turn.starts))
                if turn.rows:
                    promised[turn.queue.hook] += turn.rows
                    claims[turn.queue.hook] = (turn.queue, turn.rows)
        elif step == "claimed" and hook in claims:
            queue, rows = claims.pop(hook)
            got = min(number, rows)
            promised[hook] -= rows
            for _ in range(got):
                waiting[hook] += 1
                if queues.arrived(delivery_of(hook), now):
                    began(hook)
            queues.finish_claim(queue, rows, got, now)
        elif step == "put" and hook not in deleted:
            queues.put(hook, slots=number % 4 + 1, active=number % 5 > 0, now_ms=now)
        elif step == "open" and hook not in deleted:
            queues.put(hook, slots=2, active=True, open_until_ms=now + number, now_ms=now)
        elif step == "withdraw":
            waiting[hook] -= len(queues.withdraw(hook, keep=number % 3))
        elif step == "drop" and hook not in deleted:
            deleted.add(hook)
            waiting[hook] -= len(queues.withdraw(hook))
            queues.drop(hook)
        if not deleted:
            assert queues.in_flight <= bound
        assert queues.in_flight >= running.total()
        assert all(count >= 0 for count in (promised + running + waiting).values())
    for hook, (queue, rows) in claims.items():
        queues.finish_claim(queue, rows, 0, now)
        promised[hook] -= rows
    for hook in (1, 2, 3):
        waiting[hook] -= len(queues.withdraw(hook))
        for _ in range(promised[hook]):
            queues.unreserve(hook, now)
        for _ in range(running[hook]):
            queues.free_slot(hook, now)
    assert (queues.in_flight, waiting.total(), queues.any_waiting) == (0, 0, False)
    assert (queues._ahead, queues._sending) == (0, 0)
    for hook in {1, 2, 3} - deleted:
        queue = queues.queue(hook)
        assert queue is not None
        assert (queue.in_flight, queue.starting, queue.ahead) == (0, 0, 0)


def adaptive(in_flight: int) -> tuple[HookQueues, HookQueue]:
    """Return queues of hook 1 with some attempts that began at 0."""
    queues = HookQueues()
    queue = queues.put(1, slots=None, active=True)
    for _ in range(in_flight):
        assert queues.reserve(1, 0)
        assert queues.arrived(delivery_of(1), 0)
        queue.began(0.0)
    return queues, queue


def observe(queues: HookQueues, signal: Signal, at_ms: int) -> None:
    queue = queues.queue(1)
    assert queue is not None
    queues.observe(queue, Observation(signal, 0.0, at_ms / 1000, 0.05), at_ms)
    queues.finish_attempt(1, at_ms)


# Red when a slot that was taken before the 429 is used after it.
def test_what_is_being_claimed_when_a_429_comes_waits_until_it_is_over():
    queues, queue = adaptive(1)
    for _ in range(5):
        assert queues.reserve(1, 0)
    observe(queues, Signal.RATE_LIMITED, 50)
    assert not any(queues.arrived(delivery_of(1, number), 60) for number in range(5))
    assert (queue.in_flight, queue.ahead, len(queue.waiting)) == (0, 5, 5)
    assert queue.closed_until_ms is not None
    assert queues.next_due_ms() == queue.closed_until_ms
    (turn,) = queues.take_ready(queue.closed_until_ms)
    assert len(turn.starts) == 1  # at the rate that the receiver took


def test_what_is_being_claimed_when_the_limit_is_cut_waits_for_a_slot():
    queues, queue = adaptive(5)
    for _ in range(5):
        assert queues.reserve(1, 0)
    for _ in range(5):
        observe(queues, Signal.OVERLOADED, 50)
    started = [queues.arrived(delivery_of(1, number), 60) for number in range(5)]
    assert started.count(True) == queue.in_flight == queue.slots < 5


# Red when only a turn opens the hook again: a burst of new events comes before it, at no rate.
def test_new_deliveries_after_a_429_keep_to_its_rate():
    queues, queue = adaptive(1)
    observe(queues, Signal.RATE_LIMITED, 50)
    assert queue.closed_until_ms is not None
    now_ms = queue.closed_until_ms + 500
    assert [queues.reserve(1, now_ms) for _ in range(10)].count(True) <= 1


# Red when each hook claims as many as it finished in the last second: 100 hooks with 64 slots lose
# a fifth of their throughput.
def test_little_is_claimed_ahead_when_many_deliveries_are_claimed():
    queues = busy(slots=100, ended=MAX_AHEAD)
    hooks = range(1, 6)
    for hook in hooks[1:]:
        queues.put(hook, slots=100, active=True)
        assert all(queues.reserve(hook, 0) for _ in range(100))
    assert [queues.reserve(1, 0) for _ in range(MAX_AHEAD + 1)].count(True) == MAX_AHEAD
    for hook in hooks[1:]:
        for _ in range(10):
            queues.arrived(delivery_of(hook), 0)
            queues.finish_attempt(hook, 0)
            assert queues.reserve(hook, 0)
    assert not any(queues.reserve(hook, 0) for hook in hooks)  # 500 in flight, 500 ahead
    queues.finish_attempt(2, 0, took_ms=2_000)  # slow: the others do not wait for its attempts
    assert queues.reserve(3, 0)


# Red when the wait that the old receiver's 429 asked for stops the new one.
@pytest.mark.parametrize("slots", [None, 5], ids=["another URL", "a fixed limit"])
def test_a_changed_hook_does_not_wait_for_the_receiver_before(slots: int | None):
    queues, queue = adaptive(5)
    observe(queues, Signal.RATE_LIMITED, 50)
    assert queue.is_held(60)
    queues.put(1, slots=slots, active=True, receiver="another", now_ms=60)
    assert not queue.is_held(60)
    assert queues.reserve(1, 60)


# Red when the end of the wait is far ahead only because the clock was set back.
def test_a_clock_that_is_set_back_ends_the_wait_of_a_429():
    queues, queue = adaptive(5)
    queue.closed_until_ms = 10_000_000
    queues.hint(1, 0, 1_000)
    assert queue.closed_until_ms is None
