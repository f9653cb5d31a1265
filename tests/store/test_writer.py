"""The writer: batches, refusals that stay alone, locks of others, threads, tidying."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hooktui.domain.errors import DiskFull, Refused, Unavailable
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import HookId
from hooktui.store import changes, queries, write_queue
from hooktui.store.contract import NewEvent
from hooktui.store.planning.matching import NO_MATCHES
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite import connections, disk_guard, writer
from hooktui.store.sqlite import store as sqlite
from hooktui.store.sqlite.disk_guard import RESERVE_BYTES
from hooktui.store.sqlite.queue import Accept
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import Clock
from tests.support.stores import (
    ADA,
    DEFAULT,
    Heard,
    always,
    deliveries,
    emit,
    make_hook,
    offer,
    open_in,
    result_of,
)
from tests.support.waiting import LIMIT_S


@pytest.fixture(params=["in the loop", "in a thread"])
async def either(request, tmp_path: Path, monkeypatch) -> AsyncIterator[SqliteStore]:
    """A store whose writer runs in the event loop, and one whose runs in a thread."""
    monkeypatch.setattr(sqlite, "SLOW_FSYNC_MS", -1 if request.param == "in a thread" else 1e9)
    one = await open_in(tmp_path)
    yield one
    await one.close()


def names_in(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


async def rows_of(store: SqliteStore, table: str) -> int:
    return await store.read(
        lambda conn: conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    )


# Red when the idempotency keys of a call are looked up in one step: 1,000 hold the loop for 10 ms.
async def test_many_keys_are_looked_up_in_steps(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    events = [offer(key=f"key {number % 700}") for number in range(1000)]
    reads: list[str] = []
    store._raw.set_trace_callback(reads.append)
    counts = [len(reads) for _ in writer._load(store._begin(), [Accept(events, None, NO_MATCHES)])]
    store._raw.set_trace_callback(None)
    assert counts == [100 * step for step in range(1, 11)]
    await store.close()


# Red when a large commit is made in the event loop: 8 MiB held it for up to 18 ms.
@pytest.mark.parametrize("size", [1_000, writer.LARGE_BYTES + 1])
async def test_a_large_commit_is_made_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(sqlite, "SLOW_FSYNC_MS", 1e9)
    monkeypatch.setattr(writer, "LATE_COMMIT_S", 1e9)
    store = await open_in(tmp_path)
    commits: list[bool] = []

    def trace(statement: str) -> None:
        if statement == "COMMIT":
            commits.append(threading.current_thread() is threading.main_thread())

    store._raw.set_trace_callback(trace)
    await store.accept([offer(b'"%b"' % (b"x" * size))])
    store._raw.set_trace_callback(None)
    assert commits == [size < writer.LARGE_BYTES]
    await store.close()


# Red when commits and checkpoints share threads with name services and network disks.
async def test_threads_that_all_hang_delay_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "SLOW_FSYNC_MS", 1e9)
    monkeypatch.setattr(writer, "CHECKPOINT_BYTES", 1)
    store = await open_in(tmp_path)
    loop, over = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    hung = loop.run_in_executor(None, over.wait)
    try:
        async with asyncio.timeout(LIMIT_S):
            for size in (10_000, 2 * writer.LARGE_BYTES):
                await store.accept([offer(b'"%b"' % (b"x" * size))])
            await store.accept([offer()])
    finally:
        over.set()
        await hung
    await store.close()


async def test_waiting_operations_share_a_commit(either: SqliteStore) -> None:
    await make_hook(either)
    before = await rows_of(either, "feed")
    answers = await asyncio.gather(*(either.accept([offer()], always) for _ in range(100)))
    assert len({accepted[0].id for accepted, _ in answers}) == 100
    assert await rows_of(either, "feed") - before <= 2
    claims = [claim for _, handed_over in answers for claim in handed_over]
    results = [result_of(claim, Clock()) for claim in claims]
    held = await asyncio.gather(*(either.record([result]) for result in results))
    assert held == [[True]] * 100


async def test_a_refused_offer_spoils_no_other_of_its_batch(either: SqliteStore) -> None:
    await emit(either, key="k")
    first, refused, last = await asyncio.gather(
        either.accept([offer(b"1")]),
        either.accept([offer(b"2", key="k")]),
        either.accept([offer(b"3")]),
        return_exceptions=True,
    )
    assert isinstance(refused, Refused)
    assert not isinstance(first, BaseException)
    assert not isinstance(last, BaseException)
    assert await rows_of(either, "event") == 3


async def test_one_key_in_two_calls_at_once_is_one_event(either: SqliteStore) -> None:
    await make_hook(either)
    answers = await asyncio.gather(*(either.accept([offer(key="k")]) for _ in range(5)))
    assert len({accepted[0].id for accepted, _ in answers}) == 1
    assert sorted(accepted[0].duplicate for accepted, _ in answers) == [False] + [True] * 4


async def test_a_failed_commit_fails_all_of_the_batch_and_changes_nothing(
    either: SqliteStore,
) -> None:
    hook = await make_hook(either)
    end, heard = either.feed_end(), Heard(either)

    def break_the_commit(tx):
        tx.conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        tx.conn.exec_driver_sql("UPDATE secret SET hook_id = 77")

    answers = await asyncio.gather(
        either.accept([offer()], always),
        make_hook(either),
        either.write(break_the_commit),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert heard.signals == []
    assert either.feed_end() == end
    assert list(either.hooks()) == [hook.id]
    assert await rows_of(either, "event") == 0
    (accepted,) = await emit(either)
    assert accepted.deliveries == 1


async def test_another_program_that_holds_the_database_is_waited_for(
    either: SqliteStore, tmp_path: Path
) -> None:
    shell = sqlite3.connect(tmp_path / "hooktui.db", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(emit(either))
    for _ in range(20):  # the loop goes on meanwhile
        await asyncio.sleep(0.001)
    assert not waiting.done()
    shell.execute("ROLLBACK")
    shell.close()
    async with asyncio.timeout(LIMIT_S):
        assert await waiting


async def test_one_that_holds_it_for_too_long_is_named(
    either: SqliteStore, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(writer, "LOCKED_FOR_S", 0.02)
    shell = sqlite3.connect(tmp_path / "hooktui.db", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="sqlite3 shell"):
        await emit(either)
    shell.close()
    assert await emit(either)


async def test_what_was_handed_over_to_a_cancelled_caller_is_released(
    either: SqliteStore,
) -> None:
    hook = await make_hook(either)

    async def taken_then_cancelled(call) -> None:
        task = asyncio.create_task(call)
        end = either.feed_end()
        while not task.done():
            # Cancel in the moment between the commit and the caller's return.
            await asyncio.sleep(0)
            if either.feed_end() != end:
                task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await taken_then_cancelled(either.accept([offer()], always))
    await taken_then_cancelled(either.claim(HookId(hook.id), 10))
    async with asyncio.timeout(LIMIT_S):
        while not await either.next_due():
            await either.wait_for_change(either.feed_end(), 0.05)
    (delivery,) = await deliveries(either)
    assert (delivery.status, delivery.attempts) == ("pending", 0)


async def test_too_much_that_waits_is_refused_at_once(store: SqliteStore, monkeypatch) -> None:
    monkeypatch.setattr(write_queue, "MAX_WAITING_ROWS", 100)
    answers = await asyncio.gather(
        *(store.accept([offer()] * 10) for _ in range(50)), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, Unavailable)]
    assert 0 < len(refused) < 50
    assert await rows_of(store, "event") == 10 * (50 - len(refused))
    assert await emit(store)


async def test_a_nearly_full_disk_takes_no_events_and_still_records(
    store: SqliteStore, monkeypatch
) -> None:
    await make_hook(store)
    _, claims = await store.accept([offer()], always)
    monkeypatch.setattr(sqlite, "free_bytes", lambda _: RESERVE_BYTES - 1)
    monkeypatch.setattr(disk_guard, "_MEASURED_FOR_S", 0)
    with pytest.raises(DiskFull):
        await emit(store)
    assert await store.record([result_of(claims[0], Clock())]) == [True]


async def test_a_closed_store_says_so_and_closing_twice_is_fine(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    last = asyncio.create_task(emit(store))
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert await last  # what was taken is finished
    for call in (emit(store), store.read(queries.list_accounts, PageRequest())):
        with pytest.raises(Unavailable, match="stopping"):
            await call
    assert names_in(tmp_path) == ["hooktui.db", "hooktui.key", "hooktui.lock"]


async def test_a_query_that_takes_too_long_is_stopped(store: SqliteStore, monkeypatch) -> None:
    monkeypatch.setattr(connections, "READ_DEADLINE_S", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(Unavailable, match="took over"):
        await store.read(lambda conn: conn.exec_driver_sql(endless).scalar())
    assert (await store.read(queries.get_account, DEFAULT)).name == "default"


async def test_a_database_that_became_read_only_says_what_to_check(store: SqliteStore) -> None:
    store._raw.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable, match="read-only, and nothing was stored: check"):
        await emit(store)
    store._raw.execute("PRAGMA query_only = 0")
    await emit(store)


async def test_a_reader_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await store.read(lambda conn: conn.exec_driver_sql("DELETE FROM account"))


async def test_the_feed_is_trimmed_and_an_old_position_is_a_reset(
    store: SqliteStore, monkeypatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_FEED_ROWS", 20)
    await emit(store)
    first = (await store.feed(None, 1)).next
    assert not (await store.feed(first, 1)).reset
    for _ in range(60):
        await emit(store)
    async with asyncio.timeout(LIMIT_S):
        while (left := await rows_of(store, "feed")) > 20:
            await emit(store)
    assert left >= 15
    page = await store.feed(first, 10)
    assert (page.reset, page.items, page.next) == (True, (), store.feed_end())
    oldest = await store.feed(None, 1000)
    assert len(oldest.items) == left
    assert oldest.next == store.feed_end()


async def test_a_row_of_many_items_is_split(store: SqliteStore) -> None:
    await emit(store, 2400)
    assert await rows_of(store, "feed") == 3
    items, page = 0, await store.feed(None, 5000)
    while page.items:  # a page ends at 1 MiB
        items += len(page.items)
        page = await store.feed(page.next, 5000)
    assert items == 2400


# Red when one transaction's share is forgotten each time, however many have expired.
async def test_all_old_idempotency_keys_are_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    store = await SqliteStore.open(
        tmp_path / "hooktui.db", key_file=tmp_path / "hooktui.key", clock=clock.now_ms
    )
    await store.accept([NewEvent(DEFAULT, "job.failed", b"{}", f"key {n}") for n in range(1_100)])
    clock.advance(25 * 3600)
    await emit(store, key="new")
    await store.forget_keys()
    assert await rows_of(store, "idempotency_key") == 1
    await store.close()


# Red when they are deleted by a clock that may be wrong: a repeated event would be sent twice.
async def test_no_idempotency_key_is_forgotten_while_the_clock_is_doubted(tmp_path: Path) -> None:
    clock = Clock()
    store = await SqliteStore.open(
        tmp_path / "hooktui.db",
        key_file=tmp_path / "hooktui.key",
        clock=clock.now_ms,
        steady=lambda: 0,
    )
    await emit(store, key="old")
    clock.advance(25 * 3600)
    await emit(store, key="new")
    assert not store.clock_is_trusted
    await store.forget_keys()
    assert await rows_of(store, "idempotency_key") == 2
    await store.close()


async def test_a_filter_never_breaks_acceptance(store: SqliteStore) -> None:
    await store.write(
        changes.create_hook, ADA, DEFAULT,
        HookSettings(url="http://127.0.0.2/", events=("job",), name="n", filter="data.a:1"),
        "s" * 20,
    )  # fmt: skip
    for body in (b"\xff", b"[" * 100_000, b"", b'{"a": 1e999}'):
        accepted, _ = await store.accept([offer(body)])
        assert accepted[0].skipped == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "\ud800", "a\nb"])
async def test_a_key_that_cannot_be_stored_is_refused(store: SqliteStore, key: str) -> None:
    with pytest.raises(Refused, match="1 to 255"):
        await store.accept([offer(key=key)])


def slow_commits(store: SqliteStore, seconds: float) -> list[bool]:
    """Let each commit take longer; return a list that gets whether each one is in the loop."""
    in_loop: list[bool] = []

    def trace(statement: str) -> None:
        if statement == "COMMIT":
            in_loop.append(threading.current_thread() is threading.main_thread())
            time.sleep(seconds)

    store._raw.set_trace_callback(trace)
    return in_loop


# Red when the event loop waits for each sync of a disk that became slow after the start.
async def test_a_disk_that_becomes_slow_blocks_the_loop_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "SLOW_FSYNC_MS", 1e9)
    monkeypatch.setattr(writer, "LATE_COMMIT_S", 1e9)
    monkeypatch.setattr(writer, "FAST_COMMITS", 3)
    store = await open_in(tmp_path)
    monkeypatch.setattr(writer, "LATE_COMMIT_S", 0.1)
    in_loop = slow_commits(store, 0.2)
    for _ in range(5):
        await store.accept([offer()])
    assert in_loop == [True, False, False, False, False]
    monkeypatch.setattr(writer, "LATE_COMMIT_S", 1e9)
    in_loop = slow_commits(store, 0)
    for _ in range(5):
        await store.accept([offer()])
    assert in_loop == [False, False, False, True, True]
    store._raw.set_trace_callback(None)
    await store.close()


# Red when a truncation of the log, which syncs the database, blocks the event loop.
async def test_the_log_is_truncated_in_a_thread(either: SqliteStore) -> None:
    await emit(either, 3)
    threads: list[bool] = []

    def trace(statement: str) -> None:
        threads.append(threading.current_thread() is threading.main_thread())

    either._raw.set_trace_callback(trace)
    assert await either._cut_log()
    await either.prepare_deletions()
    either._raw.set_trace_callback(None)
    assert threads
    assert not any(threads)


# Red when callers wait without end behind a disk that hangs.
async def test_a_hung_commit_refuses_the_calls_after_it_and_loses_none_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "SLOW_FSYNC_MS", -1)
    store = await open_in(tmp_path)
    hangs, released = threading.Event(), threading.Event()

    def trace(statement: str) -> None:
        if statement == "COMMIT":
            hangs.set()
            released.wait(20)

    store._raw.set_trace_callback(trace)
    first = asyncio.create_task(store.accept([offer()]))
    assert await asyncio.to_thread(hangs.wait, 20)
    second = asyncio.create_task(store.accept([offer()]))
    await asyncio.sleep(0.3)
    monkeypatch.setattr(write_queue, "STALLED_S", 0.2)
    monkeypatch.setattr(write_queue, "LATE_S", 0.2)
    for _ in range(3):
        with pytest.raises(Unavailable, match="slow or hung disk") as refused:
            await store.accept([offer()])
        assert refused.value.retry_after_s == 5
    released.set()
    await first
    await second
    await store.accept([offer()])
    store._raw.set_trace_callback(None)
    assert await rows_of(store, "event") == 3
    assert "a transaction of the writer took" in caplog.text
    await store.close()
