"""Limits for each caller: calls, audited denials, searches, long polls and reads.

Rates apply to each token, and to each user of the Unix socket except root and the server's owner,
who could stop the server anyway; their limit of long polls is higher, so that a faulty program of
theirs does not delay the others. Each of several servers applies them separately.

The audit trail is never shortened, so callers must not fill it with denials: the same denial is
recorded once a minute, and each user has a quota that refills slowly; a caller without role or
token has a small one. The number of omitted denials is in the next entry and in the log.

A search (a list or the feed with ``q``, a dry run, decisions) runs in a thread, or in slices of the
event loop, for as long as its caller waits. Threads share one interpreter with the loop: one busy
thread beside it raises the p99 of its wake-ups from 1.2 to 9.7 ms, four to 98 ms. So a caller has
one search at a time, and a server two, plans of replays included; the others wait in turns.

All reads, also those of searches and plans, share the readers of the store, four in both stores.
So that one caller cannot take them all, it has `MAX_READS` at a time, also root and the server's
owner; its others wait in turns. Reads of a search or a plan go first, since other callers wait for
its slot.

All tokens that are bound to one account are one caller to searches, plans and reads: an admin of
that account creates any number of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from starlette.requests import ClientDisconnect, Request

from hooktui.api.access import Caller, caller_of
from hooktui.domain.errors import Conflict, TooManyRequests
from hooktui.domain.rates import TokenBucket, burst_of

R = TypeVar("R")

BURST_S: Final = 2.0
"""The burst after a pause, in seconds of the rate: clients work in batches."""
_MAX_KEPT: Final = 10_000


class RateLimiter:
    """Limits the rate of each caller.

    Args:
        per_s: the average limit per second; 0: none.
        what: the counted things, for the error.
        setting: the name of the setting that holds the limit, for the error.
        clock: monotonic seconds.
    """

    def __init__(
        self, per_s: float, what: str, setting: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst_of(per_s, BURST_S)
        self._what = what
        self._setting = setting
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, caller: Caller, count: int = 1) -> None:
        """Count a request of a caller.

        A batch larger than the burst passes if the bucket is not empty; the excess is a debt.

        Raises:
            TooManyRequests: the caller has used up its rate; says when to try again.
        """
        if self._per_s == 0 or caller.is_owner:
            return
        now_ms = int(self._clock() * 1000)
        bucket = self._buckets.get(caller.user)
        if bucket is None:
            bucket = TokenBucket.full(self._per_s, now_ms, self._burst)
            self._buckets[caller.user] = bucket
            if len(self._buckets) > _MAX_KEPT:
                self._forget_full(now_ms)
        if bucket.whole(now_ms) < 1:
            wait_s = max(ceil((bucket.next_at_ms(now_ms) - now_ms) / 1000), 1)
            raise TooManyRequests(
                f"{caller.user} sends more than {self._per_s:g} {self._what} a second; try again"
                f" in {wait_s} s, or have an admin raise {self._setting}",
                wait_s,
            )
        bucket.take(count)

    def _forget_full(self, now_ms: int) -> None:
        """Drop full buckets: they are equal to new ones."""
        self._buckets = {
            user: bucket for user, bucket in self._buckets.items() if not bucket.is_full(now_ms)
        }


SAME_AGAIN_S: Final = 60.0
_MAX_DENIALS: Final = 1000


@dataclass(frozen=True, slots=True)
class DenialQuota:
    """How many denials are recorded immediately, then one per interval; 400 bytes each."""

    burst: int
    refill_s: float


USERS: Final = DenialQuota(1000, 10.0)
"""For each user with a role: at worst 3 MB a day."""
UNKNOWN_CALLERS: Final = DenialQuota(100, 60.0)


@dataclass(slots=True)
class _Quota:
    """The quota of one user, and the denials omitted since the last recorded one."""

    bucket: TokenBucket
    omitted: int = 0


@dataclass(slots=True)
class DenialLog:
    """Decides which denials are recorded in the audit trail.

    Attributes:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _recorded: dict[tuple[str, ...], float] = field(default_factory=dict)
    _quotas: dict[str, _Quota] = field(default_factory=dict)

    def admit(self, limit: DenialQuota, user: str, *denial: str) -> int | None:
        """Return how many denials were omitted before this one; None: omit it, too.

        Args:
            limit: the quota of the user.
            user: the caller who was refused.
            denial: distinguishes the denials of one caller.
        """
        now_s = self.clock()
        now_ms = int(now_s * 1000)
        quota = self._quota(user, limit, now_ms)
        key = (user, *denial)
        same_s = self._recorded.get(key)
        repeated = same_s is not None and now_s - same_s < SAME_AGAIN_S
        if repeated or quota.bucket.whole(now_ms) < 1:
            quota.omitted += 1
            return None
        if len(self._recorded) >= _MAX_DENIALS:
            self._recorded.clear()
        self._recorded[key] = now_s
        quota.bucket.take(1)
        omitted, quota.omitted = quota.omitted, 0
        return omitted

    def _quota(self, user: str, limit: DenialQuota, now_ms: int) -> _Quota:
        quota = self._quotas.get(user)
        if quota is None:
            if len(self._quotas) >= _MAX_DENIALS:
                self._quotas.clear()
            bucket = TokenBucket.full(1 / limit.refill_s, now_ms, limit.burst)
            quota = self._quotas[user] = _Quota(bucket)
        return quota


MAX_SEARCHES: Final = 2
"""Concurrent searches and plans of replays of a server."""
MAX_WAITING: Final = 20
"""Waiting searches of a caller."""
MAX_POLLS: Final = 10
"""Concurrent long polls of a caller: each change wakes all of them."""
MAX_POLLS_OF_OWNER: Final = 100
"""Those of root and the server's owner: consoles of several people may use one of these users."""


@dataclass(slots=True, weakref_slot=True)
class _CallerCounts:
    """The searches and long polls of one caller."""

    searches: int = 0
    polls: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    turn_of_plans: asyncio.Lock = field(default_factory=asyncio.Lock)


class Searches:
    """Limits the searches and the long polls of each caller, and runs its plan of a replay."""

    def __init__(self) -> None:
        # A caller is forgotten with the last of its calls.
        self._callers = WeakValueDictionary[str, _CallerCounts]()
        self._plans: dict[str, asyncio.Task[Any]] = {}
        self._slots = asyncio.Semaphore(MAX_SEARCHES)

    @asynccontextmanager
    async def search(
        self, caller: Caller, *, gone: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncIterator[None]:
        """Wait for a slot, and hold it during the block.

        ``gone`` returns whether the caller has left, for a search that waited.

        Raises:
            TooManyRequests: too many searches of the caller are waiting.
            ClientDisconnect: the caller left while its search waited.
        """
        mine = self._callers.setdefault(caller.share, _CallerCounts())
        if mine.searches > MAX_WAITING:
            raise TooManyRequests(
                f"{MAX_WAITING} searches of {caller.share} are waiting; wait for"
                " their responses, or narrow them"
            )
        mine.searches += 1
        waits = mine.turn.locked() or self._slots.locked()
        try:
            async with mine.turn, self._slots:
                if waits and gone is not None and await gone():
                    raise ClientDisconnect
                yield
        finally:
            mine.searches -= 1

    async def plan(self, caller: Caller, plan: Coroutine[Any, Any, R]) -> R:
        """Run the plan of a replay when there is a slot; it replaces an older one of the caller.

        Raises:
            Conflict: the caller has asked for a newer plan.
        """
        older = self._plans.get(caller.user)
        if older is not None:
            older.cancel()
        task: asyncio.Task[R] = asyncio.create_task(self._in_turn(caller, plan))
        task.add_done_callback(lambda _: plan.close())  # it may not have begun
        self._plans[caller.user] = task
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # the caller of this plan is gone
            raise Conflict("a newer plan of the same caller replaced this one") from None
        finally:
            if self._plans.get(caller.user) is task:
                del self._plans[caller.user]

    async def _in_turn(self, caller: Caller, plan: Coroutine[Any, Any, R]) -> R:
        mine = self._callers.setdefault(caller.share, _CallerCounts())
        async with mine.turn_of_plans, self._slots:
            return await plan

    @contextmanager
    def poll(self, caller: Caller) -> Iterator[None]:
        """Count a long poll while it lasts.

        Raises:
            TooManyRequests: the caller has reached its limit.
        """
        mine = self._callers.setdefault(caller.user, _CallerCounts())
        most = MAX_POLLS_OF_OWNER if caller.is_owner else MAX_POLLS
        if mine.polls >= most:
            raise TooManyRequests(
                f"{caller.user} has {most} long polls of the feed open, the limit for one"
                " caller; end one, or use a token for each program"
            )
        mine.polls += 1
        try:
            yield
        finally:
            mine.polls -= 1


MAX_READS: Final = 2
"""Concurrent reads of a caller: half of the readers of a store."""


@dataclass(slots=True)
class _Reading:
    """The reads of one caller: how many run, and those that wait."""

    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Reads:
    """Runs the reads of callers, `MAX_READS` of each at a time."""

    def __init__(self) -> None:
        self._callers: dict[str, _Reading] = {}

    async def run(
        self,
        caller: Caller,
        read: Callable[[], Awaitable[R]],
        *,
        first: bool = False,
        gone: Callable[[], Awaitable[bool]] | None = None,
    ) -> R:
        """Run a read when it is its turn.

        ``first``: before the others of the caller that wait. ``gone`` returns whether the caller
        has left, for a read that waited.

        Raises:
            ClientDisconnect: the caller left while its read waited.
        """
        reading = self._callers.setdefault(caller.share, _Reading())
        waits = reading.running >= MAX_READS
        if waits:
            await self._wait(caller.share, reading, first=first)
        else:
            reading.running += 1
        try:
            if waits and gone is not None and await gone():
                raise ClientDisconnect
            return await read()
        finally:
            self._end(caller.share, reading)

    async def _wait(self, user: str, reading: _Reading, *, first: bool) -> None:
        """Wait until a read that ends hands its slot over."""
        turn = asyncio.get_running_loop().create_future()
        (reading.waiting.appendleft if first else reading.waiting.append)(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it has its slot already
                self._end(user, reading)
            raise

    def _end(self, user: str, reading: _Reading) -> None:
        while reading.waiting:
            turn = reading.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        reading.running -= 1
        if not reading.running:
            del self._callers[user]


def searching(request: Request, parsed: object | None) -> AbstractAsyncContextManager[None]:
    """Return a context that holds a slot if a list is searched; None: it is not."""
    if parsed is None:
        return nullcontext()
    return search_turn(request)


@asynccontextmanager
async def search_turn(request: Request) -> AsyncIterator[None]:
    """Wait for a slot for a search, and hold it during the block.

    Raises:
        TooManyRequests: too many searches of the caller are waiting.
        ClientDisconnect: the caller left while its search waited.
    """
    searches: Searches = request.app.state.service.searches
    async with searches.search(caller_of(request), gone=request.is_disconnected):
        go_first(request)
        yield


_FIRST: Final = "hooktui.first"


def go_first(request: Request) -> None:
    """Let the reads of a request, which holds a slot, precede the other reads of its caller."""
    request.scope[_FIRST] = True


def goes_first(request: Request) -> bool:
    """Return whether the reads of a request precede the others of its caller."""
    return _FIRST in request.scope
