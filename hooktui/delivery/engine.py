"""The engine: claim, send, record.

Deliveries that this process just accepted are handed over in memory, up to the hook's free slots.
All others (backlog, retries, deliveries from before a restart) are claimed hook by hook when they
are due. Each attempt is one task; its result goes to the recorder, and its slot is free as soon as
the receiver has responded. While all sending is paused, only pings start.

An attempt that this machine cannot make for lack of a resource (files, memory, ports) does not
count: the delivery is returned unchanged and claimed again after a short wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from hooktui import failpoints
from hooktui.delivery.hook_queues import HookQueue, HookQueues
from hooktui.delivery.recorder import Recorder
from hooktui.delivery.sender import Sender
from hooktui.delivery.shortage import MachineShort, Shortages
from hooktui.delivery.transport import Transport
from hooktui.delivery.unsent import Unsent
from hooktui.domain.clock import now_ms
from hooktui.domain.deliveries import Load, Outcome
from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.domain.file_budget import DEFAULT_OUTBOUND
from hooktui.domain.heartbeat import Heartbeat
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.machine import condition_of
from hooktui.domain.rates import ThroughputMeter
from hooktui.store.contract import (
    Acceptance,
    AttemptResult,
    ClaimedDelivery,
    CommitNotice,
    NewEvent,
    Store,
)

_log = logging.getLogger(__name__)

STOP_IN_FLIGHT_S = 10.0
"""How long a stop waits for attempts in flight."""
RESCUE_EVERY_S = 15.0
_LONGEST_NAP_S = 5.0  # then reads the wall clock again: it may have been set
_CLAIM_RETRY_S = 1.0
DEFAULT_PINGS = 64
_PING_TURN_S = 30.0
"""How long a ping waits for a slot before it is stored."""
_BEGIN_AT_ONCE = 64
"""Attempts that start in one turn of the event loop, as many as a busy hook has slots. A hundred
events for a hundred hooks started at once cost 42 % more CPU each, and 50 % more memory."""
_HINTS_AT_ONCE = 1_000
"""Hooks whose queues get a hint in one turn of the loop: about 2 ms."""


class Engine:
    """Sends due deliveries of the store, each at most once at a time.

    Args:
        store: deliveries and hooks.
        transport: sends the requests.
        clock: milliseconds since the epoch.
        chance: random numbers in 0..1, for the jitter of retries.
        most: maximum number of deliveries in flight over all hooks.
        most_pings: maximum number of test deliveries in flight, in addition.

    Attributes:
        heartbeat: of the loop that claims.
        shortages: resource shortages of this machine.
    """

    def __init__(
        self,
        store: Store,
        transport: Transport,
        *,
        clock: Callable[[], int] = now_ms,
        chance: Callable[[], float] = random.random,
        most: int = DEFAULT_OUTBOUND,
        most_pings: int = DEFAULT_PINGS,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._sender = Sender(transport, clock, chance)
        self._recorder = Recorder(store, self._on_recorded)
        self.shortages = Shortages()
        self._queues = HookQueues(most)
        self._most = most
        self._pings = asyncio.Semaphore(most_pings)
        self._unsent = Unsent(store, self._on_returned)
        self._next: deque[ClaimedDelivery] = deque()
        self._due: deque[tuple[HookId, int]] = deque()
        self._attempts: set[asyncio.Task[None]] = set()
        self._returns: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._changed: set[HookId] = set()
        self._stopping = False
        self.heartbeat = Heartbeat("dispatcher")
        self._accepted, self._delivered, self._failed = (
            ThroughputMeter(),
            ThroughputMeter(),
            ThroughputMeter(),
        )
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

    async def stop(self) -> None:
        """Start nothing more, wait 10 s for attempts, cancel the rest, write all results."""
        self._stopping = True
        unsent = list(self._next)
        self._next.clear()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if unsent:
            await self._unsent.release(unsent)
        await asyncio.gather(*self._returns)
        if self._attempts:
            _, late = await asyncio.wait(set(self._attempts), timeout=STOP_IN_FLIGHT_S)
            for attempt in late:
                attempt.cancel()
            await asyncio.gather(*late, return_exceptions=True)
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
        checked = may_begin = False
        now = 0

        def reserve(hook: HookId) -> bool:
            nonlocal checked, may_begin, now
            if not checked:  # evaluated once for all deliveries of the call
                checked, may_begin = True, self._may_claim and not self._stopping
                now = self._clock()
            if not may_begin or not self._queues.reserve(hook, now):
                return False
            reserved.append(hook)
            return True

        self._recorder.flush()
        try:
            acceptances, claims = await self._store.accept(events, reserve)
        except BaseException:
            for hook in reserved:
                self._queues.unreserve(hook, self._clock())
            raise
        if self._stopping and claims:  # the stop began meanwhile and ignores new ones
            await self._unsent.release(claims)
        else:
            self._begin(claims)
        self._accepted.add(sum(not acceptance.duplicate for acceptance in acceptances))
        failpoints.hit("after_accept_commit")
        return acceptances

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Send a test delivery now, also to an inactive hook; return when its result is stored.

        Raises:
            NotFound: there is no such hook.
            Unavailable: the server stopped before the receiver responded, this machine lacks a
                resource, or too many pings are in flight.
        """
        try:
            async with asyncio.timeout(_PING_TURN_S):
                await self._pings.acquire()
        except TimeoutError:
            raise Unavailable("too many pings are in progress; try again in a moment") from None
        try:
            return await self._ping(hook, body)
        finally:
            self._pings.release()

    async def _ping(self, hook: HookId, body: bytes) -> DeliveryId:
        if self._stopping:
            raise Unavailable("the server is stopping; it sends no more pings")
        claim = await self._store.claim_ping(hook, body)
        # A separate task, so that a stop waits for it as for other attempts, and its result is
        # recorded even if the caller is gone.
        attempt = asyncio.create_task(self._send_ping(claim), name=f"ping {claim.delivery}")
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():
                raise Unavailable("the server is stopping; the ping was cut off") from None
            raise
        return claim.delivery

    async def _send_ping(self, claim: ClaimedDelivery) -> None:
        live = self._store.hooks().get(claim.hook)
        started_at_ms = self._clock()
        if live is None:
            result = self._sender.deleted(claim)
        else:
            try:
                result = await self._sender.attempt(live, claim, started_at_ms)
            except asyncio.CancelledError:
                self._recorder.add(self._sender.interrupted(claim, started_at_ms, "cut off"))
                raise
            except Exception as error:
                missing = _missing(error)
                if missing is not None:
                    self.shortages.note(missing.condition, "a ping")
                    await self._unsent.release([claim])
                    raise Unavailable(f"{missing}; the ping was not sent") from None
                result = self._failed_inside(claim, started_at_ms, error)
        await self._recorder.add_and_wait(result)

    @property
    def working(self) -> bool:
        """Return whether the loops that claim and rescue are running."""
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
            most_outbound=self._most,
            idle=self._transport.idle,
            short=self._queues.short,
            shortage=self.shortages.seen,
        )

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
            if ready:
                self._recorder.flush()  # one commit for both
                await asyncio.gather(*(self._claim(queue, count) for queue, count in ready))
            else:
                await self._nap()

    @property
    def _may_claim(self) -> bool:
        return not (self._recorder.full or self._store.paused or self.shortages.wait_s)

    async def _nap(self) -> None:
        self._wake.clear()
        if self._changed or (self._queues.any_ready and self._may_claim):
            return
        due_ms = None if self._store.paused else self._queues.next_due_ms()
        nap_s = _LONGEST_NAP_S
        if due_ms is not None:
            nap_s = min(max((due_ms - self._clock()) / 1000, 0.001), nap_s)
        short_s = self.shortages.wait_s
        if short_s:  # newly due deliveries do not end this wait
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
            _log_failure(error, f"claiming for hook {queue.hook}", _CLAIM_RETRY_S)
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
                rescued = await self._store.rescue()
            except Exception as error:  # the next round retries
                _log_failure(error, "looking for expired leases", RESCUE_EVERY_S)
                continue
            if rescued:
                _log.warning("%d deliveries had an expired lease and are due again", rescued)

    # Send

    def _begin(self, claims: Sequence[ClaimedDelivery]) -> None:
        idle = not self._next
        self._next.extend(claims)
        if idle:
            self._begin_batch()

    def _begin_batch(self) -> None:
        if self._store.paused and self._next:  # claimed before or during the pause
            self._release_next()
        for _ in range(min(len(self._next), _BEGIN_AT_ONCE)):
            attempt = asyncio.create_task(self._attempt(self._next.popleft()))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        if self._next:
            asyncio.get_running_loop().call_soon(self._begin_batch)

    def _release_next(self) -> None:
        unsent = list(self._next)
        self._next.clear()
        for claim in unsent:
            self._queues.unreserve(claim.hook, self._clock())
        release = asyncio.create_task(self._unsent.release(unsent), name="return unsent")
        self._returns.add(release)
        release.add_done_callback(self._returns.discard)

    async def _attempt(self, claim: ClaimedDelivery) -> None:
        hook = self._store.hooks().get(claim.hook)
        started_at_ms = self._clock()
        try:
            if hook is None:
                result = self._sender.deleted(claim)
            else:
                result = await self._sender.attempt(hook, claim, started_at_ms)
        except asyncio.CancelledError:
            result = self._sender.interrupted(claim, started_at_ms, "cut off by a stop")
        except Exception as error:
            missing = _missing(error)
            if missing is not None:
                self._not_made(claim, missing)
                return
            result = self._failed_inside(claim, started_at_ms, error)
        if self._next_needs(result):
            await self._recorder.add_and_wait(result)
        else:
            self._recorder.add(result)
        self._queues.free_slot(claim.hook, self._clock(), result.exchange.total_ms)
        if self._queues.any_ready:
            self._wake.set()

    def _not_made(self, claim: ClaimedDelivery, missing: MachineShort) -> None:
        """Return a delivery that this machine could not send, and wait a little."""
        self.shortages.note(missing.condition, f"a delivery of hook {claim.hook}")
        if missing.condition.of_one_hook:
            self._queues.hold(claim.hook, self._clock())
        else:
            self.shortages.wait()
            self._transport.close_idle()
        self._unsent.add(claim)

    def _on_returned(self, claims: Sequence[ClaimedDelivery]) -> None:
        for claim in claims:
            self._queues.unreserve(claim.hook, self._clock())
        self._wake.set()

    def _failed_inside(
        self, claim: ClaimedDelivery, started_at_ms: int, error: Exception
    ) -> AttemptResult:
        """Return the result of an attempt that failed inside: it does not count as a retry."""
        _log.exception("attempt of delivery %d failed inside", claim.delivery)
        return self._sender.interrupted(
            claim, started_at_ms, f"internal error: {type(error).__name__}"
        )

    def _next_needs(self, result: AttemptResult) -> bool:
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
        delivered = sum(r.decision.outcome is Outcome.DELIVERED for r in results)
        self._delivered.add(delivered)
        self._failed.add(len(results) - delivered)
        self._outcomes.update(r.decision.outcome for r in results)
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
            _log_failure(error, "looking up what is due", _CLAIM_RETRY_S)
            await asyncio.sleep(_CLAIM_RETRY_S)
            self._changed |= changed

    def _refresh_queues(self, hooks: Iterable[HookId]) -> None:
        live_hooks = self._store.hooks()
        for hook in hooks:
            live = live_hooks.get(hook)
            if live is None:
                self._queues.drop(hook)
            else:
                self._queues.put(
                    hook,
                    most=1 if live.settings.ordered else live.settings.max_in_flight,
                    active=live.active,
                    rate_per_s=live.settings.rate_per_s,
                    open_until_ms=live.breaker_until_ms,
                    now_ms=self._clock(),
                )


def _missing(error: Exception) -> MachineShort | None:
    """Return the resource shortage that caused an error, if any."""
    if isinstance(error, MachineShort):
        return error
    condition = condition_of(error)
    return None if condition is None else MachineShort(condition)


def _log_failure(error: Exception, what: str, again_s: float) -> None:
    """Log a failure; unexpected ones with a traceback."""
    foreseen = isinstance(error, HooktuiError)
    why = f" ({error})" if foreseen else ""
    _log.error("%s failed%s; again in %g s", what, why, again_s, exc_info=not foreseen)
