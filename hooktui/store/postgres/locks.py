"""The advisory locks that the servers of one database share, by name.

They belong to the database. Keys are bigints: our mark in the upper half, the locked object in the
lower.
"""

from __future__ import annotations

from typing import Final

from hooktui.domain.ids import HookId

_MARK: Final = 0x686F6F6B  # "hook"

MIGRATION: Final = _MARK << 32 | 1
"""Held while the schema is created or changed."""
HOOKS: Final = _MARK << 32 | 2
"""Shared by every hot transaction, exclusive for a change of people: matching and claiming see the
hooks exactly as of the last commit of any server."""
FEED: Final = _MARK << 32 | 3
"""Held from a row of the feed to its commit, so that rows become visible in their order."""
RETENTION: Final = _MARK << 32 | 4
"""Held by the only server that runs retention."""
AUDIT: Final = _MARK << 32 | 5
"""Held by a hot transaction from its audit entry to its commit, so that the chain has one end. A
change of people excludes hot transactions anyway."""
ALERTS: Final = _MARK << 32 | 6
"""Held by a hot transaction from its first alert to its commit: the servers share a limit."""
SERVERS: Final = _MARK + 2
"""The class of the locks of server numbers; the number is the rest of the key. As with ordered
hooks it differs from the mark above, so that a list of locks shows which is which."""

KEYS: Final = _MARK + 3
"""The class of the locks of a server's keys: shared ones, beside its number."""

LEASES: Final = _MARK + 4
"""The class of the lock of a server's lease token: a shared one, beside its number."""


SERVERS_AT_WORK: Final = f"""
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {SERVERS}
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 - an integer of ours
"""Counts the servers that are connected to this database."""


def lease_of(token: int) -> int:
    """Return the lock of a lease token, held while its server is connected."""
    return LEASES << 32 | token & 0xFFFF_FFFF


def order_of(hook: HookId) -> int:
    """Return the lock of claims for an ordered hook."""
    return (_MARK + 1) << 32 | hook & 0xFFFF_FFFF
