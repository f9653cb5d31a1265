"""Sessions that PostgreSQL loses, and a database that dies: the store goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asyncpg import exceptions as pg
from sqlalchemy import Connection, event, text

from hooktui.delivery.recorder import Unsent
from hooktui.domain.errors import Unavailable
from hooktui.domain.ids import HookId
from hooktui.store.contract import ClaimedDelivery
from hooktui.store.postgres import connections as connecting
from hooktui.store.postgres import notify, retention, writer
from hooktui.store.postgres.connections import parse_database_url
from hooktui.store.postgres.locks import HOOKS, RETENTION, SERVERS
from hooktui.store.postgres.pools import Queries
from hooktui.store.postgres.queue import Release
from hooktui.store.postgres.transaction import Shared, WriteTransaction
from hooktui.store.queries.pace import Pace
from hooktui.store.tx import Tx
from tests.store.servers import Servers, connected
from tests.support.postgres import PostgresServer, database, open_store
from tests.support.stores import Heard, always, emit, make_hook, offer
from tests.support.waiting import until


async def test_a_session_that_is_ended_inside_its_work_is_replaced_and_nothing_is_lost(
    servers: Servers,
) -> None:
    store = await servers.another()
    await make_hook(store)
    accepted: list[int] = []

    async def produce() -> None:
        for _ in range(40):
            with contextlib.suppress(Unavailable):  # lost in the commit: nobody knows
                accepted.extend(event.id for event in await emit(store))

    async with connected(servers.url) as raw:
        producing = asyncio.gather(*(produce() for _ in range(4)))
        for _ in range(10):
            await raw.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            await asyncio.sleep(0.03)
        await producing
        stored = {row[0] for row in await raw.fetch("SELECT id FROM event")}
    assert len(accepted) > 100
    assert set(accepted) <= stored


# Red when the end of a read's transaction is part of the read: it ran again, or was refused.
async def test_a_session_that_ends_after_a_query_costs_no_result(servers: Servers) -> None:
    store = await servers.another()
    runs = []

    def query(conn: Connection) -> int:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        runs.append(pid)
        thread = threading.Thread(target=asyncio.run, args=[end_session(servers.url, pid)])
        thread.start()
        thread.join()
        return pid

    assert [await store.read(query)] == runs
    assert await store.read(lambda conn: conn.execute(text("SELECT 1")).scalar_one()) == 1


# Red when closing waits as long as a statement: a stop took 12 s for each connection, and the log
# had a traceback for each.
async def test_a_connection_whose_session_does_not_respond_is_closed_all_the_same(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connecting, "CLOSE_S", 0.05)
    target = parse_database_url(servers.url)
    queries = Queries(target, 1)
    pid = await queries.run(lambda conn: conn.execute(text("SELECT pg_backend_pid()")).scalar_one())
    os.kill(pid, signal.SIGSTOP)
    try:
        await queries.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert not caplog.records


# Red when the time of the first attempt counts: a process that was stopped inside it got an error.
async def test_a_query_whose_session_ended_late_runs_again(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()
    monkeypatch.setattr("hooktui.store.postgres.pools.PATIENCE_S", 0)
    runs = []

    def query(conn: Connection) -> int:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        runs.append(pid)
        if len(runs) == 1:
            thread = threading.Thread(target=asyncio.run, args=[end_session(servers.url, pid)])
            thread.start()
            thread.join()
        return conn.execute(text("SELECT pg_backend_pid()")).scalar_one()

    assert await store.read(query) == runs[1]


# Red when the time of the first attempt counts, as in the test above.
async def test_a_change_and_a_call_whose_session_ended_late_run_again(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()
    await make_hook(store)
    monkeypatch.setattr("hooktui.store.postgres.pools.PATIENCE_S", 0)
    monkeypatch.setattr("hooktui.store.postgres.writer.PATIENCE_S", 0)
    runs = []

    def change(tx: Tx) -> int:
        runs.append(tx)
        if len(runs) == 1:
            tx.conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return tx.conn.execute(text("SELECT 7")).scalar_one()

    assert (await store.write(change), len(runs)) == (7, 2)
    ended = []
    begin = writer.begin

    async def end_once(raw: Any, shared: Shared) -> WriteTransaction:
        work = await begin(raw, shared)
        if not ended:
            ended.append(raw)
            await end_session(servers.url, raw.get_server_pid())
        return work

    monkeypatch.setattr(writer, "begin", end_once)
    (accepted,) = await emit(store)
    assert (len(ended), accepted.deliveries) == (1, 1)


# Red when they are tried again: behind a database that hangs a producer waited for 24 s, not 12 s.
async def test_events_behind_a_transaction_that_hangs_fail_with_it(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_patience_s", lambda _: 2.0)
    store = await servers.another()
    await make_hook(store)
    pid = store._writers[0]._raw.get_server_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        first = asyncio.create_task(emit(store))
        await until(lambda: store._accepting.heartbeat.age_s > 0.5)
        second = asyncio.create_task(emit(store))
        for behind in first, second:
            with pytest.raises(Unavailable, match="did not respond in time"):
                await behind
    finally:
        os.kill(pid, signal.SIGCONT)
    (accepted,) = await emit(store)
    assert accepted.deliveries == 1


# Red when they wait for the lock, too: while a standby was away, a producer waited for 20 s.
async def test_events_that_waited_behind_a_lock_fail_with_the_first(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connecting.SETTINGS, "lock_timeout", "1000")
    monkeypatch.setattr("hooktui.store.postgres.writer.PATIENCE_S", 0.1)
    store = await servers.another()
    await make_hook(store)
    async with connected(servers.url) as raw:
        await raw.execute("SELECT pg_advisory_lock($1)", HOOKS)
        first = asyncio.create_task(emit(store))
        await until(lambda: store._accepting.heartbeat.age_s > 0.1)
        second = asyncio.create_task(emit(store))
        with pytest.raises(Unavailable, match="a lock has been held"):
            await first
        await raw.execute("SELECT pg_advisory_unlock($1)", HOOKS)
        with pytest.raises(Unavailable, match="a lock has been held"):
            await second
    (accepted,) = await emit(store)
    assert accepted.deliveries == 1


# Red when the next change got its connection: "current transaction is aborted".
async def test_a_change_that_is_cancelled_while_it_waits_fails_no_other(servers: Servers) -> None:
    store = await servers.another()
    waits = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with connected(servers.url) as raw:
        await raw.execute("SELECT pg_advisory_lock($1)", HOOKS)
        waiting = asyncio.create_task(make_hook(store))
        await until(lambda: raw.fetchval(waits))
        waiting.cancel()
        await asyncio.wait([waiting])
    await make_hook(store)


# Red when its connection is only dropped: PostgreSQL keeps its locks until the standby is back.
async def test_a_commit_that_waits_for_a_standby_is_cancelled_in_time(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_patience_s", lambda _: 2.0)
    store = await servers.another()
    await make_hook(store)
    demanded = "SELECT current_setting('synchronous_standby_names') = 'away'"
    none_waits = "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    async with connected(servers.url) as raw:
        try:
            await raw.execute("SET synchronous_commit = local")
            await raw.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
            await raw.execute("SELECT pg_reload_conf()")
            await until(lambda: raw.fetchval(demanded))
            with pytest.raises(Unavailable, match="lost during the commit"):
                await emit(store)
            await until(lambda: raw.fetchval(none_waits))
        finally:
            await raw.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await raw.execute("SELECT pg_reload_conf()")
    (accepted,) = await emit(store)
    assert accepted.deliveries == 1


# Red when it waits for a second connection, too: a status took 19 s.
async def test_a_query_and_a_change_that_hang_fail_in_time(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_patience_s", lambda _: 2.0)
    monkeypatch.setattr(connecting, "CLOSE_S", 0.05)
    store = await servers.another()
    runs = []

    def hang(conn: Connection) -> int:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        runs.append(pid)
        os.kill(pid, signal.SIGSTOP)
        return conn.execute(text("SELECT 7")).scalar_one()

    try:
        with pytest.raises(Unavailable, match="did not respond in time"):
            await store.read(hang)
        with pytest.raises(Unavailable, match="did not respond in time"):
            await store.write(lambda tx: hang(tx.conn))
    finally:
        for pid in runs:
            os.kill(pid, signal.SIGCONT)
    assert len(runs) == 2


# Red when each connection finds out by itself: after the network was cut, the first status took
# 14 s, and those after it up to 10 s.
async def test_after_a_query_that_hung_the_next_one_has_a_new_connection(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_patience_s", lambda _: 2.0)
    monkeypatch.setattr(connecting, "CLOSE_S", 0.05)
    store = await servers.another()

    def session(conn: Connection) -> int:
        return conn.execute(text("SELECT pg_backend_pid() FROM pg_sleep(0.2)")).scalar_one()

    pids = await asyncio.gather(
        store.read(session), store.read(session), store.write(lambda tx: session(tx.conn))
    )
    assert len(set(pids)) == 3
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Unavailable, match="did not respond in time"):
            await store.read(session)
        assert await store.read(session) not in pids
        assert await store.write(lambda tx: session(tx.conn)) not in pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


# Red when the driver's text is logged: a time that has passed has none.
async def test_background_work_that_hangs_logs_why(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connecting, "_patience_s", lambda _: 2.0)
    monkeypatch.setattr(retention, "FIRST_TRIMMED_S", 0)
    monkeypatch.setattr(retention, "HELD_EVERY_S", 0.1)
    store = await servers.another()
    stopped: list[int] = []
    try:
        async with connected(servers.url) as raw:
            sessions = (
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
                f" AND classid = {RETENTION >> 32} AND objid = {RETENTION & 0xFFFF_FFFF}"
                " UNION SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                " OR query LIKE 'SELECT pg_notify%' OR query LIKE 'SELECT pg_listening%'"
            )

            async def both() -> list[int]:
                pids = [row[0] for row in await raw.fetch(sessions)]
                return pids if len(pids) == 2 else []

            stopped = await until(both)
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
        await emit(store)
        for line in (
            "retention failed (the connection to the database was lost (no response in time))",
            "reading the changes of other servers failed: no response in time",
        ):
            await until(lambda line=line: line in caplog.text)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


# Red when it is an internal error: producers do not repeat a 500.
async def test_a_login_that_is_rejected_meanwhile_is_worth_another_try(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hooktui.store.postgres.writer.PATIENCE_S", 0)
    monkeypatch.setattr("hooktui.store.postgres.pools.PATIENCE_S", 0)
    async with connected(servers.url) as raw:
        await raw.execute("CREATE ROLE guest LOGIN SUPERUSER")
        try:
            servers.url = servers.url.replace("//postgres@", "//guest@")
            store = await servers.another()
            await make_hook(store)
            await raw.execute("ALTER ROLE guest NOLOGIN")
            await raw.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guest'"
            )
            with pytest.raises(Unavailable, match="rejected the login"):
                await emit(store)
            with pytest.raises(Unavailable, match="rejected the login"):
                await store.write(lambda _: None)
            await raw.execute("ALTER ROLE guest LOGIN")
            (accepted,) = await emit(store)
            assert accepted.deliveries == 1
        finally:
            await servers.close()
            servers.opened.clear()
            await raw.execute("DROP ROLE guest")


# Red when a release is repeated after it: what was claimed meanwhile became due again.
async def test_a_release_that_may_be_stored_is_not_repeated(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()
    hook = await make_hook(store)
    _, claims = await store.accept([offer()], always)
    run, commit = Release.run, WriteTransaction.commit
    with_release: list[WriteTransaction] = []
    stored = asyncio.Event()

    async def note(release: Release, work: WriteTransaction) -> None:
        with_release.append(work)
        await run(release, work)

    async def commit_unheard(work: WriteTransaction) -> None:
        await commit(work)
        if with_release == [work]:
            stored.set()
            raise pg.ConnectionDoesNotExistError("connection was closed")

    monkeypatch.setattr(Release, "run", note)
    monkeypatch.setattr(WriteTransaction, "commit", commit_unheard)
    releasing = asyncio.create_task(Unsent(store, lambda claims: None).release(claims))
    await stored.wait()

    async def claimed() -> list[ClaimedDelivery]:
        return await store.claim(HookId(hook.id), 1)

    (again,) = await claimed()
    await releasing
    assert again.delivery == claims[0].delivery
    assert await claimed() == []


# Red when what is read after a commit is part of it: the call failed, and its events were stored.
async def test_a_session_that_ends_after_a_commit_costs_no_acceptance(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await servers.another()
    await make_hook(store)
    ends = "SELECT pg_terminate_backend(pg_backend_pid())"
    monkeypatch.setattr("hooktui.store.postgres.sql.LAST_LINE", ends)
    (accepted,) = await emit(store)
    assert accepted.deliveries == 1
    assert (await make_hook(store)).id


async def end_session(url: str, pid: int) -> None:
    async with connected(url) as raw:
        await raw.execute("SELECT pg_terminate_backend($1, 10000)", pid)


async def test_a_killed_database_that_comes_back_has_all_and_the_store_goes_on(
    tmp_path: Path,
) -> None:
    own = await asyncio.to_thread(PostgresServer)
    try:
        async with database(own) as url:
            store = await open_store(url, tmp_path)
            hook = HookId((await make_hook(store)).id)
            accepted: list[int] = []
            stop = asyncio.Event()

            async def produce() -> None:
                while not stop.is_set():
                    with contextlib.suppress(Unavailable):
                        accepted.extend(event.id for event in await emit(store, 3))

            producing = [asyncio.create_task(produce()) for _ in range(4)]
            for _ in range(2):
                before = len(accepted)
                await until(lambda before=before: len(accepted) > before + 100)
                await asyncio.to_thread(own.kill)
                await asyncio.to_thread(own.start)
            before = len(accepted)
            await until(lambda: len(accepted) > before + 100)
            stop.set()
            await asyncio.gather(*producing)
            claims = []
            while some := await store.claim(hook, 500):
                claims += some
            assert set(accepted) <= {claim.event for claim in claims}
            await store.close()
    finally:
        await asyncio.to_thread(own.stop)


async def test_a_query_that_takes_too_long_is_stopped_and_says_so(servers: Servers) -> None:
    store = await servers.another()

    def sleep(conn: Connection) -> None:
        limit_ms = conn.execute(text("SELECT current_setting('statement_timeout', true)")).scalar()
        assert limit_ms == f"{connecting.STATEMENT_S:g}s"
        conn.execute(text("SET LOCAL statement_timeout = 200"))
        conn.execute(text("SELECT pg_sleep(50)"))

    with pytest.raises(Unavailable, match="was stopped"):
        await store.read(sleep)


# Red when it rests for five times as long as its statement took: PostgreSQL ends the session.
async def test_a_query_with_a_slow_statement_keeps_its_session(servers: Servers) -> None:
    store = await servers.another()

    def slow(conn: Connection) -> int:
        pace = Pace(conn)
        conn.execute(text("SELECT pg_sleep(1)"))
        pace.rest_when_due()
        assert pace.rests == 1
        return conn.execute(text("SELECT 1")).scalar_one()

    assert await store.read(slow) == 1


# Red when the number comes back with the next event only: another server took it meanwhile.
async def test_a_server_whose_numbered_session_ends_takes_its_number_again(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    numbers = {one.number, two.number}
    async with connected(servers.url) as raw:
        held_by = (
            f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = {SERVERS}"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        ended = {store._writers[0]._raw.get_server_pid() for store in (one, two)}
        assert {row[0] for row in await raw.fetch(held_by)} == ended
        for pid in ended:
            await raw.execute("SELECT pg_terminate_backend($1, 10000)", pid)

        async def both() -> bool:
            pids = {row[0] for row in await raw.fetch(held_by)}
            return len(pids) == 2 and not pids & ended

        await until(both)
    await until(lambda: {one.number, two.number} == numbers)
    assert len(await two.others()) == 1


# Red when a server that has nothing to announce does not use the session in which it listens.
async def test_a_server_whose_listening_session_ends_listens_again(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "DUE_EVERY_S", 0.3)
    store = await servers.another()
    hook = HookId((await make_hook(store)).id)
    heard = Heard(store)
    async with connected(servers.url) as raw:

        async def hears(due_ms: int) -> bool:
            hint = msgspec.json.encode(notify.Hint(0, {hook: due_ms})).decode()
            await raw.execute("SELECT pg_notify($1, $2)", notify.CHANNEL, hint)
            return heard.due.get(hook) == due_ms

        await until(lambda: hears(1))
        await raw.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await until(lambda: hears(2))


def _one(conn: Connection) -> object:
    return conn.execute(text("SELECT 1")).scalar()


# Red with SQLAlchemy 2.1.6 on Python 3.11: the query runs on, and a server never stops.
@pytest.mark.parametrize("turns", range(8))
async def test_a_query_is_cancelled_while_it_gets_the_connection_of_another(
    url: str, turns: int
) -> None:
    target = parse_database_url(url)
    queries = Queries(target, 1)
    first, second = (asyncio.create_task(queries.run(_one)) for _ in range(2))
    returned = asyncio.Event()

    @event.listens_for(queries._engine.sync_engine, "checkin")
    def _returned(*_: object) -> None:
        returned.set()

    await returned.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    second.cancel()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    await queries.close()
