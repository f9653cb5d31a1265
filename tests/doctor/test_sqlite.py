"""Doctor's look at real files: what is broken is found, and looking changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from hooktui.doctor import machine
from hooktui.doctor.machine import StartTime
from hooktui.doctor.sqlite import check_database, check_installation
from hooktui.domain.ids import floor_at
from hooktui.domain.paths import InstallPaths, paths_of
from hooktui.domain.wire.diagnosis import Check
from hooktui.store.vault import load_keys
from tests.store.test_restore import killed_home, shell_on
from tests.support.disks import small_disk
from tests.support.file_limit import no_file_left
from tests.support.stores import damage, emit, make_hook, open_in

RESERVE = 1 << 20


@pytest.fixture
async def where(tmp_path: Path) -> InstallPaths:
    """A home without a server, with one hook and 2,000 deliveries that wait."""
    home = tmp_path / "a home"
    home.mkdir(mode=0o700)
    store = await open_in(home)
    await make_hook(store)
    await emit(store, 2000)
    await store.close()
    return paths_of({"HOOKTUI_HOME": str(home)})


def look(
    where: InstallPaths, started: StartTime | None = None, for_s: float = 60
) -> dict[str, Check]:
    found = check_installation(where, RESERVE, started, for_s)
    by_name = {check.name: check for check in found}
    assert len(by_name) == len(found)
    return by_name


OF_THE_MACHINE = {"fsync", "disk", "file system", "versions", "open files"}


def bad(found: dict[str, Check]) -> dict[str, str]:
    return {
        name: check.state
        for name, check in found.items()
        if check.state != "ok" and name not in OF_THE_MACHINE
    }


# Red with an open for reading alone: all checks are ok, and no server starts.
def test_a_database_that_cannot_be_written_is_found(where: InstallPaths, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100) as disk:
        database = Path(shutil.copy2(where.database, disk))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        checks = check_database(database, where.key_file, False, 60)
        (found,) = [check for check in checks if check.name == "database"]
    assert (found.state, found.value) == ("fail", f"{database} is read-only")


def test_a_good_home_has_only_what_waits_and_is_left_as_it_was(where: InstallPaths) -> None:
    before = {one.name: one.read_bytes() for one in where.home.iterdir()}
    found = look(where)
    assert bad(found) == {"waiting": "warn"}
    assert found["waiting"].value.startswith("2,000 waiting, the oldest due for")
    assert found["key file"].value == "decrypts the secrets of 1 hook"
    assert {one.name: one.read_bytes() for one in where.home.iterdir()} == before


async def test_a_home_in_use_is_looked_at_beside_its_writer(where: InstallPaths) -> None:
    store = await open_in(where.home)
    await store.claim(next(iter(store.hooks())), 7)
    found = look(where, StartTime())
    assert found["leases"].value == "7 held, 0 expired"
    assert found["waiting"].state == "ok"
    assert {"open files", "clock"} <= set(found)
    assert len(await emit(store, 5)) == 5
    await store.close()


def test_what_a_killed_server_left_is_reported(where: InstallPaths) -> None:
    killed_home(where.home)
    found = look(where)
    assert "applied at the next start" in found["wal"].value
    assert found["waiting"].value.startswith("2,020 wait")


def test_a_shell_that_has_the_database_open_is_named(where: InstallPaths) -> None:
    shell = shell_on(where.database)
    check = look(where)["opened"]
    shell.communicate(b"\n", timeout=20)
    assert f"process {shell.pid} " in check.value
    assert "opened" not in look(where)


# Red when a server that works on a deleted file is taken for one that has none yet.
def test_a_database_that_was_deleted_under_its_server_is_found(where: InstallPaths) -> None:
    where.database.unlink()
    found = check_database(where.database, where.key_file, working=True, look_for_s=60)
    assert [check.state for check in found if check.name == "database"] == ["fail"]


def test_damage_is_found(where: InstallPaths) -> None:
    with where.database.open("r+b") as file:
        file.seek(where.database.stat().st_size // 2)
        file.write(b"\xff" * 16384)
    found = look(where)
    assert "fail" in (found["database"].state, found.get("integrity", found["database"]).state)
    assert any("hooktui restore" in check.advice for check in found.values())


def test_what_is_no_database_is_a_line_and_no_traceback(where: InstallPaths) -> None:
    where.database.write_bytes(b"not a database" * 1000)
    assert look(where)["database"].state == "fail"


def test_a_look_that_takes_too_long_says_so(where: InstallPaths, monkeypatch) -> None:
    monkeypatch.setattr("hooktui.doctor.sqlite._STEPS_BETWEEN_LOOKS", 10)
    found = look(where, for_s=-1)
    assert found["integrity"].state == "warn"
    assert found["key file"].state == "ok"


def test_a_key_file_that_is_missing_or_another_is_a_failure(where: InstallPaths) -> None:
    where.key_file.unlink()
    assert "is missing" in look(where)["key file"].value
    load_keys(where.key_file, database_is_new=True)
    found = look(where)["key file"]
    assert (found.state, "not in the key file" in found.value) == ("fail", True)


def test_a_newer_schema_is_a_failure(where: InstallPaths) -> None:
    with closing(sqlite3.connect(where.database, isolation_level=None)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    assert look(where)["schema"].state == "fail"


@pytest.mark.parametrize(
    ("name", "mode", "state"),
    [
        ("hooktui.db", 0o640, "fail"),
        ("hooktui.key", 0o604, "fail"),
        (".", 0o755, "warn"),
        (".", 0o770, "warn"),
        (".", 0o750, "ok"),
    ],
)
def test_files_that_others_can_use_are_reported(where: InstallPaths, name, mode, state) -> None:
    file = where.home / name
    file.chmod(mode)
    check = look(where)["modes"]
    assert check.state == state
    if state != "ok":
        assert f"chmod {'750' if name == '.' else '600'} '{file}'" in check.advice


PASSWORD = 'database_url = "postgresql://hooktui:s3same@db/hooktui"\n'


@pytest.mark.parametrize(
    ("text", "mode", "state"),
    [
        (PASSWORD, 0o600, "ok"),
        (PASSWORD, 0o640, "fail"),
        (PASSWORD, 0o604, "fail"),
        (f"# {PASSWORD}", 0o644, "fail"),
        ('database_url = "postgresql://db/x?user=a&password=b"\n', 0o644, "fail"),
        ('database_url = "postgresql://hooktui@db/hooktui"\n', 0o644, "ok"),
        ("# HOOKTUI_TOKEN=hkt_1_abc\n", 0o644, "fail"),
        ('listen = "127.0.0.1:8700"\n[keys]\nping = "P"\n', 0o644, "ok"),
    ],
)
def test_settings_that_hold_a_password_are_for_nobody_else(where: InstallPaths, text, mode, state):
    where.config.write_text(text)
    where.config.chmod(mode)
    check = look(where)["modes"]
    assert check.state == state
    if state == "fail":
        assert check.advice == f"chmod 600 '{where.config}'"
        assert "s3same" not in check.value


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(("mode", "state"), [(0o640, "ok"), (0o644, "fail"), (0o660, "fail")])
def test_settings_of_root_may_be_read_by_the_servers_group(where: InstallPaths, mode, state):
    where.config.write_text(PASSWORD)
    where.config.chmod(mode)
    os.chown(where.config, 4321, -1)
    check = look(where)["modes"]
    assert check.state == state
    assert state == "ok" or check.advice == f"chmod 640 '{where.config}'"


# Red when the time of the newest event is looked at: the first one after the clock was corrected
# has a right time, and ids stay ahead.
def test_ids_of_the_future_are_reported(where: InstallPaths) -> None:
    with closing(sqlite3.connect(where.database, isolation_level=None)) as raw:
        raw.execute("PRAGMA foreign_keys = off")
        raw.execute("UPDATE event SET id = id + ?", [floor_at(3_600_000)])
    assert look(where)["stored times"].state == "warn"


def test_a_restore_that_was_cut_off_is_reported(where: InstallPaths) -> None:
    where.database.rename(where.database.with_name("hooktui.db.restored-x"))
    check = look(where)["database"]
    assert (check.state, check.value) == ("warn", "a restore was interrupted")


def test_an_empty_home_is_no_failure(where: InstallPaths) -> None:
    where.database.unlink()
    assert look(where)["database"].value.startswith("none yet")


def test_a_clock_that_was_set_is_seen() -> None:
    hour_ns = 3600 * 10**9
    assert StartTime().check().state == "ok"
    assert StartTime(wall_ns=time.time_ns() - hour_ns).check().state == "warn"


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    assert machine.check_disk(tmp_path, RESERVE)[1].state != "fail"  # a busy disk may be slow
    proc = machine._check_fsync(Path("/proc"))
    assert (proc.name, proc.state) == ("fsync", "fail")


# Red when a database that cannot be opened for want of files is called damaged, with the advice to
# go back to a backup.
def test_a_database_that_cannot_be_opened_is_not_called_damaged(where: InstallPaths) -> None:
    with no_file_left():
        found = check_database(where.database, where.key_file, False, 60)
    database = next(check for check in found if check.name == "database")
    assert database.state == "fail"
    assert "no sign of damage" in database.advice


# Red when the error is shown as SQLAlchemy words it, with its SQL and an address.
async def test_a_table_that_cannot_be_read_is_named_without_sql(where: InstallPaths) -> None:
    damage(where.database, "alembic_version")
    found = look(where)["database"]
    assert found.state == "fail"
    assert found.value == (f"{where.database} cannot be read: database disk image is malformed")
    assert "hooktui restore" in found.advice
