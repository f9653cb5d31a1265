"""What a filter is asked about a line of the feed."""

from __future__ import annotations

from collections.abc import Iterable

from hooktui.domain import ids
from hooktui.domain.filters.data import Stored
from hooktui.domain.filters.parser import Subject
from hooktui.domain.ids import EventId
from hooktui.domain.wire.deliveries import Attempt, Delivery
from hooktui.domain.wire.events import Event
from hooktui.domain.wire.hooks import Hook
from hooktui.store.contract import FeedItem


def event_of(item: FeedItem) -> EventId | None:
    """Return the event that a change is about, if it is about one."""
    match item.object:
        case Attempt():
            return None if item.delivery is None else _event(item.delivery.event)
        case Delivery(event=event) | Event(id=event):
            return _event(event)
        case _:
            return None


def subject_of(item: FeedItem, body: bytes | None = None) -> Subject:
    """Return a change as a filter sees it; what a kind does not have fits no term about it.

    Args:
        item: the change.
        body: of the event that it is about, where it was read.
    """
    shown, delivery = item.object, item.delivery
    match shown:
        case Attempt():
            return Subject(
                at_ms=item.at_ms,
                status=delivery.status if delivery else None,
                held=delivery.held if delivery else False,
                outcome=shown.outcome,
                hook=delivery.hook if delivery else None,
                event_type=delivery.event_type if delivery else None,
                code=shown.status_code,
                took_ms=shown.phases_ms.total,
                error=shown.error,
                trigger=delivery.trigger if delivery else None,
                words=lambda: _text(
                    (*_attempt(shown), *(_delivery(delivery) if delivery else ()), body)
                ),
                data=lambda: Stored(body),
            )
        case Delivery():
            return Subject(
                at_ms=item.at_ms,
                status=shown.status,
                held=shown.held,
                hook=shown.hook,
                event_type=shown.event_type,
                took_ms=shown.duration_ms,
                trigger=shown.trigger,
                words=lambda: _text((*_delivery(shown), body)),
                data=lambda: Stored(body),
            )
        case Event():
            return Subject(
                at_ms=item.at_ms,
                event_type=shown.type,
                words=lambda: _text((shown.id, shown.type, body)),
                data=lambda: Stored(body),
            )
        case Hook():
            return Subject(
                at_ms=item.at_ms,
                hook=shown.id,
                words=lambda: _text((shown.name, shown.url, *shown.events)),
            )
        case _:
            identity = shown.get("id")
            return Subject(
                at_ms=item.at_ms,
                hook=identity if item.kind == "hook" and isinstance(identity, int) else None,
                words=lambda: _text(str(value) for value in shown.values()),
            )


def _event(text: str) -> EventId:
    return EventId(ids.decode("evt", text))


def _attempt(attempt: Attempt) -> tuple[str | None, ...]:
    code = None if attempt.status_code is None else str(attempt.status_code)
    body = attempt.response.body if attempt.response else None
    return attempt.outcome, code, attempt.error, attempt.error_detail, attempt.address, body


def _delivery(delivery: Delivery) -> tuple[str | None, ...]:
    return (
        delivery.id,
        delivery.event,
        delivery.event_type,
        delivery.status,
        delivery.trigger,
        delivery.reason,
    )


def _text(parts: Iterable[str | bytes | None]) -> str:
    # Joined by a character that nobody can type into a filter, so no word spans two parts.
    return "\0".join(
        part.decode("utf-8", "replace") if isinstance(part, bytes) else part
        for part in parts
        if part
    )
