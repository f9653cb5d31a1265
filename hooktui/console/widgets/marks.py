"""The marked rows of a list, by their ids, and which of them a filter may hide."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")


class Marks(dict[Hashable, T]):
    """Marked rows; they stay marked while the list shows other rows."""

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
