"""``hooktui doctor``, but for what it prints: asks the server, or looks itself where none runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from hooktui.checkup.machine import check_disk, check_versions
from hooktui.checkup.modes import check_modes
from hooktui.checkup.postgres import check_shared
from hooktui.checkup.sqlite import check_installation
from hooktui.client import calls
from hooktui.client.plain import PlainClient
from hooktui.domain.checks import Check, Checkup, checkup_of
from hooktui.domain.errors import NoServer, NotFound, Refused
from hooktui.domain.places import Places
from hooktui.settings import BadSettings
from hooktui.store.postgres.connect import target_of
from hooktui.upkeep.offline import sqlite_home

_WHOLE_DAY_S = 86400.0
"""Without a server nobody waits but the one who asked."""
_START = "start it: hooktui serve"


def examine(environ: Mapping[str, str], client: PlainClient, *, here: bool) -> Checkup:
    """Look at an installation.

    Args:
        environ: says where its files lie.
        client: of its server, if one runs.
        here: whether the server is the one of this environment, and not one that was named.

    Raises:
        HooktuiError: there is a server, and it does not let the caller ask.
    """
    begun_s = time.perf_counter()
    try:
        status = client.call(calls.server_status())
    except NoServer as error:
        if not here:
            raise
        return checkup_of(_without_server(environ, error))
    took_ms = (time.perf_counter() - begun_s) * 1000
    said = ", ".join(f"process {one.pid} on {one.name}" for one in status.servers)
    answers = Check("server", "ok", f"{status.version}, {said}, answers in {took_ms:.0f} ms")
    try:
        found = client.call(calls.checkup())
    except NotFound:
        old = Check(
            "server",
            "warn",
            f"{status.version} cannot be looked into",
            "restart it with this version: hooktui stop, then hooktui serve",
        )
        return checkup_of([old])
    return checkup_of([answers, *found.checks])


def _without_server(environ: Mapping[str, str], error: NoServer) -> list[Check]:
    try:
        where, settings = sqlite_home(environ, any_database=True)
        url = settings.database_url or ""
        target = None if not url or url.startswith("sqlite:") else target_of(url)
    except (BadSettings, Refused) as bad:
        return [Check("settings", "fail", bad.detail, "no server starts with them; mend them")]
    reserve = settings.reserve_mb << 20
    holder = _holder(where.database.with_name("hooktui.lock"))
    if holder is not None:
        hangs = f"process {holder} holds the home and does not answer: {error.detail}"
        lost = Check("server", "fail", hangs, f"see {where.log}; end it with: kill {holder}")
        if target is None:
            return [lost, *_without_database(where, reserve)]
        return [lost, *asyncio.run(check_shared(where, target, None))]
    none = Check("server", "warn", "none runs here: nothing is taken in", _START)
    if target is not None:
        return [none, *asyncio.run(check_shared(where, target, None))]
    folder = where.database.parent
    if not folder.is_dir():
        return [none, check_versions(), Check("database", "ok", f"no home yet at {folder}")]
    return [none, *check_installation(where, reserve, None, _WHOLE_DAY_S)]


def _without_database(where: Places, reserve: int) -> list[Check]:
    """Look at what lies around a database that another process has open."""
    return [check_versions(), *check_disk(where.database.parent, reserve), check_modes(where)]


def _holder(lock: Path) -> str | None:
    """Return the process that holds the lock of a home, without a moment in which we hold it."""
    try:
        status = lock.stat()
        table = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in table.splitlines():
        fields = line.split()
        if "FLOCK" in fields and device in fields:
            return fields[4]
    return None
