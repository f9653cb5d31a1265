"""Accounts and tokens."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from hooktui.domain.clock import optional_rfc3339, to_rfc3339
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Role
from hooktui.domain.wire.access import Account, Token
from hooktui.domain.wire.pages import Page
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.tables import (
    ACCOUNT,
    HOOK,
    HOOK_STATE,
    TOKEN,
    AccountRow,
    TokenRow,
    in_account,
    maker_of,
)

_account_row = maker_of(AccountRow)
_token_row = maker_of(TokenRow)


def list_accounts(conn: Connection, page: PageRequest) -> Page[Account]:
    """Return a page of all accounts.

    Raises:
        Refused: the page request is not acceptable.
    """
    sorts = {"id": None, "name": ACCOUNT.c.name}
    listing = PagedQuery(select(ACCOUNT), _account_row, ACCOUNT.c.id, sorts)
    return page_of(conn, page, listing, lambda accounts: _counted(conn, accounts))


def _counted(conn: Connection, accounts: Sequence[AccountRow]) -> list[Account]:
    """Return accounts with their hooks and backlog, read from counters without a scan."""
    waiting = func.coalesce(func.sum(HOOK_STATE.c.waiting), 0)
    query = select(HOOK.c.account_id, func.count(), waiting).outerjoin(
        HOOK_STATE, (HOOK_STATE.c.hook_id == HOOK.c.id) & HOOK.c.active
    )
    query = query.where(HOOK.c.deleted_at.is_(None))
    query = query.where(HOOK.c.account_id.in_([account.id for account in accounts]))
    counts = {
        account: (hooks, int(waits))
        for account, hooks, waits in conn.execute(query.group_by(HOOK.c.account_id))
    }
    return [account_of(account, *counts.get(account.id, (0, 0))) for account in accounts]


def get_account(conn: Connection, account: AccountId) -> Account:
    """Return an account.

    Raises:
        NotFound: there is none with this id.
    """
    return _counted(conn, [account_row(conn, account)])[0]


def account_row(conn: Connection, account: AccountId) -> AccountRow:
    """Return the row of an account, without the counters, to check that the account exists.

    Raises:
        NotFound: there is none with this id.
    """
    row = conn.execute(select(ACCOUNT).where(ACCOUNT.c.id == account)).first()
    if row is None:
        raise NotFound(f"there is no account {account}; see: hooktui accounts list")
    return _account_row(*row)


def list_tokens(conn: Connection, account: AccountId | None, page: PageRequest) -> Page[Token]:
    """Return a page of tokens: those bound to an account, or (None) all.

    Raises:
        Refused: the page request is not acceptable.
    """
    rows = select(TOKEN).where(in_account(TOKEN, account))
    listing = PagedQuery(rows, _token_row, TOKEN.c.id, {"id": None, "name": TOKEN.c.name})
    return page_of(conn, page, listing, lambda tokens: [token_of(token) for token in tokens])


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The properties of a token that authorization needs."""

    id: int
    name: str
    role: Role
    account: AccountId | None
    expires_at_ms: int | None


def token_by_hash(conn: Connection, token: int, sha256: bytes) -> TokenRecord | None:
    """Return a token by the id in its text and the SHA-256 of the whole text; None: invalid."""
    found = conn.execute(select(TOKEN).where(TOKEN.c.id == token)).first()
    if found is None:
        return None
    row = _token_row(*found)
    if not hmac.compare_digest(row.sha256, sha256):
        return None
    return TokenRecord(row.id, row.name, Role(row.role), row.account_id, row.expires_at)


def token_of(row: TokenRow, text: str | None = None) -> Token:
    """Return a token from its row; its text is known only at creation."""
    return Token(
        id=row.id,
        name=row.name,
        role=row.role,
        account=row.account_id,
        created_at=to_rfc3339(row.created_at),
        expires_at=optional_rfc3339(row.expires_at),
        last_used_at=optional_rfc3339(row.last_used_at),
        token=text,
    )


def account_of(row: AccountRow, hooks: int = 0, waiting: int = 0) -> Account:
    """Return an account from its row and its counts."""
    created_at = to_rfc3339(row.created_at)
    return Account(id=row.id, name=row.name, created_at=created_at, hooks=hooks, waiting=waiting)
