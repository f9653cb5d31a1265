"""The queues of the hooks: free slots, due deliveries, and turns.

A hook queue is one hook's share of the engine: at most ``max_in_flight`` deliveries at once, at
most ``rate_per_s`` of them a second, and the time when its next pending delivery is due. A slow
hook fills its own queue and no other.

All queues together have a limit, because each delivery in flight holds a connection, and a process
can open only so many. A slot of the limit is taken when a delivery is reserved or claimed, so no
leased delivery waits for a connection. At the limit, hooks take turns: fewest in flight first, then
the longest wait. No hook takes more than half of it, and hooks whose last attempt was slow leave a
quarter to the others.

Queues are grouped by their deliveries in flight (0, 1, 2-3, 4-7, ...), so that adding, removing and
choosing cost the same for ten thousand hooks as for ten. This module has no I/O and no clock: times
are arguments, in milliseconds.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hooktui.domain.file_budget import DEFAULT_OUTBOUND
from hooktui.domain.hook_failures import probe_at_ms
from hooktui.domain.machine import next_wait_s
from hooktui.domain.rates import TokenBucket

if TYPE_CHECKING:
    from hooktui.domain.ids import HookId


_GROUPS: Final = 8
NEVER: Final = _GROUPS
"""The group of an empty queue: after all others."""


class ReadyQueues:
    """Hook queues that are ready, in turn; each is contained once.

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


def even_shares(demands: Sequence[int], most: int) -> list[int]:
    """Return the share of ``most`` for each demand: the demand itself if all fit, else even shares.

    No share exceeds that of a larger demand by two or more; the first get the remainder.
    """
    if sum(demands) <= most:
        return list(demands)
    shares = [0] * len(demands)
    while most:
        for place, count in enumerate(demands):
            if most and shares[place] < count:
                shares[place] += 1
                most -= 1
    return shares


MOST_PER_CLAIM = 100
"""Rows per claim: a batch of 100 costs hardly more than one of 10 (measured)."""
BY_AGE_EVERY = 10
"""One claim in this many takes the oldest due, so that first attempts never starve retries."""
SLOW_MS = 1_000
"""A hook whose last attempt took this long counts as slow until one is faster."""
_LONGEST_HOLD_MS = 60_000  # a later time comes from a clock that was set back


@dataclass(slots=True)
class HookQueue:
    """The slots and due times of one hook; times in ms since the epoch.

    Attributes:
        most: maximum number of deliveries in flight.
        active: whether deliveries may start.
        due_ms: when its next pending delivery is due, if known.
        claiming: whether a claim is in progress.
        bucket: limits its rate, if it has a limit.
        alarm_ms: when time alone may make it ready.
        open_until_ms: set while its breaker is open; from then on one delivery at a time may
            start, as the probe.
        claims: the number of claims.
        slow: whether its last attempt was slow.
        held_until_ms: no delivery starts before it; ``hold_s`` is the length of that wait.
        ready_queue: the ready queues that contain it, in ``group``.
    """

    hook: HookId
    most: int
    active: bool
    in_flight: int = 0
    due_ms: int | None = None
    claiming: bool = False
    bucket: TokenBucket | None = None
    alarm_ms: int | None = None
    open_until_ms: int | None = None
    claims: int = 0
    slow: bool = False
    held_until_ms: int | None = None
    hold_s: float = 0.0
    ready_queue: ReadyQueues | None = field(default=None, repr=False, compare=False)
    group: int = 0

    @property
    def by_age(self) -> bool:
        """Whether the claim in progress takes the oldest due, even before first attempts.

        The contract defines the oldest due delivery as the probe of a breaker.
        """
        return self.open_until_ms is not None or self.claims % BY_AGE_EVERY == 0

    @property
    def free(self) -> int:
        """How many more deliveries may start."""
        return max(self.most - self.in_flight, 0)

    def leave_queue(self) -> None:
        """Leave the ready queues, if contained."""
        if self.ready_queue is not None:
            self.ready_queue.remove(self)


class HookQueues:
    """All hook queues, and which of them can start a delivery now, in turn.

    Args:
        most: maximum number of deliveries in flight over all hooks.
    """

    def __init__(self, most: int = DEFAULT_OUTBOUND) -> None:
        self._most = most
        self._most_of_one = max(most // 2, 1)
        self._most_slow = max(most - most // 4, 1)
        self._used = self._used_slow = 0
        self._queues: dict[HookId, HookQueue] = {}
        self._fast, self._slow = ReadyQueues(), ReadyQueues()
        self._slow_turn = False
        self._short = False
        self._later: list[tuple[int, HookId]] = []

    @property
    def in_flight(self) -> int:
        """The number of taken slots over all hooks."""
        return self._used

    @property
    def short(self) -> bool:
        """Whether a hook waits only for a slot of the limit."""
        return self._short and self._fast.count + self._slow.count > 0

    def queue(self, hook: HookId) -> HookQueue | None:
        """Return a hook's queue, if it has one."""
        return self._queues.get(hook)

    def put(
        self,
        hook: HookId,
        *,
        most: int,
        active: bool,
        rate_per_s: float | None = None,
        open_until_ms: int | None = None,
        now_ms: int = 0,
    ) -> HookQueue:
        """Create or update a hook's queue with the hook's settings.

        Its pending deliveries are considered at the next hint.
        """
        queue = self._queues.get(hook)
        if queue is None:
            queue = self._queues[hook] = HookQueue(hook, most, active)
        queue.most, queue.active = min(most, self._most_of_one), active
        queue.open_until_ms = open_until_ms
        if rate_per_s is None:
            queue.bucket = None
        elif queue.bucket is None:
            queue.bucket = TokenBucket.full(rate_per_s, now_ms)
        elif queue.bucket.rate_per_s != rate_per_s:
            queue.bucket.change_rate(rate_per_s, now_ms)
        if not active:
            queue.leave_queue()
        return queue

    def drop(self, hook: HookId) -> None:
        """Remove a deleted hook; its deliveries in flight end by themselves."""
        queue = self._queues.pop(hook, None)
        if queue is not None:
            queue.active = False  # a claim that ends after this must not make it ready again
            queue.leave_queue()
            self._set_slow(queue, slow=False)

    def reserve(self, hook: HookId, now_ms: int) -> bool:
        """Take a slot for a new delivery, unless older ones are due and pending."""
        queue = self._queues.get(hook)
        if queue is None or not queue.active or queue.in_flight >= queue.most:
            return False
        if queue.open_until_ms is not None:
            return False
        if queue.due_ms is not None and queue.due_ms <= now_ms:
            return False
        if self._used >= self._most or (queue.slow and self._used_slow >= self._most_slow):
            return False
        if self._short and self._fast.count + self._slow.count:
            return False
        if queue.held_until_ms is not None and self._held_until(queue, now_ms) > now_ms:
            return False
        if queue.bucket is not None:
            if queue.bucket.whole(now_ms) < 1:
                return False
            queue.bucket.take(1)
        self._take(queue, 1)
        return True

    def unreserve(self, hook: HookId, now_ms: int) -> None:
        """Release a slot that was reserved for a delivery that was not stored."""
        queue = self._queues.get(hook)
        if queue is not None and queue.bucket is not None:
            queue.bucket.put_back(1)
        self.free_slot(hook, now_ms)

    def free_slot(self, hook: HookId, now_ms: int, took_ms: float | None = None) -> None:
        """Free a slot of a hook; ``took_ms`` is the duration of its attempt, if there was one."""
        queue = self._queues.get(hook)
        if queue is None:  # the hook was deleted meanwhile
            self._used -= 1
            return
        self._free(queue, 1)
        if took_ms is not None and (took_ms >= SLOW_MS) is not queue.slow:
            self._set_slow(queue, slow=not queue.slow)
        self._consider(queue, now_ms)

    def hold(self, hook: HookId, now_ms: int) -> None:
        """Start nothing of a hook for a while; longer each time that the wait did not help."""
        queue = self._queues.get(hook)
        if queue is None:
            return
        since_s = None
        if queue.held_until_ms is not None:
            if self._held_until(queue, now_ms) > now_ms:  # another attempt at the same time
                return
            since_s = (now_ms - queue.held_until_ms) / 1000
        queue.hold_s = next_wait_s(queue.hold_s, since_s)
        queue.held_until_ms = now_ms + round(queue.hold_s * 1000)

    def hint(self, hook: HookId, due_ms: int, now_ms: int) -> None:
        """Note that a delivery of a hook is due at a time; an earlier time is kept."""
        queue = self._queues.get(hook)
        if queue is None:
            return
        if queue.due_ms is None or due_ms < queue.due_ms:
            queue.due_ms = due_ms
        self._consider(queue, now_ms)

    def take_ready(self, now_ms: int) -> list[tuple[HookQueue, int]]:
        """Return the queues that can start deliveries now, with the slots taken for each, in turn.

        Each of them is marked as claiming and its due time as unknown until ``claimed``; hints that
        arrive meanwhile are kept.
        """
        while self._later and self._later[0][0] <= now_ms:
            at_ms, hook = heapq.heappop(self._later)
            queue = self._queues.get(hook)
            if queue is not None:
                if queue.alarm_ms == at_ms:
                    queue.alarm_ms = None
                self._consider(queue, now_ms)
        chosen = self._choose(now_ms)
        self._short = self._used + sum(count for _, count in chosen) >= self._most
        for queue, count in chosen:
            if queue.bucket is not None:
                queue.bucket.take(count)
            self._take(queue, count)
            queue.claiming, queue.due_ms = True, None
            queue.claims += 1
        return chosen

    def _choose(self, now_ms: int) -> list[tuple[HookQueue, int]]:
        """Remove and return the next queues, with the number of slots for each."""
        free, free_slow = self._most - self._used, self._most_slow - self._used_slow
        fast: list[HookQueue] = []
        slow: list[HookQueue] = []
        while len(fast) + len(slow) < free:
            first_fast = self._fast.first_group()
            first_slow = self._slow.first_group() if len(slow) < free_slow else NEVER
            if first_fast == first_slow == NEVER:
                break
            self._slow_turn = not self._slow_turn
            if first_slow < first_fast or (first_slow == first_fast and self._slow_turn):
                slow.append(self._slow.pop())
            else:
                fast.append(self._fast.pop())
        rooms = even_shares([self._room(queue, now_ms) for queue in slow], max(free_slow, 0))
        rooms = [self._room(queue, now_ms) for queue in fast] + rooms
        chosen = []
        for queue, count in zip(fast + slow, even_shares(rooms, free), strict=True):
            if count:
                chosen.append((queue, count))
            else:  # its settings changed since it became ready
                self._consider(queue, now_ms)
        return chosen

    def finish_claim(self, queue: HookQueue, requested: int, claimed: int, now_ms: int) -> bool:
        """Note the result of a claim; True if the queue's next due time must be looked up."""
        queue.claiming = False
        self._free(queue, requested - claimed)
        if queue.bucket is not None:
            queue.bucket.put_back(requested - claimed)
        if claimed == requested:
            self.hint(queue.hook, now_ms, now_ms)
            return False
        self._consider(queue, now_ms)
        return True

    def next_due_ms(self) -> int | None:
        """Return when time alone may make a queue ready, None: not foreseeable."""
        return self._later[0][0] if self._later else None

    @property
    def any_ready(self) -> bool:
        """Return whether a hook queue can start a delivery now."""
        if self._used >= self._most:
            return False
        return self._fast.count > 0 or (self._slow.count > 0 and self._used_slow < self._most_slow)

    def hooks(self) -> Iterable[HookId]:
        """Return the hooks that have a hook queue."""
        return self._queues.keys()

    def _consider(self, queue: HookQueue, now_ms: int) -> None:
        """Add a queue to the ready ones, or set the time that will make it ready."""
        if not queue.active or queue.claiming or queue.due_ms is None:
            return
        at_ms = self._earliest_ms(queue, queue.due_ms, now_ms)
        if at_ms > now_ms:
            if queue.alarm_ms is None or at_ms < queue.alarm_ms:
                queue.alarm_ms = at_ms
                heapq.heappush(self._later, (at_ms, queue.hook))
        elif self._room(queue, now_ms):
            (self._slow if queue.slow else self._fast).put(queue)

    def _earliest_ms(self, queue: HookQueue, due_ms: int, now_ms: int) -> int:
        """Return the earliest time when the queue may start its due delivery with a free slot."""
        if queue.open_until_ms is not None:
            due_ms = max(due_ms, probe_at_ms(queue.open_until_ms, now_ms))
        if queue.held_until_ms is not None:
            due_ms = max(due_ms, self._held_until(queue, now_ms))
        if due_ms <= now_ms and queue.bucket is not None:
            return queue.bucket.next_at_ms(now_ms)
        return due_ms

    def _room(self, queue: HookQueue, now_ms: int) -> int:
        """Return how many due deliveries may start now."""
        if not queue.active or queue.claiming or queue.due_ms is None or queue.due_ms > now_ms:
            return 0
        if queue.held_until_ms is not None and self._held_until(queue, now_ms) > now_ms:
            return 0
        room = min(queue.free, MOST_PER_CLAIM)
        if queue.open_until_ms is not None:
            open_now = probe_at_ms(queue.open_until_ms, now_ms) > now_ms
            room = 0 if open_now or queue.in_flight else min(room, 1)
        return room if queue.bucket is None else min(room, queue.bucket.whole(now_ms))

    def _held_until(self, queue: HookQueue, now_ms: int) -> int:
        """Return the time before which a queue starts nothing; now if there is none."""
        until_ms = queue.held_until_ms or 0
        return until_ms if until_ms <= now_ms + _LONGEST_HOLD_MS else now_ms

    # The bound

    def _take(self, queue: HookQueue, count: int) -> None:
        queue.in_flight += count
        self._used += count
        if queue.slow:
            self._used_slow += count

    def _free(self, queue: HookQueue, count: int) -> None:
        queue.in_flight -= count
        self._used -= count
        if queue.slow:
            self._used_slow -= count

    def _set_slow(self, queue: HookQueue, *, slow: bool) -> None:
        if queue.slow is not slow:
            self._used_slow += queue.in_flight if slow else -queue.in_flight
            queue.slow = slow
            if queue.ready_queue is not None:
                queue.leave_queue()
                (self._slow if slow else self._fast).put(queue)
