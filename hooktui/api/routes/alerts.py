"""Operator alerts: list, show, acknowledge and snooze them, also by undelivered group."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Concatenate

from fastapi import Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.parameters import (
    AccountParameter,
    AlertParameter,
    HookParameter,
    HookQuery,
    RequestBody,
    Text,
    Window,
    make_router,
)
from hooktui.api.responses import respond
from hooktui.api.routes.undelivered import CauseParameter, check_cause
from hooktui.api.service import read, read_in, service_of, write_in
from hooktui.domain.alerts import MAX_SNOOZE_S, MIN_SNOOZE_S, AlertState, AlertType
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import HookId
from hooktui.domain.roles import Actor
from hooktui.domain.wire import fields_of
from hooktui.domain.wire.alerts import Alert
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.undelivered import ChangedGroup, UndeliveredGroup
from hooktui.store import changes, queries
from hooktui.store.tx import Tx

router = make_router("alerts")


class SnoozeBody(RequestBody):
    """How long an alert is snoozed, in seconds."""

    for_s: Annotated[float, Field(ge=MIN_SNOOZE_S, le=MAX_SNOOZE_S, allow_inf_nan=False)]


@router.get("/v1/alerts", response_model=Page[Alert])
async def list_alerts(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    state: Annotated[AlertState | None, Query()] = None,
    type: Annotated[AlertType | None, Query()] = None,  # noqa: A002 - the name on the wire
    hook: HookQuery = None,
    key: Text = None,
) -> Response:
    """List alerts, newest first; without ``state`` or ``key`` only unresolved ones."""
    owner = caller_of(request).account(account)
    query = queries.AlertQuery(state=state, type=type, hook=hook, key=key)
    return respond(await read_in(request, owner, queries.list_alerts, window, query))


@router.get("/v1/alerts/{alert}", response_model=Alert)
async def get_alert(
    request: Request, alert: AlertParameter, account: AccountParameter = None
) -> Response:
    """Show one alert."""
    owner = caller_of(request).account_or_any(account)
    return respond(await read(request, queries.get_alert, owner, alert))


@router.post("/v1/alerts/{alert}/acknowledge", response_model=Alert)
async def acknowledge_alert(
    request: Request, alert: AlertParameter, account: AccountParameter = None
) -> Response:
    """Acknowledge an alert; from then on only its end is announced."""
    return respond(await write_in(request, account, changes.acknowledge_alert, alert))


@router.post("/v1/alerts/{alert}/snooze", response_model=Alert)
async def snooze_alert(
    request: Request, alert: AlertParameter, body: SnoozeBody, account: AccountParameter = None
) -> Response:
    """Snooze an alert for a minute to 30 days; then it opens and is announced again."""
    return respond(await write_in(request, account, changes.snooze_alert, alert, body.for_s))


@router.post("/v1/undelivered/{hook}/{cause}/acknowledge", response_model=ChangedGroup)
async def acknowledge_group(
    request: Request, hook: HookParameter, cause: CauseParameter, account: AccountParameter = None
) -> Response:
    """Acknowledge an undelivered group.

    This acknowledges its alert and the open alerts ``hook.failing`` and ``hook.disabled`` of its
    hook.
    """
    return await _change_group(request, hook, cause, account, changes.acknowledge_group)


@router.post("/v1/undelivered/{hook}/{cause}/snooze", response_model=ChangedGroup)
async def snooze_group(
    request: Request,
    hook: HookParameter,
    cause: CauseParameter,
    body: SnoozeBody,
    account: AccountParameter = None,
) -> Response:
    """Snooze an undelivered group: the same alerts as acknowledging it."""
    change = changes.snooze_group
    return await _change_group(request, hook, cause, account, change, body.for_s)


async def _change_group(
    request: Request,
    hook: HookId,
    cause: str,
    account: int | None,
    change: Callable[Concatenate[Tx, Actor, UndeliveredGroup, ...], int],
    *values: float,
) -> Response:
    """Change the alerts of a group, which is counted before and after, not in the transaction."""
    store, caller = service_of(request).store, caller_of(request)
    owner = caller.account_or_any(account)
    check_cause(cause)
    count = partial(queries.get_undelivered, now_ms=store.clock())
    group = await read(request, count, owner, hook, cause)
    alerts = await store.write(change, caller.actor, group, *values)
    with suppress(NotFound):  # it may be empty by now
        group = await read(request, count, owner, hook, cause)
    return respond(ChangedGroup(**fields_of(group), alerts=alerts))
