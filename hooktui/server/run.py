"""The process of a server: its start, signals, and shutdown order."""

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hooktui import __version__, failpoints, sockets
from hooktui.domain.machine import condition_of
from hooktui.domain.paths import InstallPaths
from hooktui.domain.text import visible
from hooktui.installation import find_paths, refuse_start_beside_service
from hooktui.loop_watch import WATCH
from hooktui.server import listeners
from hooktui.server.assembly import (
    absolute,
    catalogue_of,
    files_of,
    open_store,
    outbound_of,
    service_of,
    start_engine,
)
from hooktui.server.logs import log_to_stderr
from hooktui.server.settings import BadSettings, Settings, load, unknown_variables
from hooktui.server.systemd import Notifier, is_journal, notifier_of

if TYPE_CHECKING:
    from hooktui.api.listener import Listener
    from hooktui.api.service import Service
    from hooktui.delivery.engine import Engine
    from hooktui.delivery.transport import Transport
    from hooktui.store.base import Store

_log = logging.getLogger(__package__)

_TRAIL_EVERY_S = 24 * 3600.0
_CERTIFICATE_EVERY_S = 60.0
_COLLECT_AFTER = 50_000  # objects: at most some megabytes of uncollected cycles


@dataclass(frozen=True, slots=True)
class Running:
    """A serving server: its Unix socket, and host and port if it listens on TCP."""

    socket: Path
    listen: tuple[tuple[str, int], ...]


def main(
    options: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a server until SIGTERM or SIGINT.

    Args:
        options: settings by field name that override the environment; None counts as absent.
        environ: the environment, which selects the installation; ``os.environ`` by default.

    Raises:
        HooktuiError: it could not start: bad settings, another server on this home, no permission.
    """
    from hooktui.store.key_ring import hold_variable

    environ = os.environ if environ is None else environ
    where = find_paths(environ)
    refuse_start_beside_service(where, environ)
    listeners.refuse_running_server_of_others(where)
    settings = load(where.config, environ, options)
    arm_failpoints(environ)
    log_to_stderr(journal=is_journal(environ, sys.stderr))
    for wrong in unknown_variables(environ):
        _log.warning("%s", wrong)
    hold_variable(environ)
    sockets.raise_file_limit()
    gc.disable()  # during the start, which takes 0.1 s less; imports leave no cycles
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            notifier = notifier_of(environ)
            runner.run(run(settings, where, ready=_tune_garbage_collection, notifier=notifier))
    finally:
        gc.enable()
        # On exit the interpreter resets handlers, but not ignored signals.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of the event loop: uvloop's if it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def run(
    settings: Settings,
    where: InstallPaths,
    *,
    ready: Callable[[Running], None] | None = None,
    stop: asyncio.Event | None = None,
    notifier: Notifier | None = None,
) -> None:
    """Run a server until ``stop`` is set; without one, until SIGTERM or SIGINT.

    Raises:
        HooktuiError: it could not start.
    """
    where = absolute(where, settings)
    catalogue = catalogue_of(settings)
    tls = listeners.tls(settings)
    _warn_of_risks(settings, where)
    files = files_of(settings)
    stop_event = _stop_on_signals() if stop is None else stop
    async with contextlib.AsyncExitStack() as stack:
        store = await open_store(where, settings)
        stack.push_async_callback(store.close)
        tcp = await listeners.bind_tcp(settings)
        stack.callback(listeners.close, tcp)
        resolver, transport = outbound_of(settings, tcp, files)
        stack.callback(transport.close)
        engine, replays = await start_engine(settings, store, transport, files)
        _log_refused_connections(engine, transport)
        watching = asyncio.create_task(watch_trail(store), name="audit trail")
        stack.callback(watching.cancel)
        if tls is not None:
            renewing = asyncio.create_task(watch_certificate(tls), name="certificate")
            stack.callback(renewing.cancel)
        notifier = notifier or Notifier()
        notifying = _notifying(notifier, store, engine)
        stack.callback(notifying.cancel)  # still notified during the shutdown
        stopping = asyncio.Event()
        api: list[Listener] = []

        async def wind_down() -> None:
            """End long polls, accept nothing more, and wait for requests and attempts in flight."""
            stopping.set()
            # Together: attempts may end while requests do.
            await asyncio.gather(engine.stop(), *(listener.stop() for listener in api))

        stack.push_async_callback(wind_down)
        stack.push_async_callback(replays.stop)
        unix = listeners.bind_unix(where.socket)
        stack.callback(listeners.unlink, where.socket, where.socket.stat().st_ino)
        # In a thread: the engine is already running, and this import takes most of a second.
        await asyncio.to_thread(importlib.import_module, "hooktui.api.app")
        service = service_of(
            settings, where, store, engine, replays, catalogue, resolver, transport, files, tls
        )
        service.stopping = stopping
        api += _listeners_of(service, unix, tcp, tls)
        for listener in api:
            await listener.start()
        running = Running(where.socket, tuple(listening.getsockname()[:2] for listening in tcp))
        _log.info("started %s", _facts((await store.info()).location, running))
        stack.callback(asyncio.create_task(WATCH.beat(), name="loop watch").cancel)
        notifier.send(READY=1)
        if ready is not None:
            ready(running)
        await stop_event.wait()
        _log.info("stopping")
        notifier.stopping()
    _log.info("stopped")


def _notifying(notifier: Notifier, store: Store, engine: Engine) -> asyncio.Task[None]:
    def status() -> str:
        load = engine.load()
        return f"{load.delivered_per_s:.1f} delivered a second, {load.in_flight} in flight"

    heartbeats = [*store.heartbeats, engine.heartbeat]
    return asyncio.create_task(
        notifier.run(heartbeats, lambda: engine.working, status), name="systemd"
    )


async def watch_trail(store: Store) -> None:
    """Log the last entry of the audit trail, and any fault of it, now and once a day.

    The log is kept elsewhere (the journal, another machine). A trail that was rewritten with the
    vault's key, or a restored database, lacks the entries that the log names.
    """
    from hooktui.store.audit import trail_state
    from hooktui.store.base import repeat

    async def log_state() -> None:
        state = await store.own_read(trail_state, store.vault)
        if state.fault is not None:
            _log.error("the audit trail is broken: %s", state.fault)
        if state.head is not None:
            _log.info("audit trail: the last entry is %s", state.head)

    await repeat("reading the audit trail", log_state, 0, _TRAIL_EVERY_S)


async def watch_certificate(tls: listeners.TlsFiles) -> None:
    """Use a renewed certificate for new connections, a minute after its files were replaced."""
    from hooktui.store.base import repeat

    async def look() -> None:
        await asyncio.to_thread(tls.look)  # the files may be on a disk that does not respond

    every_s = _CERTIFICATE_EVERY_S
    await repeat("looking at the certificate", look, every_s, every_s)


def _listeners_of(
    service: Service,
    unix: socket.socket,
    tcp: Sequence[socket.socket],
    tls: listeners.TlsFiles | None,
) -> list[Listener]:
    from hooktui.api.app import make_app
    from hooktui.api.listener import Listener

    app = make_app(service)
    connections = (service.connections, service.unsent)
    context = None if tls is None else lambda: tls.context
    return [
        Listener(app, unix, *connections),
        *(Listener(app, listening, *connections, context) for listening in tcp),
    ]


def _tune_garbage_collection(_: Running) -> None:
    """Collect reference cycles less often, and never among objects of the start.

    Deliveries leave no cycles; searching for them took 17 % of the CPU under full load. The start
    leaves 500 objects in cycles: finding these among 150,000 took longer than they are worth.
    """
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


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _ignore_hangups(loop)
    return stop


def _ignore_hangups(loop: asyncio.AbstractEventLoop) -> None:
    """Log a SIGHUP and continue until the process ends: a handler of the loop would end earlier."""

    def note() -> None:
        _log.info("SIGHUP is ignored; changed settings take effect at the next start")

    def handle(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(note)

    signal.signal(signal.SIGHUP, handle)


def _warn_of_risks(settings: Settings, where: InstallPaths) -> None:
    """Log risks of the settings; ``doctor`` shows the same at any time."""
    from hooktui.doctor.exposure import check_exposure

    given = (settings.allow_networks, settings.tls_files, settings.database_url)
    checks = list(check_exposure(*given, os.environ))
    if settings.postgres_url is not None:
        from hooktui.doctor.postgres import check_unused_database

        checks += check_unused_database(where.database)
    for check in checks:
        if check.state != "ok":
            _log.warning("%s: %s; %s", check.name, visible(check.value), visible(check.advice))


def _log_refused_connections(engine: Engine, transport: Transport) -> None:
    """Log once a minute that no file was left for a caller of the API, and free one.

    The event loop retries by itself, and would log a traceback each time.
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


def _facts(database: str, running: Running) -> str:
    listen = ",".join(f"{host}:{port}" for host, port in running.listen) or "-"
    return f"version={__version__} database={database} socket={running.socket} listen={listen}"
