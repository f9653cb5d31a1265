"""The folder of an installation on disk: reads, creates, checks and corrects it.

`domain.home_rules` has the rules.
"""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from hooktui.domain.errors import UnsafeHome
from hooktui.domain.home_rules import FileEntry, Flaw, Part, flaws_of
from hooktui.domain.paths import SQLITE_BEGIN, InstallPaths
from hooktui.domain.text import visible

_log = logging.getLogger(__name__)

_MAX_LINKS = 40
"""The kernel's limit (path_resolution(7)): more are a loop."""


def make_home(folder: Path) -> None:
    """Create the folder of an installation, and missing ones above it.

    Raises:
        OSError: one cannot be created.
    """
    before = os.umask(0)
    os.umask(before | 0o022)  # others cannot write the folder, whatever the umask is
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    finally:
        os.umask(before)


def refuse_unsafe(where: InstallPaths, uid: int | None = None) -> None:
    """Refuse a home that others can write, or whose files are links or another user's.

    Args:
        where: the installation; missing files are not checked.
        uid: the user of the server; by default the user of this process.

    Raises:
        UnsafeHome: names the fault and the command that corrects it.
    """
    refused = [flaw for flaw in home_flaws(where, uid) if flaw.level == "refused"]
    if refused:
        first = refused[0]
        more = f" ({len(refused) - 1} more; see hooktui doctor)" if len(refused) > 1 else ""
        raise UnsafeHome(f"the home {where.home} is not safe: {first.what}; {first.fix}{more}")


def home_flaws(where: InstallPaths, uid: int | None = None) -> list[Flaw]:
    """Return the faults of the existing files of an installation.

    Raises:
        PermissionError: this user cannot access a file.
    """
    return flaws_of(_entries(where), os.geteuid() if uid is None else uid)


def correct_modes(where: InstallPaths) -> None:
    """Remove the rights of others from files that only the server reads.

    Another file at the path of the database keeps its mode: the path may be mistyped.

    Raises:
        OSError: a mode cannot be changed.
    """
    for path in _private_files(where):
        try:
            file = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            mode = os.fstat(file).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                # By O_PATH: closing another descriptor of the database would drop SQLite's locks.
                opened = Path(f"/proc/self/fd/{file}")
                if path == where.database and not _may_be_database(opened):
                    continue
                opened.chmod(0o600)
                _log.warning("changed the mode of %s from %o to 600", path, stat.S_IMODE(mode))
        finally:
            os.close(file)


def _may_be_database(path: Path) -> bool:
    with path.open("rb") as file:  # before the database is opened, so no lock is lost
        return file.read(len(SQLITE_BEGIN)) in (b"", SQLITE_BEGIN)


def _entries(where: InstallPaths) -> Iterator[FileEntry]:
    seen: set[str] = set()
    for folder in dict.fromkeys((where.home, where.database.parent)):
        for entry in _path_entries(folder):
            if entry.path not in seen:
                seen.add(entry.path)
                yield entry
    files: list[tuple[Path, Part]] = [(path, "private") for path in _private_files(where)]
    for path, part in [*files, (where.key_file, "key"), (where.socket, "socket")]:
        yield from _entry(path, part)


def _private_files(where: InstallPaths) -> tuple[Path, ...]:
    database = where.database
    logs = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm"))
    lock = database.with_name(where.lock.name)
    return (database, *logs, *dict.fromkeys((where.lock, lock)), where.log)


def _entry(path: Path, part: Part) -> Iterator[FileEntry]:
    """Yield an entry if it exists."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    shared = bool(status.st_mode & stat.S_IWGRP) and _is_shared(status.st_gid, status.st_uid)
    yield FileEntry(visible(str(path)), part, status.st_mode, status.st_uid, shared)


def _path_entries(folder: Path) -> Iterator[FileEntry]:
    """Yield every name on the path to a folder, including links, and the folder.

    Raises:
        UnsafeHome: its links form a loop.
    """
    path, rest, links = Path("/"), list(folder.absolute().parts[1:]), 0
    while True:
        if not rest:
            yield from _entry(path, "home")
            return
        yield from _entry(path, "parent")
        name = rest.pop(0)
        path = path.parent if name == ".." else path / name
        if path.is_symlink():
            links += 1
            if links > _MAX_LINKS:
                raise UnsafeHome(f"the links of {visible(str(folder))} form a loop; remove them")
            yield from _entry(path, "parent")
            target = path.readlink()
            rest = [*(target.parts[1:] if target.is_absolute() else target.parts), *rest]
            path = Path("/") if target.is_absolute() else path.parent


def _is_shared(gid: int, owner: int) -> bool:
    """Return whether a group has members besides a user and root; an unknown group has none."""
    try:
        members = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        members = set()
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid}
    with contextlib.suppress(KeyError):
        members.discard(pwd.getpwuid(owner).pw_name)
    return bool(members - {"root"})
