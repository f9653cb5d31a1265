"""The status of servers (rates, backlog, breakers, disk, database), keys, purge and backup.

Keys are described by their ids and use; no key is ever sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hooktui.domain.wire.alerts import AlertCounts, AlertPath


@dataclass(frozen=True, slots=True)
class Health:
    """The response of ``GET /healthz`` (``ok``) and ``GET /readyz`` (``ready``)."""

    status: str


@dataclass(frozen=True, slots=True)
class Purge:
    """The counts of one ``POST /v1/purge``; ``next`` is null when it is complete."""

    before: str
    events: int
    deliveries: int
    attempts: int
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database in a file: its size in bytes, its digest, and its content."""

    file: str
    size: int
    sha256: str
    events: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """One key: whether it encrypts, whether it is present, and how many values it encrypted."""

    id: str
    seals: bool
    present: bool
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys, the newest first; ``place`` says where they are stored."""

    place: str
    keys: tuple[KeyUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """The result of one call of a rotation.

    Attributes:
        key: the key that encrypts now.
        made: whether it is new; False: it existed already, from `keys new` or an earlier call.
        sealed: how many values were encrypted again.
        left: how many are still encrypted with other keys; call again.
        dropped: unused keys that were removed.
        kept: unused keys that were kept.
        place: where the keys are stored.
    """

    key: str
    made: bool
    sealed: int
    left: int
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """One server that uses the store."""

    number: int
    name: str
    pid: int
    started_at: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """The database behind the server; sizes in bytes.

    ``longest_commit_ms`` is of the last minute: a transaction from its start until it is on disk,
    the current one included.
    """

    kind: str
    version: str
    location: str
    size: int | None = None
    wal_size: int | None = None
    longest_commit_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookBacklog:
    """Waiting deliveries of one hook."""

    hook: int
    count: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBreaker:
    """A hook that gets no deliveries until its probe, after ``failures`` failures in a row."""

    hook: int
    name: str
    probe_at: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Waiting deliveries: their number, the oldest due one, and the hooks with most of them."""

    count: int
    held: int
    oldest_due_at: str | None
    hooks: tuple[HookBacklog, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Averages per second over the last minute."""

    accepted_per_s: float
    delivered_per_s: float
    failed_per_s: float
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortageInfo:
    """The last resource shortage of this machine (``condition``), and counts since the start.

    Affected deliveries are returned unsent and uncounted, and tried again.
    """

    condition: str
    message: str
    advice: str
    at: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Connections of this server to receivers: ``in_use`` of ``most``, and ``idle`` ones.

    ``waiting`` says that hooks are waiting for one. ``files_limit`` is how many files and
    connections the process may have open.
    """

    most: int
    in_use: int
    idle: int
    waiting: bool
    files_limit: int
    shortage: ShortageInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConnections:
    """Connections of clients to this server, and the memory held for them.

    ``known`` and ``unknown`` ones are over TCP, with a valid token and without, at most ``most``
    together; ``local`` ones are over the Unix socket. ``refused``, ``evicted`` (for new ones) and
    ``reset`` (unread responses over their limit) count since the start. ``held_bytes``, of
    ``held_most``, are request bodies and responses; ``unsent_bytes`` of them are responses.
    """

    most: int
    known: int
    unknown: int
    local: int
    refused: int
    evicted: int
    reset: int
    unsent_bytes: int
    held_bytes: int
    held_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Space on the database's disk in bytes; below ``reserve`` no events are accepted."""

    free: int
    total: int
    reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionDays:
    """For how many days events and their bodies are kept; 0: unlimited."""

    days: float
    bodies_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The pause of all sending: its start and its actor."""

    at: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """Whether deliveries are sent: ``paused`` is None while they are."""

    paused: Pause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopHold:
    """The longest time in the last minute that one task blocked the event loop.

    ``by`` is a route, such as ``GET /v1/feed``, or other work of the server; None: nothing took
    over 2 ms.
    """

    longest_ms: float = 0.0
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The response of ``GET /v1/status``; ``paused`` is None while deliveries are sent.

    ``bound_to`` is the only account that the caller's token may access; None: all. Such a token
    gets nothing about the installation: no ``servers``, and None for ``database``, ``rates``,
    ``disk``, ``connections`` and ``clients``. ``alerts`` and ``alert_path`` are those of the
    account; None at an older server.
    """

    version: str
    database: DatabaseInfo | None
    role: str
    user: str
    servers: tuple[ServerInfo, ...]
    backlog: Backlog
    rates: Rates | None
    disk: Disk | None
    paused: Pause | None = None
    breakers: tuple[OpenBreaker, ...] = ()
    keep: RetentionDays | None = None
    bound_to: int | None = None
    connections: Connections | None = None
    clients: ClientConnections | None = None
    loop: LoopHold | None = None
    alerts: AlertCounts | None = None
    alert_path: AlertPath | None = None
