"""The limit of a hook over time."""

from __future__ import annotations

from hooktui.domain.limit_history import MAX_STEPS, STEP_MS, LimitHistory

NOON_MS = 6_000_000 * STEP_MS


def test_each_step_has_its_lowest_and_highest_limit() -> None:
    history = LimitHistory(NOON_MS + 1, 10)
    for at_ms, limit in ((2, 20), (3, 40), (4, 12), (2 * STEP_MS, 24)):
        history.change(NOON_MS + at_ms, limit)
    steps = [history.between(NOON_MS + n * STEP_MS, NOON_MS + (n + 1) * STEP_MS) for n in range(4)]
    assert steps == [(10, 40), (12, 12), (12, 24), (24, 24)]
    assert history.between(NOON_MS, NOON_MS + 12 * STEP_MS) == (10, 40)
    assert history.limit == 24


# Red when the first limit is shown for the time before it was known.
def test_nothing_is_known_of_the_time_before() -> None:
    history = LimitHistory(NOON_MS + 1, 10)
    assert history.since_ms == NOON_MS + 1
    assert history.between(NOON_MS - STEP_MS, NOON_MS) is None
    assert history.between(NOON_MS - 11 * STEP_MS, NOON_MS + STEP_MS) == (10, 10)


# Red when every change is kept: a limit may change a hundred times a second.
def test_a_bounded_number_of_steps_is_kept() -> None:
    history = LimitHistory(NOON_MS, 10)
    for step in range(MAX_STEPS + 10):
        for limit in (5, 30 + step % 3, 20):
            history.change(NOON_MS + step * STEP_MS, limit)
    assert len(history._steps) == len(history._lowest) == MAX_STEPS
    oldest_ms = NOON_MS + 10 * STEP_MS
    assert history.since_ms == oldest_ms
    assert history.between(oldest_ms - STEP_MS, oldest_ms) is None
    assert history.between(oldest_ms, oldest_ms + STEP_MS) == (5, 31)


def test_a_clock_that_was_set_back_changes_the_latest_step() -> None:
    history = LimitHistory(NOON_MS, 10)
    history.change(NOON_MS - 50 * STEP_MS, 7)
    assert history.between(NOON_MS, NOON_MS + STEP_MS) == (7, 10)
