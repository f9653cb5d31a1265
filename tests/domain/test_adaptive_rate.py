"""The share of 429 responses that come at any rate."""

from __future__ import annotations

import pytest

from hooktui.domain.adaptive_rate import AdaptiveRate
from tests.domain.simulated_receivers import Receivers, simulate, simulate_senders


# Red without a trial: 3 % of 429 at random left 1.3 a second of 1,280.
@pytest.mark.parametrize("share", [0.01, 0.03, 0.09])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_share_of_429_at_any_rate_does_not_stop_a_receiver(share: float, seed: int):
    outcome = simulate(Receivers(seed).refusing(share, 0.2), 600, cap=64)
    assert outcome.per_s(400, 600) > 0.5 * (1 - share) * 64 / 0.2
    assert outcome.refusals(400, 600) < 1.5 * share * outcome.per_s(400, 600) * 200


# Red when a trial begins at the third 429: senders tolerate what the others cause.
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("per_s", [20, 50, 100])
@pytest.mark.parametrize("senders", [2, 8])
def test_senders_that_share_a_limit_do_not_overload_it(senders: int, per_s: int, seed: int):
    receiver = Receivers().rate_limited(per_s)
    shares = simulate_senders(receiver, senders, 300, 3 * per_s / senders, seed)
    taken, refused = (
        sum(each) for each in zip(*((s.taken, s.refused) for s in shares), strict=True)
    )
    assert taken > 0.9 * per_s * 240
    assert refused < 0.05 * taken


# Red when the refusals of an exhausted limit are tolerated: 429 for half of the requests.
@pytest.mark.parametrize("later_per_s", [20, 50, 90])
def test_a_lower_limit_is_found_and_not_tolerated(later_per_s: int):
    receivers = Receivers()
    receiver = receivers.changing(
        receivers.rate_limited(100), 60, receivers.rate_limited(later_per_s)
    )
    outcome = simulate(receiver, 300)
    assert outcome.limit.rate.tolerated == 0
    assert outcome.per_s(120, 300) > 0.9 * later_per_s
    assert outcome.refusals(120, 300) < 0.05 * later_per_s * 180


# Red when a tolerated share excuses every 429 that comes later.
def test_a_limit_is_found_beside_a_tolerated_share():
    receivers = Receivers(3)
    receiver = receivers.changing(receivers.refusing(0.03, 0.2), 200, receivers.rate_limited(50))
    assert simulate(receiver, 200).limit.rate.tolerated > 0
    outcome = simulate(receiver, 400)
    assert outcome.limit.rate.tolerated < 0.03
    assert outcome.per_s(260, 400) > 0.8 * 50
    assert outcome.refusals(260, 400) < 0.1 * 50 * 140


# Red when what is tolerated never falls again.
def test_the_tolerated_share_of_429_follows_downward():
    receivers = Receivers(3)
    receiver = receivers.changing(receivers.refusing(0.1, 0.2), 200, receivers.steady(0.2))
    assert simulate(receiver, 200).limit.rate.tolerated == pytest.approx(0.1, abs=0.03)
    assert simulate(receiver, 260).limit.rate.tolerated < 0.01


def tolerant() -> AdaptiveRate:
    """Return a rate that tolerates 3 % of 429."""
    return simulate(Receivers(3).refusing(0.03, 0.2), 200).limit.rate


def test_a_tolerated_429_stops_no_starts_but_its_retry_after_does():
    rate = tolerant()
    assert rate.tolerated > 0
    rate.accepted(1_000.0, 1_000)
    before = rate.per_s, rate.closed_until_s
    rate.refused(1_000.0, 999.9, 0.1, None)
    assert (rate.per_s, rate.closed_until_s) == before
    rate.refused(1_000.0, 999.9, 0.1, 7.0)
    assert rate.closed_until_s == 1_007.0
    rate.reopen(1_007.0)
    assert rate.per_s == before[0]
