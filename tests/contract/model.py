"""The queue as plain Python: what a store has to look like after each call, told in small words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hooktui.domain.deliveries import (
    DeliveryStatus,
    Outcome,
    RetryDecision,
    RetryState,
    Trigger,
    after_interruption,
)
from hooktui.domain.failure_causes import cause_of
from hooktui.domain.ids import floor_at, time_of
from hooktui.store.contract import LEASE_S, AttemptResult, ClaimedDelivery, NewEvent

KEY_KEPT_MS = 24 * 3600 * 1000


@dataclass
class ModelHook:
    """A hook; ``secrets`` are pairs of value and end, newest first."""

    id: int
    group: str
    ordered: bool
    filter: int | None
    secrets: list[tuple[str, int | None]]
    active: bool = True
    deleted: bool = False
    skipped: int = 0

    def takes(self, offer: NewEvent) -> bool:
        return self.active and (self.filter is None or b'"a":%d' % self.filter in offer.body)

    def live_secrets(self, now_ms: int) -> list[str]:
        return [value for value, end in self.secrets if end is None or end > now_ms]


@dataclass
class ModelDelivery:
    """A delivery; ``attempts`` are (number, start, end, outcome)."""

    id: int
    event: int
    hook: int
    trigger: Trigger
    next_ms: int | None
    status: DeliveryStatus = DeliveryStatus.PENDING
    number: int = 0
    tries: int = 0
    interruptions: int = 0
    lease_until_ms: int | None = None
    finished_ms: int | None = None
    reason: str | None = None
    cause: str | None = None
    attempts: list[tuple[int, int, int, str]] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return not self.status.final

    def row(self) -> tuple[object, ...]:
        """What its row says."""
        return (
            self.event, self.hook, self.trigger.value, self.status.value, self.number, self.tries,
            self.interruptions, self.next_ms, self.lease_until_ms, self.finished_ms, self.reason,
            self.cause,
        )  # fmt: skip


@dataclass
class ModelEvent:
    """An event, and how many deliveries it ever got."""

    id: int
    body: bytes
    deliveries: int


@dataclass(frozen=True)
class ModelKey:
    event: int
    type: str
    body: bytes
    deliveries: int
    skipped: int
    at_ms: int


class Model:
    """All of one account."""

    def __init__(self) -> None:
        self.hooks: dict[int, ModelHook] = {}
        self.deliveries: dict[int, ModelDelivery] = {}
        self.events: dict[int, ModelEvent] = {}
        self.keys: dict[str, ModelKey] = {}

    # What must come out

    def refuses(self, offers: Sequence[NewEvent], now_ms: int) -> bool:
        """Whether an idempotency key was used for something else."""
        here: dict[str, NewEvent] = {}
        for offer in offers:
            if offer.key is None:
                continue
            before = self.key(offer.key, now_ms)
            first = here.setdefault(offer.key, offer)
            known = (before.type, before.body) if before else (first.type, first.body)
            if known != (offer.type, offer.body):
                return True
        return False

    def key(self, key: str | None, now_ms: int) -> ModelKey | None:
        found = self.keys.get(key) if key is not None else None
        return found if found is not None and found.at_ms > now_ms - KEY_KEPT_MS else None

    def subscribers(self, offer: NewEvent) -> list[ModelHook]:
        group = offer.type.partition(".")[0]
        return [hook for hook in self.hooks.values() if not hook.deleted and hook.group == group]

    def claimable(self, hook_id: int, most: int, by_age: bool, now_ms: int) -> list[int]:
        """The deliveries that a claim takes, in their order."""
        hook = self.hooks[hook_id]
        if hook.deleted or not hook.active:
            return []
        if hook.ordered:
            line = self.line(hook_id)
            return [one.id for one in line[:1] if self.is_due(one, now_ms)]
        due = [one for one in self.of_hook(hook_id) if self.is_due(one, now_ms)]
        due.sort(key=lambda one: (not by_age and one.tries > 0, one.next_ms, one.id))
        return [one.id for one in due[:most]]

    def line(self, hook_id: int) -> list[ModelDelivery]:
        """What stands in line at an ordered hook; pings pass by it."""
        line = [one for one in self.of_hook(hook_id) if one.open and one.trigger != Trigger.PING]
        return sorted(line, key=lambda one: one.id)

    def next_due(self) -> dict[int, int]:
        due: dict[int, int] = {}
        for hook in self.hooks.values():
            if hook.deleted or not hook.active:
                continue
            wanted = self.line(hook.id)[:1] if hook.ordered else self.of_hook(hook.id)
            times = [one.next_ms for one in wanted if one.next_ms is not None]
            if times:
                due[hook.id] = min(times)
        return due

    def holds(self, claim: ClaimedDelivery) -> bool:
        """Whether the fence lets a worker with this claim through."""
        one = self.deliveries.get(claim.delivery)
        return (
            one is not None and one.status is DeliveryStatus.SENDING and one.number == claim.number
        )

    def of_hook(self, hook_id: int) -> list[ModelDelivery]:
        return [one for one in self.deliveries.values() if one.hook == hook_id]

    @staticmethod
    def is_due(one: ModelDelivery, now_ms: int) -> bool:
        return (
            one.status is DeliveryStatus.PENDING
            and one.next_ms is not None
            and one.next_ms <= now_ms
        )

    # What changes it

    def lease(self, one: ModelDelivery, now_ms: int) -> None:
        one.status, one.number = DeliveryStatus.SENDING, one.number + 1
        one.next_ms, one.lease_until_ms = None, now_ms + LEASE_S * 1000

    def record(self, result: AttemptResult, now_ms: int) -> bool:
        """Take a result; False when its worker holds nothing any more."""
        one = self.deliveries.get(result.claim.delivery)
        attempt = (
            result.claim.number, result.started_at_ms, result.finished_at_ms,
            result.decision.outcome.value,
        )  # fmt: skip
        if one is None or not self.holds(result.claim):
            return one is not None and attempt in one.attempts
        exchange = result.exchange
        cause = cause_of(exchange.error, exchange.status_code)
        self._end_attempt(one, result.decision, attempt, now_ms, cause)
        return True

    def interrupt(self, which: Iterable[ModelDelivery], now_ms: int) -> int:
        """Take leases away; returns how many."""
        lost = [one for one in which if one.lease_until_ms is not None]
        for one in lost:
            began_ms = (one.lease_until_ms or 0) - LEASE_S * 1000
            trigger = Trigger.PING if self.is_ping(one) else one.trigger
            decision = after_interruption(RetryState(trigger, one.tries, one.interruptions))
            attempt = (one.number, began_ms, now_ms, "interrupted")
            self._end_attempt(one, decision, attempt, now_ms)
        return len(lost)

    def expired(self, now_ms: int) -> list[ModelDelivery]:
        leased = [one for one in self.deliveries.values() if one.lease_until_ms is not None]
        return [one for one in leased if (one.lease_until_ms or 0) <= now_ms]

    def release(self, claim: ClaimedDelivery, now_ms: int) -> None:
        if not self.holds(claim):
            return
        one = self.deliveries[claim.delivery]
        one.number -= 1
        if self.hooks[one.hook].deleted:
            self.end(one, DeliveryStatus.CANCELLED, "hook deleted", now_ms)
        elif one.trigger is Trigger.PING:
            self.end(one, DeliveryStatus.CANCELLED, "the ping was not sent", now_ms)
        else:
            self._wait(one, now_ms if claim.tries else min(now_ms, time_of(one.id)), None)

    def delete(self, hook: ModelHook, now_ms: int) -> None:
        hook.deleted, hook.active = True, False
        for one in self.of_hook(hook.id):
            one.cause = None
            if one.status is DeliveryStatus.PENDING:
                self.end(one, DeliveryStatus.CANCELLED, "hook deleted", now_ms)

    def purge(self, before_ms: int) -> int:
        """Drop what is old; returns how many events went."""
        gone = [event for event in self.events if event < floor_at(before_ms)]
        gone = [event for event in gone if not self._in_use(event, before_ms)]
        for event in gone:
            del self.events[event]
        self.deliveries = {i: one for i, one in self.deliveries.items() if one.event in self.events}
        return len(gone)

    def end(
        self, one: ModelDelivery, status: DeliveryStatus, reason: str | None, at_ms: int
    ) -> None:
        one.status, one.reason, one.finished_ms = status, reason, at_ms
        if status is DeliveryStatus.CANCELLED:
            one.cause = None
        one.next_ms = one.lease_until_ms = None

    def _wait(self, one: ModelDelivery, next_ms: int, reason: str | None) -> None:
        one.status, one.next_ms, one.reason = DeliveryStatus.PENDING, next_ms, reason
        one.lease_until_ms = None

    def _end_attempt(
        self,
        one: ModelDelivery,
        decision: RetryDecision,
        attempt: tuple[int, int, int, str],
        now_ms: int,
        cause: str | None = None,
    ) -> None:
        one.attempts.append(attempt)
        self._set_cause(one, decision, cause)
        one.tries, one.interruptions = decision.tries, decision.interruptions
        hook, ended_ms = self.hooks[one.hook], attempt[2]
        if decision.status is not DeliveryStatus.PENDING:
            self.end(one, decision.status, decision.reason, ended_ms)
        elif hook.deleted:
            self.end(one, DeliveryStatus.CANCELLED, "hook deleted", ended_ms)
        else:
            self._wait(one, now_ms + round((decision.wait_s or 0) * 1000), decision.reason)
        if decision.disable is not None:
            hook.active = False

    def _set_cause(self, one: ModelDelivery, decision: RetryDecision, cause: str | None) -> None:
        if decision.outcome is Outcome.INTERRUPTED:
            cause = "interrupted" if decision.interruptions >= 10 else one.cause
        if self.is_ping(one) or self.hooks[one.hook].deleted:
            cause = None
        one.cause = cause if one is self.newest_of_pair(one) else None

    def is_ping(self, one: ModelDelivery) -> bool:
        """Whether a delivery is a ping, or one that was resent."""
        return any(
            other.event == one.event and other.trigger is Trigger.PING
            for other in self.of_hook(one.hook)
        )

    def newest_of_pair(self, one: ModelDelivery) -> ModelDelivery:
        """The newest delivery of the same event to the same hook."""
        pair = [other for other in self.of_hook(one.hook) if other.event == one.event]
        return max(pair, key=lambda other: other.id)

    def groups(self) -> dict[tuple[int, str], tuple[int, int]]:
        """How many events are undelivered by hook and cause, and how many were given up."""
        found: dict[tuple[int, str], tuple[int, int]] = {}
        for hook in self.hooks.values():
            for one in self.of_hook(hook.id):
                if one.cause is not None:
                    count, gave_up = found.get((hook.id, one.cause), (0, 0))
                    found[hook.id, one.cause] = count + 1, gave_up + one.status.final
            held = [one for one in self.of_hook(hook.id) if one.open and one.cause is None]
            if held and not hook.active and not hook.deleted:
                found[hook.id, "held"] = len(held), 0
            if hook.skipped and not hook.deleted:
                found[hook.id, "skipped"] = hook.skipped, 0
        return found

    def replayable(self) -> list[ModelHook]:
        """The hooks of which a replay sends deliveries at once."""
        return [hook for hook in self.hooks.values() if hook.active and not hook.ordered]

    def undelivered(self, hook: int) -> list[ModelDelivery]:
        """What a replay of a hook sends: what gave up, and what waits to be tried again."""
        found = [one for one in self.of_hook(hook) if one.cause is not None]
        found = [one for one in found if one.status is not DeliveryStatus.SENDING]
        return sorted(found, key=lambda one: one.id)

    def replay(self, one: ModelDelivery, sent: int, now_ms: int) -> None:
        """Send a delivery again: as a new one if it gave up."""
        if one.status.final:
            again = ModelDelivery(sent, one.event, one.hook, Trigger.REPLAY, None)
            self.deliveries[sent], one.cause, one = again, None, again
        self.lease(one, now_ms)

    def give_up(self, hook: int, cause: str, reason: str, now_ms: int) -> tuple[int, int]:
        """Give up a group; returns how many deliveries lost their cause or were cancelled."""
        if cause == "skipped":
            skipped, self.hooks[hook].skipped = self.hooks[hook].skipped, 0
            return skipped, 0
        group = [one for one in self.of_hook(hook) if one.cause == cause]
        if cause == "held":
            group = [one for one in self.of_hook(hook) if one.cause is None]
        dead = [one for one in group if one.status is DeliveryStatus.FAILED and one.cause]
        pending = [one for one in group if one.status is DeliveryStatus.PENDING]
        for one in dead:
            one.cause = None
        for one in pending:
            self.end(one, DeliveryStatus.CANCELLED, reason, now_ms)
        return len(dead), len(pending)

    def _in_use(self, event: int, before_ms: int) -> bool:
        mine = [one for one in self.deliveries.values() if one.event == event]
        return any(one.open or (one.finished_ms or 0) >= before_ms for one in mine)
