"""Starts servers of hooktui from a process that has already imported them.

An interpreter takes 0.5 s of CPU to import the server, and a run of all tests starts hundreds of
them. After `install`, ``subprocess.Popen`` asks one process for each, which forks. The result is a
child of the test's process as any other: with its own id, environment, files, limits and signals.

Every other command starts as usual, and so does a server that is started in a way that this module
does not know, or in an environment that changes the interpreter itself.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

_SERVE = [sys.executable, "-m", "hooktui", "serve"]
_TIED = [sys.executable, "-P", "-m", "hooktui.bench.processes"]
_PACKAGES = ("api", "cli", "client", "delivery", "domain", "server", "store")
"""What a server imports, and a little more."""
_CHECKOUT = str(Path(__file__).parents[2])
_OF_INTERPRETER = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_")
_GIVEN = (
    "args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo",
    "creationflags", "shell", "p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite",
    "restore_signals", "gid", "gids", "uid", "umask", "start_new_session", "process_group",
)  # fmt: skip
"""The arguments of ``Popen._execute_child``."""
_USUAL = {
    "executable": None, "preexec_fn": None, "pass_fds": (), "shell": False, "gid": None,
    "gids": None, "uid": None, "umask": -1, "start_new_session": False,
}  # fmt: skip
_MOST_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36
_POPEN = subprocess.Popen


def install() -> None:
    """Replace ``subprocess.Popen`` in this process."""
    subprocess.Popen = _ForkingPopen  # type: ignore[misc]


class _ForkingPopen(_POPEN):  # type: ignore[type-arg]
    """Starts a server by a fork where it can."""

    def _execute_child(self, *values: Any) -> None:
        given = dict(zip(_GIVEN, values, strict=True))
        environ = os.environ if given["env"] is None else given["env"]
        if (
            not _is_server(given["args"])
            or any(given[name] != value for name, value in _USUAL.items())
            or _interpreter(environ) != _interpreter(os.environ)
        ):
            super()._execute_child(*values)  # type: ignore[misc]
            return
        files = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        files = [number if file == -1 else file for number, file in enumerate(files)]
        request = {
            "arguments": [os.fspath(argument) for argument in given["args"]],
            "environ": {os.fspath(name): os.fspath(text) for name, text in environ.items()},
            "folder": os.fspath(given["cwd"] or Path.cwd()),
            "group": given["process_group"],
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        self.pid = _fork_server().fork(request, files)
        self._child_created = True
        self._close_pipe_fds(*values[10:16])  # type: ignore[attr-defined]


def _is_server(arguments: object) -> bool:
    if not isinstance(arguments, list) or not all(isinstance(one, str) for one in arguments):
        return False
    tied = arguments[:4] == _TIED and arguments[5:7] == ["hooktui", "serve"]
    return tied or arguments[:4] == _SERVE


def _interpreter(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what an interpreter or its libraries read of an environment as they start.

    The checkout may be in ``PYTHONPATH``: it is where this process has found the program, too.
    """
    read = {name: text for name, text in environ.items() if name.startswith(_OF_INTERPRETER)}
    paths = read.pop("PYTHONPATH", "").split(os.pathsep)
    return {**read, "PYTHONPATH": os.pathsep.join(path for path in paths if path != _CHECKOUT)}


class _ForkServer:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with theirs:
            _POPEN(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=_CHECKOUT,  # a test may have left it
            )

    def fork(self, request: Mapping[str, object], files: list[int]) -> int:
        """Return the process id of a new child of this process."""
        with self._one_at_a_time:
            # The process between us and the child ends, and the kernel gives the child to us.
            _collect_orphans(True)
            try:
                socket.send_fds(self._socket, [json.dumps(request).encode()], files)
                answer = self._socket.recv(64)
            finally:
                _collect_orphans(False)
        if not answer:
            raise ChildProcessError("the process that forks servers has ended")
        return int(answer)


@functools.cache
def _fork_server() -> _ForkServer:
    return _ForkServer()


def _collect_orphans(on: bool) -> None:
    """Have orphans among our descendants become our children, or those of the first process."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed")


# The process that forks


def _main(control: socket.socket) -> None:
    """Fork for each request. Returns in the new process alone, ready to run the server."""
    _import_all()
    gc.collect()
    gc.freeze()  # or each collection in a child would copy the memory of all
    starter = os.getppid()
    while True:
        data, files, _, _ = socket.recv_fds(control, _MOST_BYTES, 3)
        if not data:
            sys.exit()
        child = _fork_orphan()
        if child is None:
            while os.getppid() != starter:
                time.sleep(0.001)
            control.close()
            _become(json.loads(data), files)
            return
        for file in files:
            os.close(file)
        control.send(str(child).encode())


def _fork_orphan() -> int | None:
    """Fork twice, and wait for the end of the process between; None in the new process."""
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child:
            os.write(write, str(child).encode())
            os._exit(0)
    os.close(write)
    if between == 0:
        os.close(read)
        return None
    os.waitpid(between, 0)
    child = int(os.read(read, 64))
    os.close(read)
    return child


def _import_all() -> None:
    import hooktui

    for package in _PACKAGES:
        path = [str(Path(folder, package)) for folder in hooktui.__path__]
        for module in pkgutil.walk_packages(path, f"hooktui.{package}."):
            if "migrations" not in module.name:  # they are run, not imported
                importlib.import_module(module.name)


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Make this process what the caller of Popen asked for."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    os.chdir(request["folder"])
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(request["files"]))
    if request["group"] != -1:
        os.setpgid(0, request["group"])
    sys.argv = request["arguments"][request["arguments"].index("-m") + 1 :]


def _run() -> NoReturn:
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _main(control)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    _run()
