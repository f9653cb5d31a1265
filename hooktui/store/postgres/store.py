"""The store on PostgreSQL: any number of servers share one database."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from hooktui.domain.errors import Unavailable
from hooktui.domain.heartbeat import Pulse
from hooktui.domain.ids import AccountId, HookId, IdClock
from hooktui.domain.live_hook import LiveHook, LiveSecret
from hooktui.domain.wire.server import DatabaseInfo, ServerInfo
from hooktui.store import feed as change_feed
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
from hooktui.store.live_hooks import LiveHooks
from hooktui.store.planning.accept import check_keys
from hooktui.store.planning.matching import accept_matched, is_quick
from hooktui.store.postgres import sql
from hooktui.store.postgres.clock import DatabaseClock
from hooktui.store.postgres.connections import (
    HOT,
    MIGRATION,
    Target,
    connect,
    connect_to_write,
    target_of,
)
from hooktui.store.postgres.notify import Hints, changed_hooks, look
from hooktui.store.postgres.pools import OWN, READERS, Changes, Queries
from hooktui.store.postgres.queue import Accept, Claim, ClaimPing, Release
from hooktui.store.postgres.results import Record, Rescue
from hooktui.store.postgres.retention import House
from hooktui.store.postgres.schema import prepare
from hooktui.store.postgres.server_registry import (
    NAME_SESSION,
    Home,
    servers,
    session_name,
    this_server,
)
from hooktui.store.postgres.shared_key import key_locks
from hooktui.store.postgres.transaction import Operation, Shared, Work
from hooktui.store.postgres.writer import Writer
from hooktui.store.queries.engine import signing_secrets
from hooktui.store.sqlite.backup import DatabaseCopy, use_pg_dump
from hooktui.store.tables import HOOK, HOOK_STATE, Big
from hooktui.store.tx import Tx
from hooktui.store.vault import Vault
from hooktui.store.write_queue import closed

if TYPE_CHECKING:
    from hooktui.store.contract import Store
    from hooktui.store.postgres.connections import Raw

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)

_KEEP = Keep()
_RESCUED_AT_ONCE = 250


class PostgresStore:
    """See ``contract.Store`` for what it promises; made by `open`.

    Attributes:
        number: this server's number, free until now; its ids carry it.
    """

    def __init__(
        self, target: Target, home: Home, vault: Vault, clock: DatabaseClock, keep: Keep
    ) -> None:
        self._clock = clock
        self.number = 0
        self._numbered = False
        self._about = this_server(0)
        self._target = target
        self._home = home
        self._shared = Shared(
            vault=vault,
            ids=IdClock(clock=clock.now_ms),
            live=LiveHooks(),
            server="0",
            token=secrets.randbits(62),
            clock=clock,
            catch_up=self._catch_up,
            saw_feed=self._saw_feed,
        )
        self._catching_up = asyncio.Lock()
        self._feed_end = 1
        self._changed = asyncio.Event()
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        cold = partial(connect, target)
        self._readers = Queries(cold, READERS, target)
        self._own = Queries(cold, OWN, target)
        self._changes = Changes(partial(connect_to_write, target), self._shared, target)
        self._accepting = Writer(
            "events", self._connect_numbered, self._shared, self._committed, target
        )
        # What frees slots must not wait behind what fills them. A claim that a crash of the
        # database forgets is made again: its fence no longer holds, so it need not be on disk.
        hot = partial(connect_to_write, target, **HOT)
        hasty = partial(hot, synchronous_commit="off")
        self._claiming = Writer("claims", hasty, self._shared, self._committed, target)
        self._working = Writer("results", hot, self._shared, self._committed, target)
        self._house = House(self, cold, keep)
        self._hints = Hints(cold, self._shared.token, self._look, self._heard_due)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        home: Path,
        key_file: Path,
        clock: Callable[[], int] | None = None,
        keep: Keep = _KEEP,
    ) -> Self:
        """Connect to a database, make its schema or bring it up to date, and take part in it.

        Args:
            url: ``postgresql://…``.
            home: the folder of this server; only one server works in it.
            key_file: the keys, the same for all servers of the database.
            clock: milliseconds since the epoch; by default the database's time.
            keep: how long things are kept.

        Raises:
            Conflict: another process works in this home.
            KeyProblem: the key file is missing or not the one of this database.
            SchemaTooNew: a newer version wrote the database.
            HooktuiError: the database cannot be reached, or does not let us in.
        """
        target = target_of(url)
        place = Home(home)
        place.take()
        store: Self | None = None
        try:
            patient = partial(connect, target, **MIGRATION)
            vault = await prepare(patient, key_file, target)
            store = cls(target, place, vault, DatabaseClock(clock), keep)
            await store._start()
        except BaseException:
            if store is not None:
                await store.close()
            place.drop()
            raise
        return store

    async def _start(self) -> None:
        await self._look()
        written_ms = await self._own.run(_last_written_ms)
        if written_ms is not None:
            self._clock.doubt.away(self._clock.now_ms() - written_ms)
        await self._catch_up()
        await self._accepting.start()
        await self._claiming.start()
        await self._working.start()
        await self._look()  # where the feed goes on: those who write have skipped numbers
        # Whoever held this home before is dead: what it was sending need not wait for its lease.
        before = self._home.token_before
        if before is not None:
            await self._rescue(before)
        self._home.keep_token(self._shared.token)
        for hook in await self._own.run(_left_by_deleted_hooks):
            self._later(self._cancel_left(hook))
        self._hints.start()
        self._house.start()

    async def accept(
        self, offers: Sequence[Offer], reserve: Reserve | None = None
    ) -> tuple[list[Accepted], list[Job]]:
        """Store events with their deliveries, all or nothing; see the contract."""
        check_keys(offers)
        if is_quick(offers, self._shared.live):
            return await self._accepting.queue.submit(Accept(offers, reserve), bounded=True)
        live, submit = self._shared.live, partial(self._accepting.queue.submit, bounded=True)
        return await accept_matched(offers, live, lambda m: submit(Accept(offers, reserve, m)))

    @property
    def clock(self) -> Callable[[], int]:
        """What tells the time: the database's clock, the same for all servers."""
        return self._clock.now_ms

    @property
    def clock_is_trusted(self) -> bool:
        """Whether what is old by the clock may be dropped."""
        return self._clock.doubt.trusted

    def check_room(self) -> None:
        """Do nothing: the disk is another machine's; when it is full, its answer is a DiskFull."""

    async def claim(self, hook: HookId, most: int, *, by_age: bool = False) -> list[Job]:
        """Lease up to ``most`` due deliveries of an active hook: first tries, then retries."""
        return await self._claiming.queue.submit(Claim(hook, most, by_age=by_age), bounded=False)

    async def claim_ping(self, hook: HookId, body: bytes) -> Job:
        """Store a ping event with its delivery, already leased."""
        return await self._accepting.queue.submit(ClaimPing(hook, body), bounded=True)

    async def record(self, results: Sequence[Result]) -> list[bool]:
        """Store attempts and new states in one transaction; False where the fence did not hold."""
        return await self._working.queue.submit(Record(results), bounded=False)

    async def release(self, jobs: Sequence[Job]) -> None:
        """Give unsent jobs back, uncounted and due at once."""
        await self._working.queue.submit(Release(jobs), bounded=False)

    async def rescue(self) -> int:
        """Record attempts whose lease has run out as interrupted, whichever server held it."""
        return await self._rescue(None)

    async def _rescue(self, token: int | None) -> int:
        rescued = 0
        while some := await self._working.queue.submit(
            Rescue(_RESCUED_AT_ONCE, token), bounded=False
        ):
            rescued += some
        return rescued

    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due."""
        live = self._shared.live.view
        wanted = [live[hook] for hook in (live if hooks is None else hooks) if hook in live]
        active = [(hook.id, hook.settings.ordered) for hook in wanted if hook.active]
        return await self._own.run(partial(_next_due, hooks=active)) if active else {}

    def hooks(self) -> Mapping[HookId, LiveHook]:
        """Return the live hooks, as of the last commit seen."""
        return self._shared.live.view

    def count_hooks(self, account: AccountId) -> int:
        """Return how many hooks an account has."""
        return self._shared.live.count(account)

    @property
    def paused(self) -> bool:
        """Whether people paused all sending, at whichever server."""
        return self._shared.live.paused

    async def signing_secrets(self, hook: HookId, ids: Sequence[int]) -> list[LiveSecret]:
        """Return those of a hook's secrets that still exist, also expired ones, newest first."""
        return await self.read(signing_secrets, self._shared.vault, hook, ids)

    @property
    def pulses(self) -> Sequence[Pulse]:
        """Those of the three writers."""
        return [one.queue.pulse for one in (self._accepting, self._claiming, self._working)]

    @property
    def vault(self) -> Vault:
        """What seals and opens secrets."""
        return self._shared.vault

    def listen(self, listener: Listener) -> None:
        """Call a listener after each commit that concerns it, whichever server made it."""
        self._listeners.append(listener)

    async def read(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query in a short read-only transaction."""
        if self._closed:
            raise closed()
        return await self._readers.run(lambda conn: query(conn, *args, **kwargs))

    async def write(
        self, change: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a change in a transaction of its own."""
        if self._closed:
            raise closed()

        def run(conn: Connection, work: Work) -> R:
            tx = Tx(conn, work.now_ms, self._shared.vault, self._shared.ids)
            result = change(tx, *args, **kwargs)
            work.notes.take(tx.notes)
            return result

        result, work = await self._changes.run(run)
        await self._committed(work)
        return result

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
        """Return the position after the newest change seen."""
        return str(change_feed.Position(self._feed_end, 0))

    async def wait_for_change(self, after: str, timeout_s: float) -> None:
        """Return once there may be changes after a position, or the time is up, or on close."""
        position = change_feed.parse_position(after)
        try:
            async with asyncio.timeout(timeout_s):
                while position.row >= self._feed_end and not self._closed:
                    await self._changed.wait()
        except TimeoutError:
            return

    async def purge(
        self, before_ms: int, *, within_s: float, account: AccountId | None = None, after: int = 0
    ) -> Purged:
        """Drop events from before a time with all that belongs to them, for so long at most."""
        return await self._house.purge(before_ms, within_s, account, after)

    def backup(self, _: Callable[[], bool], /) -> AbstractAsyncContextManager[DatabaseCopy]:
        """Refuse: a copy of a PostgreSQL database is made by PostgreSQL's own program."""
        raise use_pg_dump(self._target.shown)

    async def submit(self, operation: Operation[R]) -> R:
        """Run an operation of this package in the next transaction beside results and claims."""
        return await self._working.queue.submit(operation, bounded=False)

    @property
    def busy(self) -> bool:
        """Whether work waits for a transaction."""
        return self._working.queue.busy or self._accepting.queue.busy

    async def info(self) -> DatabaseInfo:
        """Return what the database is, and how big."""
        version, size = await self.read(_about)
        return DatabaseInfo(
            kind="postgresql", version=version, location=self._target.shown, size=size
        )

    async def others(self) -> list[ServerInfo]:
        """Return the other servers that are connected to this database."""
        return [one for one in await self.read(servers) if one.number != self.number]

    async def close(self) -> None:
        """Finish what was taken, give up what is left, and wake whoever waits for changes."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        await self._house.close()
        await self._hints.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        writers = (self._accepting, self._claiming, self._working)
        await asyncio.gather(*(writer.close() for writer in writers))
        await asyncio.gather(self._readers.close(), self._own.close(), self._changes.close())
        self._home.drop()

    # What happens at and after commits

    async def _connect_numbered(self) -> Raw:
        """Open the connection whose session holds this server's number."""
        raw = await connect_to_write(self._target, **HOT)
        number = await raw.fetchval(sql.TAKE_NUMBER)
        if number is None:
            await raw.close()
            raise Unavailable(f"{self._target.shown} has its 512 servers already; stop one first")
        await raw.execute(NAME_SESSION, session_name(replace(self._about, number=number)))
        await raw.execute(sql.TELL_KEYS, key_locks(self.vault.ids))
        last_id = await raw.fetchval(sql.HIGHEST_IDS)
        self.number = number
        self._shared.server = str(number)
        # Above all that is stored, and above what this process has made and not stored yet.
        if self._numbered:
            last_id = max(last_id, self._shared.ids.next())
        self._numbered = True
        self._shared.ids = IdClock(number, last_id, self._clock.now_ms)
        return raw

    async def _committed(self, work: Work) -> None:
        if work.feed_end is not None:
            self._saw_feed(work.feed_end)
        notes = work.notes
        if notes.hooks_changed or notes.paused is not None:
            await self._catch_up()
        if notes.due:
            self._signal(Signals(due=notes.due))
        if notes.feed:
            self._hints.tell(notes.due)
        for change in notes.follow_ups:
            self._later(self._follow_up(change))

    async def _follow_up(self, change: Callable[[Tx], None]) -> None:
        try:
            await self.write(change)
        except Exception:  # a start looks for what was left
            _log.exception("the rest of a change failed")

    async def _cancel_left(self, hook: HookId) -> None:
        await self._follow_up(partial(cancel_waiting, hook=hook))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _catch_up(self) -> None:
        """Load what any server changed since, hooks and the pause, and tell of it."""
        async with self._catching_up:
            known, now = self._shared.live_version, self._clock.now_ms()
            load = partial(changed_hooks, vault=self._shared.vault, known=known, now_ms=now)
            news = await self._own.run(load)
            self.vault.seal_with(news.key)
            self._shared.live_version = news.version
            self._shared.live.put(news.hooks)
            turned = news.paused if news.paused != self._shared.live.paused else None
            self._shared.live.paused = news.paused
        if known >= 0:
            self._signal(Signals(hooks_changed=frozenset(news.hooks), paused=turned))

    async def _look(self) -> None:
        """Look what other servers did: the feed, the hooks, the time."""
        newest, version = await self._own.run(partial(look, clock=self._clock))
        self._saw_feed(newest)
        if self._shared.live_version >= 0 and version != self._shared.live_version:
            await self._catch_up()

    def _heard_due(self, due: Mapping[HookId, int] | None) -> None:
        if due is not None:
            known = {hook: ms for hook, ms in due.items() if hook in self._shared.live.view}
            self._signal(Signals(due=known))
        else:
            self._later(self._look_up_due())

    async def _look_up_due(self) -> None:
        try:
            self._signal(Signals(due=await self.next_due()))
        except Unavailable as error:
            _log.warning("looking up what is due failed: %s", error)

    def _saw_feed(self, newest: int) -> None:
        if newest >= self._feed_end:
            self._feed_end = newest + 1
            self._wake()

    def _signal(self, signals: Signals) -> None:
        if signals.hooks_changed or signals.due or signals.paused is not None:
            for listener in self._listeners:
                listener(signals)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _last_written_ms(conn: Connection) -> int | None:
    return conn.execute(text("SELECT at_ms FROM feed ORDER BY pos DESC LIMIT 1")).scalar()


def _next_due(conn: Connection, hooks: Sequence[tuple[HookId, bool]]) -> dict[HookId, int]:
    found: dict[HookId, int] = {}
    for statement, ordered in ((sql.NEXT_DUE, False), (sql.FIRST_IN_LINE_DUE, True)):
        some = [hook for hook, is_ordered in hooks if is_ordered is ordered]
        if some:
            wanted = text(statement).bindparams(bindparam("hooks", type_=ARRAY(Big)))
            rows = conn.execute(wanted, {"hooks": some})
            found |= {HookId(hook): due_ms for hook, due_ms in rows if due_ms is not None}
    return found


def _left_by_deleted_hooks(conn: Connection) -> list[HookId]:
    left = select(HOOK.c.id).join(HOOK_STATE, HOOK_STATE.c.hook_id == HOOK.c.id)
    left = left.where(HOOK.c.deleted_at.is_not(None), HOOK_STATE.c.waiting > 0)
    return [HookId(hook) for hook in conn.execute(left).scalars()]


def _about(conn: Connection) -> tuple[str, int]:
    version = conn.execute(text("SHOW server_version")).scalar_one()
    size = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return str(version).split()[0], size


if TYPE_CHECKING:

    def _keeps_the_contract(store: PostgresStore) -> Store:
        return store
