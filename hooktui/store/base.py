"""The calls of a store, and the part that does not depend on its database."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from hooktui.domain.alerts import EXPIRES_WITHIN_MS, AlertRules
from hooktui.domain.clock import DAY_MS
from hooktui.domain.errors import HooktuiError, log_failure
from hooktui.domain.heartbeat import Heartbeat
from hooktui.domain.ids import AccountId, DeliveryId, HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.wire.server import DatabaseInfo, Disk, RetentionDays, ServerInfo
from hooktui.slices import end_tasks
from hooktui.store import feed
from hooktui.store.changes.alert_check import (
    AT_ONCE,
    CHECK_EVERY_S,
    EXPIRING_EVERY,
    AlertCheck,
)
from hooktui.store.changes.alerts import apply_alert_check
from hooktui.store.changes.causes import write_causes
from hooktui.store.changes.deliveries import cancel_waiting
from hooktui.store.changes.replays import cancel_waiting_of
from hooktui.store.clock_trust import ClockTrust
from hooktui.store.contract import (
    Acceptance,
    AttemptResult,
    ClaimedDelivery,
    CommitNotice,
    DatabaseCopy,
    DeadLetters,
    FeedFilter,
    FeedItemPage,
    Listener,
    NewEvent,
    Purged,
    ReplayStep,
    ReplayStepResult,
    Reserve,
)
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import KEY_KEPT_MS, check_keys
from hooktui.store.planning.matching import NO_MATCHES, Matches, accept_matched, is_quick
from hooktui.store.planning.retention import (
    REST,
    REST_OF_PURGE,
    REST_WHEN_BUSY,
    Deletions,
    RetentionPass,
    paced,
)
from hooktui.store.queries import engine
from hooktui.store.queries.alert_check import check_input, expiring
from hooktui.store.queries.replays import unfinished_cancels
from hooktui.store.tx import Tx
from hooktui.store.vault import Vault
from hooktui.store.write_queue import Operation, WriteQueue

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)

ACCEPTING_S = 0.1
"""How long after an event the server counts as accepting."""
CAUSES_REST_S, CAUSES_RETRIED_S = 0.05, 30.0
"""Pauses of the task that writes causes: between two parts, and after an error."""
FOLLOW_UP_RETRIED_S = (1.0, 5.0, 60.0)

DEFAULT_RETENTION = RetentionDays(days=30, bodies_days=7)
DEFAULT_RULES = AlertRules()


@dataclass(frozen=True, slots=True)
class Operations:
    """The database operations behind the hot calls; see the calls of `Store`."""

    accept: Callable[
        [Sequence[NewEvent], Reserve | None, Matches],
        Operation[tuple[list[Acceptance], list[ClaimedDelivery]]],
    ]
    claim: Callable[[HookId, int, bool], Operation[list[ClaimedDelivery]]]
    claim_ping: Callable[[HookId, bytes], Operation[ClaimedDelivery]]
    record: Callable[[Sequence[AttemptResult]], Operation[list[bool]]]
    release: Callable[[Sequence[ClaimedDelivery]], Operation[None]]
    rescue: Callable[[Collection[DeliveryId]], Operation[int]]
    replay: Callable[[ReplayStep], Operation[ReplayStepResult]]


class Store(ABC):
    """One store; the docstring of ``contract`` lists its guarantees.

    Attributes:
        number: this server's number among those that share the store.
        token: of the leases of this server, random.
        clock: of this store, in milliseconds since the epoch.
    """

    OPERATIONS: ClassVar[Operations]
    DELETIONS: ClassVar[Deletions]

    clock: Callable[[], int]

    _accepting: WriteQueue
    """The queue of events; the subclass sets all four queues, which may be the same."""
    _claiming: WriteQueue
    _recording: WriteQueue
    """The queue of results and all other changes."""
    _replaying: WriteQueue
    _trust: ClockTrust
    """The trust in the clock, set by the subclass."""

    def __init__(self, vault: Vault, rules: AlertRules, keep: RetentionDays) -> None:
        self.number = 0
        self.token = secrets.randbits(62)
        self.keep = keep
        self._live = LiveHooks()
        self._alert_check = AlertCheck(self._live, rules)
        self._checks = 0
        self.vault = vault
        self._feed_end = feed.Position(1, 0)
        self._changed = asyncio.Event()
        self._listeners: list[Listener] = []
        self._closed = False
        self._scanning, self._own_reading = asyncio.Lock(), asyncio.Lock()
        self._accepted_s = -ACCEPTING_S
        self._tasks: set[asyncio.Task[None]] = set()
        self._expired = Counter[tuple[HookId, str]]()

    # Queues

    @property
    def _queues(self) -> list[WriteQueue]:
        queues = (self._accepting, self._claiming, self._recording, self._replaying)
        return list(dict.fromkeys(queues))

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """The heartbeats of the write transactions."""
        return [queue.heartbeat for queue in self._queues]

    @property
    def write_failure(self) -> HooktuiError | None:
        """Why the database could not store something just now; None: it could."""
        failures = (queue.failure for queue in self._queues)
        return next(filter(None, failures), None)

    @property
    def busy(self) -> bool:
        """Whether operations wait for a transaction."""
        return any(queue.busy for queue in self._queues)

    @property
    def is_accepting(self) -> bool:
        """Whether an event was accepted recently."""
        return monotonic() - self._accepted_s < ACCEPTING_S

    async def submit(self, operation: Operation[R]) -> R:
        """Run an operation of this package in the next transaction of results."""
        return await self._recording.submit(operation, bounded=False)

    # The hot calls

    @abstractmethod
    def check_room(self, size_bytes: int = 0) -> None:
        """Check that there is room for more events of this size.

        Raises:
            DiskFull: there is not; the text names the free space.
        """

    async def accept(
        self, events: Sequence[NewEvent], reserve: Reserve | None = None
    ) -> tuple[list[Acceptance], list[ClaimedDelivery]]:
        """Store events with their deliveries, all or nothing; return acceptances and claims.

        Raises:
            Refused: a key was used before with another type or body; the text names it.
            DiskFull: there is no room.
        """
        self._accepted_s = monotonic()
        check_keys(events)
        self.check_room(sum([len(event.body) for event in events]))

        def submit(matches: Matches) -> Awaitable[tuple[list[Acceptance], list[ClaimedDelivery]]]:
            operation = self.OPERATIONS.accept(events, reserve, matches)
            return self._accepting.submit(
                operation, bounded=True, compensate=lambda accepted: self._release_of(accepted[1])
            )

        if is_quick(events, self._live):
            return await submit(NO_MATCHES)
        return await accept_matched(events, self._live, submit)

    async def claim(
        self, hook: HookId, limit: int, *, by_age: bool = False
    ) -> list[ClaimedDelivery]:
        """Lease up to ``limit`` due deliveries of an active hook: first attempts, then retries.

        Each group is ordered by due time; ``by_age`` ignores the groups and takes the oldest due.
        """
        operation = self.OPERATIONS.claim(hook, limit, by_age)
        return await self._claiming.submit(operation, bounded=False, compensate=self._release_of)

    async def claim_ping(self, hook: HookId, body: bytes) -> ClaimedDelivery:
        """Store a ping event with its delivery, already leased; works on inactive hooks.

        Raises:
            NotFound: there is no such hook.
        """
        operation = self.OPERATIONS.claim_ping(hook, body)
        return await self._accepting.submit(
            operation, bounded=True, compensate=lambda claim: self._release_of([claim])
        )

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Store attempts and new states in one transaction.

        Returns:
            For each result, whether it is stored; False: another server took the delivery over.
        """
        return await self.submit(self.OPERATIONS.record(results))

    async def release(self, claims: Sequence[ClaimedDelivery]) -> None:
        """Return unsent claims to the queue, uncounted and due at once."""
        await self.submit(self.OPERATIONS.release(claims))

    async def rescue(self, held: Collection[DeliveryId] = ()) -> int:
        """Record attempts whose lease has expired as interrupted; return how many.

        ``held`` are deliveries of this server that are left out: it is still sending them, or has
        not stored their results, because it was stopped for longer than a lease.
        """
        return await self._rescue(partial(self.OPERATIONS.rescue, held))

    async def _rescue(self, operation: Callable[[], Operation[int]]) -> int:
        rescued = 0
        while count := await self.submit(operation()):
            rescued += count
        return rescued

    async def replay(self, step: ReplayStep) -> ReplayStepResult:
        """Create the deliveries of a step of a replay, already leased, and move its cursor.

        Only the owner of a running replay can, from the cursor that it read.
        """
        operation = self.OPERATIONS.replay(step)
        return await self._replaying.submit(
            operation, bounded=True, compensate=lambda result: self._release_of(result.claims)
        )

    def _release_of(self, claims: Sequence[ClaimedDelivery]) -> Operation[None] | None:
        """Return the operation that releases claims whose caller was cancelled; None: no claims."""
        return self.OPERATIONS.release(claims) if claims else None

    @abstractmethod
    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due."""

    def _active_hooks(self, hooks: Sequence[HookId] | None) -> list[tuple[HookId, bool]]:
        """Return the active hooks among the given ones (None: all), each with its ``ordered``."""
        live = self._live.view
        known = [live[hook] for hook in (live if hooks is None else hooks) if hook in live]
        return [(hook.id, hook.settings.ordered) for hook in known if hook.active]

    # Queries and changes

    async def read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query of ``hooktui.store.queries`` in a short read-only transaction."""
        return await self._read(lambda conn: query(conn, *args, **kwargs))

    async def own_read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query of the server itself, one at a time; those of `read` do not delay it."""
        async with self._own_reading:
            return await self._own_read(lambda conn: query(conn, *args, **kwargs))

    async def scan(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an `own_read` of up to a second; one at a time, so others wait for one at most."""
        async with self._scanning:
            return await self.own_read(query, *args, **kwargs)

    @abstractmethod
    async def look_up(self, query: Callable[[Connection], R]) -> R:
        """Run a quick query that calls wait for; those of `read` do not delay it."""

    async def write(
        self, change: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a change of ``hooktui.store.changes`` in a write transaction, all or nothing."""
        return await self._write(lambda tx: change(tx, *args, **kwargs))

    @abstractmethod
    async def _read(self, query: Callable[[Connection], R]) -> R: ...

    @abstractmethod
    async def _own_read(self, query: Callable[[Connection], R]) -> R: ...

    @abstractmethod
    async def _write(self, change: Callable[[Tx], R]) -> R: ...

    # Background work

    def _later(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Run something in the background until the store is closed."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _continue_changes(self) -> None:
        """Do the rest of changes that were not finished when the last server ended."""
        for hook in await self.own_read(engine.deleted_hooks_with_backlog):
            self._later("rest", self._follow_up(partial(cancel_waiting, hook=hook)))
        for replay in await self.own_read(unfinished_cancels):
            self._later("rest", self._follow_up(partial(cancel_waiting_of, replay=replay)))

    async def _follow_up(self, change: Callable[[Tx], None]) -> None:
        """Do the next part of a change, in a transaction of its own."""
        waits_s = itertools.repeat(FOLLOW_UP_RETRIED_S[-1])
        for wait_s in itertools.chain(FOLLOW_UP_RETRIED_S, waits_s):
            try:
                await self.write(change)
            except Exception as error:
                if self._closed:  # the next start does it
                    return
                log_failure(_log, error, "the rest of a change")
                await asyncio.sleep(wait_s)
            else:
                return

    async def _write_causes(self) -> None:
        """Write the causes of deliveries that an earlier version stored; see `write_causes`."""
        while True:
            try:
                if not await self.own_read(engine.causes_are_missing):
                    return
                await self.write(write_causes)
                wait_s = CAUSES_REST_S
            except Exception as error:
                if self._closed:
                    return
                log_failure(_log, error, "writing the causes of older deliveries")
                wait_s = CAUSES_RETRIED_S
            await asyncio.sleep(wait_s)

    # Retention

    @property
    def clock_is_trusted(self) -> bool:
        """Whether rows may be deleted by age."""
        return self._trust.trusted

    def rest(self) -> float:
        """Return the pause of retention, in seconds per second of its work."""
        return REST_WHEN_BUSY if self.busy else REST

    async def delete_old(self) -> None:
        """Delete everything older than the retention periods, unless the clock may be wrong."""
        if not self.clock_is_trusted:
            return
        retention = RetentionPass(self, self.rest, self.note_expired)
        events, bodies = await retention.apply(self.keep, self.clock())
        if events or bodies:
            _log.info("retention events=%d bodies=%d", events, bodies)

    async def forget_keys(self) -> None:
        """Delete expired idempotency keys, unless the clock may be wrong."""
        if not self.clock_is_trusted:
            return
        before_ms = self.clock() - KEY_KEPT_MS
        while await paced(self.submit(self.DELETIONS.keys(before_ms)), self.rest):
            pass

    async def prepare_deletions(self) -> None:  # noqa: B027 - a database need not prepare
        """Prepare to delete many rows."""

    async def delete(self, make: Callable[[], Operation[R]]) -> R:
        """Run an operation that deletes rows."""
        return await self.submit(make())

    async def purge(
        self, before_ms: int, *, within_s: float, account: AccountId | None = None, after: int = 0
    ) -> Purged:
        """Delete events from before a time with all that belongs to them, for ``within_s`` at most.

        An event stays while one of its deliveries is not final or ended at or after that time.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        purge = RetentionPass(self, lambda: REST_OF_PURGE)
        return await purge.drop_events(before_ms, account, after, lambda: loop.time() > end_s)

    @property
    def expired(self) -> DeadLetters:
        """The dead letters that retention deleted at this server since its start."""
        return self._expired

    def note_expired(self, dead_letters: DeadLetters) -> None:
        """Count dead letters that retention deleted."""
        for (hook, cause), count in dead_letters.items():
            self._expired[hook, cause] += count
            _log.warning("retention deleted undelivered events hook=%d %s=%d", hook, cause, count)

    # Alerts

    async def check_alerts(self) -> None:
        """Open, end and announce the alerts that depend on time."""
        now, kept_days = self.clock(), self.keep.days
        seen = await self.own_read(check_input, now, self._alert_check.accounts())
        expiring_groups = None
        if not kept_days:
            expiring_groups = []
        elif self._checks % EXPIRING_EVERY == 0:
            # Read last, so that nothing counts both as deleted and as about to be.
            kept_ms = round(kept_days * DAY_MS) - EXPIRES_WITHIN_MS
            expiring_groups = await self.own_read(expiring, now - max(kept_ms, 0))
        self._checks += 1
        result = self._alert_check.decide(seen, self.disk_space(), expiring_groups, now)
        for part in result.parts(AT_ONCE):
            await self.write(apply_alert_check, part)

    async def keep_checking_alerts(self) -> None:
        """Check alerts every `CHECK_EVERY_S`, until it is cancelled."""
        await repeat("checking the alerts", self.check_alerts, CHECK_EVERY_S, CHECK_EVERY_S)

    def disk_space(self) -> Disk | None:
        """Return the space that events have; None: the database is on another machine."""
        return None

    # Live hooks

    def alert_hooks(self) -> Set[HookId]:
        """Return the hooks that subscribe to operator alerts, as of the last commit seen."""
        return self._live.alert_hooks

    def hooks(self) -> Mapping[HookId, LiveHook]:
        """Return the live hooks (deleted ones excluded), as of the last commit seen."""
        return self._live.view

    def count_hooks(self, account: AccountId) -> int:
        """Return how many hooks an account has, as of the last commit seen."""
        return self._live.count(account)

    @property
    def paused(self) -> bool:
        """Whether all sending is paused, so that nothing is claimed."""
        return self._live.paused

    async def signing_secrets(self, hook: HookId, ids: Sequence[int]) -> list[LiveSecret]:
        """Return the given secrets of a hook that still exist, even expired ones, newest first."""
        return await self.read(engine.signing_secrets, self.vault, hook, ids)

    # The change feed

    async def feed(
        self,
        after: str | None,
        limit: int,
        account: AccountId | None = None,
        feed_filter: FeedFilter | None = None,
    ) -> FeedItemPage:
        """Return up to ``limit`` changes after a position (None: from the oldest stored one).

        A page ends at 1 MiB; with a filter, also after a search of 2 s.

        Raises:
            Refused: the position is not one of this store's.
        """
        position = None if after is None else feed.parse_position(after)
        return await self.read(feed.read_feed, position, limit, account, feed_filter)

    async def feed_tail(
        self,
        limit: int,
        account: AccountId | None = None,
        feed_filter: FeedFilter | None = None,
        before: str | None = None,
    ) -> FeedItemPage:
        """Return the newest ``limit`` changes (that pass the filter), oldest first.

        With ``before``, the newest before that position. A page ends like one of `feed`.

        Raises:
            Refused: the position is not one of this store's.
        """
        position = None if before is None else feed.parse_position(before, "before")
        return await self.read(feed.read_tail, limit, account, feed_filter, position)

    def feed_end(self) -> str:
        """Return the position after the newest change."""
        return str(self._feed_end)

    async def wait_for_change(self, after: str, timeout_s: float) -> None:
        """Return when there may be changes after a position, on timeout, or on close."""
        position = feed.parse_position(after)
        try:
            async with asyncio.timeout(timeout_s):
                while position >= self._feed_end and not self._closed:
                    await self._changed.wait()
        except TimeoutError:
            return

    # The database

    @abstractmethod
    def backup(self, stopped: Callable[[], bool], /) -> AbstractAsyncContextManager[DatabaseCopy]:
        """Copy and check the database; the copy is deleted when the block ends.

        Args:
            stopped: polled in a thread; True cancels the copy.

        Raises:
            Refused: the data is in a database that is backed up by other means.
            Conflict: another backup is running.
            DiskFull: there is no room.
            Unavailable: the copy was cancelled.
        """

    @abstractmethod
    async def info(self) -> DatabaseInfo:
        """Return the kind, place and size of the database."""

    async def others(self) -> list[ServerInfo]:
        """Return the other servers that work on this store now."""
        return []

    async def close(self) -> None:
        """Finish accepted operations, release the files, and wake waiting readers of the feed."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        await end_tasks(self._tasks)
        await self._disconnect()

    @abstractmethod
    async def _disconnect(self) -> None: ...

    # Notices after commits

    def subscribe(self, listener: Listener) -> None:
        """Call a listener after each commit that concerns it, in the event loop's thread."""
        self._listeners.append(listener)

    def _notify(self, notice: CommitNotice) -> None:
        if notice.hooks_changed or notice.due or notice.paused is not None:
            for listener in self._listeners:
                listener(notice)

    def _feed_reached(self, newest: int) -> None:
        """Wake readers when the feed has a newer row than they know."""
        if newest >= self._feed_end.row:
            self._feed_end = feed.Position(newest + 1, 0)
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def repeat(
    what: str, work: Callable[[], Awaitable[object]], first_s: float, every_s: float
) -> None:
    """Do some housekeeping again and again until it is cancelled; a failure does not end it."""
    await asyncio.sleep(first_s)
    while True:
        try:
            await work()
        except Exception as error:
            log_failure(_log, error, what)
        await asyncio.sleep(every_s)
