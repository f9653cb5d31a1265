"""The part of a long list that is in memory: a few pages, fetched by cursor as needed.

Independent of Textual. Rows have positions in the whole list (0 to total); if a very long list was
loaded from its end, positions count back from the total that the server reports.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypedDict, TypeVar

from hooktui.domain.wire.pages import MAX_LIMIT, Page

T = TypeVar("T")

PAGE = 100
"""Rows fetched at once: more than most terminals show."""

MAX_PAGES = 5

SEARCH_PAGES = 8
"""Pages of `MAX_LIMIT` rows that a search for a row by its id loads from each end of a list."""


class PageQuery(TypedDict):
    """The query for a page, with the API's parameter names, as ``client.calls`` accepts it."""

    cursor: str | None
    limit: int
    from_end: bool
    sort: str | None
    order: str | None


class PageSource(Protocol[T]):
    """A source of rows that returns one page of a list, by cursor."""

    async def page(self, query: PageQuery) -> Page[T]:
        """Return the page at a cursor; without one the first, or the last with ``from_end``.

        Raises:
            HooktuiError: the server did not return it.
        """
        ...


class OnePage(Generic[T]):
    """A `PageSource` of a list that is so short that one page holds it."""

    def __init__(self, rows: Callable[[], Sequence[T]]) -> None:
        self._rows = rows

    async def page(self, _: PageQuery) -> Page[T]:
        """Return all rows."""
        rows = list(self._rows())
        return Page(data=rows, total=len(rows))


@dataclass(slots=True)
class _Loaded(Generic[T]):
    """A page in memory and the query that returned it."""

    rows: list[T]
    cursor: str | None
    limit: int
    from_end: bool
    backward: bool
    prev: str | None
    next: str | None


class PageWindow(Generic[T]):
    """Adjacent pages of a list.

    Attributes:
        first: position of the first row in memory.
        total: number of rows in the whole list, as last reported by the server.
        estimated: whether ``total`` is an estimate.
        sort: the server's name of the sort order; None for its default.
        descending: whether the order is descending.
    """

    def __init__(self, source: PageSource[T], row_id: Callable[[T], Hashable]) -> None:
        self._source = source
        self._row_id = row_id
        self._pages: list[_Loaded[T]] = []
        self.first = 0
        self.total = 0
        self.estimated = False
        self.sort: str | None = None
        self.descending = False

    def copy(self) -> PageWindow[T]:
        """Return an independent window with the same pages."""
        copied = copy(self)
        copied._pages = [replace(page) for page in self._pages]
        return copied

    def empty(self) -> PageWindow[T]:
        """Return a window on the same source, in the same order, without rows."""
        empty = PageWindow(self._source, self._row_id)
        empty.sort, empty.descending = self.sort, self.descending
        return empty

    # -- rows in memory

    @property
    def end(self) -> int:
        """The position after the last row in memory."""
        return self.first + sum(len(page.rows) for page in self._pages)

    @property
    def has_more(self) -> bool:
        """Whether rows follow the ones in memory."""
        return bool(self._pages) and self._pages[-1].next is not None

    @property
    def has_before(self) -> bool:
        """Whether rows precede the ones in memory."""
        return bool(self._pages) and self._pages[0].prev is not None

    def row(self, position: int) -> T | None:
        """Return the row at a position, or None if it is not in memory."""
        at = position - self.first
        if at < 0:
            return None
        for page in self._pages:
            if at < len(page.rows):
                return page.rows[at]
            at -= len(page.rows)
        return None

    def rows(self) -> Iterator[T]:
        """Return the rows in memory."""
        for page in self._pages:
            yield from page.rows

    def find(self, identity: Hashable) -> int | None:
        """Return the position of a row by its id, or None if it is not in memory."""
        for at, row in enumerate(self.rows()):
            if self._row_id(row) == identity:
                return self.first + at
        return None

    def put(self, row: T) -> None:
        """Replace the row with the same id, if it is in memory."""
        for page in self._pages:
            page.rows = [
                row if self._row_id(old) == self._row_id(row) else old for old in page.rows
            ]

    def count_missing(self, identities: Iterable[Hashable]) -> int:
        """Return how many rows are not in memory, by their ids."""
        known = {self._row_id(row) for row in self.rows()}
        return sum(identity not in known for identity in identities)

    # -- fetching

    async def to_start(self) -> None:
        """Load the first page and drop all others."""
        self._pages = [await self._fetch(None)]
        self._settle()

    async def to_end(self) -> None:
        """Load the last page and drop all others."""
        page = await self._fetch(None, from_end=True)
        self._pages = [page]
        self.first = max(self.total - len(page.rows), 0)
        self._settle()

    async def to_row(
        self, identity: Hashable, pages: int = SEARCH_PAGES, *, begun: bool = False
    ) -> bool:
        """Load the part of the list that contains a row; return whether it was found.

        The API cannot return the position of an id, so pages are loaded from both ends of the list:
        a row near one end is also near an end in the reverse order. After ``pages`` pages from each
        end, the search gives up and leaves this window unchanged.

        ``begun``: this window has just been loaded from the start.
        """
        start, end = self.copy(), self.copy()
        if not begun:
            await start.to_start()
        for number in range(pages):
            if self._adopt(start, identity):
                return True
            if not start.has_more:
                return False
            if number == 0:
                await end.to_end()
            else:
                await end.load_previous(MAX_LIMIT)
            if self._adopt(end, identity):
                return True
            await start.load_next(MAX_LIMIT)
        return self._adopt(start, identity)

    async def all_rows(self, max_rows: int) -> list[T]:
        """Return up to ``max_rows`` rows from the start of the list; this window is unchanged."""
        other = self.copy()
        await other.to_start()
        rows, following = list(other.rows()), other._pages[-1].next
        while following is not None and len(rows) < max_rows:
            page = await other._fetch(following, MAX_LIMIT)
            rows, following = rows + page.rows, page.next
        return rows[:max_rows]

    def _adopt(self, other: PageWindow[T], identity: Hashable) -> bool:
        """Take over the pages of another window if they contain a row; return whether they do."""
        if other.find(identity) is None:
            return False
        self._pages, self.first = other._pages, other.first
        self.total, self.estimated = other.total, other.estimated
        return True

    async def load_next(self, limit: int = PAGE) -> None:
        """Load the page after the ones in memory; the first ones may be dropped."""
        if not self.has_more:
            return
        page = await self._fetch(self._pages[-1].next, limit)
        if page.rows:
            self._pages.append(page)
        else:  # a search without a match there; no page is dropped for an empty one
            self._pages[-1].next = page.next
        while len(self._pages) > MAX_PAGES:
            self.first += len(self._pages.pop(0).rows)
        self._settle()

    async def load_previous(self, limit: int = PAGE) -> None:
        """Load the page before the ones in memory; the last ones may be dropped."""
        if not self.has_before:
            return
        page = await self._fetch(self._pages[0].prev, limit, backward=True)
        if page.rows:
            self._pages.insert(0, page)
        else:
            self._pages[0].prev = page.prev
        self.first -= len(page.rows)
        del self._pages[MAX_PAGES:]
        self._settle()

    async def load_again(self, top: int, bottom: int) -> None:
        """Reload the pages that contain the positions ``top`` to ``bottom``.

        The pages after them are dropped and fetched again when needed: rows may have been added or
        deleted, so that the old page boundaries no longer match.
        """
        at, start = 0, self.first
        while at < len(self._pages) - 1 and start + len(self._pages[at].rows) <= top:
            start += len(self._pages[at].rows)
            at += 1
        old = self._pages[at] if self._pages else None
        if old is None:
            await self.to_start()
            return
        page = await self._fetch(
            old.cursor, old.limit, from_end=old.from_end, backward=old.backward
        )
        fresh = [page]
        end = start + len(page.rows)
        while end <= bottom and fresh[-1].next is not None and len(fresh) < MAX_PAGES:
            fresh.append(await self._fetch(fresh[-1].next))
            end += len(fresh[-1].rows)
        # A page that was fetched backwards has a fixed end, not a fixed start.
        pages = [] if page.backward or page.from_end else self._pages[:at]
        if not pages:
            self.first = start
        self._pages = pages + fresh
        if page.from_end:
            self.first = max(self.total - len(page.rows), 0)
        self._settle()

    async def _fetch(
        self,
        cursor: str | None,
        limit: int = PAGE,
        *,
        from_end: bool = False,
        backward: bool = False,
    ) -> _Loaded[T]:
        order = "desc" if self.descending else "asc" if self.sort else None
        page = await self._source.page(
            PageQuery(cursor=cursor, limit=limit, from_end=from_end, sort=self.sort, order=order)
        )
        self.total, self.estimated = page.total, page.total_is_estimate
        return _Loaded(page.data, cursor, limit, from_end, backward, page.prev, page.next)

    def _settle(self) -> None:
        """Align the positions with the ends of the list, once these are in memory."""
        if not self.has_before:
            self.first = 0
        self.first = max(self.first, 0)
        if not self.has_more:
            self.total = self.end
        self.total = max(self.total, self.end)
