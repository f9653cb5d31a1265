"""The first schema, and the default account of every installation."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_REFUSE_ON_SQLITE = """
CREATE TRIGGER audit_refuses_{verb} BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""
_ONLY_ON_POSTGRESQL = (
    """CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$""",
    """CREATE TRIGGER audit_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()""",
    # In-place updates stay on their page, and dead entries are removed early from the indexes that
    # claims read.
    """ALTER TABLE delivery SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0.05)""",
    "ALTER TABLE hook_state SET (fillfactor = 50)",
    # Each insert on the hot path would check these and lock the referenced rows. Hooks are never
    # deleted, and a purge of events and deliveries deletes their dependents.
    "ALTER TABLE delivery DROP CONSTRAINT delivery_hook_id_fkey",
    "ALTER TABLE delivery DROP CONSTRAINT delivery_event_id_fkey",
    "ALTER TABLE attempt DROP CONSTRAINT attempt_delivery_id_fkey",
    "ALTER TABLE hook_stats DROP CONSTRAINT hook_stats_hook_id_fkey",
    # Which hooks changed, for the other servers; and a proof that a server has the right key file.
    """CREATE TABLE installation (id integer PRIMARY KEY CHECK (id = 1),
    live_version bigint NOT NULL,
    sealed bytea)""",
    "INSERT INTO installation (id, live_version) VALUES (1, 0)",
    "CREATE TABLE live_change (hook_id bigint PRIMARY KEY, version bigint NOT NULL)",
    "CREATE INDEX live_change_by_version ON live_change (version)",
)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "audit",
        sa.Column("id", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "event",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("skips", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_by_account", "event", ["account_id", "id"], unique=False)
    op.create_table(
        "feed",
        sa.Column("pos", BIG, nullable=False),
        sa.Column("at_ms", BIG, nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("changes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pos"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_key_by_age", "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "hook",
        sa.Column("id", BIG, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("disabled_at", BIG, nullable=True),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("sensitive_headers", sa.Text(), nullable=False),
        sa.Column("basic_auth_user", sa.Text(), nullable=True),
        sa.Column("signature_hash", sa.Text(), nullable=False),
        sa.Column("verify_tls", sa.Boolean(), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=False),
        sa.Column("retry_schedule_s", sa.Text(), nullable=False),
        sa.Column("rate_per_s", sa.Float(), nullable=True),
        sa.Column("max_in_flight", sa.Integer(), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("hook_by_account", "hook", ["account_id"], unique=False)
    op.create_table(
        "token",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("account_id", BIG, nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=True),
        sa.Column("last_used_at", BIG, nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "delivery",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("hook_id", BIG, nullable=False),
        sa.Column("event_id", BIG, nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", BIG, nullable=True),
        sa.Column("lease_token", BIG, nullable=True),
        sa.Column("lease_until", BIG, nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("finished_at", BIG, nullable=True),
        sa.Column("duration_ms", BIG, nullable=True),
        sa.Column("last_code", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"]),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_by_account", "delivery", ["account_id", "id"], unique=False)
    op.create_index("delivery_by_event", "delivery", ["event_id"], unique=False)
    op.create_index("delivery_by_hook", "delivery", ["hook_id", "id"], unique=False)
    for name, which in (("first", "tries = 0"), ("again", "tries > 0")):
        op.create_index(
            f"delivery_due_{name}",
            "delivery",
            ["hook_id", "next_attempt_at"],
            unique=False,
            sqlite_where=sa.text(f"status = 'pending' AND {which}"),
            postgresql_where=sa.text(f"status = 'pending' AND {which}"),
        )
    op.create_index(
        "delivery_failed",
        "delivery",
        ["account_id", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'failed'"),
        postgresql_where=sa.text("status = 'failed'"),
    )
    op.create_index(
        "delivery_leased",
        "delivery",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("status = 'sending'"),
        postgresql_where=sa.text("status = 'sending'"),
    )
    op.create_index(
        "delivery_open",
        "delivery",
        ["hook_id", "id"],
        unique=False,
        sqlite_where=sa.text("status IN ('pending', 'sending')"),
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
    op.create_table(
        "hook_state",
        sa.Column("hook_id", BIG, autoincrement=False, nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_at", BIG, nullable=True),
        sa.Column("last_success_at", BIG, nullable=True),
        sa.Column("failures_in_a_row", sa.Integer(), nullable=False),
        sa.Column("failing_since", BIG, nullable=True),
        sa.Column("failed_since_success", sa.Integer(), nullable=False),
        sa.Column("breaker", sa.Text(), nullable=False),
        sa.Column("breaker_until", BIG, nullable=True),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"]),
        sa.PrimaryKeyConstraint("hook_id"),
    )
    op.create_table(
        "hook_stats",
        sa.Column("hook_id", BIG, nullable=False),
        sa.Column("bucket", BIG, nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("t0", sa.Integer(), nullable=False),
        sa.Column("t1", sa.Integer(), nullable=False),
        sa.Column("t2", sa.Integer(), nullable=False),
        sa.Column("t3", sa.Integer(), nullable=False),
        sa.Column("t4", sa.Integer(), nullable=False),
        sa.Column("t5", sa.Integer(), nullable=False),
        sa.Column("t6", sa.Integer(), nullable=False),
        sa.Column("t7", sa.Integer(), nullable=False),
        sa.Column("t8", sa.Integer(), nullable=False),
        sa.Column("t9", sa.Integer(), nullable=False),
        sa.Column("t10", sa.Integer(), nullable=False),
        sa.Column("t11", sa.Integer(), nullable=False),
        sa.Column("t12", sa.Integer(), nullable=False),
        sa.Column("t13", sa.Integer(), nullable=False),
        sa.Column("t14", sa.Integer(), nullable=False),
        sa.Column("t15", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"]),
        sa.PrimaryKeyConstraint("hook_id", "bucket"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "secret",
        sa.Column("id", BIG, nullable=False),
        sa.Column("hook_id", BIG, nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=True),
        sa.Column("last_used_at", BIG, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("secret_by_hook", "secret", ["hook_id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("delivery_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", BIG, nullable=False),
        sa.Column("finished_at", BIG, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("dns_ms", sa.Float(), nullable=True),
        sa.Column("connect_ms", sa.Float(), nullable=True),
        sa.Column("tls_ms", sa.Float(), nullable=True),
        sa.Column("first_byte_ms", sa.Float(), nullable=True),
        sa.Column("total_ms", sa.Float(), nullable=True),
        sa.Column("reused_connection", sa.Boolean(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("retry_after_s", sa.Integer(), nullable=True),
        sa.Column("server", sa.Text(), nullable=True),
        sa.Column("secret_ids", sa.Text(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"]),
        sa.PrimaryKeyConstraint("delivery_id", "number"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_REFUSE_ON_SQLITE.format(verb=verb))
    else:
        for statement in _ONLY_ON_POSTGRESQL:
            op.execute(statement)
    account = sa.table("account", sa.column("name"), sa.column("created_at", BIG))
    op.execute(account.insert().values(name="default", created_at=time.time_ns() // 1_000_000))
