"""Undelivered events get a cause; replays and alerts get their tables.

Only the schema changes here. ``changes.causes`` writes the causes of the deliveries that exist, in
parts, because a store may hold hundreds of millions of them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial_index(name: str, table: str, *columns: str, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def upgrade() -> None:
    _extend_deliveries()
    op.add_column("hook_state", sa.Column("failing_alert", BIG, nullable=True))
    op.add_column(
        "hook_state", sa.Column("skipped", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("hook_state", sa.Column("skipped_first", BIG, nullable=True))
    op.add_column("hook_state", sa.Column("skipped_last", BIG, nullable=True))
    _create_replays()
    _create_alerts()


def _extend_deliveries() -> None:
    op.add_column("delivery", sa.Column("cause", sa.Text(), nullable=True))
    op.add_column("delivery", sa.Column("replay_id", BIG, nullable=True))
    _partial_index(
        "delivery_undelivered",
        "delivery",
        "hook_id",
        "cause",
        "id",
        "finished_at",
        where="cause IS NOT NULL",
    )
    _partial_index(
        "delivery_of_replay", "delivery", "replay_id", "status", where="replay_id IS NOT NULL"
    )
    op.drop_index("delivery_by_event", "delivery")
    op.create_index("delivery_by_event", "delivery", ["event_id", "hook_id"])
    op.create_table(
        "cause_backfill",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("after", BIG, nullable=False),
        sa.Column("until", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        """INSERT INTO cause_backfill (id, "after", until)
        SELECT 1, 0, newest FROM (SELECT MAX(id) AS newest FROM delivery) AS deliveries
        WHERE newest IS NOT NULL"""
    )


def _create_replays() -> None:
    op.create_table(
        "replay",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("rate_per_s", sa.Float(), nullable=False),
        sa.Column("max_deliveries", BIG, nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("changed_at", BIG, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("ended_at", BIG, nullable=True),
        sa.Column("owner_token", BIG, nullable=True),
        sa.Column("server", sa.Text(), nullable=True),
        sa.Column("lease_until", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("replay_by_account", "replay", ["account_id", "id"])
    _partial_index(
        "replay_by_key", "replay", "account_id", "key", where="key IS NOT NULL", unique=True
    )
    _partial_index("replay_running", "replay", "lease_until", where="state = 'running'")
    op.create_table(
        "replay_hook",
        sa.Column("replay_id", BIG, nullable=False),
        sa.Column("hook_id", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("cursor", BIG, nullable=False),
        sa.Column("sent", BIG, nullable=False),
        sa.Column("retried", BIG, nullable=False),
        sa.Column("skipped", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["replay_id"], ["replay.id"]),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"]),
        sa.PrimaryKeyConstraint("replay_id", "hook_id"),
        sqlite_with_rowid=False,
    )
    _partial_index(
        "replay_hook_unfinished", "replay_hook", "hook_id", where="state <> 'done'", unique=True
    )


def _create_alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("account_id", BIG, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("hook_id", BIG, nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("replay_id", BIG, nullable=True),
        sa.Column("count", BIG, nullable=False),
        sa.Column("opened_at", BIG, nullable=False),
        sa.Column("changed_at", BIG, nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("snoozed_until", BIG, nullable=True),
        sa.Column("resolved_at", BIG, nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("announced", sa.Text(), nullable=True),
        sa.Column("announced_at", BIG, nullable=True),
        sa.Column("announced_count", BIG, nullable=True),
        sa.Column("hooks_notified", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    _partial_index("alert_unresolved", "alert", "key", where="state <> 'resolved'", unique=True)
    op.create_index("alert_by_account", "alert", ["account_id", "id"])
    op.create_index("alert_by_key", "alert", ["key", "id"])
    op.create_index("alert_announced", "alert", ["account_id", "announced_at"])
