"""Columns of a list: what each shows, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from hooktui.console.widgets.painted import Pieces

T = TypeVar("T")

GAP = 2
"""Cells between two columns."""


# No slots: a frozen generic dataclass with slots cannot be made as Column[Hook](…) on Python 3.11.
@dataclass(frozen=True, kw_only=True)
class Column(Generic[T]):
    """One column.

    Attributes:
        name: how code (and a remembered sort) names it.
        title: its heading.
        cell: what it shows of a row; the texts may be untrusted.
        width: cells it needs; it gets fewer only where ``least`` says so.
        least: cells to which it is cut before a column of its own or a better priority is dropped;
            0: it is never cut.
        grow: its share of the room that is left over; 0: it stays as it is.
        most: cells it never exceeds when it grows.
        priority: 0 is dropped last; of equals the rightmost goes first.
        align: numbers stand right.
        sort: the name by which the server sorts it, if it does.
    """

    name: str
    title: str
    cell: Callable[[T], str | Pieces]
    width: int
    least: int = 0
    grow: int = 0
    most: int = 1000
    priority: int = 5
    align: Literal["left", "right"] = "left"
    sort: str | None = None


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A column that fits, and the cells that it got."""

    column: Column[T]
    width: int


def place(columns: Sequence[Column[T]], room: int) -> list[Placed[T]]:
    """Return the columns that fit into a number of cells, with their widths.

    Columns are dropped by priority, after those that are next to go were cut to their least; what
    is left over goes to those that grow.
    """
    kept = list(columns)
    while len(kept) > 1 and _needed(kept) - _spare(kept) > room:
        worst = max(range(len(kept)), key=lambda at: (kept[at].priority, at))
        del kept[worst]
    widths = {column.name: column.width for column in kept}
    left = room - _needed(kept)
    for column in kept:
        if left < 0 and column.least:
            cut = min(-left, column.width - column.least)
            widths[column.name] -= cut
            left += cut
    while left > 0:
        growing = [c for c in kept if c.grow and widths[c.name] < c.most]
        shares = sum(c.grow for c in growing)
        if not growing:
            break
        given = 0
        for column in growing:
            extra = min(max(left * column.grow // shares, 1), column.most - widths[column.name])
            extra = min(extra, left - given)
            widths[column.name] += extra
            given += extra
        left -= given
    return [Placed(column, widths[column.name]) for column in kept]


def pieces_of(cell: str | Pieces) -> Pieces:
    """Return a cell as pieces."""
    return ((cell, "plain"),) if isinstance(cell, str) else cell


def _needed(columns: Sequence[Column[T]]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _spare(columns: Sequence[Column[T]]) -> int:
    """Return how many cells could be cut off the columns that are next to be dropped."""
    worst = max(column.priority for column in columns)
    return sum(c.width - c.least for c in columns if c.least and c.priority >= worst)
