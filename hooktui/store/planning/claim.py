"""Plans claims, pings and releases for both databases: rows, new states, starts of claims.

Without I/O. Plans draw ids and change notes, and the starts of claims have a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.errors import NotFound
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId, time_of
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import HOOK_DELETED
from hooktui.store.contract import ClaimedDelivery, CommitNotice
from hooktui.store.feed_items import DeliveryState, delivery_item, event_item
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import Planning
from hooktui.store.tx import SideEffects

LOOK_UP_EVERY_S: Final = 5.0
"""The longest time that a due delivery below a bound is missed."""

_TRIGGERS = {trigger.value: trigger for trigger in Trigger}

_Position = tuple[int, int]
"""A position in the order of claims: due time (ms) and id."""


@dataclass(slots=True)
class ClaimStart:
    """Where a claim of a hook starts to search.

    Attributes:
        first: the position among first tries.
        again: the position among retries.
        in_line: the id, if the hook is ordered.
    """

    first: _Position = (0, 0)
    again: _Position = (0, 0)
    in_line: int = 0

    def lower(self, due_ms: int) -> None:
        """Start at a due time at the latest; ids of ordered deliveries only grow."""
        self.first = min(self.first, (due_ms, 0))
        self.again = min(self.again, (due_ms, 0))


@dataclass(slots=True)
class _Bound:
    looked_up_s: float
    start: ClaimStart = field(default_factory=ClaimStart)
    hint_ms: int | None = None


class DueBounds:
    """Lower bounds of the due deliveries of each hook, so that claims skip what was claimed before.

    PostgreSQL keeps index entries of claimed deliveries until a vacuum, and longer beside an open
    snapshot. A bound is a guess: hints of earlier due times lower it, and every
    `LOOK_UP_EVERY_S` a claim searches from the beginning. One claim transaction runs at a time.
    """

    def __init__(self) -> None:
        self._bounds: dict[HookId, _Bound] = {}

    def begin(self, hook: HookId, now_s: float) -> ClaimStart:
        """Return a copy of the bound for a claim, which moves it and passes it to `commit`."""
        bound = self._bounds.get(hook)
        if bound is None or now_s - bound.looked_up_s >= LOOK_UP_EVERY_S:
            bound = self._bounds[hook] = _Bound(now_s)
        bound.hint_ms = None
        return replace(bound.start)

    def commit(self, hook: HookId, end: ClaimStart) -> None:
        """Start the next claim where a committed one ended, or at an earlier hint since."""
        bound = self._bounds.get(hook)
        if bound is not None:
            bound.start = end
            if bound.hint_ms is not None:
                end.lower(bound.hint_ms)

    def start_of(self, hook: HookId, now_s: float) -> ClaimStart:
        """Return the current bound; the beginning if the last look-up is too old."""
        bound = self._bounds.get(hook)
        if bound is None or now_s - bound.looked_up_s >= LOOK_UP_EVERY_S:
            return ClaimStart()
        return bound.start

    def lower(self, notice: CommitNotice) -> None:
        """Lower bounds to hints; forget those of hooks that were changed or deleted."""
        for hook, due_ms in notice.due.items():
            bound = self._bounds.get(hook)
            if bound is not None:
                bound.start.lower(due_ms)
                bound.hint_ms = due_ms if bound.hint_ms is None else min(due_ms, bound.hint_ms)
        for hook in notice.hooks_changed:
            self._bounds.pop(hook, None)


def may_claim(live: LiveHooks, hook: HookId) -> LiveHook | None:
    """Return a hook if its deliveries may be claimed: it is active and sending is not paused."""
    live_hook = live.view.get(hook)
    return live_hook if live_hook is not None and live_hook.active and not live.paused else None


def claimed_delivery(row: Sequence[Any], number: int, body: bytes | None) -> ClaimedDelivery:
    """Return the claim of a row that begins with the columns of every search for deliveries.

    Args:
        row: delivery, event, event type, hook, account, trigger, number of the last attempt, tries,
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
        state = DeliveryState(DeliveryStatus.SENDING.value, claim.number)
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
