"""Plans the acceptance of events for both databases: rows, deliveries and skips.

Without I/O. It draws ids and takes slots, so a plan is made once and kept when its transaction is
repeated. Ids are created in the order of the events, so on one writer the order of ids is the order
of commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.errors import FieldError, Refused
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId, IdClock
from hooktui.domain.json_text import Steps
from hooktui.domain.live_hook import SkipReason, skip_reason
from hooktui.store.contract import LEASE_S, Acceptance, ClaimedDelivery, NewEvent, Reserve
from hooktui.store.feed_items import DeliveryState, delivery_item, event_item
from hooktui.store.live_hooks import LiveHooks, Subscribers
from hooktui.store.planning.matching import HookMatches, Matches, check_current, subject_of
from hooktui.store.tx import SideEffects

KEY_KEPT_MS = 24 * 3600 * 1000
"""How long an idempotency key is remembered."""
MAX_KEY = 255
"""Maximum length of an idempotency key in characters; a UUID has 36."""

KnownKeys = Mapping[tuple[AccountId, str], "KnownKey"]

_UNMATCHED: HookMatches = {}
# Bound once: a look-up of an enum's value costs more than the row that it goes into.
_PENDING = DeliveryStatus.PENDING.value
_LEASED = DeliveryState(DeliveryStatus.SENDING.value, 1)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """The earlier use of an idempotency key and the response to it."""

    event: EventId
    type: str
    body_sha256: bytes
    deliveries: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of claimed deliveries: its token and its end."""

    token: int
    until_ms: int


class Planning(Protocol):
    """A write transaction as plans see it."""

    lease: Lease
    now_ms: int
    notes: SideEffects

    @property
    def live(self) -> LiveHooks:
        """The hooks as of this transaction."""

    @property
    def ids(self) -> IdClock:
        """Creates ids."""


def lease_from(token: int, now_ms: int) -> Lease:
    """Return the lease of deliveries that are claimed at a time."""
    return Lease(token, now_ms + LEASE_S * 1000)


_HOOKS_PER_STEP, _EVENTS_PER_STEP = 100, 20
"""The amount of work in one step, about 0.5 ms."""


@dataclass(slots=True)
class SkippedEvents:
    """Events of one transaction that a disabled hook skips: their count, the first and the last."""

    count: int
    first: EventId
    last: EventId


def count_skipped(
    skipped: dict[HookId, SkippedEvents], hook: HookId, count: int, first: EventId, last: EventId
) -> None:
    """Add to the events that a disabled hook skips; calls come in the order of the events."""
    known = skipped.get(hook)
    if known is None:
        skipped[hook] = SkippedEvents(count, first, last)
    else:
        known.count += count
        known.last = last


class Plan(msgspec.Struct):
    """The rows of a call, ready to insert, and its result.

    ``events`` are (id, account, type, created, size, deliveries, skipped, skips, body);
    ``pending`` deliveries (id, account, hook, event, type, created, due), ``leased`` ones (id,
    account, hook, event, type, created, token, until); ``keys`` (account, key, event, type, hash,
    deliveries, skipped, created). ``skipped`` are the changes of the counters of hooks.
    """

    events: list[tuple[object, ...]] = []  # msgspec makes a new list for each plan
    pending: list[tuple[object, ...]] = []
    leased: list[tuple[object, ...]] = []
    keys: list[tuple[object, ...]] = []
    skipped: dict[HookId, SkippedEvents] = {}
    new_keys: dict[tuple[AccountId, str], KnownKey] = {}
    notes: SideEffects = msgspec.field(default_factory=SideEffects)
    accepted: list[Acceptance] = []
    claims: list[ClaimedDelivery] = []


def key_fault(key: str) -> str | None:
    """Return what is wrong with an idempotency key, or None."""
    if not 1 <= len(key) <= MAX_KEY:
        return f"has {len(key)} characters; it must have 1 to {MAX_KEY}"
    if not key.isprintable():
        return "contains control characters; use printable ones"
    return None


def check_keys(events: Sequence[NewEvent]) -> None:
    """Check that idempotency keys can be stored.

    Raises:
        Refused: a key is empty, too long, or contains characters that a database cannot store.
    """
    for index, event in enumerate(events):
        if event.key is not None and key_fault(event.key):
            raise Refused.field(
                f"/{index}/key", f"an idempotency key has 1 to {MAX_KEY} printable characters"
            )


def repeated(events: Sequence[NewEvent], earlier_keys: KnownKeys) -> dict[int, KnownKey | None]:
    """Return the index of each repeated event with the earlier use; None: in the same call.

    Raises:
        Refused: a key was used before with another type or body; names each.
    """
    repeats: dict[int, KnownKey | None] = {}
    here: dict[tuple[AccountId, str], NewEvent] = {}
    errors = []
    for index, event in enumerate(events):
        if event.key is None:
            continue
        name = (event.account, event.key)
        before, first = earlier_keys.get(name), here.setdefault(name, event)
        if before is not None:
            same = (before.type, before.body_sha256) == (event.type, body_hash(event.body))
            repeats[index] = before
        elif first is not event:
            same = (first.type, first.body) == (event.type, event.body)
            repeats[index] = None
        else:
            continue
        if not same:
            errors.append(
                FieldError(
                    f"/{index}/key",
                    f"idempotency key {event.key!r} was used before with another type or body; "
                    "use a new key for a new event",
                )
            )
    if errors:
        raise Refused.fields(errors)
    return repeats


def body_hash(body: bytes) -> bytes:
    """Return the hash that recognises a body."""
    return hashlib.sha256(body).digest()


def plan_accept(
    events: Sequence[NewEvent],
    earlier_keys: KnownKeys,
    matches: Matches,
    reserve: Reserve | None,
    work: Planning,
) -> Steps[Plan]:
    """Plan the rows and the result of a call; ``matches`` holds the filters evaluated so far.

    The subscribers are determined in the first step: hooks may change between two steps.

    Raises:
        Outdated: hooks with expensive filters changed since they were matched.
        Refused: an idempotency key was used before with another type or body.
    """
    live = work.live
    if live.filtered:
        check_current(events, live, matches)
    plan = Plan()
    draft = _Draft(plan, work.ids, work.now_ms)
    slots = None if reserve is None else _Slots(reserve, work.lease)
    has_keys = any(event.key is not None for event in events)
    repeats = repeated(events, earlier_keys) if has_keys else {}
    subscribed = [live.subscribers(event.account, event.type) for event in events]
    for index, (event, subscribers) in enumerate(zip(events, subscribed, strict=True)):
        if index in repeats:
            plan.accepted.append(_repeated_acceptance(event, repeats[index], plan))
        else:
            matched = matches.get(index, _UNMATCHED)
            yield from _plan_event(draft, event, subscribers, matched, slots, {})
        if index % _EVENTS_PER_STEP == _EVENTS_PER_STEP - 1:
            yield
    return plan


def plan_alert(
    event: NewEvent, subscribers: Subscribers, about: HookId | None, ids: IdClock, now_ms: int
) -> Steps[Plan]:
    """Plan the event of an alert: all deliveries are pending, none for the hook it is ``about``."""
    plan = Plan()
    others = tuple(hook for hook in subscribers.hooks if hook.id != about)
    skips: dict[str, list[HookId]] = {}
    if about is not None and len(others) < len(subscribers.hooks):
        skips[SkipReason.SELF] = [about]
    to_others = Subscribers(others, subscribers.weight)
    yield from _plan_event(_Draft(plan, ids, now_ms), event, to_others, _UNMATCHED, None, skips)
    return plan


def _repeated_acceptance(event: NewEvent, before: KnownKey | None, plan: Plan) -> Acceptance:
    key = before or plan.new_keys[event.account, event.key or ""]
    return Acceptance(key.event, event.type, event.account, key.deliveries, key.skipped, True)


class _Draft(NamedTuple):
    """A plan in progress, and the ids and the time of its transaction."""

    plan: Plan
    ids: IdClock
    now_ms: int


class _Slots(NamedTuple):
    """Takes slots of hooks; their deliveries are claimed with this lease."""

    reserve: Reserve
    lease: Lease


def _plan_event(
    draft: _Draft,
    new: NewEvent,
    subscribers: Subscribers,
    matches: HookMatches,
    slots: _Slots | None,
    skips: dict[str, list[HookId]],
) -> Steps[None]:
    """Plan an event and its deliveries; ``skips`` are the hooks that were skipped before."""
    plan, ids, now_ms = draft
    event, account = EventId(ids.next(now_ms)), new.account
    subject = subject_of(new) if subscribers.weight else None
    feed, counts = plan.notes.feed, plan.notes.waiting
    feed.append(event_item(account, event))
    waiting = DeliveryState(_PENDING, 0, now_ms)
    count = 0
    for index, hook in enumerate(subscribers.hooks):
        if index % _HOOKS_PER_STEP == _HOOKS_PER_STEP - 1:
            yield
        match = matches.get(hook.id) if matches else None
        if match is not None and match.version == hook.version and hook.active:
            reason = None if match.fits else SkipReason.FILTER
        else:
            reason = skip_reason(hook, subject)
        if reason is not None:
            if reason is SkipReason.DISABLED:
                count_skipped(plan.skipped, hook.id, 1, event, event)
            skips.setdefault(reason, []).append(hook.id)
            continue
        count += 1
        delivery = DeliveryId(ids.next(now_ms))
        row = (delivery, account, hook.id, event, new.type, now_ms)
        if slots is not None and not hook.settings.ordered and slots.reserve(hook.id):
            state = _LEASED
            claim = ClaimedDelivery(
                delivery, event, new.type, hook.id, account, Trigger.EVENT, 1, 0, 0, new.body
            )
            plan.claims.append(claim)
            plan.leased.append((*row, slots.lease.token, slots.lease.until_ms))
        else:
            state = waiting
            plan.notes.mark_due(hook.id, now_ms)
            plan.pending.append((*row, now_ms))
        counts[hook.id] = counts.get(hook.id, 0) + 1
        feed.append(delivery_item(account, hook.id, delivery, state))
    skipped = sum(map(len, skips.values()))
    text = msgspec.json.encode(list(skips.items())).decode() if skips else None
    plan.events.append(
        (event, account, new.type, now_ms, len(new.body), count, skipped, text, new.body)
    )
    plan.accepted.append(Acceptance(event, new.type, account, count, skipped))
    if new.key is not None:
        key = KnownKey(event, new.type, body_hash(new.body), count, skipped)
        plan.new_keys[account, new.key] = key
        plan.keys.append(
            (account, new.key, event, new.type, key.body_sha256, count, skipped, now_ms)
        )
