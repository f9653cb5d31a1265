"""The part of a long list that is in memory: a few pages, fetched by cursor as they are needed.

Knows nothing of Textual. Rows have positions in the whole list (0 to total); where the list is very
long and was entered from its end, positions count back from the total that the server names.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypedDict, TypeVar

from hooktui.domain.wire.pages import Page

T = TypeVar("T")

PAGE = 100
"""Rows fetched at once: more than the tallest terminal shows."""

MAX_PAGES = 5

SEARCH_PAGE = 500
"""Rows fetched at once while a row is searched by its id: the most that the API returns."""

SEARCH_PAGES = 8
"""Pages that such a search reads from each end of a list."""


class PageQuery(TypedDict):
    """Which page is wanted, in the words of the API: ``client.calls`` takes it as it is."""

    cursor: str | None
    limit: int
    from_end: bool
    sort: str | None
    order: str | None


class PageSource(Protocol[T]):
    """Where rows come from: one page of a list, by cursor."""

    async def page(self, query: PageQuery) -> Page[T]:
        """Return the page at a cursor; None: the first one, or the last with ``from_end``.

        Raises:
            HooktuiError: the server does not give it.
        """
        ...


@dataclass(slots=True)
class _Loaded(Generic[T]):
    """A page in memory, and how it was asked for."""

    rows: list[T]
    cursor: str | None
    limit: int
    from_end: bool
    backward: bool
    prev: str | None
    next: str | None


class PageWindow(Generic[T]):
    """Pages of a list that lie side by side.

    Attributes:
        first: position of the first row in memory.
        total: rows in the whole list, as the server said last.
        estimated: whether that is an estimate.
        sort: the server's name of the order; None: its default.
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
        """Return a window of its own with the same pages, to change it apart from this one."""
        copied = copy(self)
        copied._pages = [replace(page) for page in self._pages]
        return copied

    # -- what is in memory

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
        """Return the row at a position, or None when it is not in memory."""
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
        """Return the position of a row by its id, or None when it is not in memory."""
        for at, row in enumerate(self.rows()):
            if self._row_id(row) == identity:
                return self.first + at
        return None

    # -- fetching

    async def to_start(self) -> None:
        """Load the first page and forget all others."""
        self._pages = [await self._fetch(None)]
        self._settle()

    async def to_end(self) -> None:
        """Load the last page and forget all others."""
        page = await self._fetch(None, from_end=True)
        self._pages = [page]
        self.first = max(self.total - len(page.rows), 0)
        self._settle()

    async def to_row(
        self, identity: Hashable, pages: int = SEARCH_PAGES, *, begun: bool = False
    ) -> bool:
        """Load the part of the list that holds a row; return whether it was found.

        The API has no position of an id. So pages are read from both ends of the list: a row near
        one end is near one of them in the reverse order, too. After ``pages`` pages from each end
        the search gives up and leaves this window unchanged.

        Args:
            identity: of the row.
            pages: the most that are read from each end.
            begun: whether this window has just been loaded from the start.
        """
        start, end = self.copy(), self.copy()
        if not begun:
            await start.to_start()
        for number in range(pages):
            if start.find(identity) is not None:
                return self._adopt(start)
            if not start.has_more:
                return False
            if number == 0:
                await end.to_end()
            else:
                await end.load_previous(SEARCH_PAGE)
            if end.find(identity) is not None:
                return self._adopt(end)
            await start.load_next(SEARCH_PAGE)
        return start.find(identity) is not None and self._adopt(start)

    async def all_rows(self, max_rows: int) -> list[T]:
        """Return all rows of the list from its start, ``max_rows`` of them; this window stays."""
        other = self.copy()
        await other.to_start()
        rows, following = list(other.rows()), other._pages[-1].next
        while following is not None and len(rows) < max_rows:
            page = await other._fetch(following, SEARCH_PAGE)
            rows, following = rows + page.rows, page.next
        return rows[:max_rows]

    def _adopt(self, other: PageWindow[T]) -> bool:
        self._pages, self.first = other._pages, other.first
        self.total, self.estimated = other.total, other.estimated
        return True

    async def load_next(self, limit: int = PAGE) -> None:
        """Load the page after the ones in memory; the first ones may go."""
        if not self.has_more:
            return
        page = await self._fetch(self._pages[-1].next, limit)
        if page.rows:
            self._pages.append(page)
        else:  # a search that found nothing there: the pages before it are not to go for that
            self._pages[-1].next = page.next
        while len(self._pages) > MAX_PAGES:
            self.first += len(self._pages.pop(0).rows)
        self._settle()

    async def load_previous(self, limit: int = PAGE) -> None:
        """Load the page before the ones in memory; the last ones may go."""
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
        """Load the pages that hold the positions ``top`` to ``bottom`` again.

        What follows them is forgotten and fetched again when needed: rows may have come or gone, so
        that the old borders no longer meet.
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
        """Bring positions in line with the ends of the list, once those are in memory."""
        if not self.has_before:
            self.first = 0
        self.first = max(self.first, 0)
        if not self.has_more:
            self.total = self.end
        self.total = max(self.total, self.end)
