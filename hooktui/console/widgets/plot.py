"""Plots over one time: drawn line by line, with a mark on one step whose numbers are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip

from hooktui.console.keys import move_bindings
from hooktui.console.plot_lines import (
    GUTTER,
    Axis,
    Plot,
    axis_line,
    column_of,
    plot_lines,
    step_at,
)
from hooktui.console.signs import UNICODE, Signs
from hooktui.console.widgets.painted import Painted, Pieces

_TALLEST: Final = 12
"""Lines of one plot: taller ones say no more."""

_MOVES: Final = {
    "up": -1, "down": 1, "page_up": -12, "page_down": 12, "first": -100_000, "last": 100_000,
}  # fmt: skip
"""By how many steps the house's moves move the mark."""


class Plots(Painted, can_focus=True):
    """Plots one below the other over the same time; left and right move the mark.

    A move repaints two lines: the words of the step, and the axis.
    """

    DEFAULT_CSS = "Plots { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for binding in move_bindings() if binding.action != "open"),
        Binding("left", "move('up')", "earlier", show=False, id="plot.earlier"),
        Binding("right", "move('down')", "later", show=False, id="plot.later"),
    ]

    def __init__(self, signs: Signs = UNICODE, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.signs = signs
        self._caption: Pieces = ()
        self._plots: tuple[Plot, ...] = ()
        self._axis: Axis | None = None
        self._words: Callable[[int], Pieces] = lambda _: ()
        self._mark_ms: int | None = None  # a moment, for the time that is shown moves on
        self._lines: list[Pieces] = []

    @property
    def step(self) -> int:
        """The step under the mark; the newest one until the mark was moved."""
        if self._axis is None:
            return 0
        last = self._axis.steps - 1
        if self._mark_ms is None:
            return last
        return max(0, min((self._mark_ms - self._axis.since_ms) // self._axis.step_ms, last))

    @property
    def told(self) -> str:
        """The marked step in words."""
        return "".join(text for text, _ in self._words(self.step)).strip()

    def show(
        self,
        caption: Pieces,
        plots: Sequence[Plot] = (),
        axis: Axis | None = None,
        words: Callable[[int], Pieces] = lambda _: (),
    ) -> None:
        """Show other plots; repaints only the lines that differ.

        Args:
            caption: the line above.
            plots: from the top down.
            axis: their time; None: there is nothing to show (yet).
            words: tells a step.
        """
        self._caption, self._plots, self._axis, self._words = caption, tuple(plots), axis, words
        self._draw()

    def action_move(self, name: str) -> None:
        """Move the mark by one of the house's moves: down is later."""
        self._put_mark(self.step + _MOVES[name])

    def on_click(self, event: events.Click) -> None:
        """Put the mark on the step that was clicked."""
        room = self.size.width - GUTTER
        if self._axis is not None and 0 <= event.x - GUTTER < room:
            self._put_mark(step_at(event.x - GUTTER, room, self._axis.steps))

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._draw()

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        return self.strip(self._lines[y] if y < len(self._lines) else (), self.size.width)

    def text(self) -> list[str]:
        """Return what is shown, line by line; for tests."""
        return ["".join(text for text, _ in line) for line in self._lines]

    def _put_mark(self, step: int) -> None:
        axis = self._axis
        if axis is not None:
            at_end = step >= axis.steps - 1  # then the mark goes on with the time
            self._mark_ms = None if at_end else axis.since_ms + max(step, 0) * axis.step_ms
            self._draw()

    def _draw(self) -> None:
        before, self._lines = self._lines, self._laid_out()
        for y in range(max(len(before), len(self._lines))):
            if before[y : y + 1] != self._lines[y : y + 1]:
                self.refresh(Region(0, y, self.size.width, 1))

    def _laid_out(self) -> list[Pieces]:
        """Return all lines: caption, the step in words, the plots, the axis."""
        axis, (width, height) = self._axis, self.size
        if axis is None:
            return [self._caption]
        plots = self._plots
        room = height - 3
        while len(plots) > 1 and room < 2 * len(plots):
            plots = plots[:-1]
        lines: list[Pieces] = [self._caption, self._words(self.step)]
        for number, plot in enumerate(plots):
            # The upper ones get what is left over.
            lines_high = min(room // len(plots) + (number < room % len(plots)) - 1, _TALLEST)
            lines += [plot.title, *plot_lines(plot, width, max(lines_high, 1), self.signs)]
        mark = column_of(self.step, max(width - GUTTER, 1), axis.steps)
        return [*lines, axis_line(axis, width, self.signs, mark)]
