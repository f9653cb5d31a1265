"""Check that row commands act only on rows that the user has visibly selected.

A command does not act on a row that moved under the cursor by itself, on one that is not visible,
on one of a list that is still loading, or on marked rows that a filter hides. It shows the reason
and the row, and acts when it is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from hooktui.console.frame.parts import Handler, ScreenPart
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.widgets.styled import StyledLine
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.text import counted

MAX_MARKED: Final = 5_000
"""Maximum number of marked rows: a command on them needs one call for each."""

_AT_CURSOR: Final = ("open", "mark")
"""Commands that act on the row under the cursor even while others are marked."""


class ChosenRows(ScreenPart):
    """The rows of a list that commands act on.

    Args:
        screen: the screen of the list.
        noun: the noun for one row.
        commands: the commands that act on the selected rows, and need one.
        active: returns whether they currently do.
        narrowed: returns whether a filter hides rows.
        hint: returns a hint for the case that there is none; empty: no hint.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        noun: str,
        commands: Sequence[str],
        *,
        active: Callable[[], bool] = lambda: True,
        narrowed: Callable[[], bool] = lambda: False,
        hint: Callable[[], str] = lambda: "",
    ) -> None:
        self._screen, self._noun, self._commands = screen, noun, commands
        self._active, self._narrowed, self._hint = active, narrowed, hint

    @property
    def listing(self) -> WindowedList[Any]:
        """The list."""
        return self._screen.listing

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of "mark" and "mark all"."""
        return {"mark": self.mark, "mark_all": self.mark_all}

    def disabled_reason(self, name: str) -> str | None:
        """Return why the row is not visibly selected, or that there is none; None: it is."""
        if name == "mark_all" and self.listing.stale_reason == "loading":
            return "the list is still loading; rows can be marked once it is loaded"
        if not self._acts(name):
            return None
        reason = self._row_reason(name)
        if reason is None and not self.listing.selected:
            hint = self._hint()
            return f"there is no {self._noun} under the cursor" + (f"; {hint}" if hint else "")
        return reason

    def undrawn_reason(self, name: str) -> str | None:
        """Return why a command must wait until the row that it acts on has been drawn, or None."""
        listing = self.listing
        waits = listing.undrawn and (not listing.marks or name in _AT_CURSOR)
        if waits and self._acts(name):
            return f"the list is still being drawn; press {self._key(name)} again"
        return None

    def refused(self, name: str, reason: str) -> None:
        """Show the row that a refused command will act on when it is repeated."""
        if self._acts(name) and reason == self._row_reason(name):
            if not self.listing.marks or name in _AT_CURSOR:
                self.listing.show_cursor()
            self._screen.refresh_frame()

    def forget(self, identities: Iterable[Hashable]) -> None:
        """Unmark rows whose objects do not exist any more."""
        self.listing.unmark(identities)

    def marked_words(self) -> str:
        """Return the number of marked rows, and how many a filter hides; empty: none is marked."""
        if not self.listing.marks:
            return ""
        marked, hidden = len(self.listing.marks), self._hidden_marks()
        return f"{marked:,} marked" + (f" ({hidden:,} hidden by the filter)" if hidden else "")

    def heading(self) -> StyledLine:
        """Return the number of marked rows for the heading of the screen."""
        words = self.marked_words()
        return ((f" {self._screen.shell.glyphs.dot} {words}", "accent"),) if words else ()

    def mark(self) -> Coroutine[None, None, None] | None:
        """Mark or unmark the row under the cursor."""
        self.listing.toggle_mark()
        return None

    def mark_all(self) -> Coroutine[None, None, None] | None:
        """Mark the loaded rows; if all of these are marked already, all rows of the list."""
        listing = self.listing
        if not listing.window.total:
            self._screen.notice(f"there is no {self._noun} to mark")
            return None
        before, marked = len(listing.marks), listing.mark_all(MAX_MARKED)
        if marked == before and marked < min(listing.window.total, MAX_MARKED):
            return self._mark_every()
        self._notify_marked(marked)
        return None

    async def _mark_every(self) -> None:
        few = self.listing.window.total <= MAX_MARKED
        what = self.listing.counted(self._noun) if few else f"{MAX_MARKED:,} of them"
        loading = f"loading {what} to mark them"
        with self._screen.notices.working(loading):
            marked = await self.listing.mark_every(MAX_MARKED)
        self._notify_marked(marked)

    def _notify_marked(self, marked: int) -> None:
        total, key = self.listing.window.total, self._screen.shell.key
        if marked >= total:
            self._screen.notice(f"{counted(marked, self._noun)} marked; {key('back')} unmarks")
            return
        count = f"{marked:,} of {self.listing.counted(self._noun)} marked"
        if marked >= MAX_MARKED:
            self._screen.notice(f"{count}, the maximum; a filter narrows the list", "warn")
        else:
            most = f"all {total:,}" if total <= MAX_MARKED else f"up to {MAX_MARKED:,}"
            again = f"{key('mark_all')} again marks {most}"
            self._screen.notice(f"{count}; {again}", "warn")

    def _acts(self, name: str) -> bool:
        return name in self._commands and self._active()

    def _key(self, name: str) -> str:
        return self._screen.command(name).key

    def _hidden_marks(self) -> int:
        return self.listing.marks.unseen if self._narrowed() else 0

    def _row_reason(self, name: str) -> str | None:
        listing = self.listing
        if listing.marks and name not in _AT_CURSOR:
            hidden = self._hidden_marks()
            if not hidden:
                return None
            marked = counted(len(listing.marks), f"marked {self._noun}")
            back = self._screen.shell.key("back")
            are = "is" if hidden == 1 else "are"
            return f"{hidden:,} of {marked} {are} hidden by the filter; {back} unmarks all"
        again = f"press {self._key(name)} again"
        match listing.stale_reason:
            case "loading":
                return f"the list is still loading; {again} when it has loaded"
            case "replaced":
                return f"the cursor is now on another {self._noun}; check it, then {again}"
            case "hidden":
                return f"the {self._noun} under the cursor was not in view; check it, then {again}"
            case None:
                return None
