"""Calls for deliveries, undelivered events and the change feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from hooktui.client.calls.call import USUAL_TIMEOUT_S, Call, Window, get, given, path_of, send
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail
from hooktui.domain.wire.feed import FeedPage, decode_page
from hooktui.domain.wire.pages import Page
from hooktui.domain.wire.undelivered import CancelledMany, ChangedGroup, GaveUp, UndeliveredPage


def list_deliveries(
    account: int | None,
    *,
    q: str | None = None,
    hook: int | None = None,
    event: str | None = None,
    status: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[Delivery]]:
    """List deliveries; ``q`` is a filter, the others narrow to one value each."""
    narrow = {"hook": hook, "event": event, "status": status}
    return get(Page[Delivery], "deliveries", account=account, q=q, **narrow, **window)


def get_delivery(delivery: str, *, account: int | None = None) -> Call[DeliveryDetail]:
    """Read a delivery with its attempts, its request and the string signed."""
    return get(DeliveryDetail, "deliveries", delivery, account=account)


def resend_delivery(delivery: str, *, account: int | None = None) -> Call[Delivery]:
    """Send again: a final delivery as a new one, a pending or held one immediately."""
    return send("POST", Delivery, "deliveries", delivery, "resend", account=account)


def cancel_delivery(delivery: str, *, account: int | None = None) -> Call[Delivery]:
    """Cancel a pending or held delivery."""
    return send("POST", Delivery, "deliveries", delivery, "cancel", account=account)


def cancel_many(
    q: str, until: str, after: str | None = None, *, account: int | None = None
) -> Call[CancelledMany]:
    """Cancel deliveries that match a filter; repeat with ``after`` until it is complete."""
    fields = given(q=q, until=until, after=after)
    return send("POST", CancelledMany, "deliveries", "cancel", fields=fields, account=account)


def list_undelivered(
    account: int | None,
    *,
    hooks: Sequence[int] = (),
    cause: str | None = None,
    state: str | None = None,
    **window: Unpack[Window],
) -> Call[UndeliveredPage]:
    """List undelivered events by hook and cause; the others narrow the list."""
    narrow = {"hook": tuple(hooks), "cause": cause, "state": state}
    return get(UndeliveredPage, "undelivered", account=account, **narrow, **window)


def acknowledge_undelivered(
    hook: int, cause: str, *, account: int | None = None
) -> Call[ChangedGroup]:
    """Acknowledge a group of undelivered events."""
    path = ("undelivered", hook, cause, "acknowledge")
    return send("POST", ChangedGroup, *path, account=account)


def snooze_undelivered(
    hook: int, cause: str, for_s: float, *, account: int | None = None
) -> Call[ChangedGroup]:
    """Snooze a group of undelivered events."""
    path = ("undelivered", hook, cause, "snooze")
    fields = {"for_s": for_s}
    return send("POST", ChangedGroup, *path, fields=fields, account=account)


def give_up_undelivered(
    hook: int, cause: str, until: str, after: str | None = None, *, account: int | None = None
) -> Call[GaveUp]:
    """Give up events that were created up to a time; repeat with ``after`` until it is complete."""
    fields = given(until=until, after=after)
    path = ("undelivered", hook, cause, "give-up")
    return send("POST", GaveUp, *path, fields=fields, account=account)


def follow_feed(
    account: int | None,
    *,
    after: str | None = None,
    wait_s: int = 0,
    limit: int | None = None,
    q: str | None = None,
    from_end: bool = False,
    before: str | None = None,
) -> Call[FeedPage]:
    """Read changes after a position, waiting up to ``wait_s`` (at most 30) for the first.

    ``from_end`` without ``after`` returns the newest ``limit`` changes and the position after them;
    with ``before``, the newest before that position.
    """
    path = path_of(
        "feed",
        account=account,
        after=after,
        before=before,
        wait=wait_s,
        limit=limit,
        q=q,
        from_end=from_end,
    )
    return Call("GET", path, decode_page, timeout_s=USUAL_TIMEOUT_S + wait_s)
