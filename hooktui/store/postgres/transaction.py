"""One write transaction on PostgreSQL: begin, collect, commit; operations of one kind run together.

Rows that several servers write (the state of a hook, its statistics, the feed) are written by the
same message that commits: there is no round trip between their locks and the commit, so a slow or
stopped server delays no other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from hooktui.domain.alerts import AlertRules
from hooktui.domain.errors import NotFound
from hooktui.domain.hook_failures import Breaker, FailureStreak
from hooktui.domain.ids import AccountId, HookId, IdClock
from hooktui.store import write_queue
from hooktui.store.feed_items import MAX_PER_ROW, encode
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import KnownKey, Lease, SkippedEvents, lease_from
from hooktui.store.planning.record import RecordedHook
from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.clock import DatabaseClock
from hooktui.store.postgres.connections import FAULTS, Raw
from hooktui.store.postgres.due_bounds import ClaimStart, DueBounds
from hooktui.store.tx import SideEffects, Tx
from hooktui.store.vault import Vault


@dataclass(slots=True)
class StateChange:
    """The change of a hook's state by recorded attempts.

    ``assumed`` is the end of the breaker that this server knew, if the state was not read under its
    lock: a success does not close a breaker that another server has opened meanwhile.
    """

    last_code: int | None
    last_error: str | None
    last_at: int
    last_success_at: int | None
    breaker: Breaker
    failing: FailureStreak
    assumed: tuple[int | None] | None = None


@dataclass(slots=True)
class Shared:
    """The state that all transactions of a server share.

    ``live_version`` is the version of the hooks in ``live``, ``secrets_used`` when each secret's
    last use was last stored. ``catch_up`` loads the hooks that changed since, ``saw_feed`` gets the
    newest row of the feed, ``due_bounds`` is where claims start, ``rules`` when alerts open.
    """

    vault: Vault
    ids: IdClock
    live: LiveHooks
    server: str
    token: int
    clock: DatabaseClock
    catch_up: Callable[[], Awaitable[None]]
    saw_feed: Callable[[int], None]
    live_version: int = -1
    rules: AlertRules = field(default_factory=AlertRules)
    secrets_used: dict[int, int] = field(default_factory=dict)
    due_bounds: DueBounds = field(default_factory=DueBounds)


@dataclass(slots=True)
class WriteTransaction:
    """The state that the operations of one transaction share.

    ``skipped`` are the events that a hook skipped while disabled, ``states`` and ``stats`` the
    other changes of its state. ``starts`` is where the next claim of a hook starts, ``batches`` are
    results that may open or end alerts, ``alert_accounts`` those whose alerts are locked.
    """

    raw: Raw
    shared: Shared
    now_ms: int
    lease: Lease
    notes: SideEffects = field(default_factory=SideEffects)
    new_keys: dict[tuple[AccountId, str], KnownKey] = field(default_factory=dict)
    skipped: dict[HookId, SkippedEvents] = field(default_factory=dict)
    states: dict[HookId, StateChange] = field(default_factory=dict)
    stats: list[tuple[int, ...]] = field(default_factory=list)
    starts: dict[HookId, ClaimStart] = field(default_factory=dict)
    batches: list[RecordedHook] = field(default_factory=list)
    alert_accounts: set[AccountId] = field(default_factory=set)
    feed_end: int | None = None

    @property
    def live(self) -> LiveHooks:
        """The hooks as of this transaction."""
        return self.shared.live

    @property
    def ids(self) -> IdClock:
        """Creates ids."""
        return self.shared.ids

    def tx(self, conn: Connection) -> Tx:
        """Return a change in this transaction; ``conn`` is a connection over ``raw``."""
        shared = self.shared
        return Tx(
            conn, self.now_ms, shared.vault, shared.ids, shared.live, shared.rules,
            self.notes.hooks_changed,
        )  # fmt: skip

    def claim_start(self, hook: HookId) -> ClaimStart:
        """Return where a claim starts; the claim moves it, and the commit keeps it."""
        if hook not in self.starts:
            self.starts[hook] = self.shared.due_bounds.begin(hook, time.monotonic())
        return self.starts[hook]

    async def commit(self) -> None:
        """Write the collected changes and commit."""
        statements = [*self._hook_statements(), *self._feed_statements(), "COMMIT"]
        await self.raw.execute("; ".join(statements))

    async def find_feed_end(self) -> None:
        """Query the position of our last row; under load the next transaction reads it anyway."""
        if self.notes.feed:
            with contextlib.suppress(*FAULTS):  # it is stored; the next poll finds the row
                self.feed_end = await self.raw.fetchval(sql.LAST_LINE)

    def _hook_statements(self) -> list[str]:
        hooks = sorted({*self.notes.waiting, *self.skipped, *self.states})
        statements = []
        if len(hooks) > 1:  # in one order, so that no deadlock arises
            which = ", ".join(map(str, hooks))
            statements.append(
                f"SELECT 1 FROM hook_state WHERE hook_id IN ({which}) ORDER BY hook_id FOR UPDATE"  # noqa: S608 - integers
            )
        statements += [
            f"UPDATE hook_state SET {self._assignments(hook)} WHERE hook_id = {hook:d}"  # noqa: S608
            for hook in hooks
        ]
        if self.stats:
            rows = ", ".join(f"({', '.join(map(str, row))})" for row in sorted(self.stats))
            statements.append(sql.ADD_STATS.format(rows=rows))
        if self.notes.hooks_changed:
            statements.append(mark_changed(self.notes.hooks_changed))
        elif self.notes.paused is not None:
            statements.append(sql.NEW_VERSION)
        return statements

    def _assignments(self, hook: HookId) -> str:
        parts = [f"waiting = waiting + {self.notes.waiting.get(hook, 0):d}"]
        skipped = self.skipped.get(hook)
        if skipped is not None:
            parts += [
                f"skipped = skipped + {skipped.count:d}",
                f"skipped_first = LEAST(skipped_first, {skipped.first:d})",
                f"skipped_last = GREATEST(skipped_last, {skipped.last:d})",
            ]
        change = self.states.get(hook)
        if change is not None:
            parts += _state_assignments(change)
        return ", ".join(parts)

    def _feed_statements(self) -> list[str]:
        feed = self.notes.feed
        if not feed:
            return []
        rows = []
        for start in range(0, len(feed), MAX_PER_ROW):
            items = feed[start : start + MAX_PER_ROW]
            rows.append(f"({self.now_ms:d}, {len(items)}, '\\x{encode(items).hex()}')")
        return [
            f"SELECT pg_advisory_xact_lock({locks.FEED})",
            f"INSERT INTO feed (at_ms, items, changes) VALUES {', '.join(rows)}",  # noqa: S608
        ]


def _state_assignments(change: StateChange) -> list[str]:
    breaker, failing = change.breaker, change.failing
    failures = {
        "failures_in_a_row": f"{breaker.failures:d}",
        "breaker": _text(breaker.stored_state),
        "breaker_until": _number(breaker.until_ms),
        "failed_since_success": f"{failing.failed:d}",
        "failing_since": _number(failing.since_ms),
    }
    if change.assumed is not None:
        known = f"breaker_until IS NOT DISTINCT FROM {_number(change.assumed[0])}"
        failures = {
            name: f"CASE WHEN {known} THEN {value} ELSE {name} END"
            for name, value in failures.items()
        }
    parts = [f"{name} = {value}" for name, value in failures.items()]
    if change.last_at:
        parts += [
            f"last_code = {_number(change.last_code)}",
            f"last_error = {_text(change.last_error)}",
            f"last_at = {change.last_at:d}",
        ]
    if change.last_success_at is not None:
        parts.append(f"last_success_at = {change.last_success_at:d}")
    return parts


async def begin(raw: Raw, shared: Shared, *, alone: bool = False) -> WriteTransaction:
    """Begin a transaction that sees the hooks as of the last commit of any server.

    ``alone`` is for a change of people: it excludes other changes and hot transactions.
    """
    await raw.execute(sql.BEGIN_ALONE if alone else sql.BEGIN)
    asked_ns = time.monotonic_ns()
    version, database_ms, feed_end = await raw.fetchrow(sql.INSTALLATION_STATE)
    if feed_end is not None:
        shared.saw_feed(feed_end)
    now_ms = shared.clock.set_from(database_ms, asked_ns)
    if version != shared.live_version:
        await shared.catch_up()
    return WriteTransaction(raw, shared, now_ms, lease_from(shared.token, now_ms))


def mark_changed(hooks: set[HookId]) -> str:
    """Return the statements that make every server reload hooks."""
    rows = ", ".join(f"({hook:d})" for hook in sorted(hooks))
    return (
        f"{sql.NEW_VERSION}; "  # noqa: S608 - integers
        "INSERT INTO live_change (hook_id, version) "
        f"SELECT hook, live_version FROM installation, (VALUES {rows}) AS changed (hook) "
        "ON CONFLICT (hook_id) DO UPDATE SET version = excluded.version"
    )


def _number(value: int | None) -> str:
    return "NULL" if value is None else f"{value:d}"


def _text(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


R = TypeVar("R")


class Operation(write_queue.Operation[R]):
    """An operation on PostgreSQL; operations of one kind run together.

    Those of several kinds in one transaction would lock in no order, and wait for other servers in
    turn.

    A transaction may be repeated (deadlock, lost connection), so `run_all` starts from nothing each
    time and keeps only external effects, such as reserved slots.

    Attributes:
        since_s: monotonic time since which it waits.
    """

    mixes = False

    def __init__(self, weight: int = 1, size_bytes: int = 0) -> None:
        super().__init__(weight, size_bytes)
        self.since_s = time.monotonic()

    @classmethod
    async def run_all(cls, work: WriteTransaction, operations: Sequence[Self]) -> None:
        """Run operations of this kind; set the result or the error of each."""
        for operation in operations:
            try:
                operation.result = await operation.run(work)
            except NotFound as error:  # it wrote nothing
                operation.error = error

    async def run(self, work: WriteTransaction) -> R:
        """Run this operation alone."""
        raise NotImplementedError


class Nothing(Operation[None]):
    """Do nothing, on a connection that works."""

    async def run(self, work: WriteTransaction) -> None:
        """Do nothing."""


def columns(rows: Sequence[Sequence[object]], count: int) -> Iterable[Sequence[Any]]:
    """Return rows as this many columns, the form in which they are sent."""
    return list(zip(*rows, strict=True)) if rows else [()] * count
