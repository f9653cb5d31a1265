"""What several servers on one PostgreSQL database owe each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, text
from sqlmodel import SQLModel

from hooktui.domain.deliveries import ErrorClass
from hooktui.domain.errors import Conflict, HooktuiError, Refused, Unavailable
from hooktui.domain.ids import HookId, encode
from hooktui.store import changes
from hooktui.store.contract import LEASE_S
from hooktui.store.keys import KeyProblem, load_keys
from hooktui.store.migrate import SchemaTooNew
from hooktui.store.postgres import connect as connecting
from hooktui.store.postgres import hints, locks, sql
from hooktui.store.postgres.store import PostgresStore
from tests.contract.given import (
    ADA,
    DEFAULT,
    Clock,
    Heard,
    deliveries,
    emit,
    make_hook,
    offer,
    result_of,
    settings,
    the_delivery,
    the_hook,
)
from tests.postgres import PostgresServer, database, open_store


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with database(postgres) as one:
        yield one


class Servers:
    """Stores of several servers on one database; they have one key, and a home each."""

    def __init__(self, url: str, folder: Path, clock: Clock) -> None:
        self.url, self.folder, self.clock = url, folder, clock
        self.opened: list[PostgresStore] = []

    async def another(self) -> PostgresStore:
        home = self.folder / f"home{len(self.opened)}"
        home.mkdir()
        if self.opened:
            key = (self.folder / "home0" / "hooktui.key").read_bytes()
            (home / "hooktui.key").write_bytes(key)
            (home / "hooktui.key").chmod(0o600)
        store = await open_store(self.url, home, self.clock.now_ms)
        self.opened.append(store)
        return store


@pytest.fixture
async def servers(url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    some = Servers(url, tmp_path, Clock())
    yield some
    for store in some.opened:
        await store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a condition of another process
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    raw = await asyncpg.connect(url, server_settings=settings)
    try:
        yield raw
    finally:
        await raw.close()


# Red when servers do not look at the pause as they look at the hooks: before each transaction, and
# every second.
async def test_a_pause_at_one_server_stops_all_of_them(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    await emit(one, 3)
    turned: list[bool] = []
    two.listen(lambda s: None if s.paused is None else turned.append(s.paused))
    await one.write(changes.pause, ADA)
    assert await two.claim(hook, 3) == []
    await until(lambda: turned == [True])
    await one.write(changes.resume, ADA)
    await until(lambda: turned == [True, False])
    assert len(await two.claim(hook, 3)) == 3


# Red without FOR UPDATE SKIP LOCKED.
async def test_two_servers_never_claim_the_same_delivery(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    await emit(one, 600)
    claimed: list[int] = []

    async def claim_all(store: PostgresStore) -> None:
        while jobs := await store.claim(hook, 7):
            claimed.extend(job.delivery for job in jobs)

    await asyncio.gather(*(claim_all(store) for store in (one, two) for _ in range(4)))
    assert len(claimed) == len(set(claimed)) == 600


async def test_a_lease_that_ran_out_is_rescued_by_another_server_and_its_worker_is_fenced(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    await emit(one)
    (stale,) = await one.claim(hook, 1)
    assert await two.rescue() == 0
    servers.clock.turn(LEASE_S + 1)
    assert await two.rescue() == 1
    (again,) = await two.claim(hook, 1)
    assert await one.record([result_of(stale, servers.clock)]) == [False]
    assert await two.record([result_of(again, servers.clock)]) == [True]
    assert await one.record([result_of(stale, servers.clock)]) == [False]
    done = await the_delivery(one)
    assert (done.status, done.attempts) == ("delivered", 2)
    assert (await the_hook(two, hook)).stats.waiting == 0


async def test_each_lease_is_rescued_by_one_server(servers: Servers) -> None:
    some = [await servers.another() for _ in range(3)]
    hook = HookId((await make_hook(some[0])).id)
    await emit(some[0], 900)
    while await some[0].claim(hook, 300):
        pass
    servers.clock.turn(LEASE_S + 1)
    assert sum(await asyncio.gather(*(store.rescue() for store in some))) == 900
    assert {one.attempts for one in await deliveries(some[0])} == {1}


# Red without the lock of the feed: the later line is seen first, and the late one never.
async def test_who_follows_the_feed_misses_no_late_commit(servers: Servers) -> None:
    store = await servers.another()
    await make_hook(store)
    async with connected(servers.url) as late, connected(servers.url) as watcher:
        await late.execute(
            f"BEGIN; SELECT pg_advisory_xact_lock({locks.FEED});"
            f" INSERT INTO feed (at_ms, items, changes) VALUES (0, 1, '[[\"g\",0,{{}}]]')"
        )
        start = store.feed_end()
        emitting = asyncio.create_task(emit(store))
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(10):
            while not (emitting.done() or await watcher.fetchval(waiting)):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        before = await store.feed(start, 500)
        await late.execute("COMMIT")
        await emitting
        after = await store.feed(before.next, 500)
    kinds = [item.kind for item in (*before.items, *after.items)]
    assert kinds == ["engine", "event", "delivery"]


async def test_who_follows_the_feed_sees_what_all_servers_do_once(servers: Servers) -> None:
    one, two, three = [await servers.another() for _ in range(3)]
    await make_hook(one)
    start = one.feed_end()
    accepted: list[str] = []
    seen: list[str] = []
    done = asyncio.Event()

    async def produce(store: PostgresStore) -> None:
        for _ in range(60):
            accepted.extend(encode("evt", event.id) for event in await emit(store))

    async def follow() -> None:
        after = start
        while True:
            last = done.is_set()
            page = await three.feed(after, 500)
            seen.extend(item.object.id for item in page.items if item.kind == "event")
            after = page.next
            if last and not page.items:
                return
            await three.wait_for_change(after, 0.05)

    following = asyncio.create_task(follow())
    await asyncio.gather(*(produce(store) for store in (one, two) for _ in range(4)))
    done.set()
    await following
    assert sorted(seen) == sorted(accepted)
    assert len(set(seen)) == 480


async def test_what_waits_for_changes_hears_of_those_of_another_server(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    await make_hook(one)
    await until(lambda: two.feed_end() == one.feed_end())
    waiting = asyncio.create_task(two.wait_for_change(two.feed_end(), 20))
    await emit(one)
    async with asyncio.timeout(5):
        await waiting


async def test_an_event_meets_the_hooks_as_of_the_last_commit_of_any_server(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    for _ in range(5):
        hook = await make_hook(one)
        assert (await emit(two))[0].deliveries == 1
        await one.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
        assert (await emit(two))[0].deliveries == 0


async def test_an_event_and_the_end_of_its_hook_leave_nothing_that_waits_for_ever(
    servers: Servers,
) -> None:
    one, two = await servers.another(), await servers.another()
    for _ in range(10):
        hook = await make_hook(one)
        deleting = one.write(changes.delete_hook, ADA, DEFAULT, HookId(hook.id))
        await asyncio.gather(deleting, *(emit(two, 5) for _ in range(4)))
    assert {delivery.status for delivery in await deliveries(one)} <= {"cancelled"}


async def test_changes_of_hooks_reach_the_engine_of_another_server(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    heard = Heard(two)
    hook = HookId((await make_hook(one)).id)
    await until(lambda: hook in two.hooks())
    off = settings(active=False)
    await one.write(changes.change_hook, ADA, DEFAULT, hook, lambda _: off)
    await until(lambda: not two.hooks()[hook].active)
    await one.write(changes.change_hook, ADA, DEFAULT, hook, lambda _: settings())
    await emit(one, 10)
    jobs = await one.claim(hook, 10)
    await one.record([result_of(job, servers.clock, 500) for job in jobs])
    await until(lambda: two.hooks()[hook].breaker_until_ms is not None)
    assert two.hooks()[hook] == one.hooks()[hook]
    assert heard.changed == {hook}
    await until(lambda: hook in heard.due)
    await one.write(changes.delete_hook, ADA, DEFAULT, hook)
    await until(lambda: hook not in two.hooks())


async def test_one_server_of_several_sends_for_an_ordered_hook_at_a_time(servers: Servers) -> None:
    some = [await servers.another() for _ in range(3)]
    hook = HookId((await make_hook(some[0], ordered=True)).id)
    bodies = [str(place).encode() for place in range(12)]
    for place, body in enumerate(bodies):
        await emit(some[place % 3], body=body)
    sent: list[bytes] = []
    while len(sent) < len(bodies):
        claims = await asyncio.gather(*(store.claim(hook, 10) for store in some))
        ((store, job),) = [(s, job) for s, jobs in zip(some, claims, strict=True) for job in jobs]
        sent.append(job.body)
        await store.record([result_of(job, servers.clock)])
    assert sent == bodies


# Red without the keys that are taken before the match.
async def test_one_key_at_two_servers_at_once_makes_one_event(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    for place in range(20):
        keys = [f"{place}-{number}" for number in range(5)]
        calls = [
            store.accept([offer(key=key) for key in order])
            for store in (one, two)
            for order in (keys, keys[::-1])
        ]
        answers = [accepted for accepted, _ in await asyncio.gather(*calls)]
        assert sum(not one.duplicate for answer in answers for one in answer) == len(keys)
        assert len({one.id for answer in answers for one in answer}) == len(keys)


async def test_a_key_of_a_refused_call_is_free_again(servers: Servers) -> None:
    store = await servers.another()
    await store.accept([offer(b"1", key="a")])
    with pytest.raises(Refused):
        await store.accept([offer(b"1", key="b"), offer(b"2", key="a")])
    assert not (await emit(store, body=b"3", key="b"))[0].duplicate


async def test_servers_have_numbers_of_their_own_and_give_them_back(servers: Servers) -> None:
    some = [await servers.another() for _ in range(4)]
    assert sorted(store.number for store in some) == [0, 1, 2, 3]
    await some[1].close()
    assert (await servers.another()).number == 1


async def test_a_server_knows_which_others_work_on_the_database(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    (other,) = await one.others()
    assert (other.number, other.pid, other.name) == (1, os.getpid(), socket.gethostname()[:20])
    assert [seen.number for seen in await two.others()] == [0]
    await two.close()
    assert await one.others() == []


async def test_ids_grow_over_restarts_whatever_number_a_server_gets(servers: Servers) -> None:
    one, two = await servers.another(), await servers.another()
    before = (await emit(two))[0].id
    await one.close()
    await two.close()
    servers.clock.turn(-3600)
    assert (await emit(await servers.another()))[0].id > before


async def test_counters_add_up_when_servers_work_on_one_hook(servers: Servers) -> None:
    some = [await servers.another() for _ in range(2)]
    hooks = [HookId((await make_hook(some[0])).id) for _ in range(3)]

    async def work(store: PostgresStore) -> None:
        for _ in range(15):
            await emit(store, 3)
            for hook in hooks:
                jobs = await store.claim(hook, 2)
                await store.record([result_of(job, servers.clock, 404) for job in jobs])

    await asyncio.gather(*(work(store) for store in some for _ in range(3)))
    for hook in hooks:
        shown = await the_hook(some[0], hook)
        assert shown.stats.waiting == 15 * 3 * 6
    async with connected(servers.url) as raw:
        failed = await raw.fetch("SELECT failed_since_success FROM hook_state")
        attempts = await raw.fetchval("SELECT COUNT(*) FROM attempt")
        counted = await raw.fetchval("SELECT SUM(failed) FROM hook_stats")
    assert sum(row[0] for row in failed) == attempts == counted


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
            jobs = []
            while some := await store.claim(hook, 500):
                jobs += some
            assert set(accepted) <= {job.event for job in jobs}
            await store.close()
    finally:
        await asyncio.to_thread(own.stop)


async def test_one_home_has_one_server(servers: Servers) -> None:
    await servers.another()
    with pytest.raises(Conflict, match="another server"):
        await open_store(servers.url, servers.folder / "home0")


async def test_a_server_with_another_key_file_is_refused_and_told_what_to_do(
    servers: Servers, tmp_path: Path
) -> None:
    await servers.another()
    home = tmp_path / "stranger"
    home.mkdir()
    with pytest.raises(KeyProblem, match="all servers of a database have the same key file"):
        await open_store(servers.url, home)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    load_keys(elsewhere / "hooktui.key", database_is_new=True)
    (home / "hooktui.key").write_bytes((elsewhere / "hooktui.key").read_bytes())
    (home / "hooktui.key").chmod(0o600)
    with pytest.raises(KeyProblem, match="does not open"):
        await open_store(servers.url, home)


async def refusal(url: str, home: Path) -> str:
    with pytest.raises(HooktuiError) as refused:
        await open_store(url, home)
    line = str(refused.value)
    assert "\n" not in line
    assert "p4ss" not in line
    return line


async def test_what_is_wrong_with_an_address_is_said_in_one_line(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    wrong = await refusal(postgres.tcp_url(password="p4ssno"), tmp_path)
    assert "password authentication failed" in wrong
    assert "check user and password" in wrong
    assert "make it first" in await refusal(postgres.tcp_url("nothere"), tmp_path)
    gone = postgres.tcp_url().replace(str(postgres.port), "9")
    assert "cannot reach postgresql://127.0.0.1:9/postgres: Connection refused" in await refusal(
        gone, tmp_path
    )
    assert "write the address" in await refusal("postgresql://host", tmp_path)


async def test_a_database_of_a_newer_version_is_refused(url: str, tmp_path: Path) -> None:
    async with connected(url) as raw:
        await raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="upgrade hooktui"):
        await open_store(url, tmp_path)


async def test_a_backup_is_left_to_the_program_that_is_there_for_it(servers: Servers) -> None:
    store = await servers.another()
    with pytest.raises(Refused, match="pg_dump"):
        await store.backup(servers.folder / "copy")


async def test_a_migrated_database_is_what_the_tables_say(servers: Servers) -> None:
    store = await servers.another()

    def differences(conn: Connection) -> list[object]:
        found = compare_metadata(MigrationContext.configure(conn), SQLModel.metadata)
        return [one for one in found if not _is_meant(one)]

    assert await store.read(differences) == []


def _is_meant(difference: tuple) -> bool:
    """Foreign keys that the hot path goes without, and tables that only PostgreSQL has."""
    what, thing = difference[0], difference[1]
    own = ("installation", "live_change")
    return (what == "add_fk" and isinstance(thing, ForeignKeyConstraint)) or (
        what in ("remove_table", "remove_index") and str(thing.name).startswith(own)
    )


async def test_a_start_waits_for_another_that_makes_the_schema(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connecting.SETTINGS, "lock_timeout", "50")
    async with database(postgres, empty=True) as fresh, connected(fresh) as first:
        await first.execute(f"SELECT pg_advisory_lock({locks.MIGRATION})")
        opening = asyncio.create_task(open_store(fresh, tmp_path))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'"
        async with asyncio.timeout(10):
            while not await first.fetchval(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # longer than others would wait
        await first.execute(f"SELECT pg_advisory_unlock({locks.MIGRATION})")
        store = await opening
        assert (await emit(store))[0].deliveries == 0
        await store.close()


# Red without the look at what is due now and then: a server may die before it gives its hint.
async def test_what_is_due_is_found_without_a_hint(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "DUE_EVERY_S", 0.5)
    one, two = await servers.another(), await servers.another()
    hook = HookId((await make_hook(one)).id)
    hinted = Heard(two)
    await emit(one)
    await until(lambda: hook in hinted.due)
    later = Heard(two)
    await until(lambda: hook in later.due)


async def test_what_cannot_be_stored_spoils_nothing_beside_it(servers: Servers) -> None:
    store = await servers.another()
    bad = offer(event_type="job.\0")
    calls = [emit(store), store.accept([bad]), emit(store), store.accept([bad]), emit(store)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True] * 2 + [False]


async def test_an_error_that_is_no_text_is_stored_as_well_as_it_can_be(servers: Servers) -> None:
    store = await servers.another()
    hook = HookId((await make_hook(store)).id)
    await emit(store)
    (job,) = await store.claim(hook, 1)
    result = result_of(job, servers.clock, None, ErrorClass.TLS, error_detail="a\0b\ud800c")
    assert await store.record([result]) == [True]
    async with connected(servers.url) as raw:
        assert await raw.fetchval("SELECT error_detail FROM attempt") == "a\ufffdb?c"


# A young table has no statistics: the plans must not hang on them.
@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("CLAIM_FIRST_TRIES", {"delivery_due_first", "delivery_pkey", "event_pkey"}),
        ("CLAIM_RETRIES", {"delivery_due_again", "delivery_pkey", "event_pkey"}),
        ("FIND_DUE", {"delivery_due_first", "delivery_due_again"}),
        ("CLAIM_THESE", {"delivery_pkey", "event_pkey"}),
        ("FIND_FIRST_IN_LINE", {"delivery_open", "delivery_leased"}),
        ("RECORD", {"delivery_pkey"}),
        ("GIVE_BACK", {"delivery_pkey"}),
        ("FIND_LEASED", {"delivery_leased"}),
        ("FIND_SAME_ATTEMPTS", {"attempt_pkey"}),
        ("FIND_KEYS", {"idempotency_key_pkey"}),
        ("FORGET_KEYS", {"idempotency_key_by_age", "idempotency_key_pkey"}),
        ("DROP_DELIVERIES", {"delivery_by_event", "delivery_pkey", "attempt_pkey"}),
        ("LAST_IN_LINE", {"delivery_by_hook"}),
        ("LOOK", {"feed_pkey"}),
    ],
)
async def test_hot_statements_walk_their_indexes(url: str, name: str, indexes: set[str]) -> None:
    statement: str = getattr(sql, name)
    values = {int(number) for number in re.findall(r"\$(\d+)", statement)}
    call = f"probe({', '.join('NULL' for _ in values)})" if values else "probe"
    async with connected(url, **connecting.HOT) as raw:
        await raw.execute(f"PREPARE probe AS {statement}")
        plan = "\n".join(row[0] for row in await raw.fetch(f"EXPLAIN EXECUTE {call}"))
    assert set(re.findall(r"(?:using|Index Scan on) (\w+)", plan)) == indexes, plan
    assert not re.search(r"Seq Scan on (?!installation)", plan), plan


async def test_a_query_that_takes_too_long_is_stopped_and_says_so(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connecting.SETTINGS, "statement_timeout", "200")
    store = await servers.another()
    with pytest.raises(Unavailable, match="was stopped"):
        await store.read(lambda conn: conn.execute(text("SELECT pg_sleep(5)")).all())
