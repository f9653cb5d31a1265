"""Trying a hook's selection of events and its filter on the events of the past."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import Caller, caller_of
from hooktui.api.answers import answer
from hooktui.api.parameters import MAX_ID, AccountParameter
from hooktui.api.reading import check_account
from hooktui.api.service import Service, service_of
from hooktui.domain.catalogue import normalise
from hooktui.domain.errors import Refused
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.ids import HookId
from hooktui.domain.wire.hooks import DryRun
from hooktui.store import queries

router = APIRouter()


class DryRunBody(BaseModel):
    """What to try: ``hook`` as it would be after a change of the fields given, or a new hook."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hook: Annotated[int, Field(ge=1, le=MAX_ID)] | None = None
    events: list[str] | None = None
    filter: str | None = None


@router.post("/v1/hooks/dry-run", response_model=DryRun)
async def dry_run_hook(
    request: Request, body: DryRunBody, account: AccountParameter = None
) -> Response:
    """Say which of the latest 1,000 events a hook would have got; nothing is sent or saved."""
    service, caller = service_of(request), caller_of(request)
    if body.events is not None or body.hook is None:
        normalise(service.catalogue, body.events or ())
    if body.filter is not None and body.filter.strip():
        try:
            parse_hook_filter(body.filter)
        except Refused as refused:
            raise Refused.field("/filter", refused.detail) from None
    async with service.searches.search(caller):
        return answer(await _tried(service, caller, body, account))


async def _tried(service: Service, caller: Caller, body: DryRunBody, account: int | None) -> DryRun:
    if body.hook is None:
        owner = caller.account(account)
        await check_account(service, owner)
        return await service.store.read(queries.try_hook, owner, None, body.events, body.filter)
    return await service.store.read(
        queries.try_hook,
        caller.account_or_any(account),
        HookId(body.hook),
        body.events,
        body.filter,
        filter_given="filter" in body.model_fields_set,
    )
