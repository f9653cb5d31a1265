"""The chosen row and the marked rows of a list, tracked by their ids through all changes.

Only the user chooses a row: by moving the cursor to it, by clicking it, or by seeing the cursor on
it in a list that has just been opened. A row that moves under the cursor because the chosen one has
disappeared is not chosen, and no command acts on it before the user has seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from hooktui.console.widgets.page_window import SEARCH_PAGES, PageWindow

T = TypeVar("T")

StaleReason = Literal["loading", "replaced", "hidden"]
"""Why a command must not act on the row under the cursor: another list is being loaded, the row is
not the chosen one, or it is not visible."""


Load = Literal["filter", "sort", "reload", "page"]
"""The purpose of a load: other rows, another order, the same rows again, or more of them."""


@dataclass(slots=True)
class RowChoice:
    """The chosen row of one list.

    Attributes:
        row: its id; None to choose the row that is drawn under the cursor next.
        left: the row that was chosen before a filter hid it; it is chosen again if the filter is
            removed before the user chooses another row.
        awaited: whether ``row`` was just created and is not listed yet.
        removed: rows that the user deleted here; commands may act on their neighbour immediately.
    """

    row: Hashable = None
    left: Hashable = None
    awaited: bool = False
    removed: set[Hashable] = field(default_factory=set)

    def choose(self, identity: Hashable, *, awaited: bool = False) -> None:
        """Choose a row; ``awaited``: it may not be listed yet."""
        self.row, self.left, self.awaited = identity, None, awaited

    def remove(self, identities: Iterable[Hashable]) -> None:
        """Record that the user deleted rows; one that is still listed later is not deleted."""
        self.removed.update(identities)

    def sought(self, *, filtered: bool) -> list[Hashable]:
        """Return the rows to search for in a loaded list, in order of preference."""
        rows = (self.row, self.left) if filtered else (self.row,)
        return [row for row in rows if row is not None]

    def settle(self, find: Callable[[Hashable], int | None], *, filtered: bool) -> int | None:
        """Update the choice for a loaded list; return the position of the chosen row.

        ``filtered``: the user requested other rows. Then commands may act on the first row of the
        list if it does not contain the chosen one.

        Returns:
            None if the chosen row is not in the list.
        """
        for identity in self.sought(filtered=filtered):
            position = find(identity)
            if position is not None:
                self.removed.discard(identity)
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
"""Pages searched for the chosen row while a filter is typed; fewer than for a sort."""


async def search_chosen(choice: RowChoice, window: PageWindow[Any], load: Load) -> None:
    """Load the part of a list that contains the chosen row, if it is found and not loaded already.

    If the user chooses another row in the meantime, that row is searched for.

    ``window`` has the rows of the list that were just loaded.

    Raises:
        HooktuiError: the server did not return a page.
    """
    filtered, begun = load == "filter", load != "reload"
    while not window.estimated:  # otherwise each page may be slow
        sought = choice.sought(filtered=filtered)
        if not sought or any(window.find(row) is not None for row in sought):
            return
        pages = _FILTER_PAGES if filtered else SEARCH_PAGES
        if await window.to_row(sought[0], pages, begun=begun):
            begun = False  # the window may not contain the start of the list any more
        if sought == choice.sought(filtered=filtered):
            return


class Marks(dict[Hashable, T]):
    """Marked rows by id; they stay marked while the list shows other rows."""

    def __init__(self) -> None:
        super().__init__()
        self._unseen: set[Hashable] = set()

    @property
    def unseen(self) -> int:
        """The number of marked rows that have not been in the list since it was filtered."""
        return len(self._unseen & self.keys())

    def filtered(self) -> None:
        """Record that the list may contain other rows from now on."""
        self._unseen = set(self)

    def loaded(self, rows: Iterable[T], row_id: Callable[[T], Hashable]) -> None:
        """Update the marked rows from newly loaded rows of the list."""
        for row in rows if self else ():
            identity = row_id(row)
            if identity in self:
                self[identity] = row
                self._unseen.discard(identity)
