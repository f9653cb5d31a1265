"""Starts processes of hooktui from one that has already imported it.

An interpreter takes half a second of CPU to import a server or a console, and a run of all tests
starts hundreds of them. After `install`, ``subprocess.Popen`` asks one process for each, which
forks. The result is a child of the test's process as any other: with its own id, environment,
files, limits and signals.

It is asked for modules of ours (``python -m``) and for code (``python -c``) that does not look at
``sys.modules``. Every other command starts as usual, and so does a process that is started in a way
that this module does not know, or in an environment that changes the interpreter or a library.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import fcntl
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import runpy
import socket
import subprocess
import sys
import termios
import threading
import time
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_OURS = ("hooktui", "tests")
_NOT_IMPORTED = (
    "hooktui.__main__", "hooktui.bench", "hooktui.demo", "hooktui.selftest", "hooktui.cli.bench",
    "hooktui.cli.demo", "hooktui.cli.selftest", "hooktui.store.migrations.",
)  # fmt: skip
"""Modules that are run, and those that import them: ``runpy`` warns of one that is imported."""
_CHECKOUT = str(Path(__file__).parents[2])
_READ_AT_IMPORT = (
    "PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "TEXTUAL", "TERM_PROGRAM", "ESCDELAY",
    "SQLALCHEMY_", "PYDANTIC_", "SSLKEYLOGFILE", "SSH_", "SUDO_",
)  # fmt: skip
"""How variables begin that an interpreter or a library reads as it starts.

The last two are read by a server from ``/proc``, where a forked process shows the environment of
this one.
"""
_GIVEN = (
    "args", "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo",
    "creationflags", "shell", "p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite",
    "restore_signals", "gid", "gids", "uid", "umask", "start_new_session", "process_group",
)  # fmt: skip
"""The arguments of ``Popen._execute_child``."""
_USUAL = {
    "executable": None, "preexec_fn": None, "pass_fds": (), "shell": False, "gid": None,
    "gids": None, "uid": None, "umask": -1,
}  # fmt: skip
_MAX_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36
_POPEN = subprocess.Popen


def install() -> None:
    """Replace ``subprocess.Popen`` in this process."""
    subprocess.Popen = _ForkingPopen  # type: ignore[misc]


class _ForkingPopen(_POPEN):  # type: ignore[type-arg]
    """Starts a process of ours by a fork where it can."""

    def _execute_child(self, *values: Any) -> None:
        given = dict(zip(_GIVEN, values, strict=True))
        arguments, environ = given["args"], given["env"]
        environ = os.environ if environ is None else environ
        if any(given[name] != value for name, value in _USUAL.items()) or not _can_fork(
            arguments, environ
        ):
            super()._execute_child(*values)  # type: ignore[misc]
            return
        files = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        files = [number if file == -1 else file for number, file in enumerate(files)]
        request = _request(arguments, environ)
        request |= {"folder": os.fspath(given["cwd"] or Path.cwd())}
        request |= {"group": given["process_group"], "session": given["start_new_session"]}
        self.pid = _fork_server().fork(request, files)
        self._child_created = True
        self._close_pipe_fds(*values[10:16])  # type: ignore[attr-defined]


def fork_in_terminal(command: Sequence[str], environ: Mapping[str, str], terminal: int) -> int:
    """Start a process in a session of its own; return its id, or 0 where this module cannot.

    Args:
        command: the interpreter and its arguments.
        environ: all of its environment.
        terminal: a descriptor of the terminal; the session's, and its input and output.
    """
    if subprocess.Popen is not _ForkingPopen or not _can_fork(command, environ):
        return 0
    request = _request(command, environ) | {"session": True, "terminal": True}
    return _fork_server().fork(request, [terminal] * 3)


def _can_fork(arguments: object, environ: Mapping[str, str]) -> bool:
    if not isinstance(arguments, list | tuple) or not all(isinstance(a, str) for a in arguments):
        return False
    kind, *rest = [*arguments[1:], "", ""]
    if kind == "-P":
        kind, *rest = rest
    module_of_ours = kind == "-m" and rest[0].partition(".")[0] in _OURS
    code = kind == "-c" and "sys.modules" not in rest[0]
    known = arguments[0] == sys.executable and (module_of_ours or code)
    return known and _read_at_import(environ) == _read_at_import(os.environ)


def _request(arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, object]:
    return {
        "arguments": list(arguments),
        "environ": {os.fspath(name): os.fspath(text) for name, text in environ.items()},
        "folder": os.fspath(Path.cwd()),
        "group": -1,
        "session": False,
        "terminal": False,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    }


def _read_at_import(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what an interpreter or a library reads of an environment as it starts.

    The checkout may be in ``PYTHONPATH``: it is where this process has found the program, too.
    """
    read = {name: text for name, text in environ.items() if name.startswith(_READ_AT_IMPORT)}
    read.pop("PYTHONFAULTHANDLER", None)  # a forked process reads it, too
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
            raise ChildProcessError("the process that forks has ended")
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
    """Fork for each request. Returns in the new process alone, ready to run what was asked for."""
    _import_all()
    gc.collect()
    gc.freeze()  # or each collection in a child would copy the memory of all
    starter = os.getppid()
    while True:
        data, files, _, _ = socket.recv_fds(control, _MAX_BYTES, 3)
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
    import alembic.command  # noqa: F401 - imported late by a server with a new database

    import hooktui

    for module in pkgutil.walk_packages(hooktui.__path__, "hooktui."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)


def _become(request: Mapping[str, Any], files: list[int]) -> None:
    """Make this process what the caller asked for."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = sys.__stdin__ = _standard(0, sys.stdin)
    sys.stdout = sys.__stdout__ = _standard(1, sys.stdout)
    sys.stderr = sys.__stderr__ = _standard(2, sys.stderr)
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    if os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    os.chdir(request["folder"])
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(request["files"]))
    if request["session"]:
        os.setsid()
    if request["terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    elif request["group"] != -1:
        os.setpgid(0, request["group"])
    sys.argv = request["arguments"][1:]
    if sys.argv[0] == "-P":
        del sys.argv[0]


def _standard(number: int, like: Any) -> io.TextIOWrapper:
    """Open a standard stream as the interpreter does."""
    unbuffered = like.write_through
    binary = os.fdopen(number, f"{like.mode}b", 0 if unbuffered else -1, closefd=False)
    by_line = number == 2 or binary.isatty()
    stream = io.TextIOWrapper(
        binary, like.encoding, like.errors, line_buffering=by_line, write_through=unbuffered
    )
    stream.mode = like.mode
    return stream


def _run() -> NoReturn:
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _main(control)
    try:
        _run_argument()
        sys.exit()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            _exit_if_written(end.code or 0)
        raise


def _run_argument() -> None:
    """Do what an interpreter does with its first argument, and the next."""
    kind, what = sys.argv[:2]
    if kind == "-m":
        del sys.argv[0]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        del sys.argv[1]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)


def _exit_if_written(code: int) -> None:
    """End as an interpreter does, but leave the modules alone: that takes 50 ms of CPU.

    Returns if the output cannot be written, which an interpreter reports.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


if __name__ == "__main__":
    _run()
