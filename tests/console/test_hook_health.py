"""What the plots of a hook are called, and how one step of them is told."""

from __future__ import annotations

import pytest

from hooktui.console.glyphs import ASCII, UNICODE
from hooktui.console.hooks.health import RANGES, axis_of, plots_of, range_line, step_words
from hooktui.console.widgets.styled import StyledLine
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.wire.hooks import HealthPoint, HookHealth
from tests.support.wire_objects import AT_MS, KEY

STEP_MS = 600_000
MIDNIGHT_MS = AT_MS - 12 * 3_600_000


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def point(at_ms: int = AT_MS, **fields: int | None) -> HealthPoint:
    numbers = {"delivered": 0, "failed": 0, "p50_ms": None, "p95_ms": None, "backlog": 0}
    return HealthPoint(at=to_rfc3339(at_ms), **(numbers | fields))  # type: ignore[arg-type]


def health(
    *points: HealthPoint, counted_since: str | None = None, limits_since: str | None = None
) -> HookHealth:
    return HookHealth(
        hook=12, since=points[0].at, until=to_rfc3339(AT_MS + 1), step_s=STEP_MS // 1000,
        points=points, types=(), counted_since=counted_since, limits_since=limits_since,
    )  # fmt: skip


def text(pieces: StyledLine) -> str:
    return "".join(piece for piece, _ in pieces)


def test_a_step_is_reported_with_its_clock_times_and_units():
    shown = health(point(delivered=31, failed=2, p50_ms=20, p95_ms=2000, backlog=3), point())
    words = text(step_words(shown, 0, AT_MS))
    assert words == " 12:00 to 12:10  2 failed  31 delivered  p50 20ms  p95 2.0s  3 in the backlog"


def test_the_newest_step_is_not_over_and_one_of_another_day_says_which():
    shown = health(point(MIDNIGHT_MS - STEP_MS), point(backlog=None))
    assert text(step_words(shown, 0, AT_MS)).startswith(" Tue 23:50 to 00:00  no attempts")
    assert text(step_words(shown, 1, AT_MS)) == " 12:00 to now  no attempts"


# Red when the share is rounded: 1 of 1,000 failed, and 100 % would say that none did.
def test_nearly_all_is_not_called_all_and_only_failures_have_a_colour():
    failing = plots_of(health(point(delivered=999, failed=1)), AT_MS, UNICODE)[0]
    assert text(failing.title) == " attempts  █ 1 failed  ░ 999 delivered (99%)"
    assert ("█ 1 failed", "bad") in failing.title
    calm = plots_of(health(point(delivered=5)), AT_MS, ASCII)[0]
    assert text(calm.title) == " attempts  @ 0 failed  | 5 delivered (100%)"
    assert "bad" not in {tone for _, tone in calm.title}
    assert "(" not in text(plots_of(health(point()), AT_MS, UNICODE)[0].title)


def test_delivered_stands_on_failed_so_that_both_are_read_from_one_bar():
    attempts, duration, backlog = plots_of(
        health(point(delivered=3, failed=2, p50_ms=20, p95_ms=50, backlog=None)), AT_MS, UNICODE
    )
    assert (attempts.solid, attempts.total) == ([2], [5])
    assert (duration.solid, duration.total) == ([20], [50])
    assert backlog.solid == [None]


def test_a_backlog_that_is_known_for_a_part_says_so():
    at = to_rfc3339(AT_MS - 3_600_000)
    title = plots_of(health(point(), counted_since=at), AT_MS, UNICODE)[2].title
    assert "since 11:00:00" in text(title)


def test_a_limit_that_is_known_has_a_plot_that_says_since_when():
    point_ = point(limit_min=4, limit_max=24)
    assert len(plots_of(health(point_), AT_MS, UNICODE)) == 3
    shown = health(point_, point(), limits_since=to_rfc3339(AT_MS - 3_600_000))
    limit = plots_of(shown, AT_MS, UNICODE)[3]
    assert text(limit.title) == (" limit  █ lowest  ░ up to highest; not stored, since 11:00:00")
    assert (limit.solid, limit.total) == ([4, None], [24, None])
    assert text(step_words(shown, 0, AT_MS)).endswith(
        "no attempts  0 in the backlog  limit 4 to 24"
    )
    steady = health(point(delivered=1, limit_min=20, limit_max=20), point())
    assert text(step_words(steady, 0, AT_MS)).endswith("0 in the backlog  limit 20")


def test_the_scale_of_counts_fits_and_halves_no_delivery():
    plots = plots_of(health(point(failed=1)), AT_MS, UNICODE)
    unit = plots[0].unit
    assert [unit(n) for n in (0, 0.5, 1, 9_999, 15_000, 2_500_000)] == [
        "0", "", "1", "9,999", "15k", "2.5M",
    ]  # fmt: skip


def test_the_range_that_is_shown_is_marked_by_brackets_not_by_colour():
    told = text(range_line(0, health(point()), UNICODE, 0, KEY))
    assert told == " [1 h] 24 h  7 d   + longer, - shorter · steps of 10m"
    assert [hours for hours, _ in RANGES] == [1, 24, 168]


# Red when the range that is asked for is called the one that is shown, before it was read.
def test_a_range_that_is_being_read_is_not_yet_the_one_that_is_shown():
    told = text(range_line(1, health(point()), UNICODE, 2, KEY))
    assert told == "  1 h [24 h] 7 d   loading 7 d …"
    assert text(range_line(1, None, UNICODE, 1, KEY)) == "  1 h [24 h] 7 d   loading 24 h …"
    failed = text(range_line(1, None, UNICODE, 1, KEY, failed=True))
    assert failed == "  1 h [24 h] 7 d   not loaded; ^r loads it again"


def test_the_axis_is_the_time_of_the_points():
    axis = axis_of(health(point(), point(AT_MS + STEP_MS)))
    assert (axis.since_ms, axis.step_ms, axis.steps) == (AT_MS, STEP_MS, 2)
