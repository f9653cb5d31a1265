"""The store on PostgreSQL: any number of servers share one database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, TypeVar, final

from sqlalchemy import Connection, text

from hooktui.domain.alerts import AlertRules
from hooktui.domain.errors import HooktuiError, Refused, Unavailable, log_failure
from hooktui.domain.ids import HookId, IdClock
from hooktui.domain.wire.server import DatabaseInfo, RetentionDays, ServerInfo
from hooktui.store.base import DEFAULT_RETENTION, DEFAULT_RULES, Operations, Store
from hooktui.store.clock_trust import DOUBTED_FOR_MS
from hooktui.store.contract import CommitNotice, DatabaseCopy
from hooktui.store.postgres import locks, sql
from hooktui.store.postgres.clock import DatabaseClock
from hooktui.store.postgres.connections import (
    HOT,
    MIGRATION,
    DatabaseAddress,
    Raw,
    connect,
    connect_to_write,
    parse_database_url,
)
from hooktui.store.postgres.due_bounds import ClaimStart
from hooktui.store.postgres.notify import Hints, changed_hooks, read_state
from hooktui.store.postgres.pools import LOOK_UPS, OWN, READERS, Changes, Queries
from hooktui.store.postgres.queue import Accept, Claim, ClaimPing, Release, next_due
from hooktui.store.postgres.replays import EndReplayLeases, StepReplay
from hooktui.store.postgres.results import Record, Rescue
from hooktui.store.postgres.retention import DELETIONS, RetentionWorker
from hooktui.store.postgres.schema import prepare
from hooktui.store.postgres.server_registry import (
    NAME_SESSION,
    Home,
    servers,
    session_name,
    this_server,
)
from hooktui.store.postgres.shared_key import key_locks
from hooktui.store.postgres.transaction import Nothing, Shared, WriteTransaction
from hooktui.store.postgres.writer import Writer
from hooktui.store.queries.engine import stored_before
from hooktui.store.tx import Tx
from hooktui.store.vault import KeyProblem, Vault
from hooktui.store.write_queue import closed

R = TypeVar("R")
_log = logging.getLogger(__name__)

_ENDS_WITHIN_S = 3.0
"""How long a start waits for the end of the session of a server that was killed."""
_ENDS_POLL_S = 0.1


@final
class PostgresStore(Store):
    """See ``contract`` for its guarantees; created by `open`.

    Attributes:
        number: this server's number, unique among the connected servers; its ids contain it.
    """

    OPERATIONS = Operations(Accept, Claim, ClaimPing, Record, Release, Rescue, StepReplay)
    DELETIONS = DELETIONS

    def __init__(
        self,
        target: DatabaseAddress,
        home: Home,
        vault: Vault,
        clock: DatabaseClock,
        keep: RetentionDays,
        rules: AlertRules,
    ) -> None:
        super().__init__(vault, rules, keep)
        self.clock = clock.now_ms
        self._clock = clock
        self._trust = clock.trust
        self._numbered = False
        self._due_is_outdated = self._looks_up_due = False
        self._key_failure: Unavailable | None = None
        self._this_server = this_server()
        self._target = target
        self._home = home
        self._shared = Shared(
            vault=vault,
            ids=IdClock(clock=clock.now_ms),
            live=self._live,
            server="0",
            token=self.token,
            clock=clock,
            catch_up=self._catch_up,
            saw_feed=self._feed_reached,
            rules=rules,
        )
        self.subscribe(self._shared.due_bounds.lower)
        self._catching_up = asyncio.Lock()
        self._readers = Queries(target, READERS)
        self._own = Queries(target, OWN)
        self._look_ups = Queries(target, LOOK_UPS)
        self._changes = Changes(target, self._shared)
        hot = partial(connect_to_write, target, **HOT)
        # Claims need not be on disk: the fence of a claim that a crash of the database loses does
        # not hold, and the claim is repeated.
        connect_unsynced = partial(hot, synchronous_commit="off")
        # Operations that free slots must not wait behind those that fill them, and no new event
        # behind the many statements of a replay's step.
        self._writers = [
            Writer(name, connection, self._shared, self._committed, target)
            for name, connection in (
                ("events", self._connect_numbered),
                ("claims", connect_unsynced),
                ("results", hot),
                ("replays", hot),
            )
        ]
        self._accepting, self._claiming, self._recording, self._replaying = (
            writer.queue for writer in self._writers
        )
        connect_plain = partial(connect, target)
        self._retention_worker = RetentionWorker(self, connect_plain)
        self._hints = Hints(connect_plain, self.token, self._poll, self._due_received)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        home: Path,
        key_file: Path,
        clock: Callable[[], int] | None = None,
        keep: RetentionDays = DEFAULT_RETENTION,
        rules: AlertRules = DEFAULT_RULES,
    ) -> Self:
        """Connect to a database, create or upgrade its schema, and register as a server.

        Only one server works in ``home``; ``key_file`` is the same for all servers of the
        database. ``clock`` returns milliseconds since the epoch; by default the database's time.

        Raises:
            Conflict: another process works in this home.
            KeyProblem: the key file is missing or not the one of this database.
            SchemaTooNew: a newer version wrote the database.
            HooktuiError: the database cannot be reached or rejects the login.
        """
        target = parse_database_url(url)
        lock = Home(home)
        lock.acquire()
        store: Self | None = None
        try:
            connect_to_migrate = partial(connect, target, **MIGRATION)
            vault = await prepare(connect_to_migrate, key_file, target)
            store = cls(target, lock, vault, DatabaseClock(clock), keep, rules)
            await store._start()
        except BaseException:
            if store is not None:
                await store.close()
            lock.release()
            raise
        return store

    async def _start(self) -> None:
        await self._poll()
        written_ms = await self._own.run(_last_written_ms)
        if written_ms is not None:
            self._trust.gap_observed(self.clock() - written_ms)
        now = self.clock()
        earlier = partial(stored_before, at_ms=now - DOUBTED_FOR_MS)
        self._trust.restarted(now, await self._own.run(earlier))
        await self._catch_up()
        for writer in self._writers:
            await writer.start()
        await self._poll()  # the end of the feed: writers have skipped numbers
        # The previous server of this home has ended: its attempts need not wait for their leases.
        before = self._home.token_before
        if before is not None and await self._has_ended(before):
            await self._rescue(partial(Rescue, token=before))
            await self.submit(EndReplayLeases(before))
        self._home.keep_token(self.token)
        await self._continue_changes()
        self._later("causes", self._write_causes())
        self._later("hints", self._hints.run())
        self._later("retention", self._retention_worker.run())

    async def _has_ended(self, token: int) -> bool:
        """Return whether no server holds a lease token: a home may be the copy of another one."""
        give_up_s = time.monotonic() + _ENDS_WITHIN_S
        while await self._own.run(partial(_is_held, token=token)):
            if time.monotonic() > give_up_s:
                _log.warning(
                    "the lease of this home belongs to a server that is still connected. After a"
                    " power cut or a cut network PostgreSQL notices its end later; else this is the"
                    " copy of another home: copy only the key file. Its deliveries wait until their"
                    " leases end"
                )
                return False
            await asyncio.sleep(_ENDS_POLL_S)
        return True

    def check_room(self, size_bytes: int = 0) -> None:
        """Do nothing: the disk is another machine's; the database reports when it is full."""

    async def _read(self, query: Callable[[Connection], R]) -> R:
        return await self._query(self._readers, query)

    async def _own_read(self, query: Callable[[Connection], R]) -> R:
        return await self._query(self._own, query)

    async def look_up(self, query: Callable[[Connection], R]) -> R:
        """Run a quick query that calls wait for; those of `read` do not delay it."""
        return await self._query(self._look_ups, query)

    async def _query(self, pool: Queries, query: Callable[[Connection], R]) -> R:
        if self._closed:
            raise closed()
        return await pool.run(query)

    async def next_due(self, hooks: Sequence[HookId] | None = None) -> dict[HookId, int]:
        """Return when (ms) the next pending delivery of each active hook is due.

        Searches from where the claims of the given hooks start; for all hooks, from the beginning.
        """
        active = self._active_hooks(hooks)
        starts: dict[HookId, ClaimStart] = {}
        if hooks is not None:
            bounds, now_s = self._shared.due_bounds, time.monotonic()
            starts = {hook: bounds.start_of(hook, now_s) for hook, _ in active}
        if not active:
            return {}
        return await self._own.run(partial(next_due, hooks=active, starts=starts))

    async def _write(self, change: Callable[[Tx], R]) -> R:
        if self._closed:
            raise closed()

        def run(conn: Connection, work: WriteTransaction) -> R:
            tx = work.tx(conn)
            result = change(tx)
            work.notes.merge(tx.notes)
            return result

        result, work = await self._changes.run(run)
        await self._committed(work)
        return result

    def backup(self, _: Callable[[], bool], /) -> AbstractAsyncContextManager[DatabaseCopy]:
        """Refuse: PostgreSQL's own tools make copies of its databases."""
        raise Refused(
            f"the data is in {self._target.shown}: copy it with pg_dump, or as your other"
            " databases are backed up, and keep a copy of the key file apart from it"
        )

    @property
    def write_failure(self) -> HooktuiError | None:
        """Why nothing can be stored now: also while this server lacks the key in use."""
        return self._key_failure or super().write_failure

    async def info(self) -> DatabaseInfo:
        """Return the kind, place and size of the database."""
        version, size = await self.read(_version_and_size)
        return DatabaseInfo(
            kind="postgresql", version=version, location=self._target.shown, size=size
        )

    async def others(self) -> list[ServerInfo]:
        """Return the other servers that are connected to this database."""
        return [server for server in await self.read(servers) if server.number != self.number]

    async def _disconnect(self) -> None:
        await asyncio.gather(*(writer.close() for writer in self._writers))
        pools = (self._readers, self._own, self._look_ups, self._changes)
        await asyncio.gather(*(pool.close() for pool in pools))
        self._home.release()

    # What happens at and after commits

    async def _connect_numbered(self) -> Raw:
        """Open the connection whose session holds this server's number."""
        raw = await connect_to_write(self._target, **HOT)
        try:
            await self._take_number(raw)
        except BaseException:
            raw.terminate()
            raise
        return raw

    async def _take_number(self, raw: Raw) -> None:
        number = await raw.fetchval(sql.TAKE_NUMBER)
        if number is None:
            raise Unavailable(f"{self._target.shown} already has 512 servers; stop one first")
        await raw.execute(NAME_SESSION, session_name(replace(self._this_server, number=number)))
        kept = [*key_locks(self.vault.ids), locks.lease_of(self.token)]
        await raw.execute(sql.LOCK_SHARED, kept)
        last_id = await raw.fetchval(sql.HIGHEST_IDS)
        self.number = number
        self._shared.server = str(number)
        # Above all stored ids, and above those that this process has created and not stored yet.
        if self._numbered:
            last_id = max(last_id, self._shared.ids.next())
        self._numbered = True
        self._shared.ids = IdClock(number, last_id, self.clock)

    async def _committed(self, work: WriteTransaction) -> None:
        if work.feed_end is not None:
            self._feed_reached(work.feed_end)
        for hook, start in work.starts.items():
            self._shared.due_bounds.commit(hook, start)
        notes = work.notes
        self._shared.secrets_used.update(notes.secrets_used)
        if notes.hooks_changed or notes.paused is not None:
            try:
                await self._catch_up()
            except Exception as error:  # the change is stored; `Hints` catches up, too
                log_failure(_log, error, "loading the changed hooks")
        if notes.due:
            self._notify(CommitNotice(due=notes.due))
        if notes.feed:
            self._hints.announce(notes.due)
        for change in notes.follow_ups:
            self._later("rest", self._follow_up(change))

    async def _catch_up(self) -> None:
        """Load the hooks and the pause that any server changed since, and notify listeners."""
        async with self._catching_up:
            known, now = self._shared.live_version, self.clock()
            load = partial(changed_hooks, vault=self._shared.vault, now_ms=now)
            try:
                news = await self._own.run(partial(load, known=known))
                if news.version < known:  # an older copy of the database was restored
                    news = await self._own.run(partial(load, known=-1))
                    gone = dict.fromkeys(self._live.view.keys() - news.hooks.keys())
                    news = news._replace(hooks=news.hooks | gone)
                self.vault.encrypt_with(news.key)
            except KeyProblem as error:  # other servers can do what this one cannot
                self._key_failure = Unavailable(error.detail)
                raise self._key_failure from error
            self._key_failure = None
            self._shared.live_version = news.version
            self._live.put(news.hooks)
            turned = news.paused if news.paused != self._live.paused else None
            self._live.paused = news.paused
        if known >= 0:
            self._notify(CommitNotice(hooks_changed=frozenset(news.hooks), paused=turned))

    async def _poll(self) -> None:
        """Read the changes of other servers: the feed, the hooks, the time."""
        newest, version = await self._own.run(partial(read_state, clock=self._clock))
        self._feed_reached(newest)
        lost = self._numbered and not self._closed and not self._writers[0].connected
        if lost and not self._accepting.busy:
            self._accepting.add(Nothing())  # the number of this server belongs to that connection
        if self._shared.live_version >= 0 and version != self._shared.live_version:
            await self._catch_up()

    def _due_received(self, due: Mapping[HookId, int] | None) -> None:
        if due is not None:
            known = {hook: ms for hook, ms in due.items() if hook in self._live.view}
            self._notify(CommitNotice(due=known))
            return
        # At most one look-up runs, and one follows it, however many servers ask for it.
        self._due_is_outdated = True
        if not self._looks_up_due and not self._closed:  # no task begins while all of them end
            self._looks_up_due = True
            self._later("due", self._look_up_due())

    async def _look_up_due(self) -> None:
        try:
            while self._due_is_outdated:
                self._due_is_outdated = False
                self._notify(CommitNotice(due=await self.next_due()))
        except Exception as error:  # the next poll asks again
            log_failure(_log, error, "looking up what is due")
        finally:
            self._looks_up_due = False


def _is_held(conn: Connection, token: int) -> bool:
    free = text("SELECT pg_try_advisory_xact_lock(:lock)")
    return not conn.execute(free, {"lock": locks.lease_of(token)}).scalar_one()


def _last_written_ms(conn: Connection) -> int | None:
    newest = text("SELECT at_ms FROM feed WHERE at_ms > 0 ORDER BY pos DESC LIMIT 1")
    return conn.execute(newest).scalar()


def _version_and_size(conn: Connection) -> tuple[str, int]:
    version = conn.execute(text("SHOW server_version")).scalar_one()
    size = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return str(version).split()[0], size
