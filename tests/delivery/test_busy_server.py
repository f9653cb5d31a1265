"""A server that uses a whole CPU: more attempts at once would only wait in it."""

from __future__ import annotations

import pytest

from hooktui.delivery.hook_queues import BUSY_SHARE, ENOUGH_AT_ONCE
from hooktui.domain.adaptive_limit import FIRST_LIMIT
from hooktui.domain.observation import Observation, Signal
from tests.delivery.driven_queues import DrivenQueues

QUICK_S, SLOW_S = 0.004, 0.05
BUSY, NOT_BUSY = BUSY_SHARE + 0.05, BUSY_SHARE - 0.05


def limits_after(
    in_flight: dict[int, int], *, busy_share: float, response_s: float = QUICK_S
) -> dict[int, int]:
    """Return the limits of hooks that were busy for two seconds.

    Args:
        in_flight: attempts at once of each hook; more than `FIRST_LIMIT` by a fixed limit.
        busy_share: of the time in which the event loop needs a CPU.
        response_s: the time of each response.
    """
    queues = DrivenQueues()
    for hook, count in in_flight.items():
        queues.put(hook, slots=None if count <= FIRST_LIMIT else count, active=True)
        assert all(queues.reserve(hook, 0) for _ in range(count))
    now_s = 0.0
    for _ in range(400):
        now_s += 0.005
        now_ms = round(now_s * 1000)
        for hook in in_flight:
            queue = queues.queue(hook)
            assert queue is not None
            queue.due_ms = 0
            queue.began(now_s)
            observed = Observation(Signal.KEEPS_UP, now_s - response_s, now_s, response_s)
            queues.observe(queue, observed, now_ms, busy_share)
    return {hook: queue.slots for hook in in_flight if (queue := queues.queue(hook))}


def hooks_of(count: int) -> dict[int, int]:
    return dict.fromkeys(range(1, count + 1), FIRST_LIMIT)


# Red when only the receivers limit the growth: ten hooks with 256 each cost a tenth more.
def test_no_limit_grows_beside_enough_attempts_in_a_busy_server():
    assert ENOUGH_AT_ONCE <= 100
    assert set(limits_after(hooks_of(10), busy_share=BUSY).values()) == {FIRST_LIMIT}


# Red without each of the three conditions.
@pytest.mark.parametrize(
    ("hooks", "busy_share", "response_s"),
    [(10, NOT_BUSY, QUICK_S), (10, BUSY, SLOW_S), (2, BUSY, QUICK_S)],
    ids=["the server is not busy", "the receivers are slow", "few attempts at once"],
)
def test_limits_grow_otherwise(hooks: int, busy_share: float, response_s: float):
    limits = limits_after(hooks_of(hooks), busy_share=busy_share, response_s=response_s)
    assert all(limit > FIRST_LIMIT for limit in limits.values())


# Red without the comparison with the others: 250 of 260 attempts at once are of one hook.
def test_a_hook_with_far_fewer_slots_than_others_grows_in_a_busy_server():
    limits = limits_after({1: 250, 2: FIRST_LIMIT}, busy_share=BUSY)
    assert limits[2] > FIRST_LIMIT


def test_hooks_with_no_slot_in_use_do_not_count():
    queues = DrivenQueues()
    for hook in (1, 2, 3):
        queues.put(hook, slots=4, active=True)
    for hook in (1, 1, 2):
        assert queues.reserve(hook, 0)
    queues.end(2, 1)
    queues.end(1, 1)
    queues.drop(3)
    assert queues._sending == 1
    queues.drop(1)
    queues.end(1, 2)
    assert queues._sending == 0
