"""The log of the database: it grows while a reader holds it, and is cut when nobody does."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from hooktui.domain.errors import Unavailable
from hooktui.store.sqlite import connections, writer
from hooktui.store.sqlite import store as sqlite
from hooktui.store.sqlite.connections import WalWatch, truncate
from hooktui.store.sqlite.store import SqliteStore
from tests.support.stores import emit, offer, open_in
from tests.support.waiting import LIMIT_S


async def wal_size(store: SqliteStore) -> int:
    return (await store.info()).wal_size or 0


async def test_a_large_log_is_cut_once_nobody_reads(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LARGE_WAL_BYTES", 100_000)
    monkeypatch.setattr(sqlite, "WAL_EVERY_S", 0.01)
    store = await open_in(tmp_path)
    with store._readers.reading():
        for _ in range(5):
            await store.accept([offer(b'"' + b"x" * 100_000 + b'"')])
        await asyncio.sleep(0.1)
        assert await wal_size(store) > 500_000
    async with asyncio.timeout(LIMIT_S):
        while await wal_size(store):
            await store.wait_for_change(store.feed_end(), 0.02)
    assert await emit(store)
    await store.close()


# Red when the work of the writer is left out: a truncation of the log would delay its calls.
async def test_a_large_log_is_not_cut_while_the_writer_has_work(store, monkeypatch) -> None:
    cut: list[object] = []
    monkeypatch.setattr(connections, "LARGE_WAL_BYTES", 0)
    monkeypatch.setattr(sqlite, "truncate", cut.append)
    await emit(store)
    with monkeypatch.context() as at_work:
        at_work.setattr(SqliteStore, "busy", property(lambda _: True))
        await store._watch_wal()
    assert not cut
    await store._watch_wal()
    assert cut == [store._raw]


async def test_a_reader_in_another_program_is_not_waited_for(tmp_path: Path, store) -> None:
    await emit(store)
    shell = sqlite3.connect(f"file:{tmp_path}/hooktui.db?mode=ro", uri=True, isolation_level=None)
    shell.execute("BEGIN")
    shell.execute("SELECT count(*) FROM event").fetchone()
    await emit(store)
    assert await store._writer.between(partial(truncate, store._raw)) is False
    shell.close()
    assert await store._writer.between(partial(truncate, store._raw)) is True
    assert await wal_size(store) == 0


async def test_what_runs_between_transactions_fails_alone(store) -> None:
    def fail() -> None:
        raise sqlite3.OperationalError("no")

    with pytest.raises(Unavailable):
        await store._writer.between(fail)
    assert await emit(store)
    await store.close()
    with pytest.raises(Unavailable, match="stopping"):
        await store._writer.between(fail)


# Red when long bodies are left to SQLite's own checkpoints: the log grows to 2 MB.
async def test_the_log_of_long_bodies_stays_short(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_BYTES", 200_000)
    for _ in range(20):
        await store.accept([offer(b'"' + b"x" * 100_000 + b'"')])
    assert ((await store.info()).wal_size or 0) < 600_000


# Red when short bodies count, too: each checkpoint is two syncs.
async def test_short_bodies_are_left_to_the_checkpoints_of_sqlite(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(writer, "CHECKPOINT_BYTES", 20_000)
    monkeypatch.setattr(writer, "copy_log", made.append)
    for _ in range(20):
        await store.accept([offer(b'"' + b"x" * 4000 + b'"')])
    assert not made


def test_a_log_that_grows_out_of_hand_is_reported_once_a_doubling(caplog) -> None:
    watch = WalWatch()
    caplog.set_level(logging.WARNING)
    for mib in (100, 256, 300, 400, 512, 600):
        assert not watch.wants_truncate(mib << 20, in_use=True, short=False)
    assert [record.args for record in caplog.records] == [(256,), (512,)]
    assert watch.wants_truncate(1 << 30, in_use=False, short=False)
    assert not watch.wants_truncate(2 << 20, in_use=False, short=False)
    assert watch.wants_truncate(2 << 20, in_use=False, short=True)
