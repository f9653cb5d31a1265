"""The advisory locks that the servers of one database share, by name.

They belong to the database they are taken in. Keys are bigints: our mark in the upper half, what is
locked in the lower.
"""

from __future__ import annotations

from typing import Final

from hooktui.domain.ids import HookId

_MARK: Final = 0x686F6F6B  # "hook"

MIGRATION: Final = _MARK << 32 | 1
"""Held while the schema is made or changed."""
HOOKS: Final = _MARK << 32 | 2
"""Shared by every hot transaction, held alone by a change of people: matching and claiming see the
hooks exactly as of the last commit, whichever server made it."""
FEED: Final = _MARK << 32 | 3
"""Held from a line of the feed to its commit, so that lines become visible in their order."""
HOUSE: Final = _MARK << 32 | 4
"""Held by the one server that tidies."""
AUDIT: Final = _MARK << 32 | 5
"""Held by a hot transaction from its entry in the audit trail to its commit, so that the chain has
one end; a change of people has no hot transaction beside it."""
SERVERS: Final = _MARK + 2
"""The class of the locks that stand for server numbers; the number is the rest of the key. As with
ordered hooks it is not the mark of those above, so that who lists locks can tell them apart."""

KEYS: Final = _MARK + 3
"""The class of the locks that tell which keys a server has: shared ones, beside its number."""


SERVERS_AT_WORK: Final = f"""
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {SERVERS}
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 - an integer of ours
"""Counts the servers that are connected to this database."""


def order_of(hook: HookId) -> int:
    """Return the lock of whoever claims for an ordered hook."""
    return (_MARK + 1) << 32 | hook & 0xFFFF_FFFF
