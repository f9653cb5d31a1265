"""The operations of results and expired leases on SQLite, each with its fence."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from operator import itemgetter

from hooktui import failpoints
from hooktui.domain.clock import DAY_MS
from hooktui.domain.deliveries import DeliveryStatus, DisabledReason
from hooktui.domain.hook_failures import RULE_MS, Breaker, FailureStreak
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.json_text import Steps
from hooktui.domain.live_hook import LiveHook
from hooktui.store.changes.alerts import decide_steps
from hooktui.store.changes.hooks import disable_hook
from hooktui.store.contract import AttemptResult
from hooktui.store.feed_items import DeliveryState
from hooktui.store.planning.record import (
    RESCUED_AT_ONCE,
    HookChange,
    RecordedHook,
    attempt_row,
    concerns_alerts,
    disable_reason,
    finished_values,
    interrupted,
    needs_failures_by_day,
    note_edit,
    note_recorded,
    note_secrets,
    state_after,
)
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.transaction import Operation, WriteTransaction
from hooktui.store.tables import ATTEMPT

_SERVER = "0"  # the only one
_RESULTS_PER_STEP = 200
"""Results that one step stores in about 2 ms."""
_HOOKS_PER_STEP = 50
_INDEX = {column.name: index for index, column in enumerate(ATTEMPT.columns)}
_PLAIN_VALUES = tuple(sql.PLAIN_ATTEMPT.values())
_plain_values = itemgetter(*(_INDEX[name] for name in sql.PLAIN_ATTEMPT))
_varying_values = itemgetter(*(_INDEX[name] for name in _INDEX if name not in sql.PLAIN_ATTEMPT))


class Record(Operation[list[bool]]):
    """Store results, each only if its fence holds."""

    def __init__(self, results: Sequence[AttemptResult]) -> None:
        super().__init__(2 * len(results), sum([len(result.exchange.body) for result in results]))
        self._results = results

    def execute(self, work: WriteTransaction) -> Steps[list[bool]]:
        """Store attempts and new states; return which are stored. Decide on alerts."""
        held = yield from _record_steps(work, self._results, work.lease.token)
        yield
        yield from _decide_alerts(work)
        failpoints.hit("before_record_commit")
        return held


class Rescue(Operation[int]):
    """Record attempts whose lease has expired as interrupted, oldest first.

    Args:
        held: deliveries of this server that are left out.
        everything: also those with a valid lease; only at the start of a server, which has locked
            the file, so that their former holder has ended.
    """

    def __init__(self, held: Collection[DeliveryId] = (), *, everything: bool = False) -> None:
        super().__init__(2 * RESCUED_AT_ONCE)
        self._held = held
        self._everything = everything

    def execute(self, work: WriteTransaction) -> Steps[int]:
        """Record them; return how many. Decide on alerts."""
        until = (1 << 62) if self._everything else work.now_ms
        held = set(self._held)
        expired = work.raw.execute(sql.FIND_LEASED, (until, RESCUED_AT_ONCE + len(held))).fetchall()
        own = work.lease.token
        rows = [row for row in expired if row[9] != own or row[0] not in held][:RESCUED_AT_ONCE]
        rescued = 0
        for token in {row[9] for row in rows}:
            lost = [interrupted(row, work.now_ms) for row in rows if row[9] == token]
            rescued += sum((yield from _record_steps(work, lost, token)))
        yield from _decide_alerts(work)
        if rescued:
            failpoints.hit("before_rescue_commit")
        return rescued


def _decide_alerts(work: WriteTransaction) -> Steps[None]:
    """Open and end the alerts of the hooks whose results were recorded."""
    batches, work.batches = work.batches, []
    yield from decide_steps(work.tx, work.notes, batches, {})


def _record_steps(
    work: WriteTransaction, results: Sequence[AttemptResult], token: int
) -> Steps[list[bool]]:
    """Store results whose claims are leased under a token; return which are stored."""
    hooks, now = work.live.view, work.now_ms
    states = [state_after(r, deleted=r.claim.hook not in hooks, now_ms=now) for r in results]
    held = yield from _finish_steps(work, results, states, token)
    recorded = [
        (result, state)
        for result, state, fence_held in zip(results, states, held, strict=True)
        if fence_held
    ]
    done = [result for result, _ in recorded]
    for start in range(0, len(done), _RESULTS_PER_STEP):
        _insert_attempts(work, done[start : start + _RESULTS_PER_STEP])
        yield
    changes = note_recorded(work.notes, recorded, work.live, now)
    for number, (hook, change) in enumerate(changes.items(), 1):
        _change_hook(work, hook, change)
        if number % _HOOKS_PER_STEP == 0:
            yield
    for secret, at_ms in note_secrets(work.notes, done, work.secrets_used):
        work.raw.execute(sql.USE_SECRET, (at_ms, secret))
    if len(done) == len(results):
        return held
    return [
        fence_held or _same_attempt(work.raw, result)
        for result, fence_held in zip(results, held, strict=True)
    ]


def _finish_steps(
    work: WriteTransaction,
    results: Sequence[AttemptResult],
    states: Sequence[DeliveryState],
    token: int,
) -> Steps[list[bool]]:
    """Store the new states of deliveries; return where the fence held.

    Delivered ones share one statement, which returns only how many of them held.
    """
    raw = work.raw
    held = [False] * len(results)
    rows: list[tuple[object, ...]] = []
    indexes: list[int] = []
    for index, (result, state) in enumerate(zip(results, states, strict=True)):
        if state.status != DeliveryStatus.DELIVERED:
            held[index] = _finish_one(work, result, state, token)
            if index % _RESULTS_PER_STEP == 0:
                yield
            continue
        claim, tries, code = result.claim, result.decision.tries, result.exchange.status_code
        values = (tries, state.finished_at, state.duration_ms, code)
        indexes.append(index)
        rows.append((*values, claim.delivery, claim.number, token))
    all_held = raw.executemany(sql.FINISH_DELIVERED, rows).rowcount == len(rows) if rows else True
    finished: set[tuple[DeliveryId, int]] = set()
    for index in indexes:
        attempt = results[index].claim.delivery, results[index].claim.number
        is_first = attempt not in finished
        held[index] = all_held or (is_first and _finished_just_now(raw, results[index]))
        finished.add(attempt)
    return held


def _finished_just_now(raw: sqlite3.Connection, result: AttemptResult) -> bool:
    """Return whether this transaction set the state: then its attempt is not stored yet."""
    claim = result.claim
    key = (claim.delivery, claim.number, result.finished_at_ms)
    return raw.execute(sql.FINISHED_JUST_NOW, key).fetchone() is not None


def _insert_attempts(work: WriteTransaction, results: Sequence[AttemptResult]) -> None:
    plain: list[tuple[object, ...]] = []
    others: list[tuple[object, ...]] = []
    for result in results:
        row = attempt_row(result, _SERVER)
        if _plain_values(row) == _PLAIN_VALUES:
            plain.append(_varying_values(row))
        else:
            others.append(row)
    work.raw.executemany(sql.INSERT_PLAIN_ATTEMPT, plain)
    work.raw.executemany(sql.INSERT_ATTEMPT, others)


def _finish_one(
    work: WriteTransaction, result: AttemptResult, state: DeliveryState, token: int
) -> bool:
    claim = result.claim
    values = finished_values(result, state, deleted=claim.hook not in work.live.view)
    cause = values[-1]  # the statement has it twice
    fence = (claim.delivery, claim.number, token)
    changed = work.raw.execute(sql.FINISH, (*values, cause, *fence))
    return changed.rowcount == 1


def _same_attempt(raw: sqlite3.Connection, result: AttemptResult) -> bool:
    """Return whether this result is stored: a commit without a known outcome is repeated."""
    claim, outcome = result.claim, result.decision.outcome.value
    traits = (result.started_at_ms, result.finished_at_ms, outcome)
    cursor = raw.execute(sql.FIND_SAME_ATTEMPT, (claim.delivery, claim.number, *traits))
    return cursor.fetchone() is not None


def _change_hook(work: WriteTransaction, hook: HookId, change: HookChange) -> None:
    raw = work.raw
    row = raw.execute(sql.FIND_STATE, (hook,)).fetchone()
    before, failing = Breaker(), FailureStreak()
    if row is not None:
        before, failing = Breaker(*row[:2]), FailureStreak(*row[2:])
    breaker, failing = change.breaker_after(before), change.failing_after(failing)
    raw.execute(
        sql.CHANGE_STATE,
        {
            "hook": hook,
            "finished": change.finished,
            "last_code": change.last_code,
            "last_error": change.last_error,
            "last_at": change.last_at,
            "success_at": change.last_success_at,
            "failed": failing.failed,
            "failing_since": failing.since_ms,
            "failures": breaker.failures,
            "breaker": breaker.stored_state,
            "breaker_until": breaker.until_ms,
        },
    )
    raw.executemany(
        sql.ADD_STATS, [(hook, bucket, *counts) for bucket, counts in change.buckets.items()]
    )
    live = work.live.view.get(hook)
    if live is None:
        return
    recorded = RecordedHook(live, change, failing, _disable(work, live, change, failing))
    note_edit(work.notes, recorded, breaker, moved=breaker.until_ms != before.until_ms)
    if concerns_alerts(recorded, work.rules, work.now_ms):
        work.batches.append(recorded)


def _disable(
    work: WriteTransaction, hook: LiveHook, change: HookChange, failing: FailureStreak
) -> DisabledReason | None:
    """Disable a hook that is gone or has failed for days; return why, if it was active."""
    now, failures = work.now_ms, None
    if needs_failures_by_day(change, failing, now):
        counted = work.raw.execute(sql.FAILED_BY_AGE, (now, DAY_MS, hook.id, now - RULE_MS))
        failures = dict(counted.fetchall())
    disabled = disable_reason(change, failures, now)
    if disabled is not None and disable_hook(work.tx(), hook, *disabled):
        return disabled[0]
    return None
