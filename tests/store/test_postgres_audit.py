"""The audit trail on PostgreSQL: several servers at once make one chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hooktui.domain.ids import HookId
from hooktui.store import queries
from hooktui.store.postgres.store import PostgresStore
from hooktui.store.queries import AuditQuery
from hooktui.store.queries.pages import PageRequest
from hooktui.store.tx import Tx
from tests.support.clocks import Clock
from tests.support.postgres import PostgresServer, database, open_store
from tests.support.stores import ADA, BOB, emit, make_hook, result_of

EACH = 60


@pytest.fixture
async def two(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[list[PostgresStore]]:
    """Two servers on one database."""
    async with database(postgres) as url:
        one = await open_store(url, tmp_path)
        other = tmp_path / "other"
        other.mkdir()
        key = other / "hooktui.key"
        key.write_bytes((tmp_path / "hooktui.key").read_bytes())
        key.chmod(0o600)
        another = await open_store(url, other)
        yield [one, another]
        await one.close()
        await another.close()


# Red without LOCK_AUDIT before the entry of a hook that the server disables.
async def test_two_servers_that_write_at_once_make_one_chain(two: list[PostgresStore]) -> None:
    one, other = two
    hooks = [await make_hook(one) for _ in range(16)]
    await emit(one, 1)

    async def people(store: PostgresStore, name: str) -> None:
        for number in range(EACH):
            await store.write(Tx.audit, ADA, "backup", f"{name} {number}")

    async def refusals(store: PostgresStore, name: str) -> None:
        for number in range(EACH):
            await store.write(Tx.audit, BOB, "GET refused", f"{name} {number}", result="refused")

    async def gone(store: PostgresStore, some: list[HookId]) -> None:
        clock = Clock()
        for hook in some:
            for claim in await store.claim(hook, 1):
                clock.ms = store.clock()
                await store.record([result_of(claim, clock, 410)])

    ids = [HookId(hook.id) for hook in hooks]
    await asyncio.gather(
        people(one, "one"), people(other, "other"), refusals(one, "one"), refusals(other, "other"),
        gone(one, ids[::2]), gone(other, ids[1::2]),
    )  # fmt: skip
    for store in two:
        found = await store.read(queries.check_chain, store.vault)
        assert (found.entries, found.broken) == (len(hooks) + 4 * EACH + len(hooks), None)
    disabled = AuditQuery(user="hooktui", action="hook.change")
    page = await one.read(queries.list_audit, None, PageRequest(limit=100), disabled)
    assert {entry.target for entry in page.data} == {f"hook {hook}" for hook in ids}
