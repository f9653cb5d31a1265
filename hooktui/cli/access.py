"""``hooktui accounts`` and ``hooktui tokens``: owners, and the credentials of programs."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated, Literal

from cyclopts import App, Parameter

from hooktui.cli.context import Context, Number, Text
from hooktui.cli.exit_codes import UsageError
from hooktui.cli.listing import FIRST_50, Limit, Listing, for_each, show_list
from hooktui.cli.output import Piece
from hooktui.cli.time_format import ago, moment_ahead
from hooktui.client import calls
from hooktui.domain.wire.access import Account, Token

accounts = App(name="accounts", help="List and create accounts.")


@accounts.command(name="list")
def list_accounts(*, limit: Limit = FIRST_50, context: Context) -> None:
    """List accounts; --account N of any command chooses one."""
    show_list(context, calls.list_accounts, _ACCOUNTS, limit)


def _account_row(account: Account) -> list[Piece]:
    counts = [f"{account.hooks:,}", f"{account.waiting:,}"]
    return [str(account.id), account.name, *counts, ago(account.created_at)]


_ACCOUNTS = Listing(
    "ID>, NAME, HOOKS>, WAITING>, CREATED",
    _account_row,
    "no accounts; create one: hooktui accounts create NAME",
)


@accounts.command(name="create")
def create_account(name: Text, *, context: Context) -> None:
    """Create an account; prints its number.

    Args:
        name: for people.
    """
    account = context.ask(calls.create_account(name))
    if account is None:
        return
    context.out.line(str(account.id))
    context.out.note(f"use it with: --account {account.id}")


tokens = App(name="tokens", help="List, create and revoke tokens.")


@tokens.command(name="list")
def list_tokens(*, limit: Limit = FIRST_50, context: Context) -> None:
    """List tokens, without their values."""
    show_list(context, partial(calls.list_tokens, context.account), _TOKENS, limit)


def _token_row(token: Token) -> list[Piece]:
    return [
        str(token.id),
        token.name,
        token.role,
        "all" if token.account is None else str(token.account),
        ago(token.created_at),
        ago(token.expires_at),
        ago(token.last_used_at),
    ]


_TOKENS = Listing(
    "ID>, NAME, ROLE, ACCOUNT>, CREATED, EXPIRES, LAST USED",
    _token_row,
    "no tokens; create one: hooktui tokens create NAME --role viewer",
)


@tokens.command(name="create")
def create_token(
    name: Text,
    *,
    role: Literal["viewer", "operator", "admin", "producer"],
    expires: Annotated[str | None, Parameter(alias="--expires-at")] = None,
    context: Context,
) -> None:
    """Create a token and print it, only once; --account N limits it to one account.

    Args:
        name: which person or program uses it.
        role: viewer, operator, admin, or producer (sends events only).
        expires: when it ends: 30d, or an RFC 3339 time; never by default.
    """
    if sys.__stdout__ is None:  # sys.stdout is /dev/null instead: the token would be lost
        raise UsageError("stdout is closed, and the token is shown only once; redirect stdout")
    fields: dict[str, object] = {"name": name, "role": role}
    if context.account is not None:
        fields["account"] = context.account
    if expires is not None:
        fields["expires_at"] = moment_ahead("--expires", expires)
    token = context.ask(calls.create_token(fields))
    if token is None:
        return
    context.out.line(token.token or "")
    context.out.note(
        f"token {token.id} ({token.role}) is shown only once; clients read it from HOOKTUI_TOKEN"
    )


@tokens.command
def revoke(token: Number, /, *more: Number, yes: bool = False, context: Context) -> int:
    """Revoke tokens immediately.

    Args:
        token: its number, from `hooktui tokens list`.
        more: further numbers.
        yes: do not ask.
    """
    tokens = [token, *more]
    named = ", ".join(map(str, tokens))
    which, used = (f"tokens {named}", "them") if more else (f"token {named}", "it")
    question = f"Revoke {which}? Programs that use {used} are refused immediately."
    context.confirm(question, yes=yes)
    return for_each(
        context,
        tokens,
        lambda token, **_: calls.revoke_token(token),
        lambda token: context.out.note(f"token {token} is revoked"),
    )
