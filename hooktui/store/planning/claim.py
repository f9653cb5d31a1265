"""Plans claims, pings and releases for both databases: rows and new states.

Without I/O. Plans draw ids and change notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId, time_of
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import HOOK_DELETED
from hooktui.store.contract import ClaimedDelivery
from hooktui.store.feed_items import DeliveryState, delivery_item, event_item
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import Planning
from hooktui.store.tx import SideEffects

_SENDING = DeliveryStatus.SENDING.value
_TRIGGERS = {trigger.value: trigger for trigger in Trigger}


def may_claim(live: LiveHooks, hook: HookId) -> LiveHook | None:
    """Return a hook if its deliveries may be claimed: it is active and sending is not paused."""
    live_hook = live.view.get(hook)
    return live_hook if live_hook is not None and live_hook.active and not live.paused else None


def claimed_delivery(row: Sequence[Any], number: int, body: bytes | None) -> ClaimedDelivery:
    """Return the claim of a row that begins with the columns of every search for deliveries.

    Args:
        row: delivery, event, event type, hook, account, trigger, attempt number, tries,
            interruptions.
        number: number of the new attempt.
        body: the event's body; None if retention has deleted it.
    """
    delivery, event, event_type, hook, account, trigger, _, tries, interruptions = row[:9]
    return ClaimedDelivery(
        DeliveryId(delivery), EventId(event), event_type, HookId(hook), AccountId(account),
        _TRIGGERS[trigger], number, tries, interruptions, body or b"",
    )  # fmt: skip


def note_claimed(notes: SideEffects, claims: Iterable[ClaimedDelivery]) -> None:
    """Add claimed deliveries to the change feed."""
    for claim in claims:
        state = DeliveryState(_SENDING, claim.number)
        notes.feed.append(delivery_item(claim.account, claim.hook, claim.delivery, state))


@dataclass(frozen=True, slots=True)
class PingPlan:
    """The rows of a ping and its claim.

    ``event`` is (id, account, type, created, size, deliveries, skipped, skips, body), ``delivery``
    (id, account, hook, event, type, created, token, until).
    """

    event: tuple[object, ...]
    delivery: tuple[object, ...]
    claim: ClaimedDelivery


def plan_ping(hook: HookId, body: bytes, work: Planning) -> PingPlan:
    """Plan a ping whose delivery is leased from the start.

    Raises:
        NotFound: there is no such hook.
    """
    live_hook = work.live.view.get(hook)
    if live_hook is None:
        raise NotFound(f"there is no hook {hook}; see: hooktui hooks list")
    account = live_hook.account
    now_ms, lease = work.now_ms, work.lease
    event, delivery = EventId(work.ids.next(now_ms)), DeliveryId(work.ids.next(now_ms))
    claim = ClaimedDelivery(delivery, event, PING, hook, account, Trigger.PING, 1, 0, 0, body)
    work.notes.feed.append(event_item(account, event))
    note_claimed(work.notes, [claim])
    return PingPlan(
        event=(event, account, PING, now_ms, len(body), 1, 0, None, body),
        delivery=(delivery, account, hook, event, PING, now_ms, lease.token, lease.until_ms),
        claim=claim,
    )


def state_after_release(claim: ClaimedDelivery, live: LiveHooks, now_ms: int) -> DeliveryState:
    """Return the state of a delivery whose attempt did not begin.

    It is due immediately, a first attempt as early as before: behind a backlog it would wait for
    all of it. A ping, or a delivery of a deleted hook, is cancelled.
    """
    number = claim.number - 1
    if claim.hook not in live.view:
        reason = HOOK_DELETED
    elif claim.trigger is Trigger.PING:
        reason = "the ping was not sent"
    else:
        due_ms = now_ms if claim.tries else min(now_ms, time_of(claim.delivery))
        return DeliveryState(DeliveryStatus.PENDING.value, number, due_ms)
    return DeliveryState(DeliveryStatus.CANCELLED.value, number, None, now_ms, None, reason)


def note_released(notes: SideEffects, claim: ClaimedDelivery, state: DeliveryState) -> bool:
    """Add a released delivery to the feed and mark it due; return whether it is pending."""
    notes.feed.append(delivery_item(claim.account, claim.hook, claim.delivery, state))
    if state.next_attempt_at is None:
        return False
    notes.mark_due(claim.hook, state.next_attempt_at)
    return True
