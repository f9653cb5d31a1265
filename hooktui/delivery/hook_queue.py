"""The queue of one hook: its slots, its due deliveries, and those claimed ahead of its slots.

A hook with few slots would need many small claims. It therefore claims ahead: at most as many
deliveries as it finished in the last second are leased before they have a slot. Those that waited
for two seconds go back to the store, and so do all of them when the hook changes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from hooktui.domain.adaptive_limit import FIRST_LIMIT, AdaptiveLimit
from hooktui.domain.hook_failures import probe_at_ms, wait_after_s
from hooktui.domain.limit_history import LimitHistory
from hooktui.domain.observation import Observation
from hooktui.domain.rates import BURST_S, SPACED_S, TokenBucket, burst_of

if TYPE_CHECKING:
    from hooktui.domain.ids import HookId
    from hooktui.store.contract import ClaimedDelivery

MAX_PER_CLAIM: Final = 100
"""Rows per claim: a batch of 100 costs hardly more than one of 10 (measured)."""
BY_AGE_EVERY: Final = 10
"""One claim in this many takes the oldest due, so that first attempts never starve retries."""
MAX_AHEAD: Final = 500
LONGEST_AHEAD_MS: Final = 2_000
"""No delivery waits longer for a slot, so its lease of 60 s outlasts the longest attempt (30 s)."""
_REPLAY_WAITS_MS: Final = 1_000
"""A replay that asked for a slot within this time counts as a delivery that waits for one."""
EMPTY: Final[deque[tuple[int, ClaimedDelivery]]] = deque()
"""Shared by all queues in which nothing waits: a deque for each of 100,000 hooks takes 76 MB."""
LONGEST_HOLD_MS: Final = 61_000
"""A hold that ends later was set before the clock was set back, and is over. Holds of 60 s are the
longest; PostgreSQL's clock may seem to go back by milliseconds."""


@dataclass(slots=True)
class _LastSecond:
    """Counts what happened in the current second and in the one before."""

    second: int = 0
    current: int = 0
    previous: int = 0

    def add(self, now_ms: int) -> None:
        self._advance(now_ms)
        self.current += 1

    def count(self, now_ms: int) -> int:
        self._advance(now_ms)
        return max(self.current, self.previous)

    def _advance(self, now_ms: int) -> None:
        second = now_ms // 1000
        if second != self.second:
            self.previous = self.current if second == self.second + 1 else 0
            self.current, self.second = 0, second


@dataclass(slots=True)
class HookQueue:
    """The slots and due times of one hook; times in ms since the epoch.

    Attributes:
        slots: maximum number of deliveries in flight.
        active: whether deliveries may start.
        in_flight: taken slots.
        starting: the part of ``in_flight`` whose deliveries have not arrived from the store yet.
        ahead: places beyond the slots, of ``waiting`` and of deliveries that have not arrived yet.
        waiting: deliveries claimed ahead, oldest first, with the times of their arrival.
        finished: attempts that ended.
        due_ms: when its next pending delivery is due, if known.
        claiming: whether a claim is in progress.
        rate_per_s: its own rate, if it has one.
        bucket: limits its rate: to its own, or to a lower one after 429 responses.
        alarms_ms: when time alone may make it ready, the next one last.
        open_until_ms: set while its breaker is open; from then on one delivery at a time may
            start, as the probe.
        claims: the number of claims.
        slow: whether its last attempt was slow.
        held_until_ms: no delivery starts before it; ``hold_s`` is the length of that wait, if this
            machine was the cause.
        failures: overloads in a row, of attempts that began at a limit of 1.
        cap: of an adaptive limit; None: ``slots`` is fixed.
        limit: the adaptive limit, once an attempt began.
        receiver: what ``limit`` was found for.
        history: of the adaptive limit, once it changed.
        cut_logged_s: when a cut of the limit was last logged (monotonic).
        closed_until_ms: no delivery starts before it, because the receiver responded with 429.
        kept: slots kept free for a replay that waited for a long time: 0 or 1.
        replay_waited_ms: when a replay last wanted more slots than it may have.
        ready_queue: the ready queues that contain it, in ``group``.
        share: of its account.
    """

    hook: HookId
    slots: int
    active: bool
    in_flight: int = 0
    starting: int = 0
    ahead: int = 0
    waiting: deque[tuple[int, ClaimedDelivery]] = field(default_factory=lambda: EMPTY, repr=False)
    finished: _LastSecond = field(default_factory=_LastSecond, repr=False)
    due_ms: int | None = None
    claiming: bool = False
    rate_per_s: float | None = None
    bucket: TokenBucket | None = None
    alarms_ms: tuple[int, ...] = ()
    open_until_ms: int | None = None
    claims: int = 0
    slow: bool = False
    held_until_ms: int | None = None
    hold_s: float = 0.0
    failures: int = 0
    cap: int | None = None
    limit: AdaptiveLimit | None = field(default=None, repr=False)
    receiver: object = field(default=None, repr=False)
    history: LimitHistory | None = field(default=None, repr=False)
    cut_logged_s: float | None = None
    closed_until_ms: int | None = None
    kept: int = 0
    replay_waited_ms: int | None = None
    ready_queue: ReadyQueues | None = field(default=None, repr=False, compare=False)
    group: int = 0
    share: AccountShare = field(default_factory=lambda: AccountShare(), repr=False, compare=False)

    @property
    def by_age(self) -> bool:
        """Whether the claim in progress takes the oldest due, even before first attempts.

        The contract defines the oldest due delivery as the probe of a breaker.
        """
        return self.open_until_ms is not None or self.claims % BY_AGE_EVERY == 0

    @property
    def free(self) -> int:
        """How many more deliveries may start."""
        return max(self.slots - self.in_flight - self.kept, 0)

    def may_claim_ahead(self, now_ms: int) -> int:
        """Return how many deliveries may be claimed beyond the slots.

        0 if they must go one after another, or at a rate, or only as a probe.
        """
        if self.slots == 1 or self.bucket is not None or self.open_until_ms is not None:
            return 0
        return max(min(self.finished.count(now_ms), MAX_AHEAD) - self.ahead, 0)

    def fix(self, slots: int) -> None:
        """Allow a fixed number of deliveries in flight."""
        self.slots, self.cap, self.limit, self.history = slots, None, None, None
        self.closed_until_ms = None

    def adapt(self, cap: int, receiver: object) -> None:
        """Allow as many deliveries in flight as a receiver takes, up to a maximum."""
        if self.cap is None or self.receiver != receiver:
            self.limit, self.receiver, self.closed_until_ms = None, receiver, None
            self.failures = 0
        self.cap = cap
        if self.limit is None:
            self.slots = min(FIRST_LIMIT, cap)
        else:
            self.limit.cap = cap
            self.slots = self.limit.limit

    @property
    def may_lower(self) -> bool:
        """Whether its limit can be lowered: it is adaptive, and more than 1."""
        return self.cap is not None and self.slots > 1

    def began(self, now_s: float) -> None:
        """Note that an attempt began."""
        if self.cap is not None:
            if self.limit is None:
                self.limit = AdaptiveLimit(self.cap, since_s=now_s)
            self.limit.began(now_s, self.in_flight - self.starting)

    def observe(self, observed: Observation, now_ms: int, *, may_grow: bool = True) -> bool:
        """Adapt the limit to an attempt; return whether it was cut, or the hook is closed."""
        limit = self.limit
        if limit is None:
            return False
        in_flight = self.in_flight - self.starting
        limit.ended(observed, in_flight=in_flight, saturated=may_grow and self.is_saturated(now_ms))
        before, self.slots = self.slots, limit.limit
        history = self.history
        if self.slots != (before if history is None else history.limit):
            if history is None:
                self.history = history = LimitHistory(now_ms, before)
            history.change(now_ms, self.slots)
        closed_s = limit.rate.closed_until_s - observed.at_s
        if closed_s > 0:
            self.closed_until_ms = now_ms + ceil(closed_s * 1000)
        if limit.rate.per_s is not None or self.bucket is not None:
            self.change_rate(now_ms)
        return self.slots < before or closed_s > 0

    def failed_alone(self, now_ms: int) -> None:
        """Note an overload that no lower limit can prevent; wait if there were many in a row."""
        self.failures += 1
        wait_s = wait_after_s(self.failures)
        if wait_s:
            self.held_until_ms = now_ms + round(wait_s * 1000)

    def earliest_ms(self, now_ms: int) -> int:
        """Return the earliest time when a delivery may start with a free slot."""
        at_ms = now_ms if self.waiting or self.due_ms is None else self.due_ms
        if self.open_until_ms is not None:
            at_ms = max(at_ms, probe_at_ms(self.open_until_ms, now_ms))
        at_ms = max(at_ms, self.held_until(now_ms))
        if at_ms <= now_ms and self.bucket is not None:
            return self.bucket.next_at_ms(now_ms)
        return at_ms

    def room(self, now_ms: int) -> int:
        """Return how many waiting or due deliveries may start now."""
        is_due = self.due_ms is not None and self.due_ms <= now_ms and not self.claiming
        if not self.active or self.is_held(now_ms) or not (is_due or self.waiting):
            return 0
        room = min(self.free, MAX_PER_CLAIM if is_due else len(self.waiting))
        if self.open_until_ms is not None:
            room = min(room, self.probe_room(self.open_until_ms, now_ms))
        if self.bucket is None:
            return room
        return max(min(room, self.bucket.whole(now_ms) - self.kept), 0)

    def probe_room(self, open_until_ms: int, now_ms: int) -> int:
        """Return how many may start while its breaker is open: its probe, if it is time for one."""
        return int(not self.in_flight and probe_at_ms(open_until_ms, now_ms) <= now_ms)

    def is_due(self, now_ms: int) -> bool:
        """Return whether deliveries wait in the queue for a slot now, or are being claimed."""
        due = self.due_ms is not None and self.due_ms <= now_ms
        return due or self.claiming or bool(self.waiting)

    def wants_ahead(self, now_ms: int) -> int:
        """Return how many due deliveries to claim ahead: none until half of the places are free."""
        if self.claiming or self.due_ms is None or self.due_ms > now_ms or not self.active:
            return 0
        places = 0 if self.is_held(now_ms) else self.may_claim_ahead(now_ms)
        return places if places > self.ahead else 0

    def is_held(self, now_ms: int) -> bool:
        """Return whether nothing starts for a while."""
        return self.held_until(now_ms) > now_ms

    def held_until(self, now_ms: int) -> int:
        """Return the time before which nothing starts; now if there is none."""
        if self.held_until_ms is None and self.closed_until_ms is None:
            return now_ms
        until_ms = now_ms
        for hold_ms in (self.held_until_ms, self.closed_until_ms):
            if hold_ms is not None and until_ms < hold_ms <= now_ms + LONGEST_HOLD_MS:
                until_ms = hold_ms
        return until_ms

    def is_saturated(self, now_ms: int) -> bool:
        """Return whether deliveries wait for a slot, and not for their rate."""
        if self.bucket is not None and self.bucket.whole(now_ms) < 1:
            return False
        waited_ms = self.replay_waited_ms
        if waited_ms is not None and 0 <= now_ms - waited_ms < _REPLAY_WAITS_MS:
            return True
        return self.is_due(now_ms)

    def was_closed(self, now_ms: int) -> bool:
        """Return whether a slot was taken before the hook was closed.

        It was disabled meanwhile, its breaker opened, a 429 came, or its limit was cut.
        """
        if not self.active or (self.in_flight > self.slots and self.limit is not None):
            return True
        if self.open_until_ms is not None and probe_at_ms(self.open_until_ms, now_ms) > now_ms:
            return True
        return self.is_held(now_ms)

    def reopen_if_over(self, now_ms: int) -> None:
        """Start deliveries again once the wait of a 429 is over, at the rate that was accepted."""
        closed_ms = self.closed_until_ms
        if closed_ms is None or now_ms < closed_ms <= now_ms + LONGEST_HOLD_MS:
            return
        self.closed_until_ms = None
        if self.limit is not None:
            self.limit.rate.reopen(self.limit.rate.closed_until_s)
            self.change_rate(now_ms)

    def change_rate(self, now_ms: int) -> None:
        """Adapt the bucket to the hook's own rate and to the one that its receiver allows."""
        rates = [self.rate_per_s, None if self.limit is None else self.limit.rate.per_s]
        rate = min((allowed for allowed in rates if allowed is not None), default=None)
        burst_s = BURST_S if rate == self.rate_per_s else SPACED_S
        if rate is None:
            self.bucket = None
        elif self.bucket is None:
            self.bucket = TokenBucket.full(rate, now_ms, burst_of(rate, burst_s))
        elif self.bucket.rate_per_s != rate:
            self.bucket.change_rate(rate, now_ms, burst_s)

    def leave_queue(self) -> None:
        """Leave the ready queues, if contained."""
        if self.ready_queue is not None:
            self.ready_queue.remove(self)


_GROUPS: Final = 8
NEVER: Final = _GROUPS
"""The group of an empty queue: after all others."""


class ReadyQueues:
    """Hook queues that are ready, in turn; each is contained once.

    They are grouped by their deliveries in flight (0, 1, 2-3, 4-7, ...), so that adding, removing
    and choosing cost the same for ten thousand hooks as for ten.

    Attributes:
        count: the number of queues.
    """

    __slots__ = ("_groups", "count")

    def __init__(self) -> None:
        self.count = 0
        self._groups: list[OrderedDict[HookId, HookQueue]] = [OrderedDict() for _ in range(_GROUPS)]

    def put(self, queue: HookQueue) -> None:
        """Add a queue after those with as many in flight, unless it is contained already."""
        number = min(queue.in_flight.bit_length(), _GROUPS - 1)
        if queue.ready_queue is self and queue.group == number:
            return
        queue.leave_queue()
        self._groups[number][queue.hook] = queue
        self.count += 1
        queue.ready_queue, queue.group = self, number

    def first_group(self) -> int:
        """Return the group of the next hook queue, ``NEVER`` if there is none."""
        for number, group in enumerate(self._groups):
            if group:
                return number
        return NEVER

    def pop(self) -> HookQueue:
        """Remove and return the next hook queue.

        Raises:
            IndexError: there is none.
        """
        _, queue = self._groups[self.first_group()].popitem(last=False)
        self.count -= 1
        queue.ready_queue = None
        return queue

    def remove(self, queue: HookQueue) -> None:
        """Remove a contained hook queue."""
        del self._groups[queue.group][queue.hook]
        self.count -= 1
        queue.ready_queue = None


@dataclass(slots=True, eq=False)
class AccountShare:
    """The slots that the hooks of one account have taken.

    Attributes:
        used: their number.
        parked: ready queues that wait until the account has fewer.
    """

    used: int = 0
    parked: ReadyQueues = field(default_factory=ReadyQueues)
