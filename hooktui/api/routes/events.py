"""Events, their outcomes per hook, and the catalogue of types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hooktui.api.access import caller_of
from hooktui.api.connection_limiter import ConnectionSlot
from hooktui.api.limits import search_turn, searching
from hooktui.api.parameters import (
    AccountParameter,
    EventParameter,
    Text,
    Window,
    filter_of,
    make_router,
)
from hooktui.api.responses import JSON, encode, respond
from hooktui.api.service import read, read_in, service_of
from hooktui.domain.filters.parser import parse_event_filter
from hooktui.domain.wire.events import Catalogue, Event, EventDetail, HookDecision
from hooktui.domain.wire.pages import Page
from hooktui.store import queries

router = make_router("events")

_FEW = 500
"""An event with at most this many deliveries is read like any page."""


@router.get("/v1/events", response_model=Page[Event])
async def list_events(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    type: Text = None,  # noqa: A002 - the parameter's name on the wire
    q: Text = None,
) -> Response:
    """List events, newest first."""
    owner = caller_of(request).account(account)
    parsed = filter_of(q, parse_event_filter)
    async with searching(request, parsed):
        page = await read_in(request, owner, queries.list_events, window, type, parsed)
    return respond(page)


@router.get("/v1/events/{event}", response_model=EventDetail)
async def get_event(
    request: Request, event: EventParameter, account: AccountParameter = None
) -> Response:
    """Show one event with its body, its deliveries and the hooks it skipped."""
    owner = caller_of(request).account_or_any(account)
    detail = await read(request, queries.get_event, owner, event, _FEW)
    if detail is None:  # as slow as a search, so with its limits
        async with search_turn(request):
            detail = await read(request, queries.get_event, owner, event)
    assert detail is not None  # noqa: S101 - for the type checker
    return respond_in_parts(detail, request.scope["state"]["slot"])


_PART_ITEMS: Final = 100
"""Deliveries or skips that are encoded in one step, about 1 ms."""
_ITEM_BYTES: Final = 512
"""A delivery in memory."""


def respond_in_parts(detail: EventDetail, slot: ConnectionSlot) -> Response:
    """Return an event; one with many deliveries or skips is encoded while the client reads it."""
    lists: dict[bytes, Sequence[object]] = {
        b"deliveries": detail.deliveries,
        b"skips": detail.skips,
    }
    count = sum(map(len, lists.values()))
    if count <= _PART_ITEMS:
        return respond(detail)
    rest = encode(replace(detail, deliveries=(), skips=()))

    async def parts() -> AsyncIterator[bytes]:
        left = rest
        slot.unencoded = count * _ITEM_BYTES
        try:
            for name, items in lists.items():
                # Quotes inside strings are escaped, so this pattern cannot occur in one.
                before, empty, left = left.partition(b'"%b":[]' % name)
                yield before + empty[:-1]
                for start in range(0, len(items), _PART_ITEMS):
                    part = encode(items[start : start + _PART_ITEMS])[1:-1]
                    yield b"," + part if start else part
                    await asyncio.sleep(0)  # lets other tasks run, even if the client reads quickly
                left = b"]" + left
        finally:
            slot.unencoded = 0
        yield left

    return StreamingResponse(parts(), media_type=JSON)


@router.get("/v1/events/{event}/decisions", response_model=Page[HookDecision])
async def event_decisions(
    request: Request,
    event: EventParameter,
    window: Window,
    account: AccountParameter = None,
    concerned: Annotated[bool | None, Query(description="Only subscribed hooks.")] = None,
) -> Response:
    """List the outcome of an event for each hook of its account, with the reason."""
    owner = caller_of(request).account_or_any(account)
    async with search_turn(request):
        page = await read(request, queries.list_decisions, owner, event, window, concerned)
    return respond(page)


@router.get("/v1/event-types", response_model=Catalogue)
async def event_types(request: Request) -> Response:
    """List the groups and types of events of this installation."""
    return respond(service_of(request).catalogue)
