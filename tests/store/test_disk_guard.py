"""The disk guard: refuses in time, and lets in again what a purge made room for."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from hooktui.domain.clock import now_ms
from hooktui.domain.errors import DiskFull, HooktuiError
from hooktui.domain.ids import HookId
from hooktui.store.sqlite.disk_guard import LOG_BYTES, DiskGuard
from hooktui.store.sqlite.moved_marker import Mark, read_mark, write_mark
from hooktui.store.sqlite.store import SqliteStore
from tests.support.clocks import Clock
from tests.support.disks import small_disk
from tests.support.stores import make_hook, offer, open_in, result_of
from tests.support.waiting import LIMIT_S, until

MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "inside", "room"),
    [(64, 0, True), (63, 0, False), (63, 1, True), (32, 32, True), (31, 1000, False)],
)
def test_there_is_room_where_the_disk_and_the_free_pages_say_so(free, inside, room) -> None:
    guard = DiskGuard(64 * MIB, lambda: free * MIB, lambda: inside * MIB)
    if room:
        guard.check()
    else:
        with pytest.raises(DiskFull, match=r"are free, 67\.1 MB are reserved"):
            guard.check()


def test_the_disk_is_asked_five_times_a_second_and_not_for_every_event() -> None:
    asked, clock = [], Clock()

    def free() -> int:
        asked.append(clock.steady_s())
        return 64 * MIB if len(asked) == 1 else 0

    guard = DiskGuard(64 * MIB, free, lambda: 0, clock.steady_s)
    for _ in range(1000):
        guard.check()
    assert len(asked) == 1
    clock.advance(0.2)
    with pytest.raises(DiskFull):
        guard.check()


def test_much_that_comes_in_makes_it_ask_earlier() -> None:
    left = [64 * MIB, 0]
    guard = DiskGuard(64 * MIB, lambda: left.pop(0), lambda: 0, lambda: 0.0)
    for _ in range(32):
        guard.check(MIB // 8)
    with pytest.raises(DiskFull):
        guard.check(MIB // 8)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 48) as folder:
        yield folder


async def fill(store: SqliteStore) -> int:
    """Send big events until one is refused; return how many were taken."""
    for count in range(1000):
        try:
            await store.accept([offer(b'"' + b"x" * 200_000 + b'"', event_type="cluster.error")])
        except DiskFull:
            return count
    raise AssertionError("the disk took 200 MB")


@pytest.fixture
async def store(disk: Path) -> AsyncIterator[SqliteStore]:
    files = {"database": disk / "hooktui.db", "key_file": disk / "hooktui.key"}
    one = await SqliteStore.open(**files, reserve=16 * MIB)
    yield one
    await one.close()


async def test_a_full_disk_takes_nothing_in_sends_on_and_recovers_by_a_purge(store) -> None:
    hook = await make_hook(store)
    await store.accept([offer()])
    accepted = await fill(store)
    assert accepted > 20
    (claim,) = await store.claim(HookId(hook.id), 1)
    assert await store.record([result_of(claim, Clock())]) == [True]
    gone = await store.purge(now_ms() + 1, within_s=30)
    assert gone.events >= accepted
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                await store.accept([offer()])
                break
            except DiskFull:
                await store.wait_for_change(store.feed_end(), 0.05)


# Red on the connection that writes: it is in use in a thread, during a checkpoint for example.
async def test_free_pages_are_counted_while_the_writer_is_busy(store: SqliteStore) -> None:
    begun, over = threading.Event(), threading.Event()

    def hold() -> int:
        begun.set()
        return over.wait(LIMIT_S)

    store._raw.create_function("hold", 0, hold)
    held = partial(store._raw.execute, "SELECT hold()")
    busy = asyncio.create_task(store._writer.between(lambda: held().fetchall()))
    await until(begun.is_set)
    counting = asyncio.create_task(asyncio.to_thread(store._free_inside))
    await asyncio.wait({counting, busy}, return_when=asyncio.FIRST_COMPLETED)
    assert not busy.done()
    assert await counting == 0
    over.set()
    assert await busy == [(1,)]


# Red when a purge ends at the first transaction that finds no room for its log, or when it runs
# into a full disk, at the cost of the other operations of its transaction.
async def test_a_purge_waits_for_a_reader_that_makes_the_log_fill_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 96) as disk:
        files = {"database": disk / "hooktui.db", "key_file": disk / "hooktui.key"}
        store = await SqliteStore.open(**files, reserve=4 * MIB)
        try:
            await make_hook(store)
            accepted = await fill(store)
            release = threading.Event()
            reader = await hold_a_snapshot(store, release)
            purge = asyncio.create_task(store.purge(now_ms() + 1, within_s=30))
            while shutil.disk_usage(disk).free > LOG_BYTES and not purge.done():
                await store.wait_for_change(store.feed_end(), 0.01)
            release.set()
            await reader
            assert (await purge).events == accepted
            # A slow transaction is logged, too.
            assert not [one for one in caplog.records if "took" not in one.getMessage()]
        finally:
            await store.close()


async def hold_a_snapshot(store: SqliteStore, release: threading.Event) -> asyncio.Task[None]:
    reading = threading.Event()

    def read_until_released(conn: Connection) -> None:
        conn.exec_driver_sql("SELECT count(*) FROM event").one()
        reading.set()
        release.wait(30)

    reader = asyncio.create_task(store.read(read_until_released))
    await asyncio.to_thread(reading.wait)
    return reader


async def test_a_start_or_a_move_on_a_full_disk_says_that_it_is_full(tmp_path: Path) -> None:
    """Red when it is "disk I/O error", or an error of the output."""
    with small_disk(tmp_path / "disk", 4) as folder:
        await (await open_in(folder)).close()
        with (folder / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        with pytest.raises(DiskFull, match="the disk is full"):
            await open_in(folder)
        mark = Mark(move="1", to="there", at="2026-01-01T00:00:00Z")
        with pytest.raises(HooktuiError, match=r"hooktui\.db\.moved: No space left"):
            write_mark(folder / "hooktui.db", mark)
        assert read_mark(folder / "hooktui.db") is None
