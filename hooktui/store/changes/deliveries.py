"""Resending and cancelling of deliveries, also of those of a deleted hook."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple

from sqlalchemy import insert, literal_column, select, update

from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.errors import Conflict
from hooktui.domain.ids import AccountId, DeliveryId, HookId, encode
from hooktui.domain.roles import Actor
from hooktui.domain.wire.deliveries import Delivery
from hooktui.store.feed_items import DeliveryState, delivery_item
from hooktui.store.planning.claim import HOOK_DELETED
from hooktui.store.queries.deliveries import deliveries_by_id, no_delivery
from hooktui.store.tables import DELIVERY, EVENT, HOOK, HOOK_STATE, in_account
from hooktui.store.tx import Tx


class _Row(NamedTuple):
    """The columns of a delivery that a change reads."""

    id: DeliveryId
    account_id: AccountId
    hook_id: HookId
    event_id: int
    event_type: str
    status: str
    attempts: int
    duration_ms: int | None


_COLUMNS = [DELIVERY.c[name] for name in _Row._fields]
_CANCELLED_AT_ONCE = 1000
"""Deliveries cancelled in one transaction; the rest of a long backlog follows in later ones."""
_PENDING = DELIVERY.c.status == literal_column("'pending'")  # literal, for partial indexes


def resend(
    tx: Tx, actor: Actor, account: AccountId | None, delivery: DeliveryId
) -> tuple[Delivery, bool]:
    """Send again: a final delivery as a new one (True); a pending or held one becomes due (False).

    Raises:
        NotFound: there is no such delivery in the account (None: in any).
        Conflict: it is being sent, its hook was deleted, or its body was purged.
    """
    row, hook_deleted, purged = _find(tx, account, delivery)
    status, name = DeliveryStatus(row.status), encode("dlv", delivery)
    if status is DeliveryStatus.SENDING:
        raise Conflict(f"{name} is being sent; wait until the attempt has ended")
    if hook_deleted:
        raise Conflict(f"hook {row.hook_id} of {name} was deleted; it cannot be sent again")
    if purged:
        raise Conflict(f"the body of {name} has been purged; it cannot be sent again")
    again = _due_now(tx, row) if status is DeliveryStatus.PENDING else _new_delivery(tx, row)
    tx.due(row.hook_id, tx.now_ms)
    tx.audit(actor, "delivery.resend", f"delivery {name}", account=row.account_id)
    return deliveries_by_id(tx.conn, [again])[again], again != delivery


def cancel(tx: Tx, actor: Actor, account: AccountId | None, delivery: DeliveryId) -> Delivery:
    """Cancel a delivery that is pending or held.

    Raises:
        NotFound: there is no such delivery in the account (None: in any).
        Conflict: it is being sent or has ended.
    """
    row, *_ = _find(tx, account, delivery)
    name = encode("dlv", delivery)
    if row.status == DeliveryStatus.SENDING:
        raise Conflict(f"{name} is being sent; wait until the attempt has ended")
    if row.status != DeliveryStatus.PENDING:
        raise Conflict(f"{name} is {row.status} already; there is nothing to cancel")
    _cancel(tx, [row], f"cancelled by {actor.user}")
    _count_waiting(tx, row.hook_id, -1)
    # The next delivery of an ordered hook, or the one due after this.
    tx.due(row.hook_id, tx.now_ms)
    tx.audit(actor, "delivery.cancel", f"delivery {name}", account=row.account_id)
    return deliveries_by_id(tx.conn, [delivery])[delivery]


def cancel_waiting(tx: Tx, hook: HookId) -> None:
    """Cancel the open deliveries of a deleted hook, which has none undelivered any more.

    A part of them now, the rest in later transactions.
    """
    waiting = select(*_COLUMNS).where(DELIVERY.c.hook_id == hook, _PENDING)
    rows = list(starmap(_Row, tx.conn.execute(waiting.limit(_CANCELLED_AT_ONCE))))
    _cancel(tx, rows, HOOK_DELETED)
    _count_waiting(tx, hook, -len(rows))
    if len(rows) == _CANCELLED_AT_ONCE or _forget_all_causes(tx, hook) == _CANCELLED_AT_ONCE:
        tx.follow_up(lambda later: cancel_waiting(later, hook))


def _forget_all_causes(tx: Tx, hook: HookId) -> int:
    """Remove the causes of some deliveries of a hook; return how many."""
    some = (
        select(DELIVERY.c.id)
        .where(DELIVERY.c.hook_id == hook, DELIVERY.c.cause.is_not(None))
        .limit(_CANCELLED_AT_ONCE)
    )
    of_hook = update(DELIVERY).where(DELIVERY.c.id.in_(some))
    return tx.conn.execute(of_hook.values(cause=None)).rowcount


def _find(tx: Tx, account: AccountId | None, delivery: DeliveryId) -> tuple[_Row, bool, bool]:
    """Return a delivery, whether its hook was deleted, and whether its body was purged."""
    query = (
        select(HOOK.c.deleted_at.is_not(None), EVENT.c.body.is_(None), *_COLUMNS)
        .select_from(DELIVERY)
        .join(HOOK, HOOK.c.id == DELIVERY.c.hook_id)
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .where(DELIVERY.c.id == delivery, in_account(DELIVERY, account))
    )
    found = tx.conn.execute(query).first()
    if found is None:
        raise no_delivery(delivery)
    hook_deleted, purged, *columns = found
    return _Row(*columns), bool(hook_deleted), bool(purged)


def _due_now(tx: Tx, row: _Row) -> int:
    sooner = update(DELIVERY).where(DELIVERY.c.id == row.id)
    tx.conn.execute(sooner.values(next_attempt_at=tx.now_ms))
    _feed(tx, row, DeliveryState(DeliveryStatus.PENDING.value, row.attempts, tx.now_ms))
    return row.id


def _new_delivery(tx: Tx, row: _Row) -> int:
    delivery = DeliveryId(tx.ids.next())
    tx.conn.execute(
        insert(DELIVERY).values(
            id=delivery,
            account_id=row.account_id,
            hook_id=row.hook_id,
            event_id=row.event_id,
            event_type=row.event_type,
            trigger=Trigger.RESEND.value,
            status=DeliveryStatus.PENDING.value,
            attempts=0,
            tries=0,
            interruptions=0,
            next_attempt_at=tx.now_ms,
            created_at=tx.now_ms,
        )
    )
    forget_causes(tx, row.event_id, row.hook_id, before=delivery)
    counted = update(EVENT).where(EVENT.c.id == row.event_id)
    tx.conn.execute(counted.values(deliveries=EVENT.c.deliveries + 1))
    _count_waiting(tx, row.hook_id, 1)
    state = DeliveryState(DeliveryStatus.PENDING.value, 0, tx.now_ms)
    tx.feed(delivery_item(row.account_id, row.hook_id, delivery, state))
    return delivery


def forget_causes(tx: Tx, event: int, hook: HookId, *, before: DeliveryId) -> None:
    """Let a new delivery stand for an event at a hook: older ones are no longer undelivered."""
    older = update(DELIVERY).where(
        DELIVERY.c.event_id == event,
        DELIVERY.c.hook_id == hook,
        DELIVERY.c.id < before,
        DELIVERY.c.cause.is_not(None),
    )
    tx.conn.execute(older.values(cause=None))


def _cancel(tx: Tx, rows: Sequence[_Row], reason: str) -> None:
    cancelled = DeliveryStatus.CANCELLED.value
    ended = update(DELIVERY).where(DELIVERY.c.id.in_([row.id for row in rows]))
    tx.conn.execute(
        ended.values(
            status=cancelled,
            next_attempt_at=None,
            finished_at=tx.now_ms,
            reason=reason,
            cause=None,
        )
    )
    for row in rows:
        state = DeliveryState(cancelled, row.attempts, None, tx.now_ms, row.duration_ms, reason)
        _feed(tx, row, state)


def _feed(tx: Tx, row: _Row, state: DeliveryState) -> None:
    tx.feed(delivery_item(row.account_id, row.hook_id, row.id, state))


def _count_waiting(tx: Tx, hook: HookId, change: int) -> None:
    of_hook = update(HOOK_STATE).where(HOOK_STATE.c.hook_id == hook)
    tx.conn.execute(of_hook.values(waiting=HOOK_STATE.c.waiting + change))
