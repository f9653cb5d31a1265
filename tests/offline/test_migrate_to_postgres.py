"""Moves to PostgreSQL: every row arrives, once; whatever is killed, nobody starts on a half."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest

from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Conflict, HooktuiError, Refused
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.ids import HookId, decode
from hooktui.domain.paths import InstallPaths, paths_of
from hooktui.domain.replays import check_selection
from hooktui.domain.wire.replays import ReplaySelection
from hooktui.failpoints import UPKEEP_POINTS
from hooktui.offline import migrate_to_postgres as migration
from hooktui.offline.installation import this_user
from hooktui.offline.migrate_to_postgres import Move, carry_over, move_store
from hooktui.store import changes, queries
from hooktui.store.audit import check_chain
from hooktui.store.migrate_to_postgres import NotTheSame, all_tables
from hooktui.store.postgres import pools
from hooktui.store.postgres.connections import parse_database_url
from hooktui.store.queries import AlertQuery
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite.moved_marker import Moved, mark_of, read_mark, write_mark
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.vault import load_keys
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, database, open_store
from tests.support.stores import (
    ADA,
    DEFAULT,
    always,
    damage,
    emit,
    make_hook,
    offer,
    open_in,
    result_of,
)

_ROOT = Path(__file__).parents[2]
DEAD_LETTERS = AlertQuery(key="delivery.gave_up:1:http_404")
_POINTS = [point for point in UPKEEP_POINTS if "mov" in point]


@pytest.fixture
async def url(postgres: PostgresServer) -> AsyncIterator[str]:
    async with database(postgres) as one:
        yield one


@pytest.fixture
async def where(tmp_path: Path) -> InstallPaths:
    """A home with something in every table."""
    store = await open_in(tmp_path)
    await make_hook(store)
    gone = await make_hook(store, name="gone ü \x7f")
    auth = {"headers": {"X-Token": "sensitive"}, "sensitive_headers": ("X-Token",)}
    await store.write(changes.create_hook, ADA, DEFAULT, _settings(**auth), "s" * 20)
    await store.accept([offer(b'{"n": 1}', key="Ключ"), offer(b"{}", key="b"), offer(b"{}")])
    _, claims = await store.accept(
        [offer(b'"' + bytes([i + 32]) + b'"') for i in range(40)], always
    )
    clock = Clock()
    clock.ms = now_ms()
    results = [
        result_of(claim, clock, 200 if n % 3 else 500) for n, claim in enumerate(claims[:60])
    ]
    assert all(await store.record(results))
    dead = await store.claim(HookId(1), 1)
    await store.record([result_of(claim, clock, 404, schedule_s=()) for claim in dead])
    (alert,) = (await store.read(queries.list_alerts, DEFAULT, PageRequest(), DEAD_LETTERS)).data
    await store.write(changes.acknowledge_alert, ADA, None, decode("alr", alert.id))
    selection = check_selection(ReplaySelection(hooks=(1,)), clock.ms)
    await store.write(changes.create_replay, ADA, DEFAULT, selection, 50, None)
    await store.write(changes.take_replays, store.token, "0")
    await store.write(changes.delete_hook, ADA, None, HookId(gone.id))
    await store.write(changes.create_token, ADA, "a token", ADA.role, None, None)
    await store.claim(HookId(1), 5)
    await store.close()
    with closing(sqlite3.connect(tmp_path / "hooktui.db", isolation_level=None)) as raw:
        raw.execute("UPDATE attempt SET error_detail = 'a' || char(0) || 'b' WHERE number = 1")
        raw.execute("INSERT INTO hook_stats SELECT hook_id, bucket - 300000, delivered, failed, t0,"
                    " t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15"
                    " FROM hook_stats WHERE hook_id = 1 LIMIT 1")  # fmt: skip
    return paths_of({"HOOKTUI_HOME": str(tmp_path)})


def _settings(**changed: object) -> HookSettings:
    return HookSettings(url="http://127.0.0.2:9/in", events=("job",), name="x", **changed)


async def move(where: InstallPaths, url: str) -> Move:
    return await carry_over(where, parse_database_url(url), lambda _: None, this_user())


def rows_here(where: InstallPaths) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(where.database)) as raw:
        return {
            table.name: sorted(
                (
                    tuple(v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in row)
                    for row in raw.execute(f'SELECT * FROM "{table.name}"')
                ),
                key=repr,
            )
            for table in all_tables()
        }


async def rows_there(url: str) -> dict[str, list[tuple[Any, ...]]]:
    conn = await asyncpg.connect(url)
    try:
        found = {}
        for table in all_tables():
            names = ", ".join(f'"{column.name}"' for column in table.columns)
            rows = await conn.fetch(f'SELECT {names} FROM "{table.name}"')
            plain = (tuple(int(v) if isinstance(v, bool) else v for v in row) for row in rows)
            found[table.name] = sorted(plain, key=repr)
        return found
    finally:
        await conn.close()


async def execute(url: str, *statements: str) -> None:
    conn = await asyncpg.connect(url)
    for statement in statements:
        await conn.execute(statement)
    await conn.close()


def without_the_move(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Leave out the move's own entry, and that it is the last one; the key must be the same."""
    audit = [row for row in rows["audit"] if "move" not in row]
    return rows | {
        "audit": audit,
        "audit_chain": [(one, key) for one, _, _, key in rows["audit_chain"]],
    }


async def test_every_row_of_every_table_arrives_as_it_was(where: InstallPaths, url: str) -> None:
    with closing(sqlite3.connect(where.database, isolation_level=None)) as raw:
        raw.execute("INSERT INTO pause VALUES (1, 1800000000000, 'ada')")
        raw.execute("INSERT INTO cause_backfill VALUES (1, 0, 7)")
    moved = await move(where, url)
    here = rows_here(where)
    assert all(here.values()), "a table of the test is empty"
    there = await rows_there(url)
    assert without_the_move(there) == without_the_move(here)
    assert len(there["audit"]) == len(here["audit"]) + 1
    assert {one.table: one.rows for one in moved.copied} == {n: len(r) for n, r in here.items()}
    assert not [row for row in here["delivery"] if "sending" in row], "leases were given back"


async def test_a_server_goes_on_there_with_ids_that_were_never_given(where, url) -> None:
    await move(where, url)
    store = await open_store(url, where.home)
    try:
        assert set(store.hooks()) == {1, 3}
        made = await make_hook(store)
        assert made.id == 4
        claims = await store.claim(HookId(1), 100)
        assert claims
        secrets = await store.signing_secrets(HookId(3), [secret_of(store, 3)])
        assert [one.value for one in secrets] == ["s" * 20]
        assert len(await emit(store, 3)) == 3
        again = await store.accept([offer(b'{"n": 1}', key="Ключ")])
        assert again[0][0].duplicate
        feed = await store.feed(None, 500)
        assert feed.items
        (alert,) = (await store.read(queries.list_alerts, 1, PageRequest(), DEAD_LETTERS)).data
        assert alert.state == "acknowledged"
        (group,) = (
            await store.read(
                queries.list_undelivered, 1, PageRequest(),
                queries.UndeliveredQuery(cause="http_404"), now_ms=now_ms(),
            )
        ).data  # fmt: skip
        assert (group.alert, group.state) == (alert.id, "acknowledged")
        await store.write(changes.take_replays, store.token, "0")
        (replay,) = await store.read(queries.replays_of, store.token)
        assert list(replay.cursors) == [1]
        assert (await store.read(check_chain, store.vault)).broken is None, (
            "the audit trail goes on"
        )
    finally:
        await store.close()


def secret_of(store: Any, hook: int) -> int:
    return store.hooks()[HookId(hook)].secrets[0].id


async def test_no_server_starts_on_what_was_moved_until_the_mark_is_removed(where, url) -> None:
    await move(where, url)
    with pytest.raises(Moved, match=r"HOOKTUI_DATABASE_URL.*remove"):
        await open_in(where.home)
    mark_of(where.database).unlink()
    await (await open_in(where.home)).close()


async def test_a_move_that_is_run_again_finds_that_it_is_done(
    where: InstallPaths, url: str
) -> None:
    await move(where, url)
    there = await rows_there(url)
    assert (await move(where, url)).copied == ()
    assert await rows_there(url) == there


async def test_a_database_that_is_not_empty_is_left_alone(where: InstallPaths, url: str) -> None:
    await execute(
        url, "INSERT INTO token (name, role, created_at, sha256) VALUES ('x', 'a', 1, '')"
    )
    before = await rows_there(url)
    with pytest.raises(Conflict, match="not empty: its table token"):
        await move(where, url)
    assert await rows_there(url) | {"audit_chain": []} == before  # the key of an empty trail
    await (await open_in(where.home)).close()


# Red when the rows that a start makes are deleted first: the hooks refer to the account.
async def test_the_data_of_an_installation_there_is_named(where: InstallPaths, url: str) -> None:
    await move(where, url)
    before = await rows_there(url)
    mark_of(where.database).unlink()
    with pytest.raises(Conflict, match="not empty: its table"):
        await move(where, url)
    assert await rows_there(url) == before
    await (await open_in(where.home)).close()


async def test_another_account_there_is_not_swept_away(where: InstallPaths, url: str) -> None:
    await execute(url, "INSERT INTO account (name, created_at) VALUES ('theirs', 1)")
    with pytest.raises(Conflict, match="table account"):
        await move(where, url)
    assert len((await rows_there(url))["account"]) == 2


# Red when the error of SQLite is passed on: it was an internal error.
async def test_a_damaged_source_is_named(where: InstallPaths, url: str) -> None:
    damage(where.database, "audit")
    with pytest.raises(HooktuiError, match="is damaged"):
        await move(where, url)
    assert read_mark(where.database) is None


# Red when both read the audit trail before one of them locks all tables: that is a deadlock.
async def test_the_second_of_two_moves_to_one_database_waits(where, url, tmp_path) -> None:
    other = tmp_path / "other"
    make_home(other, where)
    await (await open_in(other)).close()
    moves = [move(where, url), move(paths_of({"HOOKTUI_HOME": str(other)}), url)]
    done = await asyncio.gather(*moves, return_exceptions=True)
    (refused,) = [result for result in done if isinstance(result, BaseException)]
    assert isinstance(refused, Conflict)
    assert "not empty: its table" in str(refused)


async def test_a_server_that_works_there_is_seen(where: InstallPaths, url: str, tmp_path) -> None:
    other = tmp_path / "other"
    make_home(other, where)
    store = await open_store(url, other)
    with pytest.raises(Conflict, match=r"already uses "):
        await move(where, url)
    await store.close()
    await move(where, url)


def make_home(other: Path, where: InstallPaths) -> None:
    other.mkdir()
    (other / "hooktui.key").touch(0o600)
    (other / "hooktui.key").write_bytes(where.key_file.read_bytes())


async def test_a_server_here_is_not_robbed(where: InstallPaths, url: str) -> None:
    store = await open_in(where.home)
    with pytest.raises(Conflict, match="hooktui stop"):
        await move(where, url)
    await store.close()
    assert read_mark(where.database) is None


def home_of_others(other: Path) -> None:
    other.mkdir()
    load_keys(other / "hooktui.key", database_is_new=True)


# Red when the advice is that of a server: with the other key file in the place of its own, the
# secrets of this home could not be decrypted any more.
async def test_a_database_of_other_keys_is_refused(where, url, tmp_path) -> None:
    home_of_others(tmp_path / "other")
    await (await open_store(url, tmp_path / "other")).close()
    with pytest.raises(Conflict, match="with other keys"):
        await move(where, url)
    assert read_mark(where.database) is None


async def test_a_copy_that_differs_is_not_kept(where: InstallPaths, url: str) -> None:
    """Red without the comparison: the row that the trigger changed stands there."""
    await execute(
        url,
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.body := '\\x00'; RETURN NEW; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION spoil()",
    )
    with pytest.raises(NotTheSame, match="of event that are not"):
        await move(where, url)
    assert (await rows_there(url))["event"] == []
    await (await open_in(where.home)).close()


async def test_a_row_that_is_swallowed_is_missed(where: InstallPaths, url: str) -> None:
    await execute(
        url,
        "CREATE FUNCTION drop_one() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.number = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER drop_one BEFORE INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION drop_one()",
    )
    with pytest.raises(NotTheSame, match="rows of attempt"):
        await move(where, url)


@pytest.mark.parametrize("point", _POINTS)
async def test_a_move_that_is_killed_leaves_no_half_and_can_be_run_again(
    where: InstallPaths, url: str, point: str
) -> None:
    here = rows_here(where)
    await asyncio.to_thread(kill_a_move, where, url, point)
    with pytest.raises(Moved, match="run hooktui move again"):
        await open_in(where.home)
    there = await rows_there(url)
    if point == "after_move_commit":
        assert len(there["event"]) == len(here["event"])
    else:
        assert not there["event"]
        assert len(there["account"]) == 1

    moved = await move(where, url)

    assert bool(moved.copied) is (point != "after_move_commit")
    assert without_the_move(await rows_there(url)) == without_the_move(rows_here(where))
    mark = read_mark(where.database)
    assert mark is not None
    assert mark.done


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the connection fail that would copy; those that prepare the target work."""

    def no_pool(*_given: object) -> NoReturn:
        raise OSError("connection refused")

    def engine_without(open_connection: object, size: int, isolation: str) -> Any:
        return pools.engine(no_pool, size, isolation)

    monkeypatch.setattr(migration, "engine", engine_without)


# Red when any failure before the commit of this run removes the marker of an earlier one.
@pytest.mark.parametrize("point", ["after_move_commit", "before_move_commit", None])
async def test_a_move_that_fails_keeps_the_marker_of_an_earlier_run(
    where: InstallPaths, url: str, monkeypatch: pytest.MonkeyPatch, point: str | None
) -> None:
    if point is None:
        await move(where, url)
    else:
        await asyncio.to_thread(kill_a_move, where, url, point)
    before = read_mark(where.database)
    with monkeypatch.context() as patch:
        unreachable(patch)
        with pytest.raises(HooktuiError, match="connection refused"):
            await move(where, url)
    assert read_mark(where.database) == before
    with pytest.raises(Moved):
        await open_in(where.home)
    await move(where, url)


async def test_a_move_that_fails_removes_its_own_marker(
    where: InstallPaths, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable(monkeypatch)
    with pytest.raises(HooktuiError, match="connection refused"):
        await move(where, url)
    await (await open_in(where.home)).close()


@pytest.mark.parametrize("done", [False, True])
async def test_a_failed_copy_of_a_move_that_never_committed_removes_only_an_open_marker(
    where: InstallPaths, url: str, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    await asyncio.to_thread(kill_a_move, where, url, "before_move_commit")
    mark = read_mark(where.database)
    assert mark is not None
    write_mark(where.database, replace(mark, done=done))

    async def fails(*_given: object) -> NoReturn:
        raise NotTheSame("the rows differ")

    monkeypatch.setattr(migration, "move_rows", fails)
    with pytest.raises(NotTheSame):
        await move(where, url)
    assert (read_mark(where.database) is not None) is done


# Red when only the copy is awaited: the driver waits for a lost connection to take more rows.
async def test_a_connection_that_is_lost_while_rows_are_sent_ends_the_move(
    where: InstallPaths, url: str
) -> None:
    with closing(sqlite3.connect(where.database, isolation_level=None)) as raw:
        raw.execute("UPDATE event SET body = zeroblob(200000)")  # more than all buffers hold
    await execute(
        url,
        "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$",
        "CREATE TRIGGER rest BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION rest()",
    )
    moving = asyncio.create_task(move(where, url))
    conn = await asyncpg.connect(url)
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    while not await conn.fetch(ended):
        await conn.execute("SELECT pg_sleep(0.02)")
    await conn.close()
    assert (await asyncio.wait([moving], timeout=30))[0], "the move waits for ever"
    with pytest.raises(HooktuiError, match="was lost"):
        await moving
    assert (await rows_there(url))["event"] == []
    await (await open_in(where.home)).close()


def kill_a_move(where: InstallPaths, url: str, point: str) -> None:
    script = (
        "import sys\n"
        "from hooktui.offline.installation import this_user\n"
        "from hooktui.offline.migrate_to_postgres import move_store, parse_database_url\n"
        "from hooktui import failpoints\n"
        "environ = {'HOOKTUI_HOME': sys.argv[1], **failpoints.environment(sys.argv[3])}\n"
        "move_store(environ, parse_database_url(sys.argv[2]), lambda _: None, this_user())"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(where.home), url, f"{point}:kill"],
        cwd=_ROOT, capture_output=True, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr


async def test_another_target_than_the_one_that_was_begun_is_refused(where, url) -> None:
    await asyncio.to_thread(kill_a_move, where, url, "while_moving")
    with pytest.raises(Conflict, match="started before"):
        await move(where, "postgresql://127.0.0.1:1/other")


def test_an_empty_home_has_nothing_to_move(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nothing to move"):
        move_store(
            {"HOOKTUI_HOME": str(tmp_path)},
            parse_database_url("postgresql://127.0.0.1:1/x"),
            lambda _: None,
            this_user(),
        )


async def test_a_database_that_cannot_be_reached_changes_nothing(where: InstallPaths) -> None:
    with pytest.raises(HooktuiError, match="cannot reach"):
        await move(where, "postgresql://127.0.0.1:1/x")
    await (await SqliteStore.open(where.database, key_file=where.key_file)).close()
