"""Accounts, tokens, and the audit trail with the result of its verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The owner of hooks, events and tokens; ``waiting`` counts its waiting deliveries."""

    id: int
    name: str
    created_at: str
    hooks: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token; ``token`` is None except in the response that created it."""

    id: int
    name: str
    role: str
    account: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry of the audit trail: actor, action and target, with role and origin.

    ``before`` and ``after`` hold the changes, with write-only values masked; ``hash`` links the
    next entry to this one.
    """

    id: int
    at: str
    account: int | None
    user: str
    role: str
    origin: str
    action: str
    target: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    result: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest checked entry: its id, its time, and its hash."""

    id: int
    at: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditBreak:
    """The first entry that breaks the chain, and the fault in words."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """The result of checking a part of the audit trail.

    ``entries`` were checked and form a chain up to ``head``; ``next`` is where the next check
    continues, null at the end or after a break. Entries from ``keyed_from`` on were hashed with the
    trail's key; it is null if the key is gone, and after a break.
    """

    entries: int
    head: AuditHead | None
    broken: AuditBreak | None
    next: int | None
    keyed_from: int | None = None
