"""Root works on the files of the service in one command, as the service's user."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.system.installed import OTHER_UID, Machine
from tests.system.opened import can_open, opened

SOMEBODY = OTHER_UID + 1


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user"),
    pytest.mark.skipif(not can_open(), reason="no mount namespace can be made here"),
]


@pytest.fixture(scope="module")
def prepared() -> Iterator[tuple[Machine, Path]]:
    """A machine with a unit, in a folder that every user can reach, and a copy of that folder.

    Its service has run: a hook is there, and a backup that only root can read.
    """
    outer = Path(tempfile.mkdtemp(prefix="hooktui-machine-"))
    outer.chmod(0o755)
    folder, copy = outer / "machine", outer / "copy"
    machine = Machine(folder / "root", folder / "person")
    for path in (machine.root, machine.home, machine.system.home.parent):
        path.mkdir(parents=True)
    unit = machine.system.units[0]
    unit.parent.mkdir(parents=True)
    unit.write_text(f"[Service]\nUser={OTHER_UID}\nLoadCredential=hooktui.key\n")
    service = machine.start_service(outer / "log", OTHER_UID)
    run(machine, "hooks", "create", "--url", "https://192.0.2.1/", "--events", "job", code=6)
    run(machine, "accounts", "create", "before")
    run(machine, "backup", str(folder / "copy.db"))
    run(machine, "accounts", "create", "after")
    machine.end_service(service)
    _copy(folder, copy)
    yield machine, copy
    shutil.rmtree(outer)


@pytest.fixture
def stopped(prepared: tuple[Machine, Path], tmp_path: Path) -> Machine:
    """The machine as it was prepared; its backup is ``copy.db`` in the folder of the test."""
    machine, copy = prepared
    folder = machine.root.parent
    shutil.rmtree(folder)
    _copy(copy, folder)
    shutil.move(folder / "copy.db", tmp_path)
    return machine


def _copy(folder: Path, target: Path) -> None:
    """Copy a folder with owners and modes."""
    subprocess.run(["cp", "-a", folder, target], check=True)


def run(
    machine: Machine,
    *command: str,
    code: int = 0,
    uid: int | None = None,
    folder: Path = Path("/"),
    **environ: str,
):
    result = machine.run(*command, uid=uid, folder=folder, **environ)
    assert result.returncode == code, (command, result.stdout, result.stderr)
    return result


def accounts(machine: Machine) -> list[str]:
    with closing(
        sqlite3.connect(f"file:{machine.system.home}/hooktui.db?mode=ro", uri=True)
    ) as raw:
        return [name for (name,) in raw.execute("SELECT name FROM account ORDER BY id")]


def owners(machine: Machine) -> set[int]:
    home = machine.system.home
    return {one.lstat().st_uid for one in (home, *home.rglob("*"))}


def test_root_restores_the_service_in_one_command(stopped: Machine, tmp_path: Path) -> None:
    """Red when root stays root, or becomes the user before FILE is open (B1)."""
    assert "after" in accounts(stopped)
    done = run(stopped, "restore", str(tmp_path / "copy.db"))
    assert "systemctl start hooktui" in done.stderr
    assert accounts(stopped)[-1] == "before"
    assert owners(stopped) == {OTHER_UID}
    assert list(stopped.home.iterdir()) == []
    with closing(sqlite3.connect(stopped.system.home / "hooktui.db")) as raw:
        user = raw.execute("SELECT user FROM audit WHERE action = 'restore'").fetchone()
    assert user == ("root",)
    service = stopped.start_service(tmp_path / "log", OTHER_UID)
    assert "before" in run(stopped, "accounts", "list").stdout
    refused = run(stopped, "restore", str(tmp_path / "copy.db"), code=1)
    assert "systemctl stop hooktui" in refused.stderr
    stopped.end_service(service)


@pytest.mark.parametrize("store", ["etc/credstore", "run/credstore", "path", "encrypted"])
def test_the_credential_of_the_service_is_found(stopped: Machine, tmp_path: Path, store) -> None:
    """Red when the credential is not read, or read after root was given up."""
    key, unit = stopped.system.home / "hooktui.key", stopped.system.units[0]
    path = os.environ["PATH"]
    if store in ("path", "encrypted"):
        place = tmp_path / "sealed.key"
    else:
        place = stopped.root / store / "hooktui.key"
        place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(key, place)
    place.chmod(0o600)
    key.unlink()
    if store == "path":
        unit.write_text(unit.read_text() + f"LoadCredential=hooktui.key:{place}\n")
    elif store == "encrypted":  # stands for systemd's program, which needs a key of the machine
        unit.write_text(unit.read_text() + f"LoadCredentialEncrypted=hooktui.key:{place}\n")
        program = tmp_path / "systemd-creds"
        program.write_text('#!/bin/sh\n[ "$1 $2" = "decrypt --name=hooktui.key" ] && cat "$3"\n')
        program.chmod(0o700)
        path = f"{tmp_path}:{path}"
    run(stopped, "restore", str(tmp_path / "copy.db"), PATH=path)
    assert accounts(stopped)[-1] == "before"
    checks = run(stopped, "doctor", code=0, PATH=path).stdout
    assert str(place) in checks or "key" in checks
    place.unlink()
    refused = run(stopped, "restore", str(tmp_path / "copy.db"), code=1, PATH=path)
    assert "is missing" in refused.stderr


def test_a_service_that_never_started_is_restored(stopped: Machine, tmp_path: Path) -> None:
    """Red when root makes the folder and leaves it root's: the service could not use it."""
    store = stopped.root / "etc" / "credstore"
    store.mkdir(parents=True)
    shutil.move(stopped.system.home / "hooktui.key", store / "hooktui.key")
    shutil.rmtree(stopped.system.home)
    run(stopped, "restore", str(tmp_path / "copy.db"))
    assert owners(stopped) == {OTHER_UID}
    assert stopped.system.home.stat().st_mode & 0o777 == 0o750


COMMANDS = (
    ["restore", "/etc/hostname"],
    ["doctor"],
    ["move", "--to", "postgresql://a:b@127.0.0.1/x"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_ordinary_user_is_given_the_whole_command(stopped: Machine, command) -> None:
    refused = run(stopped, *command, code=4, uid=SOMEBODY)
    told = " ".join(command).replace("postgresql://a:b@127.0.0.1/x", "@FILE")
    assert f"sudo hooktui {told}" in refused.stderr


def test_what_root_does_leaves_nothing_of_roots(stopped: Machine, tmp_path: Path) -> None:
    """Red when doctor, move or keys work as root: its files would stop the service."""
    killed = stopped.start_service(tmp_path / "log", OTHER_UID)
    run(stopped, "accounts", "create", "in the log")
    killed.kill()
    killed.wait(20)
    (stopped.system.socket).unlink()
    looked = run(stopped, "doctor")
    assert "systemctl start hooktui" in looked.stdout
    assert owners(stopped) == {OTHER_UID}
    run(stopped, "keys", "new", str(stopped.system.home / "hooktui.key"))
    run(stopped, "keys", "new", str(stopped.system.home / "more.key"))
    assert owners(stopped) == {OTHER_UID}
    run(stopped, "move", "--to", "postgresql://127.0.0.1:1/x", code=1)
    assert owners(stopped) == {OTHER_UID}


# Red when a path is read again after root went to another folder: doctor found no home and ended
# with 0, a key was to be written to the root of the file system.
def test_root_may_name_files_from_where_it_is(stopped: Machine, tmp_path: Path) -> None:
    home = stopped.system.home
    key = home / "hooktui.key"
    before = key.read_text()
    run(stopped, "keys", "new", key.name, folder=home)
    assert key.read_text().count("\n") == before.count("\n") + 1
    named = {"HOOKTUI_HOME": home.name, "folder": home.parent}
    looked = run(stopped, "doctor", **named)
    assert "no home yet" not in looked.stdout
    assert str(home / "hooktui.db") in looked.stdout
    run(stopped, "restore", str(tmp_path / "copy.db"), **named)
    assert accounts(stopped)[-1] == "before"
    moved = run(stopped, "move", "--to", "postgresql://127.0.0.1:1/x", code=1, **named)
    assert "there is no database" not in moved.stderr
    assert owners(stopped) == {OTHER_UID}


def test_root_is_not_led_through_links_of_the_service(stopped: Machine, tmp_path: Path) -> None:
    """Red when root opens lock or database before it has given its rights up."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock = stopped.system.home / "hooktui.lock"
    lock.unlink()
    lock.symlink_to(victim)
    refused = run(stopped, "restore", str(tmp_path / "copy.db"), code=4)
    assert "is a link" in refused.stderr
    assert victim.read_text() == "precious"


GIVE_UP = """
import os, sys
from pathlib import Path
from hooktui.offline.service_user import become
become(int(sys.argv[1]), Path(sys.argv[2]))
for change in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setgid(0),
               lambda: os.setgroups([0])):
    try:
        change()
    except PermissionError:
        continue
    sys.exit("root came back")
print(os.getgroups(), os.getresuid(), os.getresgid(), os.umask(0), os.getcwd())
"""


def test_root_is_given_up_for_good(stopped: Machine) -> None:
    """Red when a saved id or a group of root stays."""
    command = [sys.executable, "-c", GIVE_UP, str(OTHER_UID), str(stopped.system.home)]
    done = subprocess.run(opened(command), capture_output=True, text=True, timeout=60)
    three = (OTHER_UID,) * 3
    assert done.stdout.strip() == f"{[OTHER_UID]} {three} {three} {0o077} /", done.stderr


def test_root_leaves_its_home_folder_to_others(stopped: Machine) -> None:
    """Red when ``HOME`` stays root's: the driver of PostgreSQL may not look for certificates there.

    Then `move` and `doctor` reported ``Permission denied`` for each server of PostgreSQL.
    """
    config = stopped.system.config
    config.parent.mkdir(parents=True)
    config.write_text(f'database_url = "postgresql://hooktui@127.0.0.1:{free_port()}/hooktui"\n')
    stopped.home.chmod(0o700)
    assert "Connection refused" in run(stopped, "doctor", code=1).stdout


def test_doctor_warns_of_settings_that_the_service_may_change(stopped: Machine) -> None:
    """Red without `_complaints_of_service` (B11)."""
    config = stopped.system.config
    config.parent.mkdir(parents=True)
    config.write_text("reserve_mb = 64\n")
    assert "may change" not in run(stopped, "doctor").stdout
    os.chown(config.parent, OTHER_UID, OTHER_UID)
    looked = run(stopped, "doctor").stdout
    assert f"the service's user may change {config.parent}" in looked
    assert f"chown root {config.parent}" in looked
