"""Restores: what is put back is whole, what was there is kept, and no kill loses either."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hooktui.domain.clock import now_ms
from hooktui.domain.errors import Conflict, DiskFull, HooktuiError, Refused
from hooktui.domain.ids import encode
from hooktui.failpoints import UPKEEP_POINTS
from hooktui.store import migrations
from hooktui.store.feed import Position
from hooktui.store.migrations import SchemaTooNew
from hooktui.store.sqlite import restore as restoring
from hooktui.store.sqlite.backup_source import open_backup
from hooktui.store.sqlite.files import free_bytes
from hooktui.store.sqlite.restore import Restored, finish_restore, restore
from hooktui.store.sqlite.store import SqliteStore
from hooktui.store.vault import KeyProblem, load_keys
from tests.support.backups import save_backup
from tests.support.disks import small_disk
from tests.support.stores import ADA, emit, make_hook, open_in

_ROOT = Path(__file__).parents[2]
_RESTORE_POINTS = [point for point in UPKEEP_POINTS if "restore" in point]


def put_back(home: Path, file: Path) -> Restored:
    with open_backup(file) as source:
        return restore(home / "hooktui.db", home / "hooktui.key", source, ADA, lambda _: None)


def events_in(database: Path) -> set[int]:
    with closing(sqlite3.connect(database)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {one for (one,) in raw.execute("SELECT id FROM event")}


def made(home: Path) -> Path:
    home.mkdir()
    return home


async def home_with_backup(home: Path) -> tuple[Path, set[int], set[int]]:
    """Make a home, a backup of it, and more events after that; return backup, its events, all."""
    store = await open_in(made(home))
    await make_hook(store)
    copied = {one.id for one in await emit(store, 50)}
    backup = home.parent / "copy.db"
    await save_backup(store, backup)
    everything = copied | {one.id for one in await emit(store, 30)}
    await store.close()
    return backup, copied, everything


def killed_home(home: Path) -> set[int]:
    """Leave a home as a killed server does: with rows that are only in the log."""
    script = (
        "import asyncio, os, pathlib, sys\n"
        "from tests.support.stores import emit\n"
        "from tests.support.stores import open_in\n"
        "async def main():\n"
        "    store = await open_in(pathlib.Path(sys.argv[1]))\n"
        "    print(*(one.id for one in await emit(store, 20)), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)], cwd=_ROOT, capture_output=True, timeout=60
    )
    assert done.returncode == -9
    assert (home / "hooktui.db-wal").stat().st_size > 0
    return {int(word) for word in done.stdout.split()}


# Red when only the database is looked at: the rows of whoever put a log beside it are taken over.
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("kind", ["fifo", "foreign", "link"])
def test_a_log_that_is_not_the_owners_file_is_refused(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    backup, log = tmp_path / "copy.db", tmp_path / f"copy.db{suffix}"
    backup.touch()
    if kind == "fifo":
        os.mkfifo(log)
        writer = os.open(log, os.O_RDWR)  # else opening it would wait for ever
    elif kind == "link":
        log.symlink_to(backup)
    elif os.geteuid() == 0:
        log.touch()
        os.chown(log, 1, 1)
    else:
        pytest.skip("only root gives files away")
    with pytest.raises((Refused, OSError), match=r"not a regular file of|symbolic"):
        put_back(tmp_path, backup)
    if kind == "fifo":
        os.close(writer)


async def test_a_backup_takes_the_place_of_the_database_which_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    backup, copied, everything = await home_with_backup(home)
    in_the_log = killed_home(home)

    done = put_back(home, backup)

    assert (done.events, done.deliveries, done.waiting, done.hooks) == (50, 50, 50, 1)
    assert done.kept is not None
    assert events_in(Path(done.kept)) == everything | in_the_log
    assert events_in(home / "hooktui.db") == copied
    assert (home / "hooktui.db").stat().st_mode & 0o777 == 0o600
    assert events_in(backup) == copied
    assert not [one.name for one in home.iterdir() if "restor" in one.name]
    store = await open_in(home)
    assert len(await emit(store, 5)) == 5
    await store.close()


async def test_the_restore_is_in_the_audit_trail_of_what_was_restored(tmp_path: Path) -> None:
    backup, _, _ = await home_with_backup(tmp_path / "home")
    put_back(tmp_path / "home", backup)
    with closing(sqlite3.connect(tmp_path / "home" / "hooktui.db")) as raw:
        last = raw.execute("SELECT user, action, target FROM audit ORDER BY id DESC").fetchone()
    assert last == ("ada", "restore", str(backup))


# Red when the feed of the backup is continued: what was restored looks like nothing new.
async def test_who_followed_the_feed_reads_everything_again_after_a_restore(tmp_path: Path) -> None:
    home = tmp_path / "home"
    backup, _, _ = await home_with_backup(home)
    for _ in range(2):  # the same backup again, too
        store = await open_in(home)
        await emit(store)
        of_backup, position = str(Position(1, 0)), store.feed_end()
        await store.close()
        put_back(home, backup)
        store = await open_in(home)
        assert (await store.feed(position, 100)).reset
        accepted = [encode("evt", one.id) for _ in range(5) for one in await emit(store)]
        for old in (of_backup, position):
            page = await store.feed(old, 100)
            assert (page.reset, page.items) == (True, ())
            assert page.next == store.feed_end()
        tail = await store.feed_tail(100)
        events = [item.object.id for item in tail.items if item.kind == "event"]
        assert events[-5:] == accepted
        assert not (await store.feed(tail.next, 100)).reset
        await store.close()


# Red when the time of the last change is lost: retention would trust a clock that was set forward.
async def test_a_restore_of_an_old_backup_is_a_gap_for_retention(tmp_path: Path) -> None:
    home = tmp_path / "home"
    backup, _, _ = await home_with_backup(home)
    put_back(home, backup)
    later = now_ms() + 400 * 24 * 3600 * 1000
    store = await SqliteStore.open(
        home / "hooktui.db", key_file=home / "hooktui.key", clock=lambda: later
    )
    assert not store.clock_is_trusted
    await store.close()


async def test_an_empty_home_with_the_key_is_enough(tmp_path: Path) -> None:
    backup, copied, _ = await home_with_backup(tmp_path / "home")
    other = tmp_path / "other"
    other.mkdir()
    (other / "hooktui.key").write_bytes((tmp_path / "home" / "hooktui.key").read_bytes())
    (other / "hooktui.key").chmod(0o600)
    assert put_back(other, backup).kept is None
    assert events_in(other / "hooktui.db") == copied


async def test_what_was_kept_can_be_restored_with_its_log(tmp_path: Path) -> None:
    home = tmp_path / "home"
    backup, _, everything = await home_with_backup(home)
    in_the_log = killed_home(home)
    first = put_back(home, backup)
    assert first.kept is not None
    put_back(home, Path(first.kept))
    assert events_in(home / "hooktui.db") == everything | in_the_log


async def test_no_server_may_work_on_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    backup, _, everything = await home_with_backup(home)
    store = await open_in(home)
    with pytest.raises(Conflict, match="hooktui stop"):
        put_back(home, backup)
    await store.close()
    assert events_in(home / "hooktui.db") == everything


async def test_a_database_that_a_shell_has_open_is_not_renamed_away(tmp_path: Path) -> None:
    """Red without the look: the shell's end would remove the log of the new database."""
    home = tmp_path / "home"
    backup, copied, everything = await home_with_backup(home)
    shell = shell_on(home / "hooktui.db")
    with pytest.raises(Conflict, match=f"process {shell.pid} has .* open"):
        put_back(home, backup)
    shell.communicate(b"\n", timeout=20)
    assert events_in(home / "hooktui.db") == everything
    put_back(home, backup)
    assert events_in(home / "hooktui.db") == copied


def shell_on(database: Path) -> subprocess.Popen[bytes]:
    script = (
        "import sqlite3, sys\n"
        "raw = sqlite3.connect(sys.argv[1])\n"
        "raw.execute('SELECT count(*) FROM event').fetchall()\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "raw.close()"
    )
    shell = subprocess.Popen(
        [sys.executable, "-c", script, str(database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert shell.stdout is not None
    assert shell.stdout.readline() == b"open\n"
    return shell


def spoil(backup: Path) -> None:
    with backup.open("r+b") as file:
        file.seek(backup.stat().st_size // 2)
        file.write(b"\xff" * 8192)


def cut(backup: Path) -> None:
    with backup.open("r+b") as file:
        file.truncate(backup.stat().st_size // 2)


def cut_within_a_page(backup: Path) -> None:
    """SQLite reads the missing bytes as zeros, and its check finds nothing."""
    with backup.open("r+b") as file:
        file.truncate(backup.stat().st_size - 1)


def no_database(backup: Path) -> None:
    backup.write_bytes(b"job 1 failed\n" * 1000)


def empty(backup: Path) -> None:
    backup.write_bytes(b"")


def of_others(backup: Path) -> None:
    backup.unlink()
    with closing(sqlite3.connect(backup)) as raw:
        raw.execute("CREATE TABLE account (id INTEGER PRIMARY KEY)")


def too_new(backup: Path) -> None:
    with closing(sqlite3.connect(backup, isolation_level=None)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")


def with_a_stale_index(backup: Path) -> None:
    """Leave a row out of an index, as a disk does that loses a write: only a full look finds it."""
    entry = "FROM sqlite_schema WHERE name = 'delivery_by_event'"
    kept: list[tuple[object, ...]] = []
    for statement in (
        f"DELETE {entry}",
        "UPDATE delivery SET event_id = (SELECT min(id) FROM event)",
        "INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)",
    ):
        with closing(sqlite3.connect(backup, isolation_level=None)) as raw:
            raw.execute("PRAGMA writable_schema = ON")
            kept = kept or raw.execute(f"SELECT * {entry}").fetchall()
            raw.execute(statement, kept[0] if "?" in statement else ())


def without_a_table(backup: Path) -> None:
    with closing(sqlite3.connect(backup, isolation_level=None)) as raw:
        raw.execute("DROP TABLE alert")


def with_other_settings(backup: Path) -> None:
    with closing(sqlite3.connect(backup, isolation_level=None)) as raw:
        raw.execute("UPDATE hook SET events = 'job'")


def orphaned(backup: Path) -> None:
    with closing(sqlite3.connect(backup, isolation_level=None)) as raw:
        raw.execute("DELETE FROM event WHERE id = (SELECT max(id) FROM event)")


@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (spoil, Refused, "use another backup"),
        (cut, Refused, "use another backup"),
        (cut_within_a_page, Refused, "not whole pages"),
        (no_database, Refused, "not a SQLite database"),
        (empty, Refused, "not a SQLite database"),
        (of_others, Refused, "not a database of hooktui"),
        (too_new, SchemaTooNew, "upgrade hooktui"),
        (with_a_stale_index, Refused, "use another backup"),
        (without_a_table, Refused, "it has no table alert"),
        (with_other_settings, Refused, "cannot use the stored hook 1"),
        (orphaned, Refused, "lacks its event"),
    ],
)
async def test_what_is_no_whole_backup_is_refused_and_changes_nothing(
    tmp_path: Path, harm, error, said
) -> None:
    home = tmp_path / "home"
    backup, _, _ = await home_with_backup(home)
    before = {one.name: one.read_bytes() for one in home.iterdir()}
    harm(backup)
    with pytest.raises(error, match=said):
        put_back(home, backup)
    assert {one.name: one.read_bytes() for one in home.iterdir()} | before == before


_NEXT_REVISION = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "9001", "{head}"

def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
"""


def a_later_version(folder: Path, monkeypatch, then: str = "pass") -> None:
    """Let this be a version that knows one more revision than the backup has."""
    shutil.copytree(Path(migrations.__file__).parent, folder / "migrations")
    script = _NEXT_REVISION.format(head=migrations.HEAD, then=then)
    (folder / "migrations" / "versions" / "9001_later.py").write_text(script)
    monkeypatch.setattr(migrations, "__file__", str(folder / "migrations" / "__init__.py"))
    monkeypatch.setattr(migrations, "REVISIONS", (*migrations.REVISIONS, "9001"))
    monkeypatch.setattr(migrations, "HEAD", "9001")


async def test_an_older_backup_is_brought_to_this_schema(tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    backup, copied, _ = await home_with_backup(home)
    head = migrations.HEAD
    a_later_version(tmp_path, monkeypatch)
    assert put_back(home, backup).migrated_from == head
    assert events_in(home / "hooktui.db") == copied
    for file, count in ((home / "hooktui.db", 1), (backup, 0)):
        with closing(sqlite3.connect(file)) as raw:
            named = "SELECT count(*) FROM sqlite_schema WHERE name = 'later'"
            assert raw.execute(named).fetchone() == (count,)


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    backup, _, everything = await home_with_backup(home)
    a_later_version(tmp_path, monkeypatch, then='op.drop_column("event", "no such column")')
    with pytest.raises(HooktuiError):
        put_back(home, backup)
    monkeypatch.undo()
    assert events_in(home / "hooktui.db") == everything


async def test_a_key_file_that_does_not_fit_is_found_before_anything_changes(tmp_path) -> None:
    home = tmp_path / "home"
    backup, _, everything = await home_with_backup(home)
    key = home / "hooktui.key"
    own = key.read_bytes()
    key.unlink()
    with pytest.raises(KeyProblem, match="is missing"):
        put_back(home, backup)
    load_keys(key, database_is_new=True)
    with pytest.raises(KeyProblem, match="not in the key file"):
        put_back(home, backup)
    key.write_bytes(own)
    assert events_in(home / "hooktui.db") == everything


async def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch) -> None:
    backup, _, everything = await home_with_backup(tmp_path / "home")
    monkeypatch.setattr(restoring, "free_bytes", lambda _: 1000)
    with pytest.raises(DiskFull, match="needs"):
        put_back(tmp_path / "home", backup)
    assert events_in(tmp_path / "home" / "hooktui.db") == everything


# Red when every error is taken for one of the backup: "use another backup" helps nobody.
@pytest.mark.parametrize("more_bytes", [-100_000, 0], ids=["copied", "changed"])
async def test_a_disk_that_fills_up_during_a_restore_is_named(
    tmp_path: Path, monkeypatch, more_bytes: int
) -> None:
    with small_disk(tmp_path / "disk", 200) as disk:
        home = disk / "home"
        saved, _, everything = await home_with_backup(home)
        left = saved.stat().st_size + more_bytes
        backup = Path(shutil.move(saved, tmp_path))
        monkeypatch.setattr(restoring, "free_bytes", lambda _: 1 << 40)
        with (disk / "other").open("wb") as other:
            os.posix_fallocate(other.fileno(), 0, free_bytes(disk) - left)
        with pytest.raises(DiskFull, match="no space left"):
            put_back(home, backup)
        (disk / "other").unlink()
        assert events_in(home / "hooktui.db") == everything


async def test_a_home_that_cannot_hold_the_copy_is_named(tmp_path: Path, monkeypatch) -> None:
    backup, *_ = await home_with_backup(tmp_path / "home")
    gone = tmp_path / "home" / "gone" / "draft"
    monkeypatch.setattr(restoring, "restore_draft", lambda _: gone)
    monkeypatch.setattr(restoring, "free_bytes", lambda _: 1 << 40)
    with pytest.raises(Refused, match=f"cannot write in {gone.parent}: No such file"):
        put_back(tmp_path / "home", backup)


async def test_the_database_itself_is_no_backup_of_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await home_with_backup(home)
    (tmp_path / "link").symlink_to(home / "hooktui.db")
    with pytest.raises(Refused, match="the database itself"):
        put_back(home, tmp_path / "link")


def kill_a_restore(home: Path, backup: Path, point: str) -> None:
    script = (
        "import pathlib, sys\n"
        "from hooktui import failpoints\n"
        "from tests.store.test_restore import put_back\n"
        "failpoints.arm(sys.argv[3])\n"
        "put_back(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(home), str(backup), f"{point}:kill"],
        cwd=_ROOT, capture_output=True, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr


@pytest.mark.parametrize("point", _RESTORE_POINTS)
@pytest.mark.parametrize("next_one", ["server", "restore"])
async def test_a_restore_that_is_killed_is_done_or_not_done(
    tmp_path: Path, point: str, next_one: str
) -> None:
    """Red when `finish_restore` is not called at a start: the home is empty, or has two halves."""
    home = tmp_path / "home"
    backup, copied, everything = await home_with_backup(home)
    everything |= killed_home(home)
    kill_a_restore(home, backup, point)

    if next_one == "server":
        store = await open_in(home)
        await store.close()
    else:
        put_back(home, backup)

    assert [one for one in home.iterdir() if "restoring" in one.name] == []
    undone = point == "before_restore_is_decided" and next_one == "server"
    assert events_in(home / "hooktui.db") == (everything if undone else copied)
    kept = [one for one in home.iterdir() if one.name.startswith("hooktui.db.before-")]
    mains = [one for one in kept if not one.name.endswith(("-wal", "-shm"))]
    if not undone:
        assert everything in [events_in(one) for one in mains]


async def test_two_old_databases_for_one_name_are_left_to_people(tmp_path: Path) -> None:
    home = tmp_path / "home"
    await home_with_backup(home)
    (home / "hooktui.db.restored-x").write_bytes(b"new")
    (home / "hooktui.db.before-x").write_bytes(b"precious")
    with pytest.raises(Conflict, match="move one of them"):
        finish_restore(home / "hooktui.db")
    assert (home / "hooktui.db.before-x").read_bytes() == b"precious"
