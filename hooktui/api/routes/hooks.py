"""Hooks: list, create, show, edit, delete, ping, secrets, and dry runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.limits import search_turn, searching
from hooktui.api.parameters import (
    MAX_ID,
    SECRET_BOUNDS,
    WHOLE,
    AccountParameter,
    HookParameter,
    RequestBody,
    Text,
    Window,
    hook_search_of,
    is_of_revision_1,
    make_router,
)
from hooktui.api.responses import NO_STORE, encode, no_content, respond
from hooktui.api.routes.deliveries import detail_of
from hooktui.api.service import Service, check_account, read, read_in, service_of, write_in
from hooktui.domain import hook_edits
from hooktui.domain.catalogue import normalise
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Refused
from hooktui.domain.filters.limits import FilterLimits, check_filter
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.hook_settings import (
    DEFAULT_OVERLAP_S,
    MAX_OVERLAP_S,
    HookSettings,
    check_new_secret,
    check_overlap,
)
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Need, require
from hooktui.domain.signatures import make_secret
from hooktui.domain.wire.deliveries import Pinged
from hooktui.domain.wire.hooks import (
    MAX_HOURS,
    ChangedHook,
    CreatedHook,
    DryRun,
    Hook,
    HookHealth,
    Secrets,
    for_revision_1,
    with_limits,
    with_pace,
)
from hooktui.domain.wire.pages import Page
from hooktui.store import changes, queries
from hooktui.store.tx import Tx

router = make_router("hooks")

JsonObject = Annotated[dict[str, Any], Body()]
"""The fields of a hook; their schemas are made in ``api.openapi``."""


class RotateBody(RequestBody):
    """A rotation: the new secret (made when left out), and how long the old one stays valid."""

    secret: Annotated[str, Field(json_schema_extra=SECRET_BOUNDS)] | None = Field(
        default=None, repr=False
    )
    overlap_s: (
        Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": MAX_OVERLAP_S})] | None
    ) = None


def check_room_for_hook(service: Service, account: AccountId) -> None:
    """Check that an account may have one more hook.

    Raises:
        Refused: names the limit and its setting.
    """
    allowed = service.limits.hooks
    if service.store.count_hooks(account) >= allowed:
        raise Refused(
            f"account {account} has {allowed:,} hooks, the limit; delete some, or have an"
            " admin raise HOOKTUI_MAX_HOOKS"
        )


def check_hook_filter(text: str | None, limits: FilterLimits) -> None:
    """Check that a filter is not too expensive.

    Raises:
        Refused: names the limit and its setting.
    """
    if text is not None:
        check_filter(parse_hook_filter(text), limits)


def _shown(request: Request, hook: Hook) -> Hook:
    """Return a hook with its pace at this server, as the client can read it."""
    service = service_of(request)
    if is_of_revision_1(request):
        hook = for_revision_1(hook, service.auto_in_flight_max)
    return with_pace(hook, service.engine.pace_of(HookId(hook.id)))


@router.get("/v1/hooks", response_model=Page[Hook])
async def list_hooks(
    request: Request,
    window: Window,
    account: AccountParameter = None,
    q: Text = None,
) -> Response:
    """List hooks."""
    owner = caller_of(request).account(account)
    search = hook_search_of(q)
    async with searching(request, search):
        page = await read_in(request, owner, queries.list_hooks, window, search)
    return respond(replace(page, data=[_shown(request, hook) for hook in page.data]))


@router.post("/v1/hooks", status_code=201, response_model=CreatedHook)
async def create_hook(
    request: Request, body: JsonObject, account: AccountParameter = None
) -> Response:
    """Create a hook; of all hook objects only this response holds the secret."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account(account)
    hook_edits.check_fields(body, hook_edits.CREATE_TYPES, hook_edits.CREATE_REQUIRED)
    secret = body.pop("secret", None)
    check_new_secret(secret)
    settings, short = hook_edits.apply(hook_edits.NEW_HOOK, body, service.catalogue)
    check_hook_filter(settings.filter, service.limits.filters)
    await check_account(service, owner)
    check_room_for_hook(service, owner)
    warning = await service.check_url(settings.url)
    secret = make_secret() if secret is None else secret
    hook = await service.store.write(changes.create_hook, caller.actor, owner, settings, secret)
    warnings = [*([] if warning is None else [warning]), *short]
    created = CreatedHook.of(_shown(request, hook), secret, warnings)
    return respond(created, 201, headers=NO_STORE)


@router.get("/v1/hooks/{hook}", response_model=Hook)
async def get_hook(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """Show one hook."""
    owner = caller_of(request).account_or_any(account)
    return respond(_shown(request, await read(request, queries.get_hook, owner, hook)))


@router.patch("/v1/hooks/{hook}", response_model=ChangedHook)
async def change_hook(
    request: Request, hook: HookParameter, body: JsonObject, account: AccountParameter = None
) -> Response:
    """Edit the given fields, with ``version`` only if the hook is still at that version.

    An operator may change ``active``; other fields need the role admin.
    """
    service, caller = service_of(request), caller_of(request)
    hook_edits.check_fields(body, hook_edits.EDIT_TYPES)
    version = body.pop("version", None)
    if body.keys() - {"active"}:
        require(caller.role, Need.ADMINISTER)
    owner = caller.account_or_any(account)

    warning = await service.check_url(body["url"]) if "url" in body else None
    short: list[str] = []

    def edit(before: HookSettings) -> HookSettings:
        after, warnings = hook_edits.apply(before, body, service.catalogue)
        if "filter" in body:
            check_hook_filter(after.filter, service.limits.filters)
        short[:] = warnings  # not extended: a transaction may run again
        return after

    edited = await service.store.write(
        changes.change_hook, caller.actor, owner, hook, edit, version
    )
    changed = _shown(request, edited)
    warnings = [*([] if warning is None else [warning]), *short]
    return respond(ChangedHook.of(changed, warnings) if warnings else changed)


@router.delete("/v1/hooks/{hook}", status_code=204)
async def delete_hook(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """Delete a hook; pending deliveries are cancelled."""
    await write_in(request, account, changes.delete_hook, hook)
    return no_content()


@router.get("/v1/hooks/{hook}/health", response_model=HookHealth)
async def hook_health(
    request: Request,
    hook: HookParameter,
    hours: Annotated[int, Query(ge=1, le=MAX_HOURS), WHOLE] = 24,
    account: AccountParameter = None,
) -> Response:
    """Show a hook's health over the last hours: attempts, durations, backlog, limit."""
    service = service_of(request)
    owner = caller_of(request).account_or_any(account)
    health = await read(request, queries.hook_health, owner, hook, hours, now_ms())
    return respond(with_limits(health, service.engine.limit_history(hook)))


@router.post("/v1/hooks/{hook}/ping", response_model=Pinged)
async def ping_hook(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """Send the hook's own object as a test delivery, and wait for the response."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    shown = await read(request, queries.get_hook, owner, hook)
    whose = AccountId(shown.account)
    await service.store.write(Tx.audit, caller.actor, "hook.ping", f"hook {hook}", account=whose)
    delivery = await service.engine.ping(hook, encode(shown))
    record = await read(request, queries.get_delivery, owner, delivery)
    return respond(Pinged.of(await detail_of(service, caller, record)))


@router.get("/v1/hooks/{hook}/secret", response_model=Secrets)
async def reveal_secrets(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """Show a hook's live secrets; audited."""
    secrets = await write_in(request, account, changes.reveal_secrets, hook)
    return respond(secrets, headers=NO_STORE)


@router.post("/v1/hooks/{hook}/secret/rotate", response_model=Secrets)
async def rotate_secret(
    request: Request,
    hook: HookParameter,
    body: RotateBody | None = None,
    account: AccountParameter = None,
) -> Response:
    """Give a hook a new secret; the old one stays valid for the overlap."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    body = body or RotateBody()
    check_new_secret(body.secret)
    overlap_s = DEFAULT_OVERLAP_S if body.overlap_s is None else body.overlap_s
    check_overlap(overlap_s)
    secret = make_secret() if body.secret is None else body.secret
    secrets = await service.store.write(
        changes.rotate_secret, caller.actor, owner, hook, secret, overlap_s
    )
    return respond(secrets, headers=NO_STORE)


@router.post("/v1/hooks/{hook}/secret/finish", response_model=Secrets)
async def finish_rotation(
    request: Request, hook: HookParameter, account: AccountParameter = None
) -> Response:
    """End the overlap of a rotation now."""
    secrets = await write_in(request, account, changes.finish_rotation, hook)
    return respond(secrets, headers=NO_STORE)


class DryRunBody(RequestBody):
    """The dry run: ``hook`` with the given fields changed, or a new hook."""

    hook: Annotated[HookId, Field(ge=1, le=MAX_ID)] | None = None
    events: Annotated[list[str], Field(json_schema_extra={"minItems": 1})] | None = None
    filter: str | None = None


@router.post("/v1/hooks/dry-run", response_model=DryRun)
async def dry_run_hook(
    request: Request, body: DryRunBody, account: AccountParameter = None
) -> Response:
    """Dry-run a hook on the latest 1,000 events; nothing is sent or saved."""
    service, caller = service_of(request), caller_of(request)
    if body.filter is not None and body.filter.strip():
        try:
            parse_hook_filter(body.filter)
        except Refused as refused:
            raise Refused.field("/filter", refused.detail) from None
    async with search_turn(request):
        owner, stored = caller.account_or_any(account), None
        if body.hook is None:
            owner = caller.account(account)
            await check_account(service, owner)
        elif body.events is not None:
            stored = list((await read(request, queries.get_hook, owner, body.hook)).events)
        if body.hook is None or body.events != stored:
            # As in an edit: a type that left the catalogue stays in a hook's own selection.
            normalise(service.catalogue, body.events or ())
        filter_given = "filter" in body.model_fields_set
        settings = (body.hook, body.events, body.filter)
        run = await read(request, queries.try_hook, owner, *settings, filter_given=filter_given)
        return respond(run)
