"""Reads the change feed: positions, pages, and the objects that its items refer to.

A position is ``row.offset``, the next item to read; it is opaque outside this module. Rows are only
added after the newest and removed before the oldest, so pages neither repeat nor skip an item.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, select, text

from hooktui.domain.alerts import AlertState
from hooktui.domain.clock import optional_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import Refused
from hooktui.domain.ids import AccountId, decode, stored_before
from hooktui.domain.wire.deliveries import Attempt, Delivery
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.hooks import Hook
from hooktui.domain.wire.replays import Replay
from hooktui.store import feed_items as items
from hooktui.store.contract import FeedFilter, FeedItem, FeedItemPage
from hooktui.store.queries.alerts import AlertRecord, alert_of, alerts_by_id
from hooktui.store.queries.deliveries import attempts_by_key, deliveries_by_id
from hooktui.store.queries.events import events_by_id
from hooktui.store.queries.expressions import any_of
from hooktui.store.queries.filter_sql import has_id
from hooktui.store.queries.hooks import hooks_by_id
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.replays import replays_by_id
from hooktui.store.tables import DELIVERY

_ROWS_AT_ONCE = 50
_MAX_SCANNED = 20_000
"""Items of other accounts or rejected by a filter before a page ends short."""

SEARCH_S = 2.0
"""A filter that rarely matches ends its page after this time; the next page continues."""
MAX_PAGE_BYTES = 1 << 20
"""Upper bound of a page: text that receivers sent can be 16 KiB a line."""
_LINES_AT_ONCE = 100
_BYTES_OF_A_LINE = 500
_IDS_AT_ONCE = 5_000  # SQLite takes 32,766 parameters in a statement


class Position(NamedTuple):
    """The next item to read: its row, and its index in the row."""

    row: int
    offset: int

    def __str__(self) -> str:
        return f"{self.row}.{self.offset}"


class _Line(NamedTuple):
    """An item with its position and the time of its commit."""

    at: Position
    at_ms: int
    item: Sequence[object]

    @property
    def next(self) -> Position:
        return Position(self.at.row, self.at.offset + 1)


def parse_position(given: str, parameter: str = "after") -> Position:
    """Return a position from its text; the parameter is named in the error.

    Raises:
        Refused: the text is not a position.
    """
    row, dot, offset = given.partition(".")
    if not (dot and row.isdecimal() and offset.isdecimal() and given.isascii() and len(given) < 40):
        raise Refused.field(
            f"/{parameter}", f"{given[:50]!r} is not a position of the feed; use one of a response"
        )
    return Position(int(row), int(offset))


def read_feed(
    conn: Connection,
    after: Position | None,
    limit: int,
    account: AccountId | None,
    feed_filter: FeedFilter | None,
) -> FeedItemPage:
    """Return up to ``limit`` changes after a position; a reset if some of them were deleted.

    With a filter, search for changes that pass it, for `SEARCH_S` at most.
    """
    oldest, end = _bounds(conn)
    if after is None:
        after = Position(oldest, 0)
    elif not Position(oldest, 0) <= after <= Position(end, 0):
        return FeedItemPage((), str(Position(end, 0)), reset=True)
    page = _Collected(conn, limit, account, feed_filter)
    position = after
    while position.row < end and page.wants_more():
        if page.pace.rests and position.row < _bounds(conn)[0]:
            break  # the oldest row was trimmed meanwhile; the next page reports the reset
        rows = _rows(conn, "pos >= :row ORDER BY pos", position.row)
        if not rows:
            break
        lines = [line for line in _lines(rows) if line.at >= position]
        position = page.search(lines) or position
        if not lines or position == lines[-1].next:
            position = Position(rows[-1][0] + 1, 0)
    searched_to_ms = page.at_ms if position.row < end else None
    return FeedItemPage(tuple(page.items), str(position), searched_to_ms=searched_to_ms)


def read_tail(
    conn: Connection,
    limit: int,
    account: AccountId | None,
    feed_filter: FeedFilter | None,
    before: Position | None,
) -> FeedItemPage:
    """Return the newest ``limit`` changes before a position that pass, oldest first.

    Without a position, these are the newest of all. ``next`` is the position after them. A search
    for ids ends at an event that was stored before all of them.
    """
    ids = _integers(feed_filter.ids or ()) if feed_filter is not None else ()
    oldest, end = _bounds(conn)
    newest = Position(end, 0) if before is None else before
    if newest > Position(end, 0):
        return FeedItemPage((), str(Position(end, 0)), reset=True)
    page = _Collected(conn, limit, account, feed_filter)
    position = newest
    while position > Position(oldest, 0) and page.wants_more():
        row = position.row if position.offset else position.row - 1
        rows = _rows(conn, "pos <= :row ORDER BY pos DESC", row)
        if not rows:
            position = Position(oldest, 0)  # the older rows were trimmed meanwhile
            break
        lines = [line for line in _lines(reversed(rows)) if line.at < position]
        lines.reverse()
        relevant = list(takewhile(lambda line: not _precedes(line.item, ids), lines))
        searched_to = page.search(relevant)
        if searched_to is None or searched_to == relevant[-1].next:
            position = Position(rows[-1][0] if len(relevant) == len(lines) else oldest, 0)
        else:
            position = _begin_of(searched_to)
    items = tuple(reversed(page.items))
    if position <= Position(oldest, 0):
        return FeedItemPage(items, str(newest))
    return FeedItemPage(items, str(newest), before=str(position), searched_to_ms=page.at_ms)


def _integers(ids: Sequence[str]) -> list[int]:
    return [
        decode("evt" if public_id.startswith("evt_") else "dlv", public_id) for public_id in ids
    ]


def _precedes(item: Sequence[object], ids: Sequence[int]) -> bool:
    """Return whether an item is an event that was stored before all of some ids."""
    if not ids or item[0] != items.EVENT:
        return False
    return all(stored_before(_integer(item[2]), later) for later in ids)


def position_of(item: FeedItem) -> Position:
    """Return the position of a change."""
    return _begin_of(parse_position(item.next))


def _begin_of(end: Position) -> Position:
    return Position(end.row, end.offset - 1)


@dataclass(slots=True)
class _Collected:
    """The changes collected for a page so far, and how far the search for them came.

    ``at_ms`` is the time of the last change that was tested, ``scanned`` counts all items.
    """

    conn: Connection
    limit: int
    account: AccountId | None
    feed_filter: FeedFilter | None
    items: list[FeedItem] = field(default_factory=list)
    size: int = 0
    scanned: int = 0
    at_ms: int | None = None
    looked: bool = False
    pace: Pace = field(init=False)
    give_up_s: float = field(default_factory=lambda: time.monotonic() + SEARCH_S)

    def __post_init__(self) -> None:
        self.pace = Pace(self.conn)

    def is_full(self) -> bool:
        """Whether the page is full or the search has used its time."""
        late = self.feed_filter is not None and self.looked and time.monotonic() > self.give_up_s
        return late or len(self.items) >= self.limit or self.size >= MAX_PAGE_BYTES

    def wants_more(self) -> bool:
        """Whether the page has room and the search has not read too much."""
        return self.scanned < _MAX_SCANNED and not self.is_full()

    def search(self, lines: Sequence[_Line]) -> Position | None:
        """Collect the changes that are chosen and pass, until the page is full.

        Return the position after the last line that was searched; None: there are no lines.
        """
        chosen = self._choose(lines)
        searched_to: Position | None = None
        for start in range(0, len(lines), _LINES_AT_ONCE):
            part = lines[start : start + _LINES_AT_ONCE]
            self.scanned += len(part)
            cut = self._add([line for line in part if line.at in chosen])
            searched_to = part[-1].next if cut is None else parse_position(cut.next)
            self.at_ms = (cut or part[-1]).at_ms
            if self.is_full():
                break
        return searched_to

    def _choose(self, lines: Sequence[_Line]) -> set[Position]:
        """Return the positions of the lines that concern the account and may pass the filter."""
        if self.account is not None:
            lines = [line for line in lines if line.item[1] in (self.account, 0)]
        if self.feed_filter is None or self.feed_filter.ids is None:
            return {line.at for line in lines}
        self.pace.rest_when_due()
        return _of_ids(self.conn, lines, self.feed_filter.ids)

    def _add(self, lines: Sequence[_Line]) -> FeedItem | None:
        """Collect changes that pass, in order.

        Return the last one that was tested, if the page is full before the end of the lines.
        """
        changes = list(_objects(self.conn, lines)) if lines else []
        steps: Iterable[tuple[FeedItem, bool] | None] = ((item, True) for item in changes)
        if self.feed_filter is not None:
            steps = self.feed_filter.passing(self.conn, changes)
        before: FeedItem | None = None
        for step in steps:
            self.pace.rest_when_due()
            if step is None:
                continue
            item, fits = step
            if before is not None and (self.is_full() or self.size + _size(item) > MAX_PAGE_BYTES):
                self.size = MAX_PAGE_BYTES
                return before
            before, self.looked = item, True
            if fits:
                self.items.append(item)
                self.size += _size(item)
        return None


def _size(item: FeedItem) -> int:
    """Return the approximate size of a change; only text that receivers sent is long."""
    response = item.object.response if isinstance(item.object, Attempt) else None
    return _BYTES_OF_A_LINE + (len(response.body) if response is not None else 0)


def _of_ids(conn: Connection, lines: Sequence[_Line], ids: Sequence[str]) -> set[Position]:
    """Return the positions of the lines about some events and deliveries."""
    events = {decode("evt", public_id) for public_id in ids if public_id.startswith("evt_")}
    moved = list({line.item[3] for line in lines if line.item[0] in _MOVES})
    chosen: set[object] = set()
    for start in range(0, len(moved), _IDS_AT_ONCE):
        among = DELIVERY.c.id.in_(moved[start : start + _IDS_AT_ONCE])
        wanted = select(DELIVERY.c.id).where(
            among, any_of([has_id(public_id) for public_id in ids])
        )
        chosen.update(conn.execute(wanted).scalars())
    return {
        line.at
        for line in lines
        if (line.item[0] in _MOVES and line.item[3] in chosen)
        or (line.item[0] == items.EVENT and line.item[2] in events)
    }


def _bounds(conn: Connection) -> tuple[int, int]:
    """Return the oldest stored row and the row that will be written next."""
    oldest, newest = conn.execute(text("SELECT MIN(pos), MAX(pos) FROM feed")).one()
    return (1, 1) if newest is None else (oldest, newest + 1)


def _rows(conn: Connection, condition: str, row: int) -> Sequence[tuple[int, int, bytes]]:
    statement = text(f"SELECT pos, at_ms, changes FROM feed WHERE {condition} LIMIT :most")  # noqa: S608 - our own text
    rows = conn.execute(statement, {"row": row, "most": _ROWS_AT_ONCE}).all()
    return [(pos, at_ms, changes) for pos, at_ms, changes in rows]


def _lines(rows: Iterable[tuple[int, int, bytes]]) -> Iterable[_Line]:
    for row, at_ms, changes in rows:
        for offset, item in enumerate(items.decode(changes)):
            yield _Line(Position(row, offset), at_ms, item)


_MOVES: Final = (items.DELIVERY, items.ATTEMPT)
"""Items that have the id of a delivery at index 3."""

_Object = Event | Hook | Replay | AlertRecord
_Objects = Mapping[int, _Object]
_READERS: Final[Mapping[object, tuple[str, Callable[[Connection, Iterable[int]], _Objects]]]] = {
    items.EVENT: ("event", events_by_id),
    items.HOOK: ("hook", hooks_by_id),
    items.REPLAY: ("replay", replays_by_id),
    items.ALERT: ("alert", alerts_by_id),
}
"""How the objects of items are named, and read in bulk."""


def _objects(conn: Connection, lines: Sequence[_Line]) -> Iterable[FeedItem]:
    """Return the items as objects, without those that were purged meanwhile."""
    by_kind: dict[object, list[Sequence[object]]] = {}
    for line in lines:
        by_kind.setdefault(line.item[0], []).append(line.item)
    objects = {
        kind: read(conn, {_integer(item[2]) for item in by_kind[kind]})
        for kind, (_, read) in _READERS.items()
        if kind in by_kind
    }
    attempted = by_kind.get(items.ATTEMPT, [])
    moved = {_integer(item[3]) for item in (*by_kind.get(items.DELIVERY, ()), *attempted)}
    deliveries = deliveries_by_id(conn, moved) if moved else {}
    keys = {(_integer(item[3]), _integer(item[10])) for item in attempted}
    attempts = attempts_by_key(conn, keys) if keys else {}
    for line in lines:
        if line.item[0] in _MOVES:
            change = _moved(line, deliveries, attempts)
        else:
            change = _object(line, objects)
        if change is not None:
            yield replace(change, next=str(line.next))


def _object(line: _Line, objects: Mapping[object, _Objects]) -> FeedItem | None:
    item, kind, account = line.item, line.item[0], AccountId(_integer(line.item[1]))
    if kind == items.ENGINE:
        data = msgspec.convert(item[2], dict[str, object])
        return FeedItem("engine", line.at_ms, account, data)
    if kind not in _READERS:
        return None  # a newer version wrote it
    name, key = _READERS[kind][0], _integer(item[2])
    stored = objects[kind].get(key)
    if isinstance(stored, AlertRecord):
        state = msgspec.convert(item[3], str)
        alert = alert_of(stored, ended=state == AlertState.RESOLVED)
        return FeedItem(name, line.at_ms, account, alert, change=state)
    if kind == items.HOOK:
        hook = stored or {"id": key, "account": account, "deleted": True}
        change, reason = msgspec.convert(item[3:5] or (None, None), tuple[str | None, str | None])
        return FeedItem(name, line.at_ms, account, hook, change=change, reason=reason)
    return None if stored is None else FeedItem(name, line.at_ms, account, stored)


def _moved(
    line: _Line,
    deliveries: Mapping[int, Delivery],
    attempts: Mapping[tuple[int, int], Attempt],
) -> FeedItem | None:
    item, account = line.item, AccountId(_integer(line.item[1]))
    stored = deliveries.get(_integer(item[3]))
    if stored is None:
        return None
    delivery = _as_it_was(stored, items.state_of(item))
    if item[0] == items.DELIVERY:
        return FeedItem("delivery", line.at_ms, account, delivery)
    attempt = attempts.get((_integer(item[3]), _integer(item[10])))
    if attempt is None:
        return None
    return FeedItem("attempt", line.at_ms, account, attempt, delivery)


def _as_it_was(delivery: Delivery, state: items.DeliveryState) -> Delivery:
    """Return a delivery in the state that it had when the item was written."""
    return replace(
        delivery,
        status=state.status,
        held=delivery.held and state.status == DeliveryStatus.PENDING,
        reason=state.reason,
        attempts=state.attempts,
        next_attempt_at=optional_rfc3339(state.next_attempt_at),
        finished_at=optional_rfc3339(state.finished_at),
        duration_ms=state.duration_ms,
    )


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected an integer in the feed, got {value!r}")
    return value
