"""The bound on all deliveries in flight: part of reserving and claiming, and shared fairly."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.delivery.hook_queues import SLOW_MS, HookQueues, shared


def bounded(bound: int, *mosts: int) -> HookQueues:
    lanes = HookQueues(bound)
    for number, most in enumerate(mosts, start=1):
        lanes.put(number, most=most, active=True)
    return lanes


def taken(lanes: HookQueues, now: int = 0) -> dict[int, int]:
    return {lane.hook: count for lane, count in lanes.take_ready(now)}


# Red when reserve() does not look at the bound.
def test_nothing_is_reserved_beyond_the_bound():
    lanes = bounded(4, 2, 2, 2)
    assert [lanes.reserve(hook, 0) for hook in (1, 1, 2, 2, 3)] == [True] * 4 + [False]
    lanes.give_back(1, 0)
    assert lanes.reserve(3, 0)


# Red when take_ready() does not look at it, or when a hook may be ready without a slot: the engine
# would turn in circles.
def test_nothing_is_claimed_beyond_the_bound_and_no_hook_is_ready_without_a_slot():
    lanes = bounded(3, 10, 10, 10, 10)
    for hook in (1, 2, 3, 4):
        lanes.hint(hook, 0, 0)
    assert taken(lanes) == {1: 1, 2: 1, 3: 1}
    assert lanes.short
    assert not lanes.any_ready
    lanes.give_back(1, 0)
    assert lanes.any_ready
    assert taken(lanes) == {4: 1}


# Red when a reservation may overtake a hook that waits for a slot.
def test_who_waits_for_a_slot_gets_it_before_a_new_event_does():
    lanes = bounded(2, 1, 1, 1, 1)
    assert lanes.reserve(1, 0)
    assert lanes.reserve(2, 0)
    lanes.hint(3, 0, 0)
    assert taken(lanes) == {}
    lanes.give_back(1, 0)
    assert not lanes.reserve(4, 0)
    assert taken(lanes) == {3: 1}
    lanes.give_back(2, 0)
    assert lanes.reserve(4, 0)


# Red when one hook can take the whole bound.
def test_one_hook_takes_at_most_half_of_the_bound():
    lanes = bounded(100, 64, 64)
    assert sum(lanes.reserve(1, 0) for _ in range(64)) == 50
    assert sum(lanes.reserve(2, 0) for _ in range(64)) == 50


# Red when the order is that of arrival alone: 1 and 2 would get all of it again and again.
def test_where_slots_are_short_the_hook_with_fewest_in_flight_comes_first():
    lanes = bounded(10, 64, 64, 1, 2)
    assert all(lanes.reserve(hook, 0) for hook in (1, 2, 1, 2, 1, 2, 1, 2, 4, 4))
    for hook in (1, 2, 3):
        lanes.hint(hook, 0, 0)
    assert taken(lanes) == {}
    lanes.give_back(4, 0)
    assert taken(lanes) == {3: 1}
    lanes.give_back(4, 0)
    assert taken(lanes) == {1: 1}, "then who has waited longest"


# Red without the share of slow hooks: hooks that hang take every slot, again and again.
def test_hooks_known_to_be_slow_leave_a_quarter_to_the_others():
    lanes = bounded(8, *[1] * 12)
    for hook in range(1, 9):
        assert lanes.reserve(hook, 0)
    for hook in range(1, 9):
        lanes.give_back(hook, 0, took_ms=15_000)
        lanes.hint(hook, 0, 0)
    assert taken(lanes) == dict.fromkeys(range(1, 7), 1)
    assert not lanes.any_ready, "7 and 8 wait for one of the slow ones"
    assert lanes.reserve(9, 0)
    assert lanes.reserve(10, 0)
    lanes.give_back(1, 0, took_ms=SLOW_MS)
    assert taken(lanes) == {7: 1}
    lanes.give_back(2, 0, took_ms=SLOW_MS - 1)
    lanes.hint(2, 0, 0)
    assert set(taken(lanes)) & {2, 8}


def test_a_deleted_hook_gives_its_slots_back_when_its_attempts_end():
    lanes = bounded(2, 1, 1)
    assert lanes.reserve(1, 0)
    lanes.drop(1)
    assert lanes.in_flight == 1
    lanes.give_back(1, 0, took_ms=SLOW_MS)
    assert lanes.in_flight == 0


# Red when a slow hook that is deleted keeps slots of those for slow hooks.
def test_a_deleted_slow_hook_leaves_its_share_to_other_slow_ones():
    lanes = bounded(4, 1, 1, 1, 1)
    for hook in (1, 2, 3, 4):
        assert lanes.reserve(hook, 0)
    for hook in (1, 2, 3, 4):
        lanes.give_back(hook, 0, took_ms=SLOW_MS)
    assert lanes.reserve(1, 0)
    lanes.drop(1)
    lanes.give_back(1, 0)
    assert [lanes.reserve(hook, 0) for hook in (2, 3, 4)] == [True] * 3


def test_a_held_hook_begins_nothing_before_its_time_and_all_after_it():
    lanes = bounded(10, 2)
    lanes.hold(1, 0)
    assert not lanes.reserve(1, 0)
    lanes.hint(1, 0, 0)
    assert (taken(lanes, 0), lanes.next_due_ms()) == ({}, 250)
    assert taken(lanes, 250) == {1: 2}


# Red when each attempt of one moment makes the wait longer, or when no second wait is longer.
def test_a_hook_is_held_longer_each_time_and_shortly_again_after_a_while():
    lanes, waits = bounded(10, 2), []
    lanes.hint(1, 0, 0)
    now = 0
    for pause in (0, 0, 0, 0, 0, 0, 0, 60_000):
        now += pause
        lanes.hold(1, now)
        lanes.hold(1, now + 1)
        lanes.hint(1, now, now)
        until = lanes.lane(1).held_until_ms
        waits.append(until - now)
        now = until
    assert waits == [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 250]


# Red when a hold is taken at its word after the clock was set back by an hour.
def test_a_hold_ends_when_the_clock_is_set_back():
    lanes = bounded(10, 2)
    lanes.hold(1, 3_600_000)
    assert lanes.reserve(1, 100)


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 60))
def test_what_is_shared_is_shared_evenly(wanted: list[int], most: int):
    given_ = shared(wanted, most)
    assert sum(given_) == min(sum(wanted), most)
    for got, want in zip(given_, wanted, strict=True):
        assert got <= want
        assert all(got >= other - 1 for other in given_) or got == want


@given(
    bound=st.integers(1, 12),
    mosts=st.lists(st.integers(1, 64), min_size=1, max_size=30),
    slow=st.sets(st.integers(1, 30)),
    data=st.data(),
)
def test_every_hook_gets_its_turn_whatever_the_others_do(
    bound: int, mosts: list[int], slow: set[int], data: st.DataObject
):
    """Each hook has more due than can be sent; attempts end in any order."""
    lanes = bounded(bound, *mosts)
    for hook in range(1, len(mosts) + 1):
        lanes.hint(hook, 0, 0)
    running: Counter[int] = Counter()
    served: Counter[int] = Counter()
    rounds = 8 * len(mosts) + 8
    for _ in range(rounds):
        for lane, count in lanes.take_ready(0):
            running[lane.hook] += count
            served[lane.hook] += count
            lanes.claimed(lane, count, count, 0)
        assert running.total() == lanes.in_flight <= bound
        assert all(running[hook] <= max(bound // 2, 1) for hook in running)
        if not running.total():
            break
        ending = data.draw(st.sampled_from(sorted(running.elements())))
        running[ending] -= 1
        lanes.give_back(ending, 0, took_ms=SLOW_MS if ending in slow else 0)
    ended = served.total() - running.total()
    unserved = [hook for hook in range(1, len(mosts) + 1) if not served[hook]]
    assert not unserved or ended < 2 * len(mosts) + bound, (unserved, served)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "hint", "take", "claimed", "answer", "drop", "put", "hold"]),
        st.integers(1, 5),
        st.integers(0, 2_000),
    ),
    max_size=100,
)


# Red when drop() leaves the lane active: one that is deleted while it claims, with something due,
# became ready again when the claim ended, and other hooks waited for it.
def test_a_hook_that_is_deleted_while_it_claims_never_becomes_ready_again():
    lanes = bounded(1, 1, 1)
    lanes.hint(1, 0, 0)
    [(lane, count)] = lanes.take_ready(0)
    lanes.hint(1, 0, 0)
    lanes.drop(1)
    lanes.claimed(lane, count, 0, 0)
    assert not lanes.any_ready
    assert lanes.reserve(2, 0)


@given(STEPS, st.integers(1, 6))
@example([("hint", 1, 0), ("take", 1, 0), ("hint", 1, 0), ("drop", 1, 0)], 1)
def test_the_slots_always_add_up_and_all_come_back(steps: list[tuple[str, int, int]], bound: int):
    lanes = bounded(bound, *[3] * 5)
    running: Counter[int] = Counter()
    claims: dict[int, tuple] = {}
    gone: set[int] = set()
    now = 0
    for step, hook, number in steps:
        now += number // 10
        if step == "reserve":
            running[hook] += lanes.reserve(hook, now)
        elif step == "hint":
            lanes.hint(hook, now, now)
        elif step == "take":
            claims.update((lane.hook, (lane, count)) for lane, count in lanes.take_ready(now))
        elif step == "claimed" and hook in claims:
            lane, count = claims.pop(hook)
            got = min(number, count)
            lanes.claimed(lane, count, got, now)
            running[hook] += got
        elif step == "answer" and running[hook]:
            running[hook] -= 1
            lanes.give_back(hook, now, took_ms=number)
        elif step == "drop" and hook not in gone:
            gone.add(hook)
            lanes.drop(hook)
        elif step == "put" and hook not in gone:
            lanes.put(hook, most=number % 4 + 1, active=number % 2 == 0, now_ms=now)
        elif step == "hold":
            lanes.hold(hook, now)
        asked = sum(count for _, count in claims.values())
        assert lanes.in_flight == running.total() + asked <= bound
    for lane, count in claims.values():
        lanes.claimed(lane, count, 0, now)
    for hook in running.elements():
        lanes.give_back(hook, now, took_ms=0)
    assert lanes.in_flight == 0
    for hook in range(1, 6):
        if hook not in gone:
            lanes.drop(hook)
    fresh = range(6, 6 + bound)
    for hook in fresh:
        lanes.put(hook, most=1, active=True)
        assert lanes.reserve(hook, now)
        lanes.give_back(hook, now, took_ms=SLOW_MS)
    reserved = sum(lanes.reserve(hook, now) for hook in fresh)
    assert reserved == bound - bound // 4, "no slot was lost, nor one of those for slow hooks"
