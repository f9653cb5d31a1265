"""Plots over time as lines of pieces: bars on a scale with units, and a line of clock times below.

A plot holds one solid bar in each step, or a solid and a shaded one: the shade goes on where the
solid part ends. So what stands out (failures, the usual duration) is told by its form, not by its
colour. No widget here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from hooktui.console.signs import Signs
from hooktui.console.widgets.painted import Piece, Pieces, Tone

GUTTER: Final = 8
"""Cells left of the bars: the scale, and a space."""

Values = Sequence[float | None]
"""One value for each step of time, none of them negative; None where nothing is known."""

_ROUND: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_MINUTE_MS: Final = 60_000
_TICKS_MIN: Final = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10_080, 20_160)
_DAY_MIN: Final = 1440
_LABEL: Final = 9
"""Cells of a label of the time axis with its tick and a gap: ``Mon 24`` and ``14:00`` fit."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn over one scale.

    Attributes:
        title: the line above it.
        solid: the height of the solid bars.
        unit: writes a value of the scale.
        tone: of the solid bars.
        total: where the shade on top of them ends; None: there is no shade.
        in_decades: each line multiplies instead of adding, from 1 on: for what differs by much.
    """

    title: Pieces
    solid: Values
    unit: Callable[[float], str]
    tone: Tone = "accent"
    total: Values | None = None
    in_decades: bool = False

    @property
    def top(self) -> float:
        """The value at the upper end of the scale: a round one that nothing exceeds."""
        return round_top(max((v for v in (*self.solid, *(self.total or ())) if v), default=0))

    def share(self, value: float) -> float:
        """Return how far up the scale a value stands, 0 to 1."""
        if not self.in_decades:
            return value / self.top
        return math.log(max(value, 1)) / math.log(max(self.top, 10))

    def at(self, share: float) -> float:
        """Return the value that stands so far up the scale."""
        return max(self.top, 10) ** share if self.in_decades else self.top * share


@dataclass(frozen=True, slots=True)
class Axis:
    """The time below the bars: when it begins, and how long each of its steps is."""

    since_ms: int
    step_ms: int
    steps: int


def round_top(value: float) -> float:
    """Return the smallest round number (such as 1, 2, 8, 15, 20) that is not below a value."""
    if value <= 1:
        return 1
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * share for share in _ROUND if size * share >= value)


def in_columns(values: Values, width: int) -> list[float | None]:
    """Return a value for each of some columns: of steps that share one the highest.

    Averages would hide the one step in which something failed.
    """
    count = len(values)
    if not count:
        return [None] * width
    columns = []
    for column in range(width):
        first = step_at(column, width, count)
        after = max(step_at(column + 1, width, count), first + 1)
        known = [v for v in values[first:after] if v is not None]
        columns.append(max(known) if known else None)
    return columns


def step_at(column: int, width: int, steps: int) -> int:
    """Return the (first) step that a column shows."""
    return column * steps // width


def column_of(step: int, width: int, steps: int) -> int:
    """Return the first column that shows a step, or the one in which it is one of several."""
    return -(-step * width // steps) if width >= steps else ((step + 1) * width - 1) // steps


def plot_lines(plot: Plot, width: int, height: int, signs: Signs) -> list[Pieces]:
    """Return the bars of a plot in lines of ``width`` cells, the scale among them."""
    room = max(width - GUTTER, 0)
    solid = in_columns(plot.solid, room)
    total = in_columns(plot.total, room) if plot.total is not None else solid
    eighths = [
        (_eighths(plot, low, height, signs), _eighths(plot, high, height, signs))
        for low, high in zip(solid, total, strict=True)
    ]
    lines: list[Pieces] = []
    for row in reversed(range(height)):
        cells = [_cell(plot, low, high, row, signs) for low, high in eighths]
        bars = [
            ("".join(sign for sign, _ in run), tone)
            for tone, run in groupby(cells, key=lambda cell: cell[1])
        ]
        lines.append(((_scale(plot, row, height), "quiet"), *bars))
    return lines


def _eighths(plot: Plot, value: float | None, height: int, signs: Signs) -> int:
    """Return how high a bar is; one above nothing is never drawn like nothing."""
    most = height * (len(signs.bars) - 1)
    return 0 if not value else max(1, min(math.ceil(plot.share(value) * most - 1e-9), most))


def _cell(plot: Plot, solid: int, total: int, row: int, signs: Signs) -> Piece:
    full = len(signs.bars) - 1
    if plot.in_decades and solid > (row + 1) * full:
        return " ", "quiet"  # only the ends of bars: such a scale has no zero for them to stand on
    here = min(max(solid - row * full, 0), full)
    if here:
        return signs.bars[here], plot.tone
    return (signs.shade, "quiet") if total > row * full else (" ", "quiet")


def _scale(plot: Plot, row: int, height: int) -> str:
    """Return the scale beside a row: its end at the top, its beginning below, and between them.

    Between stands the half of a scale, or each power of ten in the row that it lies in.
    """
    value = plot.at(1.0) if row == height - 1 else plot.at(0.0) if row == 0 else None
    if value is None and plot.in_decades:
        power = 10.0 ** math.floor(math.log10(plot.at((row + 1) / height)))
        value = power if power > plot.at(row / height) else None
    elif value is None and 2 * (row + 1) == height:
        value = plot.at(0.5)
    text = "" if value is None else plot.unit(value)
    return f"{text[: GUTTER - 1]:>{GUTTER - 1}} "


def axis_line(axis: Axis, width: int, signs: Signs, mark: int | None = None) -> Pieces:
    """Return the line of clock times (the admin's), with a mark below one column."""
    room = max(width - GUTTER, 0)
    cells = [signs.rule] * room
    for at_ms, label in _ticks(axis, room):
        column = (at_ms - axis.since_ms) * room // (axis.step_ms * axis.steps)
        text = signs.tick + label
        if column + len(text) <= room:
            cells[column : column + len(text)] = text
    before = " " * min(GUTTER, width)
    if mark is None or not 0 <= mark < room:
        return ((before, "quiet"), ("".join(cells), "quiet"))
    left, right = "".join(cells[:mark]), "".join(cells[mark + 1 :])
    return ((before, "quiet"), (left, "quiet"), (signs.up, "accent"), (right, "quiet"))


def _ticks(axis: Axis, room: int) -> list[tuple[int, str]]:
    """Return moments that are round on the clock, as many as have room, and their labels."""
    span_ms = axis.step_ms * axis.steps
    most = max(room // _LABEL, 1)
    every = next((m for m in _TICKS_MIN if span_ms <= m * _MINUTE_MS * most), _TICKS_MIN[-1])
    every_ms = every * _MINUTE_MS
    shift_ms = time.localtime(axis.since_ms / 1000).tm_gmtoff * 1000
    first = -(-(axis.since_ms + shift_ms) // every_ms) * every_ms - shift_ms
    ticks = []
    for at_ms in range(first, axis.since_ms + span_ms, every_ms):
        at = time.localtime(at_ms / 1000)
        is_day = every >= _DAY_MIN or (at.tm_hour, at.tm_min) == (0, 0)
        ticks.append((at_ms, time.strftime("%a %d" if is_day else "%H:%M", at)))
    return ticks
