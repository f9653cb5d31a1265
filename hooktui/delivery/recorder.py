"""Writes results to the store in batches, and returns claimed deliveries that were not sent.

After a sent request a failed write is retried, never the request: a result stays here, leased in
the store, until its transaction commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from hooktui import failpoints
from hooktui.domain.errors import HooktuiError, log_failure
from hooktui.domain.text import counted
from hooktui.slices import end_tasks, wait_at_most
from hooktui.store.base import Store
from hooktui.store.contract import AttemptResult, ClaimedDelivery

_log = logging.getLogger(__name__)

LINGER_S = 0.005
"""Results wait for others, or for the next accepted event: one commit then serves many."""
MAX_PER_BATCH = 500
FULL = 5_000
"""This many unwritten results stop new claims, to bound memory when writing is slow."""
_RETRY_S = (0.05, 0.2, 1.0, 5.0)


class Recorder:
    """Collects results and records them in batches, in the order of their arrival.

    ``on_recorded`` is called with each recorded batch.
    """

    def __init__(self, store: Store, on_recorded: Callable[[list[AttemptResult]], None]) -> None:
        self._store = store
        self._on_recorded = on_recorded
        self._waiting: list[tuple[AttemptResult, asyncio.Future[None] | None]] = []
        self._writing = 0
        self._arrived = asyncio.Event()
        self._flushed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether too many results wait for new attempts to start."""
        return len(self._waiting) >= FULL

    def start(self) -> None:
        """Start the task that writes."""
        self._task = asyncio.create_task(self._run(), name="recorder")

    def add(self, result: AttemptResult) -> None:
        """Queue a result."""
        self._waiting.append((result, None))
        self._arrived.set()
        self._idle.clear()

    async def add_and_wait(self, result: AttemptResult) -> None:
        """Queue a result and return once it is written, or its fence did not hold."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((result, done))
        self._idle.clear()
        self.flush()
        await done

    def flush(self) -> None:
        """Write without waiting for more results: another commit is about to happen."""
        if len(self._waiting) > self._writing:
            self._flushed.set()
            self._arrived.set()

    async def stop(self, within_s: float) -> None:
        """Write the remaining results and stop; unwritten ones stay leased and are rescued."""
        self.flush()
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            unwritten = counted(len(self._waiting), "result")
            _log.error("%s could not be written before the stop", unwritten)
        if self._task is not None:
            await end_tasks([self._task])

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            if len(self._waiting) < MAX_PER_BATCH:
                await wait_at_most(self._flushed, LINGER_S)
            self._flushed.clear()
            batch = self._waiting[:MAX_PER_BATCH]
            self._writing = len(batch)
            if len(batch) == len(self._waiting):
                self._arrived.clear()
            held = await self._write([result for result, _ in batch])
            del self._waiting[: len(batch)]
            self._writing = 0
            for _, done in batch:
                if done is not None and not done.done():
                    done.set_result(None)
            if late := held.count(False):
                _log.warning(
                    "%s came after the end of the lease; sent again", counted(late, "result")
                )
            self._on_recorded([result for result, _ in batch])
            if not self._waiting:
                self._idle.set()

    async def _write(self, results: list[AttemptResult]) -> list[bool]:
        tries = 0
        while True:
            try:
                held = await self._store.record(results)
                failpoints.hit("after_record_commit")
                return held
            except Exception as error:  # the request was sent, so its result must be kept
                wait_s = _RETRY_S[min(tries, len(_RETRY_S) - 1)]
                what = f"recording {counted(len(results), 'result')}"
                log_failure(_log, error, what, f"again in {wait_s:g} s")
                tries += 1
                await asyncio.sleep(wait_s)


class Unsent:
    """Returns deliveries, uncounted and due immediately, many in one transaction.

    Deliveries that cannot be returned are rescued when their leases end.

    Args:
        store: takes them.
        on_returned: called with the deliveries of `add` once they are due again.
    """

    def __init__(
        self, store: Store, on_returned: Callable[[Sequence[ClaimedDelivery]], None]
    ) -> None:
        self._store = store
        self._on_returned = on_returned
        self._waiting: list[ClaimedDelivery] = []
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def add(self, claim: ClaimedDelivery) -> None:
        """Queue a delivery that could not be sent; those of the same turn are returned together."""
        self._waiting.append(claim)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="return unsent")

    async def release(self, claims: Sequence[ClaimedDelivery]) -> None:
        """Return deliveries now.

        If the outcome is unknown, it is not repeated: some may be due again and claimed since.
        """
        what = counted(len(claims), "delivery")
        for wait_s in (*_RETRY_S, None):
            try:
                await self._store.release(claims)
            except Exception as error:
                unknown = isinstance(error, HooktuiError) and error.outcome_unknown
                if wait_s is None or self._stopping or unknown:
                    break
                _log.warning("returning %s failed (%s); again in %g s", what, error, wait_s)
                await asyncio.sleep(wait_s)
            else:
                return
        _log.error("returning %s failed; due again at the end of the lease", what)

    async def stop(self) -> None:
        """Return the remaining deliveries."""
        self._stopping = True
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(0)  # collects failures of the same turn
        while self._waiting:
            claims, self._waiting = self._waiting, []
            await self.release(claims)
            self._on_returned(claims)
        self._task = None
