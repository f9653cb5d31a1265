"""The indexes of due deliveries hold the whole order of claims: on PostgreSQL the id, too.

An index of SQLite ends with the row's id as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for name, which in (("first", "tries = 0"), ("again", "tries > 0")):
        op.drop_index(f"delivery_due_{name}", "delivery")
        op.create_index(
            f"delivery_due_{name}",
            "delivery",
            ["hook_id", "next_attempt_at", "id"],
            postgresql_where=sa.text(f"status = 'pending' AND {which}"),
        )
