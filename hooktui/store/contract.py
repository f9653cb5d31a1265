"""The interface and the guarantees of a store.

SQLite and PostgreSQL give the same guarantees:

* ``accept`` returns only after event, deliveries and idempotency key are on disk, in one
  transaction; a refused or failed call stores nothing.
* ``claim`` gives a delivery to one caller at a time, under a lease with a random token; the attempt
  is numbered at the claim.
* ``record`` changes a delivery only if id, state, attempt number and lease token still match; a
  stale worker changes nothing (its result comes back False).
* Every change that people can see enters the change feed in the same transaction.

The hot calls (accept, claim, ping, record, release, rescue, replay) are driver SQL in batches. All
other access is a plain function over a SQLAlchemy connection (``queries``, ``changes``): `read`
runs a query in a short read-only transaction (SQLite: in a thread); `write` runs a change in a
savepoint of the writer's next transaction (SQLite) or in a transaction of its own (PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import Exchange, RetryDecision, RetryState, Trigger
from hooktui.domain.heartbeat import Heartbeat
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.replays import PairSelection

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hooktui.domain.wire.alerts import Alert
    from hooktui.domain.wire.deliveries import Attempt, Delivery
    from hooktui.domain.wire.events import Event
    from hooktui.domain.wire.hooks import Hook
    from hooktui.domain.wire.replays import Replay
    from hooktui.domain.wire.server import DatabaseInfo, ServerInfo
    from hooktui.store.tx import Tx
    from hooktui.store.vault import Vault


P = ParamSpec("P")
R = TypeVar("R")

LEASE_S = 60
"""Twice the longest legal attempt (30 s); any server may rescue the delivery after it."""


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of a producer: validated, with the exact bytes that will be sent."""

    account: AccountId
    type: str
    body: bytes
    key: str | None = None


class Acceptance(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a new event: counts, and whether its key had been used before."""

    id: EventId
    type: str
    account: AccountId
    deliveries: int
    skipped: int
    duplicate: bool = False


class ClaimedDelivery(msgspec.Struct, frozen=True, gc=False):
    """A claimed delivery with everything that an attempt needs except the hook."""

    delivery: DeliveryId
    event: EventId
    event_type: str
    hook: HookId
    account: AccountId
    trigger: Trigger
    number: int
    tries: int
    interruptions: int
    body: bytes

    @property
    def retry_state(self) -> RetryState:
        """The counters from which its retry is decided; a ping stays one when it is resent."""
        trigger = Trigger.PING if self.event_type == PING else self.trigger
        return RetryState(trigger, self.tries, self.interruptions)

    def __repr__(self) -> str:
        """Leave out the body: it is customer data."""
        return f"ClaimedDelivery(delivery={self.delivery}, hook={self.hook}, number={self.number})"


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A finished attempt and the decision on its delivery; ``record`` stores both.

    Times are milliseconds since the epoch. ``retry_after_s`` is the wait that the response asks
    for, ``secret_ids`` are the secrets that signed, newest first. A failure that does not concern
    the breaker leaves it unchanged: fewer attempts at once may help. ``url`` is where the
    attempt was sent; None: nowhere. A result from an earlier URL of the hook does not judge its
    present receiver.
    """

    claim: ClaimedDelivery
    exchange: Exchange
    decision: RetryDecision
    started_at_ms: int
    finished_at_ms: int
    retry_after_s: int | None = None
    secret_ids: tuple[int, ...] = ()
    concerns_breaker: bool = True
    url: str | None = None


@dataclass(frozen=True, slots=True)
class CommitNotice:
    """Changes of a commit that concern the engine or a waiting reader.

    ``due`` maps hooks with a pending delivery to the time (ms) when it is due; ``paused`` says that
    all sending stops (True) or resumes (False).
    """

    hooks_changed: frozenset[HookId] = frozenset()
    due: Mapping[HookId, int] = field(default_factory=dict)
    paused: bool | None = None


Reserve = Callable[[HookId], bool]
"""Called for each new delivery: may it be handed over in memory, leased in its insert?

True takes one place of the hook, a slot or one ahead of them; the engine releases the places when
the commit fails.
"""

Listener = Callable[[CommitNotice], None]


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One line of the change feed: its kind and its object in wire format.

    ``at_ms`` is when the change was committed, ``behind`` the position after it. Attempts come with
    the delivery they belong to. ``change`` is what happened to a hook at that time, with the
    ``reason`` if it was disabled, or the state of an alert; None in a line of an older version.
    """

    kind: str
    at_ms: int
    account: AccountId
    object: Attempt | Delivery | Event | Hook | Replay | Alert | Mapping[str, object]
    delivery: Delivery | None = None
    behind: str = ""
    change: str | None = None
    reason: str | None = None


FeedFilter = Callable[["Connection", Sequence[FeedItem]], Iterator[tuple[FeedItem, bool] | None]]
"""Yields changes in their order, each with whether it passes a filter, and None for a pause.

It runs inside the query that reads them.
"""


@dataclass(frozen=True, slots=True)
class FeedItemPage:
    """Changes after a position; ``reset`` if that position is older than the oldest change.

    Attributes:
        items: the changes, oldest first.
        next: position after them.
        reset: whether some changes after the position were deleted.
        before: of a page from the end, the position before which to continue; None: nothing older.
        searched_to_ms: time of the last change searched; None: none is left to search.
    """

    items: tuple[FeedItem, ...]
    next: str
    reset: bool = False
    before: str | None = None
    searched_to_ms: int | None = None


DeadLetters = Mapping[tuple[HookId, str], int]
"""Numbers of dead letters by hook and cause."""


@dataclass(frozen=True, slots=True)
class Purged:
    """The counts of a purge; ``after`` is where to continue, None when complete.

    ``dead_letters`` counts the deliveries with a cause, by hook and cause, of one transaction.
    """

    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    after: int | None = None
    dead_letters: DeadLetters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """A checked copy of a database in an unnamed file.

    Attributes:
        file: descriptor, open for reading; the holder of the copy closes it.
        size: length in bytes.
        sha256: hash of all bytes.
    """

    file: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ReplayCandidate:
    """A pair of event and hook that a replay may send, as it was found.

    Attributes:
        cursor: of the walk after it.
        event: its event.
        delivery: the delivery by which it was found; None: by its event.
        state: attempts, status and cause of its newest delivery; None without one.
        size: bytes of the event's body.
        skipped: the pairs skipped between the candidate before and this one, by reason.
    """

    cursor: int
    event: EventId
    delivery: DeliveryId | None
    state: tuple[int, str, str | None] | None
    size: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStep:
    """One step of a replay at one hook, as its owner planned it.

    Attributes:
        replay: its id.
        token: of the owner's lease.
        hook: the hook.
        version: the version of the hook with which the candidates were found.
        selection: of the replay.
        cursor: of the hook's walk, as read.
        candidates: the pairs to send, in the order of their cursors.
        end: the cursor after all candidates.
        skipped: the pairs skipped between the last candidate and ``end``, by reason.
        complete: whether nothing is left after ``end``.
        places: reserved for what the step leases; none for an ordered hook.
        show: whether the change feed gets the replay.
    """

    replay: int
    token: int
    hook: HookId
    version: int
    selection: PairSelection
    cursor: int
    candidates: Sequence[ReplayCandidate]
    end: int
    skipped: Mapping[str, int]
    complete: bool
    places: int
    show: bool = False


class StepOutcome(StrEnum):
    """The outcome of a step: done, waiting, to be planned again, or no longer ours to run."""

    DONE = "done"
    WAITS = "waits"
    OUTDATED = "outdated"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ReplayStepResult:
    """The result of a step.

    Attributes:
        outcome: whether it was done; if not, nothing was written.
        claims: the deliveries to send now.
        cursor: of the hook's walk after it.
        walked: whether the hook is done.
        used_up: whether candidates are left out, for the replay has sent as many as it may.
    """

    outcome: StepOutcome
    claims: Sequence[ClaimedDelivery] = ()
    cursor: int = 0
    walked: bool = False
    used_up: bool = False


class Store(Protocol):
    """One store; the module's docstring lists its guarantees.

    Attributes:
        number: this server's number among those that share the store.
        vault: encrypts and decrypts secrets.
        token: of the leases of this server.
        clock: of this store, in milliseconds since the epoch.
    """

    number: int
    vault: Vault
    token: int
    clock: Callable[[], int]

    async def accept(
        self, events: Sequence[NewEvent], reserve: Reserve | None = None
    ) -> tuple[list[Acceptance], list[ClaimedDelivery]]:
        """Store events with their deliveries, all or nothing; return acceptances and claims.

        Raises:
            Refused: a key was used before with another type or body (names which).
            DiskFull: there is no room.
        """
        ...

    @property
    def is_accepting(self) -> bool:
        """Whether an event came in a moment ago."""
        ...

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """The heartbeats of the write transactions."""
        ...

    def check_room(self, size_bytes: int = 0) -> None:
        """Check that there is room for more events of this size.

        Raises:
            DiskFull: there is not; the text names the free space.
        """
        ...

    async def claim(
        self, hook: HookId, limit: int, *, by_age: bool = False
    ) -> list[ClaimedDelivery]:
        """Lease up to ``limit`` due deliveries of an active hook: first attempts, then retries.

        Each group is ordered by due time; ``by_age`` ignores the groups and takes the oldest due.
        """
        ...

    async def claim_ping(self, hook: HookId, body: bytes) -> ClaimedDelivery:
        """Store a ping event with its delivery, already leased; works on inactive hooks.

        Raises:
            NotFound: there is no such hook.
        """
        ...

    async def record(self, results: Sequence[AttemptResult]) -> list[bool]:
        """Store attempts and new states in one transaction; False where the fence did not hold."""
        ...

    async def release(self, claims: Sequence[ClaimedDelivery]) -> None:
        """Return unsent claims to the queue, uncounted and due at once."""
        ...

    async def rescue(self, held: Collection[DeliveryId] = ()) -> int:
        """Record attempts whose lease has expired as interrupted; return how many.

        ``held`` are deliveries of this server that are left out: it is still sending them, or has
        not stored their results, because it was stopped for longer than a lease.
        """
        ...

    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due."""
        ...

    @property
    def expired(self) -> DeadLetters:
        """The dead letters that retention deleted at this server since its start."""
        ...

    async def replay(self, step: ReplayStep) -> ReplayStepResult:
        """Create the deliveries of a step of a replay, already leased, and move its cursor.

        Only the owner of a running replay can, from the cursor that it read.
        """
        ...

    def hooks(self) -> Mapping[HookId, LiveHook]:
        """Return the live hooks (deleted ones excluded), as of the last commit seen."""
        ...

    def alert_hooks(self) -> Set[HookId]:
        """Return the hooks that subscribe to operator alerts, as of the last commit seen."""
        ...

    async def look_at_alerts(self, keep: RetentionPeriods) -> None:
        """Open, end and announce the alerts that depend on time."""
        ...

    def count_hooks(self, account: AccountId) -> int:
        """Return how many hooks an account has, as of the last commit seen."""
        ...

    @property
    def paused(self) -> bool:
        """Whether all sending is paused, so that nothing is claimed."""
        ...

    async def signing_secrets(self, hook: HookId, ids: Sequence[int]) -> list[LiveSecret]:
        """Return the given secrets of a hook that still exist, even expired ones, newest first."""
        ...

    def subscribe(self, listener: Listener) -> None:
        """Call a listener after each commit that concerns it, in the event loop's thread."""
        ...

    async def read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query of ``hooktui.store.queries`` in a short read-only transaction."""
        ...

    async def own_read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query of the server itself, one at a time; those of `read` do not delay it."""
        ...

    async def scan(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do the same with a query that may take a second; at most one of them is before others."""
        ...

    async def look_up(self, query: Callable[[Connection], R]) -> R:
        """Run a quick query that calls wait for; those of `read` do not delay it."""
        ...

    async def write(
        self, change: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a change of ``hooktui.store.changes`` in a write transaction, all or nothing."""
        ...

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
        ...

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
        ...

    def feed_end(self) -> str:
        """Return the position after the newest change."""
        ...

    async def wait_for_change(self, after: str, timeout_s: float) -> None:
        """Return when there may be changes after a position, on timeout, or on close."""
        ...

    async def purge(
        self, before_ms: int, *, within_s: float, account: AccountId | None = None, after: int = 0
    ) -> Purged:
        """Delete events from before a time with all that belongs to them, for ``within_s`` at most.

        An event stays while one of its deliveries is not final or ended at or after that time.
        """
        ...

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
        ...

    async def info(self) -> DatabaseInfo:
        """Return the kind, place and size of the database."""
        ...

    async def others(self) -> list[ServerInfo]:
        """Return the other servers that work on this store now."""
        ...

    async def close(self) -> None:
        """Finish accepted operations, release the files, and wake waiting readers of the feed."""
        ...


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """Retention periods in days; 0: unlimited."""

    days: float = 30
    bodies_days: float = 7
