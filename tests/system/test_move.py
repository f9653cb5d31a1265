"""``hooktui move`` as people run it, with a real server on either side of it."""

from __future__ import annotations

import asyncpg
import pytest

from tests.postgres import database
from tests.system.conftest import Installation


@pytest.fixture
async def url(postgres):
    async with database(postgres) as one:
        yield one


def move(home: Installation, to: str, *more: str):
    return home.run("move", "--to", to, *more)


async def test_a_move_carries_a_store_over_and_says_how_to_go_on(home: Installation, url) -> None:
    home.emit("job.failed")
    refused = move(home, url)
    assert refused.returncode == 1
    assert b"end it first with: hooktui stop" in refused.stderr
    home.stop()

    moved = move(home, url)

    assert moved.returncode == 0, moved.stderr
    assert b"event" in moved.stdout
    assert b"HOOKTUI_DATABASE_URL" in moved.stderr
    conn = await asyncpg.connect(url)
    assert await conn.fetchval("SELECT count(*) FROM event") == 1
    await conn.close()
    serve = home.run("serve")
    assert serve.returncode == 1
    assert b"was moved to postgresql://" in serve.stderr
    looked = home.run("doctor")
    assert looked.returncode == 1
    assert b"was moved to" in looked.stdout


def test_the_address_may_come_from_a_file_and_shows_no_password(home: Installation) -> None:
    home.stop()
    (home.home / "address").write_text("postgresql://ada:hidden@127.0.0.1:1/hooks\n")
    result = move(home, f"@{home.home / 'address'}", "--json")
    assert result.returncode == 1
    assert b"cannot reach postgresql://127.0.0.1:1/hooks" in result.stderr
    assert b"hidden" not in result.stderr + result.stdout


@pytest.mark.parametrize("address", ["sqlite:///x.db", "127.0.0.1", "postgresql://127.0.0.1"])
def test_an_address_of_something_else_is_a_usage_error(idle_home, address: str) -> None:
    result = move(idle_home, address)
    assert result.returncode == 2
    assert b"postgresql://" in result.stderr


def test_without_a_database_there_is_nothing_to_move(idle_home: Installation) -> None:
    result = move(idle_home, "postgresql://127.0.0.1:1/hooks")
    assert result.returncode == 6
    assert b"nothing to move" in result.stderr
