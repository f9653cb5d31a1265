"""The change feed: consoles and ``log -f`` follow it by long polls, so that nobody polls tables."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import Caller, caller_of
from hooktui.api.answers import JSON, encode
from hooktui.api.feed_filter import sieve_of
from hooktui.api.parameters import MAX_LIMIT, MAX_TEXT, AccountParameter, Text, filter_of
from hooktui.api.reading import check_account
from hooktui.api.service import Service, service_of
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.ids import AccountId
from hooktui.domain.json_text import Steps
from hooktui.domain.wire.deliveries import Attempt
from hooktui.domain.wire.feed import FeedAnswer
from hooktui.slices import in_slices
from hooktui.store.contract import FeedItem, FeedPage, Sieve
from hooktui.store.feed import MOST_PAGE_BYTES

MAX_WAIT_S = 30.0

router = APIRouter()


@router.get("/v1/feed", response_model=FeedAnswer)
async def feed(
    request: Request,
    account: AccountParameter = None,
    after: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
    wait: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    q: Text = None,
    from_end: Annotated[bool, Query()] = False,
) -> Response:
    """Show changes after a position; wait for one when there is none.

    ``from_end`` shows the newest changes instead, oldest first. ``next`` is the position to go on
    from. ``reset`` says that what lay after the position is not all kept any more.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account(account)
    search = _Search(service, caller, owner, limit, sieve_of(filter_of(q)))
    await check_account(service, owner)
    if from_end and after is None:
        return await _answer(await search.tail())
    if not wait:
        return await _answer(await search.after(after))
    with service.searches.poll(caller):
        page = await _follow(request, service, search, after, min(wait, MAX_WAIT_S))
        return await _answer(page)


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, for whom; with a filter it takes one of the caller's turns."""

    service: Service
    caller: Caller
    account: AccountId
    limit: int
    sieve: Sieve | None

    async def after(self, position: str | None) -> FeedPage:
        """Return the next changes that fit."""
        async with self._turn():
            store = self.service.store
            return await store.feed(position, self.limit, self.account, self.sieve)

    async def tail(self) -> FeedPage:
        """Return the newest changes that fit."""
        async with self._turn():
            return await self.service.store.feed_tail(self.limit, self.account, self.sieve)

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self.sieve is None else self.service.searches.search(self.caller)


async def _follow(
    request: Request, service: Service, search: _Search, after: str | None, wait_s: float
) -> FeedPage:
    """Return the next changes that fit, or none when the time is up, or on disconnect or stop."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    page = await search.after(after)
    async with _Interrupted(request, service) as interrupted:
        while not page.items and not page.reset and not interrupted.is_set():
            left_s = end - loop.time()
            if left_s <= 0:
                break
            await _first_of(service.store.wait_for_change(page.next, left_s), interrupted.wait())
            page = await search.after(page.next)
    return page


class _Interrupted:
    """An event that is set when the client is gone or the server stops."""

    def __init__(self, request: Request, service: Service) -> None:
        self._request = request
        self._stopping = service.stopping
        self._event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> asyncio.Event:
        self._tasks = [
            asyncio.create_task(self._on_disconnect()),
            asyncio.create_task(self._on_stop()),
        ]
        return self._event

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._event.set()

    async def _on_stop(self) -> None:
        await self._stopping.wait()
        self._event.set()


async def _first_of(*waits: Coroutine[object, object, object]) -> None:
    """Return once one of several is over; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(page: FeedPage) -> Response:
    content = await in_slices(_written(page))
    return Response(content, media_type=JSON)


def _written(page: FeedPage) -> Steps[bytes]:
    """Write a page line by line; it ends at `MOST_PAGE_BYTES` as they are written."""
    lines: list[bytes] = []
    size, after = 0, page.next
    for item in page.items:
        yield
        line = encode(_line(item))
        size += len(line)
        if lines and size > MOST_PAGE_BYTES:
            break
        lines.append(line)
        after = item.behind
    else:
        after = page.next
    reset = b',"reset":true' if page.reset else b""
    return b'{"data":[%b],"next":%b%b}' % (b",".join(lines), encode(after), reset)


def _line(item: FeedItem) -> dict[str, object]:
    """Return a change as it goes over the wire; a log needs no second call for an attempt."""
    line: dict[str, object] = {"kind": item.kind, "at": to_rfc3339(item.at_ms)}
    line |= msgspec.to_builtins(item.object)
    delivery = item.delivery
    if isinstance(item.object, Attempt) and delivery is not None:
        line |= {
            "hook": delivery.hook,
            "account": delivery.account,
            "event": delivery.event,
            "event_type": delivery.event_type,
            "trigger": delivery.trigger,
            "status": delivery.status,
        }
    return line
