"""The writers of PostgreSQL: waiting operations share the next transaction of a connection.

Events, claims, results and replays have a connection each. A transaction is repeated after a
deadlock, or if its connection broke before the commit; if the connection broke during the commit,
the operations fail because the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asyncpg import exceptions as pg

from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.store.postgres.connections import (
    FAULTS,
    PATIENCE_S,
    TRIES,
    DatabaseAddress,
    Raw,
    cause_of,
    explain,
    has_hung,
    is_lost,
    may_repeat,
    outcome_unknown,
    waits,
)
from hooktui.store.postgres.transaction import Operation, Shared, WriteTransaction, begin
from hooktui.store.write_queue import WriteQueue

_log = logging.getLogger(__name__)

_OWN_FAULT = (pg.DataError, ValueError, TypeError)
"""Values that cannot be stored, whatever else is in the transaction."""


class Writer:
    """Runs batches of operations in transactions, on one connection that it keeps open.

    Args:
        name: for the log.
        connect: opens the connection.
        shared: the state of this server's transactions.
        committed: called for each commit before any caller has its result.
        target: for messages.

    Attributes:
        queue: the waiting operations. Each attempt is a step of its heartbeat, so an unreachable
            database does not look like a deadlock.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Raw]],
        shared: Shared,
        committed: Callable[[WriteTransaction], Awaitable[None]],
        target: DatabaseAddress,
    ) -> None:
        self._connect = connect
        self._shared = shared
        self._committed = committed
        self._target = target
        self._raw: Raw | None = None
        self._closing: asyncio.Task[None] | None = None
        self._waits = waits()
        self.queue = WriteQueue(f"writer of {name}", self._transact)

    @property
    def connected(self) -> bool:
        """Whether it has a connection; it gets another one with its next batch."""
        return self._raw is not None and not self._raw.is_closed()

    async def start(self) -> None:
        """Connect, and start to run batches.

        Raises:
            HooktuiError: the connection failed.
        """
        self._raw = await self._connect()
        self.queue.start()

    async def close(self) -> None:
        """Run the waiting operations, then disconnect."""
        await self.queue.close()
        await self._drop()
        if self._closing is not None:
            await self._closing

    async def _transact(self, batch: Sequence[Operation[Any]]) -> None:
        """Run a batch: all of its operations are in one commit, or each has an error."""
        tries = 0
        while batch:
            for operation in batch:
                operation.result = operation.error = None
            tries += 1
            self.queue.heartbeat.start()
            committing = False
            try:
                raw = await self._connected()
                work = await begin(raw, self._shared)
                await type(batch[0]).run_all(work, batch)
                committing = True
                await work.commit()
                if not self.queue.busy:
                    await work.find_feed_end()
            except Exception as error:
                hung = has_hung(error, self.queue.heartbeat.age_s) and not self.queue.closing
                await self._clean(error, hung=hung)
                if hung:  # each of these would wait as long again
                    self._target.hung_s = time.monotonic()
                    self._fail(self.queue.withdraw(lambda _: True), explain(error, self._target))
                lost, closing = is_lost(error), self.queue.closing
                if lost and committing:
                    failure: Exception = outcome_unknown()
                elif hung:
                    failure = explain(error, self._target)
                elif lost and tries == 1 and not closing:
                    continue  # this process may have been stopped for longer than others wait
                elif (lost or isinstance(error, Unavailable)) and not closing:
                    batch = await self._after_a_pause(batch, explain(error, self._target))
                    continue
                elif may_repeat(error) and tries < TRIES:
                    continue
                elif len(batch) > 1 and isinstance(cause_of(error), _OWN_FAULT):
                    for operation in batch:  # the error may be of one of them
                        await self._transact([operation])
                    return
                else:
                    failure = explain(error, self._target)
                    if isinstance(failure, Unavailable) and not closing:
                        self._fail(self._late(), failure)  # such as behind a lock that is held
                self._fail(batch, failure)
                return
            self.queue.heartbeat.finish()
            self._waits = waits()
            await self._complete(work, batch)
            return

    async def _complete(self, work: WriteTransaction, batch: Sequence[Operation[Any]]) -> None:
        try:
            await self._committed(work)
        except Exception:  # it is stored; polling finds the side effects
            _log.exception("the side effects of a commit failed")
        self.queue.complete(batch)

    async def _connected(self) -> Raw:
        if self._raw is None or self._raw.is_closed():
            self._raw = await self._connect()
            _log.info("connected again %s", self._target.shown)
        return self._raw

    async def _clean(self, error: Exception, *, hung: bool) -> None:
        """Roll back; drop a connection that is lost or cannot roll back."""
        raw = self._raw
        if raw is None or raw.is_closed():
            self._raw = None
        elif hung:
            # In the background, because it takes its whole time. It cancels the statement, too: a
            # commit that waits for a standby holds locks.
            self._raw, self._closing = None, asyncio.create_task(raw.close(), name="close")
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
            await raw.close()

    async def _after_a_pause(
        self, batch: Sequence[Operation[Any]], failure: Exception
    ) -> list[Operation[Any]]:
        """Fail operations that have waited for too long; return the others after a pause."""
        too_old = time.monotonic() - PATIENCE_S
        late = [operation for operation in batch if operation.since_s < too_old]
        self._fail([*late, *self._late()], failure)
        await asyncio.sleep(next(self._waits))
        return [operation for operation in batch if operation.since_s >= too_old]

    def _late(self) -> list[Operation[Any]]:
        """Remove and return the operations behind this batch that have waited for too long."""
        too_old = time.monotonic() - PATIENCE_S
        return self.queue.withdraw(lambda operation: operation.since_s < too_old)

    def _fail(self, batch: Sequence[Operation[Any]], failure: Exception) -> None:
        if batch and not isinstance(failure, HooktuiError):
            _log.error("a write transaction failed", exc_info=failure)
        elif batch:
            _log.error("a write transaction failed: %s", failure)
        self.queue.fail(batch, failure)
