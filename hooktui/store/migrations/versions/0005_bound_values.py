"""Encrypted values are bound to account, hook and the origin of the hook's URL.

An older version could decrypt none of them; the version of the schema makes it refuse the database.
"""

from __future__ import annotations

import logging

from alembic import context, op

from hooktui.store.sealed_values import bind_values

revision = "0005"
down_revision = "0004"

_log = logging.getLogger("hooktui.store.migrations")


def upgrade() -> None:
    for place in bind_values(op.get_bind(), context.config.attributes["open_vault"]):
        _log.warning("%s cannot be decrypted: it was changed or moved in the database", place)
