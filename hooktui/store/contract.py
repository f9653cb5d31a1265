"""The guarantees of a store, and the values that it accepts and returns.

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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from hooktui.domain.catalogue import PING
from hooktui.domain.deliveries import Exchange, RetryDecision, RetryState, Trigger
from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId
from hooktui.domain.replays import PairSelection

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hooktui.domain.wire.alerts import Alert
    from hooktui.domain.wire.deliveries import Attempt, Delivery
    from hooktui.domain.wire.events import Event
    from hooktui.domain.wire.hooks import Hook
    from hooktui.domain.wire.replays import Replay

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
    attempt was sent; None: nowhere. A result from an earlier URL of the hook says nothing about
    its present receiver.
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

    ``at_ms`` is when the change was committed, ``next`` the position after it. Attempts come with
    the delivery they belong to. ``change`` is what happened to a hook at that time, with the
    ``reason`` if it was disabled, or the state of an alert; None in a line of an older version.
    """

    kind: str
    at_ms: int
    account: AccountId
    object: Attempt | Delivery | Event | Hook | Replay | Alert | Mapping[str, object]
    delivery: Delivery | None = None
    next: str = ""
    change: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """A filter of changes.

    Attributes:
        passing: yields changes in their order, each with whether it passes, and None for a pause;
            it runs inside the query that reads them.
        ids: public ids of events and deliveries, if only changes of these can pass; the others are
            skipped unread.
    """

    passing: Callable[[Connection, Sequence[FeedItem]], Iterator[tuple[FeedItem, bool] | None]]
    ids: Sequence[str] | None = None


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

    ``file`` is its descriptor, open for reading; the holder of the copy closes it.
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
        token: of the owner's lease.
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
        in_line: the delivery that waits in the line of an ordered hook now.
    """

    outcome: StepOutcome
    claims: Sequence[ClaimedDelivery] = ()
    cursor: int = 0
    walked: bool = False
    used_up: bool = False
    in_line: DeliveryId | None = None
