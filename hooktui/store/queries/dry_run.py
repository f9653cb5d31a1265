"""Dry run of a hook's settings on the latest events of its account; reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, select

from hooktui.domain.catalogue import PING
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.event_outcomes import PastEvent, Selection, dry_run_steps
from hooktui.domain.filters.data import Stored
from hooktui.domain.filters.parser import parse_hook_filter
from hooktui.domain.filters.terms import Filter
from hooktui.domain.ids import AccountId, HookId, encode
from hooktui.domain.wire.hooks import DryRun
from hooktui.store import hook_rows
from hooktui.store.queries.events import bodies_by_id
from hooktui.store.queries.hooks import hook_columns
from hooktui.store.queries.pace import Pace
from hooktui.store.tables import EVENT, HOOK

_HEAD = (EVENT.c.id, EVENT.c.type, EVENT.c.created_at, EVENT.c.size, EVENT.c.body.is_(None))
MAX_EVENTS: Final = 1000
"""Events that one dry run assesses, the latest."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Bodies that one dry run reads for a filter: some 0.2 s of work, whatever is stored."""
_BODIES = 50
"""Bodies read in one statement: at most 12.5 MB in memory."""


def try_hook(
    conn: Connection,
    account: AccountId | None,
    hook: HookId | None,
    events: Sequence[str] | None,
    filter_text: str | None,
    *,
    filter_given: bool = True,
) -> DryRun:
    """Return which of the latest events a hook would have received with other settings.

    Args:
        conn: a read connection.
        account: the account of the hook and events; None: that of the hook.
        hook: the hook that would be changed; None: a new one, of ``account``.
        events: the selection to try; None: the hook's.
        filter_text: the filter to try if ``filter_given``; else the hook's applies.
        filter_given: whether there is a filter to try (None is one: no filter).

    Raises:
        NotFound: there is no such hook there.
        Refused: the filter is not valid for a hook.
    """
    now: Selection | None = None
    if hook is not None:
        account, now = _hook(conn, account, hook)
    selection = frozenset(events or ()) if now is None or events is not None else now.events
    chosen = _filter(filter_text) if now is None or filter_given else now.filter
    tried = Selection(selection, chosen)
    needs_bodies = tried.needs_data or (now is not None and now.needs_data)
    latest = _latest(conn, account, needs_bodies=needs_bodies)
    return Pace(conn).run(dry_run_steps(latest, tried, now))


def _hook(conn: Connection, account: AccountId | None, hook: HookId) -> tuple[AccountId, Selection]:
    columns = (HOOK.c.account_id, HOOK.c.events, HOOK.c.filter)
    owner, events, filter_text = hook_columns(conn, account, hook, *columns)
    return AccountId(owner), Selection(frozenset(hook_rows.texts(events)), _filter(filter_text))


def _filter(text: str | None) -> Filter | None:
    return parse_hook_filter(text) if text is not None and text.strip() else None


def _latest(
    conn: Connection, account: AccountId | None, *, needs_bodies: bool
) -> Iterator[PastEvent]:
    """Return the latest events, newest first; fewer if their bodies are large."""
    latest = (
        select(*_HEAD)
        .where(EVENT.c.account_id == account)
        .order_by(EVENT.c.id.desc())
        .limit(MAX_EVENTS)
    )
    heads = [row for row in conn.execute(latest) if row[1] != PING]
    read = 0
    for start in range(0, len(heads), _BODIES):
        batch = heads[start : start + _BODIES]
        bodies: dict[int, bytes] = {}
        if needs_bodies:
            bodies = bodies_by_id(conn, [head[0] for head in batch])
        for identity, event_type, created_ms, size, purged in batch:
            if needs_bodies and read + size > MAX_BYTES:
                return
            read += size
            yield PastEvent(
                id=encode("evt", identity),
                type=event_type,
                created_at=to_rfc3339(created_ms),
                data=Stored(bodies.get(identity)),
                purged=bool(purged),
            )
