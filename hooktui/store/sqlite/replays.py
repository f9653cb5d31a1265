"""The step of a replay on SQLite."""

from __future__ import annotations

from hooktui import failpoints
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
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.transaction import Operation, WriteTransaction


class StepReplay(Operation[ReplayStepResult]):
    """Create the leased deliveries of a step, and move the cursor of its replay."""

    def __init__(self, step: ReplayStep) -> None:
        sizes = [candidate.size for candidate in step.candidates]
        super().__init__(3 * len(sizes) + 2, sum(sizes))
        self._step = step

    def execute(self, work: WriteTransaction) -> ReplayStepResult:
        """Write the step if its caller owns the replay; the result says what was done."""
        step = self._step
        row = work.raw.execute(sql.FIND_REPLAY_PROGRESS, (step.replay, step.hook)).fetchone()
        if row is None:
            return ReplayStepResult(StepOutcome.STOPPED)
        progress = WalkProgress.of(row)
        why = refusal(step, progress, work.live)
        if why is not None:
            return ReplayStepResult(why)
        plan = _plan(work, step, progress)
        if plan.result.outcome is StepOutcome.DONE:
            _write(work, step, plan)
            work.notes.merge(plan.notes)
            failpoints.hit("before_replay_step_commit")
        return plan.result


class EndReplayLeases(Operation[None]):
    """End the leases of the previous server, so that its replays are taken at once."""

    def execute(self, work: WriteTransaction) -> None:
        """End them."""
        work.raw.execute(sql.END_REPLAY_LEASES, (work.now_ms, work.now_ms))


def _plan(work: WriteTransaction, step: ReplayStep, progress: WalkProgress) -> StepPlan:
    raw = work.raw
    events: dict[int, ReplayEvent] = {}
    newest: dict[int, ReplayDelivery] = {}
    for event in candidate_events(step):
        row = raw.execute(sql.FIND_REPLAY_EVENT, (event,)).fetchone()
        if row is not None:
            events[event] = ReplayEvent(*row)
        delivery = raw.execute(sql.FIND_NEWEST, (event, step.hook)).fetchone()
        if delivery is not None:
            newest[event] = ReplayDelivery(*delivery)
    hook = work.live.view.get(step.hook)
    in_line: list[int] = []
    if hook is not None and hook.settings.ordered:
        in_line = [row[0] for row in raw.execute(sql.FIND_LINE, (step.hook,))]
    return plan_step(step, progress, events, newest, in_line, work)


def _write(work: WriteTransaction, step: ReplayStep, plan: StepPlan) -> None:
    raw, lease = work.raw, work.lease
    raw.executemany(sql.INSERT_REPLAYED, [(*row, step.replay) for row in plan.leased])
    raw.executemany(sql.INSERT_REPLAYED_IN_LINE, [(*row, step.replay) for row in plan.pending])
    raw.executemany(
        sql.LEASE_EARLY,
        [(lease.token, lease.until_ms, step.replay, delivery) for delivery in plan.retried],
    )
    raw.executemany(
        sql.MAKE_DUE, [(work.now_ms, step.replay, delivery) for delivery in plan.due_now]
    )
    raw.executemany(
        sql.FORGET_OLDER_CAUSES, [(event, step.hook, new) for event, new in plan.replaced]
    )
    raw.executemany(sql.COUNT_FIRST_DELIVERY, [(event,) for event in plan.first])
    if plan.sent:
        raw.execute(sql.ADD_WAITING, (plan.sent, step.hook))
    raw.execute(sql.MOVE_WALK, (*plan.walk_values, step.replay, step.hook))
    raw.execute(sql.RENEW_REPLAY, (work.now_ms + LEASE_MS, step.replay))
