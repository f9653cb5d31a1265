"""Each case gets a database of its own on PostgreSQL, and none is left behind."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from hooktui.bench.databases import PostgresDatabases, connected, databases_of
from hooktui.domain.errors import HooktuiError, Refused
from tests.support.postgres import PostgresServer


def asked(url: str, statement: str) -> list[str]:
    async def ask() -> list[str]:
        async with connected(url) as connection:
            return [row[0] for row in await connection.fetch(statement)]

    return asyncio.run(ask())


def made_for_bench(server: PostgresServer) -> list[str]:
    found = asked(server.url(), "SELECT datname FROM pg_database WHERE datname LIKE '%bench%'")
    return sorted(found)


@pytest.mark.parametrize("by", ["url", "tcp_url"])
def test_a_database_lasts_as_long_as_the_block(postgres: PostgresServer, by: str):
    databases = PostgresDatabases(getattr(postgres, by)())
    assert databases.kind.startswith("PostgreSQL ")
    with databases.fresh() as one, databases.fresh() as other:
        assert one != other
        [name] = asked(one, "SELECT current_database()")
        assert name in made_for_bench(postgres)
    assert made_for_bench(postgres) == []


def test_what_a_killed_measurement_left_is_dropped_and_what_is_in_use_is_not(
    postgres: PostgresServer,
):
    with PostgresDatabases(postgres.url()).fresh() as url:
        [used] = asked(url, "SELECT current_database()")
        asked(postgres.url(), "CREATE DATABASE hooktui_bench_dead")
        assert len(made_for_bench(postgres)) == 2
        PostgresDatabases(postgres.url())
        assert made_for_bench(postgres) == [used]


def test_what_the_server_has_used_grows(postgres: PostgresServer):
    databases = PostgresDatabases(postgres.url())
    before = databases.cost([])
    with databases.fresh():
        after = databases.cost([])
    assert after.disk_bytes > before.disk_bytes
    assert before.database_s is not None
    assert after.database_s is not None
    assert after.database_s >= before.database_s


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://x", "x"])
def test_only_postgresql_is_named_by_a_url(url: str):
    with pytest.raises(Refused, match="postgresql://"):
        databases_of(url)


def test_a_server_that_is_not_there_is_reported_in_one_line():
    with pytest.raises(HooktuiError, match="--database"):
        databases_of("postgresql://nobody@127.0.0.1:9/x")


@pytest.mark.slow
def test_two_servers_share_one_postgresql_and_lose_nothing(postgres: PostgresServer):
    run = subprocess.run(
        [
            sys.executable, "-m", "hooktui", "bench", "--json", "--rounds", "1",
            "--events", "1000", "--case", "two-servers", "--database", postgres.url(),
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["database"].startswith("PostgreSQL ")
    late, both = report["cases"]
    assert (late["deliveries"], both["deliveries"]) == (100, 200)
    assert (both["lost"], both["duplicates"], both["against"]) == (0, 0, "late")
    assert both["disk_bytes"]["median"] > 0
    assert both["database_us"]["median"] > 0
    assert made_for_bench(postgres) == []
