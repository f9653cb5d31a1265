"""The operations of results and expired leases on PostgreSQL, each with its fence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Self

from sqlalchemy import Connection

from hooktui import failpoints
from hooktui.domain.clock import DAY_MS
from hooktui.domain.deliveries import DeliveryStatus, DisabledReason
from hooktui.domain.hook_failures import RULE_MS, Breaker, FailureStreak
from hooktui.domain.ids import AccountId, DeliveryId, HookId
from hooktui.domain.json_text import finish
from hooktui.domain.live_hook import LiveHook
from hooktui.store.changes.alerts import decide_steps
from hooktui.store.changes.hooks import disable_hook
from hooktui.store.contract import AttemptResult
from hooktui.store.feed_items import DeliveryState
from hooktui.store.planning.record import (
    RESCUED_AT_ONCE,
    HookChange,
    RecordedHook,
    add_failures,
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
from hooktui.store.postgres import sql
from hooktui.store.postgres.pools import run_over
from hooktui.store.postgres.queue import join_lines
from hooktui.store.postgres.transaction import Operation, StateChange, WriteTransaction, columns
from hooktui.store.tables import ATTEMPT

_SENDING = DeliveryStatus.SENDING.value
_DETAIL = [column.name for column in ATTEMPT.columns].index("error_detail")

_Key = tuple[int, int]


class Record(Operation[list[bool]]):
    """Store results, each only if its fence holds."""

    def __init__(self, results: Sequence[AttemptResult]) -> None:
        super().__init__(2 * len(results), sum(len(result.exchange.body) for result in results))
        self._results = results

    @classmethod
    async def run_all(cls, work: WriteTransaction, operations: Sequence[Self]) -> None:
        """Store attempts and new states of all; return which are stored."""
        results = [result for operation in operations for result in operation._results]
        held = iter(await record(work, [(result, work.lease.token) for result in results]))
        for operation in operations:
            operation.result = [next(held) for _ in operation._results]
        failpoints.hit("before_record_commit")


class Rescue(Operation[int]):
    """Record attempts whose lease has expired as interrupted, oldest first.

    Args:
        held: deliveries of this server that are left out.
        token: those of this lease, expired or not: its holder has ended.
    """

    def __init__(self, held: Collection[DeliveryId] = (), *, token: int | None = None) -> None:
        super().__init__(2 * RESCUED_AT_ONCE)
        self._held = held
        self._token = token

    async def run(self, work: WriteTransaction) -> int:
        """Record them; return how many. Skip those that another server is rescuing."""
        if self._token is None:
            own = (work.lease.token, list(self._held))
            rows = await work.raw.fetch(sql.FIND_LEASED, work.now_ms, RESCUED_AT_ONCE, *own)
        else:
            rows = await work.raw.fetch(sql.FIND_LEASED_BY, self._token, RESCUED_AT_ONCE)
        lost = [(interrupted(row, work.now_ms), row[9]) for row in rows]
        rescued = sum(await record(work, lost))
        if rescued:
            failpoints.hit("before_rescue_commit")
        return rescued


async def record(work: WriteTransaction, leased: Sequence[tuple[AttemptResult, int]]) -> list[bool]:
    """Store results with the tokens of their leases; return which are stored."""
    first: dict[_Key, tuple[AttemptResult, DeliveryState]] = {}
    rows: list[tuple[object, ...]] = []
    hooks, now, server = work.live.view, work.now_ms, work.shared.server
    for result, token in leased:
        key = _key(result)
        if key in first:
            continue
        deleted = result.claim.hook not in hooks
        state = state_after(result, deleted=deleted, now_ms=now)
        first[key] = (result, state)
        values = finished_values(result, state, deleted=deleted)
        rows.append((*key, token, *values, *_attempt_row(result, server)))
    if not rows:
        return []
    # By number, too: a batch may hold the late result of a worker whose delivery was reassigned.
    moved = await work.raw.fetch(sql.RECORD, _SENDING, *columns(rows, len(rows[0])))
    finished = {(row[0], row[1]) for row in moved}
    done = [entry for key, entry in first.items() if key in finished]
    before = {key: entry[0] for key, entry in first.items() if key in finished}
    stored = await _stored(work, [key for key in first if key not in before])
    held = [_same(result, before, stored) for result, _ in leased]
    if done:
        results = [result for result, _ in done]
        secrets = note_secrets(work.notes, results, work.shared.secrets_used)
        if secrets:
            await work.raw.execute(sql.USE_SECRETS, *columns(secrets, 2))
        await _change_hooks(work, note_recorded(work.notes, done, work.live, work.now_ms))
        await _decide_alerts(work)
    return held


def _attempt_row(result: AttemptResult, server: str) -> tuple[object, ...]:
    row = attempt_row(result, server)
    detail = row[_DETAIL]
    if isinstance(detail, str):  # PostgreSQL's text cannot hold NUL or a lone surrogate
        text = detail.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        row = (*row[:_DETAIL], text, *row[_DETAIL + 1 :])
    return row


async def _stored(work: WriteTransaction, keys: Sequence[_Key]) -> dict[_Key, tuple[object, ...]]:
    """Return the stored attempts of results whose fence did not hold."""
    if not keys:
        return {}
    rows = await work.raw.fetch(sql.FIND_SAME_ATTEMPTS, *columns(keys, 2))
    return {(row[0], row[1]): tuple(row)[2:] for row in rows}


def _same(
    result: AttemptResult,
    before: Mapping[_Key, AttemptResult],
    stored: Mapping[_Key, tuple[object, ...]],
) -> bool:
    """Return whether this result is stored, now or by a commit whose outcome was unknown."""
    first = before.get(_key(result))
    if first is not None:
        return first is result or _traits(first) == _traits(result)
    return stored.get(_key(result)) == _traits(result)


def _traits(result: AttemptResult) -> tuple[object, ...]:
    return result.started_at_ms, result.finished_at_ms, result.decision.outcome.value


def _key(result: AttemptResult) -> _Key:
    return result.claim.delivery, result.claim.number


async def _change_hooks(work: WriteTransaction, changes: Mapping[HookId, HookChange]) -> None:
    """Change the states of hooks, read under their locks where they matter.

    The commit locks the states of all its hooks, so they are all locked here, in one order, and
    only after the locks of alerts: else two transactions would wait for each other.
    """
    view = work.live.view
    rows: Sequence[Sequence[Any]] = ()
    if any(_needs_lock(change, view.get(hook)) for hook, change in changes.items()):
        path: set[HookId] = set()
        if await _may_concern_alerts(work, changes):
            accounts = {view[hook].account for hook in changes if hook in view}
            path = await _lock_alerts(work, accounts)
        hooks = sorted({*changes, *work.notes.waiting, *path})
        rows = await work.raw.fetch(sql.LOCK_STATES, hooks)
    states = {row[0]: row for row in rows}
    for hook, change in changes.items():
        await _change_hook(work, hook, change, states.get(hook))


async def _may_concern_alerts(work: WriteTransaction, changes: Mapping[HookId, HookChange]) -> bool:
    """Return whether `concerns_alerts` may be true of a change, by what is read without locks."""
    view = work.live.view
    known = [(change, live) for hook, change in changes.items() if (live := view.get(hook))]
    if any(
        change.given_up or change.disabled is not None
        or (live.failing and change.last_success_at is not None)
        for change, live in known
    ):  # fmt: skip
        return True
    failing = {live.id: (change, live) for change, live in known if change.failures}
    rows = await work.raw.fetch(sql.FIND_STREAKS, list(failing)) if failing else ()
    for hook, since_ms, failed in rows:
        change, live = failing[hook]
        streak = change.failing_after(FailureStreak(since_ms, failed))
        recorded = RecordedHook(live, change, streak, None)
        if concerns_alerts(recorded, work.shared.rules, work.now_ms):
            return True
        if needs_failures_by_day(change, streak, work.now_ms):  # it may be disabled
            return True
    return False


async def _lock_alerts(work: WriteTransaction, accounts: Collection[AccountId]) -> set[HookId]:
    """Lock the alerts and the lines of ordered hooks that get them; return all hooks that do."""
    alert_hooks = [work.live.view[hook] for hook in work.live.alert_hooks]
    path = {hook.id: hook for hook in alert_hooks if hook.account in accounts}
    if not work.alert_accounts.issuperset(accounts):
        await work.raw.execute(sql.LOCK_ALERTS)
        await join_lines(work, {hook.id for hook in path.values() if hook.settings.ordered})
        work.alert_accounts.update(accounts)
    return set(path)


def _needs_lock(change: HookChange, live: LiveHook | None) -> bool:
    """Return whether the state of a hook is read before it changes.

    After a success as the last counted attempt earlier ones do not matter, unless an alert says
    that the hook is failing, or a delivery gave up before.
    """
    ends_well = change.last_success_at is not None and not change.failures
    return not ends_well or bool(change.given_up) or (live is not None and live.failing)


async def _change_hook(
    work: WriteTransaction, hook: HookId, change: HookChange, state: Sequence[Any] | None
) -> None:
    live = work.live.view.get(hook)
    before, failing, assumed = Breaker(), FailureStreak(), None
    if state is not None:
        before, failing = Breaker(state[1], state[2]), FailureStreak(state[3], state[4])
    elif live is not None:
        # A success ends the failures that this server knew; another server may have seen more.
        before, assumed = Breaker(until_ms=live.breaker_until_ms), (live.breaker_until_ms,)
    breaker, failing = change.breaker_after(before), change.failing_after(failing)
    work.notes.count_waiting(hook, -change.finished)
    work.states[hook] = StateChange(
        last_code=change.last_code,
        last_error=change.last_error,
        last_at=change.last_at,
        last_success_at=change.last_success_at,
        breaker=breaker,
        failing=failing,
        assumed=assumed,
    )
    work.stats += [(hook, bucket, *counts) for bucket, counts in change.buckets.items()]
    if live is None:
        return
    recorded = RecordedHook(live, change, failing, await _disable(work, live, change, failing))
    moved = not breaker.until_ms == before.until_ms == live.breaker_until_ms
    note_edit(work.notes, recorded, breaker, moved=moved)
    if concerns_alerts(recorded, work.shared.rules, work.now_ms):
        work.batches.append(recorded)


async def _decide_alerts(work: WriteTransaction) -> None:
    """Open and end the alerts of the hooks whose results were recorded."""
    batches, work.batches = work.batches, []
    if not batches:
        return
    # They are locked already, unless a hook began to fail since its state was read without a lock.
    await _lock_alerts(work, {recorded.hook.account for recorded in batches})
    waiting = dict(work.notes.waiting)  # without the deliveries of the alerts themselves
    batches.sort(key=lambda recorded: recorded.hook.id)

    def decide(conn: Connection) -> None:
        finish(decide_steps(partial(work.tx, conn), work.notes, batches, waiting))

    await run_over(work.raw, decide)


async def _disable(
    work: WriteTransaction, hook: LiveHook, change: HookChange, failing: FailureStreak
) -> DisabledReason | None:
    """Disable a hook that is gone or has failed for days; return why, if it was active."""
    now, failures = work.now_ms, None
    if needs_failures_by_day(change, failing, now):
        counted = await work.raw.fetch(sql.FAILED_BY_AGE, now, DAY_MS, hook.id, now - RULE_MS)
        # The statistics of this batch are written with the commit.
        failures = add_failures({row[0]: row[1] for row in counted}, change, now)
    disabled = disable_reason(change, failures, now)
    if disabled is None:
        return None
    await work.raw.execute(sql.LOCK_AUDIT)

    def disable(conn: Connection) -> bool:
        return disable_hook(work.tx(conn), hook, *disabled)

    return disabled[0] if await run_over(work.raw, disable) else None
