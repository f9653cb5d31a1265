"""Accounts, tokens, and the audit trail with the result of its verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The owner of hooks, events and tokens; ``waiting`` counts deliveries that are to be sent."""

    id: int
    name: str
    created_at: str
    hooks: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token; ``token`` is present only in the answer that made it."""

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
    """One act of the audit trail: who did what to what, in which role and from where.

    ``before`` and ``after`` hold what changed, with what is write-only masked; ``hash`` is the
    link that the next entry holds on to.
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
    """The newest entry that was looked at: its id, when it was written, and its hash."""

    id: int
    at: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditBreak:
    """The first entry that does not fit, and in words what is wrong with it."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What a look at a part of the audit trail found.

    ``entries`` were looked at and fit together, up to ``head``; ``next`` is where the next look
    goes on, null at the end or behind a break. Entries from ``keyed_from`` on were hashed with the
    key of the trail; it is null where that is gone, and behind a break.
    """

    entries: int
    head: AuditHead | None
    broken: AuditBreak | None
    next: int | None
    keyed_from: int | None = None
