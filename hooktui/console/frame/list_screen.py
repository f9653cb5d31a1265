"""A full screen that is one list, and its sort order."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from textual.app import ComposeResult
from textual.worker import Worker

from hooktui.console.frame.choosing import Choosing
from hooktui.console.frame.frame_text import top_screens
from hooktui.console.shell.feed_changes import FeedChanges
from hooktui.console.widgets.page_window import PageQuery
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.table import Column
from hooktui.console.widgets.windowed_list import WindowedList
from hooktui.domain.errors import NotAllowed
from hooktui.domain.roles import Need, allows, why_not
from hooktui.domain.wire.pages import Page

if TYPE_CHECKING:
    from hooktui.client.calls import Call


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

    def __init__(self) -> None:
        super().__init__()
        self.handlers.update(sort=self.sort, order=self.order)

    def sort(self) -> None:
        """Sort by the next column that can be sorted."""
        self._sort(self.listing.next_sort(), descending=self.NEWEST_FIRST)

    def order(self) -> None:
        """Turn the order round."""
        window = self.listing.window
        self._sort(window.sort, descending=not window.descending)

    def _sort(self, sort: str | None, *, descending: bool) -> None:
        listing = self.listing
        turned = listing.sort_by(sort, descending=descending)
        _: Worker[None] = self.run_worker(turned, group="sort", exclusive=True)
        title = next((one.title for one in listing.columns if one.sort == sort), self.UNSORTED)
        self.notice(f"sorted by {title}, {self.FIRST[descending]} first")


T = TypeVar("T")

_LINE: Final = 74
"""Cells of a sentence, so that it is whole in a terminal of 80."""


class ListScreen(Sorting, Generic[T]):
    """A list of things of one kind, by pages.

    A screen says what it lists (`call_of`), in which columns, and what to do with a line. Who may
    not see the list is told so in its place, and the server is not asked.
    """

    NEED: ClassVar[Need] = Need.READ
    """What the server asks of who sees the list."""
    SORT: ClassVar[str | None] = "id"
    DESCENDING: ClassVar[bool] = False

    EMPTY: ClassVar[tuple[StyledLine, ...]] = ()
    """What stands there while there is nothing: what this is, and how to begin."""

    def columns(self) -> Sequence[Column[T]]:
        """Return the columns."""
        raise NotImplementedError

    def row_id(self, row: T) -> Hashable:
        """Return what identifies a line for ever."""
        raise NotImplementedError

    def call_of(self, wanted: PageQuery) -> Call[Page[T]]:
        """Return the call that asks for a page."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        """The list."""
        # Kept, not looked up: a page may come in while the screen is being taken away.
        self._listing: WindowedList[T] = WindowedList(
            self.columns(),
            self,
            self.row_id,
            empty=self.empty_lines(),
            markable=False,
            sort=self.SORT,
            descending=self.DESCENDING,
            glyphs=self.shell.glyphs,
            id="list",
        )
        yield self._listing

    def on_mount(self) -> None:
        """Load the list."""
        super().on_mount()
        self.load()

    @property
    def listing(self) -> WindowedList[T]:
        """The list."""
        return self._listing

    @property
    def cursor_row(self) -> T | None:
        """The line under the cursor; None while there is none."""
        return self.listing.cursor_row if self.is_mounted else None

    def load(self) -> None:
        """Load the list from its start."""
        self.listing.load_anew()

    async def page(self, wanted: PageQuery) -> Page[T]:
        """Return a page; nothing, and the reason, where the server does not show the list."""
        call = self.call_of(wanted)
        await self.shell.status.known()
        role = self.shell.role
        if not allows(role, self.NEED):
            return self._barred(why_not(role, self.NEED))
        try:
            page = await self.ask(call)
        except NotAllowed as refusal:
            return self._barred(refusal.detail)
        self.listing.empty = self.empty_lines()
        return page

    def _barred(self, reason: str) -> Page[T]:
        told = textwrap.wrap(f"{reason[:1].upper()}{reason[1:]}.", _LINE)
        self.listing.empty = (
            ((f"  {self.HEADING} are not shown to you.", "strong"),),
            (),
            *(((f"  {line}", "plain"),) for line in told),
            (),
            ((f"  {self.shell.key('back')}", "accent"), ("  goes back", "plain")),
        )
        return Page()

    def empty_lines(self) -> tuple[StyledLine, ...]:
        """Return what stands there while there is nothing; another text while a filter is on."""
        return self.EMPTY

    async def changed(self, changes: FeedChanges) -> None:
        """Load again what is seen, when more changed than the feed tells of single things."""
        if changes.everything:
            await self.listing.reload()

    def heading(self) -> tuple[StyledLine, StyledLine]:
        """Return how many lines there are."""
        left: list[StyledText] = [(f" {self.HEADING}", "strong")]
        if self.listing.window.total:
            left.append((f"  {self.listing.counted(self.NOUN)}", "plain"))
        return [*left, *self.more_heading()], top_screens(self.HEADING)

    def more_heading(self) -> StyledLine:
        """Return what else the heading tells, such as a filter."""
        return ()

    def on_windowed_list_moved(self) -> None:
        """Draw what depends on the line under the cursor, and the count."""
        self.refresh_frame()

    def on_windowed_list_failed(self, message: WindowedList.Failed) -> None:
        """Say why there are no lines."""
        self.show_error(message.error)

    def disabled_reason(self, name: str) -> str | None:
        """Add: there is no line under the cursor."""
        reason = super().disabled_reason(name)
        if reason is None and name in ("open", "copy", "delete") and self.cursor_row is None:
            return f"there is no {self.NOUN} under the cursor"
        return reason

    def on_windowed_list_opened(self) -> None:
        """Open the line under the cursor."""
        self.run_command("open")
