"""Accounts, tokens, and what the audit trail keeps beside changes."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update

from hooktui.domain.errors import Conflict, NotFound
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.access import Account, Token
from hooktui.store.queries.access import account_of, get_account, token_of
from hooktui.store.tables import ACCOUNT, TOKEN, in_account, inserted_id
from hooktui.store.tx import Tx

_TOKEN_BYTES = 20  # 160 bits


def create_account(tx: Tx, actor: Actor, name: str) -> Account:
    """Make an account.

    Raises:
        Conflict: another one has this name.
    """
    same = tx.conn.execute(select(ACCOUNT.c.id).where(ACCOUNT.c.name == name)).scalar()
    if same is not None:
        raise Conflict(f"account {same} is named {name!r} already; choose another name")
    made = tx.conn.execute(insert(ACCOUNT).values(name=name, created_at=tx.now_ms))
    account = AccountId(inserted_id(made))
    after = {"name": name}
    tx.audit(actor, "account.create", f"account {account}", account=account, after=after)
    row = tx.conn.execute(select(ACCOUNT).where(ACCOUNT.c.id == account)).mappings().one()
    return account_of(row)


def create_token(
    tx: Tx,
    actor: Actor,
    name: str,
    role: Role,
    account: AccountId | None = None,
    expires_at_ms: int | None = None,
) -> Token:
    """Make a token, for one account or (None) for all; only this answer holds its text.

    Raises:
        NotFound: there is no such account.
    """
    if account is not None:
        get_account(tx.conn, account)
    values = {"name": name, "role": role.value, "account_id": account, "expires_at": expires_at_ms}
    made = tx.conn.execute(insert(TOKEN).values(**values, created_at=tx.now_ms, sha256=b""))
    token = inserted_id(made)
    text = f"hkt_{token}_{_random()}"
    hashed = hashlib.sha256(text.encode()).digest()
    tx.conn.execute(update(TOKEN).where(TOKEN.c.id == token).values(sha256=hashed))
    tx.audit(actor, "token.create", f"token {token}", account=account, after=values)
    row = tx.conn.execute(select(TOKEN).where(TOKEN.c.id == token)).mappings().one()
    return token_of(row, text)


def revoke_token(tx: Tx, actor: Actor, account: AccountId | None, token: int) -> None:
    """Delete a token of an account, or (None) any.

    Raises:
        NotFound: there is no such token there.
    """
    wanted = select(TOKEN.c.name, TOKEN.c.role, TOKEN.c.account_id).where(
        TOKEN.c.id == token, in_account(TOKEN, account)
    )
    row = tx.conn.execute(wanted).mappings().first()
    if row is None:
        raise NotFound(f"there is no token {token} here; see: hooktui tokens list")
    tx.conn.execute(delete(TOKEN).where(TOKEN.c.id == token))
    owner = row["account_id"]
    tx.audit(actor, "token.revoke", f"token {token}", account=owner, before=dict(row))


def touch_token(tx: Tx, token: int) -> None:
    """Note that a token was used."""
    tx.conn.execute(update(TOKEN).where(TOKEN.c.id == token).values(last_used_at=tx.now_ms))


def audit_refusal(
    tx: Tx, actor: Actor, action: str, target: str, more: Mapping[str, object] | None = None
) -> None:
    """Note that somebody tried what their role does not allow, and what else there is to tell."""
    tx.audit(actor, action, target, after=more, result="refused")


def audit_ping(tx: Tx, actor: Actor, account: AccountId, hook: HookId) -> None:
    """Note that a test delivery is sent: something leaves this machine in somebody's name."""
    tx.audit(actor, "hook.ping", f"hook {hook}", account=account)


def audit_diagnosis(tx: Tx, actor: Actor, account: AccountId, hook: HookId) -> None:
    """Note that a receiver is looked at, and that a test delivery is sent if one can arrive."""
    tx.audit(actor, "hook.diagnose", f"hook {hook}", account=account)


def audit_purge(
    tx: Tx, actor: Actor, account: AccountId | None, what: Mapping[str, object]
) -> None:
    """Note what is to be dropped, or was."""
    tx.audit(actor, "events.purge", "events", account=account, after=what)


def audit_backup(tx: Tx, actor: Actor, what: str) -> None:
    """Note that somebody gets a copy of everything."""
    tx.audit(actor, "backup", what)


def _random() -> str:
    return base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()
