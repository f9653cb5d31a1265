"""A delivery with everything: its attempts, its request rebuilt, and the exact string signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hooktui.api.service import Service
from hooktui.channels import web
from hooktui.domain import ids
from hooktui.domain.clock import now_ms
from hooktui.domain.ids import DeliveryId, EventId, HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.wire.deliveries import DeliveryDetail, Request

if TYPE_CHECKING:
    from hooktui.store.queries import DeliveryRecord


async def detail_of(service: Service, record: DeliveryRecord) -> DeliveryDetail:
    """Return what is shown of a delivery.

    The request is the one of the latest attempt, or of the next when there was none; it is left out
    once the body has been purged or the hook deleted.
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
            request = await _request(service, record, hook, event, timestamp_s, record.body)
    return DeliveryDetail(
        id=delivery.id,
        event=delivery.event,
        event_type=delivery.event_type,
        hook=delivery.hook,
        account=delivery.account,
        trigger=delivery.trigger,
        status=delivery.status,
        held=delivery.held,
        reason=delivery.reason,
        attempts=tuple(record.attempts),
        next_attempt_at=delivery.next_attempt_at,
        created_at=delivery.created_at,
        finished_at=delivery.finished_at,
        duration_ms=delivery.duration_ms,
        request=request,
        string_signed=signed,
    )


async def _request(
    service: Service,
    record: DeliveryRecord,
    hook: LiveHook,
    event: EventId,
    timestamp_s: int,
    body: bytes,
) -> Request:
    secrets = hook.secrets_at(timestamp_s * 1000)
    if record.last_secret_ids:
        secrets = await service.store.signing_secrets(hook.id, record.last_secret_ids)
    headers = web.request_headers(
        hook,
        event_type=record.delivery.event_type,
        delivery=DeliveryId(ids.decode("dlv", record.delivery.id)),
        event=event,
        timestamp_s=timestamp_s,
        body=body,
        secrets=secrets,
        show=True,
    )
    return Request(
        method="POST",
        url=hook.target.url,
        headers=tuple(headers),
        body=body.decode("utf-8", "replace"),
    )
