"""Encrypted values belong to their account, hook and URL; who changes rows gets an error."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, text

from hooktui.delivery.redaction import own_secrets
from hooktui.domain.hook_settings import Credentials
from hooktui.domain.ids import HookId
from hooktui.store import changes
from hooktui.store.key_rotation import rotate_keys
from hooktui.store.live_hooks import UnusableHook, load_live_hooks
from hooktui.store.sealed_values import SealedValue, sealed_values
from hooktui.store.tables import HOOK, SECRET
from hooktui.store.tx import Tx
from hooktui.store.vault import KeyProblem, ValueMoved
from tests.support.earlier_schemas import as_0004
from tests.support.stores import ADA, BOB, DEFAULT, Opened, emit, make_hook
from tests.support.stores import SECRET as SHOWN

HIDDEN = {
    "url": "https://example.com/in",
    "headers": {"X-Token": "canary-header"},
    "sensitive_headers": ("X-Token",),
    "basic_auth": Credentials("ada", "canary-password"),
}
TAMPERED = [
    "UPDATE hook SET url = 'https://example.org/in' WHERE id = {one}",
    "UPDATE hook SET url = 'http://example.com/in' WHERE id = {one}",
    "UPDATE hook SET url = 'https://example.com:444/in' WHERE id = {one}",
    "UPDATE hook SET url = 'no URL' WHERE id = {other}",
    "UPDATE hook SET account_id = 2 WHERE id = {one}",
    "UPDATE secret SET hook_id = {one} WHERE hook_id = {other}",
    "UPDATE hook SET sealed = (SELECT sealed FROM hook WHERE id = {other}) WHERE id = {one}",
    "UPDATE hook SET sealed = {garbled} WHERE id = {one}",
]


async def execute(store, statement: str) -> None:
    await store.write(lambda tx: tx.conn.execute(text(statement)) and None)


def canary_in(live) -> bool:
    return "canary" in repr((dict(live.settings.headers), live.settings.basic_auth.password))


@pytest.mark.parametrize("statement", [one for one in TAMPERED if "no URL" not in one])
async def test_a_hook_whose_rows_were_changed_sends_nothing(
    opened: Opened, statement: str, caplog
) -> None:
    # Red without account, hook or origin in the associated data.
    store = opened.store
    await store.write(changes.create_account, ADA, "second")
    one, other = [await make_hook(store, **HIDDEN) for _ in range(2)]
    third = await make_hook(store, **HIDDEN)
    postgres = await store.read(lambda conn: conn.dialect.name == "postgresql")
    zeros = "00" * 8  # one alone stands there already in one run of 256
    garbled = f"overlay(sealed placing '\\x{zeros}'::bytea from 30)" if postgres else (
        f"CAST(substr(sealed, 1, 29) || x'{zeros}' || substr(sealed, 38) AS BLOB)"
    )  # fmt: skip
    await execute(store, statement.format(one=one.id, other=other.id, garbled=garbled))
    store = await opened.again()
    live = store.hooks()
    if "UPDATE secret" not in statement:
        assert not canary_in(live[HookId(one.id)])
        with pytest.raises(ValueMoved):
            await store.write(changes.change_hook, ADA, None, HookId(one.id), lambda was: was)
    assert live[HookId(one.id)].refusal is not None
    assert f"hook {one.id} sends nothing" in caplog.text
    assert live[HookId(third.id)].refusal is None
    assert live[HookId(third.id)].settings.headers == {"X-Token": "canary-header"}
    await emit(store)  # the server works, and takes events in for all of them
    account = DEFAULT if "account_id" not in statement else 2
    await store.write(changes.delete_hook, ADA, account, HookId(one.id))


@pytest.mark.parametrize("change", ["url = 'ftp://x/'", "events = 'job'", "headers = '[]'"])
async def test_a_hook_with_settings_that_cannot_be_read_is_named(
    opened: Opened, change: str
) -> None:
    """Red for JSON, when only refused values are looked for: a start was an internal error."""
    hook = await make_hook(opened.store)
    await execute(opened.store, f"UPDATE hook SET {change} WHERE id = {hook.id}")
    load = partial(load_live_hooks, vault=opened.store.vault, now_ms=0)
    with pytest.raises(UnusableHook, match=f"the stored hook {hook.id}: "):
        await opened.store.read(load)


@pytest.mark.parametrize("cleared", ["sensitive_headers = '[]'", "headers = '{}'"])
async def test_a_header_value_whose_mark_was_cleared_stays_write_only(
    opened: Opened, cleared: str
) -> None:
    # Red with the marks of the column alone: the edit put the value into a readable column.
    headers = {"X-Own": "canary-header"}
    hook = await make_hook(opened.store, headers=headers, sensitive_headers=("X-Own",))
    await execute(opened.store, f"UPDATE hook SET {cleared}")
    store = await opened.again()
    live = store.hooks()[HookId(hook.id)]
    assert live.refusal is None
    hook_id, disable = HookId(hook.id), partial(replace, active=False)
    await store.write(changes.change_hook, BOB, DEFAULT, hook_id, disable)
    assert "canary" not in repr(await store.read(lambda conn: conn.execute(select(HOOK)).all()))
    assert own_secrets(live).may_occur(b"canary-header") is bool(live.settings.headers)


async def test_a_secret_of_another_account_cannot_be_read(opened: Opened) -> None:
    store = opened.store
    one, other = await make_hook(store), await make_hook(store)
    await execute(store, f"UPDATE secret SET hook_id = {one.id} WHERE hook_id = {other.id}")
    with pytest.raises(ValueMoved, match="was changed or moved"):
        await store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(one.id))
    await execute(store, f"DELETE FROM secret WHERE hook_id = {one.id}")


async def test_another_path_of_the_same_server_opens(opened: Opened) -> None:
    hook = await make_hook(opened.store, **HIDDEN)
    await execute(opened.store, "UPDATE hook SET url = 'https://EXAMPLE.com:443/other'")
    store = await opened.again()
    live = store.hooks()[HookId(hook.id)]
    assert live.refusal is None
    assert live.settings.basic_auth == HIDDEN["basic_auth"]


async def test_what_was_stored_before_is_bound_by_the_migration(
    opened: Opened, tmp_path: Path
) -> None:
    # Red when the migration leaves one of the two tables as it is, or a rotation unbinds it.
    hooks = [await make_hook(opened.store, **HIDDEN) for _ in range(3)]
    deleted = await make_hook(opened.store, **HIDDEN)
    await opened.store.write(changes.delete_hook, ADA, DEFAULT, HookId(deleted.id))
    await opened.store.write(changes.rotate_secret, ADA, DEFAULT, HookId(hooks[0].id), "s" * 20, 60)
    await opened.store.write(as_0004)
    store = await opened.again()
    for round_ in range(2):
        for hook in hooks:
            live = store.hooks()[HookId(hook.id)]
            assert live.refusal is None
            assert SHOWN in [one.value for one in live.secrets]
            assert live.settings.headers == {"X-Token": "canary-header"}
        for table, count in ((SECRET, 4), (HOOK, 3)):
            rows = await store.read(
                lambda conn, table=table: conn.execute(sealed_values(table)).all()
            )
            assert len(rows) == count
            for row in map(SealedValue._make, rows):
                with pytest.raises(KeyProblem):
                    store.vault.decrypt(row.sealed, table.name, row.id)
        if round_ == 0:
            key_file = tmp_path / "hooktui.key"
            await rotate_keys(store, key_file, ADA, keep_old=False, within_s=30)
            store = await opened.again()


async def test_a_value_that_did_not_open_before_does_not_stop_the_migration(
    opened: Opened, caplog
) -> None:
    one, other = await make_hook(opened.store, **HIDDEN), await make_hook(opened.store, **HIDDEN)
    took = f"(SELECT sealed FROM hook WHERE id = {other.id})"

    def moved_in_0004(tx: Tx) -> None:
        as_0004(tx)
        tx.conn.execute(text(f"UPDATE hook SET sealed = {took} WHERE id = {one.id}"))

    await opened.store.write(moved_in_0004)
    store = await opened.again()
    assert f"hook {one.id} cannot be decrypted" in caplog.text
    assert store.hooks()[HookId(one.id)].refusal is not None
    assert store.hooks()[HookId(other.id)].refusal is None
