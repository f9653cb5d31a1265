"""Builds the parts of a server: store, transport, engine, and the dependencies of the API.

Modules are imported where they are needed: the engine starts before the API is imported, so that
after a restart the first due delivery does not wait for that import.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hooktui import sockets
from hooktui.domain import catalogue as catalogues
from hooktui.domain.alerts import AlertRules
from hooktui.domain.clock import now_ms, steady_ms, to_rfc3339
from hooktui.domain.errors import UnsafeHome
from hooktui.domain.file_budget import FileBudget, advised_limit, share_files
from hooktui.domain.machine import condition_of
from hooktui.domain.paths import POSTGRES_LEASE, InstallPaths, sqlite_file
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.server import RetentionDays
from hooktui.homes import correct_modes, make_home, refuse_unsafe
from hooktui.server.listeners import TlsFiles
from hooktui.server.settings import BadSettings, Settings

if TYPE_CHECKING:
    from hooktui.api.service import Service
    from hooktui.delivery.engine import Engine
    from hooktui.delivery.replay_runner import ReplayRunner
    from hooktui.delivery.resolver import Resolver
    from hooktui.delivery.transport import Transport
    from hooktui.domain.wire.diagnosis import Check
    from hooktui.store.base import Store

_log = logging.getLogger(__package__)

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_INTEGRITY_CHECK_S = 30.0  # limit of the integrity check for ``doctor``


def catalogue_of(settings: Settings) -> Catalogue:
    """Return the configured event types, by default those of the ETL product, and the alerts."""
    configured = settings.catalogue
    own = catalogues.ETL if configured is None else catalogues.load(configured)
    return catalogues.with_operator_group(own)


def files_of(settings: Settings) -> FileBudget:
    """Distribute the open files.

    Raises:
        TooFewFiles: the limit of the process is too low for a server.
    """
    files = share_files(
        sockets.file_limit(), connections=settings.max_connections, outbound=settings.max_outbound
    )
    if settings.max_outbound is not None and files.outbound < settings.max_outbound:
        _log.warning(
            "max_outbound is %d, and the limit of %d open files leaves %d connections to receivers;"
            " raise it to %d with LimitNOFILE in the service, or ulimit -n",
            settings.max_outbound, files.limit, files.outbound,
            advised_limit(files.limit, settings.max_outbound),
        )  # fmt: skip
    return files


async def open_store(where: InstallPaths, settings: Settings) -> Store:
    """Prepare the home, and open the database of the settings.

    Raises:
        HooktuiError: it cannot be used, or another server works on this home.
    """
    _prepare_home(where)
    keep = RetentionDays(days=settings.keep_days, bodies_days=settings.keep_bodies_days)
    rules = AlertRules(
        after_failures=settings.alert_after_failures,
        after_s=settings.alert_after_s,
        quiet_s=settings.alert_quiet_s,
    )
    if settings.postgres_url is not None:
        from hooktui.store.postgres.store import PostgresStore

        return await PostgresStore.open(
            settings.postgres_url,
            home=where.home,
            key_file=where.key_file,
            keep=keep,
            rules=rules,
        )
    if settings.database_url is None:
        _refuse_second_database(where)
    from hooktui.store.sqlite.store import SqliteStore

    # The store takes the lock of its home: a second server fails here.
    return await SqliteStore.open(
        where.database,
        key_file=where.key_file,
        keep=keep,
        reserve=settings.reserve_mb << 20,
        steady=steady_ms,
        rules=rules,
    )


def _prepare_home(where: InstallPaths) -> None:
    """Create the home, or check that only this user can write it.

    Raises:
        BadSettings: it cannot be used.
    """
    for folder in (where.home, where.database.parent):
        try:
            make_home(folder)
        except OSError as error:
            raise BadSettings(
                f"cannot create the folder {folder}: {error.strerror}; {_to_write(folder, where)}"
            ) from None
    try:
        refuse_unsafe(where)
        correct_modes(where)
    except UnsafeHome as error:
        raise BadSettings(error.detail) from None
    except OSError as error:
        raise BadSettings(f"cannot use {error.filename}: {error.strerror}") from None
    for folder in (where.home, where.database.parent):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BadSettings(f"{folder} is not writable; {_to_write(folder, where)}")


def _to_write(folder: Path, where: InstallPaths) -> str:
    """Return what makes a folder writable, or the setting that names another one."""
    if where.service:
        return (
            "the service needs a folder of its user and, outside of /var/lib/hooktui, the line"
            f" ReadWritePaths={folder} in its unit (systemctl edit hooktui)"
        )
    setting = "HOOKTUI_HOME" if folder == where.home else "database_url"
    return f"set {setting} to another folder"


def _refuse_second_database(where: InstallPaths) -> None:
    """Check that the servers of this home did not use PostgreSQL before.

    Started without its address, such as by a console that finds no server, a new one would accept
    events for a database without hooks.

    Raises:
        BadSettings: they did.
    """
    lease = where.home / POSTGRES_LEASE
    if lease.exists() and not where.database.exists():
        raise BadSettings(
            f"the last server of {where.home} used a PostgreSQL database: name it with --database"
            f" or HOOKTUI_DATABASE_URL. To begin with a new SQLite database, remove {lease}"
        )


def outbound_of(
    settings: Settings, tcp: Sequence[socket.socket], files: FileBudget
) -> tuple[Resolver, Transport]:
    """Return the resolver, and the transport, which refuses addresses that this server listens on.

    The limit of open files bounds both the look-ups and the connections.
    """
    from hooktui.delivery.resolver import Resolver
    from hooktui.delivery.transport import Transport

    resolver = Resolver(threads=files.lookup_threads)
    transport = Transport(settings.allow_networks, resolver, limit=files.outbound + files.pings)
    transport.refuse_own_listeners(listening.getsockname()[:2] for listening in tcp)
    return resolver, transport


async def start_engine(
    settings: Settings, store: Store, transport: Transport, files: FileBudget
) -> tuple[Engine, ReplayRunner]:
    """Start to send due deliveries, and to run replays."""
    from hooktui.delivery.engine import Engine
    from hooktui.delivery.replay_runner import ReplayRunner

    engine = Engine(
        store,
        transport,
        clock=store.clock,
        max_in_flight=files.outbound,
        max_pings=files.pings,
        auto_max=settings.auto_in_flight_max,
    )
    await engine.start()
    replays = ReplayRunner(store, engine)
    replays.start()
    return engine, replays


def service_of(
    settings: Settings,
    where: InstallPaths,
    store: Store,
    engine: Engine,
    replays: ReplayRunner,
    catalogue: Catalogue,
    resolver: Resolver,
    transport: Transport,
    files: FileBudget,
    tls: TlsFiles | None,
) -> Service:
    """Return the dependencies of the API."""
    from hooktui.api.connection_limiter import ConnectionLimiter
    from hooktui.api.service import CallLimits, RoleMap, Service
    from hooktui.delivery.receiver_probe import ReceiverProbe
    from hooktui.delivery.resolver import UrlCheck
    from hooktui.domain.filters.limits import FilterLimits

    listen = [settings.listen.rpartition(":")[0].lower()] if settings.listen else []
    return Service(
        store=store,
        engine=engine,
        replays=replays,
        catalogue=catalogue,
        check_url=UrlCheck(settings.allow_networks, resolver),
        started_at=to_rfc3339(now_ms()),
        name=socket.gethostname(),
        disk=where.database.parent,
        roles=RoleMap(settings.users, settings.groups),
        hosts=frozenset((*_LOOPBACK_NAMES, *listen, *(name.lower() for name in settings.hosts))),
        api_docs=settings.api_docs,
        connections=ConnectionLimiter(min(settings.max_connections, files.api), in_all=files.api),
        limits=CallLimits(
            settings.events_per_s,
            settings.calls_per_s,
            settings.max_hooks,
            FilterLimits(
                settings.max_filter_terms, settings.max_filter_patterns, settings.max_filter_length
            ),
        ),
        auto_in_flight_max=settings.auto_in_flight_max,
        files_limit=files.limit,
        check=_with_engine(_local_checks(where, settings, store), engine, settings, tls),
        key_file=where.key_file,
        probe=ReceiverProbe(transport.dialer, files.diagnoses, engine.shortages),
    )


def _with_engine(
    local_checks: Callable[[], Awaitable[Sequence[Check]]],
    engine: Engine,
    settings: Settings,
    tls: TlsFiles | None,
) -> Callable[[], Awaitable[Sequence[Check]]]:
    """Return a check of the installation and of the engine's shortages."""
    from hooktui.doctor.exposure import check_exposure
    from hooktui.doctor.rules import assess_outbound, assess_shortage
    from hooktui.domain.wire.diagnosis import Check

    def check_files() -> list[Check]:
        return list(
            check_exposure(
                settings.allow_networks,
                settings.tls_files,
                settings.database_url,
                os.environ,
                None if tls is None else tls.fault,
            )
        )

    async def check() -> Sequence[Check]:
        try:
            checks = await local_checks()
        except OSError as error:
            condition = condition_of(error)
            if condition is None:
                raise
            engine.shortages.note(condition, "a check of the installation")
            missing = f"this machine {condition.words}, so most checks were not made"
            checks = [Check("machine", "fail", missing, condition.advice)]
        exposed = await asyncio.to_thread(check_files)
        load = engine.load()
        return [
            *checks,
            *exposed,
            assess_outbound(
                load.outbound, load.most_outbound, settings.max_outbound, short=load.short
            ),
            assess_shortage(load.shortage, now_ms()),
        ]

    return check


def _local_checks(
    where: InstallPaths, settings: Settings, store: Store
) -> Callable[[], Awaitable[Sequence[Check]]]:
    """Return a check of this installation from inside; the clocks are compared from now on."""
    from hooktui.doctor.machine import StartTime

    started = StartTime()
    if settings.postgres_url is not None:
        from hooktui.doctor.postgres import check_shared
        from hooktui.store.postgres.connections import parse_database_url

        return partial(check_shared, where, parse_database_url(settings.postgres_url), started)
    from hooktui.doctor.sqlite import check_installation

    def check() -> Sequence[Check]:
        space = store.disk_space()
        free, reserve = None if space is None else space.free, settings.reserve_mb << 20
        return check_installation(where, reserve, started, _INTEGRITY_CHECK_S, free)

    return partial(asyncio.to_thread, check)


def absolute(where: InstallPaths, settings: Settings) -> InstallPaths:
    """Return absolute paths; the settings may name another database."""
    url = settings.database_url
    database = where.database
    if url is not None and settings.postgres_url is None:
        named = sqlite_file(url)
        if named is None:
            raise BadSettings(
                "the database address must be sqlite:///PATH (four slashes for an absolute path)"
                " or postgresql://USER:PASSWORD@HOST:PORT/NAME"
            )
        database = named
    return where.absolute(database)
