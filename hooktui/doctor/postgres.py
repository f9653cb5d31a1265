"""Checks a PostgreSQL database: durability, round trip, clock, servers, rows."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from asyncpg.exceptions import TargetServerAttributeNotMatched
from sqlalchemy import Connection, select

from hooktui.doctor.machine import StartTime, machine_checks
from hooktui.doctor.rows import check_key, check_rows
from hooktui.doctor.rules import (
    assess_commit,
    assess_connections,
    assess_durability,
    assess_postgres,
    assess_round_trip,
    assess_skew,
)
from hooktui.domain.errors import Conflict, HooktuiError
from hooktui.domain.paths import InstallPaths
from hooktui.domain.text import visible
from hooktui.domain.wire.diagnosis import Check
from hooktui.store.key_ring import find_keys, keys_are_there
from hooktui.store.postgres import locks
from hooktui.store.postgres.connections import DatabaseAddress, Raw, connect, explain
from hooktui.store.postgres.pools import engine
from hooktui.store.postgres.schema import check_search_path
from hooktui.store.postgres.shared_key import open_installation
from hooktui.store.sqlite.moved_marker import read_mark
from hooktui.store.tables import HOOK
from hooktui.store.vault import KeyProblem, Vault

_ASKED, _COMMITTED = 50, 30
_FOR_S = 3.0
"""Maximum seconds for each of the two measurements."""
_NOW = "SELECT extract(epoch FROM clock_timestamp()) * 1000"
_WRITE_NOTHING = "SELECT pg_logical_emit_message(true, 'hooktui', 'doctor')"
"""Writes a record to the database's log, and no row; it needs a commit like any other write."""
_ABOUT = """
SELECT current_setting('server_version') AS version,
  current_setting('server_version_num')::int AS number,
  pg_database_size(current_database()) AS size, pg_is_in_recovery() AS standby,
  current_setting('transaction_read_only') = 'on' AS read_only,
  current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS full_page_writes,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
  current_setting('max_connections')::int AS most
"""
_SERVERS = """
SELECT DISTINCT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1
"""


async def check_shared(
    where: InstallPaths, target: DatabaseAddress, started: StartTime | None
) -> list[Check]:
    """Check the database and this server's part of the installation.

    ``started`` is the start of the server in this process; None: it is not a server.
    """
    machine = [*machine_checks(where, started), *check_unused_database(where.database)]
    try:
        if started is None:
            await _check_sessions(target)
        return machine + await _check_database(where, target)
    except Exception as error:
        plain = explain(error, target)
        if not isinstance(plain, HooktuiError):
            raise
        away = isinstance(error.__cause__ or error, OSError | TargetServerAttributeNotMatched)
        fix = _advice(target) if away else ""
        return [*machine, Check("database", "fail", plain.detail, fix)]


def _advice(away: DatabaseAddress) -> str:
    if len(away.hosts) == 1:
        return "check that PostgreSQL is running, and that this machine reaches it"
    return "check that this machine reaches the primary, or promote a standby"


def check_unused_database(sqlite: Path) -> list[Check]:
    """Warn of a SQLite database in this home that was not moved to PostgreSQL."""
    try:
        unused = sqlite.exists() and read_mark(sqlite) is None
    except (OSError, HooktuiError):
        return []
    if not unused:
        return []
    return [
        Check(
            "unused database",
            "warn",
            f"{visible(str(sqlite))} was not moved to PostgreSQL: nothing of it is sent or shown",
            "run hooktui move with an empty PostgreSQL database; or remove it, if nobody needs it",
        )
    ]


async def _check_sessions(target: DatabaseAddress) -> None:
    """Open two connections at once: `connect` refuses the second if a pooler shares sessions."""
    raw = await connect(target)
    try:
        await (await connect(target)).close()
    finally:
        await raw.close()


async def _check_database(where: InstallPaths, target: DatabaseAddress) -> list[Check]:
    raw = await connect(target)
    try:
        about = await raw.fetchrow(_ABOUT)
        numbers = [row[0] for row in await raw.fetch(_SERVERS, locks.SERVERS)]
        checks = [
            assess_postgres(
                about["version"], about["number"], target.shown, about["size"],
                standby=about["standby"], read_only=about["read_only"],
            ),
            assess_durability(
                about["synchronous_commit"], about["fsync"], about["full_page_writes"]
            ),
            assess_connections(about["used"], about["most"]),
            _servers(numbers),
            *await _distance(raw),
        ]  # fmt: skip
        now = int(await raw.fetchval(_NOW))
        if not about["read_only"]:
            checks.append(await _commit(raw))
    finally:
        await raw.close()
    pool = engine(partial(connect, target), 1, "REPEATABLE READ")
    try:
        async with pool.connect() as conn:
            await conn.run_sync(check_search_path)
            rows = await conn.run_sync(
                lambda sync: list(
                    check_rows(sync, _check_key, where.key_file, now, working=bool(numbers))
                )
            )
    except Conflict as error:
        rows = [Check("schema", "fail", error.detail, "change search_path, then start the server")]
    finally:
        await pool.dispose()
    return checks + rows


def _check_key(conn: Connection, key_file: Path) -> Check:
    """Decrypt the first server's value, and the secrets of all hooks."""
    unused = conn.execute(select(HOOK.c.id).limit(1)).first() is None
    if unused and not keys_are_there(key_file):
        return Check(
            "key file",
            "ok",
            "none here yet",
            "the first server of a database creates it; copy it to all others",
        )
    try:
        open_installation(conn, Vault(find_keys(key_file).keys))
    except KeyProblem as error:
        return Check("key file", "fail", error.detail, "copy it from the home of another server")
    return check_key(conn, key_file)


def _servers(numbers: list[int]) -> Check:
    if not numbers:
        return Check("servers", "warn", "no server uses this database", "start a server")
    named = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
    return Check("servers", "ok", f"{len(numbers)} running, with the numbers {named}")


async def _distance(raw: Raw) -> list[Check]:
    """Measure round trips, and the clock difference by the shortest of them."""
    shortest_ms, skew_ms = float("inf"), 0.0

    async def ask() -> None:
        nonlocal shortest_ms, skew_ms
        begun_ns, begun_ms = time.perf_counter_ns(), time.time_ns() / 1e6
        theirs_ms = float(await raw.fetchval(_NOW))
        took_ms = (time.perf_counter_ns() - begun_ns) / 1e6
        if took_ms < shortest_ms:
            shortest_ms, skew_ms = took_ms, begun_ms + took_ms / 2 - theirs_ms

    p50_ms, p99_ms = await _times(ask, _ASKED)
    return [assess_round_trip(p50_ms, p99_ms), assess_skew(skew_ms, shortest_ms)]


async def _commit(raw: Raw) -> Check:
    commit = partial(raw.execute, _WRITE_NOTHING, timeout=_FOR_S)
    try:
        return assess_commit(*await _times(commit, _COMMITTED))
    except TimeoutError:
        advice = (
            "producers get 503 meanwhile: check the disk of the database, and the standbys that"
            " synchronous_standby_names demands"
        )
        return Check("commit", "fail", f"not finished after {_FOR_S:g} s", advice)


async def _times(work: Callable[[], Awaitable[object]], often: int) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds of repeated runs."""
    took_ms: list[float] = []
    end_s = time.perf_counter() + _FOR_S
    while not took_ms or (len(took_ms) < often and time.perf_counter() < end_s):
        begun_s = time.perf_counter()
        await work()
        took_ms.append((time.perf_counter() - begun_s) * 1000)
    took_ms.sort()
    return took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 99 // 100]
