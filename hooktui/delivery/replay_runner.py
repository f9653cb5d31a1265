"""Runs the replays of this server: takes them, renews their leases, and starts their runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Set
from time import monotonic
from typing import Final

from hooktui.delivery.engine import Engine
from hooktui.delivery.replay_run import ReplayRun
from hooktui.domain.errors import HooktuiError, log_failure
from hooktui.domain.ids import HookId
from hooktui.domain.replays import LEASE_MS
from hooktui.slices import end_tasks, wait_at_most
from hooktui.store import changes, queries
from hooktui.store.base import Store

_log = logging.getLogger(__name__)

POLL_EVERY_S: Final = 2.0
_POLLS_APART_S: Final = 0.05
_RENEW_EVERY_S: Final = 2.5
"""A poll renews older leases; with the wait for it, this is less than a third of `LEASE_MS`."""


class ReplayRunner:
    """Runs replays beside an engine."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._runs: dict[int, ReplayRun] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._renewed_s = 0.0
        self._unread = True  # replays that it took last may not have been read yet

    def start(self) -> None:
        """Start to poll for replays."""
        self._task = asyncio.create_task(self._poll_forever(), name="replays")

    async def stop(self) -> None:
        """End all steps, and give the replays to other servers."""
        if self._task is None:
            return
        await end_tasks([self._task, *self._tasks.values()])
        if self._tasks:
            with contextlib.suppress(HooktuiError):  # the leases end by themselves
                await self._store.write(changes.release_replays, self._store.token)

    def wake(self) -> None:
        """Poll for changed replays now."""
        self._wake.set()

    def waits_for(self, hook: HookId) -> str | None:
        """Return what a hook of a replay waits for, if this server knows it."""
        for run in self._runs.values():
            walk = run.walks.get(hook)
            if walk is not None:
                return walk.waits_for()
        return None

    async def _poll_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._poll()
            except Exception as error:  # the next poll retries
                log_failure(_log, error, "looking for replays")
            await asyncio.sleep(_POLLS_APART_S)
            await wait_at_most(self._wake, POLL_EVERY_S - _POLLS_APART_S)

    async def _poll(self) -> None:
        store = self._store
        may_take = await store.own_read(queries.may_be_taken, store.clock())
        if may_take:
            self._unread = True
            if monotonic() - self._renewed_s < LEASE_MS / 1000:
                await self._renew_now()  # they have not expired: the clock was set forward
            taken = await store.write(changes.take_replays, store.token, str(store.number))
            await self._end_runs(self._tasks.keys() & taken)
            if not self._tasks:
                self._renewed_s = monotonic()
        if not self._tasks and not self._unread:
            return
        await self._renew()
        for ended in [replay for replay, task in self._tasks.items() if task.done()]:
            _log_end(self._tasks.pop(ended))
            del self._runs[ended]
        known = list(self._tasks)  # one that ends during the read is run again by the next poll
        running = await store.own_read(queries.replays_of, store.token, known)
        self._unread = False
        mine = {replay.id: replay for replay in running}
        for replay in known:
            if replay in mine:
                self._runs[replay].change_rate(mine[replay].rate_per_s)
            else:
                self._tasks[replay].cancel()
        for replay in mine.keys() - set(known):
            run = self._runs[replay] = ReplayRun(store, self._engine, mine[replay])
            task = self._tasks[replay] = asyncio.create_task(run(), name="replay")
            task.add_done_callback(lambda _: self._wake.set())

    async def _end_runs(self, replays: Set[int]) -> None:
        """End the runs of replays that were free meanwhile: what they know may have changed."""
        for replay in replays:
            del self._runs[replay]
        await end_tasks([self._tasks.pop(replay) for replay in replays])

    async def _renew(self) -> None:
        if monotonic() - self._renewed_s >= _RENEW_EVERY_S:
            await self._renew_now()

    async def _renew_now(self) -> None:
        if self._tasks:
            self._renewed_s = monotonic()
            await self._store.write(changes.renew_replays, self._store.token, list(self._tasks))


def _log_end(task: asyncio.Task[None]) -> None:
    """Log the defect that ended the run of a replay; it is run again."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("running a replay failed", exc_info=error)
