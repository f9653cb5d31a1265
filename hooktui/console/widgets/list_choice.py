"""Which row of a list is chosen and which ones are marked, by their ids, whatever else happens.

Only a person chooses a row: by moving the cursor to it, by clicking it, by seeing the cursor on it
in a list that has just been opened. A row that comes under the cursor by itself, because the chosen
one is gone, is not chosen, and no command acts on it before the person has seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from hooktui.console.widgets.page_window import SEARCH_PAGES, PageWindow

T = TypeVar("T")

StaleReason = Literal["loading", "replaced", "hidden"]
"""Why a command must not act on the row under the cursor: another list is being loaded, the row is
not the chosen one, or it is not in sight."""


Load = Literal["filter", "sort", "reload", "page"]
"""What rows are loaded for: other rows, another order, the same ones again, or more of them."""


@dataclass(slots=True)
class RowChoice:
    """The chosen row of one list.

    Attributes:
        row: its id; None: the row that is drawn under the cursor next.
        left: the row that was chosen before a filter hid it; it is chosen again when the filter is
            taken away before another row was.
        awaited: whether ``row`` was created just now, and has not been listed yet.
        removed: rows that were deleted here on purpose: their neighbour may be acted on at once.
    """

    row: Hashable = None
    left: Hashable = None
    awaited: bool = False
    removed: set[Hashable] = field(default_factory=set)

    def choose(self, identity: Hashable) -> None:
        """Choose a row."""
        self.row, self.left, self.awaited = identity, None, False

    def expect(self, identity: Hashable) -> None:
        """Choose a row that may not be listed yet."""
        self.row, self.left, self.awaited = identity, None, True

    def remove(self, identities: Iterable[Hashable]) -> None:
        """Note that rows were deleted on purpose."""
        self.removed.update(identities)

    def sought(self, *, filtered: bool) -> list[Hashable]:
        """Return the rows to look for in a list that was loaded, the best one first."""
        rows = (self.row, self.left) if filtered else (self.row,)
        return [row for row in rows if row is not None]

    def settle(self, find: Callable[[Hashable], int | None], *, filtered: bool) -> int | None:
        """Take over a list that was loaded; return the position of the chosen row.

        Args:
            find: returns the position of a row in that list.
            filtered: whether it may hold other rows than the list before, because a person asked
                for that: then its first row may be acted on when the chosen one is not in it.

        Returns:
            None where the chosen row is not in the list.
        """
        for identity in self.sought(filtered=filtered):
            position = find(identity)
            if position is not None:
                self.row, self.left, self.awaited = identity, None, False
                return position
        if self.row in self.removed:
            self.removed.discard(self.row)
            self.row = None
        elif filtered and not self.awaited:
            self.left = self.row if self.left is None else self.left
            self.row = None
        self.awaited = False
        return None


_FILTER_PAGES: Final = 2
"""Pages that are read for the chosen row while a filter is typed: fewer than for a sort."""


async def search_chosen(choice: RowChoice, window: PageWindow[Any], load: Load) -> None:
    """Load the part of a list that holds the chosen row, if it is found and not loaded already.

    When the person chooses another row meanwhile, that one is searched for.

    Args:
        choice: the chosen row.
        window: rows of the list that were just loaded.
        load: what for.

    Raises:
        HooktuiError: the server does not give a page.
    """
    filtered, begun = load == "filter", load != "reload"
    while not window.estimated:  # else each page may take the server long
        sought = choice.sought(filtered=filtered)
        if not sought or any(window.find(row) is not None for row in sought):
            return
        pages = _FILTER_PAGES if filtered else SEARCH_PAGES
        begun = not await window.to_row(sought[0], pages, begun=begun) and begun
        if sought == choice.sought(filtered=filtered):
            return


class Marks(dict[Hashable, T]):
    """Marked rows, by their ids; they stay marked while the list shows other rows."""

    def __init__(self) -> None:
        super().__init__()
        self._unseen: set[Hashable] = set()

    @property
    def unseen(self) -> int:
        """How many of them have not been in the list since it was filtered."""
        return len(self._unseen & self.keys())

    def filtered(self) -> None:
        """Note that the list may hold other rows from now on."""
        self._unseen = set(self)

    def loaded(self, rows: Iterable[T], row_id: Callable[[T], Hashable]) -> None:
        """Take over rows of the list as they are now."""
        for row in rows if self else ():
            identity = row_id(row)
            if identity in self:
                self[identity] = row
                self._unseen.discard(identity)
