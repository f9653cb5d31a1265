"""Pages of lists: keyset paging both ways over named sorts, with opaque cursors and totals."""

from __future__ import annotations

import base64
import binascii
import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from operator import itemgetter
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    func,
    literal,
    select,
    true,
    tuple_,
    union_all,
)

from hooktui.domain.errors import Refused
from hooktui.domain.json_text import Steps
from hooktui.domain.wire.pages import Page
from hooktui.store.queries.pace import Pace

R = TypeVar("R")
T = TypeVar("T")
Order = Literal["asc", "desc"]
RowCheck = Callable[[R], Steps[bool]]

DEFAULT_LIMIT = 50
MAX_PAGE_BYTES = 1024 * 1024
"""Texts in a page's rows: the page ends before a row that exceeds this. A single row may."""
_FIRST_ROWS = DEFAULT_LIMIT + 1
EXACT_TOTAL = 10_000
"""A total is exact up to here; beyond, it is an estimate."""
_MAX_COUNTED = 1_000_000  # entries of an index, some 30 ms
_MAX_SCANNED = 5_000  # rows that a filter outside SQL reads for one page
SEARCH_S = 2.0
"""Maximum duration of a filter outside SQL for one page."""
_SAMPLED, SAMPLE_S = 500, 0.25
"""The newest rows, and seconds, from which the total of such a filter is estimated if its page read
fewer rows: the share of a match in the few rows of a small page says little."""
WINDOW = 100_000
"""Rows that a filter in SQL reads for one page, about 25 ms; the next page continues there. So the
duration of a page does not depend on the size of the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """The request of a page: ``cursor`` is the ``next`` or ``prev`` of another page.

    ``limit`` is 1 to `MAX_LIMIT`, which the API checks. ``from_end`` requests the last page.
    Without a sort, the newest come first; with one, the smallest. ``selection`` identifies
    what selects the rows: a cursor only continues its own.
    """

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    sort: str | None = None
    order: Order | None = None
    from_end: bool = False
    selection: str = ""


@dataclass(frozen=True, slots=True)
class PagedQuery(Generic[R]):
    """A list that can be paged.

    Attributes:
        rows: selects its rows, without order and limit.
        record: returns a typed row from the values that ``rows`` selects.
        key: its unique column, the tie-breaker among equals.
        sorts: by name, expressions that are never NULL; None: the key itself.
        keep: a condition outside SQL; the query pauses between rows and sees rows stored meanwhile,
            so such a list is only sorted by immutable columns.
        walk: selects only the keys, from one index: ``rows`` without the conditions that need the
            rows themselves, cheap to count even for a million. None: a short list.
        narrowed: whether ``rows`` has conditions that ``walk`` lacks.
        counted: selects as many rows as ``rows`` with fewer joins: counted exactly to a million.
        parts: disjoint conditions that ``rows`` and ``walk`` lack; the rows of each are read along
            an index in the order of the key, and merged. Only for lists that are sorted by the key.
        more_bytes: returns the size of what belongs to a row beside its own values.
    """

    rows: Select[Any]
    record: Callable[..., R]
    key: ColumnElement[int]
    sorts: Mapping[str, ColumnElement[Any] | None]
    keep: RowCheck[R] | None = None
    walk: Select[Any] | None = None
    narrowed: bool = False
    counted: Select[Any] | None = None
    parts: Sequence[ColumnElement[bool]] = ()
    more_bytes: Callable[[R], int] = lambda _row: 0


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: after a row, or at an end of the list if ``key`` is None."""

    sort: str
    order: Order
    backwards: bool
    key: int | None = None
    value: int | str | None = None


class _Name(NamedTuple):
    """What a cursor belongs to: a list, such as ``hook.id``, and the selection of its rows."""

    of_list: str
    selection: str

    def __str__(self) -> str:
        return "?".join(filter(None, self))


_Key = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]  # PostgreSQL has no NUL in texts
_WRITTEN = msgspec.json.Decoder(tuple[str, str, Order, bool, _Key | None, _Key | _Text | None])


def page_of(
    conn: Connection,
    request: PageRequest,
    listing: PagedQuery[R],
    build: Callable[[Sequence[R]], Sequence[T]],
) -> Page[T]:
    """Return one page; ``build`` creates its objects from their rows, in bulk.

    Raises:
        Refused: unknown sort or bad cursor.
    """
    name = _Name(str(listing.key), request.selection)
    start = _start(request, listing.sorts, name)
    found, ahead, scanned = _walk(conn, listing, start, request.limit)
    rows = [row for row, _ in found]
    whole = ahead is None and start.key is None
    if whole:
        total, is_estimate = len(rows), False
    elif listing.keep is None:
        total, is_estimate = _total(conn, listing)
    else:
        total, is_estimate = _total_outside_sql(conn, listing, listing.keep, len(rows), scanned)
    total = max(total, len(rows))
    if start.backwards:
        rows.reverse()
    following, previous = _links(start, found[0][1] if found else ahead, ahead, name)
    return Page(
        data=list(build(rows)),
        next=following,
        prev=previous,
        total=total,
        total_is_estimate=is_estimate,
    )


def page_in_memory(
    request: PageRequest,
    rows: Iterable[R],
    sorts: Mapping[str, Callable[[R], int]],
    key: Callable[[R], int],
    of_list: str,
) -> Page[R]:
    """Return one page of a list that is computed as a whole for each page.

    Args:
        request: of the page.
        rows: in any order; reading them may pause.
        sorts: by name, integers of a row; without a sort, the greatest by the first come first.
        key: a unique integer of a row, the tie-breaker among equals.
        of_list: identifies the list in cursors.

    Raises:
        Refused: unknown sort or bad cursor.
    """
    name = _Name(of_list, request.selection)
    start = _start(request, sorts, name)
    value, descending = sorts[start.sort], _descends(start)
    here = None if start.key is None else (start.value, start.key)
    total = 0

    def ahead_rows() -> Iterator[tuple[tuple[int, int], R]]:
        nonlocal total
        for row in rows:
            total += 1
            position = value(row), key(row)
            if here is None or (position < here if descending else position > here):
                yield position, row

    first_of = heapq.nlargest if descending else heapq.nsmallest
    nearest = first_of(request.limit + 1, ahead_rows(), itemgetter(0))

    def after(position: tuple[int, int]) -> _Cursor:
        return _Cursor(start.sort, start.order, start.backwards, position[1], position[0])

    shown = nearest[: request.limit]
    first = after(shown[0][0]) if shown else None
    ahead = after(shown[-1][0]) if len(nearest) > request.limit else None
    if start.backwards:
        shown.reverse()
    following, previous = _links(start, first, ahead, name)
    return Page(data=[row for _, row in shown], next=following, prev=previous, total=total)


def _links(
    start: _Cursor, first: _Cursor | None, ahead: _Cursor | None, name: _Name
) -> tuple[str | None, str | None]:
    """Return ``next`` and ``prev`` of a page.

    Args:
        start: where the page begins.
        first: the cursor after its first row, in scan order.
        ahead: where the scan continues; None: nowhere.
        name: identifies the list.
    """
    behind = None
    if start.key is not None:
        # An empty page is followed by the end of the list that it was to continue.
        first = first or replace(start, key=None, value=None)
        behind = replace(first, backwards=not start.backwards)
    if start.backwards:
        ahead, behind = behind, ahead
    return _write(ahead, name), _write(behind, name)


def _start(request: PageRequest, sorts: Mapping[str, object], name: _Name) -> _Cursor:
    if request.sort is not None and request.sort not in sorts:
        known = ", ".join(sorts)
        raise Refused.field("/sort", f"unknown sort {request.sort[:50]!r}; known: {known}")
    if request.cursor is None:
        sort = request.sort or next(iter(sorts))
        order = request.order or ("asc" if request.sort else "desc")
        return _Cursor(sort, order, request.from_end)
    cursor = _read(request.cursor, name)
    by = sorts.get(cursor.sort)
    kind = str if isinstance(by, ColumnElement) and isinstance(by.type, String) else int
    fits = cursor.value is None if cursor.key is None else isinstance(cursor.value, kind)
    if cursor.sort not in sorts or not fits:
        raise _bad_cursor()
    if request.sort not in (None, cursor.sort) or request.order not in (None, cursor.order):
        raise Refused.field("/cursor", "the cursor belongs to another sort; start a new list")
    return cursor


def _walk(
    conn: Connection, listing: PagedQuery[R], start: _Cursor, limit: int
) -> tuple[list[tuple[R, _Cursor]], _Cursor | None, int]:
    """Return rows in scan order, where the scan can continue (None: nowhere), and rows seen.

    Each row comes with the cursor after it.
    """
    rows: list[tuple[R, _Cursor]] = []
    at, scanned, size_bytes, pace = start, 0, 0, Pace(conn)
    give_up_s = time.monotonic() + SEARCH_S
    scan_end = _scan_end(conn, listing, start)
    while True:
        if listing.keep is None:
            max_rows = min(limit - len(rows) + 1, _rows_to_read(len(rows), size_bytes))
        else:
            max_rows = max(2 * limit, _FIRST_ROWS)
        chunk = _chunk(conn, listing, at, scan_end, max_rows)
        for index, (*values, key, sort_value) in enumerate(chunk):
            row = listing.record(*values)
            fits = listing.keep is None or pace.run(listing.keep(row))
            row_bytes = _size_bytes(values) + listing.more_bytes(row) if fits else 0
            full = len(rows) == limit or size_bytes + row_bytes > MAX_PAGE_BYTES
            if fits and rows and full:
                return rows, at, scanned + index
            at = _Cursor(start.sort, start.order, start.backwards, key, sort_value)
            if fits:
                rows.append((row, at))
                size_bytes += row_bytes
            if listing.keep is not None and time.monotonic() > give_up_s:
                return rows, at, scanned + index + 1
        scanned += len(chunk)
        if len(chunk) < max_rows:
            end = None if scan_end is None else replace(start, key=scan_end, value=scan_end)
            return rows, end, scanned
        if scanned >= _MAX_SCANNED:
            return rows, at, scanned


def _rows_to_read(read: int, size_bytes: int) -> int:
    """Return how many rows to read next, so that memory never holds many large ones."""
    if read == 0:
        return _FIRST_ROWS
    return max(0, MAX_PAGE_BYTES - size_bytes) * read // size_bytes + 1


def _size_bytes(values: Sequence[object]) -> int:
    """Return the approximate size of a row: its texts, and 8 bytes for each other value."""
    return sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in values)


def _scan_end(conn: Connection, listing: PagedQuery[R], cursor: _Cursor) -> int | None:
    """Return the last key that a page may scan; None: to the end of the list."""
    if listing.walk is None or not listing.narrowed:
        return None
    keys = _after(replace(listing, rows=listing.walk), cursor)
    parts = listing.parts or [true()]
    last = [keys.where(part).limit(1).offset(WINDOW // len(parts)) for part in parts]
    ends = conn.execute(_union(listing, last)).scalars().all()
    return (max if _descends(cursor) else min)(ends, default=None)


def _chunk(
    conn: Connection, listing: PagedQuery[R], at: _Cursor, scan_end: int | None, max_rows: int
) -> Sequence[Any]:
    """Return the next rows after a cursor, each with its key and sort value."""
    rows = _after(listing, at)
    if scan_end is not None:
        rows = rows.where(_until(listing, at, scan_end))
    if listing.parts:  # the first rows of all are among the first ones of each part
        first = [rows.where(part).limit(max_rows) for part in listing.parts]
        keys = conn.execute(_union(listing, first)).scalars().all()
        if not keys:
            return []
        first_keys = sorted(keys, reverse=_descends(at))[:max_rows]  # as many as are named
        rows = rows.where(listing.key.in_(first_keys))
    return conn.execute(_with_position(rows, listing, at).limit(max_rows)).all()


def _union(listing: PagedQuery[R], selects: Sequence[Select[Any]]) -> Select[Any]:
    """Select the keys of several limited queries."""
    keys = [select(rows.with_only_columns(listing.key).subquery()) for rows in selects]
    return select(union_all(*keys).subquery())


def _until(listing: PagedQuery[R], cursor: _Cursor, scan_end: int) -> ColumnElement[bool]:
    return listing.key >= scan_end if _descends(cursor) else listing.key <= scan_end


def _descends(cursor: _Cursor) -> bool:
    return (cursor.order == "desc") != cursor.backwards


def _after(listing: PagedQuery[R], cursor: _Cursor) -> Select[Any]:
    """Return the rows after a cursor, in scan order."""
    value = listing.sorts[cursor.sort]
    keys = [listing.key] if value is None else [value, listing.key]
    descending = _descends(cursor)
    rows = listing.rows.order_by(*(key.desc() if descending else key.asc() for key in keys))
    if cursor.key is None:
        return rows
    if value is None:
        return rows.where(listing.key < cursor.key if descending else listing.key > cursor.key)
    here = tuple_(literal(cursor.value), literal(cursor.key))
    return rows.where(tuple_(*keys) < here if descending else tuple_(*keys) > here)


def _with_position(rows: Select[Any], listing: PagedQuery[R], cursor: _Cursor) -> Select[Any]:
    """Add the key and the sort value of a cursor to the columns of each row."""
    value = listing.sorts[cursor.sort]
    return rows.add_columns(
        listing.key.label("page_key"), (listing.key if value is None else value).label("sort_value")
    )


def _total(conn: Connection, listing: PagedQuery[R]) -> tuple[int, bool]:
    """Return the total, and whether it is an estimate."""

    def count(rows: Select[Any], max_rows: int) -> int:
        parts = [rows.where(part) for part in listing.parts] or [rows]
        limited = _union(listing, parts).limit(max_rows).subquery()
        return conn.execute(select(func.count()).select_from(limited)).scalar_one()

    if listing.counted is not None:
        total = count(listing.counted, _MAX_COUNTED)
        return total, total == _MAX_COUNTED
    rows = listing.rows if listing.walk is None or listing.narrowed else listing.walk
    newest = _Cursor("id", "desc", backwards=False)
    scan_end = _scan_end(conn, listing, newest)
    if listing.walk is not None and scan_end is not None:  # extrapolate from the newest
        until = _until(listing, newest, scan_end)
        scanned = count(listing.walk.where(until), WINDOW) if listing.parts else WINDOW
        share = count(rows.where(until), WINDOW) / max(scanned, 1)
        return round(share * count(listing.walk, _MAX_COUNTED)), True
    total = count(rows, EXACT_TOTAL + 1)
    if total <= EXACT_TOTAL:
        return total, False
    return (total if rows is listing.rows else count(rows, _MAX_COUNTED)), True


def _total_outside_sql(
    conn: Connection, listing: PagedQuery[R], keep: RowCheck[R], found: int, scanned: int
) -> tuple[int, bool]:
    """Return the total of a filter outside SQL, and whether it is an estimate.

    It is exact if all rows are few, else estimated from the share of a page that read many, or from
    that of the newest rows.
    """
    if scanned < _SAMPLED:
        found, scanned, are_all = _sample(conn, listing, keep)
        if are_all:
            return found, False
    total, _ = _total(conn, listing)
    return round(total * found / max(scanned, 1)), True


def _sample(conn: Connection, listing: PagedQuery[R], keep: RowCheck[R]) -> tuple[int, int, bool]:
    """Return how many of the newest rows match, how many were read, and whether these are all."""
    at = newest = _Cursor("id", "desc", backwards=False)
    scan_end = _scan_end(conn, listing, newest)
    found, scanned, pace = 0, 0, Pace(conn)
    give_up_s = time.monotonic() + SAMPLE_S
    while scanned < _SAMPLED:
        chunk = _chunk(conn, listing, at, scan_end, _FIRST_ROWS)
        for *values, key, _ in chunk:
            found += pace.run(keep(listing.record(*values)))
            scanned += 1
            if time.monotonic() > give_up_s:
                return found, scanned, False
            at = replace(newest, key=key, value=key)
        if len(chunk) < _FIRST_ROWS:
            return found, scanned, scan_end is None
    return found, scanned, False


def _write(cursor: _Cursor | None, name: _Name) -> str | None:
    return None if cursor is None else write_opaque([str(name), *astuple(cursor)])


def _read(text: str, name: _Name) -> _Cursor:
    values = read_opaque(text, _WRITTEN)
    if values is None or values[0].partition("?")[0] != name.of_list:
        raise _bad_cursor()
    if values[0] != str(name):
        raise Refused.field(
            "/cursor",
            "the cursor belongs to a list with other parameters; repeat those of its page, or start"
            " a new list without a cursor",
        )
    return _Cursor(*values[1:])


def write_opaque(values: Sequence[object]) -> str:
    """Return values as a text that callers pass back unread."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).rstrip(b"=").decode()


def read_opaque(text: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return the values in such a text; None: there are none, or not of this type."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return decoder.decode(base64.b64decode(padded, b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError):
        return None


def _bad_cursor() -> Refused:
    return Refused.field("/cursor", "invalid cursor for this list; use next or prev of a page")
