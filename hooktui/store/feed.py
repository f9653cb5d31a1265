"""Reads the change feed: positions, pages, and the objects that its items stand for.

A position is ``row.offset``: the next item to read. It is opaque to everybody else. All of a page
is read in one transaction, so that nothing is seen twice or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, text

from hooktui.domain.clock import optional_rfc3339
from hooktui.domain.deliveries import Status
from hooktui.domain.errors import Refused
from hooktui.domain.ids import AccountId
from hooktui.domain.json_text import Steps
from hooktui.domain.objects import Attempt, Delivery, Event, Hook
from hooktui.store import feed_items as items
from hooktui.store.contract import FeedItem, FeedPage
from hooktui.store.delivery_queries import attempts_by_key, deliveries_by_id
from hooktui.store.event_queries import events_by_id
from hooktui.store.hook_queries import hooks_by_id
from hooktui.store.pace import Pace

_ROWS_AT_ONCE = 50
_MOST_SCANNED = 20_000
"""Items of other accounts, or that a filter drops, before a page ends short."""

Keep = Callable[[FeedItem], Steps[bool]]


class Position(NamedTuple):
    """The next item to read: its row, and its place in there."""

    row: int
    offset: int

    def __str__(self) -> str:
        return f"{self.row}.{self.offset}"


class _Line(NamedTuple):
    """An item with where it stands and when it was committed."""

    at: Position
    at_ms: int
    item: Sequence[object]


def parse_position(after: str) -> Position:
    """Return a position from its text.

    Raises:
        Refused: it is not one.
    """
    row, dot, offset = after.partition(".")
    if not (dot and row.isdecimal() and offset.isdecimal() and after.isascii() and len(after) < 40):
        raise Refused.field(
            "/after", f"{after[:50]!r} is no position of the feed; use the next of an answer"
        )
    return Position(int(row), int(offset))


def read_feed(
    conn: Connection, after: Position | None, limit: int, account: AccountId | None
) -> FeedPage:
    """Return up to ``limit`` changes after a position; a reset when some of them are gone."""
    oldest, end = _bounds(conn)
    if after is None:
        after = Position(oldest, 0)
    elif not Position(oldest, 0) <= after <= Position(end, 0):
        return FeedPage((), str(Position(end, 0)), reset=True)
    lines: list[_Line] = []
    scanned, position = 0, after
    while position.row < end and len(lines) < limit and scanned < _MOST_SCANNED:
        rows = _rows(conn, "pos >= :row ORDER BY pos", position.row)
        if not rows:
            break
        for line in _lines(rows):
            if line.at < position:
                continue
            scanned += 1
            position = Position(line.at.row, line.at.offset + 1)
            if account is None or line.item[1] in (account, 0):
                lines.append(line)
                if len(lines) == limit:
                    break
        else:
            position = Position(rows[-1][0] + 1, 0)
    return FeedPage(tuple(_objects(conn, lines)), str(position))


def read_tail(
    conn: Connection, limit: int, account: AccountId | None, keep: Keep | None
) -> FeedPage:
    """Return the newest ``limit`` changes that fit, oldest first, and where the feed goes on."""
    _, end = _bounds(conn)
    found: list[FeedItem] = []
    scanned, row, pace = 0, end - 1, Pace()
    while len(found) < limit and scanned < _MOST_SCANNED:
        rows = _rows(conn, "pos <= :row ORDER BY pos DESC", row)
        if not rows:
            break
        row = rows[-1][0] - 1
        lines = list(_lines(reversed(rows)))
        scanned += len(lines)
        mine = [line for line in lines if account is None or line.item[1] in (account, 0)]
        fitting = [one for one in _objects(conn, mine) if keep is None or pace.run(keep(one))]
        found = fitting + found
    return FeedPage(tuple(found[-limit:] if limit else ()), str(Position(end, 0)))


def _bounds(conn: Connection) -> tuple[int, int]:
    """Return the first row that is kept, and the row that will be written next."""
    oldest, newest = conn.execute(text("SELECT MIN(pos), MAX(pos) FROM feed")).one()
    return (1, 1) if newest is None else (oldest, newest + 1)


def _rows(conn: Connection, condition: str, row: int) -> Sequence[tuple[int, int, bytes]]:
    statement = text(f"SELECT pos, at_ms, changes FROM feed WHERE {condition} LIMIT :most")  # noqa: S608 - our own text
    found = conn.execute(statement, {"row": row, "most": _ROWS_AT_ONCE}).all()
    return [(pos, at_ms, changes) for pos, at_ms, changes in found]


def _lines(rows: Iterable[tuple[int, int, bytes]]) -> Iterable[_Line]:
    for row, at_ms, changes in rows:
        for offset, item in enumerate(items.decode(changes)):
            yield _Line(Position(row, offset), at_ms, item)


@dataclass(slots=True)
class _Joined:
    """What the items of a page stand for, read in bulk."""

    deliveries: dict[int, Delivery]
    attempts: dict[tuple[int, int], Attempt]
    events: dict[int, Event]
    hooks: dict[int, Hook]


def _objects(conn: Connection, lines: Sequence[_Line]) -> Iterable[FeedItem]:
    """Return the items as objects; what was purged meanwhile is left out."""
    by_kind: dict[object, list[Sequence[object]]] = {}
    for line in lines:
        by_kind.setdefault(line.item[0], []).append(line.item)
    attempted = by_kind.get(items.ATTEMPT, [])
    moved = [*by_kind.get(items.DELIVERY, []), *attempted]
    joined = _Joined(
        deliveries_by_id(conn, {_integer(item[3]) for item in moved}),
        attempts_by_key(conn, {(_integer(item[3]), _integer(item[10])) for item in attempted}),
        events_by_id(conn, {_integer(item[2]) for item in by_kind.get(items.EVENT, [])}),
        hooks_by_id(conn, {_integer(item[2]) for item in by_kind.get(items.HOOK, [])}),
    )
    for line in lines:
        one = _object(line, joined)
        if one is not None:
            yield one


def _object(line: _Line, joined: _Joined) -> FeedItem | None:
    item, at_ms = line.item, line.at_ms
    account = AccountId(_integer(item[1]))
    if item[0] == items.ENGINE:
        return FeedItem("engine", at_ms, account, msgspec.convert(item[2], dict[str, object]))
    identity = _integer(item[2])
    if item[0] == items.EVENT:
        event = joined.events.get(identity)
        return None if event is None else FeedItem("event", at_ms, account, event)
    if item[0] == items.HOOK:
        gone = {"id": identity, "account": account, "deleted": True}
        return FeedItem("hook", at_ms, account, joined.hooks.get(identity) or gone)
    stored = joined.deliveries.get(_integer(item[3]))
    if stored is None:
        return None
    delivery = _as_it_was(stored, items.state_of(item))
    if item[0] == items.DELIVERY:
        return FeedItem("delivery", at_ms, account, delivery)
    attempt = joined.attempts.get((_integer(item[3]), _integer(item[10])))
    return None if attempt is None else FeedItem("attempt", at_ms, account, attempt, delivery)


def _as_it_was(delivery: Delivery, state: items.DeliveryState) -> Delivery:
    """Return a delivery with the state that it had when the item was written."""
    return replace(
        delivery,
        status=state.status,
        held=delivery.held and state.status == Status.PENDING,
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
