"""An index finds the entries of the audit trail for one target.

Long targets, such as paths of backups, are left out: PostgreSQL refuses index entries over 2.7 kB.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_SHORT = sa.text("length(target) <= 200")


def upgrade() -> None:
    op.create_index(
        "audit_by_target", "audit", ["target", "id"], sqlite_where=_SHORT, postgresql_where=_SHORT
    )
