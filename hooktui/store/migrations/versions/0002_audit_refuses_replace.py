"""The audit trail refuses ``INSERT OR REPLACE`` too: SQLite deletes for it without a trigger."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_REFUSE = """
CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_REFUSE)
