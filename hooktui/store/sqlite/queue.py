"""The operations of deliveries on SQLite: accept, claim, ping, release."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from hooktui import failpoints
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.ids import AccountId, EventId, HookId
from hooktui.domain.json_text import Steps
from hooktui.store.contract import Acceptance, ClaimedDelivery, NewEvent, Reserve
from hooktui.store.planning.accept import KEY_KEPT_MS, KnownKey, Plan, plan_accept
from hooktui.store.planning.claim import (
    PingPlan,
    claimed_delivery,
    may_claim,
    note_claimed,
    note_released,
    plan_ping,
    state_after_release,
)
from hooktui.store.planning.matching import Matches
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.transaction import Operation, WriteTransaction

PAGE_BYTES = 4096
_KEYS_PER_STEP = 100
"""Keys that one step looks up in about 1 ms."""
_ROWS_PER_STEP, _EVENTS_PER_STEP = 200, 4
"""Rows that one step writes in about 1 ms; the body of an event may have 256 KiB."""
_SMALL_BYTES = 512 * 1024  # bodies of a transaction that are written like other rows


class Accept(Operation[tuple[list[Acceptance], list[ClaimedDelivery]]]):
    """Store events with their deliveries and idempotency keys."""

    order = 0

    def __init__(
        self, events: Sequence[NewEvent], reserve: Reserve | None, matches: Matches
    ) -> None:
        sizes = [len(event.body) for event in events]
        super().__init__(2 * len(events), sum(sizes))
        self.long_bytes = sum([size for size in sizes if size > PAGE_BYTES])
        self._events = events
        self._reserve = reserve
        self._matches = matches
        self._known: dict[tuple[AccountId, str], KnownKey] = {}
        self._plan: Plan  # set by `plan`

    def load(self, work: WriteTransaction) -> Steps[None] | None:
        """Look up the idempotency keys."""
        keyed = [event for event in self._events if event.key is not None]
        return self._find_keys(work, keyed) if keyed else None

    def _find_keys(self, work: WriteTransaction, keyed: Sequence[NewEvent]) -> Steps[None]:
        oldest = work.now_ms - KEY_KEPT_MS
        for number, event in enumerate(keyed, 1):
            row = work.raw.execute(sql.FIND_KEY, (event.account, event.key, oldest)).fetchone()
            if row is not None:
                self._known[event.account, str(event.key)] = KnownKey(EventId(row[0]), *row[1:])
            if number % _KEYS_PER_STEP == 0:
                yield

    def plan(self, work: WriteTransaction) -> Steps[None]:
        """Match the events and reserve slots for deliveries that are handed over."""
        known = {**self._known, **work.new_keys} if work.new_keys else self._known
        self._plan = yield from plan_accept(self._events, known, self._matches, self._reserve, work)
        work.new_keys |= self._plan.new_keys
        work.notes.merge(self._plan.notes)
        work.accepted.append(self._plan)

    def execute(self, _work: WriteTransaction) -> tuple[list[Acceptance], list[ClaimedDelivery]]:
        """Return the result; `insert_planned` has written the rows."""
        return self._plan.accepted, self._plan.claims


def insert_planned(work: WriteTransaction) -> Steps[None]:
    """Insert the accepted events of a transaction: all calls together, in few statements."""
    plans = work.accepted
    if not plans:
        return
    events = [row for plan in plans for row in plan.events]
    # Now, not before the commit: changes of the same transaction read the counts.
    waiting, work.notes.waiting = work.notes.waiting, {}
    is_small = sum(map(itemgetter(4), events)) <= _SMALL_BYTES
    for statement, rows, at_once in (
        (sql.INSERT_EVENT, events, _ROWS_PER_STEP if is_small else _EVENTS_PER_STEP),
        (sql.INSERT_PENDING, [row for plan in plans for row in plan.pending], _ROWS_PER_STEP),
        (sql.INSERT_LEASED, [row for plan in plans for row in plan.leased], _ROWS_PER_STEP),
        (sql.INSERT_KEY, [row for plan in plans for row in plan.keys], _ROWS_PER_STEP),
        (sql.ADD_WAITING, [(n, hook) for hook, n in waiting.items()], _ROWS_PER_STEP),
        (sql.ADD_SKIPPED, [row for plan in plans for row in _skipped_rows(plan)], _ROWS_PER_STEP),
    ):
        for start in range(0, len(rows), at_once):
            work.raw.executemany(statement, rows[start : start + at_once])
            yield
    failpoints.hit("before_accept_commit")


def _skipped_rows(plan: Plan) -> list[tuple[int, int, int, HookId]]:
    return [(each.count, each.first, each.last, hook) for hook, each in plan.skipped.items()]


class Claim(Operation[list[ClaimedDelivery]]):
    """Lease due deliveries of one hook; the contract defines their order."""

    def __init__(self, hook: HookId, limit: int, by_age: bool) -> None:
        super().__init__(limit)
        self._hook = hook
        self._limit = limit
        self._by_age = by_age

    def execute(self, work: WriteTransaction) -> list[ClaimedDelivery]:
        """Lease and return them; an ordered hook gets only the first of its queue."""
        live = may_claim(work.live, self._hook)
        if live is None or self._limit < 1:
            return []
        if live.settings.ordered:
            row = work.raw.execute(sql.FIND_FIRST_IN_LINE, (self._hook,)).fetchone()
            free = row is not None and row[-2] == DeliveryStatus.PENDING and row[-1] <= work.now_ms
            rows = [row[:-2]] if free else []
        else:
            rows = self._find_due(work)
        lease = work.lease
        work.raw.executemany(sql.LEASE, [(lease.token, lease.until_ms, row[0]) for row in rows])
        claims = [claimed_delivery(row, row[6] + 1, row[9]) for row in rows]
        note_claimed(work.notes, claims)
        if claims:
            failpoints.hit("before_claim_commit")
        return claims

    def _find_due(self, work: WriteTransaction) -> list[tuple[Any, ...]]:
        due = (self._hook, work.now_ms)
        rows = work.raw.execute(sql.FIND_FIRST_TRIES, (*due, self._limit)).fetchall()
        room = self._limit if self._by_age else self._limit - len(rows)
        if room:
            rows += work.raw.execute(sql.FIND_RETRIES, (*due, room)).fetchall()
        if self._by_age:
            rows.sort(key=lambda row: (row[-1], row[0]))
        return rows[: self._limit]


class ClaimPing(Operation[ClaimedDelivery]):
    """Store a ping with its delivery, leased from the start."""

    def __init__(self, hook: HookId, body: bytes) -> None:
        super().__init__(2, len(body))
        self._hook = hook
        self._body = body
        self._plan: PingPlan  # set by `plan`

    def plan(self, work: WriteTransaction) -> None:
        """Plan its rows."""
        self._plan = plan_ping(self._hook, self._body, work)

    def execute(self, work: WriteTransaction) -> ClaimedDelivery:
        """Insert the rows."""
        plan = self._plan
        work.raw.execute(sql.INSERT_EVENT, plan.event)
        work.raw.execute(sql.INSERT_LEASED_PING, plan.delivery)
        work.raw.execute(sql.ADD_WAITING, (1, self._hook))
        return plan.claim


class Release(Operation[None]):
    """Make unsent deliveries due again; their attempts are not counted."""

    def __init__(self, claims: Sequence[ClaimedDelivery]) -> None:
        super().__init__(len(claims))
        self._claims = claims

    def execute(self, work: WriteTransaction) -> None:
        """Store the states of those that this server still holds."""
        for claim in self._claims:
            state = state_after_release(claim, work.live, work.now_ms)
            values = (state.status, state.next_attempt_at, state.finished_at, state.reason)
            fence = (claim.delivery, claim.number, work.lease.token)
            if not work.raw.execute(sql.RELEASE, (*values, *fence)).rowcount:
                continue
            if not note_released(work.notes, claim, state):
                work.raw.execute(sql.ADD_WAITING, (-1, claim.hook))
        failpoints.hit("before_release_commit")


def next_due(conn: Connection, hooks: Sequence[tuple[HookId, bool]]) -> dict[HookId, int]:
    """Return when (ms) the next delivery of each hook is due; hooks are (id, ordered)."""
    earliest_ms: dict[HookId, int] = {}
    for hook, ordered in hooks:
        statements = (sql.FIRST_IN_LINE_DUE,) if ordered else (sql.NEXT_FIRST_TRY, sql.NEXT_RETRY)
        times = [conn.exec_driver_sql(statement, (hook,)).scalar() for statement in statements]
        due = [due_ms for due_ms in times if due_ms is not None]
        if due:
            earliest_ms[hook] = min(due)
    return earliest_ms
