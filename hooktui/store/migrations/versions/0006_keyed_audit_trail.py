"""The audit trail's chain is keyed from here on and identifies its last entry.

On PostgreSQL the first server of a new database creates the key, because only a server has the
vault.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from hooktui.store.audit import start_keyed_chain

revision = "0006"
down_revision = "0005"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("last", BIG, nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    conn = op.get_bind()
    if conn.dialect.name == "postgresql":
        in_use = conn.execute(sa.text("SELECT sealed IS NOT NULL FROM installation")).scalar()
        if not in_use:
            return
    start_keyed_chain(conn, context.config.attributes["open_vault"]())
