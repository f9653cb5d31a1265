"""What the routes use, built once by the server and reached through ``app.state``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from starlette.requests import Request

from hooktui.api.connection_limiter import ConnectionLimiter
from hooktui.api.diagnosis_runs import Diagnoses
from hooktui.api.limits import Searches
from hooktui.api.response_budget import UnsentResponses
from hooktui.domain.deliveries import Load
from hooktui.domain.filters.limits import FilterLimits
from hooktui.domain.ids import AccountId, DeliveryId, HookId
from hooktui.domain.live_hook import LiveHook
from hooktui.domain.roles import Role
from hooktui.domain.wire.diagnosis import Check, Look, Tell
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.server import Kept
from hooktui.loop_watch import WATCH, LoopWatch
from hooktui.store import queries
from hooktui.store.contract import Acceptance, NewEvent, Store

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Engine(Protocol):
    """What the API asks of the delivery engine."""

    async def accept(self, offers: Sequence[NewEvent]) -> list[Acceptance]:
        """Store events and begin to send them; returns once they are on disk."""
        ...

    async def ping(self, hook: HookId, body: bytes) -> DeliveryId:
        """Send a test delivery; returns when its attempt is recorded."""
        ...

    @property
    def working(self) -> bool:
        """Whether what is due is sent."""
        ...

    def load(self) -> Load:
        """Return what is going on."""
        ...


JudgeUrl = Callable[[str], Awaitable[str | None]]
"""Looks at where a hook's URL leads: None, or a warning; raises Refused for what is forbidden."""


@dataclass(frozen=True, slots=True)
class RoleMap:
    """Which users and groups of the operating system have which role."""

    users: Mapping[str, Role] = field(default_factory=dict)
    groups: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What the API takes at the most.

    Attributes:
        connections: over TCP, and of each user of the Unix socket.
        events_per_s: of each token and user; 0: any number.
        calls_per_s: the same of all other calls.
        hooks: of one account.
        filters: of hooks.
    """

    connections: int = 1000
    events_per_s: float = 0
    calls_per_s: float = 0
    hooks: int = 100_000
    filters: FilterLimits = field(default_factory=FilterLimits)


async def _nothing_to_check() -> Sequence[Check]:
    return ()


async def _nothing_to_look_at(_hook: LiveHook, _tell: Tell) -> Look:
    return Look()


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything that routes need.

    Attributes:
        store: the database.
        engine: the sending side.
        catalogue: the event types of this installation.
        event_types: their ids, for a fast look.
        judge_url: looks at where a URL leads when a hook is saved.
        version: of the program.
        started_at: of this server, RFC 3339.
        name: of this server, such as its host's.
        disk: a folder on the disk whose room counts; None where the database is elsewhere.
        reserve: bytes that stay free there; below it no events are taken in.
        keep: how long things are kept.
        roles: who has which role on the Unix socket, besides root and the owner.
        hosts: values of ``Host`` that are taken on TCP, lower case and without a port.
        api_docs: whether the documentation pages are served.
        limits: what is taken at the most.
        connections: those of clients.
        unsent: the responses that they do not read.
        files_limit: how many files and connections the process may have open.
        stopping: set when the server begins to stop.
        accounts: accounts that are known to exist.
        tokens_version: goes up when a token is revoked, so that none is remembered.
        check: looks at disk, database, clock and files.
        key_file: where the keys are, unless systemd or the environment gives them.
        rotating: held while keys are rotated.
        look: looks at a hook's receiver, as far as that goes without sending anything.
        diagnosing: the diagnoses that run.
        searches: what callers look for and wait for.
        loop_watch: knows what held the event loop.
    """

    store: Store
    engine: Engine
    catalogue: Catalogue
    event_types: frozenset[str]
    judge_url: JudgeUrl
    version: str
    started_at: str
    name: str
    disk: Path | None = None
    reserve: int = 0
    keep: Kept | None = None
    roles: RoleMap = field(default_factory=RoleMap)
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"})
    api_docs: bool = False
    limits: CallLimits = field(default_factory=CallLimits)
    connections: ConnectionLimiter = field(default_factory=ConnectionLimiter)
    unsent: UnsentResponses = field(default_factory=UnsentResponses)
    files_limit: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    accounts: set[AccountId] = field(default_factory=set)
    tokens_version: int = 0
    check: Callable[[], Awaitable[Sequence[Check]]] = _nothing_to_check
    key_file: Path = Path("hooktui.key")
    rotating: asyncio.Lock = field(default_factory=asyncio.Lock)
    look: Callable[[LiveHook, Tell], Awaitable[Look]] = _nothing_to_look_at
    diagnosing: Diagnoses = field(default_factory=Diagnoses)
    searches: Searches = field(default_factory=Searches)
    loop_watch: LoopWatch = WATCH


def service_of(request: Request) -> Service:
    """Return the service behind a request."""
    service: Service = request.app.state.service
    return service


P = ParamSpec("P")
R = TypeVar("R")


async def check_account(service: Service, account: AccountId) -> None:
    """Refuse an account that is not there.

    Raises:
        NotFound: there is no such account.
    """
    await service.store.read(queries.get_account, account)


async def read_in(
    service: Service,
    account: AccountId,
    query: Callable[Concatenate[Connection, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run a query about an account; whether it is there is asked in the same transaction.

    Raises:
        NotFound: there is no such account.
    """

    def run(connection: Connection) -> R:
        queries.get_account(connection, account)
        return query(connection, *args, **kwargs)

    return await service.store.read(run)
