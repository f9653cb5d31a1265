"""Times and durations: the wire form, what people type, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooktui.domain.clock import (
    exact_duration,
    format_duration,
    from_rfc3339,
    now_ms,
    optional_rfc3339,
    parse_duration_s,
    parse_moment,
    to_rfc3339,
)

FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_575_845_678, "2026-11-25T03:04:05.678Z"),
        (1_795_575_845_007, "2026-11-25T03:04:05.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_the_wire_form_of_a_time(ms: int, text: str) -> None:
    assert to_rfc3339(ms) == text
    assert from_rfc3339(text) == ms


def test_a_time_may_be_absent() -> None:
    assert optional_rfc3339(None) is None
    assert optional_rfc3339(0) == to_rfc3339(0)


@given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
def test_times_read_back_and_sort_as_text(one: int, other: int) -> None:
    assert from_rfc3339(to_rfc3339(one)) == one
    assert (to_rfc3339(one) < to_rfc3339(other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    ["2026-11-25T03:04:05Z", "2026-11-25T05:04:05+02:00", "2026-11-24T22:34:05-04:30",
     "2026-11-25 03:04:05+00:00", "2026-11-25T03:04:05.0009Z"],
)  # fmt: skip
def test_offsets_and_fractions_are_understood(text: str) -> None:
    assert from_rfc3339(text) == 1_795_575_845_000


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-25T03:04:05", "2026-11-25", "2026-02-30T00:00:00Z", "1795",
     "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_rfc3339(text)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(from_rfc3339(text), int)
    except ValueError:
        assert text != "2026-11-25T03:04:05Z"


@given(st.integers())
@example(10**20)
def test_a_time_that_cannot_be_written_is_a_value_error(ms: int) -> None:
    try:
        assert from_rfc3339(to_rfc3339(ms)) == ms
    except ValueError:
        assert not FIRST <= ms <= LAST


@pytest.mark.parametrize(
    ("text", "ms"),
    [("10m", LAST - 600_000), ("2026-11-25t03:04:05z", 1_795_575_845_000), ("5s", LAST - 5_000)],
)
def test_a_moment_is_an_age_or_a_time(text: str, ms: int) -> None:
    assert parse_moment(text, LAST) == ms


# Red when `purge --older-than 30` deleted all events older than 30 seconds.
@pytest.mark.parametrize("text", ["", "soon", "9999999d", "999999999999w", "10 m", "30", "0"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text, 0)


def test_now_is_in_milliseconds() -> None:
    assert re.fullmatch(r"20\d\d-.*Z", to_rfc3339(now_ms()))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("1.5h", 5400), ("24h", 86400), ("7d", 604800), ("2w", 1209600),
     ("250ms", 0.25), ("45", 45), ("0", 0), (".5s", 0.5), ("5.", 5)],
)  # fmt: skip
def test_a_duration_as_people_type_it(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "s", "m10", "10x", "10 m", " 10m", "-5s", "+5s", "1e5", "1_000", "1h30m", "1.2.3", ".",
     "nan", "inf", "10M", "\u0661s", "9" * 400, "1000000000000"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 30s, 10m, 24h or 7d"):
        parse_duration_s(text)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert parse_duration_s(text) >= 0
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017 - either end is right


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.25, "250ms"), (5, "5s"), (59.6, "1m"), (1800, "30m"), (5400, "1h 30m"),
     (7200, "2h"), (3601, "1h 1s"), (270000, "3d 3h"), (86400, "1d")],
)  # fmt: skip
def test_a_duration_as_people_read_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(1, 10**9))
def test_what_is_read_is_close_to_what_was_meant(seconds: int) -> None:
    parts = format_duration(seconds).split()
    shown = sum(parse_duration_s(part) for part in parts)
    assert shown <= seconds
    assert seconds - shown < (1 if seconds < 3600 else 60 if seconds < 86400 else 3600)


# Red when six digits are shown: a form read another value back, or none.
@pytest.mark.parametrize("seconds", [0.00001, 0.25, 12.3456789, 5400.0, 86400.25, 604799.5])
def test_an_exact_duration_is_read_back_as_it_was(seconds: float):
    assert parse_duration_s(exact_duration(seconds)) == seconds
