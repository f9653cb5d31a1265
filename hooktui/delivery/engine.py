"""The engine: claim, send, record.

Deliveries that this process just accepted are handed over in memory, up to the free places of the
hook: its slots, and the positions of deliveries that are claimed ahead of them (`hook_queues`).
All others (backlog, retries, deliveries from before a restart) are claimed hook by hook when they
are due. An attempt's result goes to the recorder, and its slot is free as soon as the receiver has
responded: its task starts the next delivery that was claimed ahead, if there is one. While all
sending is paused, only pings start.

An attempt that this machine cannot make for lack of a resource (files, memory, ports) does not
count: the delivery is returned unchanged and claimed again after a short wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from time import monotonic

from hooktui import failpoints
from hooktui.delivery.hook_pace import is_noticeable, log_cut, pace_of
from hooktui.delivery.hook_queue import HookQueue
from hooktui.delivery.hook_queues import HookQueues
from hooktui.delivery.pings import DEFAULT_PINGS, Pings
from hooktui.delivery.recorder import Recorder, Unsent
from hooktui.delivery.replayed import ReplayedDeliveries
from hooktui.delivery.sender import Sender
from hooktui.delivery.shortage import MachineShort, Shortages
from hooktui.delivery.transport import Transport
from hooktui.domain.adaptive_limit import DEFAULT_MAX_LIMIT, AdaptiveLimit
from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import Load, Outcome, Trigger
from hooktui.domain.errors import log_failure
from hooktui.domain.file_budget import DEFAULT_OUTBOUND
from hooktui.domain.heartbeat import Heartbeat
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.json_text import Steps
from hooktui.domain.limit_history import LimitHistory
from hooktui.domain.observation import Signal, observation_of
from hooktui.domain.rates import ThroughputMeter
from hooktui.domain.text import counted
from hooktui.domain.wire.hooks import HookPace
from hooktui.loop_watch import WATCH
from hooktui.slices import end_tasks, in_slices
from hooktui.store.base import Store
from hooktui.store.contract import (
    Acceptance,
    AttemptResult,
    ClaimedDelivery,
    CommitNotice,
    NewEvent,
    ReplayStep,
    ReplayStepResult,
)

_log = logging.getLogger(__name__)

STOP_IN_FLIGHT_S = 10.0
"""How long a stop waits for attempts in flight."""
RESCUE_EVERY_S = 15.0
_LONGEST_NAP_S = 5.0  # then reads the wall clock again: it may have been set
_CLAIM_RETRY_S = 1.0
_BEGIN_AT_ONCE = 64
"""Attempts that start in one turn of the event loop. Without this bound, a hundred events for a
hundred hooks cost 42 % more CPU per delivery, and 50 % more memory (measured)."""
_LATE_EVERY_S = 0.5
"""How often deliveries that waited too long for a slot are returned."""
MAX_BODIES_BYTES = 64 * 1024 * 1024
"""Bodies of claimed deliveries until their results are stored; with more, nothing is claimed ahead,
and no limit grows. Slots are not refused: hooks with large bodies must not stop the others."""
_HINTS_AT_ONCE = 1_000
"""Hooks whose queues get a hint in one turn of the loop: about 2 ms."""


class Engine:
    """Sends due deliveries of the store, each at most once at a time.

    Args:
        store: deliveries and hooks.
        transport: sends the requests.
        clock: milliseconds since the epoch.
        max_in_flight: maximum number of deliveries in flight over all hooks.
        max_pings: maximum number of test deliveries in flight, in addition.
        auto_max: the largest adaptive limit of a hook.

    Attributes:
        heartbeat: of the loop that claims.
        shortages: resource shortages of this machine.
        replayed: deliveries in flight that replays started.
    """

    def __init__(
        self,
        store: Store,
        transport: Transport,
        *,
        clock: Callable[[], int] = now_ms,
        max_in_flight: int = DEFAULT_OUTBOUND,
        max_pings: int = DEFAULT_PINGS,
        auto_max: int = DEFAULT_MAX_LIMIT,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._sender = Sender(transport, clock)
        self._recorder = Recorder(store, self._on_recorded)
        self.shortages = Shortages()
        self._queues = HookQueues(max_in_flight)
        self._max_in_flight = max_in_flight
        self._auto_max = auto_max
        self._unsent = Unsent(store, self._on_returned)
        self.replayed = ReplayedDeliveries()
        self._next: deque[ClaimedDelivery] = deque()
        self._due: deque[tuple[HookId, int]] = deque()
        self._attempts: set[asyncio.Task[None]] = set()
        # Claimed, until the result is stored: a process that was stopped for a minute must not take
        # its own leases for those of another one.
        self._held: set[DeliveryId] = set()
        self._pings = Pings(
            store, self._sender, self._recorder, self._unsent, self.shortages, self._attempts,
            self._held, clock, max_pings,
        )  # fmt: skip
        self._returns: set[asyncio.Task[None]] = set()
        self._late_timer: asyncio.TimerHandle | None = None
        self.body_bytes = 0
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._changed: set[HookId] = set()
        self._stopping = False
        self.heartbeat = Heartbeat("dispatcher")
        self._accepted = ThroughputMeter()
        self._delivered = ThroughputMeter()
        self._failed = ThroughputMeter()
        self._outcomes: Counter[Outcome] = Counter()

    async def start(self) -> None:
        """Load the backlog of the store and start."""
        self._store.subscribe(self._on_commit)
        self._recorder.start()
        self._refresh_queues(self._store.hooks().keys())
        await self._look_up_due(None)
        self._loops = [
            asyncio.create_task(self._dispatch(), name="dispatch"),
            asyncio.create_task(self._rescue(), name="rescue"),
        ]
        for loop in self._loops:
            loop.add_done_callback(_log_failure_of)

    async def stop(self) -> None:
        """Start nothing more, wait 10 s for attempts, cancel the rest, write all results."""
        self._stopping = self._pings.stopping = True
        unsent = [*self._next, *self._queues.withdraw_all()]
        self._next.clear()
        if self._late_timer is not None:
            self._late_timer.cancel()
        await end_tasks(self._loops)
        if unsent:
            await self._unsent.release(unsent)
        await asyncio.gather(*self._returns)
        if self._attempts:
            _, late = await asyncio.wait(set(self._attempts), timeout=STOP_IN_FLIGHT_S)
            await end_tasks(late)
        await self._unsent.stop()
        failpoints.hit("while_stopping")
        await self._recorder.stop(within_s=STOP_IN_FLIGHT_S)

    async def accept(self, events: Sequence[NewEvent]) -> list[Acceptance]:
        """Store events and start to send them; return once they are on disk.

        Raises:
            Refused: an idempotency key was used with another event.
            DiskFull: there is no room.
        """
        reserved: list[HookId] = []
        may_begin: bool | None = None
        now = 0

        def reserve(hook: HookId) -> bool:
            nonlocal may_begin, now
            if may_begin is None:  # evaluated once for all deliveries of the call
                may_begin = self._may_claim and not self._stopping
                now = self._clock()
            if not may_begin or not self._queues.reserve(hook, now):
                return False
            reserved.append(hook)
            return True

        self._recorder.flush()
        try:
            acceptances, claims = await self._store.accept(events, reserve)
        except BaseException:
            may_begin = False  # it may be planned after its caller was cancelled
            for hook in reserved:
                self.unreserve(hook, 1)
            raise
        if self._stopping and claims:  # the stop began meanwhile and ignores new ones
            await self._unsent.release(claims)
        else:
            self._begin(claims)
        self._accepted.add(sum(not acceptance.duplicate for acceptance in acceptances))
        failpoints.hit("after_accept_commit")
        return acceptances

    def reserve_spare(self, hook: HookId, limit: int, *, owed: bool = False) -> int:
        """Take places for deliveries of a replay; see `HookQueues.reserve_spare`."""
        if not self._may_claim or self._stopping:
            return 0
        own = self.replayed.of_hook(hook)
        count = self._queues.reserve_spare(hook, limit, own, self._clock(), owed=owed)
        if not count and self._queues.any_ready:
            self._wake.set()
        return count

    def unreserve(self, hook: HookId, places: int) -> None:
        """Release places that were reserved for deliveries that have not started."""
        for _ in range(places):
            self._queues.unreserve(hook, self._clock())
        if self._queues.any_ready:
            self._wake.set()

    def release_kept_slot(self, hook: HookId) -> None:
        """Give a slot that was kept free for a replay to live traffic."""
        self._queues.keep_none(hook, self._clock())
        self._wake.set()

    async def replay(self, step: ReplayStep, within_s: float) -> ReplayStepResult:
        """Store a step of a replay and start to send its deliveries, in places reserved for them.

        They start one after another over ``within_s``: live deliveries wait for one, not for all.

        Raises:
            HooktuiError: nothing was stored, or the outcome is unknown.
        """
        count = 0
        self._recorder.flush()
        try:
            result = await self._store.replay(step)
            count = len(result.claims)
        finally:
            self.unreserve(step.hook, step.places - count)
        if not count:
            return result
        failpoints.hit("after_replay_step_commit")
        if self._stopping:
            await self._unsent.release(result.claims)
        else:
            self.replayed.started(result.claims)
            await self._begin_apart(result.claims, within_s / count)
        return result

    async def _begin_apart(self, claims: Sequence[ClaimedDelivery], gap_s: float) -> None:
        rest = list(reversed(claims))
        self._held.update([claim.delivery for claim in claims])
        try:
            while len(rest) > 1:
                self._begin([rest.pop()])
                await asyncio.sleep(gap_s)
        finally:
            self._begin(rest)

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Send a test delivery; see `Pings.ping`."""
        return await self._pings.ping(hook, body)

    @property
    def working(self) -> bool:
        """Whether the loops that claim and rescue are running."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    def load(self) -> Load:
        """Return the current load, averaged over the last minute."""
        return Load(
            in_flight=len(self._attempts),
            accepted_per_s=self._accepted.per_second(),
            delivered_per_s=self._delivered.per_second(),
            failed_per_s=self._failed.per_second(),
            accepted=self._accepted.total,
            outcomes={outcome: self._outcomes[outcome] for outcome in Outcome},
            outbound=self._queues.in_flight,
            most_outbound=self._max_in_flight,
            idle=self._transport.idle,
            short=self._queues.short,
            shortage=self.shortages.seen,
        )

    def pace_of(self, hook: HookId) -> HookPace | None:
        """Return the pace of a hook at this server; None: there is no such hook."""
        queue = self._queues.queue(hook)
        return None if queue is None else pace_of(queue, monotonic(), self._clock())

    def limit_history(self, hook: HookId) -> LimitHistory | None:
        """Return the adaptive limit of a hook over time; None: there is none, or no change yet."""
        queue = self._queues.queue(hook)
        return None if queue is None else queue.history

    async def paces(self, limit: int) -> dict[HookId, HookPace]:
        """Return the paces of hooks with attempts in flight or a limit that was cut.

        Args:
            limit: maximum number of hooks; those with most in flight come first.
        """
        queues = await in_slices(self._noticeable_steps())
        queues = nlargest(limit, queues, key=lambda queue: queue.in_flight)
        now_s, now = monotonic(), self._clock()
        return {queue.hook: pace_of(queue, now_s, now) for queue in queues}

    def _noticeable_steps(self) -> Steps[list[HookQueue]]:
        queues = list(self._queues.queues())
        found: list[HookQueue] = []
        for start in range(0, len(queues), _HINTS_AT_ONCE):
            found += filter(is_noticeable, queues[start : start + _HINTS_AT_ONCE])
            yield
        return found

    # Claim

    async def _dispatch(self) -> None:
        while True:
            self.heartbeat.start()
            if self._changed:
                changed, self._changed = self._changed, set()
                await self._apply_changes(changed)
            if self._queues.any_ready:
                await asyncio.sleep(0)  # responses that are being processed free more slots
            ready = self._queues.take_ready(self._clock()) if self._may_claim else []
            self._start([delivery for turn in ready for delivery in turn.starts])
            calls = [self._claim(turn.queue, turn.rows) for turn in ready if turn.rows]
            if calls:
                self._recorder.flush()  # one commit for both
                await asyncio.gather(*calls)
            elif not ready:
                await self._nap()

    @property
    def _may_claim(self) -> bool:
        return not (self._recorder.full or self._store.paused or self.shortages.wait_s)

    async def _nap(self) -> None:
        self._wake.clear()
        if self._changed or (self._queues.any_ready and self._may_claim):
            return
        due_ms = self._queues.next_due_ms() if self._may_claim else None
        nap_s = _LONGEST_NAP_S
        if due_ms is not None:
            nap_s = min(max((due_ms - self._clock()) / 1000, 0.001), nap_s)
        short_s = self.shortages.wait_s
        if short_s:  # nothing may be claimed before this ends, so due times do not matter
            nap_s = min(short_s, _LONGEST_NAP_S)
        self.heartbeat.idle()
        try:
            async with asyncio.timeout(nap_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self, queue: HookQueue, count: int) -> None:
        claims: list[ClaimedDelivery] = []
        begun = 0
        try:
            claims = await self._store.claim(queue.hook, count, by_age=queue.by_age)
            if claims:
                failpoints.hit("after_claim_commit")
                self._begin(claims)
                begun = len(claims)
            if self._queues.finish_claim(queue, count, len(claims), self._clock()):
                await self._look_up_due([queue.hook])
        except Exception as error:  # the rows are still there, so retry
            log_failure(_log, error, f"claiming for hook {queue.hook}")
            now = self._clock()
            if queue.claiming:
                self._queues.finish_claim(queue, count, begun, now)
            if begun < len(claims):
                await self._unsent.release(claims[begun:])
            self._queues.hint(queue.hook, now + round(_CLAIM_RETRY_S * 1000), now)

    async def _look_up_due(self, hooks: Sequence[HookId] | None) -> None:
        due = await self._store.next_due(hooks)
        now = self._clock()
        for hook, due_ms in due.items():
            self._queues.hint(hook, due_ms, now)

    async def _rescue(self) -> None:
        while True:
            await asyncio.sleep(RESCUE_EVERY_S)
            try:
                rescued = await self._store.rescue(self._held)
            except Exception as error:  # the next round retries
                log_failure(_log, error, "looking for expired leases")
                continue
            if rescued:
                _log.warning("%s due again after an expired lease", counted(rescued, "delivery"))

    # Send

    def _begin(self, claims: Sequence[ClaimedDelivery]) -> None:
        """Start deliveries that arrived from the store, or let them wait for a slot."""
        now = self._clock()
        self._held.update([claim.delivery for claim in claims])
        self._count_bodies(sum([len(claim.body) for claim in claims]))
        self._start([claim for claim in claims if self._queues.arrived(claim, now)])
        if self._store.paused:  # by the transaction that stored them
            self._return(self._queues.withdraw_all())
        if self._late_timer is None:
            self._watch_waiting()

    def _start(self, claims: Sequence[ClaimedDelivery]) -> None:
        idle = not self._next
        self._next.extend(claims)
        if idle:
            self._start_batch()

    def _start_batch(self) -> None:
        if self._store.paused and self._next:  # claimed before or during the pause
            unsent = list(self._next)
            self._next.clear()
            for claim in unsent:
                self._queues.free_slot(claim.hook, self._clock())
            self._return(unsent)
        loop = asyncio.get_running_loop()
        for _ in range(min(len(self._next), _BEGIN_AT_ONCE)):
            attempt = loop.create_task(self._attempt_all(self._next.popleft()))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        if self._next:
            loop.call_soon(self._start_batch)

    def _return_late(self) -> None:
        """Return deliveries that waited too long for a slot."""
        self._return(self._queues.withdraw_late(self._clock()))
        self._late_timer = None
        self._watch_waiting()

    def _watch_waiting(self) -> None:
        if self._queues.any_waiting and not self._stopping:
            loop = asyncio.get_running_loop()
            self._late_timer = loop.call_later(_LATE_EVERY_S, self._return_late)

    def _return(self, unsent: Sequence[ClaimedDelivery]) -> None:
        """Return to the store the deliveries that hold no place."""
        if not unsent:
            return
        self._forget(unsent)
        release = asyncio.create_task(self._unsent.release(unsent), name="return unsent")
        self._returns.add(release)
        release.add_done_callback(self._returns.discard)

    def _count_bodies(self, change: int) -> None:
        self.body_bytes += change
        self._queues.may_expand = self.body_bytes < MAX_BODIES_BYTES

    async def _attempt_all(self, claim: ClaimedDelivery) -> None:
        """Attempt a delivery, then those that wait for its slot."""
        following: ClaimedDelivery | None = claim
        while following is not None:
            following = await self._attempt(following)

    async def _attempt(self, claim: ClaimedDelivery) -> ClaimedDelivery | None:
        """Attempt a delivery; return the next one that starts in its slot."""
        hook = self._store.hooks().get(claim.hook)
        started_at_ms = self._clock()
        began_s = monotonic()
        queue = self._queues.queue(claim.hook)
        if queue is not None:
            queue.began(began_s)
        may_lower = queue is not None and queue.may_lower
        try:
            result = await self._sender.attempt(hook, claim, started_at_ms, may_lower=may_lower)
        except asyncio.CancelledError:
            result = self._sender.interrupted(claim, started_at_ms, "cut off by a stop")
        except MachineShort as missing:
            self._not_made(claim, missing)
            return None
        if queue is not None and queue.limit is not None:
            self._adapt(queue, queue.limit, result, began_s)
        if self._next_waits_for(result):
            await self._recorder.add_and_wait(result)
        else:
            self._recorder.add(result)
        following = self._queues.finish_attempt(claim.hook, self._clock(), result.exchange.total_ms)
        if self._queues.any_ready:
            self._wake.set()
        return following

    def _adapt(
        self, queue: HookQueue, limit: AdaptiveLimit, result: AttemptResult, began_s: float
    ) -> None:
        """Adapt the hook's limit to a result; after a cut, release what waits to the store."""
        now_s, exchange = monotonic(), result.exchange
        if exchange.error is None:
            queue.failures = 0
            if exchange.first_byte_ms is not None and limit.count_with_last(
                began_s, now_s, exchange.first_byte_ms / 1000
            ):
                return
        held_s = WATCH.held_s(began_s, now_s)
        observed = observation_of(exchange, began_s, now_s, result.retry_after_s, held_s)
        if observed is None:
            return
        if observed.signal is Signal.OVERLOADED and result.concerns_breaker:
            queue.failed_alone(self._clock())
        if self._queues.observe(queue, observed, self._clock(), WATCH.busy_share):
            log_cut(queue, observed.at_s)
            self._return(self._queues.withdraw(queue.hook, keep=queue.slots))

    def _not_made(self, claim: ClaimedDelivery, missing: MachineShort) -> None:
        """Return a delivery that this machine could not send, and wait a little."""
        self.shortages.note(missing.condition, f"a delivery of hook {claim.hook}")
        if missing.condition.of_one_hook:
            self._queues.hold(claim.hook, self._clock())
        else:
            self.shortages.wait()
            self._transport.close_idle()
        self._unsent.add(claim)

    def _forget(self, unsent: Sequence[ClaimedDelivery]) -> None:
        self._held.difference_update([claim.delivery for claim in unsent])
        self._count_bodies(-sum([len(claim.body) for claim in unsent]))
        self.replayed.returned(unsent)

    def _on_returned(self, claims: Sequence[ClaimedDelivery]) -> None:
        self._forget(claims)
        for claim in claims:
            self._queues.free_slot(claim.hook, self._clock())
        self._wake.set()

    def _next_waits_for(self, result: AttemptResult) -> bool:
        """Return whether the next delivery depends on this result and must wait until it is stored.

        It does if the hook will be disabled, if the attempt may have been its breaker's probe, and
        in an ordered hook, whose next delivery is known only after the commit.
        """
        if result.decision.disable is not None:
            return True
        hook = self._store.hooks().get(result.claim.hook)
        if hook is None or self._stopping:
            return False
        return hook.breaker_until_ms is not None or hook.settings.ordered

    # Record

    def _on_recorded(self, results: list[AttemptResult]) -> None:
        others = [
            r.decision.outcome for r in results if r.decision.outcome is not Outcome.DELIVERED
        ]
        delivered = len(results) - len(others)
        self._held.difference_update([r.claim.delivery for r in results])
        # Bodies of pings are not counted when they are claimed.
        self._count_bodies(
            -sum([len(r.claim.body) for r in results if r.claim.trigger is not Trigger.PING])
        )
        self._delivered.add(delivered)
        self._failed.add(others.count(Outcome.FAILED))
        self._outcomes[Outcome.DELIVERED] += delivered
        self._outcomes.update(others)
        self.replayed.ended(results)
        self._wake.set()

    def _on_commit(self, notice: CommitNotice) -> None:
        if len(notice.due) <= _HINTS_AT_ONCE:
            self._hint(notice.due.items())
        else:
            idle = not self._due
            self._due.extend(notice.due.items())
            if idle:
                self._hint_batch()
        self._refresh_queues(notice.hooks_changed)  # immediately: a breaker may have opened
        self._changed |= notice.hooks_changed
        if notice.paused:
            self._return(self._queues.withdraw_all())
        if notice.due or notice.hooks_changed or notice.paused is False:
            self._wake.set()

    def _hint(self, due: Iterable[tuple[HookId, int]]) -> None:
        now = self._clock()
        for hook, due_ms in due:
            if self._queues.queue(hook) is None:
                self._refresh_queues([hook])
            self._queues.hint(hook, due_ms, now)

    def _hint_batch(self) -> None:
        count = min(len(self._due), _HINTS_AT_ONCE)
        self._hint(self._due.popleft() for _ in range(count))
        self._wake.set()
        if self._due:
            asyncio.get_running_loop().call_soon(self._hint_batch)

    async def _apply_changes(self, changed: set[HookId]) -> None:
        for hook in changed:
            self._sender.forget(hook)
        try:
            await self._look_up_due(list(changed))
        except Exception as error:  # retry: a hook may just have been enabled
            log_failure(_log, error, "looking up what is due")
            await asyncio.sleep(_CLAIM_RETRY_S)
            self._changed |= changed

    def _refresh_queues(self, hooks: Iterable[HookId]) -> None:
        live = self._store.hooks()
        for hook_id in hooks:
            self._return(self._queues.withdraw(hook_id))
            hook = live.get(hook_id)
            if hook is None:
                self._queues.drop(hook_id)
                continue
            settings = hook.settings
            slots = 1 if settings.ordered else settings.max_in_flight
            self._queues.put(
                hook_id,
                slots=slots,
                cap=min(settings.max_in_flight_cap or self._auto_max, self._auto_max),
                receiver=settings.url,
                active=hook.active,
                rate_per_s=settings.rate_per_s,
                open_until_ms=hook.breaker_until_ms,
                now_ms=self._clock(),
                account=hook.account,
            )


def _log_failure_of(task: asyncio.Task[None]) -> None:
    """Log why a task ended: nothing waits for it."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("the task %r failed", task.get_name(), exc_info=error)
