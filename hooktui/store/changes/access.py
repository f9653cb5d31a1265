"""Accounts and tokens."""

from __future__ import annotations

import base64
import hashlib
import secrets

from sqlalchemy import update
from sqlmodel import select

from hooktui.domain.clock import optional_rfc3339
from hooktui.domain.errors import Conflict, NotFound
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.access import Account, Token
from hooktui.store.queries.access import account_of, account_row, token_of
from hooktui.store.tables import TOKEN, AccountRow, TokenRow, in_account
from hooktui.store.tx import Tx

_TOKEN_BYTES = 20  # 160 bits


def create_account(tx: Tx, actor: Actor, name: str) -> Account:
    """Create an account.

    Raises:
        Conflict: an account of this name exists.
    """
    with tx.session() as session:
        same = session.exec(select(AccountRow).where(AccountRow.name == name)).first()
        if same is not None:
            raise Conflict(f"account {same.id} is named {name!r} already; choose another name")
        row = AccountRow(name=name, created_at=tx.now_ms)
        session.add(row)
    after = {"name": name}
    tx.audit(actor, "account.create", f"account {row.id}", account=row.id, after=after)
    return account_of(row)


def create_token(
    tx: Tx,
    actor: Actor,
    name: str,
    role: Role,
    account: AccountId | None = None,
    expires_at_ms: int | None = None,
) -> Token:
    """Create a token, for one account or (None) for all; only this result contains its text.

    Raises:
        NotFound: there is no such account.
    """
    if account is not None:
        account_row(tx.conn, account)
    with tx.session() as session:
        row = TokenRow(
            name=name,
            role=role.value,
            account_id=account,
            expires_at=expires_at_ms,
            created_at=tx.now_ms,
            sha256=b"",
        )
        session.add(row)
        session.flush()  # assigns the id, which is part of the text
        random = base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()
        text = f"hkt_{row.id}_{random}"
        row.sha256 = hashlib.sha256(text.encode()).digest()
    expires_at = optional_rfc3339(expires_at_ms)
    after = {"name": name, "role": role.value, "account": account, "expires_at": expires_at}
    tx.audit(actor, "token.create", f"token {row.id}", account=account, after=after)
    return token_of(row, text)


def revoke_token(tx: Tx, actor: Actor, account: AccountId | None, token: int) -> None:
    """Delete a token of an account, or (None) any.

    Raises:
        NotFound: there is no such token there.
    """
    with tx.session() as session:
        query = select(TokenRow).where(TokenRow.id == token, in_account(TOKEN, account))
        row = session.exec(query).first()
        if row is None:
            raise NotFound(f"there is no token {token} here; see: hooktui tokens list")
        session.delete(row)
    owner = row.account_id
    before = {"name": row.name, "role": row.role, "account_id": owner}
    tx.audit(actor, "token.revoke", f"token {token}", account=owner, before=before)


def touch_token(tx: Tx, token: int) -> None:
    """Store the time of a token's last use."""
    tx.conn.execute(update(TOKEN).where(TOKEN.c.id == token).values(last_used_at=tx.now_ms))
