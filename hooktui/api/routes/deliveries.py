"""Deliveries: list, show, resend, cancel.

A delivery is shown with its attempts, its rebuilt request, and the exact string signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import Caller, caller_of
from hooktui.api.limits import searching
from hooktui.api.parameters import (
    AccountParameter,
    DeliveryParameter,
    EventQuery,
    HookQuery,
    Moment,
    Text,
    Window,
    filter_of,
    make_router,
)
from hooktui.api.responses import respond
from hooktui.api.service import Service, read, read_in, service_of, write_in
from hooktui.channels import web
from hooktui.domain import ids
from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import Trigger
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import STATUSES
from hooktui.domain.ids import DeliveryId, EventId, HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.wire import fields_of
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail
from hooktui.domain.wire.deliveries import Request as SentRequest
from hooktui.domain.wire.pages import Page
from hooktui.store import changes, queries

if TYPE_CHECKING:
    from hooktui.store.queries import DeliveryRecord


async def detail_of(service: Service, caller: Caller, record: DeliveryRecord) -> DeliveryDetail:
    """Return a delivery with its details.

    The request is that of the latest attempt; if there was none, of the next one without
    signatures, so that no reader can send it. It is omitted once the body has been purged or the
    hook deleted.
    """
    delivery = record.delivery
    hook = service.store.hooks().get(HookId(delivery.hook))
    request, signed = None, None
    if record.body is not None:
        started_at_ms = record.last_started_at_ms
        timestamp_s = (now_ms() if started_at_ms is None else started_at_ms) // 1000
        event = EventId(ids.decode("evt", delivery.event))
        signed = web.string_signed(event, timestamp_s, record.body)
        if hook is not None:
            request = await _request(service, caller, record, hook, event, timestamp_s, record.body)
    details = {"attempts": record.attempts, "request": request, "string_signed": signed}
    return DeliveryDetail(**fields_of(delivery) | details)


async def _request(
    service: Service,
    caller: Caller,
    record: DeliveryRecord,
    hook: LiveHook,
    event: EventId,
    timestamp_s: int,
    body: bytes,
) -> SentRequest:
    secrets: Sequence[LiveSecret] = ()
    if record.last_secret_ids:
        used = partial(service.store.signing_secrets, hook.id, record.last_secret_ids)
        secrets = await service.reads.run(caller, used)
    lines = web.attempt_lines(
        hook,
        event_type=record.delivery.event_type,
        delivery=DeliveryId(ids.decode("dlv", record.delivery.id)),
        event=event,
        timestamp_s=timestamp_s,
        body=body,
        secrets=secrets,
    )
    return SentRequest(
        method="POST",
        url=hook.target.url,
        headers=tuple(web.shown_headers(hook, lines)),
        body=body.decode("utf-8", "replace"),
    )


router = make_router("deliveries")


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
    owner = caller_of(request).account(account)
    if status is not None and status not in STATUSES:
        known = ", ".join(STATUSES)
        raise Refused.field("/status", f"unknown status {status[:100]!r}; known: {known}")
    query = queries.DeliveryQuery(
        hook=hook,
        event=event,
        event_type=type,
        status=status,
        trigger=trigger,
        since_ms=since,
        until_ms=until,
        q=filter_of(q),
    )
    async with searching(request, query.q):
        page = await read_in(request, owner, queries.list_deliveries, window, query)
    return respond(page)


@router.get("/v1/deliveries/{delivery}", response_model=DeliveryDetail)
async def get_delivery(
    request: Request, delivery: DeliveryParameter, account: AccountParameter = None
) -> Response:
    """Show one delivery with all its attempts."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    record = await read(request, queries.get_delivery, owner, delivery)
    return respond(await detail_of(service, caller, record))


@router.post(
    "/v1/deliveries/{delivery}/resend",
    response_model=Delivery,
    responses={201: {"model": Delivery, "description": "A new delivery of the same event."}},
)
async def resend_delivery(
    request: Request, delivery: DeliveryParameter, account: AccountParameter = None
) -> Response:
    """Send again: a final delivery as a new one (201), a pending or held one now (200)."""
    sent, created = await write_in(request, account, changes.resend, delivery)
    return respond(sent, 201 if created else 200)


@router.post("/v1/deliveries/{delivery}/cancel", response_model=Delivery)
async def cancel_delivery(
    request: Request, delivery: DeliveryParameter, account: AccountParameter = None
) -> Response:
    """Cancel a pending or held delivery."""
    return respond(await write_in(request, account, changes.cancel, delivery))
