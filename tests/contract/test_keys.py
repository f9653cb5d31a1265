"""Sealed values and the rotation of their keys, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from hooktui.domain.errors import Conflict
from hooktui.domain.hook_settings import Credentials
from hooktui.domain.ids import HookId
from hooktui.store import changes, key_rotation, queries
from hooktui.store.key_ring import VARIABLE, find_keys, hold_variable
from hooktui.store.key_rotation import count_by_key, keys_in_use, rotate_keys
from hooktui.store.queries.audit import AuditQuery
from hooktui.store.queries.pages import PageRequest
from hooktui.store.vault import KeyProblem, Vault
from tests.support.stores import ADA, DEFAULT, SECRET, Opened, emit, make_hook

HIDDEN = {
    "headers": {"X-Token": "canary-header"},
    "sensitive_headers": ("X-Token",),
    "basic_auth": Credentials("ada", "canary-password"),
}


@pytest.fixture
def give_variable() -> Iterator[Callable[[str], None]]:
    """Set ``HOOKTUI_KEY`` as the start of a process does."""
    yield lambda keys: hold_variable({VARIABLE: keys})
    hold_variable({})


async def rotate(store, home: Path, *, keep_old: bool = False, within_s: float = 30):
    key_file = home / "hooktui.key"
    return await rotate_keys(store, key_file, ADA, keep_old=keep_old, within_s=within_s)


def ids(home: Path) -> list[str]:
    return [key.id.hex() for key in find_keys(home / "hooktui.key").keys]


async def opens(store, hook) -> bool:
    """Whether all of a hook's secrets are what they were, in the rows and in what is sent."""
    shown = await store.write(changes.reveal_secrets, ADA, DEFAULT, HookId(hook.id))
    live = store.hooks()[HookId(hook.id)]
    return (
        shown.secret == SECRET
        and [one.value for one in live.secrets] == [SECRET]
        and live.settings.headers == {"X-Token": "canary-header"}
        and live.settings.basic_auth == Credentials("ada", "canary-password")
    )


async def trail(store, action: str) -> list:
    return (
        await store.read(queries.list_audit, None, PageRequest(), AuditQuery(action=action))
    ).data


async def test_a_rotation_encrypts_everything_again_and_drops_the_old_key(
    opened: Opened, tmp_path: Path
) -> None:
    hook, store = await make_hook(opened.store, **HIDDEN), opened.store
    (old,) = ids(tmp_path)
    (listed,) = (await keys_in_use(store, tmp_path / "hooktui.key")).keys
    done = await rotate(store, tmp_path)
    (new,) = ids(tmp_path)
    assert new != old
    assert (done.key, done.made, done.left, done.dropped, done.kept) == (new, True, 0, (old,), ())
    assert done.sealed == listed.values
    assert set(await store.read(count_by_key)) == {bytes.fromhex(new)}
    assert (tmp_path / "hooktui.key").stat().st_mode & 0o777 == 0o600
    assert await opens(store, hook)
    another = await make_hook(store, **HIDDEN)
    store = await opened.again()
    assert await opens(store, hook)
    assert await opens(store, another)
    (begun,) = await trail(store, "keys.rotate")
    assert (begun.user, begun.after) == ("ada", {"seals": new})
    (gone,) = await trail(store, "keys.drop")
    assert gone.before == {"keys": [old]}


async def test_old_keys_stay_on_request_and_go_with_the_next_rotation(
    opened: Opened, tmp_path: Path
) -> None:
    await make_hook(opened.store)
    (first,) = ids(tmp_path)
    done = await rotate(opened.store, tmp_path, keep_old=True)
    assert (done.dropped, done.kept) == ((), (first,))
    assert ids(tmp_path) == [done.key, first]
    again = await rotate(opened.store, tmp_path)
    assert again.made
    assert set(again.dropped) == {done.key, first}
    assert ids(tmp_path) == [again.key]


async def test_a_rotation_that_was_cut_off_goes_on_without_another_key(
    opened: Opened, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(key_rotation, "_AT_ONCE", 2)
    hooks = [await make_hook(opened.store, **HIDDEN) for _ in range(5)]
    (listed,) = (await keys_in_use(opened.store, tmp_path / "hooktui.key")).keys
    begun = await rotate(opened.store, tmp_path, within_s=0)
    assert (begun.made, begun.left, begun.dropped) == (True, 10, ())
    assert begun.sealed + begun.left == listed.values
    known = await keys_in_use(opened.store, tmp_path / "hooktui.key")
    assert next((one.id, one.seals) for one in known.keys) == (begun.key, True)
    store = await opened.again()
    assert all([await opens(store, hook) for hook in hooks])
    ended = await rotate(store, tmp_path)
    assert (ended.key, ended.made, ended.sealed, ended.left) == (begun.key, False, 10, 0)
    assert ids(tmp_path) == [begun.key]
    assert all([await opens(store, hook) for hook in hooks])


async def test_events_and_changes_go_on_during_a_rotation(
    opened: Opened, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(key_rotation, "_AT_ONCE", 1)
    store = opened.store
    hooks = [await make_hook(store, **HIDDEN) for _ in range(8)]
    rotating = asyncio.create_task(rotate(store, tmp_path))
    made = []
    while not rotating.done():
        await emit(store)
        made.append(await make_hook(store, **HIDDEN))
    done = await rotating
    assert len(made) > 1
    assert set(await store.read(count_by_key)) == {bytes.fromhex(done.key)}
    assert all([await opens(store, hook) for hook in (*hooks, *made)])


async def test_a_value_that_was_put_into_another_row_does_not_open(
    opened: Opened, tmp_path: Path
) -> None:
    store = opened.store
    one, other = await make_hook(store, **HIDDEN), await make_hook(store, **HIDDEN)
    for table, row in (("secret", "hook_id"), ("hook", "id")):
        took = f"SELECT sealed FROM {table} WHERE {row} = {other.id}"
        await store.write(
            lambda tx, table=table, row=row, took=took: tx.conn.execute(
                text(f"UPDATE {table} SET sealed = ({took}) WHERE {row} = {one.id}")
            )
        )
        with pytest.raises(KeyProblem, match="changed or moved"):
            await rotate(store, tmp_path, within_s=30)
        await store.write(
            lambda tx, table=table, row=row: tx.conn.execute(
                text(f"UPDATE {table} SET sealed = NULL WHERE {row} = {one.id}")
            )
        )


async def test_every_column_of_sealed_bytes_is_one_that_a_rotation_knows(opened: Opened) -> None:
    if key_rotation.is_shared(await opened.store.read(lambda conn: conn)):
        names = "SELECT table_name FROM information_schema.columns WHERE column_name = 'sealed'"
        known = {"secret", "hook", "audit_chain", "installation"}
    else:
        names = (
            "SELECT m.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
            " WHERE c.name = 'sealed'"
        )
        known = {"audit_chain", *(table.name for table in key_rotation.SEALED)}
    found = await opened.store.read(lambda conn: conn.execute(text(names)).scalars().all())
    assert set(found) == known


async def test_a_key_that_is_not_here_is_named_before_anything_changes(
    opened: Opened, tmp_path: Path
) -> None:
    await make_hook(opened.store)
    (old,) = ids(tmp_path)
    key_file = tmp_path / "hooktui.key"
    kept = key_file.read_text()
    key_file.write_text(f"0a0b0c0d {'A' * 43}=\n")
    with pytest.raises(KeyProblem, match=f"encrypted with key {old}, which is not in the key file"):
        await rotate(opened.store, tmp_path)
    assert "0a0b0c0d" in key_file.read_text()
    key_file.write_text(kept)


async def test_keys_that_the_server_cannot_change_are_changed_by_an_operator(
    opened: Opened, tmp_path: Path, monkeypatch
) -> None:
    hook = await make_hook(opened.store, **HIDDEN)
    key_file = tmp_path / "hooktui.key"
    folder = tmp_path / "credentials"
    folder.mkdir()
    credential = folder / "hooktui.key"
    credential.write_text(key_file.read_text())
    key_file.rename(tmp_path / "away")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    store = await opened.again()
    assert await opens(store, hook)
    with pytest.raises(Conflict, match=r"systemd credential .* which the server cannot change"):
        await rotate(store, tmp_path)
    before = credential.read_text()
    credential.write_text(f"0a0b0c0d {'A' * 43}=\n{before}")
    store = await opened.again()
    done = await rotate(store, tmp_path)
    assert (done.key, done.made, done.left, done.dropped) == ("0a0b0c0d", False, 0, ())
    assert len(done.kept) == 1
    credential.write_text(f"0a0b0c0d {'A' * 43}=\n")
    store = await opened.again()
    assert await opens(store, hook)
    assert not key_file.exists()


def test_a_credential_goes_before_a_file_and_that_before_the_environment(
    tmp_path: Path, monkeypatch, give_variable
) -> None:
    folder, key_file = tmp_path / "credentials", tmp_path / "hooktui.key"
    folder.mkdir()
    give_variable(f"0a0b0c0d {'A' * 43}=")
    assert find_keys(key_file).kind == "environment"
    key_file.touch(0o600)
    key_file.write_text(f"0e0f0a0b {'A' * 43}=\n")
    assert find_keys(key_file).kind == "file"
    (folder / "hooktui.key").write_text(f"0c0d0e0f {'A' * 43}=\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    found = find_keys(key_file)
    assert (found.kind, [key.id.hex() for key in found.keys]) == ("credential", ["0c0d0e0f"])


async def test_keys_in_the_environment_work_and_are_warned_of(
    opened: Opened, tmp_path: Path, give_variable, caplog
) -> None:
    hook = await make_hook(opened.store, **HIDDEN)
    key_file = tmp_path / "hooktui.key"
    lines = [line for line in key_file.read_text().splitlines() if not line.startswith("#")]
    give_variable(",".join(lines))
    key_file.rename(tmp_path / "away")
    store = await opened.again()
    assert await opens(store, hook)
    assert "more programs can read" in caplog.text
    assert lines[0].split()[1] not in caplog.text
    assert not key_file.exists()


def test_a_vault_shows_no_key(tmp_path: Path) -> None:
    ring = find_keys(tmp_path / "hooktui.key", database_is_new=True)
    shown = f"{ring!r} {Vault(ring.keys)!r} {ring.keys!r}"
    assert repr(ring.keys[0].value)[2:-1] not in shown
