"""The outcome of an event for each hook, from deliveries, skips and the current hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    cast,
    column,
    func,
    literal,
    or_,
    select,
)

from hooktui.domain.event_outcomes import (
    EventFacts,
    HookFacts,
    HookOutcome,
    OutcomeReason,
    why_not_subscribed,
    why_skipped_steps,
)
from hooktui.domain.filters.data import Stored
from hooktui.domain.ids import AccountId, EventId
from hooktui.domain.json_text import Steps
from hooktui.domain.wire.deliveries import Delivery
from hooktui.domain.wire.events import HookDecision
from hooktui.domain.wire.pages import Page
from hooktui.store import hook_rows
from hooktui.store.queries.deliveries import deliveries_of_event
from hooktui.store.queries.events import find_event, reasons_of
from hooktui.store.queries.pace import Pace
from hooktui.store.queries.pages import PagedQuery, PageRequest, page_of
from hooktui.store.tables import DELIVERY, HOOK


class _Hook(NamedTuple):
    """The columns of a hook that decide on an event."""

    id: int
    name: str
    events: str
    filter: str | None
    active: bool
    created_at: int
    updated_at: int
    deleted_at: int | None


_SHOWN = [HOOK.c[name] for name in _Hook._fields]


def list_decisions(
    conn: Connection,
    account: AccountId | None,
    event: EventId,
    page: PageRequest,
    concerned: bool | None = None,
) -> Page[HookDecision]:
    """Return the outcome of an event for each hook of its account.

    ``concerned`` selects hooks that subscribed to it (deleted ones, too); if False, the others.

    Raises:
        NotFound: there is no such event there.
        Refused: the page request is not acceptable.
    """
    row = find_event(conn, account, event)
    skips = reasons_of(row.skips)
    sent = select(DELIVERY.c.hook_id).where(DELIVERY.c.event_id == event)
    selected = or_(HOOK.c.id.in_(sent), HOOK.c.id.in_(_numbers(conn, list(skips))))
    hooks = select(*_SHOWN).where(HOOK.c.account_id == row.account_id)
    if concerned is None:
        hooks = hooks.where(or_(HOOK.c.deleted_at.is_(None), selected))
    else:
        hooks = hooks.where(selected if concerned else HOOK.c.deleted_at.is_(None) & ~selected)
    pace = Pace(conn)
    data = pace.run(Stored(row.body).read_steps())
    happened = EventFacts(row.type, row.created_at, data, row.body is None)

    def build(rows: Sequence[_Hook]) -> list[HookDecision]:
        deliveries = _deliveries(conn, event, [hook.id for hook in rows])
        return [
            pace.run(_decision_steps(hook, happened, skips, deliveries.get(hook.id, ())))
            for hook in rows
        ]

    return page_of(conn, page, PagedQuery(hooks, _Hook, HOOK.c.id, {"id": None}), build)


def _numbers(conn: Connection, numbers: Sequence[int]) -> Select[tuple[int]]:
    """Return numbers as rows from one parameter.

    An event may skip more hooks than a statement accepts parameters, and writing and parsing 50,000
    numbers in its text took as long as all the rest.
    """
    given = literal(msgspec.json.encode(numbers).decode())
    if conn.dialect.name == "sqlite":
        return select(func.json_each(given).table_valued(column("value", Integer)).c.value)
    rows = func.json_array_elements_text(cast(given, JSON)).table_valued(column("value", Text))
    return select(cast(rows.c.value, BigInteger))


def _deliveries(
    conn: Connection, event: EventId, hooks: Sequence[int]
) -> Mapping[int, Sequence[Delivery]]:
    """Return the deliveries of an event to some hooks, oldest first."""
    by_hook: dict[int, list[Delivery]] = {}
    for delivery in deliveries_of_event(conn, event, hooks):
        by_hook.setdefault(delivery.hook, []).append(delivery)
    return by_hook


def _decision_steps(
    hook: _Hook, event: EventFacts, skips: Mapping[int, str], deliveries: Sequence[Delivery]
) -> Steps[HookDecision]:
    facts = HookFacts(
        events=hook_rows.texts(hook.events),
        filter=hook.filter,
        active=bool(hook.active),
        created_ms=hook.created_at,
        changed_ms=hook.updated_at,
    )
    if deliveries:
        why = OutcomeReason(HookOutcome.SENT, _sent(deliveries))
    elif hook.id in skips:
        why = yield from why_skipped_steps(facts, event, skips[hook.id])
    else:
        why = why_not_subscribed(facts, event)
    return HookDecision(
        hook=hook.id,
        name=hook.name,
        deleted=hook.deleted_at is not None,
        decision=why.outcome,
        reason=why.reason,
        as_of_now=why.as_of_now,
        deliveries=len(deliveries),
        delivery=deliveries[-1] if deliveries else None,
    )


def _sent(deliveries: Sequence[Delivery]) -> str:
    """Return the trigger of the event's delivery to the hook in words."""
    latest = deliveries[-1]
    words = {"event": "subscribes to it", "ping": "was pinged"}.get(latest.trigger, latest.trigger)
    return words if len(deliveries) == 1 else f"{words}; {len(deliveries)} deliveries in all"
