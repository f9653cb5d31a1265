"""The adaptive limit against simulated receivers; the figures are those of the documentation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooktui.domain.adaptive_limit import FIRST_LIMIT, AdaptiveLimit
from hooktui.domain.deliveries import ErrorClass, Exchange
from hooktui.domain.observation import (
    Observation,
    Signal,
    observation_of,
    shows_overload,
    signal_of,
)
from tests.domain.simulated_receivers import (
    BUSY,
    TAKEN,
    Holds,
    Receivers,
    simulate,
    simulate_hooks,
)


@pytest.mark.parametrize(
    ("exchange", "signal"),
    [
        (Exchange(status_code=200), Signal.KEEPS_UP),
        (Exchange(status_code=404, error=ErrorClass.STATUS), Signal.KEEPS_UP),
        (Exchange(status_code=500, error=ErrorClass.STATUS), Signal.KEEPS_UP),
        (Exchange(status_code=302, error=ErrorClass.REDIRECT), Signal.KEEPS_UP),
        (Exchange(status_code=429, error=ErrorClass.STATUS), Signal.RATE_LIMITED),
        (Exchange(status_code=502, error=ErrorClass.STATUS), Signal.OVERLOADED),
        (Exchange(status_code=503, error=ErrorClass.STATUS), Signal.OVERLOADED),
        (Exchange(status_code=504, error=ErrorClass.STATUS), Signal.OVERLOADED),
        (Exchange(error=ErrorClass.TIMEOUT), Signal.OVERLOADED),
        (Exchange(error=ErrorClass.RESET), Signal.OVERLOADED),
        (Exchange(error=ErrorClass.CONNECT_REFUSED), Signal.OVERLOADED),
        (Exchange(error=ErrorClass.CONNECT_TIMEOUT), Signal.OVERLOADED),
        (Exchange(error=ErrorClass.DNS), None),
        (Exchange(error=ErrorClass.TLS_CERTIFICATE), None),
        (Exchange(error=ErrorClass.ADDRESS_REFUSED), None),
        (Exchange(error=ErrorClass.INTERRUPTED), None),
    ],
)
def test_an_exchange_shows_overload_a_rate_or_nothing(exchange: Exchange, signal: Signal | None):
    assert signal_of(exchange) is signal
    assert shows_overload(exchange) is (signal in (Signal.OVERLOADED, Signal.RATE_LIMITED))


# Red when the time of a new connection counts as the receiver's.
def test_the_latency_is_that_of_the_first_byte():
    exchange = Exchange(status_code=200, first_byte_ms=20.0, connect_ms=400.0)
    observed = observation_of(exchange, 1.0, 1.5, None)
    assert observed == Observation(Signal.KEEPS_UP, 1.0, 1.5, 0.02)
    held = observation_of(exchange, 1.0, 1.5, None, 0.4)
    assert held == Observation(Signal.KEEPS_UP, 1.0, 1.5, 0.02, held_s=0.4)


# Red when a receiver that breaks off its 200 cut the limit as one that "responded 200".
def test_an_overload_without_a_complete_response_is_its_error():
    exchange = Exchange(status_code=200, error=ErrorClass.RESET)
    observed = observation_of(exchange, 1.0, 1.5, None)
    assert observed is not None
    assert observed.cause == "reset"


def test_it_starts_at_10_and_keeps_to_its_cap():
    assert AdaptiveLimit().limit == FIRST_LIMIT == 10
    assert AdaptiveLimit(cap=4).limit == 4


# Red when the limit does not double: 200/s at 10.
def test_a_distant_receiver_gets_as_many_as_it_takes():
    outcome = simulate(Receivers().steady(0.05), 20)
    assert outcome.limit.limit == 256
    assert outcome.per_s(5, 20) > 0.95 * 256 / 0.05


def test_without_a_backlog_the_limit_does_not_grow():
    outcome = simulate(Receivers().steady(0.05), 30, arrivals_per_s=50)
    assert max(outcome.limits) == FIRST_LIMIT


# Red with a step of 1, 2, 4 below the ceiling, or one every 5 s at it: 1.3 % refused, 0.79 used.
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("refusal_s", [None, 0.002], ids=["slow refusals", "fast refusals"])
def test_a_receiver_that_takes_20_is_used_and_hardly_refuses(seed: int, refusal_s: float | None):
    outcome = simulate(Receivers(seed).capped(20, 0.05, refusal_s), 60)
    assert outcome.per_s(0, 60) > 0.85 * 400
    assert outcome.refusals(0, 5) <= 120
    assert outcome.refusals(5, 60) < 0.005 * outcome.per_s(5, 60) * 55


# Red when every cut lowers the limit: 18/s, at a limit of 1.
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.02, 0.05])
def test_a_share_that_fails_at_any_pace_is_tolerated(share: float, seed: int):
    outcome = simulate(Receivers(seed).poisoned(share, 0.05), 30, cap=64)
    assert outcome.per_s(10, 30) > 0.8 * 64 / 0.05
    assert outcome.limit.tolerated <= 2 * share + 0.01


def with_trial(*causes: str) -> AdaptiveLimit:
    """Return a limit that tolerates every tenth response; the overloads have these causes."""
    limit, now = AdaptiveLimit(), 0.0
    for event in range(1_000):
        now += 0.01
        limit.began(now, 1)
        overload = event % 10 == 9
        cause = causes[event // 10 % len(causes)] if overload else ""
        observed = Observation(BUSY if overload else TAKEN, now, now + 0.005, 0.005, cause)
        limit.ended(observed, in_flight=1, saturated=True)
    return limit


# Red when only a fifth may be tolerated: 7 a second.
@pytest.mark.parametrize("share", [0.25, 0.33])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_receiver_of_which_a_server_is_down_is_not_left_to_one_attempt(share: float, seed: int):
    outcome = simulate(Receivers(seed).poisoned(share, 0.1), 60, cap=64)
    assert outcome.per_s(20, 60) > 50


# Red when the large share is tolerated with any limit: the receiver is overloaded once more.
@pytest.mark.parametrize("seed", range(1, 7))
def test_a_receiver_that_refuses_half_for_a_moment_is_spared(seed: int):
    receivers = Receivers(seed)
    steady = receivers.steady(0.1)
    receiver = receivers.changing(
        receivers.changing(steady, 10, receivers.poisoned(0.5, 0.1)), 13, steady
    )
    outcome = simulate(receiver, 30, cap=64)
    assert outcome.refusals(10, 14) < 450
    assert outcome.per_s(18, 30) > 90


# Red when the limit grows again during a trial: each hook tolerates the overloads that all of them
# cause, and 15 to 20 % are refused.
@pytest.mark.parametrize(("hooks", "cap"), [(4, 20), (4, 60), (8, 60)])
@pytest.mark.parametrize("seed", [1, 2])
def test_hooks_that_share_a_receiver_do_not_overload_it(hooks: int, cap: int, seed: int):
    taken, refused = simulate_hooks(Receivers(seed).capped(cap, 0.3, 0.005), hooks, 240)
    assert taken > 0.85 * cap / 0.3 * 180
    assert refused < 0.06 * taken


def test_the_tolerated_share_names_its_response():
    limit = with_trial("503")
    assert (limit.tolerated, limit.tolerated_cause) == (pytest.approx(0.1, abs=0.05), "503")


# Red when the response of the cut stands for all of them.
def test_a_tolerated_share_of_several_responses_names_none():
    limit = with_trial("503", "timeout")
    assert (limit.tolerated, limit.tolerated_cause) == (pytest.approx(0.1, abs=0.05), "")


# Red when what is tolerated never falls again.
def test_the_tolerated_share_follows_downward():
    receivers = Receivers()
    poisoned_first = receivers.changing(receivers.poisoned(0.05, 0.05), 20, receivers.steady(0.05))
    outcome = simulate(poisoned_first, 30, cap=64)
    assert outcome.limit.tolerated < 0.001


# Red with classic multiplicative decrease and additive increase: 128/s a minute later.
def test_a_short_deployment_is_forgotten_within_seconds():
    receivers = Receivers()
    refusing = receivers.poisoned(0.5, 0.05, refusal_s=0.001)
    deployed = receivers.changing(
        receivers.changing(receivers.steady(0.05), 20, refusing), 23, receivers.steady(0.05)
    )
    outcome = simulate(deployed, 60, cap=64)
    assert outcome.per_s(38, 40) > 0.8 * outcome.per_s(10, 20)
    assert outcome.per_s(55, 60) > 0.9 * outcome.per_s(10, 20)


# Red when a response time that no lower limit shortens keeps the limit from growing.
def test_a_receiver_that_is_slow_from_now_on_is_used_all_the_same():
    receivers = Receivers()
    fast_then_refusing = receivers.changing(
        receivers.steady(0.001), 0.5, receivers.poisoned(0.5, 0.001)
    )
    outcome = simulate(receivers.changing(fast_then_refusing, 1, receivers.steady(0.05)), 30, 64)
    assert outcome.per_s(20, 30) > 0.9 * 64 / 0.05


def test_a_receiver_that_grows_and_shrinks_is_followed():
    receivers = Receivers()
    growing = receivers.changing(receivers.capped(20, 0.05), 40, receivers.capped(200, 0.05))
    outcome = simulate(growing, 100)
    assert outcome.per_s(90, 100) > 0.8 * 4_000
    receivers = Receivers(3)
    shrinking = receivers.changing(receivers.capped(200, 0.05), 20, receivers.capped(20, 0.05))
    outcome = simulate(shrinking, 60)
    assert outcome.per_s(30, 60) > 0.8 * 400


# Red when a limit may grow that only makes responses slower: 256 at once at one worker.
def test_one_worker_is_kept_busy_and_not_drowned():
    outcome = simulate(Receivers().workers(1, 0.01), 600)
    assert outcome.per_s(300, 600) > 0.95 * 100
    assert outcome.most <= 20
    assert outcome.limit.limit <= 20


def test_a_receiver_that_slows_down_by_itself_keeps_its_limit():
    receivers = Receivers()
    outcome = simulate(receivers.changing(receivers.steady(0.05), 20, receivers.steady(0.4)), 120)
    assert outcome.per_s(60, 120) > 0.8 * 640


# Red when late windows are assessed: 34, 36 and 21 at once.
@pytest.mark.parametrize(
    ("work_s", "holds"),
    [(0.02, Holds(2, 1, 20)), (0.02, Holds(1, 0.5, 20)), (0.1, Holds(5, 2, 20))],
)
def test_a_blocked_event_loop_does_not_cut_the_limit(work_s: float, holds: Holds):
    blocked = simulate(Receivers().workers(20, work_s), 50, 128, holds=holds)
    free = simulate(Receivers().workers(20, work_s), 50, 128)
    assert min(blocked.limits[20:]) >= min(free.limits[20:])


# Red when a late window is left out however many there were: the limit stays at 10.
def test_an_event_loop_that_is_always_late_does_not_stop_the_growth():
    outcome = simulate(Receivers().steady(0.005), 20, 64, holds=Holds(0.02, 0.015))
    assert outcome.limit.limit == 64


@pytest.mark.parametrize("per_s", [1, 5, 50])
def test_a_receiver_that_responds_429_gets_its_rate(per_s: int):
    outcome = simulate(Receivers().rate_limited(per_s), 300)
    assert outcome.per_s(60, 300) > 0.7 * per_s
    assert outcome.refusals(60, 300) < 0.2 * outcome.per_s(60, 300) * 240


# Red when the first rate, one of ten at once, grows by 5 % every ten seconds: 0.02 of the rate in
# the first minute; and when two start at once: 0.4 of it later.
@pytest.mark.parametrize("per_s", [5, 50, 200])
def test_a_receiver_that_spaces_requests_gets_its_rate(per_s: int):
    outcome = simulate(Receivers().spaced(per_s), 300)
    assert outcome.per_s(0, 60) > 0.6 * per_s
    assert outcome.per_s(60, 300) > 0.7 * per_s
    assert outcome.refusals(60, 300) < 20


# Red when what an idle hook was accepted is taken for what its receiver takes: 0.2 a second.
def test_a_429_after_idle_time_does_not_stop_a_receiver_for_minutes():
    receiver = Receivers().spaced(50)
    limit = simulate(receiver, 60).limit
    rate, now = limit.rate, 10_000.0
    rate.refused(now, now, 0.01, None)
    rate.reopen(rate.closed_until_s)
    now = rate.closed_until_s
    for _ in range(400):
        now += 1 / rate.per_s
        rate.accepted(now, 1)
        if rate.per_s > 40:
            break
    assert now < 10_000 + 30


def test_a_limit_that_nobody_uses_shrinks():
    limit = simulate(Receivers().steady(0.05), 10).limit
    assert limit.limit == 256
    now = 10.0
    for _ in range(600):
        now += 1
        limit.began(now, 1)
        observed = Observation(TAKEN, now, now + 0.05, 0.05)
        limit.ended(observed, in_flight=1, saturated=False)
    assert limit.limit == FIRST_LIMIT


# Red when the halving "down to 10" raises a limit that overloads have cut to less.
def test_a_limit_below_the_first_one_does_not_grow_unused():
    limit = AdaptiveLimit()
    now = 0.0
    for signal, in_flight in [(BUSY, 5)] * 2 + [(TAKEN, 1)] * 300:
        now += 1
        limit.began(now, in_flight)
        observed = Observation(signal, now, now + 0.05, 0.05, "503")
        limit.ended(observed, in_flight=in_flight, saturated=False)
        if signal is BUSY:
            cut = limit.limit
    assert limit.limit == cut < FIRST_LIMIT
    assert limit.last_cut is not None


def test_attempts_that_began_before_the_url_changed_do_not_count():
    limit = AdaptiveLimit(since_s=10.0)
    for signal in (BUSY, Signal.RATE_LIMITED):
        for _ in range(20):
            limit.ended(Observation(signal, 9.0, 11.0, 0.05), in_flight=10, saturated=True)
    assert limit.limit == FIRST_LIMIT
    assert limit.rate.closed_until_s == 0


# Red when a dead receiver keeps a limit above 1: its failures never open the breaker.
def test_a_receiver_that_dies_is_at_1_within_fifteen_attempts():
    limit = simulate(Receivers().steady(0.05), 10).limit
    now = 1_000.0
    for _ in range(15):
        now += 60
        limit.began(now, 1)
        observed = Observation(BUSY, now, now + 0.05, 0.05, "503")
        limit.ended(observed, in_flight=1, saturated=False)
    assert limit.limit == 1


# Red when each response time of a window is kept: 20 ms of the event loop to find their median.
def test_a_window_keeps_a_bounded_number_of_response_times():
    limit, now = AdaptiveLimit(), 0.0
    for _ in range(50):  # the median is nine seconds, so that the next window lasts ten
        limit.began(now, 1)
        now += 9
        limit.ended(Observation(TAKEN, now - 9, now, 9.0), in_flight=1, saturated=True)
    for _ in range(20_000):
        now += 0.0001
        limit.began(now, 2)
        limit.ended(Observation(TAKEN, now, now, 0.0001), in_flight=2, saturated=True)
    assert len(limit._window.latencies) <= 1_000


# Red when successes that come just after an observation do not count: one refusal of hundreds of
# responses would be one of eleven.
def test_successes_that_come_together_all_count():
    limit, now = AdaptiveLimit(), 10.0
    for _ in range(10):
        now += 0.01
        limit.ended(Observation(TAKEN, now, now, 0.002), in_flight=100, saturated=True)
        joined = [
            limit.count_with_last(now, now + 0.000_01 * number, 0.002) for number in range(98)
        ]
        assert all(joined)
    refusal = Observation(BUSY, now, now + 0.002, 0.002, "503")
    limit.ended(refusal, in_flight=100, saturated=True)
    assert limit._share.value < 0.005


def test_no_success_joins_an_observation_of_long_ago_or_an_overload():
    limit = AdaptiveLimit()
    limit.began(10.0, 1)
    limit.ended(Observation(TAKEN, 10.0, 11.0, 1.0), in_flight=1, saturated=True)
    assert limit.count_with_last(11.0, 11.0005, 0.1)
    assert not limit.count_with_last(9.9, 11.0005, 0.1)  # it began before the window
    assert not limit.count_with_last(11.0, 11.002, 0.1)
    limit.ended(Observation(BUSY, 11.0, 11.001, 0.001, "503"), in_flight=9, saturated=True)
    assert not limit.count_with_last(11.0, 11.0015, 0.1)


# Red when it counts in the window: it shows the limit before.
def test_a_success_from_before_the_window_joins_without_counting_in_it():
    limit = AdaptiveLimit()
    for number in range(50):
        limit.ended(Observation(TAKEN, number, number + 0.1, 0.1), in_flight=1, saturated=True)
    limit.began(100.0, 1)  # after a pause: another window
    window = limit._window
    assert window.started_s == 100.0
    limit.ended(Observation(TAKEN, 100.0, 100.15, 0.15), in_flight=1, saturated=True)
    assert limit.count_with_last(99.9, 100.1502, 0.25)
    assert (limit._joined, window.responses, window.latencies) == (1, 1, [0.15])


# Red when a joined success leaves the time of the last response as it was: each start then looks
# idle and begins another window, so that a receiver faster than a millisecond stays at 1; and when
# a claim between two attempts counts as idle.
@pytest.mark.parametrize(
    ("took_s", "gap_s"), [(0.0003, 0.0002), (0.0005, 0.0003), (0.0006, 0.0001), (0.002, 0.004)]
)
def test_a_fast_receiver_that_was_down_leaves_the_limit_of_1(took_s: float, gap_s: float):
    def down_at_the_end(now: float, at: int, event: int) -> tuple[float, Signal]:
        return took_s, BUSY if now > 9.5 else TAKEN

    limit, now = simulate(down_at_the_end, 10).limit, 10.0
    assert limit.limit == 1
    while limit.limit == 1 and now < 12:
        limit.began(now, 1)
        now += took_s
        if not limit.count_with_last(now - took_s, now, took_s):
            observed = Observation(TAKEN, now - took_s, now, took_s)
            limit.ended(observed, in_flight=1, saturated=True)
        now += gap_s
    assert limit.limit > 1


def burst(limit: AdaptiveLimit, at_s: float, *signals: Signal) -> None:
    """End attempts of 50 ms with some signals, all within a millisecond."""
    for number in range(len(signals)):
        limit.began(at_s - 0.05, number + 1)
    for number, signal in enumerate(signals):
        now = at_s + number * 0.000_02
        if signal is TAKEN and limit.count_with_last(at_s - 0.05, now, 0.05):
            continue
        observed = Observation(signal, at_s - 0.05, now, 0.05, "503")
        limit.ended(observed, in_flight=len(signals) - number, saturated=False)


# Red when successes count at the time of the next observation: they were an hour ago.
def test_old_successes_do_not_hold_up_a_cut():
    limit = AdaptiveLimit()
    for second in range(60):
        burst(limit, 100.0 + second, *[TAKEN] * 10)
    burst(limit, 4_000.0, *[BUSY] * 10)
    assert limit.limit == 1


# Red when successes just after a 429 wait for the next observation: the first rate is 0.5 a second.
def test_what_is_accepted_beside_a_429_counts_for_the_rate():
    limit = AdaptiveLimit()
    burst(limit, 100.0, Signal.RATE_LIMITED, *[TAKEN] * 9)
    limit.rate.reopen(limit.rate.closed_until_s)
    assert limit.rate.per_s == pytest.approx(9)


# Red when a success at the old URL joins a first response of the new one.
def test_no_attempt_at_an_old_url_joins():
    limit = AdaptiveLimit(since_s=100.0)
    refused = Observation(Signal.RATE_LIMITED, 100.0, 100.05, 0.05, retry_after_s=None)
    limit.ended(refused, in_flight=2, saturated=True)
    limit.rate.closed_until_s = 0.0
    assert not limit.count_with_last(99.0, 100.0505, 0.1)


def test_a_cut_says_what_caused_it():
    outcome = simulate(Receivers().capped(20, 0.05), 60)
    cut = outcome.limit.last_cut
    assert cut is not None
    assert (cut.cause, cut.in_flight) == ("503", pytest.approx(21, abs=1))


MAX = 64
RECEIVERS = st.one_of(
    st.tuples(st.just("steady"), st.sampled_from([0.05, 0.2])),
    st.tuples(st.just("capped"), st.integers(5, 60), st.sampled_from([0.05, 0.2])),
    st.tuples(st.just("poisoned"), st.sampled_from([0.01, 0.03]), st.sampled_from([0.05, 0.2])),
    st.tuples(st.just("workers"), st.integers(2, 40), st.sampled_from([0.04, 0.1])),
)


def capacity(kind: str, *values: float) -> float:
    """Return what a receiver takes a second."""
    if kind in ("steady", "poisoned"):
        return MAX / values[-1]
    return values[0] / values[1]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(first=RECEIVERS, then=RECEIVERS, seed=st.integers(0, 3))
def test_whatever_a_receiver_was_it_is_used_a_minute_later(first: tuple, then: tuple, seed: int):
    receivers = Receivers(seed)
    make = {
        "steady": receivers.steady,
        "capped": receivers.capped,
        "poisoned": receivers.poisoned,
        "workers": receivers.workers,
    }
    receiver = receivers.changing(make[first[0]](*first[1:]), 10, make[then[0]](*then[1:]))
    outcome = simulate(receiver, 75, MAX)
    assert all(1 <= limit <= MAX for limit in outcome.limits)
    assert outcome.per_s(65, 75) > 0.8 * capacity(*then)
