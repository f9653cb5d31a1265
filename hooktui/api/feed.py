"""The change feed: consoles and ``log -f`` follow it by long polls, so that nobody polls tables."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.answers import answer
from hooktui.api.feed_filter import FeedFilter
from hooktui.api.parameters import MAX_LIMIT, MAX_TEXT, AccountParameter, Text, filter_of
from hooktui.api.reading import check_account
from hooktui.api.service import Service, service_of
from hooktui.api.shapes import FeedAnswer
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.filters import Filter
from hooktui.domain.ids import AccountId
from hooktui.domain.objects import Attempt
from hooktui.store.contract import FeedItem, FeedPage, Store

MAX_WAIT_S = 30.0
# With a filter that fits seldom, an answer comes at the latest after so long a search; the client
# goes on from ``next``.
SEARCH_S = 2.0

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
    service = service_of(request)
    owner = caller_of(request).account(account)
    wanted = filter_of(q)
    sieve = FeedFilter(service.store, wanted or Filter(()))
    await check_account(service, owner)
    if from_end and after is None:
        return _answer(await sieve.tail(limit, owner))
    wait_s = min(wait, MAX_WAIT_S)
    return _answer(await _follow(request, service, owner, after, limit, sieve, wait_s))


async def _follow(
    request: Request,
    service: Service,
    account: AccountId,
    after: str | None,
    limit: int,
    sieve: FeedFilter,
    wait_s: float,
) -> FeedPage:
    """Return the next changes that fit, or none when the time is up, or on disconnect or stop."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    page = await _search(service.store, account, after, limit, sieve, begun + SEARCH_S)
    async with _Interrupted(request, service) as interrupted:
        while not page.items and not page.reset and not interrupted.is_set():
            left_s = begun + wait_s - loop.time()
            if left_s <= 0:
                break
            await _first_of(service.store.wait_for_change(page.next, left_s), interrupted.wait())
            deadline = loop.time() + SEARCH_S
            page = await _search(service.store, account, page.next, limit, sieve, deadline)
    return page


async def _search(
    store: Store,
    account: AccountId,
    after: str | None,
    limit: int,
    sieve: FeedFilter,
    deadline: float,
) -> FeedPage:
    """Read on until something fits, the end is reached, or the deadline."""
    loop = asyncio.get_running_loop()
    page = await store.feed(after, limit, account)
    while page.items and not page.reset:
        fitting = await sieve.fitting(page.items)
        if fitting or loop.time() >= deadline:
            return FeedPage(fitting, page.next)
        page = await store.feed(page.next, limit, account)
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


def _answer(page: FeedPage) -> Response:
    content: dict[str, object] = {"data": [_line(item) for item in page.items], "next": page.next}
    if page.reset:
        content["reset"] = True
    return answer(content)


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
