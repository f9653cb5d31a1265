"""Plans one step of a replay: its new deliveries, early retries, skips and cursor.

Without I/O, for both databases. It draws ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from hooktui.domain.deliveries import DeliveryStatus, Trigger
from hooktui.domain.ids import AccountId, DeliveryId, EventId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import (
    HOOK_DELETED,
    MAX_REACHED,
    Act,
    Newest,
    ReplaySkip,
    ReplayState,
    WalkState,
    after_filters,
    assess_pair,
)
from hooktui.store.contract import (
    ClaimedDelivery,
    ReplayCandidate,
    ReplayStep,
    ReplayStepResult,
    StepOutcome,
)
from hooktui.store.feed_items import DeliveryState, delivery_item, replay_item
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import Planning
from hooktui.store.planning.claim import may_claim, note_claimed
from hooktui.store.tx import SideEffects


class WalkProgress(NamedTuple):
    """The state of a replay and of its walk at one hook, as stored.

    ``handled`` are the deliveries that it sent or retried at all hooks.
    """

    account: AccountId
    state: str
    owner_token: int | None
    max_deliveries: int | None
    walk_state: str
    cursor: int
    skipped: Mapping[str, int]
    handled: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> WalkProgress:
        """Return the progress in a row, in which the skipped pairs are JSON."""
        account, state, token, most, walk_state, cursor, skipped, handled = row
        counts = msgspec.json.decode(skipped, type=dict[str, int])
        return cls(account, state, token, most, walk_state, cursor, counts, handled)


class ReplayEvent(NamedTuple):
    """The event of a pair; ``body`` is None once purged."""

    id: EventId
    type: str
    deliveries: int
    body: bytes | None


class ReplayDelivery(Newest, frozen=True, gc=False):
    """The newest delivery of a pair, with what its next attempt needs."""

    event: int
    trigger: str
    attempts: int
    tries: int
    interruptions: int

    @property
    def state(self) -> tuple[int, str, str | None]:
        """What may have changed since it became a candidate."""
        return self.attempts, self.status, self.cause


@dataclass(slots=True)
class StepPlan:
    """The rows that a step writes, and its result.

    ``leased`` and ``pending`` deliveries are (id, account, hook, event, type, created, token,
    until) and (id, account, hook, event, type, created, due). ``retried`` are leased again under
    ``lease``, or become due now at an ordered hook. ``replaced`` are the pairs whose older
    deliveries lose their cause: (event, id of the new one). ``first`` are events that had no
    delivery.
    """

    result: ReplayStepResult
    leased: list[tuple[int, int, int, int, str, int, int, int]] = field(default_factory=list)
    pending: list[tuple[int, int, int, int, str, int, int]] = field(default_factory=list)
    retried: list[int] = field(default_factory=list)
    due_now: list[int] = field(default_factory=list)
    replaced: list[tuple[int, int]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    skipped: Mapping[str, int] = field(default_factory=dict)
    walk_state: str = WalkState.WALKING.value
    reason: str | None = None
    notes: SideEffects = field(default_factory=SideEffects)

    @property
    def sent(self) -> int:
        """The number of new deliveries."""
        return len(self.leased) + len(self.pending)

    @property
    def tried_now(self) -> int:
        """The number of early retries."""
        return len(self.retried) + len(self.due_now)

    @property
    def handled(self) -> int:
        """The number of deliveries that it sends or retries."""
        return self.sent + self.tried_now

    @property
    def in_line(self) -> DeliveryId | None:
        """The delivery of an ordered hook that it makes due: one at a time."""
        due = [row[0] for row in self.pending] + self.due_now
        return DeliveryId(due[0]) if due else None

    @property
    def walk_values(self) -> tuple[object, ...]:
        """The new state of the walk: state, reason, cursor, sent, tried, skipped pairs as JSON."""
        skipped = msgspec.json.encode(self.skipped).decode()
        return (
            self.walk_state, self.reason, self.result.cursor, self.sent, self.tried_now, skipped,
        )  # fmt: skip


def refusal(step: ReplayStep, progress: WalkProgress, live: LiveHooks) -> StepOutcome | None:
    """Return why a step cannot be done; None: it can.

    Its caller must own the running replay and have read its present cursor.
    """
    if (
        progress.state != ReplayState.RUNNING
        or progress.owner_token != step.token
        or progress.walk_state != WalkState.WALKING
        or progress.cursor != step.cursor
    ):
        return StepOutcome.STOPPED
    hook = live.view.get(step.hook)
    if hook is None:
        return None  # the hook is done
    if step.candidates and may_claim(live, step.hook) is None:
        return StepOutcome.WAITS
    if step.selection.mode.walks_events and step.candidates and hook.version != step.version:
        return StepOutcome.OUTDATED
    if len(step.candidates) > step.places and not hook.settings.ordered:
        return StepOutcome.OUTDATED  # it was ordered: no place is reserved for what would be leased
    return None


def plan_step(
    step: ReplayStep,
    progress: WalkProgress,
    events: Mapping[int, ReplayEvent],
    newest: Mapping[int, ReplayDelivery],
    in_line: Sequence[int],
    work: Planning,
) -> StepPlan:
    """Plan a step that has no `refusal`.

    ``events`` are those of the candidates that still exist, by id; ``newest`` the newest deliveries
    of the candidates' pairs, by event; ``in_line`` the first two deliveries of an ordered hook that
    wait or are being sent.
    """
    hook = work.live.view.get(step.hook)
    if hook is None:
        return _end_at_deleted_hook(step, progress)
    if step.selection.filter is not None and _changed(step, newest):
        return StepPlan(ReplayStepResult(StepOutcome.OUTDATED))
    plan = StepPlan(ReplayStepResult(StepOutcome.DONE))
    writer = _Writer(plan, progress.account, hook, work)
    room = None if progress.max_deliveries is None else progress.max_deliveries - progress.handled
    cursor, skipped = progress.cursor, Counter(progress.skipped)
    claims: list[ClaimedDelivery] = []
    ordered = hook.settings.ordered
    passed = 0
    for candidate in step.candidates:
        if room is not None and plan.handled >= room:
            break
        act = _assess(step, candidate, hook, events, newest)
        if isinstance(act, Act) and ordered:
            own = newest[candidate.event].id if act is Act.RETRY else None
            if plan.handled or any(delivery != own for delivery in in_line):
                break  # one at a time, behind everything else
        skipped.update(candidate.skipped)
        cursor = candidate.cursor
        if isinstance(act, ReplaySkip):
            skipped[act] += 1
        elif act is not None:
            claim = writer.write(act, events[candidate.event], newest.get(candidate.event))
            if claim is not None:
                claims.append(claim)
        passed += 1
    passed_all = passed == len(step.candidates)
    used_up = room is not None and plan.handled >= room and not passed_all
    if passed_all:
        cursor = max(step.end, cursor)
        skipped.update(step.skipped)
    elif not used_up and cursor == progress.cursor:
        return StepPlan(ReplayStepResult(StepOutcome.WAITS))
    walked = used_up or (passed_all and step.complete)
    plan.skipped = skipped
    plan.walk_state = WalkState.DONE.value if walked else WalkState.WALKING.value
    plan.reason = MAX_REACHED if used_up else None
    plan.result = ReplayStepResult(StepOutcome.DONE, claims, cursor, walked, used_up, plan.in_line)
    note_claimed(plan.notes, claims)
    _note_replay(plan, step, progress, always=walked)
    return plan


def _end_at_deleted_hook(step: ReplayStep, progress: WalkProgress) -> StepPlan:
    plan = StepPlan(ReplayStepResult(StepOutcome.DONE, cursor=progress.cursor, walked=True))
    plan.walk_state, plan.reason = WalkState.DONE.value, HOOK_DELETED
    plan.skipped = progress.skipped
    _note_replay(plan, step, progress, always=True)
    return plan


def _changed(step: ReplayStep, newest: Mapping[int, ReplayDelivery]) -> bool:
    """Return whether a delivery was sent, given up or cancelled since the filter was matched."""
    for candidate in step.candidates:
        delivery = newest.get(candidate.event)
        if delivery is not None and delivery.state != candidate.state:
            return True
    return False


def _assess(
    step: ReplayStep,
    candidate: ReplayCandidate,
    hook: LiveHook,
    events: Mapping[int, ReplayEvent],
    newest: Mapping[int, ReplayDelivery],
) -> Act | ReplaySkip | None:
    event = events.get(candidate.event)
    if event is None:
        return ReplaySkip.PURGED
    verdict = assess_pair(
        step.selection,
        newest.get(candidate.event),
        candidate=candidate.delivery,
        replay=step.replay,
        bound=step.replay,
    )
    return after_filters(
        verdict, step.selection, fits=True, purged=event.body is None,
        ordered=hook.settings.ordered,
    )  # fmt: skip


@dataclass(slots=True)
class _Writer:
    """Adds the deliveries of pairs to a plan."""

    plan: StepPlan
    account: AccountId
    hook: LiveHook
    work: Planning

    def write(
        self, act: Act, event: ReplayEvent, newest: ReplayDelivery | None
    ) -> ClaimedDelivery | None:
        """Add the delivery of a pair; return its claim unless it waits in line."""
        if act is Act.RETRY and newest is not None:
            return self._retry(event, newest)
        now_ms, lease = self.work.now_ms, self.work.lease
        delivery = DeliveryId(self.work.ids.next(now_ms))
        row = (delivery, self.account, self.hook.id, event.id, event.type, now_ms)
        self.plan.replaced.append((event.id, delivery))
        if not event.deliveries:
            self.plan.first.append(event.id)
        if self.hook.settings.ordered:
            self.plan.pending.append((*row, now_ms))
            self._wait_in_line(delivery, 0)
            return None
        self.plan.leased.append((*row, lease.token, lease.until_ms))
        return ClaimedDelivery(
            delivery, event.id, event.type, self.hook.id, self.account, Trigger.REPLAY,
            1, 0, 0, event.body or b"",
        )  # fmt: skip

    def _retry(self, event: ReplayEvent, newest: ReplayDelivery) -> ClaimedDelivery | None:
        delivery = DeliveryId(newest.id)
        if self.hook.settings.ordered:
            self.plan.due_now.append(delivery)
            self._wait_in_line(delivery, newest.attempts)
            return None
        self.plan.retried.append(delivery)
        return ClaimedDelivery(
            delivery, event.id, event.type, self.hook.id, self.account,
            Trigger(newest.trigger), newest.attempts + 1, newest.tries, newest.interruptions,
            event.body or b"",
        )  # fmt: skip

    def _wait_in_line(self, delivery: DeliveryId, attempts: int) -> None:
        state = DeliveryState(DeliveryStatus.PENDING.value, attempts, self.work.now_ms)
        notes = self.plan.notes
        notes.feed.append(delivery_item(self.account, self.hook.id, delivery, state))
        notes.mark_due(self.hook.id, self.work.now_ms)


def _note_replay(plan: StepPlan, step: ReplayStep, progress: WalkProgress, *, always: bool) -> None:
    if step.show or always:
        plan.notes.feed.append(replay_item(progress.account, step.replay))


def candidate_events(step: ReplayStep) -> Sequence[int]:
    """Return the events of a step's candidates, in the order in which they are locked."""
    return sorted({candidate.event for candidate in step.candidates})
