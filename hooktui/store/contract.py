"""The store as the rest of the server sees it, and what it promises.

Promises, each held by SQLite and PostgreSQL alike:

* ``accept`` returns only after event, deliveries and idempotency key are on disk, in one
  transaction; nothing of a refused or failed call is stored.
* ``claim`` gives a delivery to one caller at a time, under a lease with a random token; the attempt
  is numbered at the claim.
* ``record`` changes a delivery only if id, state, attempt number and lease token still match; a
  stale worker changes nothing (its result comes back False).
* Every change that people can see enters the change feed in the same transaction.

The hot calls (accept, claim, record, release, rescue) are driver SQL in batches. Everything that is
not per delivery is a plain function over a SQLAlchemy connection (``queries``, ``changes``), run by
``read`` in a short read-only transaction off the event loop, or by ``write`` in the writer's next
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from hooktui.domain.deliveries import Exchange, RetryDecision, Trigger
from hooktui.domain.heartbeat import Heartbeat
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId
from hooktui.domain.live_hook import LiveHook, LiveSecret

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hooktui.domain.wire.deliveries import Attempt, Delivery
    from hooktui.domain.wire.events import Event
    from hooktui.domain.wire.hooks import Hook
    from hooktui.domain.wire.server import DatabaseInfo, ServerInfo
    from hooktui.store.tx import Tx
    from hooktui.store.vault import Vault


P = ParamSpec("P")
R = TypeVar("R")

LEASE_S = 60
"""A lease outlives the longest legal attempt (30 s) twice; after it, anybody may rescue the row."""


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that a producer offers: checked, and its bytes exactly as they will be sent."""

    account: AccountId
    type: str
    body: bytes
    key: str | None = None


class Acceptance(msgspec.Struct, frozen=True, gc=False):
    """What became of an offer; counts, and whether the key had been seen before."""

    id: EventId
    type: str
    account: AccountId
    deliveries: int
    skipped: int
    duplicate: bool = False


class ClaimedDelivery(msgspec.Struct, frozen=True, gc=False):
    """A claimed delivery: all that an attempt needs besides the hook itself."""

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

    def __repr__(self) -> str:
        """Leave out the body: it is somebody's data."""
        return f"ClaimedDelivery(delivery={self.delivery}, hook={self.hook}, number={self.number})"


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A finished attempt and the decision on its delivery; ``record`` stores both.

    Times are milliseconds since the epoch. ``retry_after_s`` is what the response asks for,
    ``secret_ids`` are the secrets that signed, newest first.
    """

    job: ClaimedDelivery
    exchange: Exchange
    decision: RetryDecision
    started_at_ms: int
    finished_at_ms: int
    retry_after_s: int | None = None
    secret_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CommitNotice:
    """What a commit changed that the engine or a waiting reader wants to know.

    ``due`` names hooks that have a pending delivery, with the time (ms) when it is due; ``paused``
    says that all sending stops (True) or goes on (False) from now on.
    """

    hooks_changed: frozenset[HookId] = frozenset()
    due: Mapping[HookId, int] = field(default_factory=dict)
    paused: bool | None = None


Reserve = Callable[[HookId], bool]
"""Asked for each new delivery: may it be handed over in memory, leased in its insert?

True takes one free slot of the hook; the engine gives slots back itself when the commit fails.
"""

Listener = Callable[[CommitNotice], None]


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One line of the change feed: its kind and the object as it goes over the wire.

    ``at_ms`` is when the change was committed, ``behind`` the position after it. Attempts come with
    the delivery they belong to. ``change`` is what happened to a hook, whatever it is now, with the
    ``reason`` where it was disabled; None in a line that an older version wrote.
    """

    kind: str
    at_ms: int
    account: AccountId
    object: Attempt | Delivery | Event | Hook | Mapping[str, object]
    delivery: Delivery | None = None
    behind: str = ""
    change: str | None = None
    reason: str | None = None


Sieve = Callable[["Connection", Sequence[FeedItem]], Iterator[tuple[FeedItem, bool] | None]]
"""Yields some changes in their order, each with whether it fits a filter, and None for a pause.

It runs inside the query that reads them.
"""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Changes after a position; ``reset`` when that position is older than what is kept."""

    items: tuple[FeedItem, ...]
    next: str
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge dropped; ``after`` is where the next one goes on, None when nothing is left."""

    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    after: int | None = None


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """A checked copy of a database, on disk under no name.

    Attributes:
        file: its descriptor, open for reading; the holder of the copy closes it.
        size: its bytes.
        sha256: of all of them.
    """

    file: int
    size: int
    sha256: bytes


class Store(Protocol):
    """One store; see the module's docstring for its promises."""

    async def accept(
        self, offers: Sequence[NewEvent], reserve: Reserve | None = None
    ) -> tuple[list[Acceptance], list[ClaimedDelivery]]:
        """Store events with their deliveries, all or nothing; return answers and handed-over jobs.

        Raises:
            Refused: a key was used before with another type or body (names which).
            DiskFull: there is no room.
        """
        ...

    @property
    def number(self) -> int:
        """This server's number among those that share the store."""
        ...

    @property
    def clock(self) -> Callable[[], int]:
        """What tells the time of this store, in milliseconds since the epoch."""
        ...

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """What tells whether transactions move."""
        ...

    @property
    def vault(self) -> Vault:
        """What seals and opens secrets."""
        ...

    def check_room(self, size_bytes: int = 0) -> None:
        """Refuse when there is no room for more events, of so many bytes.

        Raises:
            DiskFull: says how much there is.
        """
        ...

    async def claim(
        self, hook: HookId, most: int, *, by_age: bool = False
    ) -> list[ClaimedDelivery]:
        """Lease up to ``most`` due deliveries of an active hook: first tries, then retries.

        Among each of them the oldest due goes first; ``by_age``: the oldest due of all.
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

    async def release(self, jobs: Sequence[ClaimedDelivery]) -> None:
        """Give unsent jobs back, uncounted and due at once."""
        ...

    async def rescue(self) -> int:
        """Record attempts whose lease has run out as interrupted; return how many."""
        ...

    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due."""
        ...

    def hooks(self) -> Mapping[HookId, LiveHook]:
        """Return the live hooks (not the deleted ones), as of the last commit seen."""
        ...

    def count_hooks(self, account: AccountId) -> int:
        """Return how many hooks an account has, as of the last commit seen."""
        ...

    @property
    def paused(self) -> bool:
        """Whether people paused all sending, so that nothing is claimed."""
        ...

    async def signing_secrets(self, hook: HookId, ids: Sequence[int]) -> list[LiveSecret]:
        """Return those of a hook's secrets that still exist, also expired ones, newest first."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call a listener after each commit that concerns it, in the event loop's thread."""
        ...

    async def read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query of ``hooktui.store.queries`` in a short read-only transaction."""
        ...

    async def write(
        self, change: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a change of ``hooktui.store.changes`` in the next write transaction."""
        ...

    async def feed(
        self,
        after: str | None,
        limit: int,
        account: AccountId | None = None,
        sieve: Sieve | None = None,
    ) -> FeedPage:
        """Return up to ``limit`` changes after a position (None: from the oldest that is kept).

        A page ends at 1 MiB; with a sieve, after a search of 2 s as well.

        Raises:
            Refused: the position is not one of this store's.
        """
        ...

    async def feed_tail(
        self,
        limit: int,
        account: AccountId | None = None,
        sieve: Sieve | None = None,
    ) -> FeedPage:
        """Return the newest ``limit`` changes (that pass the sieve), oldest first."""
        ...

    def feed_end(self) -> str:
        """Return the position after the newest change."""
        ...

    async def wait_for_change(self, after: str, timeout_s: float) -> None:
        """Return once there may be changes after a position, or the time is up, or on close."""
        ...

    async def purge(
        self, before_ms: int, *, within_s: float, account: AccountId | None = None, after: int = 0
    ) -> Purged:
        """Drop events from before a time with all that belongs to them, for so long at most.

        An event stays while one of its deliveries waits, or ended at or after that time.
        """
        ...

    def backup(self, stopped: Callable[[], bool], /) -> AbstractAsyncContextManager[DatabaseCopy]:
        """Copy the database, checked; the copy is gone when the block ends.

        Args:
            stopped: asked in a thread, now and then, whether to give up.

        Raises:
            Refused: the data lies where another program copies it.
            Conflict: another backup is at work.
            DiskFull: there is no room.
            Unavailable: it was given up.
        """
        ...

    async def info(self) -> DatabaseInfo:
        """Return what the database is, and how big."""
        ...

    async def others(self) -> list[ServerInfo]:
        """Return the other servers that work on this store now."""
        ...

    async def close(self) -> None:
        """Finish what was taken, release the files, and wake whoever waits for changes."""
        ...


@dataclass(frozen=True, slots=True)
class RetentionPeriods:
    """How long things are kept, in days; 0: for ever."""

    days: float = 30
    bodies_days: float = 7
