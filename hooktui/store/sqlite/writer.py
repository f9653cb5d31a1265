"""The only writer of SQLite: waiting operations share the next transaction.

It runs in the event loop (a writer thread beside a busy loop starves on the GIL: transactions of up
to 1.8 s were measured). If the disk syncs slowly, the same steps run in a thread. If the disk
becomes slow later, commits do, which run no Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import GeneratorType
from typing import Any, TypeVar

from hooktui.domain.errors import DiskFull, HooktuiError, Unavailable
from hooktui.domain.json_text import Steps, finish
from hooktui.loop_watch import WATCH
from hooktui.slices import share_loop
from hooktui.store.feed_items import MAX_PER_ROW, encode
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.clock import move_along
from hooktui.store.sqlite.connections import copy_log
from hooktui.store.sqlite.files import damaged, is_damage
from hooktui.store.sqlite.queue import insert_planned
from hooktui.store.sqlite.transaction import Operation, WriteTransaction
from hooktui.store.write_queue import WriteQueue, closed

R = TypeVar("R")
_log = logging.getLogger(__name__)

LARGE_BYTES = 512 * 1024
"""A commit of 8 MiB blocks for 7 to 18 ms without running Python, so it runs in a thread."""
CHECKPOINT_BYTES = 4 * 1024 * 1024
"""Limit of values longer than a page in the log. A checkpoint copies each page once: of short rows
the same few again, of long values all. The 16 MB of an automatic checkpoint would then block the
event loop for 25 ms instead of 10."""
LATE_COMMIT_S = 0.01
"""A commit that takes longer shows that the disk has become slow."""
FAST_COMMITS = 100
"""So many in a row return to the event loop: a slow disk blocks it once in so many commits."""
_HOOKS_PER_STEP = 10
"""Hooks that one step loads, with their secrets, in about 2 ms."""
LOCKED_FOR_S = 10.0
_LOCKED_POLL_S = 0.005
_held = partial(WATCH.note, by="a write transaction")


class Writer:
    """Runs batches of operations in transactions, on the only connection that writes.

    Args:
        begin: creates the shared state of a new transaction.
        committed: called for each commit in the event loop, before any caller has its result.
        threaded: whether database calls run in a thread.

    Attributes:
        queue: the waiting operations.
    """

    def __init__(
        self,
        begin: Callable[[], WriteTransaction],
        committed: Callable[[WriteTransaction], None],
        *,
        threaded: bool,
    ) -> None:
        self._begin = begin
        self._committed = committed
        self._threaded = threaded
        # A pool of its own: the default threads may all wait for a name server or a network disk.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hooktui-write")
        self._connection = asyncio.Lock()
        self._long_bytes = 0
        self._commits_in_thread = 0
        self.queue = WriteQueue("writer", self._transact)

    async def between(self, function: Callable[[], R]) -> R:
        """Run a function outside of any transaction, such as a checkpoint.

        Raises:
            Unavailable: the database failed, or the store is closed.
        """
        if self.queue.closing:
            raise closed()
        async with self._connection:
            try:
                return await self._in_thread(function)
            except Exception as error:
                raise _explain(error) from error

    async def close(self) -> None:
        """Run the waiting operations, then stop."""
        await self.queue.close()
        async with self._connection:
            self._thread.shutdown()

    async def _transact(self, batch: Sequence[Operation[Any]]) -> None:
        """Run a batch: all of its operations are in one commit, or each has an error."""
        if not batch:
            return
        async with self._connection:
            work = self._begin()
            try:
                await self._steps(work, batch)
            except Exception as error:
                await self._call(_roll_back, work.raw)
                self.queue.fail(batch, _explain(error))
                return
            self.queue.heartbeat.finish()
            try:
                self._committed(work)
            except Exception:  # it is stored, so its callers get their results all the same
                _log.exception("the side effects of a commit failed")
            self.queue.complete(batch)
            self._long_bytes += sum(operation.long_bytes for operation in batch)
            if self._long_bytes > CHECKPOINT_BYTES:
                self._long_bytes = 0
                await self._checkpoint(work.raw)

    async def _checkpoint(self, raw: sqlite3.Connection) -> None:
        """Make a checkpoint in a thread: it runs no Python, so the event loop is not blocked."""
        try:
            await self._in_thread(copy_log, raw)
        except sqlite3.Error as error:  # no data is lost: the log still has it
            _log.error("a checkpoint of the database failed: %s", error)

    async def _steps(self, work: WriteTransaction, batch: Sequence[Operation[Any]]) -> None:
        await self._lock(work.raw)
        if self._threaded:
            await self._call(finish, _load(work, batch))
            await share_loop(_plan(work, batch), _held)
            await self._call(_execute_and_commit, work, batch)
            return
        await share_loop(_load_plan_execute(work, batch), _held)
        large = sum(operation.size_bytes for operation in batch) > LARGE_BYTES
        begun_s = time.perf_counter()
        if large or self._commits_in_thread:
            await self._in_thread(work.raw.execute, "COMMIT")
        else:
            await self._call(work.raw.execute, "COMMIT")
        late = time.perf_counter() - begun_s > LATE_COMMIT_S
        self._commits_in_thread = FAST_COMMITS if late else max(self._commits_in_thread - 1, 0)

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


def _load_plan_execute(work: WriteTransaction, batch: Sequence[Operation[Any]]) -> Steps[None]:
    yield from _load(work, batch)
    yield from _plan(work, batch)
    yield from _execute(work, batch)


def _load(work: WriteTransaction, batch: Sequence[Operation[Any]]) -> Steps[None]:
    if work.clock_moved_ms:
        move_along(work)
    for operation in batch:
        steps = operation.load(work)
        if steps is not None:
            yield from steps


def _plan(work: WriteTransaction, batch: Sequence[Operation[Any]]) -> Steps[None]:
    for operation in batch:
        if operation.error is None:
            try:
                steps = operation.plan(work)
                if steps is not None:
                    yield from steps
            except HooktuiError as error:  # this operation alone is refused; it wrote nothing
                operation.error = error


def _execute(work: WriteTransaction, batch: Sequence[Operation[Any]]) -> Steps[None]:
    yield from insert_planned(work)
    for operation in batch:
        if operation.error is None:
            result = operation.execute(work)
            operation.result = (yield from result) if isinstance(result, GeneratorType) else result
    if work.notes.waiting:
        changes = [(change, hook) for hook, change in work.notes.waiting.items()]
        work.raw.executemany(sql.ADD_WAITING, changes)
    yield from _insert_feed(work)
    yield from _load_changed_hooks(work)


def _insert_feed(work: WriteTransaction) -> Steps[None]:
    feed = work.notes.feed
    for start in range(0, len(feed), MAX_PER_ROW):
        items = feed[start : start + MAX_PER_ROW]
        row = work.raw.execute(sql.INSERT_FEED, (work.now_ms, len(items), encode(items)))
        work.feed_end = row.lastrowid
        work.feed_rows += 1
        work.feed_items += len(items)
        yield


def _load_changed_hooks(work: WriteTransaction) -> Steps[None]:
    changed = sorted(work.notes.hooks_changed)
    for start in range(0, len(changed), _HOOKS_PER_STEP):
        hooks = changed[start : start + _HOOKS_PER_STEP]
        work.loaded |= load_live_hooks(work.conn, work.vault, work.now_ms, hooks)
        yield


def _execute_and_commit(work: WriteTransaction, batch: Sequence[Operation[Any]]) -> None:
    finish(_execute(work, batch))
    work.raw.execute("COMMIT")


def _roll_back(raw: sqlite3.Connection) -> None:
    if raw.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # the first error is the one to report
            raw.execute("ROLLBACK")


def _explain(error: Exception) -> Exception:
    cause = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's error
    if not isinstance(cause, sqlite3.Error):
        return error
    _log.error("a write transaction failed: %s", cause)
    if is_damage(cause):
        return damaged(cause, "nothing was stored")
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull("the disk is full; nothing was stored. Free some space and try again")
    if code == sqlite3.SQLITE_BUSY:
        return Unavailable(
            f"another program has held the database for over {LOCKED_FOR_S:g} s (an open sqlite3 "
            "shell?); nothing was stored. Close it and try again"
        )
    if code == sqlite3.SQLITE_READONLY:
        return Unavailable(
            "the database is read-only, and nothing was stored: check whether the server's user may"
            " write the file, its -wal and their folder, and how the file system is mounted"
        )
    return Unavailable(f"the database could not be written ({cause}); nothing was stored")
