"""Resending, cancelling and giving up deliveries, also those of a deleted hook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, insert, select, update

from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.errors import Conflict
from hooktui.domain.failure_causes import HELD, SKIPPED
from hooktui.domain.ids import AccountId, DeliveryId, HookId, encode, floor_at
from hooktui.domain.live_hook import SkipReason
from hooktui.domain.replays import HOOK_DELETED
from hooktui.domain.roles import Actor
from hooktui.domain.wire.deliveries import Delivery
from hooktui.store.changes.alerts import groups_were_emptied
from hooktui.store.changes.causes import cause_after_abort
from hooktui.store.feed_items import DeliveryState, delivery_item
from hooktui.store.queries.deliveries import deliveries_by_id, no_delivery
from hooktui.store.queries.delivery_indexes import is_in_group
from hooktui.store.queries.events import reasons_of
from hooktui.store.queries.filter_sql import has_cause, is_open, is_pending
from hooktui.store.queries.hooks import hook_columns
from hooktui.store.queries.undelivered import no_group
from hooktui.store.tables import (
    DELIVERY,
    EVENT,
    HOOK,
    HOOK_STATE,
    DeliveryRow,
    in_account,
    maker_of,
)
from hooktui.store.tx import Tx

_row = maker_of(DeliveryRow)
_CANCELLED_AT_ONCE = 500
"""Deliveries cancelled in one transaction; the rest of a long backlog follows in later ones."""
_SKIPS_READ, _FEW_SKIPS, _MANY = 2000, 100, "many"
"""Events and skips of each that one transaction reads, some milliseconds."""


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
        raise _being_sent(name)
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
        raise _being_sent(name)
    if row.status != DeliveryStatus.PENDING:
        raise Conflict(f"{name} is {row.status} already; there is nothing to cancel")
    _cancel_and_count(tx, [row], f"cancelled by {actor.user}", actor.user)
    tx.audit(actor, "delivery.cancel", f"delivery {name}", account=row.account_id)
    return deliveries_by_id(tx.conn, [delivery])[delivery]


def _being_sent(name: str) -> Conflict:
    return Conflict(f"{name} is being sent; wait until the attempt has ended")


def cancel_waiting(tx: Tx, hook: HookId) -> None:
    """Cancel the open deliveries of a deleted hook, which has none undelivered any more.

    A part of them now, the rest in later transactions.
    """
    waiting = select(DELIVERY).where(DELIVERY.c.hook_id == hook, is_pending())
    rows = _read(tx, waiting.limit(_CANCELLED_AT_ONCE))
    _cancel(tx, rows, HOOK_DELETED)
    _count_waiting(tx, hook, -len(rows))
    if len(rows) == _CANCELLED_AT_ONCE or _forget_all_causes(tx, hook) == _CANCELLED_AT_ONCE:
        tx.follow_up(partial(cancel_waiting, hook=hook))


def _forget_all_causes(tx: Tx, hook: HookId) -> int:
    """Remove the causes of some deliveries of a hook; return how many."""
    part = (
        select(DELIVERY.c.id)
        .where(DELIVERY.c.hook_id == hook, DELIVERY.c.cause.is_not(None))
        .limit(_CANCELLED_AT_ONCE)
    )
    of_hook = update(DELIVERY).where(DELIVERY.c.id.in_(part))
    return tx.conn.execute(of_hook.values(cause=None)).rowcount


def _find(
    tx: Tx, account: AccountId | None, delivery: DeliveryId
) -> tuple[DeliveryRow, bool, bool]:
    """Return a delivery, whether its hook was deleted, and whether its body was purged."""
    query = (
        select(HOOK.c.deleted_at.is_not(None), EVENT.c.body.is_(None), DELIVERY)
        .select_from(DELIVERY)
        .join(HOOK, HOOK.c.id == DELIVERY.c.hook_id)
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .where(DELIVERY.c.id == delivery, in_account(DELIVERY, account))
    )
    found = tx.conn.execute(query).first()
    if found is None:
        raise no_delivery(delivery)
    hook_deleted, purged, *columns = found
    return _row(*columns), bool(hook_deleted), bool(purged)


def _read(tx: Tx, deliveries: Select[Any]) -> list[DeliveryRow]:
    return list(starmap(_row, tx.conn.execute(deliveries)))


def _due_now(tx: Tx, row: DeliveryRow) -> int:
    sooner = update(DELIVERY).where(DELIVERY.c.id == row.id)
    tx.conn.execute(sooner.values(next_attempt_at=tx.now_ms))
    _feed(tx, row, DeliveryState(DeliveryStatus.PENDING.value, row.attempts, tx.now_ms))
    return row.id


def _new_delivery(tx: Tx, row: DeliveryRow) -> int:
    delivery = DeliveryId(tx.ids.next(tx.now_ms))
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
    # From now on it stands for the event at the hook: older ones are no longer undelivered.
    older = update(DELIVERY).where(
        DELIVERY.c.event_id == row.event_id,
        DELIVERY.c.hook_id == row.hook_id,
        DELIVERY.c.id < delivery,
        has_cause(),
    )
    tx.conn.execute(older.values(cause=None))
    counted = update(EVENT).where(EVENT.c.id == row.event_id)
    tx.conn.execute(counted.values(deliveries=EVENT.c.deliveries + 1))
    _count_waiting(tx, row.hook_id, 1)
    state = DeliveryState(DeliveryStatus.PENDING.value, 0, tx.now_ms)
    tx.feed(delivery_item(row.account_id, row.hook_id, delivery, state))
    return delivery


def _cancel(
    tx: Tx, rows: Sequence[DeliveryRow], reason: str, cause: ColumnElement[Any] | None = None
) -> None:
    cancelled = DeliveryStatus.CANCELLED.value
    ended = update(DELIVERY).where(DELIVERY.c.id.in_([row.id for row in rows]))
    tx.conn.execute(
        ended.values(
            status=cancelled, next_attempt_at=None, finished_at=tx.now_ms, reason=reason,
            cause=cause,
        )
    )  # fmt: skip
    for row in rows:
        state = DeliveryState(cancelled, row.attempts, None, tx.now_ms, row.duration_ms, reason)
        _feed(tx, row, state)


def cancel_created(tx: Tx, which: ColumnElement[bool], by: str) -> bool:
    """Cancel some of the pending deliveries that a replay created; return whether some are left.

    Their events are undelivered, as before. ``by`` is the user who cancels them, and in whose name
    alerts end.
    """
    pending = select(DELIVERY).where(which, is_pending()).limit(_CANCELLED_AT_ONCE)
    rows = _read(tx, pending)
    _cancel_and_count(tx, rows, f"cancelled by {by}", by, cause_after_abort())
    return len(rows) == _CANCELLED_AT_ONCE


def _feed(tx: Tx, row: DeliveryRow, state: DeliveryState) -> None:
    tx.feed(delivery_item(row.account_id, row.hook_id, row.id, state))


def _count_waiting(tx: Tx, hook: HookId, change: int) -> None:
    of_hook = update(HOOK_STATE).where(HOOK_STATE.c.hook_id == hook)
    tx.conn.execute(of_hook.values(waiting=HOOK_STATE.c.waiting + change))


class GivenUp(NamedTuple):
    """The counts of one transaction; ``after`` is the last delivery that it looked at, if any."""

    given_up: int = 0
    cancelled: int = 0
    after: DeliveryId | None = None


def give_up(
    tx: Tx,
    actor: Actor,
    account: AccountId | None,
    hook: HookId,
    cause: str,
    until_ms: int,
    after: DeliveryId | None = None,
    *,
    audited: bool = False,
) -> GivenUp:
    """Give up undelivered events of a group that were created up to a time, some at a time.

    Dead letters lose their cause; retrying and held deliveries are cancelled, except those that are
    being sent. The first change writes the entry with the scope, unless one was ``audited`` before.

    Raises:
        NotFound: there is no such hook in the account (None: in any), or no such group.
        Conflict: too many events were skipped after ``until_ms`` to count the rest.
    """
    owner, active = hook_columns(tx.conn, account, hook, HOOK.c.account_id, HOOK.c.active)
    if cause == SKIPPED:
        done = GivenUp(_forget_skipped(tx, owner, hook, until_ms))
    elif cause == HELD and active:
        raise no_group(hook, cause)
    else:
        done = _give_up_entries(tx, actor, hook, cause, until_ms, after)
    groups_were_emptied(tx, {(hook, cause)}, actor.user)
    if not audited and (done.given_up or done.cancelled):
        scope = {"cause": cause, "until": to_rfc3339(until_ms)}
        audit_give_up(tx, actor, account, hook, scope)
    return done


def _give_up_entries(
    tx: Tx, actor: Actor, hook: HookId, cause: str, until_ms: int, after: DeliveryId | None
) -> GivenUp:
    group = is_in_group(hook, cause)
    if cause == HELD:
        group = is_open() & (DELIVERY.c.hook_id == hook)
    entries = select(DELIVERY).where(group, DELIVERY.c.id > (after or 0)).order_by(DELIVERY.c.id)
    found = _read(tx, entries.limit(_CANCELLED_AT_ONCE))
    if not found and after is None:
        raise no_group(hook, cause)
    old = [row for row in found if row.created_at <= until_ms]
    dead = [row for row in old if DeliveryStatus(row.status).final]
    pending = [row for row in old if row.status == DeliveryStatus.PENDING]
    if cause == HELD:
        pending = [row for row in pending if row.cause is None]
    _forget_dead(tx, dead)
    _cancel_and_count(tx, pending, f"given up by {actor.user}", actor.user)
    is_last = len(found) < _CANCELLED_AT_ONCE or not old
    return GivenUp(len(dead), len(pending), None if is_last else found[-1].id)


def cancel_some(
    tx: Tx,
    actor: Actor,
    account: AccountId,
    deliveries: Sequence[int],
    scope: Mapping[str, object] | None,
) -> int:
    """Cancel those of some deliveries that are still pending or held; return how many.

    If there are any, ``scope`` becomes an audit entry; None: the call has one.
    """
    rows = select(DELIVERY).where(DELIVERY.c.id.in_(deliveries), is_pending())
    pending = _read(tx, rows)
    _cancel_and_count(tx, pending, f"cancelled by {actor.user}", actor.user)
    if pending and scope is not None:
        audit_cancel(tx, actor, account, scope)
    return len(pending)


def audit_give_up(
    tx: Tx, actor: Actor, account: AccountId | None, hook: HookId, after: Mapping[str, object]
) -> None:
    """Record the scope or the result of one call that gives up events of a group."""
    owner = tx.conn.execute(select(HOOK.c.account_id).where(HOOK.c.id == hook)).scalar()
    tx.audit(actor, "undelivered.give_up", f"hook {hook}", account=owner or account, after=after)


def audit_cancel(tx: Tx, actor: Actor, account: AccountId, after: Mapping[str, object]) -> None:
    """Record the scope or the result of one call that cancels deliveries by filter."""
    tx.audit(actor, "delivery.cancel_many", "deliveries", account=account, after=after)


def _cancel_and_count(
    tx: Tx,
    rows: Sequence[DeliveryRow],
    reason: str,
    by: str,
    cause: ColumnElement[Any] | None = None,
) -> None:
    """Cancel pending deliveries of several hooks, which may end the alerts of their groups."""
    _cancel(tx, rows, reason, cause)
    for hook, count in Counter(row.hook_id for row in rows).items():
        _count_waiting(tx, hook, -count)
        tx.due(hook, tx.now_ms)  # the next delivery of an ordered hook, or the one due after it
    groups_were_emptied(tx, {(row.hook_id, row.cause or HELD) for row in rows}, by)


def _forget_dead(tx: Tx, rows: Sequence[DeliveryRow]) -> None:
    given_up = update(DELIVERY).where(DELIVERY.c.id.in_([row.id for row in rows]))
    tx.conn.execute(given_up.values(cause=None))
    for row in rows:
        state = (row.status, row.attempts, None, row.finished_at, row.duration_ms, row.reason)
        _feed(tx, row, DeliveryState(*state))


def _forget_skipped(tx: Tx, account: AccountId, hook: HookId, until_ms: int) -> int:
    """Reset the count of skipped events to those skipped after a time; return the difference."""
    columns = (HOOK_STATE.c.skipped, HOOK_STATE.c.skipped_first, HOOK_STATE.c.skipped_last)
    state = tx.conn.execute(select(*columns).where(HOOK_STATE.c.hook_id == hook)).one()
    if not state.skipped:
        raise no_group(hook, SKIPPED)
    later = _skipped_after(tx, account, hook, until_ms, state.skipped_last)
    skipped = int(state.skipped)
    left = min(len(later), skipped)
    tx.conn.execute(
        update(HOOK_STATE)
        .where(HOOK_STATE.c.hook_id == hook)
        .values(
            skipped=left,
            skipped_first=later[0] if left else None,
            skipped_last=later[-1] if left else None,
        )
    )
    return skipped - left


def _skipped_after(tx: Tx, account: AccountId, hook: HookId, until_ms: int, last: int) -> list[int]:
    """Return the events after a time that a disabled hook skipped.

    Events that many hooks skipped are not read, and count as well.
    """
    since = floor_at(until_ms + 1)
    if last < since:
        return []
    events = (
        select(EVENT.c.id, case((EVENT.c.skipped <= _FEW_SKIPS, EVENT.c.skips), else_=_MANY))
        .where(EVENT.c.account_id == account, EVENT.c.id >= since, EVENT.c.id <= last)
        .where(EVENT.c.created_at > until_ms)
        .order_by(EVENT.c.id)
        .limit(_SKIPS_READ + 1)
    )
    found = tx.conn.execute(events).all()
    if len(found) > _SKIPS_READ:
        raise Conflict(
            f"more than {_SKIPS_READ:,} events came after until; use a later time to give up"
            f" the events that hook {hook} skipped"
        )
    return [
        event
        for event, skips in found
        if skips == _MANY or reasons_of(skips).get(hook) == SkipReason.DISABLED
    ]
