"""How lines of a log lie on the screen when long ones are wrapped: which line is on which row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.cells import cell_len, chop_cells

from hooktui.console.log_buffer import LogLine
from hooktui.console.widgets.columns import Column, Placed, pieces_of
from hooktui.domain.text import visible

INDENT: Final = 12
"""Cells before the continuation of a line: below its result, so that times stay a column."""

MOST_ROWS: Final = 8
"""Rows of one line; what is longer is read in its delivery."""

Height = Callable[[int], int]
"""The rows of the line at a position."""


def continuation(
    columns: Sequence[Column[LogLine]], placed: Sequence[Placed[LogLine]], line: LogLine, width: int
) -> list[str]:
    """Return what of a line did not fit into its columns, in pieces of the width that is left."""
    room = max(width - INDENT, 10)
    widths = {one.column.name: one.width for one in placed}
    cut = []
    for column in columns:
        text = "".join(piece for piece, _ in pieces_of(column.cell(line)))
        # Of columns that are not shown only the reason is worth a row of its own.
        shown = widths.get(column.name, 0 if column.name == "detail" else 1_000_000)
        if cell_len(visible(text)) > shown:
            cut.append(visible(text))
    if not cut:
        return []
    return chop_cells(" · ".join(cut), room)[: MOST_ROWS - 1]


def rows_from(top: int, high: int, count: int, height: Height) -> list[tuple[int, int]]:
    """Return ``(position, part)`` for each row of the screen, from the line at the top on."""
    rows: list[tuple[int, int]] = []
    for position in range(top, count):
        rows += [(position, part) for part in range(height(position))]
        if len(rows) >= high:
            break
    return rows[:high]


def top_for(last: int, high: int, height: Height) -> int:
    """Return the first line that is seen when a line's last row is the last row of the screen."""
    position, left = last, high
    while position >= 0 and (left := left - height(position)) >= 0:
        position -= 1
    return min(position + 1, max(last, 0))
