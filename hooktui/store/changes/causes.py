"""The causes of deliveries in SQL; writes those that a version without causes stored."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    update,
)

from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import DeliveryStatus, ErrorClass
from hooktui.domain.failure_causes import OTHER_STATUS, SERVER_ERROR
from hooktui.domain.ids import floor_at, time_of
from hooktui.store.tables import CAUSE_BACKFILL, DELIVERY, HOOK
from hooktui.store.tx import Tx

AT_ONCE: Final = 2000
"""Deliveries that one transaction looks at, some milliseconds."""


def write_causes(tx: Tx) -> None:
    """Write the causes of the next older deliveries, or note that none are left."""
    row = tx.conn.execute(select(CAUSE_BACKFILL.c.after, CAUSE_BACKFILL.c.until)).first()
    if row is None:
        return
    after, until = row
    if not after:  # the first part: what fails from now on has its cause already
        until = max(until, floor_at(tx.now_ms))
    ids = select(DELIVERY.c.id).where(DELIVERY.c.id > after, DELIVERY.c.id <= until)
    part = ids.order_by(DELIVERY.c.id).limit(AT_ONCE).subquery()
    last = tx.conn.execute(select(func.max(part.c.id))).scalar()
    if last is None:
        tx.conn.execute(delete(CAUSE_BACKFILL))
        return
    these = and_(DELIVERY.c.id > after, DELIVERY.c.id <= last, _undelivered(time_of(until)))
    tx.conn.execute(update(DELIVERY).where(these).values(cause=cause_in_sql()))
    tx.conn.execute(update(CAUSE_BACKFILL).values(after=last, until=until))


def cause_in_sql(delivery: FromClause = DELIVERY) -> ColumnElement[Any]:
    """Return `failure_causes.cause_of` of a delivery's last attempt as an expression."""
    code = delivery.c.last_code
    return case(
        (delivery.c.last_error != ErrorClass.STATUS.value, delivery.c.last_error),
        (code.between(400, 499), "http_" + cast(code, Text)),
        (code.between(500, 599), SERVER_ERROR),
        else_=OTHER_STATUS,
    )


def cause_after_abort() -> ColumnElement[Any]:
    """Return the cause of a delivery that a replay created and no longer sends.

    Its event is undelivered, as before the replay, unless it was delivered before. One that was not
    attempted takes the cause of the delivery that the replay replaced.
    """
    other = DELIVERY.alias("other")
    of_pair = and_(other.c.event_id == DELIVERY.c.event_id, other.c.hook_id == DELIVERY.c.hook_id)
    delivered = exists().where(of_pair, other.c.status == DeliveryStatus.DELIVERED.value)
    replaced = (
        select(cause_in_sql(other))
        .where(of_pair, other.c.id < DELIVERY.c.id, other.c.status == DeliveryStatus.FAILED.value)
        .order_by(other.c.id.desc())
        .limit(1)
    )
    own_or_replaced = func.coalesce(DELIVERY.c.cause, replaced.scalar_subquery())
    return case((delivered, null()), else_=own_or_replaced)


def _undelivered(begun_ms: int) -> ColumnElement[bool]:
    """Return the condition that a delivery failed or is retried, and is the newest of its pair.

    One that failed after ``begun_ms`` and has no cause was given up.
    """
    newer = DELIVERY.alias("newer")
    open_statuses = [DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value]
    return and_(
        DELIVERY.c.cause.is_(None),
        DELIVERY.c.last_error.is_not(None),
        DELIVERY.c.event_type != PING,
        or_(
            and_(
                DELIVERY.c.status == DeliveryStatus.FAILED.value,
                DELIVERY.c.finished_at <= begun_ms,
            ),
            and_(DELIVERY.c.status.in_(open_statuses), DELIVERY.c.tries > 0),
        ),
        ~exists().where(
            newer.c.event_id == DELIVERY.c.event_id,
            newer.c.hook_id == DELIVERY.c.hook_id,
            newer.c.id > DELIVERY.c.id,
        ),
        exists().where(HOOK.c.id == DELIVERY.c.hook_id, HOOK.c.deleted_at.is_(None)),
    )
