"""The lanes of the hooks: who has a free slot, who has something due, and whose turn it is.

A lane is one hook's share of the engine: at most ``max_in_flight`` deliveries at once, and the time
when its next waiting delivery is due. A slow hook fills its own lane and nobody else's. No I/O and
no clock in here: times come in as milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from hooktui.domain.ids import HookId

MOST_PER_CLAIM = 100
"""Rows one claim may take: a batch of 100 costs hardly more than one of 10 (measured)."""


@dataclass(slots=True)
class Lane:
    """One hook's slots; ``due_ms`` is when its next waiting delivery is due, if one is known."""

    hook: HookId
    most: int
    active: bool
    in_flight: int = 0
    due_ms: int | None = None
    claiming: bool = False

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

    def put(self, hook: HookId, *, most: int, active: bool) -> Lane:
        """Make a hook's lane, or bring it up to date with the hook's settings."""
        lane = self._lanes.get(hook)
        if lane is None:
            lane = self._lanes[hook] = Lane(hook, most, active)
        lane.most, lane.active = most, active
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
        if lane.due_ms is not None and lane.due_ms <= now_ms:
            return False
        lane.in_flight += 1
        return True

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
            if due_ms > now_ms:
                heapq.heappush(self._later, (due_ms, hook))
        self._consider(lane, now_ms)

    def take_ready(self, now_ms: int) -> list[tuple[Lane, int]]:
        """Return every lane that can start something now, with the slots taken for it, in turn.

        Each of them is marked as claiming, and what is due in it counts as unknown, until
        ``claimed`` says how it went; hints that come meanwhile are kept.
        """
        while self._later and self._later[0][0] <= now_ms:
            _, hook = heapq.heappop(self._later)
            lane = self._lanes.get(hook)
            if lane is not None:
                self._consider(lane, now_ms)
        taken = []
        for lane in self._ready.values():
            count = min(lane.free, MOST_PER_CLAIM)
            lane.in_flight += count
            lane.claiming, lane.due_ms = True, None
            taken.append((lane, count))
        self._ready.clear()
        return taken

    def claimed(self, lane: Lane, asked: int, got: int, now_ms: int) -> bool:
        """Note how a claim went; True when the lane's next due time has to be looked up."""
        lane.claiming = False
        lane.in_flight = max(lane.in_flight - (asked - got), 0)
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
        if (
            lane.active
            and not lane.claiming
            and lane.due_ms is not None
            and lane.due_ms <= now_ms
            and lane.in_flight < lane.most
        ):
            self._ready[lane.hook] = lane
