"""The tables of both databases.

Times are integer milliseconds since the epoch; ids are 64-bit integers; JSON columns are text that
only this package reads. SQLModel declares the tables. Changes of people use the models; lists,
joins and hot paths use the Core tables at the bottom. Big blobs are the last columns, so that a
scan of the columns before them never reads overflow pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import make_dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
    true,
)
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field, SQLModel

from hooktui.domain.ids import AccountId, DeliveryId, EventId, HookId

M = TypeVar("M", bound=SQLModel)


class Big(TypeDecorator[int]):
    """A 64-bit integer; INTEGER on SQLite, where only that makes a primary key the rowid."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        """Return the type for a database."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())


LONGEST_SHORT_TARGET = 200
SHORT_TARGET = f"length(target) <= {LONGEST_SHORT_TARGET}"
"""The condition of the audit trail's partial index; a query must repeat it literally."""


_GIVEN = {"autoincrement": False}
"""Of an id that the database does not assign."""


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class AccountRow(SQLModel, table=True):
    """An owner of hooks, events and tokens."""

    __tablename__ = "account"

    id: AccountId = Field(default=None, primary_key=True, sa_type=Big)
    name: str = Field(sa_type=Text, unique=True)
    created_at: int = Field(sa_type=Big)


class HookRow(SQLModel, table=True):
    """A hook. ``sealed`` holds encrypted write-only values: sensitive headers and the password.

    ``max_in_flight`` is 0 for auto.
    """

    __tablename__ = "hook"
    __table_args__ = (Index("hook_by_account", "account_id"), {"sqlite_autoincrement": True})

    id: HookId = Field(default=None, primary_key=True, sa_type=Big)
    account_id: AccountId = Field(foreign_key="account.id", sa_type=Big)
    type: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    url: str = Field(sa_type=Text)
    events: str = Field(sa_type=Text)
    active: bool
    disabled_reason: str | None = Field(sa_type=Text)
    disabled_at: int | None = Field(sa_type=Big)
    headers: str = Field(sa_type=Text)
    sensitive_headers: str = Field(sa_type=Text)
    basic_auth_user: str | None = Field(sa_type=Text)
    signature_hash: str = Field(sa_type=Text)
    verify_tls: bool
    timeout_s: float
    retry_schedule_s: str = Field(sa_type=Text)
    rate_per_s: float | None
    max_in_flight: int
    ordered: bool
    filter: str | None = Field(sa_type=Text)
    created_at: int = Field(sa_type=Big)
    updated_at: int = Field(sa_type=Big)
    updated_by: str = Field(sa_type=Text)
    version: int
    deleted_at: int | None = Field(sa_type=Big)
    sealed: bytes | None = Field(sa_type=LargeBinary)
    max_in_flight_cap: int | None


class HookStateRow(SQLModel, table=True):
    """The current state of a hook, updated when events are accepted, recorded or cancelled.

    ``waiting`` counts deliveries that are not final. ``failing_since`` and ``failed_since_success``
    serve the 5-day rule, ``failures_in_a_row`` and ``breaker…`` the breaker; both are reset when
    the hook is enabled or its URL changes. Pings count for neither. ``failing_alert`` is the open
    alert that says that the hook is failing. ``skipped`` counts events that were skipped while the
    hook was disabled; the first and the last of them are ``skipped_first`` and ``skipped_last``.
    """

    __tablename__ = "hook_state"

    hook_id: int = Field(
        primary_key=True, foreign_key="hook.id", sa_type=Big, sa_column_kwargs=_GIVEN
    )
    waiting: int = 0
    last_code: int | None = None
    last_error: str | None = Field(default=None, sa_type=Text)
    last_at: int | None = Field(default=None, sa_type=Big)
    last_success_at: int | None = Field(default=None, sa_type=Big)
    failures_in_a_row: int = 0
    failing_since: int | None = Field(default=None, sa_type=Big)
    failed_since_success: int = 0
    breaker: str = Field(default="closed", sa_type=Text)
    breaker_until: int | None = Field(default=None, sa_type=Big)
    failing_alert: int | None = Field(default=None, sa_type=Big)
    skipped: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    skipped_first: int | None = Field(default=None, sa_type=Big)
    skipped_last: int | None = Field(default=None, sa_type=Big)


class HookStatsRow(SQLModel, table=True):
    """Attempts of a hook in 5 minutes: counts and durations (``attempt_stats.BOUNDS_MS``)."""

    __tablename__ = "hook_stats"
    __table_args__ = ({"sqlite_with_rowid": False},)

    hook_id: int = Field(primary_key=True, foreign_key="hook.id", sa_type=Big)
    bucket: int = Field(primary_key=True, sa_type=Big)
    delivered: int
    failed: int
    t0: int
    t1: int
    t2: int
    t3: int
    t4: int
    t5: int
    t6: int
    t7: int
    t8: int
    t9: int
    t10: int
    t11: int
    t12: int
    t13: int
    t14: int
    t15: int


class SecretRow(SQLModel, table=True):
    """An encrypted secret of a hook; ``expires_at`` is set once a rotation replaced it."""

    __tablename__ = "secret"
    __table_args__ = (Index("secret_by_hook", "hook_id"), {"sqlite_autoincrement": True})

    id: int = Field(default=None, primary_key=True, sa_type=Big)
    hook_id: HookId = Field(foreign_key="hook.id", sa_type=Big)
    created_at: int = Field(sa_type=Big)
    expires_at: int | None = Field(default=None, sa_type=Big)
    last_used_at: int | None = Field(default=None, sa_type=Big)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)


class EventRow(SQLModel, table=True):
    """An accepted event; ``skips`` is ``[[reason, [hook, …]], …]``, ``body`` None once purged."""

    __tablename__ = "event"
    __table_args__ = (Index("event_by_account", "account_id", "id"),)

    id: EventId = Field(primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    account_id: AccountId = Field(sa_type=Big)
    type: str = Field(sa_type=Text)
    created_at: int = Field(sa_type=Big)
    size: int
    deliveries: int
    skipped: int
    skips: str | None = Field(sa_type=Text)
    body: bytes | None = Field(sa_type=LargeBinary)


class DeliveryRow(SQLModel, table=True):
    """One event for one hook; claims and rescues read its partial indexes.

    On PostgreSQL the indexes of due deliveries end with the id, as every index of SQLite does.
    ``attempts`` is the number of the newest attempt, ``tries`` the used part of the schedule.
    ``next_attempt_at`` is set only while pending, the lease only while sending. ``cause`` is set
    while an event is undelivered at a hook, on the newest of its deliveries there.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        # Each row is in at most one of these two: first tries are claimed before late retries.
        _partial(
            "delivery_due_first",
            "hook_id",
            "next_attempt_at",
            where="status = 'pending' AND tries = 0",
        ),
        _partial(
            "delivery_due_again",
            "hook_id",
            "next_attempt_at",
            where="status = 'pending' AND tries > 0",
        ),
        _partial("delivery_open", "hook_id", "id", where="status IN ('pending', 'sending')"),
        _partial("delivery_leased", "lease_until", where="status = 'sending'"),
        _partial("delivery_failed", "account_id", "id", where="status = 'failed'"),
        Index("delivery_by_account", "account_id", "id"),
        Index("delivery_by_hook", "hook_id", "id"),
        Index("delivery_by_event", "event_id", "hook_id"),
        _partial(
            "delivery_undelivered",
            "hook_id",
            "cause",
            "id",
            "finished_at",
            where="cause IS NOT NULL",
        ),
        _partial("delivery_of_replay", "replay_id", "status", where="replay_id IS NOT NULL"),
    )

    id: DeliveryId = Field(primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    account_id: AccountId = Field(sa_type=Big)
    hook_id: HookId = Field(foreign_key="hook.id", sa_type=Big)
    event_id: EventId = Field(foreign_key="event.id", sa_type=Big)
    event_type: str = Field(sa_type=Text)
    trigger: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    attempts: int
    tries: int
    interruptions: int
    next_attempt_at: int | None = Field(sa_type=Big)
    lease_token: int | None = Field(sa_type=Big)
    lease_until: int | None = Field(sa_type=Big)
    created_at: int = Field(sa_type=Big)
    finished_at: int | None = Field(sa_type=Big)
    duration_ms: int | None = Field(sa_type=Big)
    last_code: int | None
    last_error: str | None = Field(sa_type=Text)
    reason: str | None = Field(sa_type=Text)
    cause: str | None = Field(sa_type=Text)
    replay_id: int | None = Field(sa_type=Big)


class AttemptRow(SQLModel, table=True):
    """One HTTP attempt of a delivery; ``headers`` and ``body`` are the receiver's, bounded."""

    __tablename__ = "attempt"
    __table_args__ = ({"sqlite_with_rowid": False},)

    delivery_id: int = Field(primary_key=True, foreign_key="delivery.id", sa_type=Big)
    number: int = Field(primary_key=True)
    started_at: int = Field(sa_type=Big)
    finished_at: int = Field(sa_type=Big)
    outcome: str = Field(sa_type=Text)
    status_code: int | None
    error: str | None = Field(sa_type=Text)
    error_detail: str | None = Field(sa_type=Text)
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None
    reused_connection: bool
    address: str | None = Field(sa_type=Text)
    retry_after_s: int | None
    server: str | None = Field(sa_type=Text)
    secret_ids: str = Field(sa_type=Text)
    truncated: bool
    size: int = Field(sa_type=Big)
    headers: str | None = Field(sa_type=Text)
    body: bytes | None = Field(sa_type=LargeBinary)


class FeedRow(SQLModel, table=True):
    """The changes of one transaction as a JSON array of items (``feed_items``)."""

    __tablename__ = "feed"
    __table_args__ = ({"sqlite_autoincrement": True},)

    pos: int | None = Field(default=None, primary_key=True, sa_type=Big)
    at_ms: int = Field(sa_type=Big)
    items: int
    changes: bytes = Field(sa_type=LargeBinary)


class AuditRow(SQLModel, table=True):
    """An audited action; append-only by triggers, each entry holds the hash of the one before."""

    __tablename__ = "audit"
    __table_args__ = (
        _partial("audit_by_target", "target", "id", where=SHORT_TARGET),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Big)
    at_ms: int = Field(sa_type=Big)
    account_id: int | None = Field(sa_type=Big)
    user: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    origin: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)
    before: str | None = Field(sa_type=Text)
    after: str | None = Field(sa_type=Text)
    result: str = Field(sa_type=Text)
    previous: bytes = Field(sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)


class AuditChainRow(SQLModel, table=True):
    """The only row about the trail: its last entry, the proof of that, and the encrypted key."""

    __tablename__ = "audit_chain"

    id: int = Field(default=1, primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    last: int = Field(sa_type=Big)
    mark: bytes = Field(sa_type=LargeBinary)
    sealed: bytes = Field(sa_type=LargeBinary)


class TokenRow(SQLModel, table=True):
    """A bearer token; only the SHA-256 of its text is stored."""

    __tablename__ = "token"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int = Field(default=None, primary_key=True, sa_type=Big)
    name: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    account_id: AccountId | None = Field(default=None, foreign_key="account.id", sa_type=Big)
    created_at: int = Field(sa_type=Big)
    expires_at: int | None = Field(default=None, sa_type=Big)
    last_used_at: int | None = Field(default=None, sa_type=Big)
    sha256: bytes = Field(sa_type=LargeBinary)


class IdempotencyKeyRow(SQLModel, table=True):
    """A producer's idempotency key and the response to its first use; kept for 24 hours."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("idempotency_key_by_age", "created_at"), {"sqlite_with_rowid": False})

    account_id: int = Field(primary_key=True, sa_type=Big)
    key: str = Field(primary_key=True, sa_type=Text)
    event_id: int = Field(sa_type=Big)
    type: str = Field(sa_type=Text)
    body_sha256: bytes = Field(sa_type=LargeBinary)
    deliveries: int
    skipped: int
    created_at: int = Field(sa_type=Big)


class PauseRow(SQLModel, table=True):
    """The pause of all sending: one row while paused, otherwise none."""

    __tablename__ = "pause"

    id: int = Field(default=1, primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    at_ms: int = Field(sa_type=Big)
    user: str = Field(sa_type=Text)


class CauseBackfillRow(SQLModel, table=True):
    """How far the causes of older deliveries are written: one row until all are.

    ``until`` is an id of the time at which the first part was written.
    """

    __tablename__ = "cause_backfill"

    id: int = Field(default=1, primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    after: int = Field(sa_type=Big)
    until: int = Field(sa_type=Big)


class ReplayRow(SQLModel, table=True):
    """A replay. Only the server with ``owner_token`` runs it, until ``lease_until``.

    ``body_sha256`` identifies the request that created it under its ``key``.
    """

    __tablename__ = "replay"
    __table_args__ = (
        Index("replay_by_account", "account_id", "id"),
        _partial("replay_by_key", "account_id", "key", where="key IS NOT NULL", unique=True),
        _partial("replay_running", "lease_until", where="state = 'running'"),
    )

    id: int = Field(primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    account_id: AccountId = Field(sa_type=Big)
    key: str | None = Field(sa_type=Text)
    body_sha256: bytes | None = Field(sa_type=LargeBinary)
    state: str = Field(sa_type=Text)
    state_reason: str | None = Field(sa_type=Text)
    selection: str = Field(sa_type=Text)
    rate_per_s: float
    max_deliveries: int | None = Field(sa_type=Big)
    created_at: int = Field(sa_type=Big)
    created_by: str = Field(sa_type=Text)
    changed_at: int = Field(sa_type=Big)
    changed_by: str = Field(sa_type=Text)
    ended_at: int | None = Field(sa_type=Big)
    owner_token: int | None = Field(sa_type=Big)
    server: str | None = Field(sa_type=Text)
    lease_until: int | None = Field(sa_type=Big)


class ReplayHookRow(SQLModel, table=True):
    """The part of a replay for one hook; a hook is in at most one unfinished replay.

    ``cursor`` is the last candidate that was handled, ``skipped`` a JSON object of counts.
    """

    __tablename__ = "replay_hook"
    __table_args__ = (
        _partial("replay_hook_unfinished", "hook_id", where="state <> 'done'", unique=True),
        {"sqlite_with_rowid": False},
    )

    replay_id: int = Field(primary_key=True, foreign_key="replay.id", sa_type=Big)
    hook_id: int = Field(primary_key=True, foreign_key="hook.id", sa_type=Big)
    state: str = Field(sa_type=Text)
    reason: str | None = Field(sa_type=Text)
    cursor: int = Field(sa_type=Big)
    sent: int = Field(sa_type=Big)
    retried: int = Field(sa_type=Big)
    skipped: str = Field(sa_type=Text)


class AlertRow(SQLModel, table=True):
    """An alert. ``key`` names its subject; at most one alert of a key is not resolved.

    ``announced`` is the state that hooks were last notified of, ``announced_at`` when they were
    last notified of the open alert. ``facts`` is a JSON object of the fields of its events.
    """

    __tablename__ = "alert"
    __table_args__ = (
        _partial("alert_unresolved", "key", where="state <> 'resolved'", unique=True),
        Index("alert_by_account", "account_id", "id"),
        Index("alert_by_key", "key", "id"),
        Index("alert_announced", "account_id", "announced_at"),
    )

    id: int = Field(primary_key=True, sa_type=Big, sa_column_kwargs=_GIVEN)
    account_id: AccountId = Field(sa_type=Big)
    type: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    hook_id: HookId | None = Field(sa_type=Big)
    cause: str | None = Field(sa_type=Text)
    replay_id: int | None = Field(sa_type=Big)
    count: int = Field(sa_type=Big)
    opened_at: int = Field(sa_type=Big)
    changed_at: int = Field(sa_type=Big)
    changed_by: str = Field(sa_type=Text)
    snoozed_until: int | None = Field(sa_type=Big)
    resolved_at: int | None = Field(sa_type=Big)
    resolution: str | None = Field(sa_type=Text)
    announced: str | None = Field(sa_type=Text)
    announced_at: int | None = Field(sa_type=Big)
    announced_count: int | None = Field(sa_type=Big)
    hooks_notified: int
    facts: str = Field(sa_type=Text)


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


ACCOUNT = _table(AccountRow)
HOOK = _table(HookRow)
HOOK_STATE = _table(HookStateRow)
HOOK_STATS = _table(HookStatsRow)
SECRET = _table(SecretRow)
EVENT = _table(EventRow)
DELIVERY = _table(DeliveryRow)
ATTEMPT = _table(AttemptRow)
FEED = _table(FeedRow)
AUDIT = _table(AuditRow)
AUDIT_CHAIN = _table(AuditChainRow)
TOKEN = _table(TokenRow)
IDEMPOTENCY_KEY = _table(IdempotencyKeyRow)
PAUSE = _table(PauseRow)
CAUSE_BACKFILL = _table(CauseBackfillRow)
REPLAY = _table(ReplayRow)
REPLAY_HOOK = _table(ReplayHookRow)
ALERT = _table(AlertRow)


def maker_of(model: type[M]) -> Callable[..., M]:
    """Return a function that makes a plain row of a model from the values of all its columns.

    It has the attributes of the model and nothing else, and is made some hundred times faster.
    """
    row = make_dataclass(model.__name__, _table(model).c.keys(), slots=True)
    return cast("Callable[..., M]", row)


def in_account(table: Table, account: int | None) -> ColumnElement[bool]:
    """Return the condition that a row belongs to an account; None: to any account."""
    return true() if account is None else table.c.account_id == account


def inserted_id(made: CursorResult[Any]) -> int:
    """Return the id that the database assigned to an inserted row."""
    key = made.inserted_primary_key
    if key is None or not isinstance(key[0], int):
        raise TypeError(f"expected one integer key from the database, got {key!r}")
    return key[0]
