"""Operations waiting for a write transaction: batches, limits, cancellation and results.

Both databases use it; each runs a batch and commits it in its own way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from hooktui.domain.errors import DiskFull, HooktuiError, Unavailable
from hooktui.domain.heartbeat import Heartbeat

R = TypeVar("R")
_log = logging.getLogger(__name__)

TARGET_ROWS = 500
"""Target of rows in a transaction: more gain nothing and block the event loop for too long."""
MAX_WAITING_ROWS = 50_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
STALLED_S = 10.0
"""While a transaction takes longer, bounded operations are refused immediately."""
LATE_S = 1.0
"""A transaction that took longer is logged."""
FAILING_S = 15.0
"""How long a failure counts if no transaction follows it; results are retried sooner."""


class Operation(Generic[R]):
    """A unit of work for the next write transaction.

    Attributes:
        order: operations of a batch run in ascending order of it. Acceptance comes first: it is
            planned with the hooks as of the last commit, so a change of hooks runs after it.
        mixes: whether it shares batches with operations of other kinds.
        weight: approximate number of rows it writes.
        size_bytes: the memory that it holds while it waits.
        future: receives the result; None if no caller waits for it.
        result: set by the transaction, delivered after its commit.
        error: set if only this operation failed.
        compensate: returns, for the result, the operation that reverses a committed one whose
            caller was cancelled; None: nothing to reverse.
    """

    order = 1
    mixes = True

    def __init__(self, weight: int = 1, size_bytes: int = 0) -> None:
        self.weight = weight
        self.size_bytes = size_bytes
        self.future: asyncio.Future[R] | None = None
        self.result: R | None = None
        self.error: Exception | None = None
        self.compensate: Callable[[R], Operation[None] | None] | None = None


class WriteQueue:
    """Collects operations into batches and gives each its result after the commit.

    Args:
        name: the name of the task and its heartbeat.
        run_batch: runs a batch in one transaction, then calls `complete` or `fail`.

    Attributes:
        closing: whether no more operations are accepted.
        waiting_bytes: the memory held by waiting operations.
        heartbeat: of the transactions.
    """

    def __init__(self, name: str, run_batch: Callable[[Sequence[Any]], Awaitable[None]]) -> None:
        self._name = name
        self._run_batch = run_batch
        self._waiting: deque[Operation[Any]] = deque()
        self._waiting_rows = self.waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failed: tuple[float, HooktuiError] | None = None
        self.closing = False
        self.heartbeat = Heartbeat(name)

    @property
    def busy(self) -> bool:
        """Whether operations wait for the next batch."""
        return bool(self._waiting)

    @property
    def failure(self) -> HooktuiError | None:
        """Why the last transaction failed, for `FAILING_S` after it; None: it did not.

        Without it, only callers would notice that the database cannot be written.
        """
        if self._failed is None or time.monotonic() - self._failed[0] > FAILING_S:
            return None
        return self._failed[1]

    def start(self) -> None:
        """Start the task that runs batches."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def submit(
        self,
        operation: Operation[R],
        *,
        bounded: bool,
        compensate: Callable[[R], Operation[None] | None] | None = None,
    ) -> R:
        """Run an operation in the next transaction; return its result after the commit.

        Args:
            operation: runs once; cancelling the caller before the commit withdraws it.
            bounded: whether it is refused while too many others wait or a transaction is stalled.
            compensate: see `Operation`.

        Raises:
            Unavailable: too many operations wait, the current transaction takes too long, or the
                store is closed.
        """
        operation.compensate = compensate
        self.add(operation, bounded=bounded)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        operation.future = future
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._compensate(operation)  # the caller was cancelled before it saw the result
            raise

    def add(self, operation: Operation[Any], *, bounded: bool = False) -> None:
        """Queue an operation for the next free batch without waiting for it.

        Raises:
            Unavailable: too many operations wait or the current transaction takes too long (bounded
                operations only), or it is closed.
        """
        if self.closing:
            raise closed()
        if bounded and self.heartbeat.age_s > STALLED_S:
            raise stalled(self.heartbeat.age_s)
        if bounded and (
            self._waiting_rows > MAX_WAITING_ROWS or self.waiting_bytes > MAX_WAITING_BYTES
        ):
            raise Unavailable(
                "events arrive faster than the database can store them; "
                "send more slowly and try again"
            )
        self._waiting.append(operation)
        self._waiting_rows += operation.weight
        self.waiting_bytes += operation.size_bytes
        self._arrived.set()

    def withdraw(self, concerns: Callable[[Any], bool]) -> list[Any]:
        """Remove and return the waiting operations that a condition selects."""
        removed = [operation for operation in self._waiting if concerns(operation)]
        if removed:
            self._waiting = deque(
                [operation for operation in self._waiting if not concerns(operation)]
            )
            self._waiting_rows -= sum(operation.weight for operation in removed)
            self.waiting_bytes -= sum(operation.size_bytes for operation in removed)
        return removed

    def complete(self, batch: Sequence[Operation[Any]]) -> None:
        """Give each operation of a committed batch its result or its own error."""
        if self.heartbeat.age_s > LATE_S:
            _log.warning("a transaction of the %s took %.1f s", self._name, self.heartbeat.age_s)
        self._failed = None
        for operation in batch:
            if operation.error is None and operation.future and operation.future.cancelled():
                self._compensate(operation)
            _resolve(operation, operation.error)

    def fail(self, batch: Sequence[Operation[Any]], failure: Exception) -> None:
        """Give each operation of a batch that was rolled back its own error, or the common one."""
        if batch and isinstance(failure, Unavailable | DiskFull):
            self._failed = time.monotonic(), failure
        for operation in batch:
            _resolve(operation, operation.error or failure)

    async def close(self) -> None:
        """Run the operations that wait, then stop."""
        self.closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while True:
            if self._waiting:
                # Other requests of this turn follow, and the results that the recorder flushes:
                # twice as many operations share a commit.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                self.heartbeat.start()
                batch = self._next_batch()
                try:
                    await self._run_batch(batch)
                except Exception:  # a defect in this batch must not stop those after it
                    _log.exception("the %s failed", self._name)
                    self.fail(batch, Unavailable("the store failed; see the log of the server"))
                self.heartbeat.idle()
                await asyncio.sleep(0)  # callers with a result run first
            elif self.closing:
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _next_batch(self) -> list[Operation[Any]]:
        batch: list[Operation[Any]] = []
        rows = 0
        while self._waiting and rows < TARGET_ROWS:
            operation = self._waiting[0]
            if batch and not operation.mixes and type(operation) is not type(batch[0]):
                break
            self._waiting.popleft()
            self._waiting_rows -= operation.weight
            self.waiting_bytes -= operation.size_bytes
            if operation.future is not None and operation.future.cancelled():
                continue  # its caller was cancelled before it ran
            batch.append(operation)
            rows += operation.weight
        return sorted(batch, key=lambda operation: operation.order)

    def _compensate(self, operation: Operation[Any]) -> None:
        if operation.compensate is not None and not self.closing:
            compensation = operation.compensate(operation.result)
            if compensation is not None:
                self.add(compensation)


def stalled(age_s: float) -> Unavailable:
    """Return the error of a call while the current transaction takes too long."""
    return Unavailable(
        f"the database has not finished a transaction for {age_s:.0f} s (a slow or hung disk?);"
        " nothing was stored; try again later",
        retry_after_s=5,
    )


def closed() -> Unavailable:
    """Return the error of a call on a store that is closing or closed."""
    return Unavailable("the server is stopping; try again when it is back")


def _resolve(operation: Operation[Any], error: Exception | None) -> None:
    future = operation.future
    if future is None:
        if error is not None:
            _log.error("background work on the store failed: %s", error)
    elif not future.done():
        if error is None:
            future.set_result(operation.result)
        else:
            future.set_exception(error)
