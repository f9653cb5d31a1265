"""The bound on all deliveries in flight: part of reserving and claiming, and shared fairly."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.delivery import hook_queue
from hooktui.delivery.hook_queues import SLOW_MS, even_shares
from tests.delivery.driven_queues import DrivenQueues


@pytest.fixture(autouse=True, scope="module")
def nothing_ahead():
    """These tests are about slots; `test_claiming_ahead` has the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hook_queue, "MAX_AHEAD", 0)
        yield


def bounded(bound: int, *limits: int, accounts: int = 1) -> DrivenQueues:
    queues = DrivenQueues(bound)
    for number, slots in enumerate(limits, start=1):
        queues.put(number, slots=slots, active=True, account=number % accounts)
    return queues


def taken(queues: DrivenQueues, now: int = 0) -> dict[int, int]:
    return {queue.hook: count for queue, count in queues.rows(now)}


# Red when reserve() does not look at the bound.
def test_nothing_is_reserved_beyond_the_bound():
    queues = bounded(4, 2, 2, 2)
    assert [queues.reserve(hook, 0) for hook in (1, 1, 2, 2, 3)] == [True] * 4 + [False]
    queues.end(1, 0)
    assert queues.reserve(3, 0)


# Red when take_ready() does not look at it, or when a hook may be ready without a slot: the engine
# would turn in circles.
def test_nothing_is_claimed_beyond_the_bound_and_no_hook_is_ready_without_a_slot():
    queues = bounded(3, 10, 10, 10, 10)
    for hook in (1, 2, 3, 4):
        queues.hint(hook, 0, 0)
    assert taken(queues) == {1: 1, 2: 1, 3: 1}
    assert queues.short
    assert not queues.any_ready
    queues.end(1, 0)
    assert queues.any_ready
    assert taken(queues) == {4: 1}


# Red when a reservation may overtake a hook that waits for a slot.
def test_who_waits_for_a_slot_gets_it_before_a_new_event_does():
    queues = bounded(2, 1, 1, 1, 1)
    assert queues.reserve(1, 0)
    assert queues.reserve(2, 0)
    queues.hint(3, 0, 0)
    assert taken(queues) == {}
    queues.end(1, 0)
    assert not queues.reserve(4, 0)
    assert taken(queues) == {3: 1}
    queues.end(2, 0)
    assert queues.reserve(4, 0)


# Red when one hook can take the whole bound.
def test_one_hook_takes_at_most_half_of_the_bound():
    queues = bounded(100, 64, 64)
    assert sum(queues.reserve(1, 0) for _ in range(64)) == 50
    assert sum(queues.reserve(2, 0) for _ in range(64)) == 50


# Red when the order is that of arrival alone: 1 and 2 would get all of it again and again.
def test_where_slots_are_short_the_hook_with_fewest_in_flight_comes_first():
    queues = bounded(10, 64, 64, 1, 2)
    assert all(queues.reserve(hook, 0) for hook in (1, 2, 1, 2, 1, 2, 1, 2, 4, 4))
    for hook in (1, 2, 3):
        queues.hint(hook, 0, 0)
    assert taken(queues) == {}
    queues.end(4, 0)
    assert taken(queues) == {3: 1}
    queues.end(4, 0)
    assert taken(queues) == {1: 1}, "then who has waited longest"


# Red without the share of slow hooks: hooks that hang take every slot, again and again.
def test_hooks_known_to_be_slow_leave_a_quarter_to_the_others():
    queues = bounded(8, *[1] * 12)
    for hook in range(1, 9):
        assert queues.reserve(hook, 0)
    for hook in range(1, 9):
        queues.end(hook, 0, took_ms=15_000)
        queues.hint(hook, 0, 0)
    assert taken(queues) == dict.fromkeys(range(1, 7), 1)
    assert not queues.any_ready, "7 and 8 wait for one of the slow ones"
    assert queues.reserve(9, 0)
    assert queues.reserve(10, 0)
    queues.end(1, 0, took_ms=SLOW_MS)
    assert taken(queues) == {7: 1}
    queues.end(2, 0, took_ms=SLOW_MS - 1)
    queues.hint(2, 0, 0)
    assert set(taken(queues)) & {2, 8}


def of_accounts(bound: int, *accounts: int, slots: int = 1) -> DrivenQueues:
    """Return the queues of one hook for each given account, numbered from 1."""
    queues = DrivenQueues(bound)
    for hook, account in enumerate(accounts, start=1):
        queues.put(hook, slots=slots, active=True, account=account)
    return queues


# Red without the share of an account: new hooks whose receiver hangs take every slot for 30 s.
def test_the_hooks_of_an_account_leave_a_quarter_to_those_of_others():
    queues = of_accounts(8, *[1] * 12, 2, 2, 2)
    for hook in range(1, 13):
        queues.hint(hook, 0, 0)
    assert taken(queues) == dict.fromkeys(range(1, 7), 1)
    assert taken(queues) == {}
    assert not queues.any_ready, "the others wait for one of their account"
    assert not queues.short
    assert not queues.reserve(12, 0)
    assert [queues.reserve(hook, 0) for hook in (13, 14, 15)] == [True, True, False]
    queues.end(13, 0)
    assert not queues.any_ready
    assert queues.reserve(15, 0)
    queues.end(1, 0)
    assert queues.any_ready
    assert len(taken(queues)) == 1


# Red when only what an account has already counts: one turn hands out more than its share.
def test_a_turn_gives_an_account_no_more_than_its_share():
    queues = of_accounts(100, 1, 1, 1, 1, 2, slots=50)
    for hook in range(1, 6):
        queues.hint(hook, 0, 0)
    assert taken(queues) == {1: 19, 2: 19, 3: 19, 4: 18, 5: 25}


# Red when a hook that waits for its account comes back only as another one of it is started.
def test_hooks_that_wait_for_their_account_all_get_a_turn():
    queues = of_accounts(4, *[1] * 9, 2)
    for hook in range(1, 10):
        queues.hint(hook, 0, 0)
    claims = queues.rows(0)
    assert len(claims) == 3
    assert queues.rows(0) == []
    for hook in (4, 5, 6):
        queues.put(hook, slots=1, active=True, open_until_ms=30_000)
    for hook, (queue, count) in zip((1, 2, 3), claims, strict=True):
        queues.finish_claim(queue, count, count, 0)
        queues.end(hook, 0)
    served = set()
    for _ in range(10):
        served |= set(taken(queues))
    assert {7, 8, 9} <= served


def test_a_single_account_may_have_every_slot():
    queues = of_accounts(8, *[1] * 12)
    for hook in range(1, 13):
        queues.hint(hook, 0, 0)
    assert len(taken(queues)) == 8


def test_a_deleted_hook_gives_its_slots_back_when_its_attempts_end():
    queues = bounded(2, 1, 1)
    assert queues.reserve(1, 0)
    queues.drop(1)
    assert queues.in_flight == 1
    queues.end(1, 0, took_ms=SLOW_MS)
    assert queues.in_flight == 0


# Red when a slow hook that is deleted keeps slots of those for slow hooks.
def test_a_deleted_slow_hook_leaves_its_share_to_other_slow_ones():
    queues = bounded(4, 1, 1, 1, 1)
    for hook in (1, 2, 3, 4):
        assert queues.reserve(hook, 0)
    for hook in (1, 2, 3, 4):
        queues.end(hook, 0, took_ms=SLOW_MS)
    assert queues.reserve(1, 0)
    queues.drop(1)
    queues.end(1, 0)
    assert [queues.reserve(hook, 0) for hook in (2, 3, 4)] == [True] * 3


def test_a_held_hook_begins_nothing_before_its_time_and_all_after_it():
    queues = bounded(10, 2)
    queues.hold(1, 0)
    assert not queues.reserve(1, 0)
    queues.hint(1, 0, 0)
    assert (taken(queues, 0), queues.next_due_ms()) == ({}, 250)
    assert taken(queues, 250) == {1: 2}


# Red when each attempt of one moment makes the wait longer, or when no second wait is longer.
def test_a_hook_is_held_longer_each_time_and_shortly_again_after_a_while():
    queues, waits = bounded(10, 2), []
    queues.hint(1, 0, 0)
    now = 0
    for pause in (0, 0, 0, 0, 0, 0, 0, 60_000):
        now += pause
        queues.hold(1, now)
        queues.hold(1, now + 1)
        queues.hint(1, now, now)
        until = queues.queue(1).held_until_ms
        waits.append(until - now)
        now = until
    assert waits == [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 250]


# Red when a hold is taken at its word after the clock was set back by an hour.
def test_a_hold_ends_when_the_clock_is_set_back():
    queues = bounded(10, 2)
    queues.hold(1, 3_600_000)
    assert queues.reserve(1, 100)


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 60))
def test_what_is_shared_is_shared_evenly(wanted: list[int], most: int):
    given_ = even_shares(wanted, most)
    assert sum(given_) == min(sum(wanted), most)
    for got, want in zip(given_, wanted, strict=True):
        assert got <= want
        assert all(got >= other - 1 for other in given_) or got == want


@given(
    bound=st.integers(1, 12),
    limits=st.lists(st.integers(1, 64), min_size=1, max_size=30),
    slow=st.sets(st.integers(1, 30)),
    accounts=st.integers(1, 3),
    data=st.data(),
)
def test_every_hook_gets_its_turn_whatever_the_others_do(
    bound: int, limits: list[int], slow: set[int], accounts: int, data: st.DataObject
):
    """Each hook has more due than can be sent; attempts end in any order."""
    queues = bounded(bound, *limits, accounts=accounts)
    several = min(accounts, len(limits)) > 1
    for hook in range(1, len(limits) + 1):
        queues.hint(hook, 0, 0)
    running: Counter[int] = Counter()
    served: Counter[int] = Counter()
    rounds = 8 * len(limits) + 8
    for _ in range(rounds):
        for queue, count in queues.rows(0):
            running[queue.hook] += count
            served[queue.hook] += count
            queues.finish_claim(queue, count, count, 0)
        assert running.total() == queues.in_flight <= bound
        assert all(running[hook] <= max(bound // 2, 1) for hook in running)
        of_account = Counter(hook % accounts for hook in running.elements())
        assert not several or max(of_account.values(), default=0) <= max(bound - bound // 4, 1)
        if not running.total():
            break
        ending = data.draw(st.sampled_from(sorted(running.elements())))
        running[ending] -= 1
        queues.end(ending, 0, took_ms=SLOW_MS if ending in slow else 0)
    ended = served.total() - running.total()
    unserved = [hook for hook in range(1, len(limits) + 1) if not served[hook]]
    assert not unserved or ended < 2 * len(limits) + bound, (unserved, served)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "hint", "take", "claimed", "answer", "drop", "put", "hold"]),
        st.integers(1, 5),
        st.integers(0, 2_000),
    ),
    max_size=100,
)


# Red when drop() leaves the queue active: one that is deleted while it claims, with something due,
# became ready again when the claim ended, and other hooks waited for it.
def test_a_hook_that_is_deleted_while_it_claims_never_becomes_ready_again():
    queues = bounded(1, 1, 1)
    queues.hint(1, 0, 0)
    [(queue, count)] = queues.rows(0)
    queues.hint(1, 0, 0)
    queues.drop(1)
    queues.finish_claim(queue, count, 0, 0)
    assert not queues.any_ready
    assert queues.reserve(2, 0)


@given(STEPS, st.integers(1, 6), st.integers(1, 3))
@example([("hint", 1, 0), ("take", 1, 0), ("hint", 1, 0), ("drop", 1, 0)], 1, 1)
@example([("hint", 1, 0), ("take", 1, 0), ("hold", 1, 0), ("claimed", 1, 1)], 1, 1)
def test_the_slots_always_add_up_and_all_come_back(
    steps: list[tuple[str, int, int]], bound: int, accounts: int
):
    queues = bounded(bound, *[3] * 5, accounts=accounts)
    running: Counter[int] = Counter()
    claims: dict[int, tuple] = {}
    gone: set[int] = set()
    now = 0
    for step, hook, number in steps:
        now += number // 10
        if step == "reserve":
            running[hook] += queues.reserve(hook, now)
        elif step == "hint":
            queues.hint(hook, now, now)
        elif step == "take":
            claims.update((queue.hook, (queue, count)) for queue, count in queues.rows(now))
        elif step == "claimed" and hook in claims:
            queue, count = claims.pop(hook)
            got = min(number, count)
            queues.finish_claim(queue, count, got, now)
            # A hook that was held meanwhile starts none: they wait, and are given back here.
            running[hook] += got - len(queues.withdraw(hook))
        elif step == "answer" and running[hook]:
            running[hook] -= 1
            queues.end(hook, now, took_ms=number)
        elif step == "drop" and hook not in gone:
            gone.add(hook)
            queues.drop(hook)
        elif step == "put" and hook not in gone:
            queues.put(hook, slots=number % 4 + 1, active=number % 2 == 0, now_ms=now)
        elif step == "hold":
            queues.hold(hook, now)
        asked = sum(count for _, count in claims.values())
        assert queues.in_flight == running.total() + asked <= bound
    for queue, count in claims.values():
        queues.finish_claim(queue, count, 0, now)
    for hook in running.elements():
        queues.end(hook, now, took_ms=0)
    assert queues.in_flight == 0
    for hook in range(1, 6):
        if hook not in gone:
            queues.drop(hook)
    fresh = range(6, 6 + bound)
    for hook in fresh:
        queues.put(hook, slots=1, active=True)
        assert queues.reserve(hook, now)
        queues.end(hook, now, took_ms=SLOW_MS)
    reserved = sum(queues.reserve(hook, now) for hook in fresh)
    assert reserved == bound - bound // 4, "no slot was lost, nor one of those for slow hooks"
