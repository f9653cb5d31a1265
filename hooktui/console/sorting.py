"""A list that is sorted by the keys of the table, and says so."""

from __future__ import annotations

from typing import ClassVar

from textual.worker import Worker

from hooktui.console.choosing import Choosing


class Sorting(Choosing):
    """A screen with such a list.

    Attributes:
        FIRST: what stands first, by whether the order is turned round.
        NEWEST_FIRST: whether another column begins turned round, as times do.
        UNSORTED: what the server's own order is called.
    """

    FIRST: ClassVar[tuple[str, str]] = ("smallest", "largest")
    NEWEST_FIRST: ClassVar[bool] = False
    UNSORTED: ClassVar[str] = "id"

    def verb_sort(self) -> None:
        """Sort by the next column that can be sorted."""
        self._sort(self.listing.next_sort(), descending=self.NEWEST_FIRST)

    def verb_order(self) -> None:
        """Turn the order round."""
        window = self.listing.window
        self._sort(window.sort, descending=not window.descending)

    def _sort(self, sort: str | None, *, descending: bool) -> None:
        listing = self.listing
        turned = listing.sort_by(sort, descending=descending)
        _: Worker[None] = self.run_worker(turned, group="sort", exclusive=True)
        title = next((one.title for one in listing.columns if one.sort == sort), self.UNSORTED)
        self.notice(f"sorted by {title}, {self.FIRST[descending]} first")
