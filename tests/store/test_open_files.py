"""A store in a process that can open nothing more: reads go on, and what cannot says why."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import text

from hooktui.domain.errors import Unavailable
from hooktui.store.sqlite.connections import READERS, Readers
from tests.support.file_limit import no_file_left
from tests.support.stores import emit, make_hook, open_in


# Red when readers are opened at their first use.
async def test_all_readers_work_without_a_file_to_open(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    await make_hook(store)

    def count(conn, wait: list[None]):
        return conn.execute(text("SELECT count(*) FROM hook")).scalar_one()

    with no_file_left():
        await emit(store, 3)
        assert await asyncio.gather(*(store.read(count, []) for _ in range(READERS * 4)))
        assert await store.next_due()
    await store.close()


# Red when the driver's error goes through: a traceback and a 500.
async def test_what_cannot_be_opened_is_unavailable_with_the_reason(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    readers = Readers(tmp_path / "hooktui.db")
    with no_file_left(), pytest.raises(Unavailable, match="the database could not be opened"):
        readers.run(lambda conn: None, lambda: False)
    assert readers.run(lambda conn: conn.execute(text("SELECT 1")).scalar_one(), lambda: False) == 1
    readers.close()
    await store.close()


# Red when a start that fails leaves its readers, threads or tasks.
async def test_a_start_that_fails_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    def opened() -> list[str]:
        files = Path("/proc/self/fd").iterdir()
        return [name for one in files if (name := os.path.realpath(one)).startswith(str(tmp_path))]

    tasks = asyncio.all_tasks()
    with monkeypatch.context() as patched:
        patched.setattr("hooktui.store.base.unfinished_cancels", broken)
        with pytest.raises(OSError, match="Input/output error") as failed:
            await open_in(tmp_path)
    assert opened() == []
    assert asyncio.all_tasks() == tasks
    pools = ("hooktui-write", "hooktui-read", "hooktui-own")  # look-ups of other tests may last
    assert not [one for one in threading.enumerate() if one.name.startswith(pools)]
    assert failed.value.errno == 5
    await (await open_in(tmp_path)).close()
