"""The limit of attempts at once may be adaptive; it is for hooks that had the old default.

The audit trail has an entry for each account with such hooks.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import context, op

from hooktui.domain.clock import now_ms
from hooktui.store.audit import SERVER, append

revision = "0008"
down_revision = "0007"

_OLD_DEFAULT, _AUTO = 10, 0
_log = logging.getLogger("hooktui.store.migrations")


def upgrade() -> None:
    op.add_column("hook", sa.Column("max_in_flight_cap", sa.Integer(), nullable=True))
    hook = sa.table(
        "hook", sa.column("account_id"), sa.column("max_in_flight"), sa.column("deleted_at")
    )
    old = hook.c.max_in_flight == _OLD_DEFAULT
    conn = op.get_bind()
    counts = conn.execute(
        sa.select(hook.c.account_id, sa.func.count())
        .where(old, hook.c.deleted_at.is_(None))
        .group_by(hook.c.account_id)
        .order_by(hook.c.account_id)
    ).all()
    conn.execute(sa.update(hook).where(old).values(max_in_flight=_AUTO))
    if not counts:
        return
    vault = context.config.attributes["open_vault"]()
    for account, count in counts:
        append(
            conn,
            vault,
            now_ms(),
            SERVER,
            "hook.change",
            f"{count} hook{'s' if count > 1 else ''}",
            account=account,
            before={"max_in_flight": _OLD_DEFAULT},
            after={"max_in_flight": None},
        )
    _log.info(
        "max_in_flight of %d hooks was the old default of %d and is auto now",
        sum(count for _, count in counts),
        _OLD_DEFAULT,
    )
