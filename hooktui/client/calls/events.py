"""Calls that send and read events."""

from __future__ import annotations

from typing import Unpack

from hooktui.client.calls.call import JSON, Call, Window, get, send, with_key
from hooktui.client.responses import LINES
from hooktui.domain.errors import NotFound, Refused
from hooktui.domain.wire.events import (
    AcceptedEvent,
    AcceptedEvents,
    Catalogue,
    Event,
    EventDetail,
    HookDecision,
)
from hooktui.domain.wire.pages import Page


def send_event(
    account: int | None, event_type: str, body: bytes, *, key: str | None = None
) -> Call[AcceptedEvent]:
    """Send one event; receivers get ``body`` unchanged.

    Raises:
        Refused: the key cannot be a header value, or no path can hold the type.
    """
    headers = JSON | with_key(key)
    parts = ("events", event_type)
    try:
        return send("POST", AcceptedEvent, *parts, body=body, headers=headers, account=account)
    except NotFound as error:
        raise Refused(
            f"unknown event type {event_type[:100]!r}; see: hooktui events types"
        ) from error


def send_many(account: int | None, lines: bytes) -> Call[AcceptedEvents]:
    """Send up to 1,000 events as NDJSON lines ``{"type", "data", "key"?}``, all or nothing."""
    headers = {"Content-Type": LINES}
    return send("POST", AcceptedEvents, "events", body=lines, headers=headers, account=account)


def list_events(
    account: int | None,
    *,
    q: str | None = None,
    event_type: str | None = None,
    **window: Unpack[Window],
) -> Call[Page[Event]]:
    """List events; ``q`` is a filter, ``event_type`` narrows to a type or a group."""
    return get(Page[Event], "events", account=account, q=q, type=event_type, **window)


def get_event(event: str, *, account: int | None = None) -> Call[EventDetail]:
    """Read an event with its body, deliveries and skips."""
    return get(EventDetail, "events", event, account=account)


def event_decisions(
    event: str,
    *,
    concerned: bool | None = None,
    account: int | None = None,
    **window: Unpack[Window],
) -> Call[Page[HookDecision]]:
    """List the outcome of an event for each hook.

    ``concerned``: True: only hooks that subscribed to it; False: only others; None: all.
    """
    concerned_text = None if concerned is None else str(concerned).lower()
    parts = ("events", event, "decisions")
    return get(Page[HookDecision], *parts, account=account, concerned=concerned_text, **window)


def event_types() -> Call[Catalogue]:
    """Read the catalogue of event types."""
    return get(Catalogue, "event-types")
