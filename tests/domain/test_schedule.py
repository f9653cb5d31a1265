"""The retry schedule: the contract's numbers, jitter, and `Retry-After`."""

from __future__ import annotations

import os
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.schedule import (
    DEFAULT_SCHEDULE_S,
    MAX_ENTRIES,
    check_schedule,
    parse_retry_after_s,
    parse_schedule,
    wait_before_next_s,
)

NOW_MS = 1_795_575_845_000
CHANCES = st.floats(0, 1)
WAITS = st.floats(0.001, 7 * 86400)


def test_the_default_schedule_is_ten_attempts_in_75_hours() -> None:
    assert parse_schedule("5s,5m,30m,2h,5h,10h,14h,20h,24h") == DEFAULT_SCHEDULE_S
    assert sum(DEFAULT_SCHEDULE_S) == 75 * 3600 + 35 * 60 + 5
    waits = [wait_before_next_s(DEFAULT_SCHEDULE_S, tries, 0.5, None) for tries in range(1, 11)]
    assert waits == [*map(pytest.approx, DEFAULT_SCHEDULE_S), None]


@given(st.lists(WAITS, min_size=1, max_size=10), st.integers(1, 12), CHANCES)
def test_jitter_is_ten_percent_and_the_schedule_ends(
    schedule: list[float], tries: int, chance: float
) -> None:
    wait = wait_before_next_s(schedule, tries, chance, None)
    if tries > len(schedule):
        assert wait is None
    else:
        assert wait is not None
        assert schedule[tries - 1] * 0.8999 <= wait <= schedule[tries - 1] * 1.1001


@given(st.lists(WAITS, min_size=1, max_size=3), CHANCES, st.integers(-5, 10**9))
def test_retry_after_never_makes_an_attempt_earlier(
    schedule: list[float], chance: float, retry_after: int
) -> None:
    plain = wait_before_next_s(schedule, 1, chance, None)
    asked = wait_before_next_s(schedule, 1, chance, retry_after)
    assert plain is not None
    assert asked is not None
    assert asked >= plain
    assert asked <= max(plain, 86400)
    assert asked >= min(retry_after, 86400)


def test_retry_after_gives_no_further_attempt() -> None:
    assert wait_before_next_s([5], 2, 0.5, retry_after_s=60) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 1),
        ("000", 1),
        ("0000000000120", 120),
        ("86401", 86400),
        ("9" * 5000, 86400),
        (formatdate(NOW_MS / 1000 + 90, usegmt=True), 90),
        (formatdate(NOW_MS / 1000 - 90, usegmt=True), 1),
        (formatdate(NOW_MS / 1000 + 10**6, usegmt=True), 86400),
        ("Wed, 25 Nov 2026 03:05:35 GMT", 90),
        ("Wednesday, 25-Nov-26 03:05:35 GMT", 90),
        ("Wed Nov 25 03:05:35 2026", 90),
        ("Wed, 25 Nov 2026 03:05:60 GMT", 115),
        ("Wednesday, 25-Nov-26 03:05:60 GMT", 115),
        ("Wed Nov 25 03:05:60 2026", 115),
    ],
)
def test_both_forms_of_retry_after_are_read_and_clamped(value: str, seconds: int) -> None:
    assert parse_retry_after_s(value, NOW_MS) == seconds


def test_a_date_without_zone_does_not_depend_on_the_servers_zone() -> None:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC-5"
    time.tzset()
    try:
        assert parse_retry_after_s("Wed Nov 25 03:05:35 2026", NOW_MS) == 90
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5", "1.5", "12x", "\u0661", "Wed, 99 Nov 2026", "Wed, 25 Nov 2026 03:05:61 GMT"],
)
def test_any_other_retry_after_is_ignored(value: str) -> None:
    assert parse_retry_after_s(value, NOW_MS) is None


@given(st.one_of(st.text(max_size=40), st.text("0123456789 :,-+GMTNovWed", max_size=40)))
def test_whatever_a_receiver_writes_the_wait_is_bounded(value: str) -> None:
    seconds = parse_retry_after_s(value, NOW_MS)
    assert seconds is None or 1 <= seconds <= 86400


@pytest.mark.parametrize(
    ("text", "schedule"),
    [("", ()), ("5s,5m,2h", (5, 300, 7200)), (" 1s , 2 ,", (1, 2)), ("250ms", (0.25,))],
)
def test_a_schedule_as_people_type_it(text: str, schedule: tuple[float, ...]) -> None:
    assert parse_schedule(text) == schedule


@pytest.mark.parametrize("text", ["5s;5m", "0s", "8d", "-5s", ",".join(["1s"] * 51), "soon"])
def test_a_bad_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|wait"):
        parse_schedule(text)


def test_what_is_wrong_with_a_schedule() -> None:
    assert check_schedule([]) is None
    assert check_schedule([1] * MAX_ENTRIES) is None
    assert "at most 50" in (check_schedule([1] * (MAX_ENTRIES + 1)) or "")
    assert "; 0s is not" in (check_schedule([0]) or "")
    assert "; 900d is not" in (check_schedule([900 * 86400.0]) or "")
    assert "nan" in (check_schedule([float("nan")]) or "")
