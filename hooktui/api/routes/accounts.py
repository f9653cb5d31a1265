"""Accounts and tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from hooktui.api.access import caller_of
from hooktui.api.parameters import (
    INTEGER_SCHEMA,
    MAX_ID,
    AccountParameter,
    RequestBody,
    TokenParameter,
    Window,
    make_router,
)
from hooktui.api.responses import NO_STORE, no_content, respond
from hooktui.api.service import check_account, read, read_in, service_of
from hooktui.domain.clock import from_rfc3339, now_ms
from hooktui.domain.errors import FieldError, NotFound, Refused
from hooktui.domain.hook_fields import MAX_NAME, check_name
from hooktui.domain.roles import Role
from hooktui.domain.wire.access import Account, Token
from hooktui.domain.wire.pages import Page
from hooktui.store import changes, queries

router = make_router("access")


class AccountBody(RequestBody):
    """A new account."""

    name: str = Field(json_schema_extra={"pattern": r"\S"})


class TokenBody(RequestBody):
    """A new token; without ``account`` it may access all accounts."""

    name: str = Field(json_schema_extra={"pattern": r"\S", "maxLength": MAX_NAME})
    role: str = Field(json_schema_extra={"enum": list(Role)})
    account: Annotated[int, WithJsonSchema(INTEGER_SCHEMA)] | None = None
    expires_at: str | None = None


@router.get("/v1/accounts", response_model=Page[Account])
async def list_accounts(request: Request, window: Window) -> Response:
    """List accounts; a token that is bound to one sees only that one."""
    caller = caller_of(request)
    if caller.bound_to is not None:
        account = await read(request, queries.get_account, caller.bound_to)
        return respond(Page(data=[account], total=1))
    return respond(await read(request, queries.list_accounts, window))


@router.post("/v1/accounts", status_code=201, response_model=Account)
async def create_account(request: Request, body: AccountBody) -> Response:
    """Create an account."""
    name, wrong = _read_name(body.name, "an account")
    if wrong:
        raise Refused.field("/name", wrong)
    account = await service_of(request).store.write(
        changes.create_account, caller_of(request).actor, name
    )
    return respond(account, 201)


@router.get("/v1/tokens", response_model=Page[Token])
async def list_tokens(
    request: Request, window: Window, account: AccountParameter = None
) -> Response:
    """List tokens without their texts; with ``account`` those bound to it."""
    owner = caller_of(request).account_or_any(account)
    return respond(await read_in(request, owner, queries.list_tokens, window))


@router.post("/v1/tokens", status_code=201, response_model=Token)
async def create_token(
    request: Request, body: TokenBody, account: AccountParameter = None
) -> Response:
    """Create a token; its text is shown only in this response."""
    service, caller = service_of(request), caller_of(request)
    name, role, expires_at_ms = _checked(body)
    if None not in (account, body.account) and account != body.account:
        raise Refused.field(
            "/account",
            f"the URL names account {account}, the body account {body.account}; name one",
        )
    owner = caller.account_or_any(account if body.account is None else body.account)
    try:
        await check_account(service, owner)
    except NotFound as error:
        if body.account is None:
            raise
        raise Refused.field("/account", error.detail) from None
    token = await service.store.write(
        changes.create_token, caller.actor, name, role, owner, expires_at_ms
    )
    return respond(token, 201, headers=NO_STORE)


def _read_name(given: str, of: str) -> tuple[str, str | None]:
    """Return a name without blanks at its ends, and what is wrong with it, or None."""
    name = given.strip()
    return name, check_name(name) or (None if name else f"{of} needs a name")


def _checked(body: TokenBody) -> tuple[str, Role, int | None]:
    errors = []
    name, wrong = _read_name(body.name, "a token")
    if wrong:
        errors.append(FieldError("/name", wrong))
    if body.role not in tuple(Role):
        known = ", ".join(Role)
        errors.append(FieldError("/role", f"unknown role {body.role[:40]!r}; known: {known}"))
    if body.account is not None and not 1 <= body.account <= MAX_ID:
        errors.append(FieldError("/account", f"account must be from 1 to {MAX_ID}"))
    expires_at_ms = None
    if body.expires_at is not None:
        try:
            expires_at_ms = from_rfc3339(body.expires_at)
        except ValueError:
            detail = f"{body.expires_at[:40]!r} is not a time; write it as 2026-11-25T03:04:05Z"
            errors.append(FieldError("/expires_at", detail))
        else:
            if expires_at_ms <= now_ms():
                errors.append(FieldError("/expires_at", "expires_at is in the past"))
    if errors:
        raise Refused.fields(errors)
    return name, Role(body.role), expires_at_ms


@router.delete("/v1/tokens/{token}", status_code=204)
async def revoke_token(request: Request, token: TokenParameter) -> Response:
    """Revoke a token."""
    service, caller = service_of(request), caller_of(request)
    await service.store.write(changes.revoke_token, caller.actor, caller.bound_to, token)
    service.tokens_version += 1
    return no_content()
