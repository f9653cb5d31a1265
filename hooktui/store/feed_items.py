"""The content of a row of the change feed: a JSON array of short items.

    ["e", account, event]                       an event was accepted
    ["d", account, hook, delivery, …state]      a delivery changed
    ["a", account, hook, delivery, …state, number]   an attempt ended
    ["h", account, hook, change, reason]        a hook was created, changed or deleted
    ["l", account, alert, change]               an alert was opened, changed or ended
    ["g", account, data]                        an event of the engine (account 0: for all)
    ["r", account, replay, 0]                   a replay changed

A reader passes over items of a kind that it does not know; an unknown item has a fourth value that
is the id of no delivery, because readers of the first version look one up.

An item holds the state of the delivery at that moment, or how the hook changed, because their rows
may have changed again when the feed is read. Immutable columns are joined from the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId

Item = tuple[object, ...]

EVENT, DELIVERY, ATTEMPT, HOOK, ENGINE, REPLAY, ALERT = "e", "d", "a", "h", "g", "r", "l"

MAX_PER_ROW: Final = 1000
"""A reader decodes a whole row even for a few of its items, so rows stay this short."""

_STATUSES: Final = tuple(DeliveryStatus)
_CODES: Final = {status.value: code for code, status in enumerate(_STATUSES)}


class DeliveryState(NamedTuple):
    """The mutable part of a delivery at one moment."""

    status: str
    attempts: int
    next_attempt_at: int | None = None
    finished_at: int | None = None
    duration_ms: int | None = None
    reason: str | None = None


def event_item(account: AccountId, event: EventId) -> Item:
    """Return the item of an accepted event."""
    return (EVENT, account, event)


def delivery_item(
    account: AccountId, hook: HookId, delivery: DeliveryId, state: DeliveryState
) -> Item:
    """Return the item of a delivery that changed."""
    return (DELIVERY, account, hook, delivery, _CODES[state[0]], *state[1:])


def attempt_item(
    account: AccountId, hook: HookId, delivery: DeliveryId, number: int, state: DeliveryState
) -> Item:
    """Return the item of an attempt that ended, with its delivery's state after it."""
    return (ATTEMPT, account, hook, delivery, _CODES[state[0]], *state[1:], number)


class HookEdit(StrEnum):
    """How a hook changed."""

    CREATED = "created"
    CHANGED = "changed"
    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    ROTATED = "secret changed"
    BREAKER_OPENED = "breaker opened"
    BREAKER_CLOSED = "breaker closed"


def hook_item(account: AccountId, hook: HookId, edit: HookEdit, reason: str | None = None) -> Item:
    """Return the item of a hook that changed; ``reason`` is why it was disabled."""
    return (HOOK, account, hook, edit.value, reason)


def alert_item(account: AccountId, alert: int, change: str) -> Item:
    """Return the item of an alert; ``change`` is its state after the change."""
    return (ALERT, account, alert, change)


def engine_item(data: Mapping[str, object]) -> Item:
    """Return the item of a change of the engine, which concerns all accounts."""
    return (ENGINE, 0, dict(data))


def replay_item(account: AccountId, replay: int) -> Item:
    """Return the item of a replay that changed."""
    return (REPLAY, account, replay, 0)


def state_of(item: Sequence[object]) -> DeliveryState:
    """Return the state that a delivery or attempt item carries."""
    status = _STATUSES[msgspec.convert(item[4], int)].value
    return msgspec.convert([status, *item[5:10]], DeliveryState)


encode = msgspec.json.Encoder().encode
"""Return the bytes of a row from a list of items."""

decode = msgspec.json.Decoder(list[list[object]]).decode
"""Return the items of a row."""
