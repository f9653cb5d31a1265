"""The columns of a list of deliveries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hooktui.console.delivery_words import STATUS_TONES, moment, standing
from hooktui.console.signs import Signs
from hooktui.console.times import took
from hooktui.console.widgets.columns import Column
from hooktui.console.widgets.painted import Pieces
from hooktui.domain.clock import format_duration, from_rfc3339
from hooktui.domain.deliveries import Status
from hooktui.domain.wire.deliveries import Delivery, DeliveryDetail

_CALM: Final = frozenset({Status.DELIVERED, Status.CANCELLED})


def state(delivery: Delivery | DeliveryDetail, signs: Signs) -> Pieces:
    """Return sign and word of where a delivery stands; only what needs an eye has colour."""
    word = standing(delivery)
    sign = {
        "waiting": signs.waiting,
        "held": signs.waiting,
        "retrying": signs.retry,
        "sending": signs.sending,
        "delivered": signs.delivered,
        "failed": signs.failed,
        "cancelled": signs.cancelled,
    }.get(word, " ")
    tone = STATUS_TONES.get(delivery.status, "plain")
    if delivery.status in _CALM:
        return ((f"{sign} ", tone), (word, "plain"))
    return ((f"{sign} {word}", tone),)


def delivery_columns(signs: Signs, clock: Callable[[], int]) -> tuple[Column[Delivery], ...]:
    """Return the columns; times are clock times, for two screens are compared by them."""

    def made(delivery: Delivery) -> Pieces:
        return ((moment(from_rfc3339(delivery.created_at), clock()), "plain"),)

    def then(delivery: Delivery) -> Pieces:
        if delivery.status == Status.PENDING and not delivery.held and delivery.next_attempt_at:
            next_ms = from_rfc3339(delivery.next_attempt_at)
            left_s = (next_ms - clock()) / 1000
            if left_s < 1:
                return (("due now", "plain"),)
            return ((f"next at {moment(next_ms, clock())}", "plain"),)
        return ((delivery.reason or "", "quiet"),)

    def span(delivery: Delivery) -> Pieces:
        duration_ms = delivery.duration_ms
        if duration_ms is None:
            return ()
        words = took(duration_ms) if duration_ms < 60_000 else format_duration(duration_ms / 1000)
        return ((words, "quiet"),)

    return (
        Column(name="state", title="state", cell=lambda d: state(d, signs), width=11, priority=0),
        Column(name="made", title="came", cell=made, width=9, grow=1, most=16, priority=1,
               sort="id"),
        Column(name="type", title="event", cell=lambda d: d.event_type, width=18, grow=1, most=30,
               priority=0),
        Column(name="tries", title="tries", cell=lambda d: ((str(d.attempts), "plain"),), width=5,
               align="right", priority=1),
        Column(name="took", title="took", cell=span, width=7, align="right", priority=3),
        Column(name="then", title="then", cell=then, width=16, grow=8, most=60, priority=2),
        Column(name="trigger", title="by", cell=lambda d: ((d.trigger, "quiet"),), width=6,
               priority=4),
        Column(name="id", title="delivery", cell=lambda d: ((d.id, "quiet"),), width=17,
               priority=5),
    )  # fmt: skip
