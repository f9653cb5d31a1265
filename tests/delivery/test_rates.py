from hooktui.domain.rates import ThroughputMeter
from tests.support.clocks import Clock


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
