"""The change feed: consoles and ``log -f`` follow it by long polls instead of polling tables.

A filter reads the bodies of events only if a term needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.limits import searching
from hooktui.api.parameters import (
    MAX_TEXT,
    WHOLE,
    AccountParameter,
    Text,
    filter_of,
    is_of_revision_1,
    make_router,
)
from hooktui.api.responses import JSON, encode
from hooktui.api.service import check_account, disconnected, in_turn, service_of, tasks_of
from hooktui.domain import ids
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.errors import Refused
from hooktui.domain.filters.data import Stored
from hooktui.domain.filters.terms import Filter, FilterKey, Subject
from hooktui.domain.ids import EventId
from hooktui.domain.json_text import Steps
from hooktui.domain.setting import as_decimal
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.deliveries import Attempt, Delivery
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.feed import AttemptLine, FeedAnswer
from hooktui.domain.wire.hooks import Hook, for_revision_1
from hooktui.domain.wire.pages import MAX_LIMIT
from hooktui.domain.wire.replays import Replay
from hooktui.slices import in_slices
from hooktui.store import queries
from hooktui.store.contract import FeedFilter, FeedItem, FeedItemPage
from hooktui.store.feed import MAX_PAGE_BYTES, position_of

if TYPE_CHECKING:
    from sqlalchemy import Connection


_IN_BODIES = (FilterKey.DATA, FilterKey.WORD)
_BODIES_AT_ONCE: Final = 20
"""Bodies have up to 256 KiB, so few of them are held at a time."""
_LOST_ROWS_S: Final = 1.0
"""Time between reads of a poll that was woken for rows that are not there."""


def feed_filter_of(parsed: Filter | None) -> FeedFilter | None:
    """Return a parsed filter as a filter of the feed; None: all changes."""
    if parsed is None or not parsed.terms:
        return None
    quick = Filter(tuple(term for term in parsed.terms if term.key not in _IN_BODIES))
    needs_bodies = len(quick.terms) < len(parsed.terms)

    def passing(
        conn: Connection, items: Sequence[FeedItem]
    ) -> Iterator[tuple[FeedItem, bool] | None]:
        now = now_ms()
        for start in range(0, len(items), _BODIES_AT_ONCE):
            part = items[start : start + _BODIES_AT_ONCE]
            hits = set()
            for index, item in enumerate(part):
                yield None
                if (yield from quick.match_steps(subject_of(item), now)):
                    hits.add(index)
            bodies: dict[int, bytes] = {}
            if needs_bodies and hits:
                events = {event for index in hits if (event := event_of(part[index])) is not None}
                bodies = queries.bodies_by_id(conn, events)
            for index, item in enumerate(part):
                fits = index in hits
                if fits and needs_bodies:
                    subject = subject_of(item, bodies.get(event_of(item) or 0))
                    fits = yield from parsed.match_once_steps(subject, now)
                yield item, fits

    ids = quick.required(FilterKey.ID)
    return FeedFilter(passing, tuple(map(str, ids[0].values)) if ids else None)


MAX_WAIT_S = 30.0

router = make_router("deliveries")


@router.get("/v1/feed", response_model=FeedAnswer)
async def follow_feed(
    request: Request,
    account: AccountParameter = None,
    after: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S), BeforeValidator(as_decimal)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT), WHOLE] = MAX_LIMIT,
    q: Text = None,
    from_end: Annotated[bool, Query()] = False,
    before: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
) -> Response:
    """Show changes after a position; wait for one if there is none, 30 s at most.

    ``from_end`` shows the newest changes instead, oldest first; with ``before``, the newest before
    that position. ``next`` is the position to continue from. ``reset`` says that some changes after
    the position were deleted. ``searched_to`` says that the page ended at that time although more
    changes are left: continue after ``next``, or with ``from_end`` before ``before``.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account(account)
    feed_filter = feed_filter_of(filter_of(q))
    await check_account(service, owner)
    if after is not None and before is not None:
        raise Refused.field("/before", "after and before exclude each other; leave one out")

    async def run(read: Callable[[], Awaitable[FeedItemPage]]) -> FeedItemPage:
        async with searching(request, feed_filter):
            return await in_turn(request, read)

    def read_after(position: str | None) -> Awaitable[FeedItemPage]:
        return run(partial(service.store.feed, position, limit, owner, feed_filter))

    if before is not None or (from_end and after is None):
        page = await run(partial(service.store.feed_tail, limit, owner, feed_filter, before))
        return await _respond(request, page, from_end=True)
    if not wait:
        return await _respond(request, await read_after(after))
    with service.searches.poll(caller):
        return await _respond(request, await _follow(request, read_after, after, wait))


async def _follow(
    request: Request,
    read_after: Callable[[str | None], Awaitable[FeedItemPage]],
    after: str | None,
    wait_s: float,
) -> FeedItemPage:
    """Return the next matching changes, or none on timeout, disconnect or stop."""
    service = service_of(request)
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    page = await read_after(after)
    async with tasks_of(disconnected(request), service.stopping.wait()) as ends:
        while not page.items and not page.reset and not any(task.done() for task in ends):
            left_s = end - loop.time()
            if left_s <= 0:
                break
            await _wait(service.store.wait_for_change(page.next, left_s), ends)
            before, page = page.next, await read_after(page.next)
            rest_s = min(_LOST_ROWS_S, end - loop.time())
            if page.next == before and rest_s > 0:  # a crashed database lost announced rows
                await _wait(asyncio.sleep(rest_s), ends)
    return page


async def _wait(
    until: Coroutine[object, object, object], ends: Sequence[asyncio.Task[object]]
) -> None:
    """Return once a coroutine or one of several tasks has ended; cancel the coroutine."""
    async with tasks_of(until) as tasks:
        await asyncio.wait([*tasks, *ends], return_when=asyncio.FIRST_COMPLETED)


async def _respond(request: Request, page: FeedItemPage, *, from_end: bool = False) -> Response:
    if is_of_revision_1(request):
        auto_max = service_of(request).auto_in_flight_max
        page = replace(page, items=tuple(_for_revision_1(item, auto_max) for item in page.items))
    turn = ("caller", caller_of(request).share)
    content = await in_slices(_page_steps(page, from_end=from_end), turn)
    return Response(content, media_type=JSON)


def _for_revision_1(item: FeedItem, auto_max: int) -> FeedItem:
    if isinstance(item.object, Hook):
        return replace(item, object=for_revision_1(item.object, auto_max))
    return item


def _page_steps(page: FeedItemPage, *, from_end: bool = False) -> Steps[bytes]:
    """Encode a page line by line; it ends at `MAX_PAGE_BYTES` of encoded bytes."""
    lines: list[bytes] = []
    size = 0
    last: FeedItem | None = None
    for item in reversed(page.items) if from_end else page.items:
        yield
        line = encode(_line(item))
        size += len(line)
        if last is not None and size > MAX_PAGE_BYTES:
            page = replace(page, searched_to_ms=last.at_ms)
            if from_end:
                page = replace(page, before=str(position_of(last)))
            else:
                page = replace(page, next=last.next)
            break
        lines.append(line)
        last = item
    if from_end:
        lines.reverse()
    more: dict[str, object] = {"reset": True} if page.reset else {}
    if page.before is not None:
        more["before"] = page.before
    if page.searched_to_ms is not None:
        more["searched_to"] = to_rfc3339(page.searched_to_ms)
    parts = [b'"data":[%b],"next":%b' % (b",".join(lines), encode(page.next))]
    parts += [b'"%b":%b' % (name.encode(), encode(value)) for name, value in more.items()]
    return b"{%b}" % b",".join(parts)


def _line(item: FeedItem) -> dict[str, object]:
    """Return the wire form of a change; a log needs no second call for an attempt."""
    line: dict[str, object] = {"kind": item.kind, "at": to_rfc3339(item.at_ms)}
    line |= msgspec.to_builtins(item.object)
    if item.change is not None:
        line |= {"change": item.change, "reason": item.reason}
    delivery = item.delivery
    if isinstance(item.object, Attempt) and delivery is not None:
        line |= {name: getattr(delivery, name) for name in AttemptLine.__annotations__}
    return line


def event_of(item: FeedItem) -> EventId | None:
    """Return the event of a change, if it has one."""
    match item.object:
        case Attempt():
            return None if item.delivery is None else _event(item.delivery.event)
        case Delivery(event=event) | Event(id=event):
            return _event(event)
        case _:
            return None


def subject_of(item: FeedItem, body: bytes | None = None) -> Subject:
    """Return a change as the subject of a filter; fields that its kind lacks match no term.

    ``body`` is that of its event, if it was read.
    """
    shown, delivery = item.object, item.delivery
    match shown:
        case Attempt():
            return Subject(
                at_ms=item.at_ms,
                outcome=shown.outcome,
                code=shown.status_code,
                took_ms=shown.phases_ms.total,
                error=shown.error,
                words=lambda: _text((*_attempt(shown), *_delivery(delivery), body)),
                data=lambda: Stored(body),
                **_values(delivery),
            )
        case Delivery():
            return Subject(
                at_ms=item.at_ms,
                took_ms=shown.duration_ms,
                words=lambda: _text((*_delivery(shown), body)),
                data=lambda: Stored(body),
                **_values(shown),
            )
        case Event():
            return Subject(
                at_ms=item.at_ms,
                event_type=shown.type,
                ids=(shown.id,),
                words=lambda: _text((shown.id, shown.type, body)),
                data=lambda: Stored(body),
            )
        case Hook():
            return Subject(
                at_ms=item.at_ms,
                hook=shown.id,
                words=lambda: _text((shown.name, shown.url, *shown.events)),
            )
        case Replay():
            return Subject(
                at_ms=item.at_ms, words=lambda: _text((shown.id, shown.state, shown.state_reason))
            )
        case Alert():
            return Subject(
                at_ms=item.at_ms,
                hook=shown.hook,
                words=lambda: _text((shown.id, shown.type, shown.key, shown.summary)),
            )
        case _:
            identity = shown.get("id")
            return Subject(
                at_ms=item.at_ms,
                hook=identity if item.kind == "hook" and isinstance(identity, int) else None,
                words=lambda: _text(str(value) for value in shown.values()),
            )


def _event(text: str) -> EventId:
    return EventId(ids.decode("evt", text))


def _attempt(attempt: Attempt) -> tuple[str | None, ...]:
    code = None if attempt.status_code is None else str(attempt.status_code)
    body = attempt.response.body if attempt.response else None
    return attempt.outcome, code, attempt.error, attempt.error_detail, attempt.address, body


def _values(delivery: Delivery | None) -> dict[str, Any]:
    """Return the values of a delivery that a filter compares, by field of a `Subject`."""
    if delivery is None:
        return {}
    names = ("status", "held", "hook", "event_type", "cause", "trigger", "replay")
    values = {name: getattr(delivery, name) for name in names}
    return values | {"ids": (delivery.id, delivery.event)}


def _delivery(delivery: Delivery | None) -> tuple[str | None, ...]:
    if delivery is None:
        return ()
    return (
        delivery.id,
        delivery.event,
        delivery.event_type,
        delivery.status,
        delivery.trigger,
        delivery.reason,
    )


def _text(parts: Iterable[str | bytes | None]) -> str:
    # Joined by a character that a filter cannot contain, so no word spans two parts.
    return "\0".join(
        part.decode("utf-8", "replace") if isinstance(part, bytes) else part
        for part in parts
        if part
    )
