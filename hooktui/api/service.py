"""The dependencies of the routes, built once by the server and reached through ``app.state``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from starlette.requests import Request

from hooktui.api.access import caller_of
from hooktui.api.connection_limiter import ConnectionLimiter
from hooktui.api.diagnosis_runs import Diagnoses
from hooktui.api.limits import Reads, Searches, goes_first
from hooktui.api.response_budget import UnsentResponses
from hooktui.domain.deliveries import Load
from hooktui.domain.filters.limits import FilterLimits
from hooktui.domain.ids import AccountId, DeliveryId, HookId
from hooktui.domain.limit_history import LimitHistory
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.roles import Actor, Role
from hooktui.domain.wire.diagnosis import Check, ConnectionFindings, ProgressCallback
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.hooks import HookPace
from hooktui.slices import end_tasks
from hooktui.store import queries
from hooktui.store.base import Store
from hooktui.store.contract import Acceptance, NewEvent
from hooktui.store.tx import Tx

if TYPE_CHECKING:
    from sqlalchemy import Connection


class EngineControl(Protocol):
    """The methods of the delivery engine that the API uses."""

    async def accept(self, events: Sequence[NewEvent]) -> list[Acceptance]:
        """Store events and start to send them; return once they are on disk."""

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Send a test delivery; return when its attempt is recorded."""

    @property
    def working(self) -> bool:
        """Whether due deliveries are being sent."""

    def load(self) -> Load:
        """Return the current load."""

    async def paces(self, limit: int) -> Mapping[HookId, HookPace]:
        """Return the paces of hooks with attempts in flight or a limit that was cut."""

    def pace_of(self, hook: HookId) -> HookPace | None:
        """Return the pace of a hook at this server; None: there is no such hook."""

    def limit_history(self, hook: HookId) -> LimitHistory | None:
        """Return the adaptive limit of a hook over time; None: not known."""


class ReplayControl(Protocol):
    """The methods of the runner of replays that the API uses."""

    def wake(self) -> None:
        """Look for changed replays now."""

    def waits_for(self, hook: HookId) -> str | None:
        """Return what a hook of a replay waits for, if this server knows it."""


CheckUrl = Callable[[str], Awaitable[str | None]]
"""Checks where a hook's URL leads: None, or a warning; raises Refused if it is forbidden."""


@dataclass(frozen=True, slots=True)
class RoleMap:
    """The roles of users and groups of the operating system."""

    users: Mapping[str, Role] = field(default_factory=dict)
    groups: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits of the API.

    Attributes:
        events_per_s: for each token and user; 0: unlimited.
        calls_per_s: the same for all other calls.
        hooks: for each account.
        filters: for the filters of hooks.
    """

    events_per_s: float
    calls_per_s: float
    hooks: int
    filters: FilterLimits


@dataclass(slots=True, kw_only=True)
class Service:
    """The dependencies of the routes.

    Attributes:
        check_url: checks where a URL leads when a hook is saved.
        started_at: start of this server, RFC 3339.
        name: the name of this server, such as its host's.
        disk: a folder on the disk whose free space is reported if the database is remote.
        roles: the roles on the Unix socket, besides root and the owner.
        hosts: accepted values of ``Host`` on TCP, lower case and without a port.
        api_docs: whether the documentation pages are served.
        auto_in_flight_max: the largest adaptive limit of a hook.
        files_limit: how many files and connections the process may have open.
        check: checks disk, database, clock and files.
        key_file: the key file, unless systemd or the environment provides the keys.
        probe: checks a hook's receiver as far as possible without sending a request.
        stopping: set when the server begins to stop.
        tokens_version: incremented when a token is revoked, to invalidate caches.
        rotating: held while keys are rotated.
    """

    store: Store
    engine: EngineControl
    catalogue: Catalogue
    check_url: CheckUrl
    started_at: str
    name: str
    disk: Path
    roles: RoleMap
    hosts: frozenset[str]
    api_docs: bool
    limits: CallLimits
    auto_in_flight_max: int
    connections: ConnectionLimiter
    files_limit: int
    check: Callable[[], Awaitable[Sequence[Check]]]
    key_file: Path
    probe: Callable[[LiveHook, ProgressCallback], Awaitable[ConnectionFindings]]
    replays: ReplayControl
    unsent: UnsentResponses = field(default_factory=UnsentResponses)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tokens_version: int = 0
    rotating: asyncio.Lock = field(default_factory=asyncio.Lock)
    diagnosing: Diagnoses = field(default_factory=Diagnoses)
    searches: Searches = field(default_factory=Searches)
    reads: Reads = field(default_factory=Reads)


def service_of(request: Request) -> Service:
    """Return the service of a request."""
    service: Service = request.app.state.service
    return service


P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A", bound=AccountId | None)


async def disconnected(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def tasks_of(
    *waits: Coroutine[object, object, object],
) -> AsyncIterator[list[asyncio.Task[object]]]:
    """Run coroutines in tasks, which are cancelled when the block ends."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        yield tasks
    finally:
        await end_tasks(tasks)


async def check_account(service: Service, account: AccountId | None) -> None:
    """Check that an account exists; None: nothing to check.

    Raises:
        NotFound: it does not.
    """
    if account is not None:
        await service.store.look_up(partial(queries.account_row, account=account))


async def write_in(
    request: Request,
    account: int | None,
    change: Callable[Concatenate[Tx, Actor, AccountId | None, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run a change by the caller in an account, or (None) in any that the caller may access."""
    caller = caller_of(request)
    owner = caller.account_or_any(account)
    return await service_of(request).store.write(change, caller.actor, owner, *args, **kwargs)


async def in_turn(request: Request, read: Callable[[], Awaitable[R]]) -> R:
    """Run a read of the store when it is the caller's turn.

    Raises:
        ClientDisconnect: the caller left while its read waited.
    """
    reads, caller = service_of(request).reads, caller_of(request)
    return await reads.run(caller, read, first=goes_first(request), gone=request.is_disconnected)


async def read(
    request: Request,
    query: Callable[Concatenate[Connection, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run a query in a short read-only transaction when it is the caller's turn."""
    store = service_of(request).store
    return await in_turn(request, partial(store.read, query, *args, **kwargs))


async def read_in(
    request: Request,
    account: A,
    query: Callable[Concatenate[Connection, A, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run a query in an account (None: all), and check in its transaction that it exists.

    Raises:
        NotFound: there is no such account.
    """

    def run(connection: Connection) -> R:
        if account is not None:
            queries.account_row(connection, account)
        return query(connection, account, *args, **kwargs)

    return await read(request, run)
