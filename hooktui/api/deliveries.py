"""Deliveries: list, show, send again, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.answers import answer
from hooktui.api.delivery_details import detail_of
from hooktui.api.parameters import (
    AccountParameter,
    DeliveryParameter,
    EventQuery,
    HookQuery,
    Moment,
    Text,
    Window,
    filter_of,
    moment,
)
from hooktui.api.reading import read_in
from hooktui.api.searches import searching
from hooktui.api.service import service_of
from hooktui.domain.deliveries import Trigger
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import STATUSES
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail
from hooktui.domain.wire.pages import Page
from hooktui.store import changes, queries

router = APIRouter()


@router.get("/v1/deliveries", response_model=Page[Delivery])
async def list_deliveries(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    hook: HookQuery = None,
    event: EventQuery = None,
    type: Text = None,  # noqa: A002 - the parameter's name on the wire
    status: Annotated[str | None, Query(json_schema_extra={"enum": list(STATUSES)})] = None,
    trigger: Annotated[Trigger | None, Query()] = None,
    since: Moment = None,
    until: Moment = None,
    q: Text = None,
) -> Response:
    """List deliveries, newest first; all conditions must hold."""
    service = service_of(request)
    owner = caller_of(request).account(account)
    if status is not None and status not in STATUSES:
        raise Refused.field("/status", f"unknown status; known: {', '.join(STATUSES)}")
    query = queries.DeliveryQuery(
        hook=hook,
        event=event,
        event_type=type,
        status=status,
        trigger=trigger,
        since_ms=None if since is None else moment(since),
        until_ms=None if until is None else moment(until),
        q=filter_of(q),
    )
    async with searching(request, query.q):
        page = await read_in(service, owner, queries.list_deliveries, owner, window, query)
    return answer(page)


@router.get("/v1/deliveries/{delivery}", response_model=DeliveryDetail)
async def get_delivery(
    request: Request, delivery: DeliveryParameter, account: AccountParameter = None
) -> Response:
    """Show one delivery with all its attempts."""
    service = service_of(request)
    owner = caller_of(request).account_or_any(account)
    record = await service.store.read(queries.get_delivery, owner, delivery)
    return answer(await detail_of(service, record))


@router.post(
    "/v1/deliveries/{delivery}/resend",
    response_model=Delivery,
    responses={201: {"model": Delivery, "description": "A new delivery of the same event."}},
)
async def resend(
    request: Request, delivery: DeliveryParameter, account: AccountParameter = None
) -> Response:
    """Send again: a final one as a new delivery (201), a waiting one now (200)."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    sent, created = await service.store.write(changes.resend, caller.actor, owner, delivery)
    return answer(sent, 201 if created else 200)


@router.post("/v1/deliveries/{delivery}/cancel", response_model=Delivery)
async def cancel(
    request: Request, delivery: DeliveryParameter, account: AccountParameter = None
) -> Response:
    """Cancel a delivery that waits."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    cancelled = await service.store.write(changes.cancel, caller.actor, owner, delivery)
    return answer(cancelled)
