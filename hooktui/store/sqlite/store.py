"""The store on one SQLite file: one process, one writer connection, readers in threads."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, select

from hooktui import failpoints
from hooktui.domain.clock import now_ms
from hooktui.domain.errors import HooktuiError
from hooktui.domain.heartbeat import Pulse
from hooktui.domain.ids import AccountId, HookId, IdClock
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.wire.server import DatabaseInfo, ServerInfo
from hooktui.store import feed as change_feed
from hooktui.store.audit_key import chain_of
from hooktui.store.changes.deliveries import cancel_waiting
from hooktui.store.contract import (
    Accepted,
    FeedPage,
    Job,
    Keep,
    Listener,
    Offer,
    Purged,
    Reserve,
    Result,
    Sieve,
    Signals,
)
from hooktui.store.durable_files import HomeLock
from hooktui.store.key_ring import find_keys
from hooktui.store.live_hooks import LiveHooks, load_live_hooks
from hooktui.store.migrations import at_head, upgrade
from hooktui.store.planning.accept import check_keys, lease_from
from hooktui.store.planning.matching import accept_matched, is_quick
from hooktui.store.queries import engine
from hooktui.store.queries.engine import is_paused
from hooktui.store.sqlite import sql
from hooktui.store.sqlite.backup import Backups, DatabaseCopy, never, remove_drafts
from hooktui.store.sqlite.clock import ClockJumps
from hooktui.store.sqlite.connections import (
    READERS,
    Readers,
    WalWatch,
    copy_log,
    open_writer,
    sqlalchemy_over,
    truncate,
    truncate_between_reads,
)
from hooktui.store.sqlite.disk_guard import RESERVE_BYTES, DiskGuard
from hooktui.store.sqlite.files import (
    file_size,
    free_bytes,
    make_database_file,
    measure_fsync_ms,
    refuse_network_file_system,
)
from hooktui.store.sqlite.moved_marker import refuse_moved
from hooktui.store.sqlite.queue import Accept, Claim, ClaimPing, Release
from hooktui.store.sqlite.restore import finish_restore
from hooktui.store.sqlite.results import Record, Rescue
from hooktui.store.sqlite.retention import (
    MOST_FEED_ITEMS,
    MOST_FEED_ROWS,
    ForgetKeys,
    Sweep,
    TrimFeed,
    keep_to,
)
from hooktui.store.sqlite.transaction import Change, Operation, Work
from hooktui.store.sqlite.writer import Writer
from hooktui.store.tables import HOOK, HOOK_STATE
from hooktui.store.vault import Vault
from hooktui.store.write_queue import closed

if TYPE_CHECKING:
    from hooktui.store.contract import Store
    from hooktui.store.tx import Tx

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)

SLOW_FSYNC_MS = 3.0  # of the median; above it, waiting for the disk would hold the event loop
FIRST_SWEEP_S = 60.0  # a start has better things to do
SWEEP_EVERY_S = 3600.0
WAL_LOOKED_AT_EVERY_S = 2.0
_REST, _REST_WHEN_BUSY, _REST_OF_PURGE = 4, 20, 1
"""Pauses of retention, in times of what its last step took: a share of 20 %, 5 % and 50 %."""
_KEEP = Keep()
_RESCUED_AT_ONCE = 250
_KEYS_EVERY_MS = 10 * 60 * 1000


class SqliteStore:
    """See ``contract.Store`` for what it promises; made by `open`.

    Attributes:
        fsync_ms: the median time of a sync, measured when the store was opened.
        vault: seals and opens secrets.
    """

    def __init__(
        self,
        database: Path,
        lock: HomeLock,
        raw: sqlite3.Connection,
        conn: Connection,
        vault: Vault,
        clock: Callable[[], int],
        fsync_ms: float,
        keep: Keep,
        reserve: int,
        steady: Callable[[], int] | None,
    ) -> None:
        self.fsync_ms = fsync_ms
        self._database = database
        self._wal = database.with_name(f"{database.name}-wal")
        self._lock = lock
        self._raw = raw
        self._conn = conn
        self.vault = vault
        self._clock = clock
        last_seen = raw.execute(sql.NEWEST_FEED).fetchone()
        self._jumps = ClockJumps(clock, steady, last_seen[0] if last_seen else 0)
        self._token = secrets.randbits(62)
        self._live = LiveHooks()
        self._live.put(load_live_hooks(conn, vault, clock()))
        self._live.paused = is_paused(conn)
        last_id = raw.execute(sql.HIGHEST_IDS).fetchone()[0]
        self._ids = IdClock(last_id=last_id, clock=clock)
        self._secrets_used: dict[int, int] = {}
        self._feed_rows, self._feed_items, newest = raw.execute(sql.COUNT_FEED).fetchone()
        self._feed_end = change_feed.Position(newest + 1, 0)
        self._keys_forgotten_at = clock()
        self._changed = asyncio.Event()
        self._listeners: list[Listener] = []
        self._closed = False
        self._readers = Readers(database)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="hooktui-read")
        self._backups = Backups(database, reserve, self._pool, self._readers.reading)
        self._keep = keep
        self._guard = DiskGuard(reserve, self._free_on_disk, self._free_inside)
        self._housekeepers: list[asyncio.Task[None]] = []
        self._writer = Writer(self._begin, self._committed, threaded=fsync_ms > SLOW_FSYNC_MS)

    @classmethod
    async def open(
        cls,
        database: Path,
        *,
        key_file: Path,
        clock: Callable[[], int] = now_ms,
        keep: Keep = _KEEP,
        reserve: int = RESERVE_BYTES,
        steady: Callable[[], int] | None = None,
    ) -> Self:
        """Open a database, or make it; take its lock, migrate it, and rescue what was being sent.

        ``steady`` is a clock that nobody sets: by it the store sees that ``clock`` was.

        Raises:
            Conflict: another process works on it.
            Refused: it lies on a network file system.
            KeyProblem: the key file is missing, readable by others, or not the right one.
            SchemaTooNew: a newer version wrote it.
        """
        folder = database.parent
        refuse_network_file_system(folder)
        lock = HomeLock(folder / "hooktui.lock")
        lock.take()
        raw: sqlite3.Connection | None = None
        try:
            refuse_moved(database)
            finish_restore(database)
            remove_drafts(database)
            is_new = not database.exists()  # noqa: ASYNC240 - nothing is served yet
            vault = Vault(find_keys(key_file, database_is_new=is_new).keys)
            make_database_file(database)
            raw = open_writer(database)
            conn = sqlalchemy_over(raw)
            _migrate(raw, conn, vault)
            chain_of(conn, vault)  # a missing key is told now, not by the first act
            fsync_ms = measure_fsync_ms(folder)
            store = cls(database, lock, raw, conn, vault, clock, fsync_ms, keep, reserve, steady)
            store._readers.open_all()
            await store._start()
        except sqlite3.DatabaseError as error:
            _abandon(raw, lock)
            raise HooktuiError(f"cannot open the database {database}: {error}") from error
        except BaseException:
            _abandon(raw, lock)
            raise
        return store

    async def _start(self) -> None:
        """Take up what the server before left: the lock proves that it is dead."""
        while await self._writer.run_now(Rescue(_RESCUED_AT_ONCE, everything=True)):
            pass
        left = select(HOOK.c.id).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
        left = left.where(HOOK.c.deleted_at.is_not(None), HOOK_STATE.c.waiting > 0)
        for hook in self._conn.execute(left).scalars().all():
            self._writer.queue.add(Change(partial(cancel_waiting, hook=HookId(hook))))
        self._writer.queue.start()
        self._housekeepers = [
            asyncio.create_task(self._keep_house(), name="retention"),
            asyncio.create_task(self._watch_wal(), name="wal watch"),
        ]

    async def accept(
        self, offers: Sequence[Offer], reserve: Reserve | None = None
    ) -> tuple[list[Accepted], list[Job]]:
        """Store events with their deliveries, all or nothing; see the contract."""
        check_keys(offers)
        self._guard.check(sum(len(one.body) for one in offers))
        if is_quick(offers, self._live):
            return await self._writer.queue.submit(Accept(offers, reserve), bounded=True)
        live, submit = self._live, partial(self._writer.queue.submit, bounded=True)
        return await accept_matched(offers, live, lambda m: submit(Accept(offers, reserve, m)))

    @property
    def number(self) -> int:
        """0: there is no other server."""
        return 0

    @property
    def clock(self) -> Callable[[], int]:
        """What tells the time: this machine's clock."""
        return self._clock

    @property
    def pulses(self) -> Sequence[Pulse]:
        """The one writer's."""
        return [self._writer.queue.pulse]

    def check_room(self) -> None:
        """Refuse when the disk has no room for more events."""
        self._guard.check()

    async def claim(self, hook: HookId, most: int, *, by_age: bool = False) -> list[Job]:
        """Lease up to ``most`` due deliveries of an active hook: first tries, then retries."""
        return await self._writer.queue.submit(Claim(hook, most, by_age=by_age), bounded=False)

    async def claim_ping(self, hook: HookId, body: bytes) -> Job:
        """Store a ping event with its delivery, already leased."""
        return await self._writer.queue.submit(ClaimPing(hook, body), bounded=True)

    async def record(self, results: Sequence[Result]) -> list[bool]:
        """Store attempts and new states in one transaction; False where the fence did not hold."""
        return await self._writer.queue.submit(Record(results), bounded=False)

    async def release(self, jobs: Sequence[Job]) -> None:
        """Give unsent jobs back, uncounted and due at once."""
        await self._writer.queue.submit(Release(jobs), bounded=False)

    async def rescue(self) -> int:
        """Record attempts whose lease has run out as interrupted; return how many."""
        rescued = 0
        while some := await self._writer.queue.submit(Rescue(_RESCUED_AT_ONCE), bounded=False):
            rescued += some
        return rescued

    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due."""
        live = self._live.view
        wanted = [live[hook] for hook in (live if hooks is None else hooks) if hook in live]
        active = [(hook.id, hook.settings.ordered) for hook in wanted if hook.active]
        return await self.read(engine.next_due, active) if active else {}

    def hooks(self) -> Mapping[HookId, LiveHook]:
        """Return the live hooks, as of the last commit."""
        return self._live.view

    def count_hooks(self, account: AccountId) -> int:
        """Return how many hooks an account has."""
        return self._live.count(account)

    @property
    def paused(self) -> bool:
        """Whether people paused all sending."""
        return self._live.paused

    async def signing_secrets(self, hook: HookId, ids: Sequence[int]) -> list[LiveSecret]:
        """Return those of a hook's secrets that still exist, also expired ones, newest first."""
        return await self.read(engine.signing_secrets, self.vault, hook, ids)

    def listen(self, listener: Listener) -> None:
        """Call a listener after each commit that concerns it."""
        self._listeners.append(listener)

    async def read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query in a short read-only transaction, in a worker thread."""
        if self._closed:
            raise closed()
        gone = threading.Event()
        run = partial(
            self._readers.run,
            lambda conn: query(conn, *args, **kwargs),
            lambda: gone.is_set() or self._closed,
        )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run)
        except asyncio.CancelledError:
            gone.set()  # the thread notices within a millisecond
            raise

    async def write(
        self, change: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a change in the writer's next transaction."""
        operation = Change(lambda tx: change(tx, *args, **kwargs))
        return await self._writer.queue.submit(operation, bounded=True)

    async def feed(
        self,
        after: str | None,
        limit: int,
        account: AccountId | None = None,
        sieve: Sieve | None = None,
    ) -> FeedPage:
        """Return up to ``limit`` changes after a position (that pass the sieve)."""
        position = None if after is None else change_feed.parse_position(after)
        return await self.read(change_feed.read_feed, position, limit, account, sieve)

    async def feed_tail(
        self,
        limit: int,
        account: AccountId | None = None,
        sieve: Sieve | None = None,
    ) -> FeedPage:
        """Return the newest ``limit`` changes (that pass the sieve), oldest first."""
        return await self.read(change_feed.read_tail, limit, account, sieve)

    def feed_end(self) -> str:
        """Return the position after the newest change."""
        return str(self._feed_end)

    async def wait_for_change(self, after: str, timeout_s: float) -> None:
        """Return once there may be changes after a position, or the time is up, or on close."""
        position = change_feed.parse_position(after)
        try:
            async with asyncio.timeout(timeout_s):
                while position >= self._feed_end and not self._closed:
                    await self._changed.wait()
        except TimeoutError:
            return

    async def purge(
        self, before_ms: int, *, within_s: float, account: AccountId | None = None, after: int = 0
    ) -> Purged:
        """Drop events from before a time with all that belongs to them, for so long at most."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        sweep = Sweep(self, lambda: _REST_OF_PURGE)
        return await sweep.events(before_ms, account, after, lambda: loop.time() > end_s)

    def backup(
        self, stopped: Callable[[], bool] = never
    ) -> AbstractAsyncContextManager[DatabaseCopy]:
        """Copy the database, from one snapshot, while everything goes on."""
        if self._closed:
            raise closed()
        return self._backups.copy(lambda: self._closed or stopped())

    async def submit(self, operation: Operation[R]) -> R:
        """Run an operation of this package in the writer's next transaction."""
        return await self._writer.queue.submit(operation, bounded=False)

    async def copy_log(self) -> None:
        """Bring the log into the database, as far as no reader is in the way."""
        await self._writer.between(partial(copy_log, self._raw))

    async def cut_log(self) -> bool:
        """Free the room that the log takes; False when a reader holds it for too long."""
        return await truncate_between_reads(self._writer, self._raw, self._readers)

    async def info(self) -> DatabaseInfo:
        """Return what the database is, and how big."""
        return DatabaseInfo(
            kind="sqlite",
            version=sqlite3.sqlite_version,
            location=str(self._database),
            size=file_size(self._database),
            wal_size=file_size(self._wal),
        )

    async def others(self) -> list[ServerInfo]:
        """Return none: the lock of the home keeps them out."""
        return []

    async def close(self) -> None:
        """Finish what was taken, release the files, and wake whoever waits for changes."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        for task in self._housekeepers:
            task.cancel()
        await asyncio.gather(*self._housekeepers, return_exceptions=True)
        await self._writer.close()
        await asyncio.to_thread(self._pool.shutdown)
        self._readers.close()
        self._conn.close()
        self._raw.close()
        self._lock.drop()

    def _free_on_disk(self) -> int:
        """Return what is left once all that was taken is where it belongs.

        A checkpoint copies the log into the database, which may grow by as much.
        """
        taken = self._writer.queue.waiting_bytes + (file_size(self._wal) or 0)
        return max(free_bytes(self._database.parent) - taken, 0)

    def _free_inside(self) -> int:
        pages = self._raw.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages * self._raw.execute("PRAGMA page_size").fetchone()[0])

    async def _keep_house(self) -> None:
        """Drop what is older than what is kept, now and then."""
        sweep = Sweep(self, lambda: _REST_WHEN_BUSY if self._writer.queue.busy else _REST)
        await asyncio.sleep(FIRST_SWEEP_S)
        while True:
            try:
                keep = self._keep if self._jumps.doubt.trusted else Keep(0, 0)
                events, bodies = await keep_to(keep, sweep, self._clock())
            except HooktuiError as error:  # such as a shell that holds the database; next time
                _log.warning("retention stopped early: %s", error)
            else:
                if events or bodies:
                    _log.info("retention events=%d bodies=%d", events, bodies)
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _watch_wal(self) -> None:
        """Cut the log of the database after it grew."""
        watch = WalWatch(
            lambda: self._readers.in_use, lambda: self._writer.queue.busy, lambda: self._guard.short
        )
        while True:
            await asyncio.sleep(WAL_LOOKED_AT_EVERY_S)
            if watch.wants_truncate(file_size(self._wal) or 0):
                try:
                    await self._writer.between(partial(truncate, self._raw))
                except HooktuiError as error:
                    _log.warning("the log of the database was not cut: %s", error)

    # The writer's two callbacks

    def _begin(self) -> Work:
        now = self._jumps.now_ms()
        lease = lease_from(self._token, now)
        return Work(
            self._raw, self._conn, self.vault, self._ids, self._live, "0", now, lease,
            self._secrets_used, clock_moved_ms=self._jumps.moved_ms,
        )  # fmt: skip

    def _committed(self, work: Work) -> None:
        self._jumps.moved_ms -= work.clock_moved_ms
        self._live.put(work.loaded)
        self._feed_rows += work.feed_rows
        self._feed_items += work.feed_items
        if work.feed_end is not None:
            self._feed_end = change_feed.Position(work.feed_end + 1, 0)
            self._wake()
        notes = work.notes
        if notes.paused is not None:
            self._live.paused = notes.paused
        if notes.hooks_changed or notes.due or notes.paused is not None:
            signals = Signals(frozenset(notes.hooks_changed), notes.due, notes.paused)
            for listener in self._listeners:
                listener(signals)
        if not self._writer.queue.closing:
            for change in notes.follow_ups:
                self._writer.queue.add(Change(change))
            self._tidy(work.now_ms)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _tidy(self, now: int) -> None:
        rows_over, items_over = self._feed_rows - MOST_FEED_ROWS, self._feed_items - MOST_FEED_ITEMS
        if rows_over > 0 or items_over > 0:
            self._writer.queue.add(TrimFeed(rows_over, items_over))
        if now - self._keys_forgotten_at > _KEYS_EVERY_MS:
            self._keys_forgotten_at = now
            self._writer.queue.add(ForgetKeys())


def _migrate(raw: sqlite3.Connection, conn: Connection, vault: Vault) -> None:
    if at_head(conn):
        return
    raw.execute("BEGIN IMMEDIATE")
    try:
        upgrade(conn, lambda: vault)
        failpoints.hit("before_migration_commit")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    raw.execute("COMMIT")


def _abandon(raw: sqlite3.Connection | None, lock: HomeLock) -> None:
    if raw is not None:
        raw.close()
    lock.drop()


if TYPE_CHECKING:

    def _keeps_the_contract(store: SqliteStore) -> Store:
        return store
