"""Undelivered events: list their groups, give one up; cancel deliveries by filter.

A change of many deliveries runs in short transactions, for `WITHIN_S` per call; a client calls
again with ``next``. The deliveries that no call reached stay unchanged. The first transaction of a
call that changes something records its scope in the audit trail, the last one its result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Final, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.limits import searching
from hooktui.api.parameters import (
    AccountParameter,
    HookParameter,
    HookQueries,
    RequestBody,
    Text,
    Window,
    filter_of,
    make_router,
    next_of,
    past_moment,
)
from hooktui.api.responses import respond
from hooktui.api.service import check_account, read, read_in, service_of
from hooktui.domain import ids
from hooktui.domain.clock import DAY_MS, now_ms, to_rfc3339
from hooktui.domain.errors import Refused
from hooktui.domain.failure_causes import ALL_GROUPS, GROUPS_IN_WORDS
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.wire.undelivered import CancelledMany, GaveUp, UndeliveredPage, with_limit
from hooktui.store import changes, queries

WITHIN_S = 5.0
"""Time limit of one call."""
_REST: Final = 1.0
"""Pause after a transaction as a multiple of its duration."""


def check_cause(name: str) -> str:
    """Return the cause of a group.

    Raises:
        Refused: it is not one; names them all.
    """
    if name in ALL_GROUPS:
        return name
    detail = f"{name[:40]!r} is not a cause; expected one of {GROUPS_IN_WORDS}"
    raise Refused.field("/cause", detail)


CauseParameter = Annotated[str, Path(description=f"One of {GROUPS_IN_WORDS}.")]

router = make_router("deliveries")


@router.get("/v1/undelivered", response_model=UndeliveredPage)
async def list_undelivered(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    hook: HookQueries = (),
    cause: Text = None,
    state: Annotated[Literal["open", "acknowledged", "snoozed"] | None, Query()] = None,
) -> Response:
    """List undelivered events by hook and cause, the newest first, with the totals of all."""
    service = service_of(request)
    owner = caller_of(request).account(account)
    query = queries.UndeliveredQuery(
        hooks=hook, cause=None if cause is None else check_cause(cause), state=state
    )
    now, days = now_ms(), service.store.keep.days
    page = await read_in(
        request,
        owner,
        queries.list_undelivered,
        window,
        query,
        now_ms=now,
        kept_since_ms=round(now - days * DAY_MS) if days else 0,
    )
    pace_of = service.engine.pace_of
    groups = [with_limit(group, pace_of(HookId(group.hook))) for group in page.data]
    return respond(replace(page, data=groups))


class GiveUpBody(RequestBody):
    """The events to give up: those created up to ``until``, an RFC 3339 time or an age.

    ``after`` is the ``next`` of the previous call.
    """

    until: str
    after: str | None = None


@router.post("/v1/undelivered/{hook}/{cause}/give-up", response_model=GaveUp)
async def give_up_undelivered(
    request: Request,
    hook: HookParameter,
    cause: CauseParameter,
    body: GiveUpBody,
    account: AccountParameter = None,
) -> Response:
    """Give up a group: nothing more is sent for the events that it had at ``until``.

    Failed deliveries are no longer counted, pending and held ones are cancelled. One call works for
    5 seconds; repeat with ``after`` set to ``next`` until that is null.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    check_cause(cause)
    until_ms = past_moment("until", body.until)
    after = None if body.after is None else DeliveryId(next_of("dlv", body.after))
    given_up = cancelled = 0
    try:
        async for _ in _turns():
            done = await service.store.write(
                changes.give_up, caller.actor, owner, hook, cause, until_ms, after,
                audited=bool(given_up or cancelled),
            )  # fmt: skip
            given_up, cancelled = given_up + done.given_up, cancelled + done.cancelled
            after = done.after
            if after is None:
                break
    finally:
        if given_up or cancelled:
            counts = {"given_up": given_up, "cancelled": cancelled}
            result = {"cause": cause, "until": to_rfc3339(until_ms)} | counts
            await service.store.write(changes.audit_give_up, caller.actor, owner, hook, result)
    rest = None if after is None else ids.encode("dlv", after)
    return respond(GaveUp(given_up=given_up, cancelled=cancelled, next=rest))


class CancelBody(RequestBody):
    """The deliveries to cancel: those that match a filter and were created up to ``until``.

    ``after`` is the ``next`` of the previous call.
    """

    q: str
    until: str
    after: str | None = None


@router.post("/v1/deliveries/cancel", response_model=CancelledMany)
async def cancel_many(
    request: Request, body: CancelBody, account: AccountParameter = None
) -> Response:
    """Cancel the pending and held deliveries that match a filter.

    One call works for 5 seconds; repeat with ``after`` set to ``next`` until that is null.
    """
    service, caller = service_of(request), caller_of(request)
    owner = caller.account(account)
    parsed = filter_of(body.q)
    if parsed is None:
        raise Refused.field("/q", "q is empty; write a filter, as in hook:12 status:retrying")
    until_ms = past_moment("until", body.until)
    position = (0, 0) if body.after is None else _position(body.after)
    rest: str | None = None
    await check_account(service, owner)
    cancelled = sending = 0
    scope = {"q": body.q, "until": to_rfc3339(until_ms)}
    try:
        async with searching(request, parsed):
            async for _ in _turns():
                part = await read(request, queries.find_open, owner, parsed, until_ms, position)
                sending += part.sending
                if part.pending:
                    cancelled += await service.store.write(
                        changes.cancel_some, caller.actor, owner, part.pending,
                        None if cancelled else scope,
                    )  # fmt: skip
                if part.after is None:
                    rest = None
                    break
                position = part.after
                rest = f"{position[0]}.{ids.encode('dlv', position[1])}"
    finally:
        if cancelled:
            result = scope | {"cancelled": cancelled, "sending": sending}
            await service.store.write(changes.audit_cancel, caller.actor, owner, result)
    return respond(CancelledMany(cancelled=cancelled, sending=sending, next=rest))


async def _turns() -> AsyncIterator[None]:
    """Yield once for each transaction while there is time; other work runs in between."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + WITHIN_S
    while True:
        begun_s = loop.time()
        yield
        took_s = loop.time() - begun_s
        if loop.time() + took_s > end_s:
            return
        await asyncio.sleep(_REST * took_s)


def _position(text: str) -> tuple[int, int]:
    hook, _, delivery = text[:100].partition(".")
    if not (hook.isascii() and hook.isdecimal() and len(hook) < 19):
        raise Refused.field("/after", "after must be the next of the previous call")
    return int(hook), next_of("dlv", delivery)
