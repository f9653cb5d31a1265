"""Plots over time, drawn line by line: bars on a scale with units, above a time axis.

A plot has one solid bar for each step, or a solid bar with a shaded one on top, so that failures or
the usual duration differ by shape and not only by colour. A mark on one step shows its numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip

from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import move_bindings
from hooktui.console.widgets.styled import LineWidget, StyledLine, StyledText, StyleName

GUTTER: Final = 8
"""Cells to the left of the bars: the scale and a space."""

Values = Sequence[float | None]
"""One non-negative value for each time step; None where no value is known."""

_ROUND: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_MINUTE_MS: Final = 60_000
_TICKS_MIN: Final = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10_080, 20_160)
_DAY_MIN: Final = 1440
_LABEL: Final = 9
"""Cells per label of the time axis, with its tick and a gap: ``Mon 24`` and ``14:00`` fit."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The data of one plot and its scale.

    Attributes:
        title: the line above it.
        solid: the values of the solid bars.
        unit: formats a value of the scale.
        tone: the style of the solid bars.
        total: the upper ends of the shaded bars on top of them; None for no shaded bars.
        in_decades: whether the scale is logarithmic, starting at 1, for values that differ widely.
    """

    title: StyledLine
    solid: Values
    unit: Callable[[float], str]
    tone: StyleName = "accent"
    total: Values | None = None
    in_decades: bool = False

    @property
    def top(self) -> float:
        """The value at the upper end of the scale: a round number that no value exceeds."""
        return round_top(max((v for v in (*self.solid, *(self.total or ())) if v), default=0))

    def share(self, value: float) -> float:
        """Return the height of a value on the scale, 0 to 1."""
        if not self.in_decades:
            return value / self.top
        return math.log(max(value, 1)) / math.log(max(self.top, 10))

    def at(self, share: float) -> float:
        """Return the value at a height of the scale, 0 to 1."""
        return max(self.top, 10) ** share if self.in_decades else self.top * share


@dataclass(frozen=True, slots=True)
class Axis:
    """The time axis below the bars: its start, the length of each step, and their number."""

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
    """Return one value for each column: the maximum of the steps that share it.

    An average would hide a single step with failures.
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
    """Return the first column that shows a step, or the column that it shares with others."""
    return -(-step * width // steps) if width >= steps else ((step + 1) * width - 1) // steps


def plot_lines(plot: Plot, width: int, height: int, glyphs: Glyphs) -> list[StyledLine]:
    """Return the bars of a plot as lines of ``width`` cells, including the scale."""
    room = max(width - GUTTER, 0)
    solid = in_columns(plot.solid, room)
    total = in_columns(plot.total, room) if plot.total is not None else solid
    eighths = [
        (_eighths(plot, low, height, glyphs), _eighths(plot, high, height, glyphs))
        for low, high in zip(solid, total, strict=True)
    ]
    lines: list[StyledLine] = []
    for row in reversed(range(height)):
        cells = [_cell(plot, low, high, row, glyphs) for low, high in eighths]
        bars = [
            ("".join(sign for sign, _ in run), tone)
            for tone, run in groupby(cells, key=lambda cell: cell[1])
        ]
        lines.append(((_scale(plot, row, height), "quiet"), *bars))
    return lines


def _eighths(plot: Plot, value: float | None, height: int, glyphs: Glyphs) -> int:
    """Return the height of a bar in eighths of a line; a value above 0 is never drawn as 0."""
    most = height * (len(glyphs.bars) - 1)
    return 0 if not value else max(1, min(math.ceil(plot.share(value) * most - 1e-9), most))


def _cell(plot: Plot, solid: int, total: int, row: int, glyphs: Glyphs) -> StyledText:
    full = len(glyphs.bars) - 1
    if plot.in_decades and solid > (row + 1) * full:
        return " ", "quiet"  # only draw the ends of bars: a logarithmic scale has no zero
    here = min(max(solid - row * full, 0), full)
    if here:
        return glyphs.bars[here], plot.tone
    return (glyphs.shade, "quiet") if total > row * full else (" ", "quiet")


def _scale(plot: Plot, row: int, height: int) -> str:
    """Return the label of the scale in a row: the maximum at the top, the minimum at the bottom.

    Between them is half of the maximum, or on a logarithmic scale each power of ten in its row.
    """
    value = _scale_value(plot, row, height)
    text = "" if value is None else plot.unit(value)
    return f"{text[: GUTTER - 1]:>{GUTTER - 1}} "


def _scale_value(plot: Plot, row: int, height: int) -> float | None:
    if row == height - 1:
        return plot.at(1.0)
    if row == 0:
        return plot.at(0.0)
    if plot.in_decades:
        power = 10.0 ** math.floor(math.log10(plot.at((row + 1) / height)))
        return power if power > plot.at(row / height) else None
    return plot.at(0.5) if 2 * (row + 1) == height else None


def axis_line(axis: Axis, width: int, glyphs: Glyphs, mark: int | None = None) -> StyledLine:
    """Return the time axis (in the admin's time zone), with a mark below one column."""
    room = max(width - GUTTER, 0)
    cells = [glyphs.rule] * room
    for at_ms, label in _ticks(axis, room):
        column = (at_ms - axis.since_ms) * room // (axis.step_ms * axis.steps)
        text = glyphs.tick + label
        if column + len(text) <= room:
            cells[column : column + len(text)] = text
    before = " " * min(GUTTER, width)
    if mark is None or not 0 <= mark < room:
        return ((before, "quiet"), ("".join(cells), "quiet"))
    left, right = "".join(cells[:mark]), "".join(cells[mark + 1 :])
    return ((before, "quiet"), (left, "quiet"), (glyphs.up, "accent"), (right, "quiet"))


def _ticks(axis: Axis, room: int) -> list[tuple[int, str]]:
    """Return round clock times, as many as fit, and their labels."""
    span_ms = axis.step_ms * axis.steps
    most = max(room // _LABEL, 1)
    every = next((m for m in _TICKS_MIN if span_ms <= m * _MINUTE_MS * most), _TICKS_MIN[-1])
    every_ms = every * _MINUTE_MS
    shift_ms = time.localtime(axis.since_ms / 1000).tm_gmtoff * 1000
    first = -(-(axis.since_ms + shift_ms) // every_ms) * every_ms - shift_ms
    ticks = []
    end_ms = axis.since_ms + span_ms
    for tick_ms in range(first, end_ms + 60 * _MINUTE_MS, every_ms):
        at_ms, at = tick_ms, time.localtime(tick_ms / 1000)
        if every >= _DAY_MIN:  # the days begin at another offset once the clocks were changed
            at_ms += shift_ms - at.tm_gmtoff * 1000
            at = time.localtime(at_ms / 1000)
        if at_ms >= end_ms:
            break
        is_day = every >= _DAY_MIN or (at.tm_hour, at.tm_min) == (0, 0)
        ticks.append((at_ms, time.strftime("%a %d" if is_day else "%H:%M", at)))
    return ticks


_TALLEST: Final = 12
"""Maximum lines of one plot; a taller one shows no more information."""

_MOVES: Final = {
    "up": -1, "down": 1, "page_up": -12, "page_down": 12, "first": -100_000, "last": 100_000,
}  # fmt: skip
"""Number of steps by which each of the list moves moves the mark."""


class Plots(LineWidget, can_focus=True):
    """Stacked plots over the same time; left and right move the mark.

    A move repaints two lines: the text of the step, and the axis.
    """

    DEFAULT_CSS = "Plots { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for binding in move_bindings() if binding.action != "open"),
        Binding("left", "move('up')", "earlier", show=False, id="plot.earlier"),
        Binding("right", "move('down')", "later", show=False, id="plot.later"),
    ]

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.glyphs = glyphs
        self._caption: StyledLine = ()
        self._plots: tuple[Plot, ...] = ()
        self._axis: Axis | None = None
        self._words: Callable[[int], StyledLine] = lambda _: ()
        self._mark_ms: int | None = None  # a time, not a step, because the axis moves
        self._lines: list[StyledLine] = []

    @property
    def step(self) -> int:
        """The step under the mark; the newest one until the mark is moved."""
        if self._axis is None:
            return 0
        last = self._axis.steps - 1
        if self._mark_ms is None:
            return last
        return max(0, min((self._mark_ms - self._axis.since_ms) // self._axis.step_ms, last))

    @property
    def step_text(self) -> str:
        """The text of the marked step."""
        return "".join(text for text, _ in self._words(self.step)).strip()

    def show(
        self,
        caption: StyledLine,
        plots: Sequence[Plot] = (),
        axis: Axis | None = None,
        words: Callable[[int], StyledLine] = lambda _: (),
    ) -> None:
        """Update the caption and the plots below it; repaint only lines that differ.

        Without data (yet) there is no axis; ``words`` returns the text of a step.
        """
        self._caption, self._plots, self._axis, self._words = caption, tuple(plots), axis, words
        self._draw()

    def action_move(self, name: str) -> None:
        """Move the mark by one of the list moves; down is later."""
        self._put_mark(self.step + _MOVES[name])

    def on_click(self, event: events.Click) -> None:
        """Move the mark to the step that was clicked."""
        room = self.size.width - GUTTER
        if self._axis is not None and 0 <= event.x - GUTTER < room:
            self._put_mark(step_at(event.x - GUTTER, room, self._axis.steps))

    def on_resize(self) -> None:
        """Redraw for the new size."""
        self._draw()

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        return self.strip(self._lines[y] if y < len(self._lines) else (), self.size.width)

    def _put_mark(self, step: int) -> None:
        axis = self._axis
        if axis is not None:
            at_end = step >= axis.steps - 1  # then the mark follows the newest step
            self._mark_ms = None if at_end else axis.since_ms + max(step, 0) * axis.step_ms
            self._draw()

    def _draw(self) -> None:
        before, self._lines = self._lines, self._laid_out()
        for y in range(max(len(before), len(self._lines))):
            if before[y : y + 1] != self._lines[y : y + 1]:
                self.refresh(Region(0, y, self.size.width, 1))

    def _laid_out(self) -> list[StyledLine]:
        """Return all lines: the caption, the text of the step, the plots, the axis."""
        axis, (width, height) = self._axis, self.size
        if axis is None:
            return [self._caption]
        plots = self._plots
        room = height - 3
        while len(plots) > 1 and room < 2 * len(plots):
            plots = plots[:-1]
        lines: list[StyledLine] = [self._caption, self._words(self.step)]
        for number, plot in enumerate(plots):
            # The upper plots get the remaining lines.
            lines_high = min(room // len(plots) + (number < room % len(plots)) - 1, _TALLEST)
            lines += [plot.title, *plot_lines(plot, width, max(lines_high, 1), self.glyphs)]
        mark = column_of(self.step, max(width - GUTTER, 1), axis.steps)
        return [*lines, axis_line(axis, width, self.glyphs, mark)]
