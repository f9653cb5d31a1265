"""The queues of the hooks: free slots, due deliveries, and turns.

A hook queue is one hook's share of the engine: at most ``max_in_flight`` deliveries at once, at
most ``rate_per_s`` of them a second, and the time when its next pending delivery is due. A slow
hook fills its own queue and no other.

All queues together have a limit, because each delivery in flight holds a connection, and a process
can open only so many. A slot of the limit is taken when a delivery is reserved or claimed, so no
leased delivery waits for a connection, except those that a hook claimed ahead of its own slots. At
the limit, hooks take turns: those with fewer in flight first (0, 1, 2-3, 4-7, …), among them the
one that waited longest; nothing is claimed ahead. No hook takes more than half of it. All hooks
whose last attempt was slow take at most three quarters, and so do all hooks of one account if there
are others: which of its hooks are slow is known only when their first attempts end. A *place* is a
slot, or a position ahead of the slots.

This module has no I/O and no clock: times are arguments, in milliseconds.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hooktui.delivery.hook_queue import (
    EMPTY,
    LONGEST_AHEAD_MS,
    LONGEST_HOLD_MS,
    MAX_PER_CLAIM,
    NEVER,
    AccountShare,
    HookQueue,
    ReadyQueues,
)
from hooktui.domain.adaptive_limit import DEFAULT_MAX_LIMIT
from hooktui.domain.file_budget import DEFAULT_OUTBOUND
from hooktui.domain.machine import next_wait_s

if TYPE_CHECKING:
    from hooktui.domain.ids import AccountId, HookId
    from hooktui.domain.observation import Observation
    from hooktui.store.contract import ClaimedDelivery

SLOW_MS = 1_000
"""A hook whose last attempt took this long counts as slow until one is faster."""
MAX_CLAIMED = 1_000
"""Deliveries are claimed ahead while fewer are claimed over all hooks, in flight included. More
leave the caches of the CPU before they are sent: with 100 hooks, each costs a quarter more."""
ENOUGH_AT_ONCE = 64
"""Attempts that keep a busy server busy. With ten times as many, each one costs a tenth more CPU
(measured): attempts wait for each other in memory that is no longer cached."""
BUSY_SHARE = 0.85
"""The server limits the throughput if its event loop needs a CPU for this share of the time."""
_QUICK_S = 0.02
"""A slower receiver may gain from more attempts at once even beside a busy event loop."""


def even_shares(demands: Sequence[int], total: int) -> list[int]:
    """Return each demand's share of ``total``: the demand itself if all fit, else even shares.

    No share exceeds that of a larger demand by two or more; the first get the remainder. A negative
    total counts as zero: deliveries of deleted hooks may have taken more slots than there are.
    """
    if sum(demands) <= total:
        return list(demands)
    shares = [0] * len(demands)
    while total > 0:
        for index, count in enumerate(demands):
            if total and shares[index] < count:
                shares[index] += 1
                total -= 1
    return shares


@dataclass(frozen=True, slots=True)
class Turn:
    """The next actions of a hook queue: it starts waiting deliveries, and claims more.

    Attributes:
        starts: deliveries that were claimed ahead and have a slot now.
        rows: deliveries to claim.
    """

    queue: HookQueue
    starts: Sequence[ClaimedDelivery]
    rows: int


class HookQueues:
    """All hook queues, and which of them can start a delivery now, in turn.

    Args:
        max_in_flight: maximum number of deliveries in flight over all hooks.

    Attributes:
        may_expand: whether hooks may claim ahead and adaptive limits may grow.
    """

    def __init__(self, max_in_flight: int = DEFAULT_OUTBOUND) -> None:
        self.may_expand = True
        self._max_in_flight = max_in_flight
        self._max_of_one = max(max_in_flight // 2, 1)
        self._max_slow = max(max_in_flight - max_in_flight // 4, 1)
        self._max_of_account = max_in_flight  # while there is only one
        self._shares: dict[AccountId | None, AccountShare] = {}
        self._parking: dict[AccountShare, None] = {}
        self._used = self._used_slow = self._ahead = 0
        self._sending = 0  # queues with slots in use
        self._queues: dict[HookId, HookQueue] = {}
        self._deleted: dict[HookId, HookQueue] = {}
        self._with_waiting: dict[HookId, HookQueue] = {}
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

    @property
    def any_waiting(self) -> bool:
        """Whether a delivery that was claimed ahead waits for a slot."""
        return bool(self._with_waiting)

    def queue(self, hook: HookId) -> HookQueue | None:
        """Return a hook's queue, if it has one."""
        return self._queues.get(hook)

    def put(
        self,
        hook: HookId,
        *,
        slots: int | None,
        active: bool,
        cap: int = DEFAULT_MAX_LIMIT,
        receiver: object = None,
        rate_per_s: float | None = None,
        open_until_ms: int | None = None,
        now_ms: int = 0,
        account: AccountId | None = None,
    ) -> HookQueue:
        """Create or update a hook's queue with the hook's settings.

        Its pending deliveries are considered at the next hint.

        Args:
            hook: its id.
            slots: maximum number of deliveries in flight; None: an adaptive limit up to ``cap``.
            active: whether deliveries may start.
            cap: of an adaptive limit.
            receiver: with another value, an adaptive limit is found again.
            rate_per_s: maximum number of deliveries started in a second.
            open_until_ms: set while its breaker is open.
            now_ms: the time.
            account: of the hook.
        """
        queue = self._queues.get(hook)
        if queue is None:
            share = self._share_of(account)
            queue = self._queues[hook] = HookQueue(hook, 1, active, share=share)
        queue.active, queue.open_until_ms, queue.rate_per_s = active, open_until_ms, rate_per_s
        if slots is None:
            queue.adapt(min(cap, self._max_of_one), receiver)
        else:
            queue.fix(min(slots, self._max_of_one))
        queue.change_rate(now_ms)
        if not active:
            queue.leave_queue()
        return queue

    def _share_of(self, account: AccountId | None) -> AccountShare:
        share = self._shares.get(account)
        if share is None:
            share = self._shares[account] = AccountShare()
            if len(self._shares) > 1:
                self._max_of_account = self._max_slow
        return share

    def drop(self, hook: HookId) -> None:
        """Remove a deleted hook; its deliveries in flight end by themselves."""
        queue = self._queues.pop(hook, None)
        if queue is not None:
            queue.active = False  # a claim that ends after this must not make it ready again
            queue.leave_queue()
            self._set_slow(queue, slow=False)
            if queue.in_flight or queue.ahead:
                self._deleted[hook] = queue

    # From a new or claimed delivery to its start

    def reserve(self, hook: HookId, now_ms: int) -> bool:
        """Take a place for a new delivery; return False if the hook or the limit allows none.

        No place is taken while older deliveries are due: they go first.
        """
        queue = self._queues.get(hook)
        if queue is None or not queue.active or queue.open_until_ms is not None:
            return False
        if queue.due_ms is not None and queue.due_ms <= now_ms:
            return False
        queue.reopen_if_over(now_ms)
        if not self._has_turn(queue) or queue.is_held(now_ms):
            return False
        if queue.bucket is not None and queue.bucket.whole(now_ms) < 1 + queue.kept:
            return False
        if queue.free and not queue.waiting:
            self._take(queue, 1)
            queue.starting += 1
            if queue.bucket is not None:
                queue.bucket.take(1)
            return True
        if self._room_ahead() and queue.may_claim_ahead(now_ms):
            self._count_ahead(queue, 1)
            return True
        return False

    def reserve_spare(
        self, hook: HookId, limit: int, own: int, now_ms: int, *, owed: bool = False
    ) -> int:
        """Take places that live traffic leaves free, for deliveries of a replay; return how many.

        Args:
            hook: its id.
            limit: maximum number of places.
            own: the replay's deliveries in flight; they take at most half of the hook's slots.
            now_ms: the time.
            owed: the replay waited for a long time: take one place even if live deliveries wait, or
                keep the next slot that becomes free.
        """
        queue = self._queues.get(hook)
        if queue is None:
            return 0
        kept = queue.kept
        count = self._reserve_spare(queue, limit, own, now_ms, owed=owed)
        if kept and not (count or queue.kept):
            self._consider(queue, now_ms)  # live traffic has the slot back
        return count

    def _reserve_spare(
        self, queue: HookQueue, limit: int, own: int, now_ms: int, *, owed: bool
    ) -> int:
        if not queue.active:
            return 0
        queue.reopen_if_over(now_ms)
        if queue.is_held(now_ms):
            return 0
        count = min(limit, max(queue.slots // 2, 1) - own)
        queue.replay_waited_ms = now_ms if count < limit else None
        queue.kept = 0
        if owed:
            count = min(count, 1)
            queue.kept = int(count > 0 and queue.open_until_ms is None)
        elif queue.is_due(now_ms) or not self._has_turn(queue) or not self.may_expand:
            return 0
        count = min(count, self._room_for_replay(queue, now_ms))
        if count <= 0:
            return 0
        queue.kept = 0
        self._take(queue, count)
        queue.starting += count
        if queue.bucket is not None:
            queue.bucket.take(count)
        return count

    def _room_for_replay(self, queue: HookQueue, now_ms: int) -> int:
        room = min(
            queue.slots - queue.in_flight,
            self._max_in_flight - self._used,
            self._max_of_account - queue.share.used,
        )
        if queue.slow:
            room = min(room, self._max_slow - self._used_slow)
        if queue.open_until_ms is not None:
            room = min(room, queue.probe_room(queue.open_until_ms, now_ms))
        return room if queue.bucket is None else min(room, queue.bucket.whole(now_ms))

    def keep_none(self, hook: HookId, now_ms: int) -> None:
        """No longer keep a slot free for a replay."""
        queue = self._queues.get(hook)
        if queue is not None and queue.kept:
            queue.kept = 0
            self._consider(queue, now_ms)

    def unreserve(self, hook: HookId, now_ms: int) -> None:
        """Release a place that was taken for a delivery that was not stored."""
        queue = self._find(hook)
        if queue is not None:
            self._release_places(queue, 1)
            self._settle(queue, now_ms)

    def arrived(self, delivery: ClaimedDelivery, now_ms: int) -> bool:
        """Note that a delivery arrived from the store; return whether it starts now or waits."""
        queue = self._find(delivery.hook)
        if queue is None:
            return True
        if queue.starting:
            queue.starting -= 1
            if queue.hook in self._deleted or not queue.was_closed(now_ms):
                return True
            self._free(queue, 1)
            self._count_ahead(queue, 1)
            if queue.bucket is not None:
                queue.bucket.put_back(1)
            self._wait(queue, delivery, now_ms)
            self._consider(queue, now_ms)
            return False
        if queue.hook in self._deleted or (not queue.waiting and self._may_start(queue, now_ms)):
            self._count_ahead(queue, -1)
            self._take(queue, 1)
            return True
        self._wait(queue, delivery, now_ms)
        return False

    def _wait(self, queue: HookQueue, delivery: ClaimedDelivery, now_ms: int) -> None:
        if queue.waiting is EMPTY:
            queue.waiting = deque()
            self._with_waiting[queue.hook] = queue
        queue.waiting.append((now_ms, delivery))

    def finish_attempt(
        self, hook: HookId, now_ms: int, took_ms: float | None = None
    ) -> ClaimedDelivery | None:
        """Free the slot of an attempt; return the waiting delivery that starts in it, if any.

        Args:
            hook: of the attempt.
            now_ms: the time.
            took_ms: the duration of the attempt.
        """
        queue = self._find(hook)
        if queue is None:
            return None
        self._free(queue, 1)
        queue.finished.add(now_ms)
        if took_ms is not None and (took_ms >= SLOW_MS) is not queue.slow:
            self._set_slow(queue, slow=not queue.slow)
        following = None
        if queue.waiting and self._may_start(queue, now_ms):
            following = self._start_waiting(queue)
            if not queue.free and (queue.claiming or queue.ready_queue is not None):
                return following  # nothing else about the queue has changed
        self._settle(queue, now_ms)
        return following

    def free_slot(self, hook: HookId, now_ms: int) -> None:
        """Free the slot of a delivery that returns to the store without an attempt."""
        queue = self._find(hook)
        if queue is not None:
            self._free(queue, 1)
            if queue.bucket is not None:
                queue.bucket.put_back(1)
            self._settle(queue, now_ms)

    def withdraw(self, hook: HookId, keep: int = 0) -> list[ClaimedDelivery]:
        """Remove and return the waiting deliveries of a hook, except the oldest ones."""
        queue = self._with_waiting.get(hook)
        if queue is None:
            return []
        return self._withdraw(queue, len(queue.waiting) - keep, newest=True)

    def withdraw_all(self) -> list[ClaimedDelivery]:
        """Remove and return all waiting deliveries."""
        return [claim for hook in list(self._with_waiting) for claim in self.withdraw(hook)]

    def withdraw_late(self, now_ms: int) -> list[ClaimedDelivery]:
        """Remove and return the deliveries that waited too long for a slot."""
        late: list[ClaimedDelivery] = []
        for queue in list(self._with_waiting.values()):
            count = 0
            for arrived_ms, _ in queue.waiting:
                if 0 <= now_ms - arrived_ms < LONGEST_AHEAD_MS:
                    break
                count += 1
            late += self._withdraw(queue, count)
        return late

    def hold(self, hook: HookId, now_ms: int) -> None:
        """Start nothing of a hook for a while; longer each time that the wait did not help."""
        queue = self._queues.get(hook)
        if queue is None:
            return
        since_s = None
        if queue.held_until_ms is not None:
            if now_ms < queue.held_until_ms <= now_ms + LONGEST_HOLD_MS:
                return  # another attempt at the same time
            since_s = (now_ms - queue.held_until_ms) / 1000
        queue.hold_s = next_wait_s(queue.hold_s, since_s)
        queue.held_until_ms = now_ms + round(queue.hold_s * 1000)

    def observe(
        self, queue: HookQueue, observed: Observation, now_ms: int, busy_share: float = 0.0
    ) -> bool:
        """Adapt the limit of a hook; return whether it was cut, or the hook is closed.

        Args:
            queue: of the hook.
            observed: of an attempt.
            now_ms: the time.
            busy_share: the share of the time in which the event loop uses a CPU or waits for one.
        """
        would_wait = busy_share > BUSY_SHARE and self._would_wait_here(queue, observed)
        return queue.observe(observed, now_ms, may_grow=self.may_expand and not would_wait)

    def _would_wait_here(self, queue: HookQueue, observed: Observation) -> bool:
        """Return whether more attempts of a hook at once would wait in a busy server.

        A hook with far fewer slots than others may grow, because they share the server by slots.
        """
        return (
            self._used >= ENOUGH_AT_ONCE
            and observed.latency_s < _QUICK_S
            and 2 * queue.slots * self._sending >= self._used
        )

    # Turns

    def hint(self, hook: HookId, due_ms: int, now_ms: int) -> None:
        """Note that a delivery of a hook is due at a time; an earlier time is kept."""
        queue = self._queues.get(hook)
        if queue is None:
            return
        if queue.due_ms is None or due_ms < queue.due_ms:
            queue.due_ms = due_ms
        self._consider(queue, now_ms)

    def take_ready(self, now_ms: int) -> list[Turn]:
        """Return the next turns, with the places taken for them.

        A queue that claims has no known due time until ``finish_claim``; hints that arrive
        meanwhile are kept.
        """
        while self._later and self._later[0][0] <= now_ms:
            at_ms, hook = heapq.heappop(self._later)
            queue = self._queues.get(hook)
            if queue is not None:
                if at_ms in queue.alarms_ms:
                    queue.alarms_ms = queue.alarms_ms[:-1]
                self._consider(queue, now_ms)
        chosen = self._choose()
        slots = self._share_slots(chosen, now_ms)
        self._short = self._used + sum(slots) >= self._max_in_flight
        return [
            turn
            for queue, count in zip(chosen, slots, strict=True)
            if (turn := self._turn(queue, count, now_ms)) is not None
        ]

    def _choose(self) -> list[HookQueue]:
        """Remove and return the next queues: the fast ones, then the slow ones."""
        self._return_parked()
        free, free_slow = self._max_in_flight - self._used, self._max_slow - self._used_slow
        fast: list[HookQueue] = []
        slow: list[HookQueue] = []
        while len(fast) + len(slow) < free:
            first_fast = self._fast.first_group()
            first_slow = self._slow.first_group() if len(slow) < free_slow else NEVER
            if first_fast == first_slow == NEVER:
                break
            self._slow_turn = not self._slow_turn
            is_slow = first_slow < first_fast or (first_slow == first_fast and self._slow_turn)
            queue = (self._slow if is_slow else self._fast).pop()
            if queue.share.used >= self._max_of_account:
                queue.share.parked.put(queue)
                self._parking[queue.share] = None
            else:
                (slow if is_slow else fast).append(queue)
        return fast + slow

    def _return_parked(self) -> None:
        """Make parked queues ready again, as many as their accounts may have slots."""
        for share in list(self._parking):
            for _ in range(min(self._max_of_account - share.used, share.parked.count)):
                queue = share.parked.pop()
                (self._slow if queue.slow else self._fast).put(queue)
            if not share.parked.count:
                del self._parking[share]

    def _share_slots(self, chosen: Sequence[HookQueue], now_ms: int) -> list[int]:
        """Return the number of slots for each chosen queue."""
        rooms = [queue.room(now_ms) for queue in chosen]
        first_slow = next((at for at, queue in enumerate(chosen) if queue.slow), len(chosen))
        free_slow = max(self._max_slow - self._used_slow, 0)
        rooms = rooms[:first_slow] + even_shares(rooms[first_slow:], free_slow)
        if len(self._shares) > 1:
            self._share_in_accounts(chosen, rooms)
        return even_shares(rooms, self._max_in_flight - self._used)

    def _share_in_accounts(self, chosen: Sequence[HookQueue], rooms: list[int]) -> None:
        """Reduce the numbers of slots so that no account gets more than it may have."""
        places: dict[AccountShare, list[int]] = {}
        for at, queue in enumerate(chosen):
            places.setdefault(queue.share, []).append(at)
        for share, ats in places.items():
            free = self._max_of_account - share.used
            for at, count in zip(ats, even_shares([rooms[at] for at in ats], free), strict=True):
                rooms[at] = count

    def _turn(self, queue: HookQueue, slots: int, now_ms: int) -> Turn | None:
        """Take the places of a turn; None: its settings changed since it became ready."""
        from_waiting = min(slots, len(queue.waiting))
        starts = [self._start_waiting(queue) for _ in range(from_waiting)]
        rows = slots - from_waiting
        if rows:
            self._take(queue, rows)
            queue.starting += rows
        ahead = min(0 if self._short else self._wants_ahead(queue, now_ms), MAX_PER_CLAIM - rows)
        self._count_ahead(queue, ahead)
        if queue.bucket is not None:
            queue.bucket.take(slots)
        if rows + ahead:
            queue.claiming, queue.due_ms = True, None
            queue.claims += 1
        elif not starts:
            self._consider(queue, now_ms)
            return None
        return Turn(queue, starts, rows + ahead)

    def finish_claim(self, queue: HookQueue, requested: int, claimed: int, now_ms: int) -> bool:
        """Note the result of a claim; True if the queue's next due time must be looked up."""
        queue.claiming = False
        self._release_places(queue, requested - claimed)
        if claimed == requested:
            self.hint(queue.hook, now_ms, now_ms)
            return False
        self._settle(queue, now_ms)
        return True

    def next_due_ms(self) -> int | None:
        """Return when time alone may make a queue ready (ms); None: it will not."""
        return self._later[0][0] if self._later else None

    @property
    def any_ready(self) -> bool:
        """Whether a hook queue can start a delivery now."""
        if self._used >= self._max_in_flight:
            return False
        if self._fast.count > 0 or (self._slow.count > 0 and self._used_slow < self._max_slow):
            return True
        return any(
            share.parked.count > 0 and share.used < self._max_of_account for share in self._parking
        )

    def queues(self) -> Iterable[HookQueue]:
        """Return the queues of all hooks."""
        return self._queues.values()

    def _settle(self, queue: HookQueue, now_ms: int) -> None:
        """Consider a queue whose places have changed, or forget it once a deleted hook has none."""
        if queue.hook not in self._deleted:
            self._consider(queue, now_ms)
        elif not queue.in_flight and not queue.ahead:
            del self._deleted[queue.hook]

    def _consider(self, queue: HookQueue, now_ms: int) -> None:
        """Add a queue to the ready ones, or set the time that will make it ready."""
        queue.reopen_if_over(now_ms)
        if not queue.active or (queue.due_ms is None and not queue.waiting):
            return
        if queue.ready_queue is not None:
            queue.ready_queue.put(queue)  # its number in flight may have changed
            return
        at_ms = queue.earliest_ms(now_ms)
        if at_ms > now_ms:
            if not queue.alarms_ms or at_ms < queue.alarms_ms[-1]:
                queue.alarms_ms += (at_ms,)
                heapq.heappush(self._later, (at_ms, queue.hook))
        elif queue.room(now_ms) or self._wants_ahead(queue, now_ms):
            if queue.share.parked.count:  # behind those that wait already
                queue.share.parked.put(queue)
            else:
                (self._slow if queue.slow else self._fast).put(queue)

    def _wants_ahead(self, queue: HookQueue, now_ms: int) -> int:
        room = self._room_ahead()
        places = queue.wants_ahead(now_ms) if room else 0
        return places if min(places, MAX_PER_CLAIM) <= room else 0  # no small claims

    def _room_ahead(self) -> int:
        """Return how many more deliveries may be claimed ahead over all hooks."""
        claimed = self._used - self._used_slow + self._ahead  # slow attempts only wait
        return max(MAX_CLAIMED - claimed, 0) if self.may_expand else 0

    # Places

    def _count_ahead(self, queue: HookQueue, change: int) -> None:
        queue.ahead += change
        self._ahead += change

    def _find(self, hook: HookId) -> HookQueue | None:
        return self._queues.get(hook) or self._deleted.get(hook)

    def _has_turn(self, queue: HookQueue) -> bool:
        """Return whether a queue may take a slot of the limit before those that wait for one."""
        if self._used >= self._max_in_flight or (queue.slow and self._used_slow >= self._max_slow):
            return False
        if queue.share.used >= self._max_of_account or queue.share.parked.count:
            return False
        return not self.short

    def _may_start(self, queue: HookQueue, now_ms: int) -> bool:
        """Return whether a delivery that was claimed ahead may start now."""
        return (
            queue.active
            and queue.free > 0
            and queue.open_until_ms is None
            and queue.bucket is None
            and self._has_turn(queue)
            and not queue.is_held(now_ms)
        )

    def _start_waiting(self, queue: HookQueue) -> ClaimedDelivery:
        _, delivery = queue.waiting.popleft()
        self._count_ahead(queue, -1)
        self._take(queue, 1)
        self._forget_waiting(queue)
        return delivery

    def _withdraw(
        self, queue: HookQueue, count: int, *, newest: bool = False
    ) -> list[ClaimedDelivery]:
        take = queue.waiting.pop if newest else queue.waiting.popleft
        withdrawn = [take()[1] for _ in range(count)]
        self._count_ahead(queue, -len(withdrawn))
        self._forget_waiting(queue)
        return withdrawn

    def _forget_waiting(self, queue: HookQueue) -> None:
        if not queue.waiting:
            queue.waiting = EMPTY
            del self._with_waiting[queue.hook]

    def _release_places(self, queue: HookQueue, count: int) -> None:
        """Release places whose deliveries do not arrive: those beyond the slots first."""
        ahead = min(count, queue.ahead - len(queue.waiting))
        self._count_ahead(queue, -ahead)
        queue.starting -= count - ahead
        self._free(queue, count - ahead)
        if queue.bucket is not None:
            queue.bucket.put_back(count - ahead)

    def _take(self, queue: HookQueue, count: int) -> None:
        self._sending += queue.in_flight == 0 and count > 0
        queue.in_flight += count
        queue.share.used += count
        self._used += count
        if queue.slow:
            self._used_slow += count

    def _free(self, queue: HookQueue, count: int) -> None:
        queue.in_flight -= count
        queue.share.used -= count
        self._sending -= queue.in_flight == 0 and count > 0
        self._used -= count
        if queue.slow:
            self._used_slow -= count

    def _set_slow(self, queue: HookQueue, *, slow: bool) -> None:
        if queue.slow is not slow:
            self._used_slow += queue.in_flight if slow else -queue.in_flight
            queue.slow = slow
            if queue.ready_queue in (self._fast, self._slow):
                queue.leave_queue()
                (self._slow if slow else self._fast).put(queue)
