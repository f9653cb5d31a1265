"""Backups: made under load, whole, private, and never in the place of something else."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hooktui.domain.errors import Conflict, DiskFull, Refused, Unavailable
from hooktui.store import backup
from hooktui.store.backup import BadBackup, back_up, check_whole, open_readonly
from hooktui.store.sqlite import SqliteStore
from tests.contract.given import always, emit, make_hook, offer


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
    copied = await store.backup(tmp_path / "copy.db")
    done.set()
    assert await loading > 0
    ids = ids_in(tmp_path / "copy.db")
    assert before <= ids
    assert copied.events == len(ids)
    assert copied.size == (tmp_path / "copy.db").stat().st_size
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


async def test_a_backup_replaces_nothing(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "link", "hooktui.db", "hooktui.db-wal"):
        with pytest.raises(Conflict, match="there already"):
            await store.backup(tmp_path / name)
    assert (tmp_path / "mine").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


async def test_a_place_that_cannot_be_written_is_refused(store: SqliteStore, tmp_path) -> None:
    with pytest.raises(Refused, match="cannot write in"):
        await store.backup(tmp_path / "no such folder" / "copy.db")


async def test_two_backups_at_once_are_refused(store: SqliteStore, tmp_path: Path) -> None:
    answers = await asyncio.gather(
        store.backup(tmp_path / "a"), store.backup(tmp_path / "b"), return_exceptions=True
    )
    assert sum(isinstance(one, Conflict) for one in answers) == 1
    await store.backup(tmp_path / "c")


async def test_a_backup_without_room_leaves_nothing(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(backup, "free_bytes", lambda _: 1000)
    with pytest.raises(DiskFull, match="needs"):
        await store.backup(tmp_path / "copy.db")
    assert not [one for one in tmp_path.iterdir() if "copy" in one.name]


async def test_a_stop_ends_a_backup_and_leaves_nothing(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(backup, "_STEPS_BETWEEN_LOOKS", 10)
    await emit(store, 2000)
    work = asyncio.to_thread(back_up, tmp_path / "hooktui.db", tmp_path / "copy.db", lambda: True)
    with pytest.raises(Unavailable, match="given up"):
        await work
    assert not [one for one in tmp_path.iterdir() if "copy" in one.name]


async def test_a_damaged_copy_is_found(store: SqliteStore, tmp_path: Path) -> None:
    await emit(store, 2000)
    file = tmp_path / "copy.db"
    await store.backup(file)
    with file.open("r+b") as copy:
        copy.seek(file.stat().st_size // 2)
        copy.write(b"\xff" * 8192)
    with closing(open_readonly(file)) as damaged, pytest.raises((BadBackup, sqlite3.DatabaseError)):
        check_whole(damaged, file)
