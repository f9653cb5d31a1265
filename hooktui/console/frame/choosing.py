"""A screen whose commands act on rows of a list, and only on those that a person has chosen.

A row that came under the cursor by itself, one that is out of sight, one of a list that is still
being loaded, and marked rows that a filter hides are not acted on: the command says why, shows the
row, and acts when it is asked for again.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar, Final

from hooktui.console.formatting import counted
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.windowed_list import WindowedList

MOST_MARKED: Final = 5_000
"""Rows that are marked at once: what is then done with them takes a call for each."""

_AT_CURSOR = ("open", "mark")
"""Commands that act on the row under the cursor also while others are marked."""


class Choosing(ConsoleScreen):
    """A screen with such a list.

    Attributes:
        ROW_COMMANDS: the commands that act on the chosen rows.
        NOUN: what one row is.
    """

    ROW_COMMANDS: ClassVar[tuple[str, ...]] = ()
    NOUN: ClassVar[str] = "line"

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(mark_all=self.mark_all)

    @property
    def listing(self) -> WindowedList[Any]:
        """The list."""
        raise NotImplementedError

    @property
    def narrowed(self) -> bool:
        """Whether a filter hides rows."""
        return False

    def acts_on_rows(self, name: str) -> bool:
        """Return whether a command acts on the chosen rows, here and now."""
        return name in self.ROW_COMMANDS

    def marked_words(self) -> str:
        """Return how many rows are marked, and how many of them a filter hides."""
        marked, hidden = len(self.listing.marks), self._hidden_marks()
        return f"{marked:,} marked" + (f" ({hidden:,} hidden by the filter)" if hidden else "")

    def disabled_reason(self, name: str) -> str | None:
        """Add: the row is not one that a person has chosen, or marked rows are hidden."""
        reason = super().disabled_reason(name)
        if reason is not None or not self.is_mounted:
            return reason
        if name == "mark_all" and self.listing.doubt == "loading":
            return "the list is still loading; its rows are not to be marked yet"
        return self._row_reason(name) if self.acts_on_rows(name) else None

    def not_ready_reason(self, name: str) -> str | None:
        """Hold a command back until the row that it acts on has been drawn."""
        listing = self.listing
        waits = listing.undrawn and (not listing.marks or name in _AT_CURSOR)
        if waits and self.acts_on_rows(name):
            return f"the list is still being drawn; press {self.command(name).key} again"
        return super().not_ready_reason(name)

    def refused(self, name: str, reason: str) -> None:
        """Show the row that the command will act on, when it is asked for again."""
        if self.is_mounted and self.acts_on_rows(name) and reason == self._row_reason(name):
            if not self.listing.marks or name in _AT_CURSOR:
                self.listing.look_again()
            self.refresh_frame()

    def mark_all(self) -> Coroutine[None, None, None] | None:
        """Mark the rows that are loaded; where those are marked, all rows of the list."""
        listing = self.listing
        before, marked = len(listing.marks), listing.mark_all()
        if marked == before and marked < listing.window.total:
            return self._mark_every()
        self._tell_marked(marked)
        return None

    async def _mark_every(self) -> None:
        with self.notices.working(f"loading {self.listing.counted(self.NOUN)} to mark them"):
            marked = await self.listing.mark_every(MOST_MARKED)
        self._tell_marked(marked)

    def _tell_marked(self, marked: int) -> None:
        total, back = self.listing.window.total, self.shell.key("back")
        if marked >= total:
            self.notice(f"{counted(marked, self.NOUN)} marked; {back} unmarks")
            return
        some = f"{marked:,} of {self.listing.counted(self.NOUN)} marked"
        if marked >= MOST_MARKED:
            self.notice(f"{some}, the most at once; a filter narrows the list", "warn")
        else:
            again = f"{self.shell.key('mark_all')} again marks all {total:,}"
            self.notice(f"{some}; {again}", "warn")

    def _hidden_marks(self) -> int:
        return self.listing.marks.unseen if self.narrowed else 0

    def _row_reason(self, name: str) -> str | None:
        listing = self.listing
        if listing.marks and name not in _AT_CURSOR:
            hidden = self._hidden_marks()
            if not hidden:
                return None
            of, back = counted(len(listing.marks), f"marked {self.NOUN}"), self.shell.key("back")
            are = "is" if hidden == 1 else "are"
            return f"{hidden:,} of {of} {are} hidden by the filter; {back} unmarks all"
        again = f"press {self.command(name).key} again"
        match listing.doubt:
            case "loading":
                return f"the list is still loading; {again} when it has loaded"
            case "replaced":
                return f"the list changed and the cursor is on another {self.NOUN}; look, {again}"
            case "hidden":
                return f"the {self.NOUN} under the cursor was not in view; look, {again}"
            case None:
                return None
