"""Guards of the audit trail besides its chain: triggers and entry numbers."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

_REFUSE: Final = "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
ON_SQLITE: Final = {
    "audit_refuses_update": f"CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit {_REFUSE}",
    "audit_refuses_delete": f"CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit {_REFUSE}",
    "audit_refuses_replace": f"""CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) {_REFUSE}""",  # noqa: S608
}
_TRIGGERS: Final = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
_TRIGGER: Final = text(
    """SELECT count(*) FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE t.tgrelid = 'audit'::regclass AND t.tgname = 'audit_refuses' AND t.tgtype = 58
    AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL AND t.tgattr::text = ''
    AND btrim(p.prosrc) = 'BEGIN RAISE EXCEPTION ''the audit trail is append-only''; END'"""
)  # 58: before update, delete and truncate, for each statement; on all columns, unconditionally
_GIVEN_ON_SQLITE: Final = text("SELECT max(seq) FROM sqlite_sequence WHERE name = 'audit'")
_GIVEN: Final = text(
    """SELECT last_value FROM pg_sequences
    WHERE format('%I.%I', schemaname, sequencename)
      = pg_get_serial_sequence('audit', 'id')"""
)


def missing_triggers(conn: Connection) -> list[str]:
    """Return the names of triggers that protect entries and are missing or changed."""
    if conn.dialect.name != "sqlite":
        return [] if conn.execute(_TRIGGER).scalar_one() else ["audit_refuses"]
    triggers = {name.lower(): _plain(sql or "") for name, sql in conn.execute(_TRIGGERS)}
    return [name for name, sql in ON_SQLITE.items() if triggers.get(name) != _plain(sql)]


def wrong_numbers(conn: Connection, last: int) -> str | None:
    """Return why the database's entry counter contradicts the last entry; None: it does not.

    SQLite gives each number once; PostgreSQL skips those of transactions that were rolled back.
    """
    if conn.dialect.name == "sqlite":
        given = conn.execute(_GIVEN_ON_SQLITE).scalar() or 0
        wrong = given != last
    else:
        given = conn.execute(_GIVEN).scalar() or 0
        wrong = given < last
    return (
        f"numbers up to {given} were given to entries, but the last one is {last}"
        if wrong
        else None
    )


def _plain(sql: str) -> str:
    return " ".join(sql.split()).lower()
