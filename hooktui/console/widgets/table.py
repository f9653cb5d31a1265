"""Rows drawn in columns: the layout of columns in a width, and the base class of list and log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Literal, TypeVar, cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hooktui.console.glyphs import Glyphs
from hooktui.console.shell.contract import Shell
from hooktui.console.widgets.styled import LineWidget, StyledLine, StyleName, cells_of, fit
from hooktui.domain.text import visible

T = TypeVar("T")

GAP = 2
"""Cells between two columns."""


# No slots: on Python 3.11, Column[Hook](…) fails for a frozen generic dataclass with slots.
@dataclass(frozen=True, kw_only=True)
class Column(Generic[T]):
    """One column.

    Attributes:
        name: its name in code, and its heading if it has no ``title``.
        cell: returns the text for a row, which may be untrusted.
        tone: the style of a cell that is a plain text.
        width: required cells; fewer if its texts are shorter, or down to ``least`` if it is cut.
        least: cells to which it is cut before a column of the same or a better priority is dropped;
            0 if it is never cut.
        grow: its share of the remaining cells; 0 if it does not grow.
        max_width: maximum cells when it grows beyond its texts.
        whole: whether less important columns are dropped before its texts are cut.
        priority: 0 is dropped last; of equal priorities, the rightmost column is dropped first.
        align: the alignment; numbers are aligned to the right.
        sort: the server's name of the sort by this column, if it supports it.
    """

    name: str
    title: str | None = None
    cell: Callable[[T], str | StyledLine]
    tone: StyleName = "plain"
    width: int
    least: int = 0
    grow: int = 0
    max_width: int = 1000
    whole: bool = False
    priority: int = 5
    align: Literal["left", "right"] = "left"
    sort: str | None = None

    @property
    def heading(self) -> str:
        """The text above it."""
        return self.name if self.title is None else self.title

    def pieces(self, row: T) -> StyledLine:
        """Return the text for a row in its style."""
        cell = self.cell(row)
        return ((cell, self.tone),) if isinstance(cell, str) else cell

    def text(self, row: T) -> str:
        """Return the text for a row."""
        return "".join(text for text, _ in self.pieces(row))


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A column that fits, and its width in cells."""

    column: Column[T]
    width: int


def place(
    columns: Sequence[Column[T]], room: int, needs: Mapping[str, int] | None = None
) -> list[Placed[T]]:
    """Return the columns that fit into a number of cells, with their widths.

    Columns are dropped by priority, after the next ones to drop were cut to ``least``. Cells that a
    column does not need go to columns whose texts would be cut: columns with priority 0 and 1 come
    first, then the ones that lack the fewest cells. None of them gets more than its ``max_width``
    before all have that much or what they need. Columns that grow share the remaining cells.

    ``needs`` are the cells of the longest known text of each column, by name.
    """
    needs = needs or {}
    shown, tight = _fitting(columns, room, needs)
    widths = {column.name: column.width for column in tight}
    left = _cut(tight, widths, room - _needed(tight))
    left = _widen(shown, widths, left, needs)
    _grow(shown, widths, left)
    return [Placed(column, widths[column.name]) for column in shown]


def _fitting(
    columns: Sequence[Column[T]], room: int, needs: Mapping[str, int]
) -> tuple[list[Column[T]], list[Column[T]]]:
    """Return the columns that are not dropped: as they are, and with the widths that they need."""
    shown = list(columns)
    tight = shown
    for known in ({}, needs):  # own widths first: short texts do not restore a dropped column
        tight = [_tight(column, known) for column in shown]
        while len(shown) > 1 and _needed(tight) - _spare(tight) > room:
            worst = max(range(len(shown)), key=lambda at: (shown[at].priority, at))
            del shown[worst], tight[worst]
    return shown, tight


def _cut(columns: Sequence[Column[T]], widths: dict[str, int], left: int) -> int:
    """Cut columns until they fit; return the number of cells that are left."""
    for column in columns:
        if left < 0 and column.least:
            cut = min(-left, max(column.width - column.least, 0))
            widths[column.name] -= cut
            left += cut
    return left


def _widen(
    columns: Sequence[Column[T]], widths: dict[str, int], left: int, needs: Mapping[str, int]
) -> int:
    """Widen columns whose texts would be cut; return the number of cells that are left."""
    by_need = sorted(columns, key=lambda c: (c.priority > 1, needs.get(c.name, 0) - widths[c.name]))
    in_bounds = ((c, min(needs.get(c.name, 0), c.max_width)) for c in by_need)
    in_full = ((c, needs.get(c.name, 0)) for c in by_need)
    for column, wanted in (*in_bounds, *in_full, *((c, c.width) for c in columns)):
        more = max(min(wanted - widths[column.name], left), 0)
        widths[column.name] += more
        left -= more
    return left


def _grow(columns: Sequence[Column[T]], widths: dict[str, int], left: int) -> None:
    """Divide the cells that are left among the columns that grow."""
    while left > 0:
        growing = [c for c in columns if c.grow and widths[c.name] < c.max_width]
        shares = sum(c.grow for c in growing)
        if not growing:
            return
        given = 0
        for column in growing:
            extra = min(
                max(left * column.grow // shares, 1), column.max_width - widths[column.name]
            )
            extra = min(extra, left - given)
            widths[column.name] += extra
            given += extra
        left -= given


def _tight(column: Column[T], needs: Mapping[str, int]) -> Column[T]:
    """Return a column with the width that its texts and its title need, at most its own width.

    A ``whole`` column gets the width that its texts need, at most ``max_width``.
    """
    need = max(
        needs.get(column.name, column.width), len(column.heading) + (column.sort is not None)
    )
    return replace(column, width=min(need, column.max_width if column.whole else column.width))


def needs_of(columns: Sequence[Column[T]], rows: Iterable[T], needs: dict[str, int]) -> None:
    """Raise ``needs`` to the widths of the texts of some rows."""
    for row in rows:
        for column in columns:
            cells = cell_len(visible(column.text(row)))
            needs[column.name] = max(cells, needs.get(column.name, 0))


def _needed(columns: Sequence[Column[T]]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _spare(columns: Sequence[Column[T]]) -> int:
    """Return the number of cells that the next columns to drop could be cut by."""
    worst = max(column.priority for column in columns)
    spare = (max(c.width - c.least, 0) for c in columns if c.least and c.priority >= worst)
    return sum(spare)


MARGIN: Final = 2
"""Cells before the first column: the mark and a space."""


class Table(LineWidget, ScrollView, inherit_bindings=False):
    """A scrolling widget with a heading in line 0 and rows in the other lines."""

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

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as in every widget
        super().__init__(id=id)
        self._needs: dict[str, int] = {}
        self._placed: list[Placed[Any]] = []

    def place_columns(self, columns: Sequence[Column[T]], rows: Iterable[T]) -> bool:
        """Lay out the columns for these and earlier rows; return whether the layout changed."""
        before = self._placed
        needs_of(columns, rows, self._needs)
        self._placed = place(columns, self.line_width - MARGIN, self._needs)
        return self._placed != before

    @property
    def glyphs(self) -> Glyphs:
        """The glyphs of the app."""
        return cast("Shell", self.app).glyphs

    @property
    def top(self) -> int:
        """The position of the first visible row."""
        return round(self.scroll_offset.y)

    @property
    def rows_high(self) -> int:
        """The number of rows that fit below the heading."""
        return max(self.size.height - 1, 1)

    @property
    def line_width(self) -> int:
        """Cells of a line; the cell of the scrollbar is reserved even if there is none.

        Otherwise the columns would shift by a cell when a scrollbar appears.
        """
        return max(self.size.width - self.styles.scrollbar_size_vertical, 0)

    def scroll_top(self, position: int) -> None:
        """Scroll to the rows from a position on."""
        self.scroll_to(y=max(position, 0), animate=False, force=True)
        self._place_scrollbar()

    def show_count(self, rows: int) -> None:
        """Set the number of rows, and update the scrollbar."""
        size = Size(self.line_width, rows + 1)
        if size != self.virtual_size:
            # Skip the watcher, which would lay out the whole screen: a log grows all the time.
            self.set_reactive(Table.virtual_size, size)
            self._scroll_update(size)
            self.call_after_refresh(self._place_scrollbar)

    def _place_scrollbar(self) -> None:
        # Textual moves only a visible scrollbar; one that appears would have its thumb at the top.
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y

    def refresh_row(self, position: int) -> None:
        """Repaint one row, if it is visible."""
        y = position - self.top + 1
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def draw_heading(self, sort: str | None = None, *, descending: bool = False) -> Strip:
        """Return the line of column titles, with an arrow at the sorted column."""
        segments = self.segments(((" " * MARGIN, "quiet"),))
        for cell in self._placed:
            title = cell.column.heading
            if cell.column.sort is not None and cell.column.sort == sort:
                title += self.glyphs.down if descending else self.glyphs.up
            segments += self._cell(cell, ((title, "quiet"),), None)
        return self.whole(segments, self.line_width)

    def draw_row(self, row: object, *, over: Style | None, marked: bool = False) -> Strip:
        """Return the line of a row; ``over`` is the style of the cursor line."""
        mark: StyledLine = ((self.glyphs.marked if marked else " ", "accent"), (" ", "accent"))
        segments = self.segments(mark, over)
        for cell in self._placed:
            segments += self._cell(cell, cell.column.pieces(row), over)
        return self.whole(segments, self.line_width, over)

    def column_at(self, x: int) -> Column[Any] | None:
        """Return the column at a cell of a line, if there is one."""
        start = MARGIN
        for cell in self._placed:
            if start <= x < start + cell.width:
                return cell.column
            start += cell.width + GAP
        return None

    def _cell(self, placed: Placed[Any], pieces: StyledLine, over: Style | None) -> list[Segment]:
        """Return a cell with the gap after it."""
        segments = self.segments(pieces, over)
        room = placed.width - cells_of(segments)
        if room < 0:
            segments = fit(segments, placed.width, self.glyphs.ellipsis)
            room = placed.width - cells_of(segments)
        base = self.tone("plain")
        blank = base if over is None else base + over
        if placed.column.align == "right":
            return [Segment(" " * room, blank), *segments, Segment(" " * GAP, blank)]
        return [*segments, Segment(" " * (room + GAP), blank)]
