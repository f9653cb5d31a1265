"""Calls for accounts, tokens and the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from hooktui.client.calls.call import Call, Window, get, send
from hooktui.domain.wire.access import Account, AuditCheck, AuditEntry, Token
from hooktui.domain.wire.pages import Page


def list_accounts(**window: Unpack[Window]) -> Call[Page[Account]]:
    """List accounts."""
    return get(Page[Account], "accounts", **window)


def create_account(name: str) -> Call[Account]:
    """Create an account."""
    return send("POST", Account, "accounts", fields={"name": name})


def list_tokens(account: int | None = None, **window: Unpack[Window]) -> Call[Page[Token]]:
    """List tokens, without the tokens themselves."""
    return get(Page[Token], "tokens", account=account, **window)


def create_token(fields: Mapping[str, object]) -> Call[Token]:
    """Create a token from ``name``, ``role``, ``account`` and ``expires_at``; it is shown once."""
    return send("POST", Token, "tokens", fields=fields)


def revoke_token(token: int) -> Call[None]:
    """Revoke a token."""
    return send("DELETE", None, "tokens", token)


def list_audit(
    account: int | None = None,
    *,
    user: str | None = None,
    action: str | None = None,
    target: str | None = None,
    result: str | None = None,
    since: str | None = None,
    until: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[AuditEntry]]:
    """List audit entries; a trailing ``*`` in a text matches any rest."""
    narrow = {"user": user, "action": action, "target": target, "result": result}
    times = {"since": since, "until": until}
    return get(Page[AuditEntry], "audit", account=account, **narrow, **times, **window)


def verify_audit(after: int = 0, known: str | None = None) -> Call[AuditCheck]:
    """Verify a part of the trail; repeat with ``next``. ``known`` is an expected ``ID:HASH``."""
    return get(AuditCheck, "audit", "verify", after=after, known=known)
