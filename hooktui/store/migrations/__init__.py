"""The history of the schema: upgrades a database to this version's and refuses a newer one.

One plain query decides whether an upgrade is needed, so that a normal start never imports alembic,
which takes more than 250 ms.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from hooktui.domain.errors import HooktuiError
from hooktui.store.vault import Vault

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""All revisions, oldest first; a test compares them with the scripts in ``versions``."""

HEAD = REVISIONS[-1]


_log = logging.getLogger(__name__)


class SchemaTooNew(HooktuiError):
    """The database was written by a newer version."""

    title = "Database is newer than this version"


def at_head(connection: Connection) -> bool:
    """Return whether the schema is this version's.

    Raises:
        SchemaTooNew: this version does not know the schema.
    """
    revision = _revision(connection)
    if revision is not None and revision not in REVISIONS:
        raise SchemaTooNew(
            f"the database has schema {revision}, this version of hooktui knows up to {HEAD}; "
            "upgrade hooktui, or restore a backup made before the upgrade"
        )
    return revision == HEAD


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar()
    return revision


def upgrade(connection: Connection, open_vault: Callable[[], Vault]) -> None:
    """Run the missing steps inside the transaction that the connection is in.

    ``open_vault`` is called only if a step needs the vault.

    Raises:
        KeyProblem: a step needs a key that is missing.
    """
    from alembic import command  # slow to import and rarely needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    config.attributes["open_vault"] = open_vault
    before = _revision(connection) or "nothing"
    command.upgrade(config, "head")
    _log.info("the schema of the database was upgraded from %s to %s", before, HEAD)
