"""The rules of ``hooktui doctor``: a measured value becomes one line with advice.

They are pure. ``fail`` stops or endangers deliveries; ``warn`` will do so later, or needs the
attention of an admin. ``serve`` logs failed checks of networks, keys and tokens at its start.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from hooktui.domain.alert_events import NO_ALERT_HOOK
from hooktui.domain.clock import format_duration
from hooktui.domain.file_budget import advised_limit
from hooktui.domain.machine import Shortage
from hooktui.domain.text import in_bytes
from hooktui.domain.wire.alerts import AlertPath
from hooktui.domain.wire.diagnosis import Check
from hooktui.store.sqlite.files import OLDEST_SQLITE, SLOW_FSYNC_MS

_FIRST_AFFECTED = (3, 7, 0)
_FIXED = (3, 51, 3)
_FIXED_IN_BRANCH = {(3, 50): 7, (3, 44): 6}


def affected(version: tuple[int, int, int]) -> bool:
    """Return whether in this version a checkpoint may lose a write of another connection."""
    branch_fix = _FIXED_IN_BRANCH.get(version[:2])
    if branch_fix is not None and version[2] >= branch_fix:
        return False
    return _FIRST_AFFECTED <= version < _FIXED


_LATE_FSYNC_MS = 100.0
"""Of the p99: above it, producers wait noticeably."""
_ROOM_TO_SPARE = 4  # times the reserve: below it an admin should act before events are refused
_LARGE_WAL_BYTES = 256 << 20
_JUMP_MS, _FUTURE_MS = 2_000, 5_000
_SKEW_MS, _BAD_SKEW_MS = 500, 5_000
"""Times in the database are its own; a skewed server shows wrong ages and wakes late."""
_FAR_MS = 5.0
LONG_HOLD_MS = 100.0
"""Above this, all requests and deliveries were blocked noticeably."""
_OLDEST_POSTGRES = 140_000
_CONNECTIONS_OF_A_SERVER = 15
_LATE_S = 300.0
_FEW_FILES = 4096
"""Each connection to a receiver is a file: a hundred hung hooks with ten each take a thousand."""
_SHORTAGE_COUNTS_MS = 24 * 3600 * 1000
_MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


def assess_sqlite(version: tuple[int, int, int]) -> Check:
    """Report the SQLite library: whether it is too old, and whether it has the WAL-reset bug."""
    shown = ".".join(map(str, version))
    if version < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE[:2]))
        return Check("sqlite", "fail", shown, f"use a Python with SQLite {oldest} or later")
    if not affected(version):
        return Check("sqlite", "ok", f"{shown}, without the WAL-reset bug")
    advice = (
        "do not open the database with other programs while the server is running; fixed in 3.51.3"
    )
    value = f"{shown}, has the WAL-reset bug, which does not affect a single writer"
    return Check("sqlite", "ok", value, advice)


def assess_fsync(p50_ms: float, p99_ms: float) -> Check:
    """Assess the sync duration of the disk."""
    value = f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    if p99_ms > _LATE_FSYNC_MS:
        advice = (
            "a producer waits this long for each 202: a faster disk, or less other load on it,"
            " would help"
        )
        return Check("fsync", "warn", value, advice)
    if p50_ms > SLOW_FSYNC_MS:
        advice = (
            "a slow disk: batches of events are fast, single events are slow; a disk with"
            " power-loss protection would be faster"
        )
        return Check("fsync", "warn", value, advice)
    return Check("fsync", "ok", value)


def assess_disk(free: int, total: int, reserve: int) -> Check:
    """Assess the free space: below the reserve events are refused."""
    value = f"{in_bytes(free)} of {in_bytes(total)} free, {in_bytes(reserve)} reserved"
    way_out = "free some space, or delete old events with: hooktui purge --older-than 7d"
    if free < reserve:
        return Check("disk", "fail", value, f"events are refused (507): {way_out}")
    if free < _ROOM_TO_SPARE * reserve:
        return Check("disk", "warn", value, f"events will be refused soon: {way_out}")
    return Check("disk", "ok", value)


def assess_file_system(kind: str, *, network: bool) -> Check:
    """Assess the file system of the database."""
    if network:
        advice = "SQLite loses data there: move the home to a local disk, or use PostgreSQL"
        return Check("file system", "fail", f"{kind}, shared between machines", advice)
    if kind in _MEMORY_FILE_SYSTEMS:
        advice = "all data is lost on a power failure: set HOOKTUI_HOME to a folder on a disk"
        return Check("file system", "warn", f"{kind}, in memory", advice)
    return Check("file system", "ok", kind or "unknown")


def assess_wal(size: int, *, working: bool) -> Check:
    """Assess the log of the database; ``working``: a server is running on it."""
    if not working:
        left = "empty" if not size else f"{in_bytes(size)}, applied at the next start"
        return Check("wal", "ok", left)
    if size > _LARGE_WAL_BYTES:
        advice = (
            "a reader holds it: a long-running backup, or another program that has the database"
            " open; stop it"
        )
        return Check("wal", "warn", in_bytes(size), advice)
    return Check("wal", "ok", in_bytes(size))


def assess_jump(jump_ms: int, since_s: float) -> Check:
    """Assess how far the wall clock was set since the server started."""
    value = (
        f"moved {jump_ms / 1000:+.1f} s against the monotonic clock in {format_duration(since_s)}"
    )
    if abs(jump_ms) > _JUMP_MS:
        advice = (
            "it was set: waits of retries and ages shifted by as much; let one time service control"
            " it (chronyc tracking)"
        )
        return Check("clock", "warn", value, advice)
    return Check("clock", "ok", value)


def assess_newest(newest_ms: int | None, now_ms: int) -> Check:
    """Assess whether the database contains ids of the future; ``newest_ms`` is of the newest."""
    if newest_ms is None:
        return Check("stored times", "ok", "none yet")
    ahead_ms = newest_ms - now_ms
    if ahead_ms > _FUTURE_MS:
        advice = (
            "the clock went back, and ids continue from there: until then since: and until: are off"
            " by as much; correct the clock (timedatectl)"
        )
        value = f"the newest id is {format_duration(ahead_ms / 1000)} ahead"
        return Check("stored times", "warn", value, advice)
    age = format_duration(max(-ahead_ms, 0) / 1000)
    return Check("stored times", "ok", f"the newest event is {age} old")


def assess_skew(skew_ms: float, round_trip_ms: float) -> Check:
    """Assess the clock difference to the database server, known to half a round trip."""
    value = f"{skew_ms:+.0f} ms against the database server (± {round_trip_ms / 2:.1f} ms)"
    advice = "use one time service for both machines; the database's clock is authoritative"
    sure_ms = abs(skew_ms) - round_trip_ms / 2
    if sure_ms > _BAD_SKEW_MS:
        return Check("clock skew", "fail", value, advice)
    if sure_ms > _SKEW_MS:
        return Check("clock skew", "warn", value, advice)
    return Check("clock skew", "ok", value)


def assess_round_trip(p50_ms: float, p99_ms: float) -> Check:
    """Assess the round trip to the database; each transaction needs several."""
    value = f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    if p50_ms > _FAR_MS:
        return Check("round trip", "warn", value, "the database is far away: run servers near it")
    return Check("round trip", "ok", value)


def assess_commit(p50_ms: float, p99_ms: float) -> Check:
    """Assess the commit duration of PostgreSQL."""
    value = f"p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms"
    if p99_ms > _LATE_FSYNC_MS:
        advice = (
            "a producer waits this long for each 202: check the disk of the database, or at its"
            " synchronous standby"
        )
        return Check("commit", "warn", value, advice)
    return Check("commit", "ok", value)


def assess_durability(synchronous_commit: str, fsync: str, full_page_writes: str) -> Check:
    """Assess whether committed data of PostgreSQL survives a power failure."""
    value = f"synchronous_commit {synchronous_commit}, fsync {fsync}, pages {full_page_writes}"
    if fsync != "on" or full_page_writes != "on":
        advice = (
            "a power failure can damage the whole database: set fsync and full_page_writes on in"
            " postgresql.conf"
        )
        return Check("durability", "fail", value, advice)
    if synchronous_commit == "off":
        advice = (
            "a crash loses events that were accepted with 202: an intermediary (such as a pooler)"
            " drops our setting; set it on"
        )
        return Check("durability", "fail", value, advice)
    return Check("durability", "ok", value)


def assess_postgres(
    version: str, number: int, where: str, size: int, *, standby: bool, read_only: bool
) -> Check:
    """Report the database server, and assess its version (``server_version_num``)."""
    value = f"PostgreSQL {version} at {where}, {in_bytes(size)}"
    if standby:
        advice = "it rejects writes: HOOKTUI_DATABASE_URL must name the primary"
        return Check("database", "fail", f"{value}, a standby", advice)
    if read_only:
        advice = "set default_transaction_read_only off for the user and the database"
        return Check("database", "fail", f"{value}, read-only", advice)
    if number < _OLDEST_POSTGRES:
        return Check("database", "warn", value, "this version is no longer maintained: upgrade it")
    return Check("database", "ok", value)


def assess_connections(used: int, most: int) -> Check:
    """Assess the used connections of PostgreSQL; one of our servers uses about ten."""
    value = f"{used:,} of {most:,} in use"
    if most - used < _CONNECTIONS_OF_A_SERVER:
        advice = (
            "another server may fail to connect: raise max_connections, or close other connections"
        )
        return Check("connections", "warn", value, advice)
    return Check("connections", "ok", value)


def assess_leases(held: int, expired: int, *, working: bool) -> Check:
    """Assess leased deliveries; ``working``: a server is running."""
    value = f"{held:,} held, {expired:,} expired"
    if not working:
        advice = "the next start sends them again" if held else ""
        return Check("leases", "ok", f"{held:,} left by the last server", advice)
    if expired:
        advice = (
            "a server crashed or hangs; they are rescued within a minute: if they remain, restart"
            " the servers"
        )
        return Check("leases", "warn", value, advice)
    return Check("leases", "ok", value)


def assess_waiting(waiting: int, held: int, late_s: float | None, *, working: bool) -> Check:
    """Assess the backlog; ``late_s``: for how long the oldest delivery has been due."""
    late = "nothing is due" if late_s is None else f"the oldest due for {format_duration(late_s)}"
    value = f"{waiting:,} waiting, {late}" + (f", {held:,} held" if held else "")
    if not working and waiting:
        return Check("waiting", "warn", value, "they are sent once a server is running")
    if late_s is not None and late_s > _LATE_S:
        advice = (
            "a receiver is down or too slow for its events: hooktui status names the hooks with"
            " most of them"
        )
        return Check("waiting", "warn", value, advice)
    return Check("waiting", "ok", value)


def assess_hold(longest_ms: float, by: str | None) -> Check:
    """Assess the longest time that one task blocked the event loop."""
    if by is None:
        return Check("event loop", "ok", "not blocked for over 2 ms in the last minute")
    value = f"blocked for up to {longest_ms:.0f} ms in the last minute, by {by}"
    if longest_ms > LONG_HOLD_MS:
        advice = (
            "all requests and deliveries waited this long; see the server's log for how often, and"
            " check whether other programs use the processor"
        )
        return Check("event loop", "warn", value, advice)
    return Check("event loop", "ok", value)


def assess_open_files(limit: int, used: int | None) -> Check:
    """Assess how many files and connections the process may have open."""
    value = f"at most {limit:,}" + ("" if used is None else f", {used:,} now")
    to = advised_limit(limit)
    advice = f"raise it: LimitNOFILE={to} in the service, or ulimit -n {to} before the start"
    if used is not None and used > limit * 0.95:
        return Check("open files", "fail", value, advice)
    if limit < _FEW_FILES:
        return Check("open files", "warn", value, advice)
    return Check("open files", "ok", value)


def assess_outbound(in_use: int, most: int, configured: int | None, *, short: bool) -> Check:
    """Assess the limit of connections to receivers; ``configured``: the configured limit."""
    value = f"{in_use:,} of {most:,} connections to receivers in use"
    if configured is not None and most < configured:
        needed = advised_limit(0, configured)
        advice = f"the limit of open files allows no more: LimitNOFILE={needed} in the service"
        return Check("outbound", "warn", f"{value}; max_outbound is {configured:,}", advice)
    if short:
        advice = "raise the limit of open files or max_outbound, or look for slow receivers"
        return Check("outbound", "warn", f"{value}, hooks wait for one", advice)
    return Check("outbound", "ok", value)


def assess_shortage(last: Shortage | None, now_ms: int) -> Check:
    """Assess whether this machine had a resource shortage while sending, within a day."""
    if last is None or now_ms - last.at_ms > _SHORTAGE_COUNTS_MS:
        return Check("shortage", "ok", "no resource shortage while sending")
    age = format_duration(max(now_ms - last.at_ms, 0) // 1000)
    times = sum(last.counts.values())
    value = f"this machine {last.condition.words}, {age} ago; {times:,} times since the start"
    return Check("shortage", "warn", value, last.condition.advice)


_SENSITIVE: Final = (
    (ip_network("169.254.0.0/16"), "169.254.169.254, where clouds hand out credentials"),
    (ip_network("fe80::/10"), "link-local addresses"),
    (ip_network("fd00:ec2::254/128"), "fd00:ec2::254, where AWS hands out credentials"),
    (ip_network("fd20:ce::254/128"), "fd20:ce::254, where Google hands out credentials"),
    (ip_network("100.100.100.200/32"), "100.100.100.200, where Alibaba hands out credentials"),
    (ip_network("168.63.129.16/32"), "168.63.129.16, Azure's service for its machines"),
    (ip_network("192.0.0.192/32"), "192.0.0.192, where Oracle hands out credentials"),
)
_NAMED: Final = 5
_ENCRYPTED: Final = ("require", "verify-ca", "verify-full")


def assess_networks(allowed: Sequence[IPv4Network | IPv6Network]) -> Check:
    """Assess ``HOOKTUI_ALLOW_NETWORKS``: whether hooks can reach services with credentials."""
    overlaps = [
        f"{network} opens {what}"
        for network in allowed
        for sensitive, what in _SENSITIVE
        if network.overlaps(sensitive)
    ]
    if not overlaps:
        listed = ", ".join(map(str, allowed)) or "public addresses only"
        return Check("networks", "ok", listed)
    advice = (
        "a hook can send requests there: allow only the networks of receivers in"
        " HOOKTUI_ALLOW_NETWORKS"
    )
    return Check("networks", "warn", "; ".join(overlaps), advice)


def assess_tls_key(file: str, mode: int, owner: int, us: int) -> Check:
    """Assess who can read the key of the TCP listener.

    The rule is PostgreSQL's: a key of root may be readable by its group, which the server is in;
    every other key only by its owner.

    ``owner`` is the uid that owns the file, ``us`` that of the server.
    """
    allowed, right = (0o640, "640") if owner == 0 and us != 0 else (0o600, "600")
    bits = stat.S_IMODE(mode)
    if bits & 0o077 & ~allowed:
        command = f"chmod {right} {shlex.quote(file)}"
        advice = f"{command}, and replace the key if others use this machine"
        value = f"{file} has mode {bits:o}: others can read or change it"
        return Check("TLS key", "fail", value, advice)
    return Check("TLS key", "ok", f"{file} has mode {bits:o}")


def assess_database_tls(hosts: Sequence[str], sslmode: str | None) -> Check:
    """Assess whether connections to PostgreSQL are encrypted.

    ``hosts`` are the remote ones; ``sslmode`` is that of the address or ``PGSSLMODE``, if any.
    """
    if not hosts:
        return Check("database TLS", "ok", "not needed: the connection stays on this machine")
    where = ", ".join(hosts[:_NAMED])
    if sslmode in _ENCRYPTED:
        return Check("database TLS", "ok", f"sslmode={sslmode} to {where}")
    chosen = "no sslmode" if sslmode is None else f"sslmode={sslmode}"
    advice = "add ?sslmode=verify-full to the address of the database"
    value = f"{chosen} to {where}: the connection may be plain text"
    return Check("database TLS", "warn", value, advice)


def assess_tokens(endless: Sequence[tuple[int, str]]) -> Check:
    """Assess the tokens: list those that never expire, by id and name."""
    if not endless:
        return Check("tokens", "ok", "every token expires")
    named = _listed([f"{number} ({name})" for number, name in endless])
    verb = "token never expires" if len(endless) == 1 else "tokens never expire"
    advice = (
        "replace them: hooktui tokens create NAME --role ROLE --expires 90d, then revoke the old"
    )
    return Check("tokens", "warn", f"{len(endless):,} {verb}: {named}", advice)


def assess_alerts(path: AlertPath, open_alerts: int) -> Check:
    """Assess the hooks that get alerts: the server cannot report problems while they fail."""
    found = f"{open_alerts:,} open"
    if path.state == "none":
        return Check("alerts", "ok", f"{found}; no hook gets alerts", NO_ALERT_HOOK)
    broken = [hook for hook in path.hooks if hook.state != "ok"]
    if broken:
        named = _listed([f"{hook.hook} ({hook.name}) is {hook.state}" for hook in broken])
        advice = "alerts may reach nobody: hooktui hooks diagnose HOOK, then fix the receiver"
        value = f"{found}; of the hooks that get alerts, {named}"
        return Check("alerts", "fail", value, advice)
    noun = "hook gets" if len(path.hooks) == 1 else "hooks get"
    return Check("alerts", "ok", f"{found}; {len(path.hooks):,} {noun} alerts")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f", and {more:,} more" if more > 0 else "")
