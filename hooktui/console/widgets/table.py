"""Rows drawn in columns: what the list and the live log have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hooktui.console.signs import UNICODE, Signs
from hooktui.console.widgets.columns import GAP, Column, Placed, pieces_of
from hooktui.console.widgets.painted import Painted, Pieces, fit

T = TypeVar("T")

MARGIN: Final = 2
"""Cells before the first column: the mark, and a space."""


class Table(Painted, ScrollView, inherit_bindings=False):
    """A scrolled widget whose line 0 is a heading and whose other lines are rows."""

    can_focus = True
    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Table {
        height: 1fr; width: 1fr;
        overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1;
        background: $background;
    }
    """

    signs: Signs = UNICODE

    @property
    def top(self) -> int:
        """The position of the first row that is seen."""
        return round(self.scroll_offset.y)

    @property
    def rows_high(self) -> int:
        """Rows that are seen at once, below the heading."""
        return max(self.size.height - 1, 1)

    @property
    def line_width(self) -> int:
        """Cells of a line; the scrollbar's cell is left free also while there is none.

        Otherwise the columns would shift by a cell at the moment at which a scrollbar appears.
        """
        return max(self.size.width - self.styles.scrollbar_size_vertical, 0)

    def scroll_top(self, position: int) -> None:
        """Show the rows from a position on."""
        self.scroll_to(y=max(position, 0), animate=False, force=True)
        self._place_scrollbar()

    def show_count(self, rows: int) -> None:
        """Say how many rows there are; heading and scrollbar follow."""
        wanted = Size(self.line_width, rows + 1)
        if wanted != self.virtual_size:
            # Without its watcher, which would lay out the whole screen: a log grows all the time.
            self.set_reactive(Table.virtual_size, wanted)
            self._scroll_update(wanted)
            self.call_after_refresh(self._place_scrollbar)

    def _place_scrollbar(self) -> None:
        # Textual moves a scrollbar only while it is shown; one that appears would stand at the top.
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y

    def refresh_row(self, position: int) -> None:
        """Repaint one row, if it is seen."""
        y = position - self.top + 1
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def cursor_style(self) -> Style:
        """Return how the line of the cursor looks: other where keys do not go."""
        return self.tone("cursor" if self.has_focus else "blurred")

    def draw_heading(
        self, placed: Sequence[Placed[T]], sort: str | None = None, *, descending: bool = False
    ) -> Strip:
        """Return the titles of the columns, with the sign of the sort."""
        segments = self.segments(((" " * MARGIN, "quiet"),))
        for one in placed:
            title = one.column.title
            if one.column.sort is not None and one.column.sort == sort:
                title += self.signs.down if descending else self.signs.up
            segments += self._cell(one, ((title, "quiet"),), None)
        return self.whole(segments, self.line_width)

    def draw_row(
        self, placed: Sequence[Placed[T]], row: T, *, over: Style | None, marked: bool = False
    ) -> Strip:
        """Return a row; ``over`` is the style of the cursor's line."""
        mark: Pieces = ((self.signs.marked if marked else " ", "accent"), (" ", "accent"))
        segments = self.segments(mark, over)
        for one in placed:
            segments += self._cell(one, pieces_of(one.column.cell(row)), over)
        return self.whole(segments, self.line_width, over)

    def _cell(self, placed: Placed[T], pieces: Pieces, over: Style | None) -> list[Segment]:
        """Return a cell with the gap after it."""
        segments = fit(self.segments(pieces, over), placed.width, self.signs.ellipsis)
        room = placed.width - sum(segment.cell_length for segment in segments)
        base = self.tone("plain")
        blank = base if over is None else base + over
        if placed.column.align == "right":
            return [Segment(" " * room, blank), *segments, Segment(" " * GAP, blank)]
        return [*segments, Segment(" " * (room + GAP), blank)]


def column_at(placed: Sequence[Placed[T]], x: int) -> Column[T] | None:
    """Return the column at a cell of a line, if there is one."""
    start = MARGIN
    for one in placed:
        if start <= x < start + one.width:
            return one.column
        start += one.width + GAP
    return None
