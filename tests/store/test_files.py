"""The files of a home: modes, lock, key file, what is refused at the door."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import sqlite3
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hooktui.domain.errors import Conflict, HooktuiError, Refused, Unavailable
from hooktui.store import changes, queries
from hooktui.store.migrations import SchemaTooNew, versions
from hooktui.store.queries.pages import PageRequest
from hooktui.store.sqlite import disk_guard, files, sql
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.vault import Key, KeyProblem, Vault, load_keys
from tests.store.conftest import run_python
from tests.support.stores import ADA, DEFAULT, damage, emit, open_in, settings


def modes_in(home: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}


def content_of(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.iterdir())


async def test_every_file_is_for_the_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await open_in(tmp_path)
        await emit(store)
        names = {"hooktui.db", "hooktui.db-wal", "hooktui.db-shm", "hooktui.key", "hooktui.lock"}
        assert modes_in(tmp_path) == dict.fromkeys(names, 0o600)
        await store.close()
    finally:
        os.umask(before)


# Red when only the open descriptors count: what is written there ends with the process.
@pytest.mark.parametrize("name", ["hooktui.db", "hooktui.db-wal"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_accepted_into_a_file_that_lost_its_name(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, replaced: bool
) -> None:
    monkeypatch.setattr(disk_guard, "_MEASURED_FOR_S", 0)
    await emit(store)
    opened, moved = tmp_path / name, tmp_path / "moved"
    opened.rename(moved)
    if replaced:
        opened.write_bytes(moved.read_bytes())
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"{name} was moved, deleted or replaced"):
            await emit(store)
    with pytest.raises(Unavailable, match=f"{name} was moved, deleted or replaced"):
        await store.write(changes.create_account, ADA, "another")
    moved.rename(opened)
    await emit(store)
    await store.write(changes.create_account, ADA, "another")


async def test_a_second_opener_is_told_who_has_it(store: SqliteStore, tmp_path: Path) -> None:
    # Red when it names only `hooktui stop`, which needs the socket.
    with pytest.raises(Conflict, match=rf"pid {os.getpid()}\b.*or kill {os.getpid()}, if"):
        await open_in(tmp_path)
    await emit(store)  # the first one goes on


async def test_another_process_is_told_too(store: SqliteStore, tmp_path: Path) -> None:
    code, errors = await run_python(
        "import asyncio, pathlib, sys\n"
        "from tests.support.stores import open_in\n"
        "asyncio.run(open_in(pathlib.Path(sys.argv[1])))",
        tmp_path,
    )
    assert code == 1
    assert f"Conflict: another server (pid {os.getpid()})" in errors


# Red without `refuse_served`: both servers would send the same deliveries, and make checkpoints.
async def test_a_server_whose_lock_file_is_gone_is_found(
    store: SqliteStore, tmp_path: Path
) -> None:
    (tmp_path / "hooktui.lock").unlink()
    code, errors = await run_python(
        "import asyncio, pathlib, sys\n"
        "from tests.support.stores import open_in\n"
        "asyncio.run(open_in(pathlib.Path(sys.argv[1])))",
        tmp_path,
    )
    assert code == 1
    assert f"Conflict: another server (pid {os.getpid()})" in errors
    assert f"stop it first with: kill {os.getpid()}" in errors
    await emit(store)


async def test_a_shell_that_has_the_database_open_stops_no_start(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    shell = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "connection.execute('SELECT count(*) FROM hook').fetchall()\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()",
        str(tmp_path / "hooktui.db"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert shell.stdout is not None
    assert await shell.stdout.readline() == b"open\n"
    try:
        await (await open_in(tmp_path)).close()
    finally:
        await shell.communicate(b"")


async def test_the_lock_is_free_after_a_close_and_after_a_failed_start(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    (tmp_path / "hooktui.key").rename(tmp_path / "away")
    with pytest.raises(KeyProblem):
        await open_in(tmp_path)
    (tmp_path / "away").rename(tmp_path / "hooktui.key")
    await (await open_in(tmp_path)).close()


async def test_a_missing_key_stops_the_start_and_no_new_one_is_made(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    (tmp_path / "hooktui.key").unlink()
    with pytest.raises(KeyProblem, match="is missing"):
        await open_in(tmp_path)
    assert not (tmp_path / "hooktui.key").exists()


async def test_another_key_does_not_open_the_secrets(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    await store.write(changes.create_hook, ADA, DEFAULT, settings(), "s" * 20)
    await store.close()
    key_file = tmp_path / "hooktui.key"
    key_file.unlink()
    load_keys(key_file, database_is_new=True)
    with pytest.raises(KeyProblem, match="not in the key file"):
        await open_in(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "my hooktui.key"
    load_keys(path, database_is_new=True)
    path.chmod(mode)
    with pytest.raises(KeyProblem, match=f"mode {mode:o}.*chmod 600 '{path}'"):
        load_keys(path, database_is_new=False)


def test_a_key_file_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Red without O_NOFOLLOW: whoever may write the folder would choose the key."""
    load_keys(tmp_path / "elsewhere", database_is_new=True)
    path = tmp_path / "hooktui.key"
    path.symlink_to("elsewhere")
    with pytest.raises(KeyProblem, match="cannot read the key file"):
        load_keys(path, database_is_new=False)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_no_key_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Red without the check: a pipe is waited for, and a folder fails at the first read."""
    make(tmp_path / "hooktui.key")
    with pytest.raises(KeyProblem, match="it is not a file"):
        load_keys(tmp_path / "hooktui.key", database_is_new=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hooktui.key"
    load_keys(path, database_is_new=True)
    os.chown(path, 65534, 65534)
    with pytest.raises(KeyProblem, match="belongs to another user"):
        load_keys(path, database_is_new=False)


@pytest.mark.parametrize("content", ["", "# only a comment\n", "abcd", "0a0b0c0d AAAA", "x y z"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "hooktui.key"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(KeyProblem):
        load_keys(path, database_is_new=True)


def test_a_key_file_is_made_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hooktui.key"
    (made,) = load_keys(path, database_is_new=True)
    assert load_keys(path, database_is_new=True) == [made]
    assert [one.name for one in tmp_path.iterdir()] == ["hooktui.key"]
    assert repr(made.value) not in repr(made)


def test_the_first_key_seals_and_all_of_them_open() -> None:
    old, new = Key(b"old.", bytes(32)), Key(b"new.", bytes([1]) * 32)
    sealed = Vault([old]).encrypt("text", "secret", 1)
    both = Vault([new, old])
    assert both.decrypt(sealed, "secret", 1) == "text"
    assert both.encrypt("text", "secret", 1).startswith(b"new.")


# Red when the associated data changes: all stored values would be lost.
def test_sealed_values_keep_their_format() -> None:
    vault, cipher, nonce = Vault([Key(b"key.", bytes(32))]), AESGCM(bytes(32)), bytes(12)
    for bound, data in (("", b"hooktui|hook|sealed|2"), ("url", b"hooktui|hook|sealed|2|url")):
        stored = b"key." + nonce + cipher.encrypt(nonce, b"text", data)
        assert vault.decrypt(stored, "hook", 2, bound) == "text"


def test_a_sealed_value_opens_in_its_own_place_only() -> None:
    vault = Vault([Key(b"key.", bytes(32))])
    sealed = vault.encrypt("text", "secret", 1)
    assert b"text" not in sealed
    assert vault.encrypt("text", "secret", 1) != sealed
    for place in (("secret", 2), ("hook", 1), ("secret", 1, "another hook")):
        with pytest.raises(KeyProblem, match="changed or moved"):
            vault.decrypt(sealed, *place)
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    other_column = b"key." + nonce + cipher.encrypt(nonce, b"text", b"hooktui|secret|other|1")
    with pytest.raises(KeyProblem, match="changed or moved"):
        vault.decrypt(other_column, "secret", 1)
    with pytest.raises(KeyProblem):
        vault.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]), "secret", 1)


async def test_no_secret_is_in_any_file_of_the_home(tmp_path: Path) -> None:
    store = await open_in(tmp_path)
    hidden = settings(headers={"X-Token": "clear-header"}, sensitive_headers=("X-Token",))
    await store.write(changes.create_hook, ADA, DEFAULT, hidden, "clear-secret-1234")
    everything = content_of(tmp_path)
    await store.close()
    everything += content_of(tmp_path)
    assert b"127.0.0.2" in everything
    assert b"clear-" not in everything


async def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    raw = sqlite3.connect(tmp_path / "hooktui.db")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    with pytest.raises(SchemaTooNew, match=r"9999.*upgrade hooktui"):
        await open_in(tmp_path)


async def test_a_file_that_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    load_keys(tmp_path / "hooktui.key", database_is_new=True)
    (tmp_path / "hooktui.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(HooktuiError, match="is damaged"):
        await open_in(tmp_path)


# Red when an error that comes by SQLAlchemy is passed on: it was an internal error with its SQL.
@pytest.mark.parametrize("table", ["feed", "hook", "delivery", "alembic_version"])
async def test_a_damaged_table_is_one_clear_error(tmp_path: Path, table: str) -> None:
    store = await open_in(tmp_path)
    await store.write(changes.create_hook, ADA, DEFAULT, settings(), "s" * 20)
    await emit(store)
    await store.close()
    file = tmp_path / "hooktui.db"
    damage(file, table)
    with pytest.raises(HooktuiError) as caught:
        await open_in(tmp_path)
    assert str(caught.value) == (
        f"the database {file} is damaged (database disk image is malformed): keep a copy of the"
        " files, and run: hooktui restore BACKUP"
    )


# Red when only the words of SQLite are shown: they do not say what to do.
async def test_damage_that_a_server_meets_is_named(tmp_path: Path) -> None:
    await (await open_in(tmp_path)).close()
    damage(tmp_path / "hooktui.db", "token")
    store = await open_in(tmp_path)
    words = r"is damaged \(.*malformed\).*: stop the server, and restore a backup"
    with pytest.raises(Unavailable, match=words):
        await store.read(queries.list_tokens, None, PageRequest())
    with pytest.raises(Unavailable, match=words):
        await store.write(changes.create_token, ADA, "x", ADA.role, None, None)
    await store.close()


def test_the_file_system_of_a_folder_is_that_of_its_longest_mount() -> None:
    mounts = (
        "/dev/a / ext4 rw 0 0\nsrv:/x /srv/ada nfs4 rw 0 0\n"
        "me@h:/ /mnt/my\\040disk fuse.sshfs rw 0 0\n"
    )
    assert files.file_system_of(Path("/srv/ada/x"), mounts) == "nfs4"
    assert files.file_system_of(Path("/srv/adam"), mounts) == "ext4"
    assert files.file_system_of(Path("/mnt/my disk/x"), mounts) == "fuse.sshfs"


async def test_an_old_sqlite_library_is_refused_before_anything_is_created(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 33, 0))
    with pytest.raises(Refused, match=r"needs 3\.34 or later: use another"):
        await open_in(tmp_path)
    assert modes_in(tmp_path) == {}


NEWER = {
    r"\bRETURNING\b|\bDROP COLUMN\b|\bMATERIALIZED\b": "3.35",
    r"\bSTRICT\b": "3.37",
    r"->|\bunixepoch\(": "3.38",
    r"\b(RIGHT|FULL)( OUTER)? JOIN\b|\bIS (NOT )?DISTINCT\b": "3.39",
    r"^(?!.*\bGROUP BY\b).*\bHAVING\b": "3.39",
    r"\b(concat|concat_ws|string_agg|octet_length)\(": "3.43",
}
"""What statements may contain, and the first SQLite that knows it."""


@pytest.mark.parametrize("pattern", NEWER, ids=NEWER.values())
def test_no_statement_needs_a_newer_sqlite_than_is_accepted(pattern: str) -> None:
    """Red when RHEL 9 fails at a statement, such as at each transaction after a clock was set."""
    statements = {name: text for name, text in vars(sql).items() if isinstance(text, str)}
    for file in Path(versions.__path__[0]).glob("*.py"):
        texts = (node for node in ast.walk(ast.parse(file.read_text())))
        constants = [node.value for node in texts if isinstance(node, ast.Constant)]
        statements |= {f"{file.name} {n}": c for n, c in enumerate(constants) if isinstance(c, str)}
    assert len(statements) > 100
    found = [name for name, text in statements.items() if re.search(pattern, text, re.S)]
    assert found == []


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "file_system_of", lambda *_: "cifs")
    with pytest.raises(Refused, match="network file system"):
        files.refuse_network_file_system(tmp_path)


async def test_a_home_with_odd_letters_works(tmp_path: Path) -> None:
    home = tmp_path / "a ?#% ü"
    home.mkdir()
    store = await open_in(home)
    await emit(store)
    assert (await store.feed(None, 10)).items
    await store.close()
