"""Doctor's look at a real PostgreSQL: what is wrong is found, and looking changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from hooktui.doctor import postgres as doctor
from hooktui.doctor.machine import StartTime
from hooktui.doctor.postgres import check_shared
from hooktui.domain.ids import HookId
from hooktui.domain.paths import InstallPaths, paths_of
from hooktui.domain.wire.diagnosis import Check
from hooktui.store.postgres.connections import parse_database_url
from hooktui.store.sqlite.moved_marker import Mark, write_mark
from hooktui.store.vault import load_keys
from tests.support.postgres import PostgresServer, database, open_store, transaction_pooler
from tests.support.stores import emit, make_hook
from tests.support.waiting import until


@pytest.fixture
async def url(postgres) -> AsyncIterator[str]:
    async with database(postgres) as one:
        yield one


@pytest.fixture
def where(tmp_path: Path) -> InstallPaths:
    return paths_of({"HOOKTUI_HOME": str(tmp_path)})


async def look(where: InstallPaths, url: str, started: StartTime | None = None) -> dict[str, Check]:
    found = await check_shared(where, parse_database_url(url), started)
    by_name = {check.name: check for check in found}
    assert len(by_name) == len(found)
    return by_name


async def test_a_sqlite_database_that_no_server_uses_is_a_warning(
    where: InstallPaths, url: str
) -> None:
    assert "unused database" not in await look(where, url)
    where.database.touch()
    check = (await look(where, url))["unused database"]
    assert (check.state, str(where.database) in check.value) == ("warn", True)
    assert "hooktui move" in check.advice
    write_mark(where.database, Mark(move="1", to="there", at="2026-01-01T00:00:00Z", done=True))
    assert "unused database" not in await look(where, url)


async def execute(url: str, statement: str, *arguments: object) -> None:
    conn = await asyncpg.connect(url)
    await conn.execute(statement, *arguments)
    await conn.close()


async def test_a_database_in_use_is_described(where: InstallPaths, url: str) -> None:
    store = await open_store(url, where.home)
    await make_hook(store)
    await emit(store, 20)
    await store.claim(HookId(1), 3)
    found = await look(where, url, StartTime())
    await store.close()
    assert found["servers"].value == "1 running, with the numbers 0"
    assert found["leases"].value == "3 held, 0 expired"
    assert found["waiting"].value.startswith("20 wait")
    assert found["key file"].value == "decrypts the secrets of 1 hook"
    assert {"round trip", "commit", "clock skew", "clock", "connections"} <= set(found)
    # The servers of these tests do without fsync, which is what doctor is there to say.
    assert {name for name, check in found.items() if check.state == "fail"} == {"durability"}
    assert "fsync off" in found["durability"].value


async def test_a_database_that_is_read_only_by_default_is_a_failure(
    where: InstallPaths, url: str
) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    await execute(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    check = (await look(where, url))["database"]
    assert (check.state, "read-only" in check.value) == ("fail", True)
    assert "default_transaction_read_only" in check.advice


async def test_a_database_that_is_away_names_the_network(where: InstallPaths) -> None:
    check = (await look(where, "postgresql://user:word@127.0.0.1:9/name"))["database"]
    assert (check.state, "reaches it" in check.advice) == ("fail", True)


# Red when only an error of the system is followed by advice: the last host was a standby.
async def test_hosts_without_a_primary_are_a_failure_with_advice(
    where: InstallPaths, postgres: PostgresServer, url: str
) -> None:
    name = url.partition("?")[0].rpartition("/")[2]
    await execute(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    hosts = postgres.tcp_url(name).replace("@", "@127.0.0.1:9,")
    check = (await look(where, hosts))["database"]
    assert (check.state, "promote a standby" in check.advice) == ("fail", True)


async def commit_waits(url: str) -> bool:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("SELECT pg_logical_emit_message(true, 'test', '')", timeout=0.2)
    except TimeoutError:
        return True
    finally:
        await conn.close()
    return False


# Red when the whole look ends with "the connection was lost; check that PostgreSQL is running".
async def test_a_commit_that_waits_for_a_synchronous_standby_is_a_failure(
    where: InstallPaths, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_FOR_S", 0.5)
    try:
        await execute(url, "ALTER SYSTEM SET synchronous_standby_names = 'away'")
        await execute(url, "SELECT pg_reload_conf()")
        await until(partial(commit_waits, url))
        found = await look(where, url)
    finally:
        await execute(url, "ALTER SYSTEM RESET synchronous_standby_names")
        await execute(url, "SELECT pg_reload_conf()")
    assert (found["commit"].state, found["servers"].state) == ("fail", "warn")
    assert "synchronous_standby_names" in found["commit"].advice


async def test_no_server_anywhere_is_reported(where: InstallPaths, url: str) -> None:
    found = await look(where, url)
    assert found["servers"].state == "warn"
    assert found["key file"].state == "ok"
    assert not where.key_file.exists()


async def test_another_key_file_is_a_failure(where: InstallPaths, url: str) -> None:
    await (await open_store(url, where.home)).close()
    where.key_file.unlink()
    load_keys(where.key_file, database_is_new=True)
    assert (await look(where, url))["key file"].state == "fail"


async def test_leases_that_ran_out_are_reported(where: InstallPaths, url: str) -> None:
    store = await open_store(url, where.home)
    await make_hook(store)
    await emit(store, 5)
    await store.claim(HookId(1), 3)
    await execute(url, "UPDATE delivery SET lease_until = 1 WHERE status = 'sending'")
    check = (await look(where, url))["leases"]
    await store.close()
    assert (check.state, check.value) == ("warn", "3 held, 3 expired")


# Red when the empty schema that search_path names is said to be migrated by the next start.
async def test_a_search_path_to_a_schema_without_the_tables_is_a_failure(
    where: InstallPaths, url: str
) -> None:
    await execute(
        url,
        """CREATE SCHEMA second; DO $$ BEGIN EXECUTE
        format('ALTER DATABASE %I SET search_path = second', current_database()); END $$""",
    )
    check = (await look(where, url))["schema"]
    assert (check.state, "in the schema public" in check.value) == ("fail", True)


async def test_a_newer_schema_is_a_failure(where: InstallPaths, url: str) -> None:
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    assert (await look(where, url))["schema"].state == "fail"


async def test_a_database_that_is_away_is_a_line(where: InstallPaths) -> None:
    found = await look(where, "postgresql://127.0.0.1:1/x")
    assert found["database"].state == "fail"
    assert "cannot reach" in found["database"].value


# Red when doctor has one connection at a time: it found no problem.
async def test_a_pooler_in_transaction_mode_is_a_failure(
    where: InstallPaths, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with transaction_pooler(url, monkeypatch):
        found = await look(where, url)
    assert found["database"].state == "fail"
    assert "pooler in transaction mode" in found["database"].value
