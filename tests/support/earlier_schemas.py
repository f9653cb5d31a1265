"""Makes a database one of an earlier version."""

from __future__ import annotations

from sqlalchemy import select, text, update

from hooktui.store.audit import FIRST, ON_SQLITE, chain_hash
from hooktui.store.sealed_values import SealedValue, binding, sealed_values
from hooktui.store.tables import AUDIT, HOOK, SECRET
from hooktui.store.tx import Tx


def as_0004(tx: Tx) -> None:
    """Encrypt everything as it was before values were bound to hooks, and say so."""
    for table in (SECRET, HOOK):
        for row in map(SealedValue._make, tx.conn.execute(sealed_values(table)).all()):
            place = (table.name, row.id)
            clear = tx.vault.decrypt(row.sealed, *place, binding(table, row))
            before = update(table).where(table.c.id == row.id)
            tx.conn.execute(before.values(sealed=tx.vault.encrypt(clear, *place)))
    as_0005(tx)
    tx.conn.execute(text("UPDATE alembic_version SET version_num = '0004'"))


def as_0008(tx: Tx) -> None:
    """Leave out causes, replays and alerts, and say so."""
    for table in ("alert", "replay_hook", "replay", "cause_backfill"):
        tx.conn.execute(text(f"DROP TABLE {table}"))
    for index in ("delivery_undelivered", "delivery_of_replay", "delivery_by_event"):
        tx.conn.execute(text(f"DROP INDEX {index}"))
    tx.conn.execute(text("CREATE INDEX delivery_by_event ON delivery (event_id)"))
    for column in ("cause", "replay_id"):
        tx.conn.execute(text(f"ALTER TABLE delivery DROP COLUMN {column}"))
    for column in ("failing_alert", "skipped", "skipped_first", "skipped_last"):
        tx.conn.execute(text(f"ALTER TABLE hook_state DROP COLUMN {column}"))
    tx.conn.execute(text("UPDATE alembic_version SET version_num = '0008'"))


def as_0007(tx: Tx) -> None:
    """Leave out the limit of attempts at once that is auto, and say so."""
    as_0008(tx)
    tx.conn.execute(text("ALTER TABLE hook DROP COLUMN max_in_flight_cap"))
    tx.conn.execute(text("UPDATE hook SET max_in_flight = 10 WHERE max_in_flight = 0"))
    tx.conn.execute(text("UPDATE alembic_version SET version_num = '0007'"))


def as_0005(tx: Tx) -> None:
    """Hash the audit trail as it was before its chain was keyed, and say so."""
    as_0007(tx)
    unguarded(tx)
    previous = FIRST
    for row in tx.conn.execute(select(AUDIT).order_by(AUDIT.c.id)).mappings().all():
        hashed = chain_hash(previous, {**row}, None)
        of_row = update(AUDIT).where(AUDIT.c.id == row["id"])
        tx.conn.execute(of_row.values(previous=previous, hash=hashed))
        previous = hashed
    guarded(tx)
    tx.conn.execute(text("DROP TABLE audit_chain"))
    tx.conn.execute(text("UPDATE alembic_version SET version_num = '0005'"))


def unguarded(tx: Tx) -> None:
    """Let the audit trail be changed, as somebody would who has the database."""
    if tx.conn.dialect.name == "sqlite":
        for name in ON_SQLITE:
            tx.conn.execute(text(f"DROP TRIGGER {name}"))
    else:
        tx.conn.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_refuses"))


def guarded(tx: Tx) -> None:
    """Undo `unguarded`."""
    if tx.conn.dialect.name == "sqlite":
        for statement in ON_SQLITE.values():
            tx.conn.exec_driver_sql(statement)
    else:
        tx.conn.execute(text("ALTER TABLE audit ENABLE TRIGGER audit_refuses"))
