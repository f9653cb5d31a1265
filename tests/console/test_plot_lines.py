"""Plots as lines: always as wide as was asked for, never a bar that says the wrong thing."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hooktui.console.formatting import took
from hooktui.console.glyphs import ASCII, UNICODE, Glyphs
from hooktui.console.widgets.plot import (
    GUTTER,
    Axis,
    Plot,
    axis_line,
    column_of,
    in_columns,
    plot_lines,
    round_top,
    step_at,
)
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.clock import from_rfc3339

HOUR_MS = 3_600_000
VALUES = st.lists(st.none() | st.floats(0, 1e12, allow_nan=False), min_size=1, max_size=200)
WIDTHS = st.integers(GUTTER + 1, 250)


def text(pieces: StyledLine) -> str:
    return "".join(piece for piece, _ in pieces)


def drawn(plot: Plot, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[str]:
    return [text(line) for line in plot_lines(plot, width, height, glyphs)]


def bars_of(values: list[float | None], height: int = 4) -> list[str]:
    """Return one column of glyphs for each value, from the top down."""
    lines = drawn(Plot((), values, took), GUTTER + len(values), height)
    return ["".join(line[GUTTER + at] for line in lines) for at in range(len(values))]


# Red when a long label, a value without a bound or a rounded column makes a line wider.
@given(VALUES, VALUES, WIDTHS, st.integers(1, 12), st.sampled_from([UNICODE, ASCII]))
def test_lines_are_exactly_as_wide_and_as_many_as_asked_for(solid, total, width, height, glyphs):
    total = (total * len(solid))[: len(solid)]
    lines = drawn(Plot((), solid, took, total=total), width, height, glyphs)
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}
    assert not any("nan" in line or "inf" in line for line in lines)


# Red when bars are rounded down (a small value vanishes) or measured from the wrong end.
@given(VALUES)
def test_a_larger_value_never_has_a_lower_bar_and_one_above_nothing_has_one(values):
    columns = bars_of(values)
    heights = [sum(UNICODE.bars.index(sign) for sign in column) for column in columns]
    known = sorted((value or 0, height) for value, height in zip(values, heights, strict=True))
    assert [height for _, height in known] == sorted(height for _, height in known)
    assert all((height > 0) == (value > 0) for value, height in known)


@given(st.floats(0, 1e15, allow_nan=False))
def test_a_scale_ends_at_a_round_number_that_nothing_exceeds(value):
    top = round_top(value)
    assert top >= value
    assert top <= max(2 * value, 1)
    assert round_top(top) == top


def test_whole_numbers_have_a_whole_scale():
    assert [round_top(n) for n in (0, 1, 2, 7, 9, 11, 62, 101)] == [1, 1, 2, 8, 10, 15, 80, 150]


# Red when columns are averaged: one failure among 143 quiet steps could not be seen.
@given(VALUES, st.integers(1, 250))
def test_the_highest_step_is_seen_however_few_columns_there_are(values, width):
    known = [value for value in values if value is not None]
    columns = [value for value in in_columns(values, width) if value is not None]
    assert max(columns, default=None) == max(known, default=None)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_a_step_stands_in_the_column_that_shows_it(steps, width, data):
    step = data.draw(st.integers(0, steps - 1))
    column = column_of(step, width, steps)
    assert 0 <= column < width
    after = max(step_at(column + 1, width, steps), step_at(column, width, steps) + 1)
    assert step_at(column, width, steps) <= step < after


@pytest.mark.parametrize(
    ("glyphs", "lines"),
    [
        (UNICODE, ["     10 ░  ", "      0 █░▁"]),
        (ASCII, ["     10 |  ", "      0 @|."]),
    ],
)
def test_what_stands_out_is_solid_and_the_rest_is_shaded_without_any_colour(glyphs, lines):
    plot = Plot((), [5, 0, 0.1], lambda value: f"{value:g}", "bad", total=[10, 5, 0.1])
    assert drawn(plot, GUTTER + 3, 2, glyphs) == lines


def test_a_scale_in_decades_names_them_and_draws_the_ends_of_bars_alone():
    plot = Plot((), [100, 1000, 20_000], took, in_decades=True)
    assert drawn(plot, GUTTER + 3, 4) == [
        "    20s   █",
        "   1.0s  ▇ ",
        "  100ms ▇  ",
        "    1ms    ",
    ]


@given(VALUES, WIDTHS, st.integers(1, 12))
def test_decades_keep_the_order_too(values, width, height):
    plot = Plot((), values, took, in_decades=True)
    assert {cell_len(line) for line in drawn(plot, width, height)} == {width}
    shares = [plot.share(value or 0) for value in sorted(value or 0 for value in values)]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 + 1e-9 for share in shares)


def test_where_nothing_is_known_nothing_is_drawn():
    assert bars_of([None, 0, 3]) == ["    ", "    ", bars_of([3])[0]]


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/New_York"])
def zone(request, monkeypatch):
    yield from in_zone(request.param, monkeypatch)


@pytest.fixture
def berlin(monkeypatch):
    yield from in_zone("Europe/Berlin", monkeypatch)


def in_zone(name, monkeypatch):
    monkeypatch.setenv("TZ", name)
    time.tzset()
    yield name
    monkeypatch.undo()
    time.tzset()


# Red when ticks are round in UTC only: in half-hour zones the axis said 21:30, 00:30, 03:30.
def test_the_times_below_are_round_on_the_admins_clock(zone):
    axis = Axis(1_795_608_000_000 - 24 * HOUR_MS, 600_000, 144)
    line = text(axis_line(axis, 80, UNICODE))
    assert "┴12:00" in line
    assert "┴18:00" in line
    assert ":30" not in line


# Red when all days begin at the offset of the first: the axis said Sun 25, Sun 25, Mon 26.
@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("begin", "labels"),
    [
        ("2026-10-23T10:00:00Z", ["Sat 24", "Sun 25", "Mon 26", "Tue 27"]),
        ("2027-03-26T10:00:00Z", ["Sat 27", "Sun 28", "Mon 29", "Tue 30"]),
    ],
)
def test_each_day_is_named_once_when_the_clocks_are_changed(begin, labels):
    line = text(axis_line(Axis(from_rfc3339(begin), HOUR_MS, 5 * 24), GUTTER + 60, UNICODE))
    assert re.findall(r"┴(\w+ \d+)", line) == labels


@given(WIDTHS, st.sampled_from([1, 24, 168, 744]), st.integers(0, 10**6), st.integers(-5, 260))
def test_the_axis_is_as_wide_as_the_bars_whatever_the_time(width, hours, later, mark):
    step_ms = hours * HOUR_MS // 12
    axis = Axis(1_795_608_000_000 + later * 1000, step_ms, 12)
    for glyphs in (UNICODE, ASCII):
        line = text(axis_line(axis, width, glyphs, mark))
        assert cell_len(line) == width
        if 0 <= mark < width - GUTTER:
            assert line[GUTTER + mark] == glyphs.up


def test_labels_never_run_into_one_another():
    for width in range(20, 240):
        for hours in (1, 6, 24, 168, 744):
            axis = Axis(1_795_608_000_000, hours * HOUR_MS // 12, 12)
            line = text(axis_line(axis, width, UNICODE))
            labels = [part for part in line[GUTTER:].split("┴")[1:] if part]
            assert all(part[-1] == "─" for part in labels[:-1]), line
