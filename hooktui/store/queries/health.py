"""The health of a hook over time: attempts from statistics, the backlog from deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, func, select

from hooktui.domain.clock import HOUR_MS, optional_rfc3339, to_rfc3339
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.ids import AccountId, HookId
from hooktui.domain.wire.hooks import HealthPoint, HookHealth, TypeCount
from hooktui.store.attempt_stats import COUNTS, percentile_ms
from hooktui.store.queries.hooks import hook_columns, waiting_of
from hooktui.store.tables import DELIVERY, HOOK, HOOK_STATS

MAX_COUNTED: Final = 50_000
"""Maximum number of deliveries in one query, which bounds it to about 0.1 s."""

_STEPS_MIN: Final = (5, 10, 15, 30, 60, 120, 180, 360)
"""All of them multiples of the five minutes in which attempts are counted."""

_MAX_POINTS: Final = 168
"""No terminal shows more; a week has as many hours."""


def step_s(hours: int) -> int:
    """Return the length of a step in seconds: the shortest with at most `_MAX_POINTS` of them."""
    enough = (step for step in _STEPS_MIN if hours * 60 / step <= _MAX_POINTS)
    return next(enough, _STEPS_MIN[-1]) * 60


@dataclass(slots=True)
class _Counted:
    """Counts of the newest deliveries, by the step in which they were created or ended."""

    created: Counter[int] = field(default_factory=Counter)
    finished: Counter[int] = field(default_factory=Counter)
    types: dict[str, Counter[str]] = field(default_factory=dict)
    since_ms: int | None = None


def hook_health(
    conn: Connection, account: AccountId | None, hook: HookId, hours: int, at_ms: int
) -> HookHealth:
    """Return a hook's health in the hours before a time.

    Raises:
        NotFound: there is no such hook in the account, or (None) in any.
    """
    hook_columns(conn, account, hook, HOOK.c.id)  # there is one
    step_ms = step_s(hours) * 1000
    last = at_ms // step_ms  # it contains the time
    steps = range(last - hours * HOUR_MS // step_ms + 1, last + 1)
    attempts = _attempts(conn, hook, steps[0], step_ms)
    counted = _deliveries(conn, hook, steps[0], step_ms)
    backlog = _backlog(steps, step_ms, counted, waiting_of(conn, hook))
    return HookHealth(
        hook=hook,
        since=to_rfc3339(steps[0] * step_ms),
        until=to_rfc3339(at_ms),
        step_s=step_ms // 1000,
        points=tuple(_point(step, step_ms, attempts.get(step), backlog[step]) for step in steps),
        types=tuple(_type_count(name, counted.types[name]) for name in sorted(counted.types)),
        counted_since=optional_rfc3339(counted.since_ms),
    )


def _attempts(
    conn: Connection, hook: HookId, first: int, step_ms: int
) -> Mapping[int, Sequence[int]]:
    """Return delivered, failed, and the histogram, by step."""
    step = (HOOK_STATS.c.bucket // step_ms).label("step")
    sums = [func.sum(HOOK_STATS.c[name]) for name in COUNTS]
    rows = (
        select(step, *sums)
        .where(HOOK_STATS.c.hook_id == hook, HOOK_STATS.c.bucket >= first * step_ms)
        .group_by(step)
    )
    return {at: [int(count) for count in counts] for at, *counts in conn.execute(rows)}


def _deliveries(conn: Connection, hook: HookId, first: int, step_ms: int) -> _Counted:
    """Count the newest deliveries by creation and end, by type and by status."""
    newest = (
        select(
            DELIVERY.c.created_at, DELIVERY.c.finished_at, DELIVERY.c.event_type, DELIVERY.c.status
        )
        .where(DELIVERY.c.hook_id == hook)
        .order_by(DELIVERY.c.id.desc())
        .limit(MAX_COUNTED)
        .subquery()
    )
    groups = (
        (newest.c.created_at // step_ms).label("created"),
        (newest.c.finished_at // step_ms).label("finished"),
        newest.c.event_type,
        newest.c.status,
    )
    rows = select(
        *groups, func.count().label("rows"), func.min(newest.c.created_at).label("oldest")
    )
    counted, seen, oldest = _Counted(), 0, None
    for row in conn.execute(rows.group_by(*groups)):
        seen += row.rows
        oldest = row.oldest if oldest is None else min(oldest, row.oldest)
        counted.created[row.created] += row.rows
        if row.finished is not None:
            counted.finished[row.finished] += row.rows
        if row.created >= first:
            counted.types.setdefault(row.event_type, Counter())[row.status] += row.rows
    if seen >= MAX_COUNTED:
        counted.since_ms = oldest
    return counted


def _backlog(steps: range, step_ms: int, counted: _Counted, waiting: int) -> dict[int, int | None]:
    """Derive past backlogs from the current one, minus later arrivals plus later ends."""
    backlog: dict[int, int | None] = {}
    for step in reversed(steps):
        known = counted.since_ms is None or (step + 1) * step_ms > counted.since_ms
        # The clocks of servers differ a little, so a delivery may have ended before it was created.
        backlog[step] = max(waiting, 0) if known else None
        waiting += counted.finished[step] - counted.created[step]
    return backlog


def _point(
    step: int, step_ms: int, counts: Sequence[int] | None, backlog: int | None
) -> HealthPoint:
    delivered, failed, *histogram = counts or (0, 0)
    return HealthPoint(
        at=to_rfc3339(step * step_ms),
        delivered=delivered,
        failed=failed,
        p50_ms=percentile_ms(histogram, 0.5) if counts else None,
        p95_ms=percentile_ms(histogram, 0.95) if counts else None,
        backlog=backlog,
    )


def _type_count(name: str, by_status: Counter[str]) -> TypeCount:
    return TypeCount(
        type=name,
        deliveries=by_status.total(),
        delivered=by_status[DeliveryStatus.DELIVERED],
        failed=by_status[DeliveryStatus.FAILED],
        waiting=by_status[DeliveryStatus.PENDING] + by_status[DeliveryStatus.SENDING],
    )
