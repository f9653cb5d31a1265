"""Which account a thing belongs to: for calls that name the thing and no account."""

from __future__ import annotations

from sqlalchemy import Connection, select

from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, DeliveryId, EventId, encode
from hooktui.store.tables import DELIVERY, EVENT


def owner_of_event(conn: Connection, event: EventId) -> AccountId:
    """Return the account of an event.

    Raises:
        NotFound: there is no such event.
    """
    found = conn.execute(select(EVENT.c.account_id).where(EVENT.c.id == event)).scalar()
    if found is None:
        raise NotFound(f"there is no event {encode('evt', event)}; see: hooktui events list")
    return AccountId(found)


def owner_of_delivery(conn: Connection, delivery: DeliveryId) -> AccountId:
    """Return the account of a delivery.

    Raises:
        NotFound: there is no such delivery.
    """
    wanted = select(DELIVERY.c.account_id).where(DELIVERY.c.id == delivery)
    found = conn.execute(wanted).scalar()
    if found is None:
        raise NotFound(
            f"there is no delivery {encode('dlv', delivery)}; see: hooktui deliveries list"
        )
    return AccountId(found)
