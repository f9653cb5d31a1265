"""Hooks that had the old default limit of attempts at once become auto."""

from __future__ import annotations

import logging

import pytest

from hooktui.domain.ids import AccountId, HookId
from hooktui.store import changes, queries
from hooktui.store.queries.pages import PageRequest
from tests.support.earlier_schemas import as_0007
from tests.support.stores import ADA, Opened, make_hook


async def migrated_entries(opened: Opened) -> list[tuple[int | None, str, object, object]]:
    found = queries.AuditQuery(action="hook.change")
    page = await opened.store.read(queries.list_audit, None, PageRequest(), found)
    return sorted((one.account, one.target, one.before, one.after) for one in page.data)


async def test_the_migration_is_in_the_audit_trail_and_the_log(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    # Red when hooks with another limit change, or the chain does not hold afterwards.
    other = AccountId((await opened.store.write(changes.create_account, ADA, "other")).id)
    first = [(await make_hook(opened.store, max_in_flight=10)).id for _ in range(2)]
    fixed = (await make_hook(opened.store, max_in_flight=11)).id
    deleted = await make_hook(opened.store, max_in_flight=10)
    await opened.store.write(changes.delete_hook, ADA, None, HookId(deleted.id))
    second = (await make_hook(opened.store, other, max_in_flight=10)).id
    await opened.store.write(as_0007)
    with caplog.at_level(logging.INFO, "hooktui.store.migrations"):
        await opened.again()
    live = [opened.store.hooks()[HookId(hook)] for hook in (*first, fixed, second)]
    assert [hook.settings.max_in_flight for hook in live] == [None, None, 11, None]
    before, after = {"max_in_flight": 10}, {"max_in_flight": None}
    assert await migrated_entries(opened) == [
        (1, "2 hooks", before, after),
        (other, "1 hook", before, after),
    ]
    assert "max_in_flight of 3 hooks was the old default of 10 and is auto now" in caplog.text
    found = await opened.store.read(queries.check_chain, opened.store.vault)
    assert found.broken is None


async def test_without_such_hooks_the_migration_leaves_no_entry(opened: Opened) -> None:
    await make_hook(opened.store, max_in_flight=11)
    await opened.store.write(as_0007)
    await opened.again()
    assert await migrated_entries(opened) == []
