"""The schema on PostgreSQL: as the tables say, made by one server, walked along its indexes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, select
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from hooktui.domain.errors import Conflict
from hooktui.store.migrations import HEAD, REVISIONS
from hooktui.store.postgres import connections as connecting
from hooktui.store.postgres import locks, sql
from hooktui.store.queries.audit import _about
from hooktui.store.tables import AUDIT
from tests.store.servers import Servers, connected
from tests.support.postgres import USER, PostgresServer, database, open_store
from tests.support.stores import emit
from tests.support.waiting import LIMIT_S


async def test_a_migrated_database_is_what_the_tables_say(servers: Servers) -> None:
    store = await servers.another()

    def differences(conn: Connection) -> list[object]:
        found = compare_metadata(MigrationContext.configure(conn), SQLModel.metadata)
        return [one for one in found if not _is_meant(one)]

    assert await store.read(differences) == []


def _is_meant(difference: tuple) -> bool:
    """Foreign keys that the hot path goes without, and what only PostgreSQL has."""
    what, thing = difference[0], difference[1]
    own = ("installation", "live_change")
    ends_with_id = ("delivery_due_first", "delivery_due_again")
    return (
        (what == "add_fk" and isinstance(thing, ForeignKeyConstraint))
        or (what in ("remove_table", "remove_index") and str(thing.name).startswith(own))
        or (what in ("remove_index", "add_index") and thing.name in ends_with_id)
    )


async def test_a_start_waits_for_another_that_makes_the_schema(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connecting.SETTINGS, "lock_timeout", "50")
    async with database(postgres, empty=True) as fresh, connected(fresh) as first:
        await first.execute(f"SELECT pg_advisory_lock({locks.MIGRATION})")
        opening = asyncio.create_task(open_store(fresh, tmp_path))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'"
        async with asyncio.timeout(LIMIT_S):
            while not await first.fetchval(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # longer than others would wait
        await first.execute(f"SELECT pg_advisory_unlock({locks.MIGRATION})")
        store = await opening
        assert (await emit(store))[0].deliveries == 0
        await store.close()


# Red when the schema is not compared: the server starts without any hook, and of two installations
# in one database only one applies retention.
@pytest.mark.parametrize("path", ["second", '"$user", public', "missing"])
async def test_no_tables_are_created_beside_those_of_another_schema(
    postgres: PostgresServer, tmp_path: Path, path: str
) -> None:
    async with database(postgres, empty=True) as fresh, connected(fresh) as admin:
        await (await open_store(fresh, tmp_path)).close()
        name = await admin.fetchval("SELECT current_database()")
        await admin.execute(f'CREATE SCHEMA second; CREATE SCHEMA "{USER}"')
        await admin.execute(f"ALTER DATABASE {name} SET search_path = {path}")
        version = "UPDATE public.alembic_version SET version_num = $1"
        await admin.execute(version, REVISIONS[-2])  # new tables would go where search_path begins
        with pytest.raises(Conflict, match="in the schema public of this database") as refused:
            await open_store(fresh, tmp_path)
        assert "None" not in refused.value.detail
        await admin.execute(version, HEAD)
        await admin.execute(f"ALTER DATABASE {name} SET search_path = public")
        await (await open_store(fresh, tmp_path)).close()


async def test_tables_of_other_programs_in_other_schemas_are_no_installation(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with database(postgres, empty=True) as fresh, connected(fresh) as admin:
        await admin.execute("CREATE TABLE account (id int); CREATE TABLE event (id int)")
        await admin.execute(f'CREATE SCHEMA "{USER}"')
        await (await open_store(fresh, tmp_path)).close()
        tables = f"SELECT count(*) FROM pg_tables WHERE schemaname = '{USER}'"
        assert await admin.fetchval(tables) > 6


# A young table has no statistics: the plans must not hang on them.
@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("CLAIM_FIRST_TRIES", {"delivery_due_first", "delivery_pkey", "event_pkey"}),
        ("CLAIM_RETRIES", {"delivery_due_again", "delivery_pkey", "event_pkey"}),
        ("FIND_DUE", {"delivery_due_first", "delivery_due_again"}),
        ("CLAIM_THESE", {"delivery_pkey", "event_pkey"}),
        ("FIND_FIRST_IN_LINE", {"delivery_open", "delivery_leased"}),
        # A failed attempt asks whether its event has a newer delivery at the same hook.
        ("RECORD", {"delivery_pkey", "delivery_by_event"}),
        ("RELEASE", {"delivery_pkey"}),
        ("FIND_LEASED", {"delivery_leased"}),
        ("FIND_SAME_ATTEMPTS", {"attempt_pkey"}),
        ("FIND_KEYS", {"idempotency_key_pkey"}),
        ("FORGET_KEYS", {"idempotency_key_by_age", "idempotency_key_pkey"}),
        ("DROP_DELIVERIES", {"delivery_by_event", "delivery_pkey", "attempt_pkey"}),
        ("LAST_IN_LINE", {"delivery_by_hook"}),
        ("INSTALLATION_STATE", {"feed_pkey"}),
    ],
)
async def test_hot_statements_walk_their_indexes(url: str, name: str, indexes: set[str]) -> None:
    statement: str = getattr(sql, name)
    values = {int(number) for number in re.findall(r"\$(\d+)", statement)}
    call = f"probe({', '.join('NULL' for _ in values)})" if values else "probe"
    async with connected(url, **connecting.HOT) as raw:
        await raw.execute(f"PREPARE probe AS {statement}")
        plan = "\n".join(row[0] for row in await raw.fetch(f"EXPLAIN EXECUTE {call}"))
    assert set(re.findall(r"(?:using|Index Scan on) (\w+)", plan)) == indexes, plan
    assert not re.search(r"Seq Scan on (?!installation)", plan), plan


# Red when the condition of the index is not asked for in its words: the planner cannot see it then.
async def test_what_was_done_to_one_thing_is_found_by_its_index(url: str) -> None:
    wanted = select(AUDIT.c.id).where(*_about("hook 12")).order_by(AUDIT.c.id.desc()).limit(101)
    dialect = postgresql.dialect()
    statement = str(wanted.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with connected(url, **connecting.HOT) as raw:
        plan = "\n".join(row[0] for row in await raw.fetch(f"EXPLAIN {statement}"))
    assert "audit_by_target" in plan, plan
    assert "Sort" not in plan, plan
