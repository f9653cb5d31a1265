"""The migration that binds encrypted values: killed, without its key, beside other servers."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from socket import gethostname

import pytest

from hooktui.domain.errors import Conflict
from hooktui.domain.ids import HookId
from hooktui.domain.paths import paths_of
from hooktui.offline.migrate_to_postgres import carry_over
from hooktui.store.key_ring import find_keys
from hooktui.store.postgres.connections import parse_database_url
from hooktui.store.sqlite.backup_source import open_backup
from hooktui.store.sqlite.moved_marker import Mark, write_mark
from hooktui.store.sqlite.restore import restore
from hooktui.store.vault import KeyProblem, create_keys, new_key, replace_keys
from tests.store.conftest import run_python
from tests.store.servers import connected
from tests.support.backups import save_backup
from tests.support.earlier_schemas import as_0004
from tests.support.postgres import database, open_store
from tests.support.stores import ADA, make_hook, open_in

OPEN = """
import asyncio, sys
from pathlib import Path
from hooktui import failpoints
from tests.support.postgres import open_store
from tests.support.stores import open_in

failpoints.arm("before_migration_commit:kill")
URL, HOME = {url!r}, Path(sys.argv[1])
asyncio.run(open_store(URL, HOME) if URL else open_in(HOME))
"""
HIDDEN = {"headers": {"X-Token": "canary-header"}, "sensitive_headers": ("X-Token",)}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_killed_migration_leaves_what_was_there_and_the_next_start_does_it(
    tmp_path: Path, kind: str, request
) -> None:
    # Red when values are encrypted again outside the transaction that changes the version.
    if kind == "sqlite":
        await _killed(tmp_path, None)
    else:
        async with database(request.getfixturevalue("postgres")) as url:
            await _killed(tmp_path, url)


async def _killed(home: Path, url: str | None) -> None:
    async def opened():
        return await (open_store(url, home) if url else open_in(home))

    store = await opened()
    hooks = [await make_hook(store, **HIDDEN) for _ in range(4)]
    await store.write(as_0004)
    await store.close()
    for _ in range(2):
        code, complaint = await run_python(OPEN.format(url=url), home)
        assert code == -9, complaint
    store = await opened()
    for hook in hooks:
        live = store.hooks()[HookId(hook.id)]
        assert (live.refusal, live.settings.headers) == (None, HIDDEN["headers"])
    await store.close()


async def test_without_its_key_nothing_is_migrated(tmp_path: Path) -> None:
    # Red when a missing key is taken for a value that was moved: it could never be bound later.
    store = await open_in(tmp_path)
    hook = await make_hook(store, **HIDDEN)
    await store.write(as_0004)
    await store.close()
    key_file = tmp_path / "hooktui.key"
    kept = key_file.read_bytes()
    replace_keys(key_file, [new_key()])
    with pytest.raises(KeyProblem, match="not in the key file"):
        await open_in(tmp_path)
    raw = sqlite3.connect(tmp_path / "hooktui.db")
    assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)
    raw.close()
    key_file.write_bytes(kept)
    store = await open_in(tmp_path)
    assert store.hooks()[HookId(hook.id)].settings.headers == HIDDEN["headers"]
    await store.close()


async def test_a_database_is_not_migrated_beside_servers_of_an_older_version(
    tmp_path: Path, postgres
) -> None:
    async with database(postgres) as url:
        store = await open_store(url, tmp_path)
        await make_hook(store, **HIDDEN)
        await store.write(as_0004)
        other = tmp_path / "other"
        other.mkdir()
        create_keys(other / "hooktui.key", find_keys(tmp_path / "hooktui.key").keys)
        named = rf"1 server of an older version: {gethostname()} \(process {os.getpid()}\)"
        with pytest.raises(Conflict, match=named):
            await open_store(url, other)
        await store.close()
        async with connected(url) as raw:
            assert await raw.fetchval("SELECT version_num FROM alembic_version") == "0004"
        await (await open_store(url, tmp_path)).close()


async def test_a_restore_of_an_older_backup_binds_its_values(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    hook = await make_hook(store, **HIDDEN)
    await store.write(as_0004)
    await save_backup(store, tmp_path / "copy.db")
    await store.close()
    with open_backup(tmp_path / "copy.db") as source:
        done = restore(
            tmp_path / "hooktui.db", tmp_path / "hooktui.key", source, ADA, lambda _: None
        )
    assert done.migrated_from == "0004"
    store = await open_in(tmp_path)
    live = store.hooks()[HookId(hook.id)]
    assert (live.refusal, live.settings.headers) == (None, HIDDEN["headers"])
    await store.close()


async def test_a_move_that_an_older_version_began_is_not_ended_by_this_one(
    tmp_path: Path, postgres
) -> None:
    # Red when rows of an older schema are copied: their values would open nowhere.
    store = await open_in(tmp_path)
    await make_hook(store, **HIDDEN)
    await store.write(as_0004)
    await store.close()
    where = paths_of({"HOOKTUI_HOME": str(tmp_path)})
    async with database(postgres) as url:
        target = parse_database_url(url)
        write_mark(
            where.database, Mark(move="0" * 32, to=target.shown, at="2026-11-25T03:04:05.000Z")
        )
        with pytest.raises(Conflict, match="another version began this move"):
            await carry_over(where, target, lambda _: None, ADA)
        async with connected(url) as raw:
            assert await raw.fetchval("SELECT count(*) FROM hook") == 0
