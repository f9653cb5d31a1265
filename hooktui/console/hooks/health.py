"""The contents of a hook's Health tab: its plots, and the text of one step."""

from __future__ import annotations

import time
from typing import Final

from hooktui.console.formatting import moment, took
from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import KeyOf
from hooktui.console.widgets.plot import Axis, Plot
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.domain.clock import format_duration, from_rfc3339
from hooktui.domain.wire.hooks import HealthPoint, HookHealth

RANGES: Final = ((1, "1 h"), (24, "24 h"), (168, "7 d"))
"""Time ranges of the plots: hours and label."""


def axis_of(health: HookHealth) -> Axis:
    """Return the time axis of the plots."""
    step_ms = health.step_s * 1000
    return Axis(from_rfc3339(health.since), step_ms, len(health.points))


def range_line(
    shown: int,
    health: HookHealth | None,
    glyphs: Glyphs,
    requested: int,
    key: KeyOf,
    *,
    failed: bool = False,
) -> StyledLine:
    """Return the caption: the displayed time range, the available ones, and the keys to switch.

    ``shown`` and ``requested`` are indexes in ``RANGES``; ``health`` is None until it is loaded;
    ``failed`` says that the last load failed.
    """
    pieces: list[StyledText] = [(" ", "plain")]
    for number, (_, name) in enumerate(RANGES):
        here = number == shown
        pieces.append((f"[{name}]" if here else f" {name} ", "strong" if here else "quiet"))
    if health is None and failed:
        return [*pieces, (f"  not loaded; {key('reload')} loads it again", "warn")]
    if requested != shown or health is None:
        return [*pieces, (f"  loading {RANGES[requested][1]} {glyphs.ellipsis}", "warn")]
    steps = format_duration(health.step_s)
    keys = f"{key('larger')} longer, {key('smaller')} shorter"
    return [*pieces, (f"  {keys} {glyphs.dot} steps of {steps}", "quiet")]


def plots_of(health: HookHealth, now_ms: int, glyphs: Glyphs) -> list[Plot]:
    """Return the plots: attempts, their durations, the backlog, and the limit if it is known."""
    points = health.points
    solid, shade = glyphs.bars[-1], glyphs.shade
    delivered, failed = sum(p.delivered for p in points), sum(p.failed for p in points)
    plots = [
        Plot(
            (
                (" attempts  ", "strong"),
                (f"{solid} {failed:,} failed", "bad" if failed else "quiet"),
                (f"  {shade} {delivered:,} delivered{_share(delivered, failed)}", "quiet"),
            ),
            [p.failed for p in points],
            _count,
            "bad",
            total=[p.failed + p.delivered for p in points],
        ),
        Plot(
            (
                (" duration  ", "strong"),
                (f"{solid} p50", "plain"),
                (f"  {shade} up to p95 of the attempts, rounded up; log scale", "quiet"),
            ),
            [p.p50_ms for p in points],
            took,
            "plain",
            total=[p.p95_ms for p in points],
            # On a linear scale, an outage of half a minute would flatten the usual durations.
            in_decades=True,
        ),
        Plot(
            (
                (" backlog  ", "strong"),
                (f"{solid} waiting or held", "accent"),
                (_known_since(health, now_ms), "quiet"),
            ),
            [p.backlog for p in points],
            _count,
        ),
    ]
    if health.limits_since is not None:
        since = moment(health.limits_since, now_ms)
        plots.append(
            Plot(
                (
                    (" limit  ", "strong"),
                    (f"{solid} lowest", "plain"),
                    (f"  {shade} up to highest; not stored, since {since}", "quiet"),
                ),
                [p.limit_min for p in points],
                _count,
                "plain",
                total=[p.limit_max for p in points],
            )
        )
    return plots


def _share(delivered: int, failed: int) -> str:
    """Return the share that was delivered, rounded down, because 99.9 % is not 100 %."""
    sent = delivered + failed
    return f" ({delivered * 100 // sent}%)" if sent else ""


def _known_since(health: HookHealth, now_ms: int) -> str:
    if health.counted_since is None:
        return ""
    since = moment(health.counted_since, now_ms)
    return f"  since {since}, newest deliveries only"


def _count(value: float) -> str:
    """Return a count in at most six characters; empty for a fraction such as 0.5."""
    if value < 10_000:
        return f"{value:,.0f}" if float(value).is_integer() else ""
    size, unit = (1_000, "k") if value < 1_000_000 else (1_000_000, "M")
    return f"{value / size:,.4g}{unit}"


def step_words(health: HookHealth, step: int, now_ms: int) -> StyledLine:
    """Return the text of one step: its time, and its numbers with units."""
    point = health.points[step]
    from_ms = from_rfc3339(point.at)
    is_last = step == len(health.points) - 1
    until = "now" if is_last else _clock(from_ms + health.step_s * 1000, now_ms)
    return [(f" {_clock(from_ms, now_ms)} to {until}  ", "plain"), *_numbers(point)]


def _clock(at_ms: int, now_ms: int) -> str:
    """Return ``14:00``, or ``Thu 14:00`` on another day."""
    at, now = time.localtime(at_ms / 1000), time.localtime(now_ms / 1000)
    return time.strftime("%H:%M" if at[:3] == now[:3] else "%a %H:%M", at)


def _numbers(point: HealthPoint) -> list[StyledText]:
    backlog = "" if point.backlog is None else f"  {point.backlog:,} in the backlog"
    limit = _limit_words(point.limit_min, point.limit_max)
    if not point.delivered + point.failed:
        return [("no attempts", "quiet"), (backlog + limit, "plain")]
    return [
        (f"{point.failed:,} failed", "bad" if point.failed else "quiet"),
        (f"  {point.delivered:,} delivered", "plain"),
        (f"  p50 {took(point.p50_ms)}  p95 {took(point.p95_ms)}", "plain"),
        (backlog + limit, "plain"),
    ]


def _limit_words(lowest: int | None, highest: int | None) -> str:
    if lowest is None or highest is None:
        return ""
    return f"  limit {lowest:,}" if lowest == highest else f"  limit {lowest:,} to {highest:,}"
