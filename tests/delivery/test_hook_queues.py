import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.delivery import hook_queue
from hooktui.delivery.hook_queue import MAX_PER_CLAIM
from hooktui.delivery.hook_queues import HookQueues, even_shares
from tests.delivery.driven_queues import DrivenQueues, delivery_of


@pytest.fixture(autouse=True, scope="module")
def nothing_ahead():
    """These tests are about slots; `test_claiming_ahead` has the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hook_queue, "MAX_AHEAD", 0)
        yield


def queues_of(*limits: int) -> DrivenQueues:
    queues = DrivenQueues()
    for number, slots in enumerate(limits, start=1):
        queues.put(number, slots=slots, active=True)
    return queues


def taken(queues: DrivenQueues, now: int) -> dict[int, int]:
    return {queue.hook: count for queue, count in queues.rows(now)}


def test_a_new_delivery_is_handed_over_while_a_slot_is_free():
    queues = queues_of(2)
    assert [queues.reserve(1, 0) for _ in range(3)] == [True, True, False]


def test_a_new_delivery_does_not_overtake_older_ones_that_are_due():
    queues = queues_of(2)
    queues.hint(1, 100, now_ms=100)
    assert not queues.reserve(1, 100)


def test_a_retry_that_is_due_later_does_not_hold_up_a_new_delivery():
    queues = queues_of(2)
    queues.hint(1, 5_000, now_ms=100)
    assert queues.reserve(1, 100)


# Red when shares are given until none is left of a negative rest: the process hung.
@pytest.mark.parametrize("total", [-2, -1, 0])
def test_nothing_is_shared_where_more_is_taken_than_there_is(total: int):
    assert even_shares([], total) == []
    assert even_shares([3, 1], total) == [0, 0]


# Red when a delivery that arrives asks only whether a 429 or a cut came meanwhile.
@pytest.mark.parametrize("change", [{"active": False}, {"open_until_ms": 30_000}])
def test_no_delivery_starts_whose_hook_was_closed_while_it_was_stored(change):
    queues = HookQueues(64)
    queues.put(1, slots=5, active=True)
    assert [queues.reserve(1, 0) for _ in range(5)] == [True] * 5
    queues.put(1, slots=5, **{"active": True, **change})
    assert not any(queues.arrived(delivery_of(1), 0) for _ in range(5))
    assert queues.in_flight == 0
    assert len(queues.withdraw(1)) == 5
    queues.put(1, slots=5, active=True)
    assert [queues.reserve(1, 0) for _ in range(5)] == [True] * 5


def test_the_probe_of_a_breaker_starts():
    queues = HookQueues(64)
    queues.put(1, slots=5, active=True, open_until_ms=30_000)
    queues.hint(1, 0, now_ms=0)
    assert queues.take_ready(29_000) == []
    (turn,) = queues.take_ready(31_000)
    assert turn.rows == 1
    assert queues.arrived(delivery_of(1), 31_000)


def test_deliveries_of_a_deleted_hook_beyond_the_limit_stop_no_other(monkeypatch):
    monkeypatch.setattr(hook_queue, "MAX_AHEAD", 500)
    queues = HookQueues(4)
    for hook in (1, 2):
        queues.put(hook, slots=2, active=True)
    for _ in range(3):  # so that it may claim ahead
        assert queues.reserve(1, 0)
        queues.arrived(delivery_of(1), 0)
        queues.finish_attempt(1, 0)
    assert [queues.reserve(1, 0) for _ in range(5)] == [True] * 5
    assert [queues.reserve(2, 0) for _ in range(2)] == [True] * 2
    queues.drop(1)
    assert [queues.arrived(delivery_of(1), 0) for _ in range(5)] == [True] * 5
    assert queues.in_flight > 4
    assert queues.take_ready(0) == []


def test_failures_in_a_row_hold_a_hook_that_sends_one_at_a_time():
    queues = queues_of(1)
    queue = queues.queue(1)
    for _ in range(6):
        queue.failed_alone(0)
        assert not queue.is_held(0)
    queue.failed_alone(0)
    queues.hint(1, 0, now_ms=0)
    assert (taken(queues, 499), queues.next_due_ms()) == ({}, 500)
    assert not queues.reserve(1, 499)
    assert taken(queues, 500) == {1: 1}


def test_another_receiver_begins_without_failures():
    queues = DrivenQueues()
    queue = queues.put(1, slots=None, active=True, receiver="one")
    for _ in range(6):
        queue.failed_alone(0)
    queues.put(1, slots=None, active=True, receiver="other")
    queue.failed_alone(0)
    assert not queue.is_held(0)


# Red when a hold is over once the clock seems to go back by a millisecond, as PostgreSQL's does.
def test_a_hold_of_a_minute_outlasts_a_corrected_clock():
    queues = DrivenQueues()
    queue = queues.put(1, slots=2, active=True, now_ms=60_000)
    queue.closed_until_ms = 120_000
    queue.reopen_if_over(59_990)
    assert queue.closed_until_ms == 120_000
    assert queue.is_held(59_990)
    queue.reopen_if_over(0)  # it was set back
    assert queue.closed_until_ms is None


def test_an_inactive_hook_starts_nothing():
    queues = queues_of(2)
    queues.put(1, slots=2, active=False)
    queues.hint(1, 0, now_ms=10)
    assert not queues.reserve(1, 10)
    assert taken(queues, 10) == {}
    queues.put(1, slots=2, active=True)
    queues.hint(1, 0, now_ms=10)
    assert taken(queues, 10) == {1: 2}


def test_a_full_hook_is_not_ready_and_blocks_no_other():
    queues = queues_of(1, 1)
    assert queues.reserve(1, 0)
    queues.hint(1, 0, now_ms=0)
    queues.hint(2, 0, now_ms=0)
    assert taken(queues, 0) == {2: 1}
    queues.end(1, now_ms=1)
    assert taken(queues, 1) == {1: 1}


def test_a_delivery_due_later_becomes_ready_when_its_time_comes():
    queues = queues_of(1)
    queues.hint(1, 500, now_ms=0)
    assert queues.next_due_ms() == 500
    assert taken(queues, 499) == {}
    assert taken(queues, 500) == {1: 1}


def test_a_hint_during_a_claim_is_not_lost():
    queues = queues_of(4)
    queues.hint(1, 0, now_ms=0)
    [(queue, count)] = queues.rows(0)
    queues.hint(1, 0, now_ms=0)
    assert taken(queues, 0) == {}, "one claim per hook at a time"
    assert queues.finish_claim(queue, count, claimed=0, now_ms=0)
    assert taken(queues, 0) == {1: 4}


def test_a_claim_that_got_all_it_asked_for_comes_again():
    queues = queues_of(2 * MAX_PER_CLAIM)
    queues.hint(1, 0, now_ms=0)
    [(queue, count)] = queues.rows(0)
    assert count == MAX_PER_CLAIM
    assert not queues.finish_claim(queue, count, claimed=count, now_ms=0)
    assert taken(queues, 0) == {1: MAX_PER_CLAIM}


def test_a_deleted_hook_is_forgotten_even_with_attempts_under_way():
    queues = queues_of(2)
    queues.hint(1, 0, now_ms=0)
    [(queue, count)] = queues.rows(0)
    queues.drop(1)
    queues.finish_claim(queue, count, claimed=1, now_ms=0)
    queues.end(1, now_ms=0)
    queues.hint(1, 0, now_ms=0)
    assert taken(queues, 0) == {}


def test_a_hook_with_a_rate_is_ready_again_when_a_token_is_there():
    queues = DrivenQueues()
    queues.put(1, slots=10, active=True, rate_per_s=5, now_ms=0)
    assert [queues.reserve(1, 0) for _ in range(2)] == [True, False]
    queues.hint(1, 0, now_ms=0)
    assert (taken(queues, 0), queues.next_due_ms()) == ({}, 200)
    assert (taken(queues, 199), taken(queues, 200)) == ({}, {1: 1})


def test_a_claim_takes_no_more_than_the_tokens_and_gives_back_what_it_did_not_use():
    queues = DrivenQueues()
    queues.put(1, slots=50, active=True, rate_per_s=100, now_ms=0)
    queues.hint(1, 0, now_ms=0)
    [(queue, count)] = queues.rows(0)
    assert count == 10
    queues.finish_claim(queue, count, claimed=4, now_ms=0)
    queues.hint(1, 0, now_ms=0)
    assert taken(queues, 0) == {1: 6}


def test_a_delivery_that_did_not_come_about_uses_up_no_token():
    queues = HookQueues()
    queues.put(1, slots=1, active=True, rate_per_s=1, now_ms=0)
    assert queues.reserve(1, 0)
    queues.unreserve(1, 0)
    assert queues.reserve(1, 0)


def test_hints_without_a_token_set_one_alarm():
    queues = DrivenQueues()
    queues.put(1, slots=1_000, active=True, rate_per_s=1, now_ms=0)
    assert queues.reserve(1, 0)
    for _ in range(1_000):
        queues.hint(1, 0, now_ms=0)
    assert queues.next_due_ms() == 1_000
    assert taken(queues, 1_000) == {1: 1}
    assert queues.next_due_ms() is None


def test_a_hook_whose_limit_fell_while_it_was_ready_starts_nothing():
    queues = queues_of(2)
    assert queues.reserve(1, 0)
    queues.hint(1, 0, now_ms=0)
    queues.put(1, slots=1, active=True)
    assert taken(queues, 0) == {}
    queues.end(1, now_ms=0)
    assert taken(queues, 0) == {1: 1}


def test_an_open_breaker_holds_everything_until_one_probe_may_go():
    queues = queues_of(5)
    queues.put(1, slots=5, active=True, open_until_ms=30_000)
    assert not queues.reserve(1, 0)
    queues.hint(1, 0, now_ms=0)
    assert (taken(queues, 29_999), queues.next_due_ms()) == ({}, 30_000)
    assert not queues.reserve(1, 30_000), "the oldest due delivery is the probe, not a new one"
    [(queue, count)] = queues.rows(30_000)
    assert count == 1
    queues.finish_claim(queue, count, claimed=1, now_ms=30_000)
    assert taken(queues, 40_000) == {}, "one probe at a time"
    queues.put(1, slots=5, active=True)
    queues.end(1, now_ms=40_001)
    assert taken(queues, 40_001) == {1: 5}


def test_a_probe_waits_for_attempts_in_flight_when_the_breaker_opened():
    queues = queues_of(5)
    assert queues.reserve(1, 0)
    queues.put(1, slots=5, active=True, open_until_ms=10)
    queues.hint(1, 0, now_ms=10)
    assert taken(queues, 10) == {}
    queues.end(1, now_ms=11)
    assert taken(queues, 11) == {1: 1}


def test_a_breaker_that_opens_stops_a_hook_that_was_ready():
    queues = queues_of(5)
    queues.hint(1, 0, now_ms=0)
    queues.put(1, slots=5, active=True, open_until_ms=10)
    assert (taken(queues, 0), taken(queues, 10)) == ({}, {1: 1})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["reserve", "hint", "take", "claimed", "answer", "pause", "resume", "open", "close"]
        ),
        st.integers(1, 3),
        st.integers(0, 50),
    ),
    max_size=80,
)


@given(STEPS)
def test_no_hook_ever_has_more_in_flight_than_it_may_and_no_hint_is_lost(steps):
    limits = {1: 1, 2: 3, 3: 10}
    queues, now, running, claims, owed = (
        queues_of(*limits.values()),
        0,
        dict.fromkeys(limits, 0),
        {},
        {},
    )
    paused, open_until = set(), {}
    rate, started = 30, 0  # of hook 3
    queues.put(3, slots=limits[3], active=True, rate_per_s=rate, now_ms=now)
    for step, hook, number in steps:
        now += number
        if step == "reserve":
            reserved = queues.reserve(hook, now)
            assert not (reserved and hook in open_until)
            running[hook] += reserved
            started += reserved and hook == 3
        elif step == "hint":
            queues.hint(hook, now + number, now)
            owed[hook] = min(owed.get(hook, now + number), now + number)
        elif step == "take":
            for queue, count in queues.rows(now):
                assert owed.pop(queue.hook) <= now
                if queue.hook in open_until:
                    assert open_until[queue.hook] <= now
                    assert (running[queue.hook], count) == (0, 1)
                claims[queue.hook] = (queue, count)
        elif step == "claimed" and hook in claims:
            queue, count = claims.pop(hook)
            got = min(number, count - 1 if count > 1 else count)
            if got == count:
                owed[hook] = min(owed.get(hook, now), now)
            running[hook] += got
            started += got if hook == 3 else 0
            queues.finish_claim(queue, count, got, now)
        elif step == "answer" and running[hook]:
            running[hook] -= 1
            queues.end(hook, now)
        elif step in {"pause", "resume", "open", "close"}:
            paused.add(hook)
            if step == "open":
                open_until[hook] = now + number
            elif step != "pause":
                open_until.pop(hook, None)
            limit = rate if hook == 3 else None
            queues.put(
                hook,
                slots=limits[hook],
                active=step != "pause",
                rate_per_s=limit,
                open_until_ms=open_until.get(hook),
                now_ms=now,
            )
        for one, slots in limits.items():
            asked = claims[one][1] if one in claims else 0
            assert running[one] + asked <= slots
        asked = claims[3][1] if 3 in claims else 0
        assert started + asked <= rate / 10 + rate * now / 1000
    for queue, count in claims.values():
        queues.finish_claim(queue, count, 0, now)
    for hook, slots in limits.items():
        queues.put(hook, slots=slots, active=True)
        for _ in range(running[hook]):
            queues.end(hook, now)
        if hook in owed and hook in paused:  # the engine looks up what is due after a pause
            queues.hint(hook, owed[hook], now)
    now += 1_000
    assert set(owed) <= set(taken(queues, now))


# Red when a queue never claims by age: under a stream of events its retries would wait for ever.
def test_one_claim_in_ten_takes_the_oldest_due_and_every_probe_does():
    queues = queues_of(1)
    by_age = []
    for now in range(20):
        queues.hint(1, now, now_ms=now)
        ((queue, count),) = queues.rows(now)
        by_age.append(queue.by_age)
        queues.finish_claim(queue, count, 0, now)
    assert by_age == [claim in (9, 19) for claim in range(20)]
    queues.put(1, slots=1, active=True, open_until_ms=100)
    queues.hint(1, 0, now_ms=100)
    ((queue, _),) = queues.rows(100)
    assert queue.by_age


# Red when a later time stays while earlier ones come and go, and is noted again behind each.
def test_times_that_make_a_hook_ready_are_noted_once():
    queues = queues_of(10)
    retry_ms, now = 86_400_000, 0
    queues.hint(1, retry_ms, now_ms=now)
    for _ in range(500):
        now += 10_000
        queues.hint(1, now + 5_000, now_ms=now)
        [(queue, count)] = queues.rows(now + 5_000)
        assert queues.finish_claim(queue, count, claimed=1, now_ms=now + 5_000)
        queues.hint(1, retry_ms, now_ms=now + 5_000)
        queues.end(1, now_ms=now + 5_000)
    assert len(queues._later) <= 2
    assert queues.next_due_ms() == retry_ms
    assert taken(queues, retry_ms) == {1: 10}


# Red when a replay that loses the slot kept for it (its breaker opened) tells nobody.
def test_a_slot_that_is_no_longer_kept_goes_to_live_traffic():
    queues = queues_of(1)
    assert queues.reserve(1, 0)
    assert queues.reserve_spare(1, 1, 0, 0, owed=True) == 0
    assert queues.queue(1).kept == 1
    queues.hint(1, 0, now_ms=0)
    queues.end(1, now_ms=1)
    assert taken(queues, 1) == {}
    assert queues.reserve_spare(1, 0, 0, 2) == 0
    assert (queues.queue(1).kept, taken(queues, 2)) == (0, {1: 1})
