"""``hooktui doctor`` except its output: asks the server, or checks the files without one."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from hooktui import __version__
from hooktui.client import calls
from hooktui.client.sync_client import PlainClient
from hooktui.doctor.exposure import check_exposure
from hooktui.doctor.machine import check_versions, machine_checks
from hooktui.doctor.postgres import check_shared
from hooktui.doctor.rules import assess_hold
from hooktui.doctor.sqlite import check_installation
from hooktui.domain.errors import NoServer, NotAllowed, OlderServer, Refused, Unavailable
from hooktui.domain.wire.diagnosis import Check, DoctorReport, report_of
from hooktui.installation import find_paths
from hooktui.offline.installation import sqlite_home
from hooktui.offline.service_user import act_as_owner
from hooktui.server.settings import BadSettings, load, split_listen
from hooktui.store.postgres.connections import parse_database_url

_WHOLE_DAY_S = 86400.0
"""Without a server only the caller waits."""
_CONNECT_S = 2.0
_RESTART = "restart the server with this version of hooktui"


def examine(environ: Mapping[str, str], client: PlainClient, *, here: bool) -> DoctorReport:
    """Check an installation.

    Args:
        environ: the environment, which selects the installation.
        client: of its server, if one is running.
        here: whether the server is that of this environment, and was not named explicitly.

    Raises:
        HooktuiError: there is a server, and it refuses the caller.
    """
    begun_s = time.perf_counter()
    try:
        client.call(calls.healthy())
    except (NoServer, Unavailable) as error:
        if not here:
            raise
        return report_of(_without_server(environ, error))
    took_ms = (time.perf_counter() - begun_s) * 1000
    try:
        report = client.call(calls.checkup())
    except OlderServer:
        old = Check("server", "warn", "another version, which this command cannot check", _RESTART)
        return report_of([old])
    listens = _listens(environ) if here else []
    return report_of([*_server(client, took_ms), *listens, *report.checks])


def _server(client: PlainClient, took_ms: float) -> list[Check]:
    try:
        status = client.call(calls.server_status())
    except Unavailable as error:
        return [Check("server", "fail", error.detail, "see the checks of its database below")]
    said = ", ".join(f"process {server.pid} on {server.name}" for server in status.servers)
    value = f"{status.version}, {said}, responded in {took_ms:.0f} ms"
    checks = [Check("server", "ok", value)]
    if status.version != __version__:
        checks = [Check("server", "warn", f"{value}; this command is {__version__}", _RESTART)]
    if status.paused is not None:
        said = f"paused by {status.paused.by} at {status.paused.at}: only pings are sent"
        checks.append(Check("delivery", "warn", said, "resume it with: hooktui resume"))
    if status.loop is not None:
        checks.append(assess_hold(status.loop.longest_ms, status.loop.by))
    return checks


def _listens(environ: Mapping[str, str]) -> list[Check]:
    """Check whether the server responds at the configured TCP address."""
    try:
        settings = load(find_paths(environ).config, environ)
    except BadSettings as bad:
        return [Check("settings", "fail", bad.detail, "correct them; no server can start")]
    if settings.listen is None:
        return []
    host, port = split_listen(settings.listen)
    if port == 0:  # any port
        return []
    try:
        socket.create_connection((host, port), _CONNECT_S).close()
    except OSError as error:
        why = f"{settings.listen}: {error.strerror or error}"
        return [Check("listens", "fail", why, "restart the server, so that it listens there")]
    return [Check("listens", "ok", settings.listen)]


def _without_server(environ: Mapping[str, str], error: NoServer | Unavailable) -> list[Check]:
    act_as_owner(find_paths(environ), ["doctor"], check_home=False)
    try:
        where, settings = sqlite_home(environ, any_database=True)
        url = settings.database_url or ""
        target = None if not url or url.startswith("sqlite:") else parse_database_url(url)
    except (BadSettings, Refused) as bad:
        return [Check("settings", "fail", bad.detail, "correct them; no server can start")]
    exposed = list(
        check_exposure(settings.allow_networks, settings.tls_files, settings.database_url, environ)
    )
    reserve = settings.reserve_mb << 20
    holder = _holder(where.database.with_name("hooktui.lock"))
    hangs = holder is not None or isinstance(error, Unavailable)
    if hangs:
        end = f"stop it with: kill {holder}" if holder else "stop it, and start another"
        value = f"process {holder or 'unknown'} is running but does not respond: {error.detail}"
        server = Check("server", "fail", value, f"see {where.log}; {end}")
    else:
        value = "not running: no events are accepted"
        server = Check("server", "warn", value, f"start it: {where.start}")
    if target is not None:
        return [server, *exposed, *asyncio.run(check_shared(where, target, None))]
    if hangs:  # the other process has the database open
        return [server, *exposed, *machine_checks(where, None, reserve)]
    folder = where.database.parent
    if not folder.is_dir():
        return [server, check_versions(), Check("database", "ok", f"no home yet at {folder}")]
    try:
        return [server, *exposed, *check_installation(where, reserve, None, _WHOLE_DAY_S)]
    except PermissionError as denied:
        raise NotAllowed(
            f"{denied.filename} is not readable; run this as the server's user"
        ) from None


def _holder(lock: Path) -> str | None:
    """Return the process that holds the lock of a home, without taking the lock."""
    try:
        status = lock.stat()
        written = lock.read_text(encoding="ascii", errors="replace").strip()
        table = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[1] != "FLOCK":
            continue
        # On some file systems the device differs from that of stat.
        mine = fields[4] == written and fields[5].endswith(f":{status.st_ino}")
        if fields[5] == device or mine:
            return fields[4]
    return None
