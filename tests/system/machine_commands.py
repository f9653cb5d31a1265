"""Runs commands on machines below folders of tests, each in a process forked from this one.

    python -m tests.system.machine_commands FD

A command takes 0.8 s of CPU to import what it needs. This process has it imported, in a mount
namespace where other users reach it. A message on the Unix socket FD is a command with its
environment, user and machine, and comes with files for stdout and stderr; the answer is the exit
code.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hooktui
from tests.system.opened import CHECKOUT, opened

_PACKAGES = ("cli", "client", "doctor", "domain", "offline", "store")
_MAX_BYTES = 1 << 20
_WITHIN_S = 120


def run_command(
    root: Path, uid: int, environ: Mapping[str, str], arguments: list[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end as a user, on the machine below a root, in a working folder."""
    request = {
        "root": str(root), "uid": uid, "environ": dict(environ), "arguments": arguments,
        "folder": str(folder),
    }  # fmt: skip
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        files = [out.fileno(), err.fileno()]
        socket.send_fds(_commands(), [json.dumps(request).encode()], files)
        answer = _commands().recv(64)
        assert answer, "the process that runs commands has ended"
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, int(answer), out.read(), err.read())


@functools.cache
def _commands() -> socket.socket:
    """Start the process that runs commands; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        subprocess.Popen(
            opened([sys.executable, "-m", __name__, str(number)]),
            pass_fds=[number], stdin=subprocess.DEVNULL, cwd=CHECKOUT,
        )  # fmt: skip
    ours.settimeout(_WITHIN_S)
    return ours


def _main(control: socket.socket) -> None:
    """Fork for each request. Returns in the new process alone, ready to run the command."""
    os.chdir("/")
    for package in _PACKAGES:
        path = [str(Path(folder, package)) for folder in hooktui.__path__]
        for module in pkgutil.walk_packages(path, f"hooktui.{package}."):
            if "migrations" not in module.name:  # they are run, not imported
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # or each collection in a child would copy the memory of all
    while True:
        data, files, _, _ = socket.recv_fds(control, _MAX_BYTES, 2)
        if not data:
            sys.exit()
        child = os.fork()
        if child == 0:
            control.close()
            _become(json.loads(data), files)
            return
        for file in files:
            os.close(file)
        control.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Make this process the one that was asked for."""
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    uid = request["uid"]
    if uid != os.geteuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    from hooktui.domain import paths

    paths.SYSTEM = paths.system_paths(Path(request["root"]))
    sys.argv = ["hooktui", *request["arguments"]]


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connected:
        _main(connected)
    from hooktui.cli.main import main

    sys.exit(main())
