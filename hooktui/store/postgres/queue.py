"""The operations of deliveries on PostgreSQL: accept, claim, ping, release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from hooktui import failpoints
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.domain.ids import AccountId, EventId, HookId
from hooktui.loop_watch import WATCH
from hooktui.slices import share_loop
from hooktui.store.contract import Acceptance, ClaimedDelivery, NewEvent, Reserve
from hooktui.store.planning.accept import KEY_KEPT_MS, KnownKey, Plan, count_skipped, plan_accept
from hooktui.store.planning.claim import (
    claimed_delivery,
    may_claim,
    note_claimed,
    note_released,
    plan_ping,
    state_after_release,
)
from hooktui.store.planning.matching import Matches
from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.due_bounds import ClaimStart
from hooktui.store.postgres.transaction import Operation, WriteTransaction, columns
from hooktui.store.queries.expressions import fetch_without_sort
from hooktui.store.tables import Big

_Name = tuple[AccountId, str]
_Rows = list[tuple[object, ...]]

_held = partial(WATCH.note, by="a write transaction")
_ROWS_PER_STEP = 1_000
"""Rows of each kind; preparing them for the database takes about 2 ms of the event loop."""
_STARTS = ("hooks", "first_ms", "first_id", "again_ms", "again_id", "in_line")


class Accept(Operation[tuple[list[Acceptance], list[ClaimedDelivery]]]):
    """Store events with their deliveries and idempotency keys."""

    def __init__(
        self, events: Sequence[NewEvent], reserve: Reserve | None, matches: Matches
    ) -> None:
        super().__init__(2 * len(events), sum(len(event.body) for event in events))
        self._events = events
        self._reserve = reserve
        self._matches = matches
        self._plan: Plan | None = None
        self._planned_with: tuple[object, ...] | None = None

    @classmethod
    async def run_all(cls, work: WriteTransaction, operations: Sequence[Self]) -> None:
        """Match all, then insert all."""
        names = sorted({name for operation in operations for name in operation.names()})
        known = await _take_keys(work, names) if names else {}
        lines = await join_lines(
            work, {hook for operation in operations for hook in operation.ordered(work)}
        )
        planned = [await operation.planned(work, known, lines) for operation in operations]
        plans = [plan for plan in planned if plan is not None]
        await _insert(
            work,
            [row for plan in plans for row in plan.events],
            [row for plan in plans for row in plan.pending],
            [row for plan in plans for row in plan.leased],
        )
        if names:
            await _keep_keys(work, names, known, [row for plan in plans for row in plan.keys])
        for plan in plans:
            work.notes.merge(plan.notes)
            for hook, skipped in plan.skipped.items():
                count_skipped(work.skipped, hook, skipped.count, skipped.first, skipped.last)
        failpoints.hit("before_accept_commit")

    def names(self) -> list[_Name]:
        """Return the idempotency keys of all events."""
        return [(event.account, event.key) for event in self._events if event.key is not None]

    def ordered(self, work: WriteTransaction) -> set[HookId]:
        """Return the ordered hooks that may get a delivery."""
        kinds = {(event.account, event.type) for event in self._events}
        return {
            hook.id
            for account, event_type in kinds
            for hook in work.live.subscribers(account, event_type).hooks
            if hook.settings.ordered
        }

    async def planned(
        self, work: WriteTransaction, known: Mapping[_Name, KnownKey], lines: Mapping[HookId, int]
    ) -> Plan | None:
        """Match, and reserve slots for deliveries that are handed over, once; None if refused."""
        used = {**known, **work.new_keys}  # by other calls of this transaction, too
        mine = {name: used[name] for name in self.names() if name in used}
        planned_with = (work.shared.live_version, mine, lines)
        if self._planned_with not in (None, planned_with):
            # Slots were reserved for outdated hooks or keys; the caller releases them.
            self.error = Unavailable("hooks or keys changed meanwhile; send the event again")
            return None
        plan = self._plan
        if plan is None:
            try:
                steps = plan_accept(self._events, mine, self._matches, self._reserve, work)
                plan = self._plan = await share_loop(steps, _held)
            except HooktuiError as error:  # this operation alone is refused; it wrote nothing
                self.error = error
                return None
            self._planned_with = planned_with
        work.new_keys |= plan.new_keys
        self.result = plan.accepted, plan.claims
        return plan


async def _insert(work: WriteTransaction, events: _Rows, pending: _Rows, leased: _Rows) -> None:
    for start in range(0, max(len(events), len(pending), len(leased)), _ROWS_PER_STEP):
        these = slice(start, start + _ROWS_PER_STEP)
        await work.raw.execute(
            sql.INSERT_ACCEPTED,
            *columns(events[these], 9),
            *columns(pending[these], 7),
            *columns(leased[these], 8),
        )


async def join_lines(work: WriteTransaction, hooks: set[HookId]) -> dict[HookId, int]:
    """Wait until other servers have accepted for ordered hooks; return the ends of the queues.

    Until our commit no other server joins, and all our ids are greater: the order of commits is the
    order of ids, whatever the clocks of the servers are.
    """
    ends: dict[HookId, int] = {}
    for hook in sorted(hooks):
        await work.raw.execute(sql.LOCK_ORDER, locks.order_of(hook))
        ends[hook] = await work.raw.fetchval(sql.LAST_IN_LINE, hook) or 0
        work.shared.ids.go_beyond(ends[hook])
    return ends


async def _take_keys(work: WriteTransaction, names: Sequence[_Name]) -> dict[_Name, KnownKey]:
    """Take unused keys, and return the earlier uses of the others.

    A call with the same key at the same time, at any server, waits here for our commit.
    """
    accounts, keys = columns(names, 2)
    oldest = work.now_ms - KEY_KEPT_MS
    await work.raw.execute(sql.RESERVE_KEYS, accounts, keys, work.now_ms, oldest)
    rows = await work.raw.fetch(sql.FIND_KEYS, accounts, keys)
    return {(AccountId(row[0]), row[1]): KnownKey(EventId(row[2]), *row[3:]) for row in rows}


async def _keep_keys(
    work: WriteTransaction,
    names: Sequence[_Name],
    known: Mapping[_Name, KnownKey],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Store the uses of the keys; those of refused events are free again."""
    if rows:
        await work.raw.execute(sql.INSERT_KEYS, *columns(rows, 8))
    used = {(row[0], row[1]) for row in rows}
    free = [name for name in names if name not in used and name not in known]
    if free:
        await work.raw.execute(sql.FREE_KEYS, *columns(free, 2))


class Claim(Operation[list[ClaimedDelivery]]):
    """Lease due deliveries of one hook; the contract defines their order."""

    def __init__(self, hook: HookId, limit: int, by_age: bool) -> None:
        super().__init__(limit)
        self.hook = hook
        self.limit = limit
        self._by_age = by_age
        self._claimed: list[ClaimedDelivery] = []
        self.start = ClaimStart()

    @classmethod
    async def run_all(cls, work: WriteTransaction, operations: Sequence[Self]) -> None:
        """Lease for all hooks; an ordered hook gets only the first of its queue."""
        left = list(operations)
        while left:
            # A second claim for a hook must not find the rows that the first has just locked.
            first = {operation.hook: operation for operation in reversed(left)}
            now = [first[hook] for hook in sorted(first)]
            left = [operation for operation in left if operation not in now]
            await cls._lease(work, now)
        failpoints.hit("before_claim_commit")

    @classmethod
    async def _lease(cls, work: WriteTransaction, operations: Sequence[Self]) -> None:
        by_tries: list[Self] = []
        chosen: list[tuple[Claim, Sequence[Any]]] = []
        by_age: list[Self] = []
        for operation in operations:
            operation._claimed = operation.result = []
            live = may_claim(work.live, operation.hook)
            if live is None or operation.limit < 1:
                continue
            operation.start = work.claim_start(operation.hook)
            if live.settings.ordered:
                chosen += [(operation, row) for row in await operation._first_in_line(work)]
            elif operation._by_age:
                by_age.append(operation)
            else:
                by_tries.append(operation)
        if by_tries:
            await _claim_by_tries(work, by_tries)
        if by_age:
            chosen += await _oldest_due(work, by_age)
        if chosen:
            await _claim_these(work, chosen)
        note_claimed(
            work.notes, (claim for operation in operations for claim in operation._claimed)
        )

    async def _first_in_line(self, work: WriteTransaction) -> list[Any]:
        await work.raw.execute(sql.LOCK_ORDER, locks.order_of(self.hook))
        found = await work.raw.fetch(
            sql.FIND_FIRST_IN_LINE, self.hook, work.now_ms, self.start.in_line
        )
        if found:
            self.start.in_line = found[0][0]
        return list(found)

    @property
    def room(self) -> int:
        """How many more deliveries it may get."""
        return self.limit - len(self._claimed)

    def add(self, row: Sequence[Any]) -> None:
        """Add a row that is leased now; the next claim starts after it."""
        self._claimed.append(claimed_delivery(row, row[6], row[11]))
        position = (row[9], row[0])
        if row[7]:
            self.start.again = position
        else:
            self.start.first = position


async def _claim_by_tries(work: WriteTransaction, claims: Sequence[Claim]) -> None:
    """Lease first attempts, then retries where there is room; the next claims start after them."""
    none_due_before = (work.now_ms, 0)
    await _claim(work, sql.CLAIM_FIRST_TRIES, [(claim, claim.start.first) for claim in claims])
    claims = [claim for claim in claims if claim.room]
    if not claims:
        return
    for claim in claims:
        claim.start.first = none_due_before
    await _claim(work, sql.CLAIM_RETRIES, [(claim, claim.start.again) for claim in claims])
    for claim in claims:
        if claim.room:
            claim.start.again = none_due_before


async def _claim(
    work: WriteTransaction, statement: str, claims: Sequence[tuple[Claim, tuple[int, int]]]
) -> None:
    """Lease for claims that start at these positions."""
    hooks, limit, *starts = columns([(c.hook, c.room, *start) for c, start in claims], 4)
    lease = (work.lease.token, work.lease.until_ms)
    for row in await work.raw.fetch(statement, hooks, limit, work.now_ms, *lease, *starts):
        claims[row[10] - 1][0].add(row)


async def _oldest_due(
    work: WriteTransaction, claims: Sequence[Claim]
) -> list[tuple[Claim, Sequence[Any]]]:
    """Return the rows that are due first, with the claims that get them."""
    hooks, limit, *starts = columns(
        [(claim.hook, claim.limit, *claim.start.first, *claim.start.again) for claim in claims], 6
    )
    rows_by_claim: list[list[Any]] = [[] for _ in claims]
    for row in await work.raw.fetch(sql.FIND_DUE, hooks, limit, work.now_ms, *starts):
        rows_by_claim[row[2] - 1].append(row)
    chosen = []
    for claim, rows in zip(claims, rows_by_claim, strict=True):
        rows.sort(key=lambda row: (row[1], row[0]))
        chosen += [(claim, row) for row in rows[: claim.limit]]
    return chosen


async def _claim_these(
    work: WriteTransaction, chosen: Sequence[tuple[Claim, Sequence[Any]]]
) -> None:
    rows = [(row[0], row[1], position) for position, (_, row) in enumerate(chosen)]
    lease = (work.lease.token, work.lease.until_ms)
    for row in await work.raw.fetch(sql.CLAIM_THESE, *columns(rows, 3), *lease):
        chosen[row[10]][0].add(row)


class ClaimPing(Operation[ClaimedDelivery]):
    """Store a ping with its delivery, leased from the start."""

    def __init__(self, hook: HookId, body: bytes) -> None:
        super().__init__(2, len(body))
        self._hook = hook
        self._body = body

    async def run(self, work: WriteTransaction) -> ClaimedDelivery:
        """Insert the rows."""
        plan = plan_ping(self._hook, self._body, work)
        rows = (*columns([plan.event], 9), *columns([plan.delivery], 8))
        await work.raw.execute(sql.INSERT_PING, *rows)
        work.notes.count_waiting(self._hook, 1)
        return plan.claim


class Release(Operation[None]):
    """Make unsent deliveries due again; their attempts are not counted."""

    def __init__(self, claims: Sequence[ClaimedDelivery]) -> None:
        super().__init__(len(claims))
        self._claims = claims

    async def run(self, work: WriteTransaction) -> None:
        """Store the states of those that this server still holds."""
        released = [
            (claim, state_after_release(claim, work.live, work.now_ms)) for claim in self._claims
        ]
        rows = [
            (claim.delivery, claim.number, work.lease.token, s.status, s.next_attempt_at,
             s.finished_at, s.reason)
            for claim, s in released
        ]  # fmt: skip
        held = {
            tuple(row)
            for row in await work.raw.fetch(
                sql.RELEASE, DeliveryStatus.SENDING.value, *columns(rows, 7)
            )
        }
        for claim, state in released:
            if (claim.delivery, claim.number) not in held:
                continue
            held.discard((claim.delivery, claim.number))  # one claim may be named twice
            if not note_released(work.notes, claim, state):
                work.notes.count_waiting(claim.hook, -1)
        failpoints.hit("before_release_commit")


def next_due(
    conn: Connection, hooks: Sequence[tuple[HookId, bool]], starts: Mapping[HookId, ClaimStart]
) -> dict[HookId, int]:
    """Return when (ms) the next delivery of each hook is due; hooks are (id, ordered).

    Searches from the start of each hook; from the beginning if there are no starts.
    """
    next_due_ms: dict[HookId, int] = {}
    for statement, ordered in ((sql.NEXT_DUE, False), (sql.FIRST_IN_LINE_DUE, True)):
        ids = [hook for hook, is_ordered in hooks if is_ordered is ordered]
        if ids:
            positions = [starts[hook] for hook in ids] if starts else []
            rows = [(*start.first, *start.again, start.in_line) for start in positions]
            values = dict(zip(_STARTS, (ids, *columns(rows, 5)), strict=True))
            query = text(statement).bindparams(*(bindparam(n, type_=ARRAY(Big)) for n in _STARTS))
            found = fetch_without_sort(conn, query, values)
            next_due_ms |= {HookId(hook): due_ms for hook, due_ms in found}
    return next_due_ms
