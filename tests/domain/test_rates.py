"""How many may be sent now, and how many were sent per second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.rates import BURST_S, ThroughputMeter, TokenBucket
from tests.support.clocks import Clock

RATES = st.floats(0.01, 100_000, allow_nan=False)


def test_a_slow_rate_gives_one_at_a_time():
    bucket = TokenBucket.full(4, 0)
    assert bucket.whole(0) == 1
    bucket.take(1)
    assert (bucket.whole(0), bucket.next_at_ms(0)) == (0, 250)
    assert (bucket.whole(249), bucket.whole(250)) == (0, 1)
    assert bucket.whole(10_000) == 1, "what was not used is not saved up"


def test_a_fast_rate_gives_a_batch():
    bucket = TokenBucket.full(1_000, 0)
    assert bucket.whole(0) == 100
    bucket.take(100)
    assert bucket.next_at_ms(0) == 1
    assert bucket.whole(50) == 50


def test_a_clock_that_is_set_back_neither_stops_nor_fills_the_bucket():
    bucket = TokenBucket.full(10, 1_000_000)
    bucket.take(1)
    assert (bucket.whole(0), bucket.next_at_ms(0)) == (0, 100)
    assert bucket.whole(100) == 1


def test_another_rate_is_taken_up_without_a_gift():
    bucket = TokenBucket.full(1, 0)
    bucket.take(1)
    bucket.change_rate(10, 0)
    assert bucket.next_at_ms(0) == 100


@given(RATES, st.lists(st.integers(0, 2_000), max_size=60))
def test_no_stretch_of_time_holds_more_than_its_rate_and_a_burst(rate, waits):
    bucket, now, taken = TokenBucket.full(rate, 0), 0, 0
    for wait in waits:
        now += wait
        count = bucket.whole(now)
        bucket.take(count)
        taken += count
        assert taken <= max(rate * BURST_S, 1) + rate * now / 1000 + 1e-3


@given(RATES, st.integers(0, 5_000))
def test_a_token_is_there_when_it_was_said_to_be(rate, wait):
    bucket = TokenBucket.full(rate, 0)
    bucket.take(bucket.whole(0))
    at_ms = bucket.next_at_ms(wait)
    assert bucket.whole(at_ms) >= 1


def test_a_rate_is_the_average_over_the_last_minute():
    clock = Clock()
    rate = ThroughputMeter(clock.steady_s)
    for _ in range(120):
        rate.add(3)
        clock.advance(1)
    assert 2.9 <= rate.per_second() <= 3.0


def test_what_is_older_than_a_minute_does_not_count():
    clock = Clock()
    rate = ThroughputMeter(clock.steady_s)
    rate.add(1_000)
    clock.advance(61)
    assert rate.per_second() == 0


def test_a_young_rate_counts_since_its_start():
    clock = Clock()
    rate = ThroughputMeter(clock.steady_s)
    clock.advance(2)
    rate.add(10)
    assert rate.per_second() == 5


# Red when the wait is divided out without a bound: an infinite one ended the dispatch of all hooks.
@given(rate=st.floats(5e-324, 1e308), now_ms=st.integers(0, 2**45))
def test_the_next_token_of_any_rate_comes_at_a_time(rate: float, now_ms: int):
    bucket = TokenBucket.full(rate, now_ms)
    bucket.take(1)
    assert now_ms <= bucket.next_at_ms(now_ms) < now_ms + 2 * 366 * 86_400_000
