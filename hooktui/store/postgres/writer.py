"""The writers: on each of a few connections, whoever waits joins the next transaction.

Acceptance has a connection of its own, so that it overlaps with claims and results. A transaction
that met a deadlock, or whose connection broke before it was committed, is run again; one whose
commit got no answer is told as failed, for nobody knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from asyncpg import exceptions as pg

from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.domain.heartbeat import Pulse
from hooktui.store.postgres.connections import (
    FAULTS,
    Target,
    cause_of,
    explain,
    is_lost,
    may_repeat,
    waits,
)
from hooktui.store.postgres.transaction import Operation, Shared, Work, begin

if TYPE_CHECKING:
    from hooktui.store.postgres.connections import Raw

R = TypeVar("R")
_log = logging.getLogger(__name__)

TARGET_ROWS = 500
"""Rows of a transaction, as a target; more gain nothing."""
MOST_WAITING_ROWS = 50_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
PATIENCE_S = 5.0
"""So long an operation waits for a database that is away, such as one that is restarted."""
_TRIES = 4
_OWN_FAULT = (pg.DataError, ValueError, TypeError)
"""What cannot be stored, whatever else is in the transaction."""


class Writer:
    """Runs operations in transactions, many in one, on one connection that it keeps open.

    Args:
        name: for the log.
        connect: opens the connection.
        shared: what transactions share.
        committed: told of each commit before anybody is answered.
        target: for messages.

    Attributes:
        pulse: of its transactions; each try is a step, for a database that is away is no wedge.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Raw]],
        shared: Shared,
        committed: Callable[[Work], Awaitable[None]],
        target: Target,
    ) -> None:
        self._name = name
        self._connect = connect
        self._shared = shared
        self._committed = committed
        self._target = target
        self._raw: Raw | None = None
        self._queue: deque[Operation[Any]] = deque()
        self._waiting_rows = self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._waits = waits()
        self.pulse = Pulse(f"writer of {name}")
        self.closing = False

    @property
    def busy(self) -> bool:
        """Whether something waits for a transaction."""
        return bool(self._queue)

    async def start(self) -> None:
        """Connect, and begin to work.

        Raises:
            HooktuiError: there is no connection.
        """
        self._raw = await self._connect()
        self._task = asyncio.create_task(self._run(), name=f"writer of {self._name}")

    async def submit(self, operation: Operation[R], *, bounded: bool) -> R:
        """Have an operation run in the next transaction; return its answer after the commit.

        Raises:
            Unavailable: too much waits already (bounded operations only), or the store is closed.
        """
        self.add(operation, bounded=bounded)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        operation.future = future
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._undo(operation)  # answered, but the caller was cancelled before it saw it
            raise

    def add(self, operation: Operation[Any], *, bounded: bool = False) -> None:
        """Have an operation run, and wait for nothing."""
        if self.closing:
            raise Unavailable("the server is stopping; try again when it is back")
        if bounded and (
            self._waiting_rows > MOST_WAITING_ROWS or self._waiting_bytes > MOST_WAITING_BYTES
        ):
            raise Unavailable("more comes in than the database takes; slow down and try again")
        self._queue.append(operation)
        self._waiting_rows += operation.weight
        self._waiting_bytes += operation.size_bytes
        self._arrived.set()

    async def close(self) -> None:
        """Finish what was taken, then end."""
        self.closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        await self._drop()

    async def _run(self) -> None:
        while True:
            if not self._queue:
                self.pulse.rest()
                if self.closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._transact(self._take())
            await asyncio.sleep(0)  # whoever was answered goes first

    def _take(self) -> list[Operation[Any]]:
        batch: list[Operation[Any]] = []
        rows = 0
        while self._queue and rows < TARGET_ROWS:
            operation = self._queue.popleft()
            self._waiting_rows -= operation.weight
            self._waiting_bytes -= operation.size_bytes
            if operation.future is not None and operation.future.cancelled():
                continue  # nobody waits for it any more, so it never happened
            batch.append(operation)
            rows += operation.weight
        return sorted(batch, key=lambda operation: (operation.turn, type(operation).__name__))

    async def _transact(self, batch: Sequence[Operation[Any]]) -> None:
        """Run a batch: all of its operations are in one commit, or have an error each."""
        tries = 0
        while batch:
            for operation in batch:
                operation.result = operation.error = None
            tries += 1
            self.pulse.beat()
            committing = False
            try:
                raw = await self._connected()
                work = await begin(raw, self._shared)
                await _run_all(work, batch)
                committing = True
                await work.commit()
                if not self._queue:
                    await work.find_feed_end()
            except Exception as error:
                await self._clean(error)
                if committing and is_lost(error):
                    failure: Exception = Unavailable(
                        "the connection to the database was lost during a commit: nobody knows "
                        "whether it was stored"
                    )
                elif (is_lost(error) or isinstance(error, Unavailable)) and not self.closing:
                    batch = await self._after_a_pause(batch, explain(error, self._target))
                    continue
                elif may_repeat(error) and tries < _TRIES:
                    continue
                elif len(batch) > 1 and isinstance(cause_of(error), _OWN_FAULT):
                    for operation in batch:  # what one of them holds is no fault of the others
                        await self._transact([operation])
                    return
                else:
                    failure = explain(error, self._target)
                self._fail(batch, failure)
                return
            self.pulse.done()
            self._waits = waits()
            await self._answer_all(work, batch)
            return

    async def _answer_all(self, work: Work, batch: Sequence[Operation[Any]]) -> None:
        try:
            await self._committed(work)
        except Exception:  # it is stored; what else follows from it is found by looking again
            _log.exception("telling of a commit failed")
        for operation in batch:
            if operation.error is None and operation.future and operation.future.cancelled():
                self._undo(operation)
            _answer(operation, operation.error)

    async def _connected(self) -> Raw:
        if self._raw is None or self._raw.is_closed():
            self._raw = await self._connect()
            _log.info("connected again %s", self._target.shown)
        return self._raw

    async def _clean(self, error: Exception) -> None:
        """Roll back; drop a connection that is lost, or that cannot do even that."""
        raw = self._raw
        if raw is None or raw.is_closed():
            self._raw = None
        elif is_lost(error):
            await self._drop()
        elif raw.is_in_transaction():
            try:
                await raw.execute("ROLLBACK")
            except FAULTS:
                await self._drop()

    async def _drop(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            with contextlib.suppress(*FAULTS):
                await raw.close(timeout=2)

    async def _after_a_pause(
        self, batch: Sequence[Operation[Any]], failure: Exception
    ) -> list[Operation[Any]]:
        """Fail what has waited for too long, and wait a little with the rest."""
        too_old = time.monotonic() - PATIENCE_S
        late = [operation for operation in batch if operation.since_s < too_old]
        self._fail(late, failure)
        await asyncio.sleep(next(self._waits))
        return [operation for operation in batch if operation.since_s >= too_old]

    def _fail(self, batch: Sequence[Operation[Any]], failure: Exception) -> None:
        if batch and not isinstance(failure, HooktuiError):
            _log.error("a write transaction failed", exc_info=failure)
        elif batch:
            _log.error("a write transaction failed: %s", failure)
        for operation in batch:
            _answer(operation, operation.error or failure)

    def _undo(self, operation: Operation[Any]) -> None:
        undoing = operation.undo()
        if undoing is not None and not self.closing:
            self.add(undoing)


async def _run_all(work: Work, batch: Sequence[Operation[Any]]) -> None:
    kinds: dict[type[Operation[Any]], list[Operation[Any]]] = {}
    for operation in batch:
        kinds.setdefault(type(operation), []).append(operation)
    for kind, some in kinds.items():
        await kind.run_all(work, some)


def _answer(operation: Operation[Any], error: Exception | None) -> None:
    future = operation.future
    if future is None:
        if error is not None:
            _log.error("background work on the store failed: %s", error)
    elif not future.done():
        if error is None:
            future.set_result(operation.result)
        else:
            future.set_exception(error)
