"""The step of a replay on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from hooktui import failpoints
from hooktui.domain.ids import HookId
from hooktui.domain.replays import LEASE_MS
from hooktui.store.contract import ReplayStep, ReplayStepResult, StepOutcome
from hooktui.store.planning.replay import (
    ReplayDelivery,
    ReplayEvent,
    StepPlan,
    WalkProgress,
    candidate_events,
    plan_step,
    refusal,
)
from hooktui.store.postgres import sql
from hooktui.store.postgres.queue import join_lines
from hooktui.store.postgres.transaction import Operation, WriteTransaction, columns


class StepReplay(Operation[ReplayStepResult]):
    """Create the leased deliveries of a step, and move the cursor of its replay."""

    def __init__(self, step: ReplayStep) -> None:
        sizes = [candidate.size for candidate in step.candidates]
        super().__init__(3 * len(sizes) + 2, sum(sizes))
        self._step = step
        self._first: Sequence[int] = ()

    @classmethod
    async def run_all(cls, work: WriteTransaction, operations: Sequence[Self]) -> None:
        """Run the steps in the order of their hooks: those of ordered ones lock their lines.

        Events that have a first delivery are locked last and together, so in one order, too.
        """
        await super().run_all(work, sorted(operations, key=lambda operation: operation._step.hook))
        first = sorted({event for operation in operations for event in operation._first})
        if first:
            await work.raw.execute(sql.COUNT_FIRST_DELIVERY, first)

    async def run(self, work: WriteTransaction) -> ReplayStepResult:
        """Write the step if its caller owns the replay; the result says what was done."""
        step = self._step
        self._first = ()
        await work.raw.execute(sql.LOCK_REPLAY, step.replay)
        row = await work.raw.fetchrow(sql.FIND_REPLAY_PROGRESS, step.replay, step.hook)
        if row is None:
            return ReplayStepResult(StepOutcome.STOPPED)
        progress = WalkProgress.of(row)
        why = refusal(step, progress, work.live)
        if why is not None:
            return ReplayStepResult(why)
        plan = await _plan(work, step, progress)
        self._first = plan.first
        if plan.result.outcome is StepOutcome.DONE:
            await _write(work, step, plan)
            work.notes.merge(plan.notes)
            failpoints.hit("before_replay_step_commit")
        return plan.result


class EndReplayLeases(Operation[None]):
    """End the leases of the previous server in this home, so that its replays are taken at once."""

    def __init__(self, token: int) -> None:
        super().__init__()
        self._token = token

    async def run(self, work: WriteTransaction) -> None:
        """End them."""
        await work.raw.execute(sql.END_REPLAY_LEASES, work.now_ms, self._token)


async def _plan(work: WriteTransaction, step: ReplayStep, progress: WalkProgress) -> StepPlan:
    raw = work.raw
    candidates = candidate_events(step)
    events: dict[int, ReplayEvent] = {}
    newest: dict[int, ReplayDelivery] = {}
    in_line: list[int] = []
    if candidates:
        hook = work.live.view.get(step.hook)
        if hook is not None and hook.settings.ordered:
            await join_lines(work, {HookId(step.hook)})
            in_line = [row[0] for row in await raw.fetch(sql.FIND_LINE, step.hook)]
        for row in await raw.fetch(sql.FIND_REPLAY_EVENTS, candidates):
            events[row[0]] = ReplayEvent(*row)
        for row in await raw.fetch(sql.FIND_NEWEST, candidates, step.hook):
            newest[row[4]] = ReplayDelivery(*row)
    return plan_step(step, progress, events, newest, in_line, work)


async def _write(work: WriteTransaction, step: ReplayStep, plan: StepPlan) -> None:
    raw, lease, replay = work.raw, work.lease, step.replay
    if plan.leased:
        await raw.execute(sql.INSERT_REPLAYED, replay, *columns(plan.leased, 8))
    if plan.pending:
        await raw.execute(sql.INSERT_REPLAYED_IN_LINE, replay, *columns(plan.pending, 7))
    if plan.retried:
        await raw.execute(sql.LEASE_EARLY, lease.token, lease.until_ms, replay, plan.retried)
    if plan.due_now:
        await raw.execute(sql.MAKE_DUE, work.now_ms, replay, plan.due_now)
    if plan.replaced:
        await raw.execute(sql.FORGET_OLDER_CAUSES, step.hook, *columns(plan.replaced, 2))
    if plan.sent:
        work.notes.count_waiting(step.hook, plan.sent)
    await raw.execute(sql.MOVE_WALK, *plan.walk_values, replay, step.hook)
    await raw.execute(sql.RENEW_REPLAY, work.now_ms + LEASE_MS, replay)
