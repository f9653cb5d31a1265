"""The lanes of the hooks: who has a free slot, who has something due, and whose turn it is.

A lane is one hook's share of the engine: at most ``max_in_flight`` deliveries at once, at most
``rate_per_s`` of them a second, and the time when its next waiting delivery is due. A slow hook
fills its own lane and nobody else's. No I/O and no clock in here: times come in as milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from hooktui.delivery.token_bucket import TokenBucket
from hooktui.domain.breaker import probe_at_ms
from hooktui.domain.ids import HookId

MOST_PER_CLAIM = 100
"""Rows one claim may take: a batch of 100 costs hardly more than one of 10 (measured)."""
BY_AGE_EVERY = 10
"""One claim in so many takes the oldest due, so that no retry waits for ever behind first tries."""


@dataclass(slots=True)
class Lane:
    """One hook's slots; ``due_ms`` is when its next waiting delivery is due, if one is known.

    ``alarm_ms`` is when the lane is looked at again by time alone. ``open_until_ms`` is set while
    the hook's breaker is open: from then on one due delivery at a time may go, as the probe.
    ``claims`` counts them.
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

    @property
    def by_age(self) -> bool:
        """Whether the claim under way takes the oldest due, also before first tries.

        The contract names the oldest due delivery as the probe of a breaker.
        """
        return self.open_until_ms is not None or self.claims % BY_AGE_EVERY == 0

    @property
    def free(self) -> int:
        """How many more deliveries may start."""
        return max(self.most - self.in_flight, 0)


class Lanes:
    """All lanes, and which of them can start something now, in turn."""

    def __init__(self) -> None:
        self._lanes: dict[HookId, Lane] = {}
        self._ready: dict[HookId, Lane] = {}
        self._later: list[tuple[int, HookId]] = []

    @property
    def in_flight(self) -> int:
        """How many attempts are under way, over all hooks."""
        return sum(lane.in_flight for lane in self._lanes.values())

    def lane(self, hook: HookId) -> Lane | None:
        """Return a hook's lane, if it has one."""
        return self._lanes.get(hook)

    def put(
        self,
        hook: HookId,
        *,
        most: int,
        active: bool,
        rate_per_s: float | None = None,
        open_until_ms: int | None = None,
        now_ms: int = 0,
    ) -> Lane:
        """Make a hook's lane, or bring it up to date with the hook's settings.

        What waits in it is looked at with the next hint.
        """
        lane = self._lanes.get(hook)
        if lane is None:
            lane = self._lanes[hook] = Lane(hook, most, active)
        lane.most, lane.active, lane.open_until_ms = most, active, open_until_ms
        if rate_per_s is None:
            lane.bucket = None
        elif lane.bucket is None:
            lane.bucket = TokenBucket.full(rate_per_s, now_ms)
        elif lane.bucket.rate_per_s != rate_per_s:
            lane.bucket.change_rate(rate_per_s, now_ms)
        if not active:
            self._ready.pop(hook, None)
        return lane

    def drop(self, hook: HookId) -> None:
        """Forget a deleted hook; what is in flight ends by itself."""
        self._lanes.pop(hook, None)
        self._ready.pop(hook, None)

    def reserve(self, hook: HookId, now_ms: int) -> bool:
        """Take a slot for a new delivery, unless older ones are due and waiting before it."""
        lane = self._lanes.get(hook)
        if lane is None or not lane.active or lane.in_flight >= lane.most:
            return False
        if lane.open_until_ms is not None:
            return False
        if lane.due_ms is not None and lane.due_ms <= now_ms:
            return False
        if lane.bucket is not None:
            if lane.bucket.whole(now_ms) < 1:
                return False
            lane.bucket.take(1)
        lane.in_flight += 1
        return True

    def unreserve(self, hook: HookId, now_ms: int) -> None:
        """Give back a slot that was reserved for a delivery that did not come about."""
        lane = self._lanes.get(hook)
        if lane is not None and lane.bucket is not None:
            lane.bucket.put_back(1)
        self.give_back(hook, now_ms)

    def give_back(self, hook: HookId, now_ms: int, count: int = 1) -> None:
        """Free slots of a hook."""
        lane = self._lanes.get(hook)
        if lane is not None:
            lane.in_flight = max(lane.in_flight - count, 0)
            self._consider(lane, now_ms)

    def hint(self, hook: HookId, due_ms: int, now_ms: int) -> None:
        """Note that a hook has a delivery that is due at a time; an earlier one stays noted."""
        lane = self._lanes.get(hook)
        if lane is None:
            return
        if lane.due_ms is None or due_ms < lane.due_ms:
            lane.due_ms = due_ms
        self._consider(lane, now_ms)

    def take_ready(self, now_ms: int) -> list[tuple[Lane, int]]:
        """Return every lane that can start something now, with the slots taken for it, in turn.

        Each of them is marked as claiming, and what is due in it counts as unknown, until
        ``claimed`` says how it went; hints that come meanwhile are kept.
        """
        while self._later and self._later[0][0] <= now_ms:
            at_ms, hook = heapq.heappop(self._later)
            lane = self._lanes.get(hook)
            if lane is not None:
                if lane.alarm_ms == at_ms:
                    lane.alarm_ms = None
                self._consider(lane, now_ms)
        taken = []
        ready, self._ready = self._ready, {}
        for lane in ready.values():
            count = self._room(lane, now_ms)
            if not count:  # its settings changed since it became ready
                self._consider(lane, now_ms)
                continue
            if lane.bucket is not None:
                lane.bucket.take(count)
            lane.in_flight += count
            lane.claiming, lane.due_ms = True, None
            lane.claims += 1
            taken.append((lane, count))
        return taken

    def claimed(self, lane: Lane, asked: int, got: int, now_ms: int) -> bool:
        """Note how a claim went; True when the lane's next due time has to be looked up."""
        lane.claiming = False
        lane.in_flight = max(lane.in_flight - (asked - got), 0)
        if lane.bucket is not None:
            lane.bucket.put_back(asked - got)
        if got == asked:
            self.hint(lane.hook, now_ms, now_ms)
            return False
        self._consider(lane, now_ms)
        return True

    def next_due_ms(self) -> int | None:
        """Return when a lane may become ready by time alone, None: not foreseeable."""
        return self._later[0][0] if self._later else None

    @property
    def any_ready(self) -> bool:
        """Whether a lane can start something now."""
        return bool(self._ready)

    def hooks(self) -> Iterable[HookId]:
        """Return the hooks that have a lane."""
        return self._lanes.keys()

    def _consider(self, lane: Lane, now_ms: int) -> None:
        """Put a lane among the ready ones, or set its alarm when time alone will make it ready."""
        if not lane.active or lane.claiming or lane.due_ms is None:
            return
        at_ms = self._earliest_ms(lane, lane.due_ms, now_ms)
        if at_ms > now_ms:
            if lane.alarm_ms is None or at_ms < lane.alarm_ms:
                lane.alarm_ms = at_ms
                heapq.heappush(self._later, (at_ms, lane.hook))
        elif self._room(lane, now_ms):
            self._ready[lane.hook] = lane

    def _earliest_ms(self, lane: Lane, due_ms: int, now_ms: int) -> int:
        """Return the earliest time when the lane may start what is due, were a slot free."""
        if lane.open_until_ms is not None:
            due_ms = max(due_ms, probe_at_ms(lane.open_until_ms, now_ms))
        if due_ms <= now_ms and lane.bucket is not None:
            return lane.bucket.next_at_ms(now_ms)
        return due_ms

    def _room(self, lane: Lane, now_ms: int) -> int:
        """Return how many due deliveries may start now."""
        if not lane.active or lane.claiming or lane.due_ms is None or lane.due_ms > now_ms:
            return 0
        room = min(lane.free, MOST_PER_CLAIM)
        if lane.open_until_ms is not None:
            open_now = probe_at_ms(lane.open_until_ms, now_ms) > now_ms
            room = 0 if open_now or lane.in_flight else min(room, 1)
        return room if lane.bucket is None else min(room, lane.bucket.whole(now_ms))
