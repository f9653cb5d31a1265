"""Fills a home with deliveries of long ago, quickly: SQL on the file before a server opens it.

Only for the temporary homes of a measurement: it goes around the server, which must not run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hooktui.domain import ids
from hooktui.domain.clock import now_ms

_AGE_MS = 2 * 3600 * 1000
"""Old enough to be out of the way, young enough for retention to leave them alone."""

_NUMBER = (
    "CREATE TEMP TABLE n AS"
    " WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)"
    " SELECT i FROM n"
)
_FILL = (
    "INSERT INTO event (id, account_id, type, created_at, size, deliveries, skipped)"
    " SELECT :first + i, 1, 'job.failed', :at, 1024, 1, 0 FROM n",
    "INSERT INTO delivery (id, account_id, hook_id, event_id, event_type, trigger, status,"
    " attempts, tries, interruptions, created_at, finished_at, duration_ms, last_code)"
    " SELECT :first + i, 1, :hook, :first + i, 'job.failed', 'event', 'delivered',"
    " 1, 1, 0, :at, :at, 1, 200 FROM n",
    "INSERT INTO attempt (delivery_id, number, started_at, finished_at, outcome, status_code,"
    " total_ms, reused_connection, secret_ids, truncated, size)"
    " SELECT :first + i, 1, :at, :at, 'delivered', 200, 1, 1, '[]', 0, 2 FROM n",
)


def fill(database: Path, hook: int, rows: int) -> None:
    """Add ``rows`` delivered deliveries of a hook of account 1, with events and attempts."""
    at = now_ms() - _AGE_MS
    values = {"rows": rows, "first": ids.floor_at(at), "hook": hook, "at": at}
    with closing(sqlite3.connect(database, isolation_level=None)) as raw:
        raw.execute("PRAGMA synchronous=OFF")  # a prepared file that a power cut may take along
        raw.execute("BEGIN IMMEDIATE")
        for statement in (_NUMBER, *_FILL):
            raw.execute(statement, values)
        raw.execute("COMMIT")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
