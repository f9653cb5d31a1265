"""The store on one SQLite file: one process, one writer connection, readers in threads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Self, TypeVar, final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from hooktui.domain.alerts import AlertRules
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import DiskFull
from hooktui.domain.ids import HookId, IdClock
from hooktui.domain.wire.server import DatabaseInfo, Disk, RetentionDays
from hooktui.store import feed
from hooktui.store.base import DEFAULT_RETENTION, DEFAULT_RULES, Operations, Store, repeat
from hooktui.store.clock_trust import DOUBTED_FOR_MS
from hooktui.store.contract import CommitNotice, DatabaseCopy
from hooktui.store.durable_files import HomeLock
from hooktui.store.live_hooks import load_live_hooks
from hooktui.store.planning.accept import lease_from
from hooktui.store.planning.retention import MAX_FEED_ITEMS, MAX_FEED_ROWS
from hooktui.store.queries import engine
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.backup import Backups
from hooktui.store.sqlite.clock import ClockJumps
from hooktui.store.sqlite.connections import (
    OWN,
    READERS,
    Readers,
    WalWatch,
    copy_log,
    open_reader,
    truncate,
)
from hooktui.store.sqlite.disk_guard import LOG_BYTES, RESERVE_BYTES, DiskGuard
from hooktui.store.sqlite.files import (
    SLOW_FSYNC_MS,
    OpenedFiles,
    file_size,
    free_bytes,
    measure_fsync_ms,
    not_opened,
    refuse_network_file_system,
    refuse_old_library,
    refuse_served,
)
from hooktui.store.sqlite.queue import Accept, Claim, ClaimPing, Release, next_due
from hooktui.store.sqlite.replays import EndReplayLeases, StepReplay
from hooktui.store.sqlite.results import Record, Rescue
from hooktui.store.sqlite.retention import DELETIONS, TrimFeed
from hooktui.store.sqlite.schema import prepare
from hooktui.store.sqlite.transaction import ChangeOperation, WriteTransaction
from hooktui.store.sqlite.writer import Writer
from hooktui.store.tx import Tx
from hooktui.store.vault import Vault
from hooktui.store.write_queue import Operation, closed

R = TypeVar("R")

FIRST_SWEEP_S = 60.0  # a start has more urgent work
SWEEP_EVERY_S = 3600.0
KEYS_EVERY_S = 600.0
WAL_EVERY_S = 2.0
READERS_END_WITHIN_S = 10.0
"""Reads of people end within seconds; a backup may take longer."""
_READERS_POLL_S = 0.02


@final
class SqliteStore(Store):
    """See ``contract`` for its guarantees; created by `open`.

    Attributes:
        number: 0, as there is no other server.
    """

    OPERATIONS = Operations(Accept, Claim, ClaimPing, Record, Release, Rescue, StepReplay)
    DELETIONS = DELETIONS

    def __init__(
        self,
        database: Path,
        lock: HomeLock,
        raw: sqlite3.Connection,
        conn: Connection,
        vault: Vault,
        clock: Callable[[], int],
        fsync_ms: float,
        keep: RetentionDays,
        reserve: int,
        steady: Callable[[], int] | None,
        rules: AlertRules,
    ) -> None:
        super().__init__(vault, rules, keep)
        self._rules = rules
        self._reserve = reserve
        self._database = database
        self._wal = database.with_name(f"{database.name}-wal")
        self._lock = lock
        self._raw = raw
        self._conn = conn
        self.clock = clock
        last_seen = raw.execute(sql.NEWEST_FEED).fetchone()
        self._jumps = ClockJumps(clock, steady, last_seen[0] if last_seen else 0)
        self._trust = self._jumps.trust
        now = clock()
        self._trust.restarted(now, engine.stored_before(conn, now - DOUBTED_FOR_MS))
        self._live.put(load_live_hooks(conn, vault, clock()))
        self._live.paused = engine.is_paused(conn)
        last_id = raw.execute(sql.HIGHEST_IDS).fetchone()[0]
        self._ids = IdClock(last_id=last_id, clock=clock)
        self._secrets_used: dict[int, int] = {}
        self._feed_rows, self._feed_items, newest = raw.execute(sql.COUNT_FEED).fetchone()
        self._feed_end = feed.Position(newest + 1, 0)
        self._readers = Readers(database)
        self._files = OpenedFiles(database)
        self._measuring = open_reader(database)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="hooktui-read")
        self._own = ThreadPoolExecutor(OWN, thread_name_prefix="hooktui-own")
        self._looking_up = asyncio.Lock()
        self._backups = Backups(database, reserve, self._pool, self._readers.reading)
        self._guard = DiskGuard(reserve, self._free_for_events, self._free_inside)
        self._wal_watch = WalWatch()
        self._writer = Writer(self._begin, self._committed, threaded=fsync_ms > SLOW_FSYNC_MS)
        self._accepting = self._claiming = self._recording = self._replaying = self._writer.queue

    @classmethod
    async def open(
        cls,
        database: Path,
        *,
        key_file: Path,
        clock: Callable[[], int] = now_ms,
        keep: RetentionDays = DEFAULT_RETENTION,
        reserve: int = RESERVE_BYTES,
        steady: Callable[[], int] | None = None,
        rules: AlertRules = DEFAULT_RULES,
    ) -> Self:
        """Open or create a database; take its lock, migrate it, and rescue interrupted attempts.

        ``steady`` is a monotonic clock; by it the store detects that ``clock`` was set. ``rules``
        say when alerts open.

        Raises:
            Conflict: another process works on it.
            Refused: it is on a network file system, or the SQLite library is too old.
            KeyProblem: the key file is missing, readable by others, or not the right one.
            SchemaTooNew: a newer version wrote it.
        """
        folder = database.parent
        refuse_old_library()
        refuse_network_file_system(folder)
        lock = HomeLock(folder)
        lock.acquire()
        raw: sqlite3.Connection | None = None
        store: Self | None = None
        try:
            refuse_served(database)
            raw, conn, vault = prepare(database, key_file)
            fsync_ms = measure_fsync_ms(folder)
            store = cls(
                database, lock, raw, conn, vault, clock, fsync_ms, keep, reserve, steady, rules
            )
            store._readers.open_all()
            await store._start()
        except BaseException as error:
            if store is not None:
                await store.close()
            elif raw is not None:
                raw.close()
            lock.release()
            cause = error.orig if isinstance(error, DBAPIError) else error
            if isinstance(cause, sqlite3.DatabaseError):
                raise not_opened(database, cause) from error
            raise
        return store

    async def _start(self) -> None:
        """Rescue what the previous server left: the lock proves that it has ended."""
        self._recording.start()
        await self._rescue(partial(Rescue, everything=True))
        await self.submit(EndReplayLeases())
        await self._continue_changes()
        for what, work, first_s, every_s in (
            ("retention", self._sweep, FIRST_SWEEP_S, SWEEP_EVERY_S),
            ("forgetting keys", self.forget_keys, KEYS_EVERY_S, KEYS_EVERY_S),
            ("truncating the log", self._watch_wal, WAL_EVERY_S, WAL_EVERY_S),
        ):
            self._later(what, repeat(what, work, first_s, every_s))
        self._later("causes", self._write_causes())
        self._later("alerts", self.keep_checking_alerts())

    def check_room(self, size_bytes: int = 0) -> None:
        """Raise DiskFull if the disk has no room for more events, Unavailable if files are gone."""
        self._guard.check(size_bytes)

    async def _read(self, query: Callable[[Connection], R]) -> R:
        return await self._run(self._pool, query)

    async def _own_read(self, query: Callable[[Connection], R]) -> R:
        return await self._run(self._own, query, until_ended=True)

    async def look_up(self, query: Callable[[Connection], R]) -> R:
        """Run a quick query that calls wait for.

        One at a time, so that `next_due`, on the same thread, waits for at most one.
        """
        async with self._looking_up:
            return await self._run(self._own, query)

    async def _run(
        self,
        pool: ThreadPoolExecutor,
        query: Callable[[Connection], R],
        *,
        until_ended: bool = False,
    ) -> R:
        """Run a query in a thread; ``until_ended``: a cancelled one returns with its thread."""
        if self._closed:
            raise closed()
        gone = threading.Event()
        run = partial(self._readers.run, query, lambda: gone.is_set() or self._closed)
        reading = asyncio.get_running_loop().run_in_executor(pool, run)
        try:
            return await (asyncio.shield(reading) if until_ended else reading)
        except asyncio.CancelledError:
            gone.set()  # the thread polls it
            if until_ended:
                await asyncio.wait([reading])
            raise

    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due."""
        active = self._active_hooks(hooks)
        return await self._run(self._own, partial(next_due, hooks=active)) if active else {}

    async def _write(self, change: Callable[[Tx], R]) -> R:
        self._files.check()
        return await self._recording.submit(ChangeOperation(change), bounded=True)

    def backup(self, stopped: Callable[[], bool], /) -> AbstractAsyncContextManager[DatabaseCopy]:
        """Copy the database from one snapshot while the server is running."""
        if self._closed:
            raise closed()
        return self._backups.copy(lambda: self._closed or stopped())

    async def info(self) -> DatabaseInfo:
        """Return the kind, place and size of the database."""
        return DatabaseInfo(
            kind="sqlite",
            version=sqlite3.sqlite_version,
            location=str(self._database),
            size=file_size(self._database),
            wal_size=file_size(self._wal),
        )

    async def _disconnect(self) -> None:
        await self._writer.close()
        for pool in (self._pool, self._own):
            await asyncio.to_thread(pool.shutdown)
        self._readers.close()
        self._measuring.close()
        self._conn.close()
        self._raw.close()
        self._lock.release()

    def _free_for_events(self) -> int:
        self._files.check()
        return self._free_on_disk()

    def _free_on_disk(self) -> int:
        """Return the free bytes less the log, which a checkpoint copies into the database."""
        reserved = self._recording.waiting_bytes + (file_size(self._wal) or 0)
        return max(free_bytes(self._database.parent) - reserved, 0)

    def disk_space(self) -> Disk:
        """Return the space that events have, by the rule of the disk guard."""
        free = self._guard.bytes_for_events(self._free_on_disk())
        total = disk_usage(self._database.parent).total
        return Disk(free=free, total=total, reserve=self._reserve)

    def _free_inside(self) -> int:
        # Not on the writer's connection: a checkpoint uses it in a thread, waits for no reader
        # (SQLITE_LOCKED), and would block the event loop.
        (pages,), (size,) = (
            self._measuring.execute(f"PRAGMA {name}").fetchall()[0]
            for name in ("freelist_count", "page_size")
        )
        return int(pages * size)

    async def _sweep(self) -> None:
        self._jumps.now_ms()  # detects a jump since the last transaction
        await self.delete_old()

    async def prepare_deletions(self) -> None:
        """Copy the log into the database: it could not grow on a disk that the deletions fill."""
        await self._writer.between(partial(copy_log, self._raw))

    async def delete(self, make: Callable[[], Operation[R]]) -> R:
        """Run an operation that deletes rows; before the disk is full, truncate the log.

        Deleted pages go through the log first, and a reader may keep the log from being reused.
        Then the log fills a disk that has enough space for each transaction. If it does so all the
        same, the operation runs once more.
        """
        if free_bytes(self._database.parent) < LOG_BYTES:
            await self._cut_log()
        try:
            return await self.submit(make())
        except DiskFull:
            if not await self._cut_log():
                raise
        return await self.submit(make())  # the first one counted rows it did not delete

    async def _cut_log(self) -> bool:
        """Truncate the log as soon as there is no reader; False if there was one for 10 s."""
        give_up_s = time.monotonic() + READERS_END_WITHIN_S
        while self._readers.in_use or not await self._writer.between(partial(truncate, self._raw)):
            if time.monotonic() > give_up_s:
                return False
            await asyncio.sleep(_READERS_POLL_S)
        return True

    async def _watch_wal(self) -> None:
        """Truncate the log of the database after it grew."""
        size, in_use = file_size(self._wal) or 0, self._readers.in_use or self.busy
        if self._wal_watch.wants_truncate(size, in_use=in_use, short=self._guard.short):
            await self._writer.between(partial(truncate, self._raw))

    # The writer's two callbacks

    def _begin(self) -> WriteTransaction:
        now = self._jumps.now_ms()
        lease = lease_from(self.token, now)
        return WriteTransaction(
            self._raw, self._conn, self.vault, self._ids, self._live, now, lease,
            self._secrets_used, self._rules, clock_moved_ms=self._jumps.moved_ms,
        )  # fmt: skip

    def _committed(self, work: WriteTransaction) -> None:
        self._jumps.moved_ms -= work.clock_moved_ms
        self._live.put(work.loaded)
        self._feed_rows += work.feed_rows
        self._feed_items += work.feed_items
        if work.feed_end is not None:
            self._feed_reached(work.feed_end)
        notes = work.notes
        self._secrets_used.update(notes.secrets_used)
        if notes.paused is not None:
            self._live.paused = notes.paused
        self._notify(CommitNotice(frozenset(notes.hooks_changed), notes.due, notes.paused))
        if not self._recording.closing:
            for change in notes.follow_ups:
                self._later("rest", self._follow_up(change))
            self._trim_feed()

    def _trim_feed(self) -> None:
        rows_over, items_over = self._feed_rows - MAX_FEED_ROWS, self._feed_items - MAX_FEED_ITEMS
        if rows_over > 0 or items_over > 0:
            self._recording.add(TrimFeed(rows_over, items_over))
