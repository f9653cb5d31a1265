"""The schema: its history leads to what the tables say, and its indexes are what claims need."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from hooktui.store import migrations, queries
from hooktui.store.queries import AuditQuery
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite import sql as queue_sql
from hooktui.store.tx import Tx
from tests.store.conftest import run_python
from tests.support.earlier_schemas import as_0005
from tests.support.stores import ADA, open_in


def test_the_head_in_the_code_is_the_head_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrations.HEAD]
    oldest_first = [step.revision for step in scripts.walk_revisions()][::-1]
    assert oldest_first == list(migrations.REVISIONS)


async def test_a_migrated_database_is_what_the_tables_say(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'hooktui.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


async def test_partial_indexes_are_the_same_in_history_and_tables(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    fresh = create_engine("sqlite://")
    SQLModel.metadata.create_all(fresh)

    def indexes(raw: sqlite3.Connection) -> dict[str, str]:
        rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''")
        return {name: " ".join(sql.split()) for name, sql in rows}

    migrated = sqlite3.connect(tmp_path / "hooktui.db")
    with fresh.connect() as connection:
        assert indexes(migrated) == indexes(connection.connection.dbapi_connection)
    migrated.close()
    fresh.dispose()


# Red when a step that is missing is not run, or fails on what was written before it.
async def test_a_trail_that_was_written_before_gets_its_index(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    for target in ("hook 1", "x" * 4000):
        await store.write(Tx.audit, ADA, "backup", target)
    await store.write(as_0005)
    await store.close()
    raw = sqlite3.connect(tmp_path / "hooktui.db")
    raw.execute("DROP INDEX audit_by_target")
    raw.execute("UPDATE alembic_version SET version_num = '0003'")
    raw.commit()
    store = await open_in(tmp_path)
    page = await store.read(queries.list_audit, None, PageRequest(), AuditQuery(target="hook 1"))
    await store.close()
    assert len(page.data) == 1
    found = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'audit_by_target'").fetchall()
    assert "WHERE length(target) <= 200" in found[0][0]
    raw.close()


async def test_hot_statements_walk_their_indexes_and_scan_nothing(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    raw = sqlite3.connect(tmp_path / "hooktui.db")

    def plan(statement: str) -> str:
        rows = raw.execute(f"EXPLAIN QUERY PLAN {statement}", [1] * statement.count("?"))
        return "\n".join(row[3] for row in rows)

    for statement, index in (
        (queue_sql.FIND_FIRST_TRIES, "delivery_due_first"),
        (queue_sql.FIND_RETRIES, "delivery_due_again"),
        (queue_sql.NEXT_FIRST_TRY, "delivery_due_first"),
        (queue_sql.NEXT_RETRY, "delivery_due_again"),
        (queue_sql.FIND_FIRST_IN_LINE, "delivery_open"),
        (queue_sql.FIRST_IN_LINE_DUE, "delivery_open"),
        (queue_sql.FIND_LEASED, "delivery_leased"),
        (queue_sql.FORGET_KEYS, "idempotency_key_by_age"),
    ):
        steps = plan(statement)
        assert index in steps
        assert "SCAN" not in steps
    for statement in (
        queue_sql.FIND_FIRST_TRIES,
        queue_sql.FIND_RETRIES,
        queue_sql.FIND_FIRST_IN_LINE,
    ):
        assert "TEMP B-TREE" not in plan(statement)
    assert "PRIMARY KEY" in plan(queue_sql.FINISH)
    raw.close()


async def test_a_start_at_the_head_imports_no_alembic(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    code, _ = await run_python(
        "import asyncio, pathlib, sys\n"
        "from hooktui.store.sqlite.store import SqliteStore\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "async def main():\n"
        "    store = await SqliteStore.open(home / 'hooktui.db', key_file=home / 'hooktui.key')\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
        "sys.exit('alembic' in sys.modules)",
        tmp_path,
    )
    assert code == 0
