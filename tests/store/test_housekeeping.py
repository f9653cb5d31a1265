"""Housekeeping goes on after any failure, and says what failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import pytest

from hooktui.store import base
from hooktui.store.planning.retention import RetentionPass
from hooktui.store.sqlite import retention
from hooktui.store.sqlite import store as sqlite
from hooktui.store.sqlite.connections import WalWatch
from hooktui.store.sqlite.store import SqliteStore
from tests.support.stores import open_in
from tests.support.waiting import until

WORK = ("retention", "forgetting keys", "truncating the log", "checking the alerts")


# Red when only foreseen errors are caught: the task ends without a word, until a restart.
async def test_no_failure_ends_housekeeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    for where, name in (
        (RetentionPass, "apply"), (retention, "Drop"), (WalWatch, "wants_truncate"),
        (SqliteStore, "disk_space"),
    ):  # fmt: skip
        monkeypatch.setattr(where, name, broken)
    for where, name in (
        (sqlite, "FIRST_SWEEP_S"), (sqlite, "SWEEP_EVERY_S"), (sqlite, "KEYS_EVERY_S"),
        (sqlite, "WAL_EVERY_S"), (base, "CHECK_EVERY_S"),
    ):  # fmt: skip
        monkeypatch.setattr(where, name, 0.01)
    store = await open_in(tmp_path)

    def times(work: str) -> int:
        return caplog.messages.count(f"{work} failed; it is repeated")

    await until(lambda: min(times(work) for work in WORK) >= 2)
    assert "Input/output error" in caplog.text
    await store.close()


async def test_causes_of_older_deliveries_are_written_after_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    def missing(_: object) -> bool:
        if asked.is_set():
            return False
        asked.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(base.engine, "causes_are_missing", missing)
    monkeypatch.setattr(base, "CAUSES_RETRIED_S", 0.01)
    store = await open_in(tmp_path)
    (causes,) = [task for task in store._tasks if task.get_name() == "causes"]
    await causes
    await store.close()
