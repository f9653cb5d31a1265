"""The one writer: whoever waits joins the next transaction, and all are answered by its commit.

It runs in the event loop (a writer thread beside a busy loop starves on the GIL: transactions of up
to 1.8 s were measured). Where the disk syncs slowly the same steps run in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from hooktui.domain.errors import DiskFull, HooktuiError, Unavailable
from hooktui.domain.heartbeat import Pulse
from hooktui.domain.json_text import Steps, finish
from hooktui.loop_watch import WATCH
from hooktui.slices import share_loop
from hooktui.store.feed_items import MOST_PER_ROW, encode
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.clock import move_along
from hooktui.store.sqlite.connections import copy_log
from hooktui.store.sqlite.transaction import Operation, Work

R = TypeVar("R")
_log = logging.getLogger(__name__)

TARGET_ROWS = 500
"""Rows of a transaction, as a target: more gain nothing, and hold the loop for too long."""
MOST_WAITING_ROWS = 50_000
MOST_WAITING_BYTES = 64 * 1024 * 1024
LARGE_BYTES = 512 * 1024
"""A commit of 8 MiB takes 7 to 18 ms, in one piece and without Python: so it goes to a thread."""
CHECKPOINT_BYTES = 4 * 1024 * 1024
"""Of values longer than a page that the log may hold. A checkpoint copies each page once: of short
rows the same few again, of long values all. The 16 MB after which SQLite makes one by itself then
take 25 ms instead of 10, in one piece and in the event loop."""
LOCKED_FOR_S = 10.0
_LOCKED_POLL_S = 0.005
_held = partial(WATCH.note, by="a write transaction")


class Writer:
    """Runs operations in transactions, many in one.

    Args:
        begin: makes the shared state of a new transaction.
        committed: told of each commit, in the event loop, before anybody is answered.
        threaded: whether database calls run in a thread.

    Attributes:
        waiting_bytes: what waits for a transaction.
        pulse: of its transactions.
    """

    def __init__(
        self, begin: Callable[[], Work], committed: Callable[[Work], None], *, threaded: bool
    ) -> None:
        self._begin = begin
        self._committed = committed
        self._threaded = threaded
        # Its own: the event loop's threads may all wait for a name service or a network disk.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hooktui-write")
        self._queue: deque[Operation[Any]] = deque()
        self._between: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._waiting_rows = self.waiting_bytes = self._long_bytes = 0
        self._arrived = asyncio.Event()
        self.closing = False
        self.pulse = Pulse("writer")
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something waits for a transaction."""
        return bool(self._queue)

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run(), name="writer")

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
            self._waiting_rows > MOST_WAITING_ROWS or self.waiting_bytes > MOST_WAITING_BYTES
        ):
            raise Unavailable("more comes in than the disk can take; slow down and try again")
        self._queue.append(operation)
        self._waiting_rows += operation.weight
        self.waiting_bytes += operation.size_bytes
        self._arrived.set()

    async def between(self, function: Callable[[], R]) -> R:
        """Run a function outside of any transaction, such as a checkpoint.

        Raises:
            Unavailable: the database could not do it, or the store is closed.
        """
        if self.closing:
            raise Unavailable("the server is stopping; try again when it is back")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._between.append((function, future))
        self._arrived.set()
        return await future

    async def close(self) -> None:
        """Finish what was taken, then end."""
        self.closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def run_now(self, operation: Operation[R]) -> R:
        """Run one operation alone, before `start`.

        Raises:
            HooktuiError: it failed.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        operation.future = future
        await self._transact([operation])
        return future.result()

    async def _run(self) -> None:
        while True:
            self.pulse.beat()
            if self._between:
                await self._run_between(*self._between.popleft())
            if not self._queue:
                if self._between:
                    continue
                if self.closing:
                    self.pulse.rest()
                    return
                self._arrived.clear()
                self.pulse.rest()
                await self._arrived.wait()
                continue
            self.pulse.beat()
            await self._transact(self._take())
            await asyncio.sleep(0)  # whoever was answered goes first

    async def _run_between(self, function: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        try:
            result = await self._call(function)
        except Exception as error:  # whoever asked is told
            if not future.done():
                future.set_exception(_explain(error))
        else:
            if not future.done():
                future.set_result(result)

    def _take(self) -> list[Operation[Any]]:
        batch: list[Operation[Any]] = []
        rows = 0
        while self._queue and rows < TARGET_ROWS:
            operation = self._queue.popleft()
            self._waiting_rows -= operation.weight
            self.waiting_bytes -= operation.size_bytes
            if operation.future is not None and operation.future.cancelled():
                continue  # nobody waits for it any more, so it never happened
            batch.append(operation)
            rows += operation.weight
        return sorted(batch, key=lambda operation: operation.turn)

    async def _transact(self, batch: Sequence[Operation[Any]]) -> None:
        """Run a batch: all of its operations are in one commit, or have an error each."""
        if not batch:
            return
        work = self._begin()
        try:
            await self._steps(work, batch)
        except Exception as error:  # every one of the batch is told
            await self._call(_roll_back, work.raw)
            failure = _explain(error)
            for operation in batch:
                _answer(operation, operation.error or failure)
            return
        self.pulse.done()
        self._committed(work)
        for operation in batch:
            self._long_bytes += operation.long_bytes
            if operation.error is None and operation.future and operation.future.cancelled():
                self._undo(operation)
            _answer(operation, operation.error)
        if self._long_bytes > CHECKPOINT_BYTES:
            self._long_bytes = 0
            await self._checkpoint(work.raw)

    async def _checkpoint(self, raw: sqlite3.Connection) -> None:
        """Make one in a thread: it computes without Python, so the event loop goes on."""
        try:
            await self._in_thread(copy_log, raw)
        except sqlite3.Error as error:  # nothing is lost: the log still has it
            _log.error("a checkpoint of the database failed: %s", error)

    def _undo(self, operation: Operation[Any]) -> None:
        undoing = operation.undo()
        if undoing is not None and not self.closing:
            self.add(undoing)

    async def _steps(self, work: Work, batch: Sequence[Operation[Any]]) -> None:
        await self._lock(work.raw)
        if self._threaded:
            await self._call(_look, work, batch)
            await share_loop(_plan(work, batch), _held)
            await self._call(_apply_and_commit, work, batch)
            return
        await share_loop(_look_plan_apply(work, batch), _held)
        if sum(operation.size_bytes for operation in batch) > LARGE_BYTES:
            await self._in_thread(work.raw.execute, "COMMIT")
        else:
            await self._call(work.raw.execute, "COMMIT")

    async def _lock(self, raw: sqlite3.Connection) -> None:
        """Begin; wait without blocking the loop while another program holds the lock."""
        give_up_s = asyncio.get_running_loop().time() + LOCKED_FOR_S
        while True:
            try:
                await self._call(raw.execute, "BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if asyncio.get_running_loop().time() > give_up_s:
                    raise
            else:
                return
            await asyncio.sleep(_LOCKED_POLL_S)

    async def _call(self, function: Callable[..., R], *args: object) -> R:
        if not self._threaded:
            begun_s = time.perf_counter()
            try:
                return function(*args)
            finally:
                _held(time.perf_counter() - begun_s)
        return await self._in_thread(function, *args)

    async def _in_thread(self, function: Callable[..., R], *args: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


def _look_plan_apply(work: Work, batch: Sequence[Operation[Any]]) -> Steps[None]:
    _look(work, batch)
    yield from _plan(work, batch)
    yield from _apply(work, batch)


def _look(work: Work, batch: Sequence[Operation[Any]]) -> None:
    if work.clock_moved_ms:
        move_along(work)
    for operation in batch:
        operation.look(work)


def _plan(work: Work, batch: Sequence[Operation[Any]]) -> Steps[None]:
    for operation in batch:
        if operation.error is None:
            try:
                steps = operation.plan(work)
                if steps is not None:
                    yield from steps
            except HooktuiError as error:  # a refusal of this one alone: it wrote nothing
                operation.error = error


def _apply(work: Work, batch: Sequence[Operation[Any]]) -> Steps[None]:
    for operation in batch:
        if operation.error is None:
            steps = operation.run(work)
            if steps is not None:
                yield from steps
    feed = work.notes.feed
    for start in range(0, len(feed), MOST_PER_ROW):
        items = feed[start : start + MOST_PER_ROW]
        row = work.raw.execute(sql.INSERT_FEED, (work.now_ms, len(items), encode(items)))
        work.feed_end = row.lastrowid
        work.feed_rows += 1
        work.feed_items += len(items)
        yield
    if work.notes.hooks_changed:
        work.loaded = load_live_hooks(work.conn, work.vault, work.now_ms, work.notes.hooks_changed)


def _apply_and_commit(work: Work, batch: Sequence[Operation[Any]]) -> None:
    finish(_apply(work, batch))
    work.raw.execute("COMMIT")


def _roll_back(raw: sqlite3.Connection) -> None:
    if raw.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # the error that led here is the one to tell
            raw.execute("ROLLBACK")


def _explain(error: Exception) -> Exception:
    cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's error
    if not isinstance(cause, sqlite3.Error):
        return error
    _log.error("a write transaction failed: %s", cause)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull("the disk is full; nothing was stored. Free some room and try again")
    if code == sqlite3.SQLITE_BUSY:
        return Unavailable(
            f"another program has held the database for over {LOCKED_FOR_S:g} s (an open sqlite3 "
            "shell?); nothing was stored. Close it and try again"
        )
    return Unavailable(f"the database could not be written ({cause}); nothing was stored")


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
