"""Commands that work on the files of a home, killed at random moments: all is there, once."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from hooktui.store.sqlite.moved_marker import mark_of
from tests.support.backups import save_backup
from tests.support.installation import Installation
from tests.support.postgres import database
from tests.support.stores import emit, make_hook, open_in

KILLS = [4, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
"""tests/store/test_restore.py has a kill at each of the points between two steps."""


def events_in(database: Path) -> frozenset[int]:
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return frozenset(one for (one,) in raw.execute("SELECT id FROM event"))


def kill_after(home: Installation, seconds: float, *arguments: str) -> bool:
    """Run a command and kill it; return whether it came to its end before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hooktui", *arguments],
        env=home.environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate(timeout=10)
        return False
    assert process.returncode == 0
    return True


def seconds_of(home: Installation, *arguments: str) -> float:
    """Run a command; return how long it took."""
    begun_s = time.monotonic()
    home.ok(*arguments)
    return time.monotonic() - begun_s


@pytest.mark.slow
@pytest.mark.parametrize("kills", KILLS)
async def test_a_restore_killed_at_random_leaves_the_old_or_the_new(
    idle_home: Installation, kills: int
) -> None:
    folder, backup = idle_home.home, idle_home.home.parent / "copy.db"
    store = await open_in(folder)
    await make_hook(store)
    await emit(store, 4000)
    await save_backup(store, backup)
    await emit(store, 4000)
    await store.close()
    copied, everything = events_in(backup), events_in(folder / "hooktui.db")
    other = Installation(folder.parent / "other")
    shutil.copytree(folder, other.home)
    took_s = seconds_of(other, "restore", str(backup))
    killed = 0
    while killed < kills:
        after_s = random.uniform(0, took_s)
        if kill_after(idle_home, after_s, "restore", str(backup)):
            took_s = min(took_s, after_s)
        else:
            killed += 1
        await (await open_in(folder)).close()  # a start
        found = events_in(folder / "hooktui.db")
        kept = [one for one in folder.glob("hooktui.db.before-*") if one.suffix != "-wal"]
        assert found in (copied, everything)
        assert everything in [found, *map(events_in, kept)]
        if found == copied:
            for one in kept:
                one.unlink()
            idle_home.ok("restore", str(backup))  # and once more the whole way
            store = await open_in(folder)
            await emit(store, 4000)
            await store.close()
            everything = events_in(folder / "hooktui.db")
    assert not list(folder.glob("*restored-*"))


@pytest.mark.slow
@pytest.mark.parametrize("kills", KILLS)
async def test_a_move_killed_at_random_is_none_or_all(
    idle_home: Installation, postgres, kills: int
) -> None:
    folder = idle_home.home
    store = await open_in(folder)
    await make_hook(store)
    await emit(store, 8000)
    await store.close()
    everything = events_in(folder / "hooktui.db")
    other = Installation(folder.parent / "other")
    shutil.copytree(folder, other.home)
    async with database(postgres) as url, database(postgres) as other_url:
        took_s = seconds_of(other, "move", "--to", other_url)
        for _ in range(kills):
            ended = kill_after(idle_home, random.uniform(0, took_s), "move", "--to", url)
            there = await moved_events(url)
            assert there in (frozenset(), everything)
            assert mark_of(folder / "hooktui.db").exists() or not there
            if ended:
                break
        idle_home.ok("move", "--to", url)
        assert await moved_events(url) == everything


async def moved_events(url: str) -> frozenset[int]:
    conn = await asyncpg.connect(url)
    try:
        return frozenset(row[0] for row in await conn.fetch("SELECT id FROM event"))
    finally:
        await conn.close()
