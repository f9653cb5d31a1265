"""The server: puts store, engine and API together, and takes them apart again in the right order.

The engine starts before the API is even imported, so that after a restart the first waiting
delivery does not wait for that too.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hooktui import __version__, failpoints, listening, sockets
from hooktui.domain import catalogue as catalogues
from hooktui.domain.clock import now_ms, steady_ms, to_rfc3339
from hooktui.domain.errors import UnsafeHome
from hooktui.domain.file_budget import FileBudget, share_files
from hooktui.domain.machine import condition_of
from hooktui.domain.objects import Catalogue
from hooktui.domain.places import Places
from hooktui.domain.server_status import Kept
from hooktui.domain.text import visible
from hooktui.homes import make_home, mend_modes, refuse_unsafe
from hooktui.installation import find_places, refuse_start_beside_service
from hooktui.logs import log_to_stderr
from hooktui.loop_watch import WATCH
from hooktui.settings import BadSettings, Settings, load
from hooktui.systemd import Notifier, is_journal, notifier_of

if TYPE_CHECKING:
    from hooktui.api.http import Listener
    from hooktui.api.service import Limits, Service
    from hooktui.delivery.engine import Engine
    from hooktui.delivery.resolver import Resolver
    from hooktui.delivery.transport import Transport
    from hooktui.domain.checks import Check
    from hooktui.store.contract import Store

_log = logging.getLogger(__name__)

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
_LOOK_THROUGH_FOR_S = 30.0  # of a large database, when ``doctor`` asks
_COLLECT_AFTER = 50_000  # objects: some megabytes of cycles at the most wait for the collector


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its Unix socket, and host and port where it listens on TCP."""

    socket: Path
    listen: tuple[tuple[str, int], ...]


def main(
    options: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    ready: Callable[[Running], None] | None = None,
) -> None:
    """Run a server until SIGTERM or SIGINT.

    Args:
        options: settings by field name that go before the environment; None counts as not given.
        environ: says where things lie; ``os.environ`` by default.
        ready: called once the server answers.

    Raises:
        HooktuiError: it could not start: bad settings, another server on this home, no permission.
    """
    environ = os.environ if environ is None else environ
    where = find_places(environ)
    refuse_start_beside_service(where, environ)
    settings = load(where.config, options)
    arm_failpoints(environ)
    log_to_stderr(journal=is_journal(environ, sys.stderr))
    sockets.raise_file_limit()

    def answering(running: Running) -> None:
        _collect_seldom()
        if ready is not None:
            ready(running)

    gc.disable()  # until it answers: imports leave no cycles, and a start takes 0.1 s less
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            told = notifier_of(environ)
            runner.run(run(settings, where, ready=answering, notifier=told))
    finally:
        gc.enable()
        # At its end the interpreter gives handlers up, and leaves what is ignored alone.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop: uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def run(
    settings: Settings,
    where: Places,
    *,
    ready: Callable[[Running], None] | None = None,
    stop: asyncio.Event | None = None,
    notifier: Notifier | None = None,
) -> None:
    """Run a server until ``stop`` is set; without one, until SIGTERM or SIGINT.

    Raises:
        HooktuiError: it could not start.
    """
    where = _absolute(where, settings)
    catalogue = _catalogue(settings)
    tls = listening.tls(settings)
    _warn_of_exposure(settings)
    files = _share_files(settings)
    wanted = _stop_on_signals() if stop is None else stop
    async with contextlib.AsyncExitStack() as stack:
        store = await _open_store(where, settings)
        stack.push_async_callback(store.close)
        tcp = await listening.bind_tcp(settings)
        stack.callback(listening.close, tcp)
        resolver = _resolver(files)
        transport = _transport(settings, resolver, tcp, files)
        stack.callback(transport.close)
        engine = await _start_engine(store, transport, files)
        _tell_of_refused_connections(engine, transport)
        stack.callback(_watching_trail(store).cancel)
        notifier = notifier or Notifier()
        stack.callback(_telling(notifier, store, engine).cancel)  # still fed while it stops
        winding_down = _WindingDown(engine)
        stack.push_async_callback(winding_down)
        unix = listening.bind_unix(where.socket)
        stack.callback(listening.unlink, where.socket, where.socket.stat().st_ino)
        await winding_down.serve(
            lambda: _service(settings, where, store, engine, catalogue, resolver, transport, files),
            unix,
            tcp,
            tls,
        )
        running = Running(where.socket, tuple(one.getsockname()[:2] for one in tcp))
        _log.info("started %s", _facts((await store.info()).location, running))
        stack.callback(asyncio.create_task(WATCH.beat(), name="loop watch").cancel)
        notifier.tell(READY=1)
        if ready is not None:
            ready(running)
        await wanted.wait()
        _log.info("stopping")
        notifier.stopping()
    _log.info("stopped")


def _telling(notifier: Notifier, store: Store, engine: Engine) -> asyncio.Task[None]:
    def status() -> str:
        load = engine.load()
        return f"{load.delivered_per_s:.1f} delivered a second, {load.in_flight} under way"

    pulses = [*store.pulses, engine.pulse]
    return asyncio.create_task(
        notifier.keep_telling(pulses, lambda: engine.working, status), name="systemd"
    )


def _watching_trail(store: Store) -> asyncio.Task[None]:
    from hooktui.store.audit_watch import watch_trail

    return asyncio.create_task(watch_trail(store), name="audit trail")


class _WindingDown:
    """The end of engine and listeners, together: attempts may end while requests do."""

    def __init__(self, engine: Engine) -> None:
        self.stopping = asyncio.Event()
        self._engine = engine
        self._listeners: list[Listener] = []

    async def serve(
        self,
        make_service: Callable[[], Service],
        unix: socket.socket,
        tcp: Sequence[socket.socket],
        tls: tuple[Path, Path] | None,
    ) -> None:
        """Answer on all sockets."""
        # In a thread: the engine is at work already, and importing this takes most of a second.
        await asyncio.to_thread(importlib.import_module, "hooktui.api.app")
        from hooktui.api.app import make_app
        from hooktui.api.http import Listener

        service = make_service()
        service.stopping = self.stopping
        app = make_app(service)
        connections = (service.connections, service.unsent)
        self._listeners = [Listener(app, unix, *connections)]
        self._listeners += [Listener(app, one, *connections, tls) for one in tcp]
        for listener in self._listeners:
            await listener.start()

    async def __call__(self) -> None:
        """Let long polls end, take nothing more, and wait for what is under way."""
        self.stopping.set()
        await asyncio.gather(
            self._engine.stop(), *(listener.stop() for listener in self._listeners)
        )


def _collect_seldom() -> None:
    """Look for reference cycles less often, and never in what a start has built.

    What a delivery leaves has no cycles; looking for some took 17 % of the CPU under full load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
    gc.enable()


# The steps, in the order of the start


def arm_failpoints(environ: Mapping[str, str]) -> None:
    """Arm what ``HOOKTUI_FAILPOINT`` names.

    Raises:
        BadSettings: there is no such point, or ``HOOKTUI_TESTING=1`` is missing.
    """
    try:
        failpoints.arm_from(environ)
    except ValueError as error:
        raise BadSettings(f"{failpoints.VARIABLE}: {error}") from None


def _absolute(where: Places, settings: Settings) -> Places:
    """Return the places as they are whatever the working folder; the database may lie elsewhere."""
    url = settings.database_url
    database = where.database
    if url is not None and not url.startswith(_POSTGRES):
        if not url.startswith(_SQLITE) or not url.removeprefix(_SQLITE):
            raise BadSettings(
                "HOOKTUI_DATABASE_URL: write it as sqlite:///PATH (four slashes for an absolute"
                " one) or postgresql://USER:PASSWORD@HOST:PORT/NAME"
            )
        database = Path(url.removeprefix(_SQLITE))
    return replace(
        where,
        home=where.home.absolute(),
        database=database.absolute(),
        socket=where.socket.absolute(),
        key_file=where.key_file.absolute(),
    )


def _catalogue(settings: Settings) -> Catalogue:
    return catalogues.ETL if settings.catalogue is None else catalogues.load(settings.catalogue)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _ignore_hangups(loop)
    return stop


def _ignore_hangups(loop: asyncio.AbstractEventLoop) -> None:
    """Log a SIGHUP and go on, until the process ends: a handler of the loop would end with it."""

    def note() -> None:
        _log.warning("SIGHUP is ignored; changed settings take effect at the next start")

    def handle(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(note)

    signal.signal(signal.SIGHUP, handle)


def _share_files(settings: Settings) -> FileBudget:
    """Return who may have how many files open.

    Raises:
        TooFewFiles: the limit of the process is too small for a server.
    """
    files = share_files(
        sockets.file_limit(), connections=settings.max_connections, outbound=settings.max_outbound
    )
    if settings.max_outbound is not None and files.outbound < settings.max_outbound:
        _log.warning(
            "max_outbound is %d, and the limit of %d open files leaves %d connections to receivers;"
            " raise it with LimitNOFILE in the service, or ulimit -n",
            settings.max_outbound, files.limit, files.outbound,
        )  # fmt: skip
    return files


def _warn_of_exposure(settings: Settings) -> None:
    """Log what the settings leave open; ``doctor`` shows the same at any time."""
    from hooktui.doctor.exposure import check_exposure

    for check in check_exposure(settings, os.environ):
        if check.state != "ok":
            _log.warning("%s: %s; %s", check.name, visible(check.value), visible(check.advice))


def _tell_of_refused_connections(engine: Engine, transport: Transport) -> None:
    """Log in a line a minute that no file was left for a caller of the API; make room for one.

    The event loop tries again by itself, and would log a traceback each time.
    """

    def on_error(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        condition = condition_of(error) if isinstance(error, OSError) else None
        if condition is None or "accept" not in str(context.get("message", "")):
            loop.default_exception_handler(context)
            return
        engine.shortages.note(condition, "a connection to the API")
        transport.close_idle()

    asyncio.get_running_loop().set_exception_handler(on_error)


async def _open_store(where: Places, settings: Settings) -> Store:
    _prepare_home(where)
    from hooktui.store.retention import Keep

    keep = Keep(settings.keep_days, settings.keep_bodies_days)
    if _is_shared(settings):
        from hooktui.store.postgres.store import PostgresStore

        return await PostgresStore.open(
            settings.database_url or "", home=where.home, key_file=where.key_file, keep=keep
        )
    from hooktui.store.sqlite import SqliteStore

    # The store takes the lock of its home: a second server ends here.
    return await SqliteStore.open(
        where.database,
        key_file=where.key_file,
        keep=keep,
        reserve=settings.reserve_mb << 20,
        steady=steady_ms,
    )


def _prepare_home(where: Places) -> None:
    """Make the home, or see that it is this user's alone.

    Raises:
        BadSettings: it cannot be used.
    """
    for folder in (where.home, where.database.parent):
        try:
            make_home(folder)
        except OSError as error:
            raise BadSettings(f"cannot make the folder {folder}: {error.strerror}") from None
    try:
        refuse_unsafe(where)
        mend_modes(where)
    except UnsafeHome as error:
        raise BadSettings(error.detail) from None
    except OSError as error:
        raise BadSettings(f"cannot use {error.filename}: {error.strerror}") from None
    for folder in (where.home, where.database.parent):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BadSettings(f"{folder} may not be written; set HOOKTUI_HOME to another folder")


def _is_shared(settings: Settings) -> bool:
    """Whether the data lies in PostgreSQL, where other servers may work on it too."""
    return settings.database_url is not None and settings.database_url.startswith(_POSTGRES)


def _resolver(files: FileBudget) -> Resolver:
    from hooktui.delivery.resolver import Resolver

    return Resolver(threads=files.lookup_threads)


def _transport(
    settings: Settings, resolver: Resolver, tcp: Sequence[socket.socket], files: FileBudget
) -> Transport:
    from hooktui.delivery.transport import Transport

    transport = Transport(settings.allow_networks, resolver, most=files.outbound + files.pings)
    transport.refuse_own_listeners(one.getsockname()[:2] for one in tcp)
    return transport


async def _start_engine(store: Store, transport: Transport, files: FileBudget) -> Engine:
    from hooktui.delivery.engine import Engine

    engine = Engine(
        store, transport, clock=store.clock, most=files.outbound, most_pings=files.pings
    )
    await engine.start()
    return engine


def _service(
    settings: Settings,
    where: Places,
    store: Store,
    engine: Engine,
    catalogue: Catalogue,
    resolver: Resolver,
    transport: Transport,
    files: FileBudget,
) -> Service:
    from hooktui.api.connection_limiter import ConnectionLimiter
    from hooktui.api.service import RoleMap, Service
    from hooktui.delivery.diagnose import Looker
    from hooktui.delivery.url_judge import UrlJudge

    listen = [settings.listen.rpartition(":")[0].lower()] if settings.listen else []
    connections = min(settings.max_connections, files.api)
    return Service(
        store=store,
        engine=engine,
        catalogue=catalogue,
        event_types=frozenset(catalogues.type_ids(catalogue)),
        judge_url=UrlJudge(settings.allow_networks, resolver),
        version=__version__,
        started_at=to_rfc3339(now_ms()),
        name=socket.gethostname(),
        disk=where.database.parent,
        reserve=0 if _is_shared(settings) else settings.reserve_mb << 20,
        keep=Kept(days=settings.keep_days, bodies_days=settings.keep_bodies_days),
        roles=RoleMap(settings.users, settings.groups),
        hosts=frozenset((*_LOOPBACK_NAMES, *listen, *(name.lower() for name in settings.hosts))),
        api_docs=settings.api_docs,
        connections=ConnectionLimiter(connections, in_all=files.api),
        limits=_limits(settings, connections),
        files_limit=files.limit,
        check=_with_engine(_checkup(where, settings), engine, settings),
        key_file=where.key_file,
        look=Looker(transport.dialer, at_once=files.diagnoses, shortages=engine.shortages),
    )


def _limits(settings: Settings, connections: int) -> Limits:
    from hooktui.api.service import Limits
    from hooktui.domain.filter_limits import FilterLimits

    return Limits(
        connections,
        settings.events_per_s,
        settings.calls_per_s,
        settings.max_hooks,
        FilterLimits(
            settings.max_filter_terms, settings.max_filter_patterns, settings.max_filter_length
        ),
    )


def _with_engine(
    checkup: Callable[[], Awaitable[Sequence[Check]]], engine: Engine, settings: Settings
) -> Callable[[], Awaitable[Sequence[Check]]]:
    """Return what looks at the installation and at what the engine lacked."""
    from hooktui.doctor.exposure import check_exposure
    from hooktui.domain.checks import Check, judge_outbound, judge_shortage

    async def check() -> Sequence[Check]:
        try:
            found = await checkup()
        except OSError as error:
            condition = condition_of(error)
            if condition is None:
                raise
            engine.shortages.note(condition, "a look at the installation")
            missing = f"this machine {condition.words}, so most checks could not be made"
            found = [Check("machine", "fail", missing, condition.advice)]
        load = engine.load()
        return [
            *found,
            *check_exposure(settings, os.environ),
            judge_outbound(
                load.outbound, load.most_outbound, settings.max_outbound, short=load.short
            ),
            judge_shortage(load.shortage, now_ms()),
        ]

    return check


def _checkup(where: Places, settings: Settings) -> Callable[[], Awaitable[Sequence[Check]]]:
    """Return what looks at this installation from inside; the clocks are compared from now on."""
    from hooktui.doctor.machine import Started

    started = Started()
    if settings.database_url is not None and not settings.database_url.startswith(_SQLITE):
        from hooktui.doctor.postgres import check_shared
        from hooktui.store.postgres.connect import target_of

        return partial(check_shared, where, target_of(settings.database_url), started)
    from hooktui.doctor.sqlite import check_installation

    reserve = settings.reserve_mb << 20
    return lambda: asyncio.to_thread(
        check_installation, where, reserve, started, _LOOK_THROUGH_FOR_S
    )


def _facts(database: str, running: Running) -> str:
    listen = ",".join(f"{host}:{port}" for host, port in running.listen) or "-"
    return f"version={__version__} database={database} socket={running.socket} listen={listen}"
