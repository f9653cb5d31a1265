"""Base class of screens that show one list, its sort order, and its tabs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from textual.app import ComposeResult

from hooktui.console.frame.chosen_rows import ChosenRows
from hooktui.console.frame.filtering import FilterPart
from hooktui.console.frame.frame_text import LINE, end_reason, no_match
from hooktui.console.frame.notices import OLDER_SERVER
from hooktui.console.frame.parts import Handler, ScreenPart, acts_on
from hooktui.console.frame.screen import ConsoleScreen
from hooktui.console.registry import BY_NAME, Command, ScreenTab, top_screen_of
from hooktui.console.shell.change_feed import FeedChanges
from hooktui.console.shell.session_state import ScreenState
from hooktui.console.widgets.chrome import TabLine
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText, wrapped
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import NotAllowed, OlderServer
from hooktui.domain.roles import Need, allows, why_not
from hooktui.domain.text import visible
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.replays import ReplaySelection

if TYPE_CHECKING:
    from hooktui.client.calls import Call


class SortPart(ScreenPart):
    """Sorts a list by its columns.

    Args:
        screen: the screen of the list.
        by_time: whether the rows are in the order of time; another column then starts in
            descending order.
    """

    def __init__(self, screen: ConsoleScreen, *, by_time: bool = False) -> None:
        self._screen, self._by_time = screen, by_time

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers that sort by another column and reverse the order."""
        return {"sort": self.sort, "order": self.reverse}

    def sort(self) -> None:
        """Sort by the next column that can be sorted."""
        column = self._screen.listing.next_sort()
        if column is None:
            self._screen.notice("no visible column can be sorted", "warn")
            return
        self._sort(column, descending=self._by_time)

    def reverse(self) -> None:
        """Reverse the sort order."""
        window = self._screen.listing.window
        self._sort(window.sort, descending=not window.descending)

    def _sort(self, sort: str | None, *, descending: bool) -> None:
        listing = self._screen.listing
        self._screen.run_latest(partial(listing.sort_by, sort, descending=descending), "sort")
        titles = (column.heading for column in listing.columns if sort and column.sort == sort)
        title = next(titles, "time" if self._by_time else "id")
        by_time = self._by_time or (sort or "").endswith("_at")
        first = ("oldest", "newest") if by_time else ("smallest", "largest")
        self._screen.notice(f"sorted by {title}, {first[descending]} first")


class ScreenTabs(ScreenPart):
    """The line of tabs of a screen, and the commands that switch between them.

    The class of the screen is that of one of the tabs.
    """

    def __init__(self, screen: ConsoleScreen, tabs: Sequence[ScreenTab]) -> None:
        self._screen, self._tabs = screen, tuple(tabs)
        name = type(screen).__name__
        self._here = [tab.screen.rpartition(":")[2] for tab in tabs].index(name)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers that show the previous and the next tab."""
        here = self._here
        return {"previous": lambda: self.show(here - 1), "next": lambda: self.show(here + 1)}

    @property
    def labels(self) -> tuple[Command, ...]:
        """The commands that switch to another tab."""
        return (BY_NAME["previous"], BY_NAME["next"])

    def disabled_reason(self, name: str) -> str | None:
        """Return that there is no tab before the first or after the last one, or None."""
        return end_reason(name, self._here, len(self._tabs), "tab")

    def line(self) -> TabLine:
        """Return the line of tabs."""
        names = [tab.name for tab in self._tabs]
        line = TabLine(names, self._screen.shell.key, self.show)
        line.choose(self._here)
        return line

    def show(self, number: int) -> None:
        """Show a tab by its number; a number without a tab is ignored."""
        if number != self._here and 0 <= number < len(self._tabs):
            self._screen.shell.navigation.show_tab(self._tabs[number].screen)


T = TypeVar("T")

ChangeKind = Literal["hooks", "deliveries", "events", "replays", "alerts"]
"""A field of `FeedChanges`."""
_id_of: Callable[[object], Hashable] = attrgetter("id")


class ListScreen(ConsoleScreen, Generic[T]):
    """Base class of screens that show objects of one kind in a paged list.

    A subclass defines the call that loads a page (`call_of`), the columns, and the commands on a
    row. A caller without access gets the reason in place of the list, without a call.

    Attributes:
        NOUN: the noun for one row.
        ROW_COMMANDS: the commands that act on the row under the cursor.
        listing: the list.
        rows: the rows that commands act on.
        filter: the filter of the list; one of the parts if there is a hint.
        tabs: the tabs of the top screen that the list is one of; None: it has none.
    """

    NOUN: ClassVar[str] = "line"
    ROW_COMMANDS: ClassVar[tuple[str, ...]] = ()

    MARKABLE: ClassVar[bool] = False
    """Whether rows can be marked."""

    NEED: ClassVar[Need] = Need.READ
    """What the server requires of callers that list the objects."""
    SORT: ClassVar[str | None] = "id"
    DESCENDING: ClassVar[bool] = False
    NEWEST_FIRST: ClassVar[bool] = False
    """Whether the rows are in the order of time, the newest first."""
    FOLLOWS: ClassVar[tuple[ChangeKind, ...]] = ()
    """The changes after which the list is reloaded."""
    BUSY_S: ClassVar[float] = 0.0
    """The minimum number of seconds between two such reloads."""

    FILTER_HINT: ClassVar[str] = ""
    """Placeholder of the filter input, with examples; empty: the list has no filter."""

    def __init__(self, filter_text: str = "") -> None:
        super().__init__()
        self._given = filter_text
        self._linked = self._remembered = ""
        self._read_at = 0.0
        self.filter = FilterPart(
            self,
            self.FILTER_HINT,
            check=self.check_filter,
            changed=self.filter_changed,
            focus=self.focus_body,
        )
        self.rows = self.chosen_rows()
        self.parts = (self.rows, SortPart(self, by_time=self.NEWEST_FIRST))
        top = top_screen_of(type(self).__name__)
        self.tabs = ScreenTabs(self, top.tabs) if top is not None and top.tabs else None
        if self.tabs is not None:
            self.parts = (*self.parts, self.tabs)
        if self.FILTER_HINT:
            self.parts = (*self.parts, self.filter)

    def chosen_rows(self) -> ChosenRows:
        """Return the part of the rows that commands act on."""
        return ChosenRows(self, self.NOUN, self.ROW_COMMANDS, hint=self.row_hint)

    def row_hint(self) -> str:
        """Return the hint for the case that there is no row; empty: no hint."""
        return ""

    def columns(self) -> Sequence[Column[T]]:
        """Return the columns."""
        raise NotImplementedError

    def row_id(self, row: T) -> Hashable:
        """Return the permanent identity of a row: its id, unless the objects have none."""
        return _id_of(row)

    def call_of(self, query: PageQuery) -> Call[Page[T]]:
        """Return the call that loads a page."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        """Compose the list, below the line of tabs if it is one of several."""
        if self.tabs is not None:
            yield self.tabs.line()
        self.listing: WindowedList[T] = WindowedList(
            self.columns(),
            self,
            self.row_id,
            empty=self.empty_lines(),
            markable=self.MARKABLE,
            sort=self.SORT,
            descending=self.DESCENDING or self.NEWEST_FIRST,
            id="list",
        )
        yield self.listing

    def begin(self) -> None:
        """Set up the screen, and load the list."""
        super().begin()
        self.listing.load_anew()

    @property
    def cursor_row(self) -> T | None:
        """The row under the cursor; None while there is none."""
        return self.listing.cursor_row if self.is_mounted else None

    def on_row(self, act: Callable[[T], Coroutine[None, None, None] | None]) -> Handler:
        """Return the handler of a command that acts on the row under the cursor."""
        return acts_on(lambda: self.cursor_row, act)

    async def page(self, query: PageQuery) -> Page[T]:
        """Return a page; without access, an empty one that shows the reason."""
        call = self.call_of(query)
        await self.shell.status.known()
        role = self.shell.role
        if not allows(role, self.NEED):
            return self._barred(why_not(role, self.NEED))
        try:
            page = await self.send(call)
        except NotAllowed as refusal:
            return self._barred(refusal.detail)
        except OlderServer:
            return self._barred(OLDER_SERVER, f"{self.HEADING}: not available on this server.")
        self.listing.empty = self.empty_lines()
        return page

    def _barred(self, reason: str, title: str = "") -> Page[T]:
        lines = wrapped(visible(f"{reason[:1].upper()}{reason[1:]}."), LINE)
        self.listing.empty = (
            ((f"  {title or f'{self.HEADING}: you have no access.'}", "strong"),),
            (),
            *(((f"  {line}", "plain"),) for line in lines),
            (),
            ((f"  {self.shell.key('back')}", "accent"), ("  goes back", "plain")),
        )
        return Page()

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return the text of the empty list: its purpose and how to start, or that none matches."""
        return ()

    def no_match(self, text: str, rest: str) -> tuple[StyledLine, ...]:
        """Return the text of a filter without matches; "back" removes one that was typed."""
        return no_match(text, "" if self.is_linked else rest, self.shell.key)

    async def changed(self, changes: FeedChanges) -> None:
        """Reload the visible rows; after a gap in the feed immediately."""
        if not changes.everything:
            if not any(getattr(changes, kind) for kind in self.FOLLOWS):
                return
            await asyncio.sleep(max(self._read_at + self.BUSY_S - monotonic(), 0))
        self._read_at = monotonic()
        await self.listing.reload()

    def heading(self) -> StyledLine:
        """Return the heading with the number of rows."""
        left: list[StyledText] = [(f" {self.HEADING}", "strong")]
        if self.listing.window.total:
            left.append((f"  {self.listing.counted(self.NOUN)}", "plain"))
        return [*left, *self.more_heading()]

    def save_state(self) -> ScreenState:
        """Return the filter, if the list has one; the one it was opened with is for this time."""
        text = self._remembered if self.is_linked else self.filter.text
        return {"filter": text} if self.FILTER_HINT else {}

    def load_state(self, state: ScreenState) -> None:
        """Apply the initial filter, or else the saved one."""
        self._linked, self._given = self._given, ""
        if self.FILTER_HINT:
            self._remembered = str(state.get("filter") or "")
            self.filter.restore(self._linked or self._remembered)

    @property
    def is_linked(self) -> bool:
        """Whether the filter is the one that another screen opened this list with."""
        return bool(self._linked) and self.filter.text == self._linked

    def check_filter(self, text: str) -> object:
        """Check a filter of this list.

        Raises:
            Refused: it is not a filter of this list.
        """
        return None

    def focus_body(self) -> None:
        """Move the focus to the list."""
        self.listing.focus()

    def filter_changed(self) -> None:
        """Load the rows that match the new filter."""
        self.listing.load_anew()

    def more_heading(self) -> StyledLine:
        """Return the rest of the heading: the filter."""
        return self.filter.heading()

    def back(self) -> None:
        """Remove a filter that was typed, then close the screen."""
        if self.is_linked or not self.filter.clear():
            super().back()

    # Handlers that a subclass may register.

    async def copy(self) -> None:
        """Copy the id of the row under the cursor."""
        if self.cursor_row is not None:
            row_id = str(self.row_id(self.cursor_row))
            await self.copy_text(row_id, f"the {self.NOUN}'s id")

    def emit(self) -> None:
        """Open the form that sends an event."""
        self.shell.navigation.open_emit()

    def replay(self) -> None:
        """Plan a replay of all undelivered events, or of those that match the filter."""
        self.shell.navigation.open_replay_form(
            ReplaySelection(hooks="all", filter=self.filter.text or None)
        )
