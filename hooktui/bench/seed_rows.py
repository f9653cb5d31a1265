"""Fills a database quickly with old deliveries, by SQL before a server opens it.

Only for the temporary databases of a measurement: no server may be running on it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from hooktui.bench.databases import connected
from hooktui.domain import ids
from hooktui.domain.clock import now_ms

_AGE_MS = 2 * 3600 * 1000
"""Old enough not to interfere, young enough for retention to keep them."""
_FILLED_WITHIN_S = 600.0

_SQLITE_NUMBERS = (
    "CREATE TEMP TABLE n AS"
    " WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})"
    " SELECT i FROM n"
)
_POSTGRES_NUMBERS = (
    "CREATE TEMP TABLE n AS SELECT i::bigint AS i FROM generate_series(0, {rows} - 1) AS g(i)"
)
_FILL = (
    "INSERT INTO event (id, account_id, type, created_at, size, deliveries, skipped)"
    " SELECT {first} + i, 1, 'job.failed', {at}, 1024, 1, 0 FROM n",
    "INSERT INTO delivery (id, account_id, hook_id, event_id, event_type, trigger, status,"
    " attempts, tries, interruptions, created_at, finished_at, duration_ms, last_code)"
    " SELECT {first} + i, 1, {hook}, {first} + i, 'job.failed', 'event', 'delivered',"
    " 1, 1, 0, {at}, {at}, 1, 200 FROM n",
    "INSERT INTO attempt (delivery_id, number, started_at, finished_at, outcome, status_code,"
    " total_ms, reused_connection, secret_ids, truncated, size)"
    " SELECT {first} + i, 1, {at}, {at}, 'delivered', 200, 1, true, '[]', false, 2 FROM n",
)


def fill(where: Path | str, hook: int, rows: int) -> None:
    """Add ``rows`` delivered deliveries of a hook of account 1, with events and attempts.

    ``where`` is a SQLite file, or the URL of a database on PostgreSQL.

    Raises:
        HooktuiError: PostgreSQL refuses.
    """
    at = now_ms() - _AGE_MS
    numbers = {"rows": rows, "first": ids.floor_at(at), "hook": hook, "at": at}
    if isinstance(where, str):
        statements = [statement.format(**numbers) for statement in (_POSTGRES_NUMBERS, *_FILL)]
        asyncio.run(_fill_postgres(where, statements))
        return
    with closing(sqlite3.connect(where, isolation_level=None)) as raw:
        raw.execute("PRAGMA synchronous=OFF")  # a temporary file that a power failure may destroy
        raw.execute("BEGIN IMMEDIATE")
        for statement in (_SQLITE_NUMBERS, *_FILL):
            raw.execute(statement.format(**numbers))
        raw.execute("COMMIT")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _fill_postgres(url: str, statements: list[str]) -> None:
    async with connected(url) as connection:
        for statement in (*statements, "VACUUM ANALYZE"):
            await connection.execute(statement, timeout=_FILLED_WITHIN_S)
