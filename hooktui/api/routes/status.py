"""The state of the server: liveness, readiness, and figures."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from hooktui import __version__
from hooktui.api.access import DEFAULT_ACCOUNT, caller_of
from hooktui.api.parameters import AccountParameter, make_router
from hooktui.api.responses import respond
from hooktui.api.service import Service, check_account, in_turn, read, service_of
from hooktui.domain.clock import now_ms, to_rfc3339
from hooktui.domain.deliveries import Load
from hooktui.domain.errors import DiskFull, Unavailable
from hooktui.domain.wire.server import (
    ClientConnections,
    Connections,
    Disk,
    Health,
    LoopHold,
    Rates,
    ServerInfo,
    ServerStatus,
    ShortageInfo,
)
from hooktui.loop_watch import WATCH
from hooktui.store import queries
from hooktui.store.write_queue import STALLED_S, stalled

READY_WITHIN_S = 2.0

router = make_router("server")


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """Report liveness: the process responds."""
    return respond(Health(status="ok"))


@router.get("/readyz", response_model=Health)
async def readyz(request: Request) -> Response:
    """Report readiness: the database responds and commits, deliveries are sent, disk space."""
    service = service_of(request)
    if service.stopping.is_set():
        raise Unavailable("the server is stopping")
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await check_account(service, DEFAULT_ACCOUNT)
    except TimeoutError:
        raise Unavailable(f"the database did not respond within {READY_WITHIN_S:g} s") from None
    if not service.engine.working:
        raise Unavailable("sending has stopped; see the log for the cause, and restart the server")
    for heartbeat in service.store.heartbeats:
        if heartbeat.age_s > STALLED_S:
            raise stalled(heartbeat.age_s)
    failure = service.store.write_failure
    if failure is not None:
        raise Unavailable(failure.detail)
    try:
        service.store.check_room()
    except DiskFull as error:
        raise Unavailable(error.detail, retry_after_s=60) from None
    return respond(Health(status="ready"))


@router.get("/v1/status", response_model=ServerStatus)
async def server_status(request: Request, account: AccountParameter = None) -> Response:
    """Show version, database, role, servers, backlog, rates and disk space."""
    service, caller = service_of(request), caller_of(request)
    owner = caller.account_or_any(account)
    await check_account(service, owner)
    about_us = ServerStatus(
        version=__version__,
        database=None,
        role=caller.role,
        user=caller.user,
        servers=(),
        backlog=await read(request, queries.backlog, owner, now_ms()),
        rates=None,
        disk=None,
        paused=(await read(request, queries.engine_state)).paused,
        breakers=await read(request, queries.open_breakers, owner),
        keep=service.store.keep,
        bound_to=caller.bound_to,
        alerts=await read(request, queries.alert_counts, owner),
        alert_path=await read(
            request, queries.alert_path, owner, list(service.store.alert_hooks())
        ),
    )
    if caller.bound_to is not None:
        return respond(about_us)
    return respond(await _with_installation(request, about_us))


async def _with_installation(request: Request, status: ServerStatus) -> ServerStatus:
    """Add facts of all accounts and the machine, which tokens bound to one account may not see."""
    service = service_of(request)
    load, hold = service.engine.load(), WATCH.longest()
    longest_s = max(heartbeat.longest_s() for heartbeat in service.store.heartbeats)
    this = ServerInfo(
        number=service.store.number,
        name=service.name,
        pid=os.getpid(),
        started_at=service.started_at,
        version=__version__,
    )
    return replace(
        status,
        database=replace(
            await in_turn(request, service.store.info),
            longest_commit_ms=round(longest_s * 1000, 1),
        ),
        servers=(this, *await in_turn(request, service.store.others)),
        rates=Rates(
            accepted_per_s=load.accepted_per_s,
            delivered_per_s=load.delivered_per_s,
            failed_per_s=load.failed_per_s,
            in_flight=load.in_flight,
        ),
        disk=await disk_of(service),
        connections=_connections(service, load),
        clients=client_connections(service),
        loop=LoopHold() if hold is None else LoopHold(longest_ms=hold.seconds * 1000, by=hold.by),
    )


def client_connections(service: Service) -> ClientConnections:
    """Return the number of client connections and the memory held for them."""
    connections, unsent = service.connections, service.unsent
    return ClientConnections(
        most=connections.max_connections,
        **connections.counts(),
        refused=connections.refused,
        evicted=connections.evicted,
        reset=unsent.reset,
        unsent_bytes=unsent.size,
        held_bytes=unsent.bodies.size,
        held_most=unsent.bodies.max_bytes,
    )


def _connections(service: Service, load: Load) -> Connections:
    last = load.shortage
    return Connections(
        most=load.most_outbound,
        in_use=load.outbound,
        idle=load.idle,
        waiting=load.short,
        files_limit=service.files_limit,
        shortage=None
        if last is None
        else ShortageInfo(
            condition=last.condition,
            message=f"this machine {last.condition.words}",
            advice=last.condition.advice,
            at=to_rfc3339(last.at_ms),
            counts={condition.value: count for condition, count in last.counts.items()},
        ),
    )


async def disk_of(service: Service) -> Disk:
    """Return the space that events have, or on this machine's disk if the database is remote."""
    space = await asyncio.to_thread(service.store.disk_space)
    if space is not None:
        return space
    usage = await asyncio.to_thread(shutil.disk_usage, service.disk)
    return Disk(free=usage.free, total=usage.total)
