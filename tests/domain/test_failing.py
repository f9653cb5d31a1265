import pytest

from hooktui.domain.hook_failures import RULE_MS, FailureStreak, spread_across_days


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
