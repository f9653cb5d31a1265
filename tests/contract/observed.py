"""What is seen of a store from outside: its rows, and what it tells the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from hooktui.domain.ids import AccountId, EventId, HookId
from hooktui.domain.wire.deliveries import Delivery
from hooktui.store.base import Store
from hooktui.store.contract import CommitNotice
from hooktui.store.tables import ATTEMPT, DELIVERY, EVENT, HOOK, HOOK_STATE


class Known:
    """What an engine knows of its hooks: when to come and claim; the way `HookQueues` keeps it."""

    def __init__(self, store: Store) -> None:
        self.due: dict[HookId, int] = {}
        self.changed: set[HookId] = set()
        store.subscribe(self.hear)

    def hear(self, signals: CommitNotice) -> None:
        self.hint(signals.due)
        self.changed |= signals.hooks_changed

    def hint(self, due: Mapping[HookId, int]) -> None:
        for hook, due_ms in due.items():
            self.due[hook] = min(due_ms, self.due.get(hook, due_ms))


def shown(delivery: Delivery) -> tuple[object, ...]:
    """What the feed and the lists both tell of a delivery."""
    ended = delivery.reason if delivery.finished_at else None
    return (
        delivery.status, delivery.attempts, delivery.next_attempt_at, delivery.finished_at, ended,
    )  # fmt: skip


def deliveries_of(conn: Connection, events: list[EventId]) -> dict[tuple[int, int], int]:
    """The ids of deliveries, by event and hook."""
    wanted = select(DELIVERY.c.event_id, DELIVERY.c.hook_id, DELIVERY.c.id)
    rows = conn.execute(wanted.where(DELIVERY.c.event_id.in_(events)))
    return {(event, hook): delivery for event, hook, delivery in rows}


def all_of(conn: Connection, account: AccountId) -> tuple[Any, ...]:
    """The events, deliveries and attempts of an account, and how many wait at each hook."""
    d, a = DELIVERY.c, ATTEMPT.c
    events = select(EVENT.c.id, EVENT.c.body, EVENT.c.deliveries)
    events = events.where(EVENT.c.account_id == account)
    rows = select(
        d.id, d.event_id, d.hook_id, d.trigger, d.status, d.attempts, d.tries, d.interruptions,
        d.next_attempt_at, d.lease_until, d.finished_at, d.reason,
        d.cause,
    ).where(d.account_id == account)  # fmt: skip
    made = select(a.delivery_id, a.number, a.started_at, a.finished_at, a.outcome)
    made = made.join(DELIVERY, d.id == a.delivery_id).where(d.account_id == account)
    attempts: dict[int, list[tuple[object, ...]]] = {}
    for delivery, *attempt in conn.execute(made.order_by(a.delivery_id, a.number)):
        attempts.setdefault(delivery, []).append(tuple(attempt))
    waiting = select(HOOK_STATE.c.hook_id, HOOK_STATE.c.waiting)
    waiting = waiting.join(HOOK, HOOK.c.id == HOOK_STATE.c.hook_id)
    waiting = waiting.where(HOOK.c.account_id == account)
    return (
        {event: tuple(rest) for event, *rest in conn.execute(events)},
        {delivery: tuple(rest) for delivery, *rest in conn.execute(rows)},
        attempts,
        {row.hook_id: row.waiting for row in conn.execute(waiting)},
    )
