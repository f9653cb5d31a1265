"""Backups: made under load, whole, private, and never in the place of something else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hooktui.domain.errors import Conflict, DiskFull, Unavailable
from hooktui.store.sqlite import backup
from hooktui.store.sqlite.backup import BadBackup, check_whole, copy_database
from hooktui.store.sqlite.disk_guard import RESERVE_BYTES
from hooktui.store.sqlite.files import free_bytes, open_readonly
from hooktui.store.sqlite.store import SqliteStore
from tests.support.backups import never, save_backup
from tests.support.stores import always, emit, make_hook, offer
from tests.support.waiting import wait_for


def ids_in(file: Path) -> set[int]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
        return {row[0] for row in copy.execute("SELECT id FROM event")}


async def test_a_backup_under_load_holds_all_that_was_accepted_before(
    store: SqliteStore, tmp_path: Path
) -> None:
    await make_hook(store)
    before = {one.id for one in await emit(store, 2000)}
    done = asyncio.Event()

    async def load() -> int:
        count = 0
        while not done.is_set():
            await store.accept([offer(b'"' + b"y" * 1000 + b'"')] * 20, always)
            count += 20
        return count

    loading = asyncio.create_task(load())
    await save_backup(store, tmp_path / "copy.db")
    done.set()
    assert await loading > 0
    ids = ids_in(tmp_path / "copy.db")
    assert before <= ids


def open_copies() -> int:
    """Return how many copies this process holds open."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found += ".backup-" in str(one.readlink())
    return found


def drafts(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if ".backup-" in one.name]


async def test_a_copy_has_no_name_once_it_is_sent(store: SqliteStore, tmp_path: Path) -> None:
    """Red when the copy keeps its name until it is sent: a kill would leave it there."""
    async with store.backup(never) as copy:
        assert drafts(tmp_path) == []
        content = os.pread(copy.file, copy.size + 1, 0)
        assert len(content) == copy.size
        assert hashlib.sha256(content).digest() == copy.sha256
        assert os.fstat(copy.file).st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(copy.file)


async def test_two_backups_at_once_are_refused(store: SqliteStore) -> None:
    """Red when the second one begins while the first is still being sent."""
    async with store.backup(never):
        with pytest.raises(Conflict, match="in progress"):
            async with store.backup(never):
                pass
    async with store.backup(never) as copy:
        assert copy.size


async def test_a_backup_never_takes_the_reserve(store, tmp_path, monkeypatch) -> None:
    """Red when the log is not counted, or no reserve is left."""
    await emit(store, 500)
    files = [tmp_path / "hooktui.db", tmp_path / "hooktui.db-wal"]
    need = sum(one.stat().st_size for one in files)
    monkeypatch.setattr(backup, "free_bytes", lambda _: need + RESERVE_BYTES - 1)
    with pytest.raises(DiskFull, match="must stay free"):
        async with store.backup(never):
            pass
    assert drafts(tmp_path) == []
    monkeypatch.setattr(backup, "free_bytes", lambda _: need + RESERVE_BYTES)
    async with store.backup(never) as copy:
        assert copy.size < free_bytes(tmp_path)


async def test_a_stop_ends_a_backup_and_leaves_nothing(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(backup, "_STEPS_BETWEEN_LOOKS", 10)
    await emit(store, 2000)
    database = tmp_path / "hooktui.db"
    with pytest.raises(Unavailable, match="cancelled"):
        await asyncio.to_thread(copy_database, database, 0, lambda: True)
    assert drafts(tmp_path) == []


async def test_a_cancelled_backup_leaves_no_file_and_no_lock(store, tmp_path, monkeypatch) -> None:
    """Red when the thread of a cancelled backup goes on, or the next one finds it busy."""
    monkeypatch.setattr(backup, "_STEPS_BETWEEN_LOOKS", 10)
    await emit(store, 2000)

    async def whole() -> None:
        async with store.backup(never):
            pass

    task = asyncio.create_task(whole())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await whole()
    await asyncio.to_thread(wait_for, lambda: not (drafts(tmp_path) or open_copies()))


async def test_a_damaged_copy_is_found(store: SqliteStore, tmp_path: Path) -> None:
    await emit(store, 2000)
    file = tmp_path / "copy.db"
    await save_backup(store, file)
    with file.open("r+b") as copy:
        copy.seek(file.stat().st_size // 2)
        copy.write(b"\xff" * 8192)
    with closing(open_readonly(file)) as damaged, pytest.raises((BadBackup, sqlite3.DatabaseError)):
        check_whole(damaged, file)
