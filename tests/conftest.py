"""What holds for every test: nothing leaves this machine, and how many run at once.

An audit hook sees each connect of this process, whoever makes it, and fails the test that dials
anything but loopback or a Unix socket. Names other than ``localhost`` do not exist in tests: a real
look-up would dial a name server.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support import fork_server

if TYPE_CHECKING:
    from tests.support.postgres import PostgresServer

# Containers often set it. Then each of a thousand processes that the tests start would compile the
# program anew, and each worker all tests.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    sys.dont_write_bytecode = False
# Tests choose the environment of many processes. One that lacks what this process has would be
# started anew, not forked.
os.environ.pop("PYTHONUNBUFFERED", None)
for _name in ("LANG", "LC_CTYPE"):
    if os.environ.get(_name) == "C.UTF-8":  # which Python takes where there is no locale
        del os.environ[_name]

os.umask(0o022)  # tests make folders for other users, and check modes that depend on it

# A run in the background of a script inherits ignored signals, and so would each process it starts.
_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP, signal.SIGQUIT)
for _number in _SIGNALS:
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        )

# How fast inputs are made says how busy the machine is, as do deadlines of single examples.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_NAMES = frozenset({"localhost", "127.0.0.1", "::1", ""})
_dialled: list[str] = []


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple):  # a path: AF_UNIX, AF_NETLINK and the like
        return isinstance(address, str | bytes) or address is None
    try:
        host = ip_address(address[0] or "127.0.0.1")
    except ValueError:
        return address[0] == "localhost"
    return any(host in network for network in _LOOPBACK)


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if not _is_local(arguments[1]):
            _dialled.append(f"{event} {arguments[1]!r}")
            raise PermissionError(f"tests dial loopback only, not {arguments[1]!r}")
    elif event == "socket.getaddrinfo":
        name = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        with contextlib.suppress(ValueError):
            ip_address(str(name))
            return
        if name is not None and name not in _NAMES:
            raise socket.gaierror(socket.EAI_NONAME, f"tests look no names up, {name!r} neither")


sys.addaudithook(_guard)
fork_server.install()


_MAX_WORKERS = 48
"""However many cores there are: each has a PostgreSQL server and other processes of its own."""


def pytest_xdist_auto_num_workers() -> int:
    """Start five workers for two cores: many tests wait for a process.

    With four a fifth of the time was idle. Each collects all tests, and starts a PostgreSQL server
    and other processes: eight seconds of CPU.
    """
    return min(5 * len(os.sched_getaffinity(0)) // 2, _MAX_WORKERS)


_TESTS = Path(__file__).parent
_FAST = ("domain", "client", "cli", "contract")
"""Folders of ``-m fast``: everything that needs neither PostgreSQL nor a console."""


_LONGEST = ("test_code_rules.py", "test_pictures.py")


def _spread(files: Iterable[Path]) -> dict[Path, float]:
    """Return a place between 0 and 1 for each file, evenly within its folder."""
    folders: dict[Path, list[Path]] = {}
    for file in sorted(files):
        folders.setdefault(file.parent, []).append(file)
    return {
        file: (number + 0.5) / len(folder)
        for folder in folders.values()
        for number, file in enumerate(folder)
    }


def _in_fast_folder(path: Path) -> bool:
    return path.relative_to(_TESTS).parts[0] in _FAST


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing for ``-m fast`` that it would only deselect."""
    if config.option.markexpr != "fast" or _TESTS not in collection_path.parents:
        return None
    return None if _in_fast_folder(collection_path) else True


def _is_fast(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params.values() if callspec is not None else ()
    needs_postgres = "postgres" in parameters or "postgres" in getattr(item, "fixturenames", ())
    return _in_fast_folder(item.path) and not needs_postgres and not item.get_closest_marker("soak")


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast tests, and spread the folders over the run.

    Workers begin with equal shares of the list. So that each has tests that compute and tests that
    wait for a process, the files of every folder are spread over the whole list. The type checker
    and the pictures, which take longest, come first.
    """
    for item in items:
        if _is_fast(item):
            item.add_marker(pytest.mark.fast)
    places = _spread({item.path for item in items})
    items.sort(key=lambda item: (item.path.name not in _LONGEST, places[item.path], item.path))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let no later collection of garbage look through thousands of tests, and collect seldom.

    With the usual threshold of 700 it was a sixth of the time of a test of the console.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Write texts in a test's name as short escapes: names go to terminals and between workers."""
    if isinstance(val, str | bytes):
        text = ascii(val)[1:-1] if isinstance(val, str) else ascii(val)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return None


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Fail the test that dialled out, also where the program handled the refusal."""
    _dialled.clear()
    yield
    outside, _dialled[:] = list(_dialled), []
    assert not outside, f"the test dialled {outside}"


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Fail the test that leaves a signal ignored: the programs of later tests would inherit it."""
    before = _ignored()
    yield
    left = _ignored() - before
    for number in left:
        signal.signal(number, signal.SIG_DFL)
    assert not left, f"the test leaves {sorted(left)} ignored"


def _ignored() -> set[signal.Signals]:
    return {number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_IGN}


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests of a process; each test makes a database of its own."""
    from tests.support.postgres import running

    with running() as server:
        yield server
