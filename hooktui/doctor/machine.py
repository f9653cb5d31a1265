"""Checks of the machine and the process (versions, open files, disk, clock), and of file modes."""

from __future__ import annotations

import os
import platform
import re
import resource
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hooktui import __version__
from hooktui.doctor.rules import (
    assess_disk,
    assess_file_system,
    assess_fsync,
    assess_jump,
    assess_open_files,
)
from hooktui.domain.home_rules import Flaw
from hooktui.domain.paths import InstallPaths
from hooktui.domain.wire.diagnosis import Check
from hooktui.homes import home_flaws
from hooktui.store.sqlite.files import NETWORK_FILE_SYSTEMS, file_system

_SYNCS, _PAGE = 100, 4096
_SYNCING_S = 2.0
"""Maximum duration of the sync measurement; a slow disk is evident by then."""


@dataclass(frozen=True, slots=True)
class StartTime:
    """The start time of a process by the wall clock and by the monotonic clock."""

    wall_ns: int = field(default_factory=time.time_ns)
    steady_ns: int = field(default_factory=lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def check(self) -> Check:
        """Compare the two clocks."""
        steady_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self.steady_ns
        jump_ns = time.time_ns() - self.wall_ns - steady_ns
        return assess_jump(jump_ns // 1_000_000, steady_ns / 1e9)


def machine_checks(
    where: InstallPaths,
    started: StartTime | None,
    reserve: int | None = None,
    free: int | None = None,
) -> list[Check]:
    """Check versions and file modes.

    Args:
        where: the files of the installation.
        started: start of the server in this process, to check its open files and the clock as well;
            None: this process is not a server.
        reserve: bytes that events leave free on the disk of the database, to check that as well.
        free: bytes that the server has for events; None: those free on the disk.
    """
    checks = [check_versions()]
    if reserve is not None:
        checks += check_disk(where.database.parent, reserve, free)
    checks.append(check_modes(where))
    if started is not None:
        checks += [check_open_files(), started.check()]
    return checks


def check_versions() -> Check:
    """Report the versions of the program, Python, and uvloop, which doubles its speed."""
    value = f"hooktui {__version__}, Python {platform.python_version()}"
    try:
        return Check("versions", "ok", f"{value}, uvloop {version('uvloop')}")
    except PackageNotFoundError:
        return Check(
            "versions",
            "warn",
            f"{value}, no uvloop",
            "deliveries are twice as fast with it: pip install uvloop",
        )


def check_open_files() -> Check:
    """Check how many files this process may open, and has open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return assess_open_files(limit, None)
    return assess_open_files(limit, used)


def check_disk(folder: Path, reserve: int, free: int | None = None) -> list[Check]:
    """Check the disk of a folder: its file system, sync duration, and free space."""
    kind, usage = file_system(folder), shutil.disk_usage(folder)
    return [
        assess_file_system(kind, network=kind in NETWORK_FILE_SYSTEMS),
        _check_fsync(folder),
        assess_disk(usage.free if free is None else free, usage.total, reserve),
    ]


def _check_fsync(folder: Path) -> Check:
    took_ms: list[float] = []
    end_s = time.perf_counter() + _SYNCING_S
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            while len(took_ms) < _SYNCS and time.perf_counter() < end_s:
                os.pwrite(scratch.fileno(), os.urandom(_PAGE), len(took_ms) * _PAGE)
                begun_s = time.perf_counter()
                os.fdatasync(scratch.fileno())
                took_ms.append((time.perf_counter() - begun_s) * 1000)
    except OSError as error:
        return Check(
            "fsync",
            "fail",
            f"cannot write in {folder}: {error.strerror}",
            "check that the server's user may write there, and that the disk has space",
        )
    took_ms.sort()
    return assess_fsync(took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100])


_SECRET = re.compile(r"://[^\s/@:]*:[^\s/@]+@|[?&]password=|\bhkt_|\bwhsec_")
"""A password in an address, a token, or the secret of a hook."""


def check_modes(where: InstallPaths) -> Check:
    """Check the modes of existing files: home, database, key file, socket and settings."""
    try:
        flaws = list(_flaws(where))
    except PermissionError as error:
        return Check(
            "modes", "warn", f"you may not access {error.filename}", "run this as the server's user"
        )
    if not flaws:
        return Check("modes", "ok", "home, database, key file, socket and settings are safe")
    return Check(
        "modes",
        "warn" if all(flaw.level == "minor" for flaw in flaws) else "fail",
        "; ".join(flaw.what for flaw in flaws),
        "; ".join(dict.fromkeys(flaw.fix for flaw in flaws)),
    )


def _flaws(where: InstallPaths) -> Iterator[Flaw]:
    home = _status(where.home)
    owner = os.geteuid() if home is None else home.st_uid
    for flaw in home_flaws(where, os.geteuid()):
        note = " (the next start does it)" if flaw.level == "corrected" else ""
        yield replace(flaw, fix=flaw.fix + note)
    yield from _flaws_of_settings(where.config, owner)
    if where.service:
        yield from _flaws_of_service(where.config, owner)


def _flaws_of_service(config: Path, owner: int) -> Iterator[Flaw]:
    """Yield faults that let a compromised service allow private networks to itself."""
    for path, right in ((config.parent, "755"), (config, "640")):
        status = _status(path)
        if status is None or owner == 0:
            continue
        word = shlex.quote(str(path))
        if status.st_uid == owner or status.st_mode & stat.S_IWOTH:
            command = f"chown root {word} && chmod {right} {word}"
            yield Flaw("minor", f"the service's user may change {path}", command)
        elif status.st_mode & stat.S_IWGRP:
            yield Flaw("minor", f"the group of {path} may change it", f"chmod {right} {word}")


def _flaws_of_settings(config: Path, owner: int) -> Iterator[Flaw]:
    """Yield a fault if others can read settings that contain a secret.

    If the file does not belong to the server, its group must be able to read it.
    """
    status = _status(config)
    if status is None:
        return
    mask, right = (0o077, "600") if status.st_uid == owner else (0o027, "640")
    mode = stat.S_IMODE(status.st_mode)
    if mode & mask and _SECRET.search(config.read_text(encoding="utf-8", errors="replace")):
        what = f"{config} holds a password or a token and has mode {mode:o}"
        yield Flaw("serious", what, f"chmod {right} {shlex.quote(str(config))}")


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None
