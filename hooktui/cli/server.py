"""``hooktui serve``, ``stop`` and ``status``."""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hooktui.cli.context import CommandContext, Context, file_path
from hooktui.cli.exit_codes import DONE, FAILED, Failed, UsageError
from hooktui.cli.output import Output, Styled
from hooktui.cli.time_format import ago, when
from hooktui.client import calls
from hooktui.client.sync_client import PlainClient
from hooktui.domain.alert_events import NO_ALERT_HOOK
from hooktui.domain.clock import from_rfc3339, now_ms
from hooktui.domain.errors import HooktuiError, NoServer, NotAllowed, Refused
from hooktui.domain.paths import with_absolute_file
from hooktui.domain.text import counted, in_bytes
from hooktui.domain.wire.alerts import AlertCounts, AlertPath
from hooktui.domain.wire.server import (
    Backlog,
    ClientConnections,
    Connections,
    DatabaseInfo,
    OpenBreaker,
    Rates,
    ServerStatus,
    ShortageInfo,
)

STOP_TIMEOUT_S = 30.0
"""The server itself gives attempts in flight 10 s; the rest is for a slow disk."""

_PROGRESS_EVERY_S = 0.5
_HOOKS = 5
"""The most hooks that a line of the status names."""


def serve(
    *,
    listen: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    database: str | None = None,
    print_unit: bool = False,
    context: Context,
) -> None:
    """Run the server in the foreground; ctrl+c or `hooktui stop` ends it.

    Args:
        listen: HOST:PORT to listen on besides the Unix socket; callers need a token there.
        tls_cert: certificate (PEM) for --listen; needed unless the host is loopback.
        tls_key: the private key (PEM) of --tls-cert.
        database: sqlite:///PATH, or postgresql://… for several servers; a file by default. @FILE
            reads it from a file, so that a password stays out of the process list.
        print_unit: print a systemd unit with the same options, and exit.
    """
    options = {"listen": listen, "tls_cert": tls_cert, "tls_key": tls_key}
    if print_unit:
        _print_unit(context, options, database)
        return
    from hooktui.server import run

    if database is not None:
        database = context.secret_value("--database", database)
    try:
        run.main(options | {"database_url": database}, context.environ)
    except HooktuiError as error:
        if error.status != Refused.status:
            raise
        raise UsageError(error.detail) from error  # the next start fails alike


def _print_unit(
    context: CommandContext, options: Mapping[str, str | None], database: str | None
) -> None:
    from hooktui.cli.systemd_unit import hidden_place, unit

    if database is not None and _holds_password(database):
        raise UsageError(
            "all users can read a unit file: put the address with its password into"
            " /etc/hooktui/config.toml (database_url, mode 640, group hooktui), or give --database"
            " @FILE"
        )
    given: list[str] = []
    for name, value in {**options, "database": database}.items():
        if value is not None:
            given += [f"--{name.replace('_', '-')}", _absolute(name, value)]
    for line in unit(given).splitlines():
        context.out.line(line)
    hidden = hidden_place()
    if hidden is not None:
        context.out.note(
            f"the service does not see {hidden} (ProtectHome, PrivateTmp): install hooktui for all,"
            " such as into /opt/hooktui with the system's Python, and print the unit with that one"
        )


def _absolute(name: str, value: str) -> str:
    """Return the value of an option with an absolute path: the service works in ``/``."""
    if name in ("tls_cert", "tls_key"):
        return str(file_path(value))
    if name == "database" and value.startswith("@"):
        return f"@{file_path(value[1:])}"
    return with_absolute_file(value, Path.cwd()) if name == "database" else value


def _holds_password(database: str) -> bool:
    if database.startswith("@"):
        return False
    # A user alone is no secret. In an address that is not well-formed any ":" may be before one.
    user = re.sub("^[A-Za-z0-9+.-]*:/+", "", database).rpartition("@")[0]
    return ":" in user or "password=" in database


def stop(*, context: Context) -> None:
    """Stop the server; attempts in progress finish, and nothing is lost."""
    if context.address.socket is None:
        raise UsageError("stop ends a server of this machine; it does not go with --connect URL")
    try:
        with PlainClient(context.address) as client:
            pid = client.server_pid()
    except NoServer:
        raise NoServer(f"no server to stop: none responds at {context.address}") from None
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        context.interrupted = "interrupted; the server continues to stop"
        _await_end(context, process, pid)
    except PermissionError as error:
        raise NotAllowed(f"you may not end the server's process {pid}; its owner can") from error
    finally:
        os.close(process)
    context.out.note("the server is stopped")


def _await_end(context: CommandContext, process: int, pid: int) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while not select.select([process], [], [], _PROGRESS_EVERY_S)[0]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Failed(f"the server (process {pid}) still runs after {STOP_TIMEOUT_S:g} s")
        context.out.progress(f"waiting for attempts in flight, at most {left:.0f} s more")


def status(*, context: Context) -> int:
    """Show server status: backlog, rates, alerts, and the database.

    Exits with 1 while a hook that gets alerts is failing.
    """
    raw, shown = context.response(calls.server_status(context.account))
    if context.json:
        context.out.json(raw)
    else:
        _write(context.out, shown, str(context.address))
    path = shown.alert_path
    return FAILED if path is not None and path.state == "failing" else DONE


def _write(out: Output, status: ServerStatus, where: str) -> None:
    paused, disk, loop, outbound = status.paused, status.disk, status.loop, status.connections
    for label, value in (
        ("server", f"hooktui {status.version} at {where}"),
        ("paused", paused and f"by {paused.by}, {ago(paused.at)}; hooktui resume ends it"),
        *(
            ("process", f"{server.pid} on {server.name}, started {ago(server.started_at)}")
            for server in status.servers
        ),
        ("you", f"{status.user}, {status.role}"),
        ("waiting", _backlog(status.backlog)),
        ("breakers", status.breakers and _breakers(status.breakers, paused=paused is not None)),
        ("account", status.bound_to and f"{status.bound_to}, the only one of this token"),
        ("alerts", status.alerts and _alerts(status.alerts)),
        ("alert path", status.alert_path and _alert_path(status.alert_path)),
        ("rates", status.rates and _rates(status.rates)),
        ("outbound", outbound and _outbound(outbound)),
        ("shortage", outbound and outbound.shortage and _shortage(outbound.shortage)),
        ("clients", status.clients and _clients(status.clients)),
        ("database", status.database and _database(status.database)),
        ("disk", disk and f"{in_bytes(disk.free)} of {in_bytes(disk.total)} free"),
        ("loop", loop and loop.by and f"blocked for up to {loop.longest_ms:.0f} ms by {loop.by}"),
    ):
        if value:
            out.line(Styled(f"{label:<11}", "dim"), str(value))


def _alerts(alerts: AlertCounts) -> str:
    return f"{alerts.open:,} open, {alerts.acknowledged:,} acknowledged, {alerts.snoozed:,} snoozed"


def _alert_path(path: AlertPath) -> str:
    if path.state == "none":
        return f"none; {NO_ALERT_HOOK}"
    broken = [
        f"hook {hook.hook} ({hook.name}) is {hook.state} since {_time(hook.since)}"
        for hook in path.hooks
        if hook.state != "ok"
    ]
    return "; ".join(broken) or f"ok, {counted(len(path.hooks), 'hook')}"


def _time(time: str | None) -> str:
    return "an unknown time" if time is None else when(time)


def _backlog(backlog: Backlog) -> str:
    parts = [counted(backlog.count, "delivery")]
    if backlog.oldest_due_at is not None:
        parts.append(f"the oldest due {ago(backlog.oldest_due_at)}")
    if backlog.held:
        parts.append(f"{backlog.held:,} held")
    if backlog.hooks:
        most = ", ".join(f"hook {hook.hook}: {hook.count:,}" for hook in backlog.hooks[:_HOOKS])
        parts.append(f"most for {most}")
    return "; ".join(parts)


def _breakers(breakers: Sequence[OpenBreaker], *, paused: bool) -> str:
    def probe(one: OpenBreaker) -> str:
        is_ahead = from_rfc3339(one.probe_at) > now_ms()
        return "" if paused else f", probe {ago(one.probe_at) if is_ahead else 'due'}"

    shown = [
        f"hook {one.hook} ({one.name}) open after {counted(one.failures, 'failure')}{probe(one)}"
        for one in breakers[:_HOOKS]
    ]
    more = len(breakers) - len(shown)
    return "; ".join([*shown, f"{more:,} more"] if more else shown)


def _clients(clients: ClientConnections) -> str:
    closed = clients.refused + clients.evicted + clients.reset
    return (
        f"{clients.known + clients.unknown:,} of {clients.most:,} TCP connections,"
        f" {clients.unknown:,} without a token; {clients.local:,} local;"
        f" {in_bytes(clients.unsent_bytes)} of responses unread"
        + (f"; {closed:,} closed at a limit since the start" if closed else "")
    )


def _outbound(connections: Connections) -> str:
    waiting = "; hooks wait for one" if connections.waiting else ""
    return (
        f"{connections.in_use:,} of {connections.most:,} connections in use,"
        f" {connections.idle:,} idle; at most {connections.files_limit:,} open files{waiting}"
    )


def _shortage(last: ShortageInfo) -> str:
    times = counted(sum(last.counts.values()), "time")
    return f"{last.message}, {ago(last.at)}; {times} since the start; {last.advice}"


def _rates(rates: Rates) -> str:
    return (
        f"{rates.accepted_per_s:.1f} events, {rates.delivered_per_s:.1f} delivered,"
        f" {rates.failed_per_s:.1f} failed a second; {rates.in_flight} in flight"
    )


def _database(database: DatabaseInfo) -> str:
    size = "" if database.size is None else f", {in_bytes(database.size)}"
    log = "" if not database.wal_size else f", write-ahead log {in_bytes(database.wal_size)}"
    commit = database.longest_commit_ms
    slow = "" if commit is None else f"; longest commit {commit:,.0f} ms in the last minute"
    return f"{database.kind} {database.version}, {database.location}{size}{log}{slow}"
