"""Starts a server in the background, for a console that finds none."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

import hooktui
from hooktui.client.address import ServerAddress
from hooktui.client.calls import healthy
from hooktui.client.sync_client import PlainClient
from hooktui.domain.errors import NoServer, Unavailable, UnsafeHome
from hooktui.domain.paths import InstallPaths, with_absolute_paths
from hooktui.domain.text import visible
from hooktui.homes import make_home, refuse_unsafe

START_TIMEOUT_S = 20.0
"""A start takes one second; the first one on a slow disk, with migrations, a few."""

OTHER_SERVER_GRACE_S = 3.0
"""If two consoles start at once, one server ends and the other responds a little later."""

_POLL_S = 0.02
_LOG_TAIL_BYTES = 4096


def start_server(paths: InstallPaths, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a server and return its process once it responds.

    It outlives this process, also if it did not respond in time.

    Raises:
        NoServer: see `spawn_server` and `wait_until_it_responds`.
    """
    process = spawn_server(paths, environ)
    wait_until_it_responds(process, paths)
    return process


def wait_until_it_responds(process: subprocess.Popen[bytes], paths: InstallPaths) -> None:
    """Return once the server of a process responds.

    Raises:
        NoServer: it ended (with the last line of its log), or did not respond in time.
    """
    address = ServerAddress(socket=paths.socket)
    deadline = time.monotonic() + START_TIMEOUT_S
    ended = False
    while time.monotonic() < deadline:
        if responds(address):
            return
        if not ended and process.poll() is not None:
            ended = True
            deadline = min(deadline, time.monotonic() + OTHER_SERVER_GRACE_S)
        time.sleep(_POLL_S)
    if ended:
        raise NoServer(f"the server ended during its start: {_last_line(paths.log)}")
    raise NoServer(f"the server did not respond within {START_TIMEOUT_S:g} s; see {paths.log}")


def spawn_server(paths: InstallPaths, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start ``hooktui serve`` in its own session; its output goes to ``paths.log``.

    Raises:
        NoServer: the home cannot be used.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        make_home(paths.home)
        refuse_unsafe(paths)
        log = os.open(paths.log, flags, 0o600)
    except UnsafeHome as error:
        raise NoServer(f"cannot start a server: {error.detail}") from error
    except OSError as error:
        raise NoServer(f"cannot start a server: {paths.log}: {error.strerror}") from error
    try:
        return subprocess.Popen(  # -P: no module of some working folder stands in for a library
            [sys.executable, "-P", "-m", "hooktui", "serve"],
            cwd="/",
            env=own_environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)


def own_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which this installation of hooktui is found from the folder ``/``.

    So are the files that its variables name.
    A client's token is removed: a server does not need it, and keeps its environment for weeks.
    """
    environ = with_absolute_paths(environ)
    environ = {name: value for name, value in environ.items() if name != "HOOKTUI_TOKEN"}
    ours = Path(hooktui.__file__).parent.parent
    if str(ours) in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return environ
    paths = [str(ours), *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, "PYTHONPATH": os.pathsep.join(paths)}


def responds(address: ServerAddress) -> bool:
    """Return whether a server serves requests at an address."""
    try:
        with PlainClient(address) as client:
            client.call(healthy())
    except (NoServer, Unavailable):  # it may listen for seconds before it can respond
        return False
    return True


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError as error:
        return f"{log}: {error.strerror}"
    written = [line for line in lines if line.strip()]
    return visible(written[-1], limit=400) if written else f"it wrote nothing to {log}"
