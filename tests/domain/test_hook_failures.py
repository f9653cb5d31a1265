"""When a breaker opens and closes, and when failures disable a hook."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.deliveries import ErrorClass, Exchange, error_of_status
from hooktui.domain.hook_failures import (
    CLOSED,
    FAILURES_TO_OPEN,
    LONGEST_WAIT_MS,
    RULE_MS,
    Breaker,
    BreakerState,
    FailureStreak,
    after_attempt,
    probe_at_ms,
    receiver_is_down,
    spread_across_days,
    wait_after_s,
)

UP = Exchange(status_code=200)
DOWN = Exchange(status_code=503, error=ErrorClass.STATUS)


def answer(status_code: int) -> Exchange:
    return Exchange(status_code=status_code, error=error_of_status(status_code))


@pytest.mark.parametrize("status_code", [429, 500, 502, 503, 504, 599])
def test_an_overrun_or_broken_receiver_counts_as_down(status_code):
    assert receiver_is_down(answer(status_code)) is True


def test_the_last_attempts_before_a_breaker_opens_are_spaced():
    waits = [wait_after_s(failures) for failures in range(FAILURES_TO_OPEN)]
    assert not any(waits[:7]), "a receiver that refuses some of the requests is not held up"
    assert waits == sorted(waits)
    assert sum(waits) == 5.0
    assert wait_after_s(100) == waits[-1], "another server had success meanwhile"


@pytest.mark.parametrize("status_code", [200, 204, 301, 400, 401, 404, 410])
def test_a_receiver_that_answers_is_up_whatever_it_says(status_code):
    assert receiver_is_down(answer(status_code)) is False


ANSWERED = {ErrorClass.STATUS, ErrorClass.REDIRECT}
OURS = {ErrorClass.ADDRESS_REFUSED, ErrorClass.INTERRUPTED}


@pytest.mark.parametrize("error", sorted(set(ErrorClass) - ANSWERED - OURS))
def test_every_network_error_counts_as_down(error):
    assert receiver_is_down(Exchange(error=error)) is True


@pytest.mark.parametrize("error", sorted(OURS))
def test_what_never_reached_the_receiver_changes_nothing(error):
    for breaker in (Breaker(9), Breaker(10, 5)):
        assert after_attempt(breaker, Exchange(error=error), 10, 11) is breaker


def test_ten_failures_in_a_row_open_it_and_nine_do_not():
    breaker = CLOSED
    for at in range(9):
        breaker = after_attempt(breaker, DOWN, at, at)
    assert breaker.state(0) is BreakerState.CLOSED
    breaker = after_attempt(breaker, DOWN, 100, 120)
    assert breaker == Breaker(10, 30_120)
    assert breaker.state(30_119) is BreakerState.OPEN
    assert breaker.state(30_120) is BreakerState.HALF_OPEN


def test_probes_that_fail_double_the_wait_up_to_ten_minutes():
    breaker, waits = Breaker(9), []
    for _ in range(1_000):
        at = breaker.until_ms or 0
        breaker = after_attempt(breaker, DOWN, at, at)
        waits.append((breaker.until_ms - at) // 1000)
    assert waits[:7] == [30, 60, 120, 240, 480, 600, 600]
    assert waits[-1] == 600


def test_a_success_closes_it():
    assert after_attempt(Breaker(14, 1_000), UP, 1_000, 1_001) == CLOSED


def test_a_failure_in_flight_when_it_opened_is_no_probe():
    opened = Breaker(10, 30_000)
    assert after_attempt(opened, DOWN, 29_999, 31_000) is opened


def test_a_clock_that_was_set_back_does_not_keep_it_open():
    assert probe_at_ms(LONGEST_WAIT_MS + 1, 0) == 0
    assert probe_at_ms(LONGEST_WAIT_MS, 0) == LONGEST_WAIT_MS


@given(st.lists(st.booleans(), max_size=60))
def test_it_is_open_exactly_after_ten_or_more_failures_in_a_row(downs):
    breaker, row, now = CLOSED, 0, 0
    for down in downs:
        now = max(now, breaker.until_ms or 0) + 1
        breaker = after_attempt(breaker, DOWN if down else UP, now, now)
        row = row + 1 if down else 0
        assert (breaker.until_ms is not None) == (row >= FAILURES_TO_OPEN)
        if breaker.until_ms is not None:
            assert now < breaker.until_ms <= now + LONGEST_WAIT_MS


@pytest.mark.parametrize(
    ("failed", "spread"),
    [
        ({0: 2, 1: 2, 2: 2, 3: 2, 4: 2}, True),
        ({0: 4, 2: 4, 4: 2}, True),
        ({0: 1, 3: 8, 4: 1}, True),
        ({0: 3, 1: 3, 2: 3}, False),
        ({0: 50, 4: 50}, False),
        ({0: 50, 1: 0, 4: 50}, False),
        ({0: 5, 1: 5, 5: 5}, False),
        ({}, False),
        ({0: 6, 1: 6, -20: 6}, False),
        ({0: 6, 1: 6, 4: 6, -20: 6}, True),
    ],
)
def test_failures_are_spread_when_ten_of_them_lie_on_three_of_the_five_days(failed, spread):
    assert spread_across_days(failed) is spread


@pytest.mark.parametrize(
    ("failing", "long"),
    [
        (FailureStreak(0, 10), True),
        (FailureStreak(0, 9), False),
        (FailureStreak(1, 10), False),
        (FailureStreak(None, 0), False),
    ],
)
def test_five_days_and_ten_failures_are_the_least(failing, long):
    assert failing.long_enough(RULE_MS) is long


# Red when a probe that was let go because the clock was set back counts as in flight before it:
# the breaker then never moved, and the whole backlog was sent to a dead receiver.
def test_a_probe_after_the_clock_was_set_back_counts():
    opened = Breaker(FAILURES_TO_OPEN, 10_000_000)
    now = 10_000_000 - 3_600_000
    assert probe_at_ms(opened.until_ms, now) == now
    after = after_attempt(opened, DOWN, now, now + 1)
    assert after.failures == FAILURES_TO_OPEN + 1
    assert now < after.until_ms <= now + 1 + LONGEST_WAIT_MS
    longest = Breaker(30, now + LONGEST_WAIT_MS)
    assert after_attempt(longest, DOWN, now - 30_000, now) is longest, "it began before"
