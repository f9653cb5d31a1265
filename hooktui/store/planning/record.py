"""Plans the recording of results for both databases: states, attempts, counters; without I/O."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from hooktui.domain.alerts import AlertRules, HookBatch, is_failing, is_operator_event
from hooktui.domain.catalogue import PING
from hooktui.domain.clock import DAY_MS
from hooktui.domain.deliveries import (
    DeliveryStatus,
    DisabledReason,
    ErrorClass,
    Exchange,
    Outcome,
    after_interruption,
)
from hooktui.domain.failure_causes import cause_of, complete_status
from hooktui.domain.hook_failures import (
    CLOSED,
    RULE_MS,
    Breaker,
    FailureStreak,
    after_attempt,
    spread_across_days,
)
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.replays import HOOK_DELETED
from hooktui.domain.schedule import INTERRUPTIONS_BEFORE_WAIT
from hooktui.store.attempt_stats import BOUNDS_MS, bucket_of, column_of
from hooktui.store.contract import LEASE_S, AttemptResult
from hooktui.store.feed_items import DeliveryState, HookEdit, attempt_item, delivery_item, hook_item
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.claim import claimed_delivery
from hooktui.store.tx import SideEffects

RESCUED_AT_ONCE = 250
"""Expired leases that one transaction records as interrupted."""
SECRET_NOTED_EVERY_MS = 60_000
SAME_CAUSE = ""
"""In place of a cause: the delivery keeps the one that it has."""

_encode = msgspec.json.Encoder().encode


def state_after(result: AttemptResult, *, deleted: bool, now_ms: int) -> DeliveryState:
    """Return the state of a delivery after an attempt; a deleted hook is not retried.

    The wait begins with the transaction that stores it, by the store's clock: the end of the
    attempt was read from another clock, which may have been set since.
    """
    decision, number = result.decision, result.claim.number
    duration_ms = None if result.exchange.total_ms is None else round(result.exchange.total_ms)
    status, reason, finished_at = decision.status, decision.reason, result.finished_at_ms
    if status is DeliveryStatus.PENDING and not deleted:
        next_at = now_ms + round((decision.wait_s or 0) * 1000)
        return DeliveryState(status.value, number, next_at, None, duration_ms, reason)
    if status is DeliveryStatus.PENDING:
        status, reason = DeliveryStatus.CANCELLED, HOOK_DELETED
    return DeliveryState(status.value, number, None, finished_at, duration_ms, reason)


def cause_after(result: AttemptResult, *, deleted: bool) -> str | None:
    """Return the cause of a delivery after an attempt: a name, `SAME_CAUSE`, or None for none.

    Interrupted attempts say nothing about the receiver until `INTERRUPTIONS_BEFORE_WAIT` of them
    came in a row. A ping has no cause: replays send no pings.
    """
    if result.exchange.error is None or deleted or result.claim.event_type == PING:
        return None
    if result.decision.outcome is not Outcome.INTERRUPTED:
        return cause_of(result.exchange.error, result.exchange.status_code)
    if result.decision.interruptions < INTERRUPTIONS_BEFORE_WAIT:
        return SAME_CAUSE
    return ErrorClass.INTERRUPTED.value


def finished_values(
    result: AttemptResult, state: DeliveryState, *, deleted: bool
) -> tuple[object, ...]:
    """Return the columns of a delivery that an attempt sets, in the order of both databases."""
    decision, exchange = result.decision, result.exchange
    error = None if exchange.error is None else exchange.error.value
    return (
        state.status, decision.tries, decision.interruptions, state.next_attempt_at,
        state.finished_at, state.duration_ms, exchange.status_code, error, state.reason,
        cause_after(result, deleted=deleted),
    )  # fmt: skip


def interrupted(row: Sequence[Any], now_ms: int) -> AttemptResult:
    """Return the result of an attempt whose lease has expired; it started with the lease.

    ``row`` has the columns of `claimed_delivery`, then the lease's token and its end.
    """
    claim = claimed_delivery(row, row[6], None)
    return AttemptResult(
        claim=claim,
        decision=after_interruption(claim.retry_state),
        exchange=Exchange(
            error=ErrorClass.INTERRUPTED,
            error_detail="the server ended or lost its lease before the result was stored",
        ),
        started_at_ms=row[10] - LEASE_S * 1000,
        finished_at_ms=now_ms,
    )


def attempt_row(result: AttemptResult, server: str) -> tuple[object, ...]:
    """Return an attempt's row in the order of the table's columns."""
    exchange = result.exchange
    responded = exchange.status_code is not None
    return (
        result.claim.delivery, result.claim.number, result.started_at_ms, result.finished_at_ms,
        result.decision.outcome.value, exchange.status_code,
        None if exchange.error is None else exchange.error.value, exchange.error_detail,
        exchange.dns_ms, exchange.connect_ms, exchange.tls_ms, exchange.first_byte_ms,
        exchange.total_ms, exchange.reused_connection, exchange.address, result.retry_after_s,
        server, _encode(result.secret_ids).decode(), exchange.truncated, exchange.size,
        _encode(exchange.headers).decode() if responded else None,
        exchange.body if responded else None,
    )  # fmt: skip


@dataclass(slots=True)
class HookChange:
    """The change of one hook's counters by a batch; times in ms since the epoch.

    ``finished`` counts deliveries that are final now. ``last_code``, ``last_error`` and ``last_at``
    are those of the latest attempt. ``disabled`` is the reason and the time of the first result
    that disables the hook. ``buckets`` has, by the start of each five minutes, the numbers of
    delivered and failed attempts, then the histogram of their durations.

    ``failures`` are those after the last success of the batch, in the order of their ends,
    ``last_failure`` is the last of the batch, ``given_up`` are all that were the last of their
    delivery. Pings and interrupted attempts affect neither these nor the statistics.
    """

    finished: int = 0
    last_code: int | None = None
    last_error: str | None = None
    last_at: int = 0
    last_success_at: int | None = None
    failures: list[AttemptResult] = field(default_factory=list)
    last_failure: AttemptResult | None = None
    given_up: list[AttemptResult] = field(default_factory=list)
    disabled: tuple[DisabledReason, int] | None = None
    buckets: dict[int, list[int]] = field(default_factory=dict)

    @property
    def gave_up(self) -> bool:
        """Whether one of the failures was the last of its delivery."""
        return any(result.decision.status is DeliveryStatus.FAILED for result in self.failures)

    def breaker_after(self, breaker: Breaker) -> Breaker:
        """Return the hook's breaker after the batch: a success closes it."""
        if self.last_success_at is not None:
            breaker = CLOSED
        for result in self.failures:
            if result.concerns_breaker:
                breaker = after_attempt(
                    breaker, result.exchange, result.started_at_ms, result.finished_at_ms
                )
        return breaker

    def failing_after(self, failing: FailureStreak) -> FailureStreak:
        """Return the hook's failures since its last success, after the batch."""
        first_ms = self.failures[0].started_at_ms if self.failures else None
        if self.last_success_at is not None:
            return FailureStreak(first_ms, len(self.failures))
        known = [ms for ms in (failing.since_ms, first_ms) if ms is not None]
        since_ms = min(known, default=None)  # the clock may have been set back in between
        return FailureStreak(since_ms, failing.failed + len(self.failures))


def _sum_up(change: HookChange, result: AttemptResult, *, ended: bool, elsewhere: bool) -> None:
    """Add a result to the change of its hook.

    ``ended``: the delivery is final. ``elsewhere``: the attempt was sent to an earlier URL.
    """
    change.finished += ended
    disable = result.decision.disable
    if disable is not None and change.disabled is None and not elsewhere:
        change.disabled = disable, result.finished_at_ms
    if result.decision.outcome is Outcome.INTERRUPTED:
        return
    exchange = result.exchange
    if result.finished_at_ms >= change.last_at:
        change.last_code = exchange.status_code
        change.last_error = None if exchange.error is None else exchange.error.value
        change.last_at = result.finished_at_ms
    if result.claim.event_type == PING:
        return
    delivered = result.decision.outcome is Outcome.DELIVERED
    if delivered and not elsewhere:
        change.last_success_at = max(result.finished_at_ms, change.last_success_at or 0)
        change.failures = []
    elif not delivered:
        if result.decision.status is DeliveryStatus.FAILED:
            change.given_up.append(result)
        if not elsewhere:
            change.failures.append(result)
            change.last_failure = result
    bucket = bucket_of(result.finished_at_ms)
    counts = change.buckets.get(bucket)
    if counts is None:
        counts = change.buckets[bucket] = [0] * (2 + len(BOUNDS_MS))
    counts[0 if delivered else 1] += 1
    if result.exchange.total_ms is not None:
        counts[2 + column_of(result.exchange.total_ms)] += 1


def note_recorded(
    notes: SideEffects,
    recorded: Sequence[tuple[AttemptResult, DeliveryState]],
    live: LiveHooks,
    now_ms: int,
) -> dict[HookId, HookChange]:
    """Add recorded attempts to the change feed, mark hooks due; return the changes per hook."""
    changes: dict[HookId, HookChange] = {}
    for result, state in recorded:
        claim = result.claim
        hook = live.view.get(claim.hook)
        if state.next_attempt_at is not None:
            notes.mark_due(claim.hook, state.next_attempt_at)
        elif hook is not None and hook.settings.ordered:
            # The next delivery of an ordered hook can be claimed only from this commit on.
            notes.mark_due(claim.hook, now_ms)
        notes.feed.append(
            attempt_item(claim.account, claim.hook, claim.delivery, claim.number, state)
        )
        notes.feed.append(delivery_item(claim.account, claim.hook, claim.delivery, state))
        change = changes.get(claim.hook)
        if change is None:
            change = changes[claim.hook] = HookChange()
        elsewhere = hook is not None and result.url not in (None, hook.settings.url)
        _sum_up(change, result, ended=state.next_attempt_at is None, elsewhere=elsewhere)
    return changes


def note_secrets(
    notes: SideEffects, results: Iterable[AttemptResult], stored: dict[int, int]
) -> list[tuple[int, int]]:
    """Note the secrets whose last use must be stored now; return them with the time (ms), in order.

    Args:
        notes: of the transaction, which hold what it noted before.
        results: attempts that they signed.
        stored: the stored last use of each. It is stored once a minute: one more row in each batch
            would cost too much.
    """
    noted = ChainMap(notes.secrets_used, stored)
    used: dict[int, int] = {}
    for result in results:
        for secret in result.secret_ids:
            used[secret] = max(result.started_at_ms, used.get(secret, 0))
    rows = sorted(
        (secret, at_ms)
        for secret, at_ms in used.items()
        if at_ms - noted.get(secret, 0) >= SECRET_NOTED_EVERY_MS
    )
    notes.secrets_used.update(rows)
    return rows


def needs_failures_by_day(change: HookChange, failing: FailureStreak, now_ms: int) -> bool:
    """Return whether the 5-day rule may disable a hook, so that its failures by day are needed."""
    return change.disabled is None and bool(change.failures) and failing.long_enough(now_ms)


def disable_reason(
    change: HookChange, failures_by_day: Mapping[int, int] | None, now_ms: int
) -> tuple[DisabledReason, int] | None:
    """Return why and as of when (ms) a batch disables a hook; None: it does not.

    ``failures_by_day`` are failed attempts by age in days if `needs_failures_by_day`.
    """
    if change.disabled is not None:
        return change.disabled
    if failures_by_day is not None and spread_across_days(failures_by_day):
        return DisabledReason.FAILING, now_ms
    return None


class RecordedHook(NamedTuple):
    """A hook after a batch: its change, its failures, and why the batch disabled it, if it did."""

    hook: LiveHook
    change: HookChange
    failing: FailureStreak
    disabled: DisabledReason | None


def note_edit(notes: SideEffects, recorded: RecordedHook, breaker: Breaker, *, moved: bool) -> None:
    """Put a hook that a batch disabled, or whose breaker it moved, into the change feed."""
    hook, disabled = recorded.hook, recorded.disabled
    if disabled is not None:
        edit = HookEdit.DISABLED
    elif moved:
        edit = HookEdit.BREAKER_CLOSED if breaker.until_ms is None else HookEdit.BREAKER_OPENED
    else:
        return
    notes.hooks_changed.add(hook.id)
    notes.feed.append(hook_item(hook.account, hook.id, edit, disabled))


def concerns_alerts(recorded: RecordedHook, rules: AlertRules, now_ms: int) -> bool:
    """Return whether a batch may open or end alerts of a hook; a usual success does not."""
    hook, change, failing, disabled = recorded
    if disabled is not None or change.given_up:
        return True
    if hook.failing:
        return change.last_success_at is not None
    return bool(change.failures) and is_failing(
        failing, gave_up=change.gave_up, rules=rules, now_ms=now_ms
    )


def dead_letters_of(change: HookChange) -> list[DeliveryId]:
    """Return the deliveries that gave up in a batch; each opens an alert if it has a cause."""
    return [
        result.claim.delivery
        for result in change.given_up
        if not is_operator_event(result.claim.event_type)
    ]


def alert_batch(recorded: RecordedHook, causes: Iterable[str], waiting_change: int) -> HookBatch:
    """Return a batch as the rules of alerts see it.

    Args:
        recorded: the hook after the batch.
        causes: the stored cause of each of `dead_letters_of` that has one.
        waiting_change: of its number of waiting deliveries, if that is not written yet.
    """
    _, change, failing, disabled = recorded
    last = None if change.last_failure is None else change.last_failure.exchange
    return HookBatch(
        streak=failing,
        delivered=change.last_success_at is not None,
        gave_up=change.gave_up,
        dead_letters=Counter(causes),
        disabled=disabled,
        cause=None if last is None else cause_of(last.error, last.status_code),
        code=None if last is None else complete_status(last.error, last.status_code),
        waiting_change=waiting_change,
    )


def add_failures(
    failures_by_day: Mapping[int, int], change: HookChange, now_ms: int
) -> dict[int, int]:
    """Return failures by day including those of a batch whose statistics are not written yet."""
    total = dict(failures_by_day)
    for bucket, counts in change.buckets.items():
        if bucket > now_ms - RULE_MS:
            day = (now_ms - bucket) // DAY_MS
            total[day] = total.get(day, 0) + counts[1]
    return total
