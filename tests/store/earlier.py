"""Makes a database one of an earlier version."""

from __future__ import annotations

from sqlalchemy import text, update

from hooktui.store.sealed_places import binding, sealed_values
from hooktui.store.tables import HOOK, SECRET
from hooktui.store.transaction import Tx


def as_0004(tx: Tx) -> None:
    """Encrypt everything as it was before values were bound to hooks, and say so."""
    for table in (SECRET, HOOK):
        for row in tx.conn.execute(sealed_values(table)).mappings().all():
            place = (table.name, "sealed", row["id"])
            clear = tx.vault.open(row["sealed"], *place, binding(table, row))
            before = update(table).where(table.c.id == row["id"])
            tx.conn.execute(before.values(sealed=tx.vault.seal(clear, *place)))
    tx.conn.execute(text("UPDATE alembic_version SET version_num = '0004'"))
