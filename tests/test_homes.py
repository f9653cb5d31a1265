"""Homes on a real file system: what others could do there is what a start refuses."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hooktui.client.start import start_server
from hooktui.doctor.machine import check_modes
from hooktui.domain.errors import NoServer, UnsafeHome
from hooktui.domain.paths import InstallPaths, paths_of
from hooktui.homes import correct_modes, home_flaws, make_home, refuse_unsafe
from hooktui.server.settings import BadSettings
from tests.support.running_server import running_server

OTHER = 54321
DAEMON = 1
"""A group with a member wherever there is a user database: ``daemon`` of Debian and Red Hat."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def where(tmp_path: Path) -> InstallPaths:
    home = tmp_path / "way" / "home"
    home.mkdir(parents=True, mode=0o750)
    (tmp_path / "way").chmod(0o755)
    return paths_of({"HOOKTUI_HOME": str(home)})


def refused(where: InstallPaths) -> bool:
    try:
        refuse_unsafe(where)
    except UnsafeHome:
        return True
    return False


def tried_by_another(folder: Path, groups: list[int], plant: str) -> bool:
    """Return whether another user can put something into a folder, or move ``plant`` away."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chroot(folder.parent)  # however closed the folders above the test are
            os.chdir("/")
            os.setgroups(groups)
            os.setresgid(OTHER, OTHER, OTHER)
            os.setresuid(OTHER, OTHER, OTHER)
            if plant:
                Path("/", folder.name, plant).rename(Path("/", folder.name, "gone"))
            else:
                os.close(os.open(f"/{folder.name}/x", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            code = 0
        except OSError:
            pass
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_root
@pytest.mark.parametrize("sticky", [0, 0o1000])
@pytest.mark.parametrize("part", ["home", "way"])
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_whatever_lets_another_user_in_is_refused(
    where: InstallPaths, part: str, sticky: int, every: int
) -> None:
    """Red when `_writable` looks at the group or at others alone, or `_of_parent` at no folder."""
    folder = where.home if part == "home" else where.home.parent
    os.chown(folder, 0, DAEMON)
    plant = "home" if part == "way" else ""
    for bits in range(0, 64, every):
        mode = sticky | 0o700 | bits
        folder.chmod(mode)
        entered = tried_by_another(folder, [DAEMON], plant)
        if entered:
            assert refused(where), f"{mode:o}"
            for left in ("x", "gone"):
                path = folder / left
                if path.is_dir():
                    path.rename(folder / plant)
                elif path.exists():
                    path.unlink()
        elif not mode & 0o022:
            assert not refused(where), f"{mode:o}"


@needs_root
def test_a_folder_of_another_user_on_the_way_is_refused(where: InstallPaths) -> None:
    os.chown(where.home.parent, OTHER, OTHER)
    with pytest.raises(UnsafeHome, match=f"uid {OTHER}.*chown 0 "):
        refuse_unsafe(where)
    os.chown(where.home.parent, 0, 0)
    os.chown(where.home, OTHER, OTHER)
    with pytest.raises(UnsafeHome, match="run it as its owner"):
        refuse_unsafe(where)
    refuse_unsafe(where, OTHER)


def test_a_link_on_the_way_is_judged_with_what_it_points_to(
    where: InstallPaths, tmp_path: Path
) -> None:
    """Red when the way is resolved before it is judged, or not resolved at all."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "home").mkdir(mode=0o750)
    (tmp_path / "link").symlink_to("open/../open/home")
    linked = paths_of({"HOOKTUI_HOME": str(tmp_path / "link")})
    refuse_unsafe(linked)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnsafeHome, match="open may be written by others"):
        refuse_unsafe(linked)
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnsafeHome, match="loop"):
        refuse_unsafe(paths_of({"HOOKTUI_HOME": str(tmp_path / "loop" / "x")}))


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077])
def test_a_home_that_hooktui_makes_is_always_taken(tmp_path: Path, umask: int) -> None:
    """Red when the folders above a home come with the caller's umask."""
    before = os.umask(umask)
    try:
        here = paths_of({"HOOKTUI_HOME": str(tmp_path / "a" / "b" / "home")})
        make_home(here.home)
    finally:
        os.umask(before)
    refuse_unsafe(here)
    assert here.home.stat().st_mode & 0o777 == 0o750 & ~umask


FILES = ("hooktui.lock", "hooktui.db", "hooktui.db-wal", "hooktui.db-shm", "hooktui.key",
         "hooktui.sock", "server.log")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_server_follows_no_link_in_its_home(
    where: InstallPaths, tmp_path: Path, name: str
) -> None:
    """Red when `_of_file` takes links: the target of the lock was truncated (S11)."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (where.home / name).symlink_to(victim)
    with pytest.raises(BadSettings, match=f"{name} is a link"), running_server(where.home):
        pass
    assert victim.read_text() == "precious"
    assert check_modes(where).state == "fail"
    with pytest.raises(NoServer, match="is a link"):
        start_server(where, {"HOOKTUI_HOME": str(where.home)})
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777])
def test_serve_and_doctor_agree_on_a_home(where: InstallPaths, mode: int) -> None:
    where.home.chmod(mode)
    told = r"may be written by others .*chmod"
    with pytest.raises(BadSettings, match=told), running_server(where.home):
        pass
    check = check_modes(where)
    assert check.state == "fail"
    assert "chmod" in check.advice
    assert list(where.home.iterdir()) == []
    where.home.chmod(0o750)
    with running_server(where.home):
        assert check_modes(where).state == "ok"


def test_a_file_that_others_may_read_is_closed_to_them(where: InstallPaths, tmp_path: Path) -> None:
    for path in (where.database, where.lock, where.log):
        path.touch()
        path.chmod(0o666)
    assert {one.level for one in home_flaws(where)} == {"corrected"}
    correct_modes(where)
    assert home_flaws(where) == []
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o666)
    correct_modes(replace(where, log=tmp_path / "link"))
    assert outside.stat().st_mode & 0o777 == 0o666


def test_a_file_that_is_no_database_keeps_its_mode(where: InstallPaths) -> None:
    # Red when a mistyped path of the database closes a file of the system to all others.
    where.database.write_text("root:x:0:0:root:/root:/bin/sh\n")
    where.database.chmod(0o644)
    correct_modes(where)
    assert where.database.stat().st_mode & 0o777 == 0o644
    where.database.write_bytes(b"SQLite format 3\0")
    correct_modes(where)
    assert where.database.stat().st_mode & 0o777 == 0o600
