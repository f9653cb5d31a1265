"""The status of servers (rates, backlog, breakers, disk, database), keys, purge and backup.

Keys are described by their ids and use; no key is ever sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purge:
    """What a call of ``POST /v1/purge`` dropped; ``next`` is null when nothing older is left."""

    before: str
    events: int
    deliveries: int
    attempts: int
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database in a file: its size in bytes, its digest, and what it holds."""

    file: str
    size: int
    sha256: str
    events: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """One key: whether it seals, whether it is here, and how many values it has sealed."""

    id: str
    seals: bool
    present: bool
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys, the newest first; ``place`` is what holds them."""

    place: str
    keys: tuple[KeyUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRotation:
    """What one call of a rotation did.

    Attributes:
        key: the key that seals now.
        made: whether it is new; False: a rotation that was begun before went on.
        sealed: how many values were sealed anew.
        left: how many are still sealed with other keys; call again.
        dropped: keys that nothing uses any more, and that are gone.
        kept: keys that nothing uses any more, and that are still there.
        place: what holds the keys.
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
    """One server that works on the store."""

    number: int
    name: str
    pid: int
    started_at: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """The database behind the server; sizes in bytes."""

    kind: str
    version: str
    location: str
    size: int | None = None
    wal_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookBacklog:
    """Deliveries of one hook that wait."""

    hook: int
    count: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBreaker:
    """A hook that is left alone because ``failures`` tries in a row failed, until its probe."""

    hook: int
    name: str
    probe_at: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Deliveries that wait: all of them, the oldest due one, and the hooks with most of them."""

    count: int
    held: int
    oldest_due_at: str | None
    hooks: tuple[HookBacklog, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Averages over the last minute, each second."""

    accepted_per_s: float
    delivered_per_s: float
    failed_per_s: float
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortageInfo:
    """What this machine ran out of last (``condition``), and how often each since the start.

    Deliveries that meet a shortage go back unsent and uncounted, and are tried again.
    """

    condition: str
    message: str
    advice: str
    at: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Connections of this server to receivers: ``in_use`` of ``most``, and ``idle`` ones.

    ``waiting`` says that hooks wait for one now. ``files_limit`` is how many files and connections
    the process may have open.
    """

    most: int
    in_use: int
    idle: int
    waiting: bool
    files_limit: int
    shortage: ShortageInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConnections:
    """Connections of clients to this server, and what it holds in memory for them.

    ``known`` and ``unknown`` ones are over TCP, with a good token and without, at most ``most``
    together; ``local`` ones are over the Unix socket. ``refused``, ``evicted`` (to make room) and
    ``reset`` (unread responses over their bound) count since the start. ``held_bytes``, of
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
    """Room where the database lies, in bytes; below ``reserve`` no events are taken in."""

    free: int
    total: int
    reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """For how many days events are kept, and their bodies; 0: for ever."""

    days: float
    bodies_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """All sending is paused: since when, and who did it."""

    at: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """Whether deliveries go out: ``paused`` is None while they do."""

    paused: Pause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopHold:
    """The longest time of the last minute in which one thing kept all others waiting.

    ``by`` is a route, such as ``GET /v1/feed``, or other work of the server; None: nothing took
    over 2 ms.
    """

    longest_ms: float = 0.0
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What ``GET /v1/status`` answers; ``paused`` is None while deliveries go out.

    ``bound_to`` is the one account that the caller's token may touch; None: all. Such a token gets
    nothing about the installation: no ``servers``, and None for ``database``, ``rates``, ``disk``,
    ``connections`` and ``clients``.
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
    keep: Kept | None = None
    bound_to: int | None = None
    connections: Connections | None = None
    clients: ClientConnections | None = None
    loop: LoopHold | None = None
