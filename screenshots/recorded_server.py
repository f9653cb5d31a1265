"""The server of the pictures: the real API over a store that holds the recorded day.

It sends nothing. A ping is answered in the mood of its receiver, and a diagnosis sees what is
written down here: the hosts of the pictures do not exist.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from recorded_day import ACCOUNT, RecordedDay, settings_of
from still_clock import StillClock

from hooktui.api import access, identity
from hooktui.api.routes import status
from hooktui.api.app import make_app
from hooktui.api.listener import Listener
from hooktui.api.peer_credentials import Names
from hooktui.api.connection_limiter import ConnectionLimiter
from hooktui.api.service import CallLimits, RoleMap, Service
from hooktui.client import AsyncClient, ServerAddress, calls
from hooktui.domain.adaptive_limit import DEFAULT_MAX_LIMIT, FIRST_LIMIT
from hooktui.domain.catalogue import ETL
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.deliveries import Load
from hooktui.domain.filters.limits import FilterLimits
from hooktui.domain.wire.diagnosis import (
    AddressFinding,
    Certificate,
    Check,
    ConnectionFindings,
    TlsFinding,
)
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.ids import DeliveryId, HookId
from hooktui.domain.wire.deliveries import Phases
from hooktui.domain.wire.hooks import HookPace, LimitedBy
from hooktui.domain.wire.server import DatabaseInfo, Disk
from hooktui.sockets import bind
from hooktui.demo.receiver import Behaviour
from hooktui.demo.runner import DEMO_HOOKS, DemoHook
from hooktui.store import audit_key
from hooktui.store.sqlite import connections
from hooktui.store.contract import Acceptance, NewEvent
from hooktui.store.sqlite.store import SqliteStore

DAY_MS = 24 * 3600 * 1000
CUT_AGO_MS = 12 * 60 * 1000
PID = 4711
DISK = Disk(free=61_203_283_968, total=107_374_182_400, reserve=64 << 20)


class StillEngine:
    """Stands where the engine would, and sends nothing."""

    def __init__(
        self,
        store: SqliteStore,
        day: RecordedDay,
        hooks: Mapping[HookId, DemoHook],
        clock: StillClock,
    ) -> None:
        self._store = store
        self._day = day
        self._hooks = hooks
        self._clock = clock

    async def accept(self, events: Sequence[NewEvent]) -> list[Acceptance]:
        """Store events; nobody sends them."""
        accepted, _ = await self._store.accept(events)
        return accepted

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Record the answer that the demo's receiver would give."""
        job = await self._store.claim_ping(hook, body)
        await self._store.record([self._day.answer_ping(job)])
        return job.delivery

    @property
    def working(self) -> bool:
        """Whether what is due is sent: the pictures are to look so."""
        return True

    def load(self) -> Load:
        """Return what a calm morning looks like."""
        return Load(
            in_flight=1,
            accepted_per_s=0.4,
            delivered_per_s=1.7,
            failed_per_s=0.2,
            accepted=0,
            outcomes={},
        )

    def pace_of(self, hook: HookId) -> HookPace | None:
        """Return the pace of a hook; the receiver that is down has cut its limit."""
        demo_hook = self._hooks.get(hook)
        if demo_hook is None:
            return None
        if demo_hook.behaviour is not Behaviour.DOWN:
            limit = self._store.hooks()[hook].settings.max_in_flight
            return HookPace(in_flight=0, in_flight_limit=limit or FIRST_LIMIT)
        at = to_rfc3339(self._clock() - CUT_AGO_MS)
        cut = LimitedBy(kind="overload", response="503", in_flight=FIRST_LIMIT, at=at)
        return HookPace(in_flight=0, in_flight_limit=1, limited_by=cut, overloads=1)

    def limit_history(self, hook: HookId) -> None:
        """Return None: a limit over time would have the time of the recording."""


class StillReplays:
    """Stands where the runner of replays would, and runs none."""

    def wake(self) -> None:
        """Do nothing."""

    def waits_for(self, _hook: HookId) -> None:
        """Return None: nothing is known."""


@asynccontextmanager
async def recorded_server(
    folder: Path, clock: StillClock, now_ms: int
) -> AsyncIterator[ServerAddress]:
    """Run the API over a store that holds the day that ends now."""
    # The picture names an admin and a place, not whoever makes it, nor where.
    identity.names_of = lambda _peer: Names("dana", frozenset())
    access.origin_of = lambda _peer: f"unix pid={PID} uid=1000"
    status.os = SimpleNamespace(getpid=lambda: PID)
    audit_key.secrets = SimpleNamespace(token_bytes=bytes)  # its hashes are in a picture
    # The store goes when the pictures are drawn, and a disk takes seconds for a day's commits.
    connections._COMMON = (*connections._COMMON, "PRAGMA synchronous = OFF")
    store = await SqliteStore.open(folder / "hooktui.db", key_file=folder / "hooktui.key")
    store.info = partial(told, store.info)
    store.disk_space = lambda: DISK
    hooks: dict[HookId, DemoHook] = {}
    day = RecordedDay(store, clock, hooks)
    service = Service(
        store=store,
        engine=StillEngine(store, day, hooks, clock),
        catalogue=ETL,
        check_url=nothing_to_say,
        started_at=to_rfc3339(clock()),
        name="etl-01",
        disk=folder,
        roles=RoleMap(),
        hosts=frozenset(),
        api_docs=False,
        limits=CallLimits(events_per_s=0, calls_per_s=0, hooks=100, filters=FilterLimits()),
        auto_in_flight_max=DEFAULT_MAX_LIMIT,
        connections=ConnectionLimiter(),
        files_limit=0,
        check=nothing_to_check,
        key_file=folder / "hooktui.key",
        probe=seen,
        replays=StillReplays(),
    )
    address = ServerAddress(socket=folder / "hooktui.sock")
    clients = service.connections, service.unsent
    listener = Listener(make_app(service), bind(address.socket, 0o600), *clients)
    await listener.start()
    try:
        async with AsyncClient(address) as client:
            for demo_hook in DEMO_HOOKS:
                made = await client.call(calls.create_hook(ACCOUNT, settings_of(demo_hook)))
                hooks[made.id] = demo_hook
        clock.go_to(now_ms - DAY_MS)
        await day.record(now_ms)
        clock.go_to(now_ms)
        yield address
    finally:
        service.stopping.set()
        await listener.stop()
        await store.close()


async def told(info: Callable[[], Awaitable[DatabaseInfo]]) -> DatabaseInfo:
    """Return what a server says of its database, but nothing that differs between machines."""
    return replace(
        await info(),
        version="3.46.1",
        location="/var/lib/hooktui/hooktui.db",
        size=2_650_112,
        wal_size=411_032,
    )


async def nothing_to_say(_url: str) -> None:
    """Judge URLs without looking up names: the addresses of the pictures do not exist."""


async def nothing_to_check() -> Sequence[Check]:
    """Return no checks of a machine."""
    return ()


async def seen(hook: LiveHook, *_: object) -> ConnectionFindings:
    """Return what a diagnosis sees of a receiver before the ping: its certificate is about over."""
    host, address = hook.target.host, f"192.0.2.{10 + hook.id}"
    own = Certificate(
        subject=f"CN={host}",
        issuer="CN=Example Internal CA 2",
        names=(host,),
        not_before="2025-12-05T00:00:00.000Z",
        not_after="2026-12-05T23:59:59.000Z",
        days_left=11,
    )
    above = Certificate(
        subject="CN=Example Internal CA 2",
        issuer="CN=Example Root CA",
        names=(),
        not_before="2023-03-01T00:00:00.000Z",
        not_after="2033-02-28T23:59:59.000Z",
        days_left=2288,
    )
    return ConnectionFindings(
        addresses=(AddressFinding(address=address, connect_ms=11.8),),
        tls=TlsFinding(
            demanded=True,
            version="TLSv1.3",
            cipher="TLS_AES_256_GCM_SHA384",
            chain=(own, above),
            fits_host=True,
            verified=True,
        ),
        phases_ms=Phases(dns=3.1, connect=11.8, tls=27.4),
    )
