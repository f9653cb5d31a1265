from hypothesis import given
from hypothesis import strategies as st

from hooktui.delivery.hook_queues import MOST_PER_CLAIM, HookQueues


def lanes_of(*mosts: int) -> HookQueues:
    lanes = HookQueues()
    for number, most in enumerate(mosts, start=1):
        lanes.put(number, most=most, active=True)
    return lanes


def taken(lanes: HookQueues, now: int) -> dict[int, int]:
    return {lane.hook: count for lane, count in lanes.take_ready(now)}


def test_a_new_delivery_is_handed_over_while_a_slot_is_free():
    lanes = lanes_of(2)
    assert [lanes.reserve(1, 0) for _ in range(3)] == [True, True, False]


def test_a_new_delivery_does_not_overtake_older_ones_that_are_due():
    lanes = lanes_of(2)
    lanes.hint(1, 100, now_ms=100)
    assert not lanes.reserve(1, 100)


def test_a_retry_that_is_due_later_does_not_hold_up_a_new_delivery():
    lanes = lanes_of(2)
    lanes.hint(1, 5_000, now_ms=100)
    assert lanes.reserve(1, 100)


def test_an_inactive_hook_starts_nothing():
    lanes = lanes_of(2)
    lanes.put(1, most=2, active=False)
    lanes.hint(1, 0, now_ms=10)
    assert not lanes.reserve(1, 10)
    assert taken(lanes, 10) == {}
    lanes.put(1, most=2, active=True)
    lanes.hint(1, 0, now_ms=10)
    assert taken(lanes, 10) == {1: 2}


def test_a_full_hook_is_not_ready_and_blocks_no_other():
    lanes = lanes_of(1, 1)
    assert lanes.reserve(1, 0)
    lanes.hint(1, 0, now_ms=0)
    lanes.hint(2, 0, now_ms=0)
    assert taken(lanes, 0) == {2: 1}
    lanes.give_back(1, now_ms=1)
    assert taken(lanes, 1) == {1: 1}


def test_a_delivery_due_later_becomes_ready_when_its_time_comes():
    lanes = lanes_of(1)
    lanes.hint(1, 500, now_ms=0)
    assert lanes.next_due_ms() == 500
    assert taken(lanes, 499) == {}
    assert taken(lanes, 500) == {1: 1}


def test_a_hint_during_a_claim_is_not_lost():
    lanes = lanes_of(4)
    lanes.hint(1, 0, now_ms=0)
    [(lane, count)] = lanes.take_ready(0)
    lanes.hint(1, 0, now_ms=0)
    assert taken(lanes, 0) == {}, "one claim per hook at a time"
    assert lanes.claimed(lane, count, got=0, now_ms=0)
    assert taken(lanes, 0) == {1: 4}


def test_a_claim_that_got_all_it_asked_for_comes_again():
    lanes = lanes_of(2 * MOST_PER_CLAIM)
    lanes.hint(1, 0, now_ms=0)
    [(lane, count)] = lanes.take_ready(0)
    assert count == MOST_PER_CLAIM
    assert not lanes.claimed(lane, count, got=count, now_ms=0)
    assert taken(lanes, 0) == {1: MOST_PER_CLAIM}


def test_a_deleted_hook_is_forgotten_even_with_attempts_under_way():
    lanes = lanes_of(2)
    lanes.hint(1, 0, now_ms=0)
    [(lane, count)] = lanes.take_ready(0)
    lanes.drop(1)
    lanes.claimed(lane, count, got=1, now_ms=0)
    lanes.give_back(1, now_ms=0)
    lanes.hint(1, 0, now_ms=0)
    assert taken(lanes, 0) == {}


def test_a_hook_with_a_rate_is_ready_again_when_a_token_is_there():
    lanes = HookQueues()
    lanes.put(1, most=10, active=True, rate_per_s=5, now_ms=0)
    assert [lanes.reserve(1, 0) for _ in range(2)] == [True, False]
    lanes.hint(1, 0, now_ms=0)
    assert (taken(lanes, 0), lanes.next_due_ms()) == ({}, 200)
    assert (taken(lanes, 199), taken(lanes, 200)) == ({}, {1: 1})


def test_a_claim_takes_no_more_than_the_tokens_and_gives_back_what_it_did_not_use():
    lanes = HookQueues()
    lanes.put(1, most=50, active=True, rate_per_s=100, now_ms=0)
    lanes.hint(1, 0, now_ms=0)
    [(lane, count)] = lanes.take_ready(0)
    assert count == 10
    lanes.claimed(lane, count, got=4, now_ms=0)
    lanes.hint(1, 0, now_ms=0)
    assert taken(lanes, 0) == {1: 6}


def test_a_delivery_that_did_not_come_about_uses_up_no_token():
    lanes = HookQueues()
    lanes.put(1, most=1, active=True, rate_per_s=1, now_ms=0)
    assert lanes.reserve(1, 0)
    lanes.unreserve(1, 0)
    assert lanes.reserve(1, 0)


def test_hints_without_a_token_set_one_alarm():
    lanes = HookQueues()
    lanes.put(1, most=1_000, active=True, rate_per_s=1, now_ms=0)
    assert lanes.reserve(1, 0)
    for _ in range(1_000):
        lanes.hint(1, 0, now_ms=0)
    assert lanes.next_due_ms() == 1_000
    assert taken(lanes, 1_000) == {1: 1}
    assert lanes.next_due_ms() is None


def test_a_hook_whose_limit_fell_while_it_was_ready_starts_nothing():
    lanes = lanes_of(2)
    assert lanes.reserve(1, 0)
    lanes.hint(1, 0, now_ms=0)
    lanes.put(1, most=1, active=True)
    assert taken(lanes, 0) == {}
    lanes.give_back(1, now_ms=0)
    assert taken(lanes, 0) == {1: 1}


def test_an_open_breaker_holds_everything_until_one_probe_may_go():
    lanes = lanes_of(5)
    lanes.put(1, most=5, active=True, open_until_ms=30_000)
    assert not lanes.reserve(1, 0)
    lanes.hint(1, 0, now_ms=0)
    assert (taken(lanes, 29_999), lanes.next_due_ms()) == ({}, 30_000)
    assert not lanes.reserve(1, 30_000), "the oldest due delivery is the probe, not a new one"
    [(lane, count)] = lanes.take_ready(30_000)
    assert count == 1
    lanes.claimed(lane, count, got=1, now_ms=30_000)
    assert taken(lanes, 40_000) == {}, "one probe at a time"
    lanes.put(1, most=5, active=True)
    lanes.give_back(1, now_ms=40_001)
    assert taken(lanes, 40_001) == {1: 5}


def test_a_probe_waits_for_what_was_under_way_when_the_breaker_opened():
    lanes = lanes_of(5)
    assert lanes.reserve(1, 0)
    lanes.put(1, most=5, active=True, open_until_ms=10)
    lanes.hint(1, 0, now_ms=10)
    assert taken(lanes, 10) == {}
    lanes.give_back(1, now_ms=11)
    assert taken(lanes, 11) == {1: 1}


def test_a_breaker_that_opens_stops_a_hook_that_was_ready():
    lanes = lanes_of(5)
    lanes.hint(1, 0, now_ms=0)
    lanes.put(1, most=5, active=True, open_until_ms=10)
    assert (taken(lanes, 0), taken(lanes, 10)) == ({}, {1: 1})


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
    mosts = {1: 1, 2: 3, 3: 10}
    lanes, now, running, claims, owed = (
        lanes_of(*mosts.values()),
        0,
        dict.fromkeys(mosts, 0),
        {},
        {},
    )
    paused, open_until = set(), {}
    rate, started = 30, 0  # of hook 3
    lanes.put(3, most=mosts[3], active=True, rate_per_s=rate, now_ms=now)
    for step, hook, number in steps:
        now += number
        if step == "reserve":
            reserved = lanes.reserve(hook, now)
            assert not (reserved and hook in open_until)
            running[hook] += reserved
            started += reserved and hook == 3
        elif step == "hint":
            lanes.hint(hook, now + number, now)
            owed[hook] = min(owed.get(hook, now + number), now + number)
        elif step == "take":
            for lane, count in lanes.take_ready(now):
                assert owed.pop(lane.hook) <= now
                if lane.hook in open_until:
                    assert open_until[lane.hook] <= now
                    assert (running[lane.hook], count) == (0, 1)
                claims[lane.hook] = (lane, count)
        elif step == "claimed" and hook in claims:
            lane, count = claims.pop(hook)
            got = min(number, count - 1 if count > 1 else count)
            if got == count:
                owed[hook] = min(owed.get(hook, now), now)
            running[hook] += got
            started += got if hook == 3 else 0
            lanes.claimed(lane, count, got, now)
        elif step == "answer" and running[hook]:
            running[hook] -= 1
            lanes.give_back(hook, now)
        elif step in {"pause", "resume", "open", "close"}:
            paused.add(hook)
            if step == "open":
                open_until[hook] = now + number
            elif step != "pause":
                open_until.pop(hook, None)
            limit = rate if hook == 3 else None
            lanes.put(
                hook,
                most=mosts[hook],
                active=step != "pause",
                rate_per_s=limit,
                open_until_ms=open_until.get(hook),
                now_ms=now,
            )
        for one, most in mosts.items():
            asked = claims[one][1] if one in claims else 0
            assert running[one] + asked <= most
        asked = claims[3][1] if 3 in claims else 0
        assert started + asked <= rate / 10 + rate * now / 1000
    for lane, count in claims.values():
        lanes.claimed(lane, count, 0, now)
    for hook, most in mosts.items():
        lanes.put(hook, most=most, active=True)
        for _ in range(running[hook]):
            lanes.give_back(hook, now)
        if hook in owed and hook in paused:  # the engine looks up what is due after a pause
            lanes.hint(hook, owed[hook], now)
    now += 1_000
    assert set(owed) <= set(taken(lanes, now))


# Red when a lane never claims by age: under a stream of events its retries would wait for ever.
def test_one_claim_in_ten_takes_the_oldest_due_and_every_probe_does():
    lanes = lanes_of(1)
    by_age = []
    for now in range(20):
        lanes.hint(1, now, now_ms=now)
        ((lane, count),) = lanes.take_ready(now)
        by_age.append(lane.by_age)
        lanes.claimed(lane, count, 0, now)
    assert by_age == [claim in (9, 19) for claim in range(20)]
    lanes.put(1, most=1, active=True, open_until_ms=100)
    lanes.hint(1, 0, now_ms=100)
    ((lane, _),) = lanes.take_ready(100)
    assert lane.by_age
