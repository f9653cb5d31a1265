"""The run of one replay: finds what to send, and sends it at its rate.

A replay has no deliveries in the queue. Each step creates a few that are leased already, in slots
that live traffic leaves free, and moves the cursor of its hook in the same transaction. So a step
that a crash interrupts is done or not done.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from hooktui import failpoints
from hooktui.delivery.engine import Engine
from hooktui.domain.deliveries import DeliveryStatus
from hooktui.domain.errors import DiskFull, HooktuiError, log_failure
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.rates import TokenBucket, burst_of
from hooktui.domain.replays import FAILURES_IN_A_ROW, MAX_REACHED, STEP_BYTES, STEP_DELIVERIES
from hooktui.slices import wait_at_most
from hooktui.store import changes, queries
from hooktui.store.base import Store
from hooktui.store.contract import ReplayCandidate, ReplayStep, ReplayStepResult, StepOutcome

_log = logging.getLogger(__name__)

OWED_AFTER_S: Final = 5.0
"""A replay that found no free slot for this long gets the next one, one at a time."""
_TURN_S: Final = 0.03
"""Time between steps of a replay while it has slots: some deliveries share a transaction."""
_SLOT_S: Final = 0.1
"""The wait between two tries to get a slot that live traffic leaves free."""
_IDLE_S: Final = 0.25
"""Time between turns of a replay that can do nothing: its hooks are disabled, or all is paused."""
_BETWEEN_RESULTS_S: Final = 0.01
_LONGEST_REST_S: Final = 1.0
_HOOKS_AT_ONCE: Final = 100
_LINE_S: Final = 0.2
"""The wait between two tries at an ordered hook whose line is not empty."""
_LIVE_TRAFFIC_S: Final = 1.0
"""After this time without a free slot a hook shows that it waits for live traffic."""
_IN_LINE_S: Final = 5.0
"""The same for an ordered hook whose line is not empty; one attempt may take longer than that."""
_SHOWN_EVERY_S: Final = 1.0
_ENDS_AT_LATEST_S: Final = 60.0
_ENDED_EVERY_S: Final = 0.5
_RETRY_S: Final = 1.0


@dataclass(slots=True)
class _Walk:
    """The walk of one hook: the candidates after its cursor, and since when it is blocked.

    ``in_line`` is the delivery that waits in the line of an ordered hook, ``left_line`` the one
    before it, until its result is counted, and ``failures`` how many gave up in a row: any server
    may have sent them.
    """

    hook: HookId
    cursor: int
    candidates: deque[ReplayCandidate] = field(default_factory=deque)
    end: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False
    loaded: bool = False
    in_search: bool = False
    version: int = 0
    blocked_since_s: float | None = None
    in_line: DeliveryId | None = None
    left_line: DeliveryId | None = None
    in_line_since_s: float | None = None
    failures: int = 0
    not_before_s: float = 0.0
    disk_is_full: bool = False

    def waits_for(self) -> str | None:
        """Return what keeps it from being walked."""
        if self.disk_is_full:
            return "disk"
        waits = ((self.blocked_since_s, _LIVE_TRAFFIC_S), (self.in_line_since_s, _IN_LINE_S))
        now_s = monotonic()
        if any(since_s is not None and now_s - since_s >= least_s for since_s, least_s in waits):
            return "live_traffic"
        return None

    def step_candidates(self, limit: int) -> list[ReplayCandidate]:
        """Return the next candidates for one step."""
        chosen: list[ReplayCandidate] = []
        size = 0
        for candidate in self.candidates:
            size += candidate.size
            if len(chosen) >= min(limit, STEP_DELIVERIES) or (chosen and size > STEP_BYTES):
                break
            chosen.append(candidate)
        return chosen

    def move_to(self, cursor: int) -> None:
        """Move the cursor, and drop the candidates up to it."""
        self.cursor = cursor
        while self.candidates and self.candidates[0].cursor <= cursor:
            self.candidates.popleft()


@dataclass(slots=True)
class _PlannedStep:
    """A step; until the engine begins it, places are reserved for it."""

    walk: _Walk
    step: ReplayStep
    begun: bool = False


class ReplayRun:
    """One replay while this server runs it."""

    def __init__(self, store: Store, engine: Engine, replay: queries.RunningReplay) -> None:
        self._store = store
        self._engine = engine
        self._replay = replay
        self.walks = {hook: _Walk(hook, cursor) for hook, cursor in replay.cursors.items()}
        self._turns = deque(self.walks)
        self._any_aside = replay.any_aside
        self._stopped = self._used_up = self._needs_slot = False
        self._kept: set[HookId] = set()  # hooks whose next free slot is kept for it
        self._borrowed = False  # the last token was borrowed
        self._to_search: deque[_Walk] = deque()
        self._searcher: asyncio.Task[None] | None = None
        self._shown_s = 0.0
        rate = replay.rate_per_s
        self._bucket = TokenBucket(rate, burst_of(rate), 0.0, store.clock())
        for hook in self.walks:
            engine.replayed.forget_failures(hook)

    def change_rate(self, rate_per_s: float) -> None:
        """Continue at another rate."""
        if rate_per_s != self._bucket.rate_per_s:
            self._bucket.change_rate(rate_per_s, self._store.clock())

    async def __call__(self) -> None:
        """Run it until it ends, pauses, or another server has it."""
        try:
            while not self._stopped:
                begun_s = monotonic()
                try:
                    if self._used_up or not self.walks:
                        await self._end()
                        return
                    acted = await self._turn()
                except HooktuiError as error:
                    log_failure(_log, error, "a step of a replay")
                    await asyncio.sleep(_RETRY_S)
                    continue
                idle = not acted and self._searcher is None
                await self._rest((_IDLE_S if idle else _TURN_S) - (monotonic() - begun_s))
        finally:
            if self._searcher is not None:
                self._searcher.cancel()
            for hook in self.walks:
                self._engine.release_kept_slot(hook)

    async def _end(self) -> None:
        """Finish once no delivery is being sent, or pause now if a hook was set aside."""
        store, replay = self._store, self._replay.id
        pauses = self._any_aside and not self._used_up
        give_up_s = monotonic() + (0 if pauses else _ENDS_AT_LATEST_S)
        ended = self._engine.replayed.ended_event
        while monotonic() < give_up_s and await store.own_read(queries.is_sending, replay):
            ended.clear()
            await wait_at_most(ended, _ENDED_EVERY_S)
        reason = MAX_REACHED if self._used_up else None
        results = await store.own_read(queries.replay_results, replay)
        if await store.write(changes.finish_replay, store.token, replay, reason, results):
            failpoints.hit("after_replay_end_commit")

    async def _rest(self, least_s: float) -> None:
        """Wait for the next tokens, for a slot, or for anything else that it needs."""
        now_ms = self._store.clock()
        tokens_s = (self._bucket.next_at_ms(now_ms) - now_ms) / 1000
        if tokens_s:
            await asyncio.sleep(min(max(tokens_s, min(least_s, _TURN_S)), _LONGEST_REST_S))
            return
        if not self._needs_slot:
            await asyncio.sleep(least_s)
            return
        await asyncio.sleep(_BETWEEN_RESULTS_S)
        await wait_at_most(self._engine.replayed.ended_event, _SLOT_S)

    async def _turn(self) -> bool:
        """Make a step at each hook that can; return whether there was one."""
        await self._set_aside()
        self._needs_slot = False
        self._engine.replayed.ended_event.clear()
        kept, self._kept = self._kept, set()
        planned: list[_PlannedStep] = []
        try:
            if not self._is_full():
                await self._plan_steps(planned, kept)
            results = await asyncio.gather(*map(self._send, planned), return_exceptions=True)
        finally:
            for hook in kept - self._kept:
                self._engine.release_kept_slot(hook)
            for planned_step in planned:
                if not planned_step.begun:  # only this releases them
                    self._engine.unreserve(planned_step.walk.hook, planned_step.step.places)
                    self._bucket.put_back(len(planned_step.step.candidates))
        for planned_step, result in zip(planned, results, strict=True):
            if isinstance(result, BaseException):
                self._bucket.put_back(len(planned_step.step.candidates))
                if not isinstance(result, HooktuiError):
                    raise result
                log_failure(_log, result, "a step of a replay")
                planned_step.walk.not_before_s = monotonic() + _RETRY_S
            else:
                self._apply(planned_step.walk, planned_step.step, result)
        return bool(planned)

    async def _plan_steps(self, planned: list[_PlannedStep], kept: Set[HookId]) -> None:
        """Plan a step at each hook that can; a hook for which a slot is kept gets a token first."""
        self._turns.rotate(-1)
        order = sorted(self._turns, key=lambda hook: hook not in kept)
        for index, hook in enumerate(order):
            if index % _HOOKS_AT_ONCE == _HOOKS_AT_ONCE - 1:
                await asyncio.sleep(0)
            walk = self.walks.get(hook)
            if walk is None:
                self._turns.remove(hook)
                continue
            step = self._plan(walk)
            if step is not None:
                planned.append(step)

    async def _send(self, planned: _PlannedStep) -> ReplayStepResult:
        planned.begun = True
        return await self._engine.replay(planned.step, _TURN_S)

    def _is_full(self) -> bool:
        full = False
        try:
            self._store.check_room()
        except DiskFull:
            full = True
        for walk in self.walks.values():
            walk.disk_is_full = full
        return full

    def _plan(self, walk: _Walk) -> _PlannedStep | None:
        """Return the next step of a hook; None: it waits.

        It does not wait for a search: its places are used at once, and no hook waits for the search
        of another one.
        """
        if walk.not_before_s > monotonic():
            return None
        hook = self._store.hooks().get(walk.hook)
        if hook is None:
            return self._step(walk, [], 0)  # the step ends the walk
        if not hook.active or self._store.paused:
            walk.blocked_since_s = None
            return None
        if not self._is_searched(walk, hook.version):
            return None
        if not walk.candidates:
            return self._step(walk, [], 0)
        now_s, since_s = monotonic(), walk.blocked_since_s
        owed = since_s is not None and now_s - since_s >= OWED_AFTER_S
        tokens = self._bucket.whole(self._store.clock())
        # A hook that is owed a slot may borrow its token, so that no other hook waits for it.
        borrows = owed and not self._borrowed and tokens == 0
        if borrows:
            tokens = 1
        candidates = walk.step_candidates(tokens)
        if not candidates:
            return None
        if hook.settings.ordered:
            walk.blocked_since_s = None
            self._use_tokens(1, borrows=borrows)
            return self._step(walk, candidates[:1], 0)
        if self._engine.replayed.failures(walk.hook) >= FAILURES_IN_A_ROW:
            return None
        places = self._engine.reserve_spare(walk.hook, len(candidates), owed=owed)
        self._needs_slot |= places < len(candidates)
        if not places:
            if owed:
                self._kept.add(walk.hook)
            if since_s is None and not self._engine.replayed.of_hook(walk.hook):
                walk.blocked_since_s = now_s
            return None
        walk.blocked_since_s = now_s if owed else None
        self._use_tokens(places, borrows=borrows)
        return self._step(walk, candidates[:places], places)

    def _use_tokens(self, tokens: int, *, borrows: bool) -> None:
        self._bucket.take(tokens)
        self._borrowed = borrows

    def _is_searched(self, walk: _Walk, version: int) -> bool:
        """Return whether the next candidates of a hook are known; else search for them."""
        if walk.in_search:
            return False
        if walk.loaded and (
            walk.version == version or not self._replay.selection.mode.walks_events
        ):
            return True
        walk.in_search = True
        self._to_search.append(walk)
        if self._searcher is None:
            self._searcher = asyncio.create_task(self._search(), name="search for a replay")
        return False

    async def _search(self) -> None:
        """Search hooks one after another, so that other replays wait for one of them only.

        After an error a hook waits a little.
        """
        try:
            while self._to_search:
                walk = self._to_search.popleft()
                try:
                    await self._load(walk)
                except Exception as error:
                    log_failure(_log, error, "a search of a replay")
                    walk.not_before_s = monotonic() + _RETRY_S
                walk.in_search = False
        finally:
            self._searcher = None

    async def _load(self, walk: _Walk) -> None:
        hook = self._store.hooks().get(walk.hook)
        if hook is None:
            return
        replay = self._replay
        selected = queries.ReplayWalk(
            replay.selection, hook, replay.id, replay.id, replay.ids_ahead
        )
        found = await self._store.scan(queries.next_candidates, selected, walk.cursor)
        walk.candidates = deque(found.candidates)
        walk.end, walk.skipped, walk.complete = found.end, found.skipped, found.complete
        walk.version, walk.loaded = hook.version, True

    def _step(self, walk: _Walk, candidates: list[ReplayCandidate], places: int) -> _PlannedStep:
        takes_all = len(candidates) == len(walk.candidates) and walk.loaded
        now_s = monotonic()
        show = now_s - self._shown_s >= _SHOWN_EVERY_S
        if show:
            self._shown_s = now_s
        last = candidates[-1].cursor if candidates else walk.cursor
        step = ReplayStep(
            replay=self._replay.id,
            token=self._store.token,
            hook=walk.hook,
            version=walk.version,
            selection=self._replay.selection,
            cursor=walk.cursor,
            candidates=candidates,
            end=walk.end if takes_all else last,
            skipped=walk.skipped if takes_all else {},
            complete=walk.complete and takes_all,
            places=places,
            show=show,
        )
        return _PlannedStep(walk, step)

    def _apply(self, walk: _Walk, step: ReplayStep, result: ReplayStepResult) -> None:
        match result.outcome:
            case StepOutcome.STOPPED:
                self._stopped = True
            case StepOutcome.OUTDATED:
                self._bucket.put_back(len(step.candidates))
                walk.candidates.clear()
                walk.loaded = False
            case StepOutcome.WAITS:
                self._bucket.put_back(len(step.candidates))
                walk.in_line_since_s = walk.in_line_since_s or monotonic()
                walk.not_before_s = monotonic() + _LINE_S
            case StepOutcome.DONE:
                if step.places:  # an ordered hook has none, and has used its token
                    self._bucket.put_back(len(step.candidates) - len(result.claims))
                walk.in_line_since_s = None
                if result.in_line is not None:  # so the one before it has ended
                    walk.left_line, walk.in_line = walk.in_line, result.in_line
                walk.move_to(result.cursor)
                walk.loaded = bool(walk.candidates)
                self._used_up |= result.used_up
                if result.walked:
                    del self.walks[walk.hook]
                    self._engine.release_kept_slot(walk.hook)

    async def _set_aside(self) -> None:
        """Stop the walks of hooks with too many failed attempts in a row."""
        for hook, walk in list(self.walks.items()):
            await self._count_in_line(walk)
            failures = max(self._engine.replayed.failures(hook), walk.failures)
            if failures >= FAILURES_IN_A_ROW:
                store, replay = self._store, self._replay.id
                results = await store.own_read(queries.replay_results, replay)
                await store.write(changes.set_aside, store.token, replay, hook, results)
                del self.walks[hook]
                self._any_aside = True
                self._engine.release_kept_slot(hook)

    async def _count_in_line(self, walk: _Walk) -> None:
        """Count the result of the delivery that left the line of an ordered hook."""
        if walk.left_line is None:
            return
        status = await self._store.own_read(queries.status_of, walk.left_line)
        walk.left_line = None
        if status == DeliveryStatus.FAILED:
            walk.failures += 1
        elif status == DeliveryStatus.DELIVERED:
            walk.failures = 0
