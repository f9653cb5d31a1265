"""Texts of the engine: rates, backlog and its forecast, connections, servers, database, disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hooktui.console.formatting import moment, since_words
from hooktui.console.frame.frame_text import CHECK_TONES, advice_here
from hooktui.console.glyphs import Glyphs
from hooktui.console.registry import KeyOf
from hooktui.console.shell.status import Trend
from hooktui.console.widgets.styled import StyledLine, StyledText
from hooktui.console.widgets.table import Column
from hooktui.domain.clock import format_duration, from_rfc3339
from hooktui.domain.text import counted, in_bytes
from hooktui.domain.wire.diagnosis import DoctorReport
from hooktui.domain.wire.server import DatabaseInfo, Disk, OpenBreaker, Rates, ServerStatus

_STILL_PER_S: Final = 0.05
"""Deliveries per second; a backlog that changes less is constant."""
_DISK_SPAN_MS: Final = 120_000
_SHORTAGE_SHOWN_MS: Final = 3_600_000
_FORESEEN_DAYS: Final = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHook:
    """A hook with waiting deliveries or an open breaker."""

    hook: int
    name: str
    waiting: int = 0
    breaker: OpenBreaker | None = None


def engine_hooks(status: ServerStatus) -> list[EngineHook]:
    """Return the hooks with the most waiting deliveries, then those with only an open breaker."""
    breakers = {breaker.hook: breaker for breaker in status.breakers}
    hooks = [
        EngineHook(hook=q.hook, name=q.name, waiting=q.count, breaker=breakers.pop(q.hook, None))
        for q in status.backlog.hooks
    ]
    return hooks + [EngineHook(hook=b.hook, name=b.name, breaker=b) for b in breakers.values()]


def engine_columns(
    glyphs: Glyphs, clock: Callable[[], int], sends: Callable[[], bool]
) -> tuple[Column[EngineHook], ...]:
    """Return the columns of those hooks; ``sends`` returns whether the engine sends, if known."""

    def breaker(row: EngineHook) -> StyledLine:
        if row.breaker is None:
            return (("closed", "quiet"),)
        text, at_ms = f"{glyphs.failing} open", from_rfc3339(row.breaker.probe_at)
        if sends():
            when = "now" if at_ms <= clock() else f"at {moment(at_ms, clock())}"
            text += f", probe {when}"
        return (
            (text, "bad"),
            (f" after {counted(row.breaker.failures, 'failure')} in a row", "quiet"),
        )

    return (
        Column(name="id", cell=lambda o: str(o.hook), tone="quiet", width=6, align="right",
               priority=1),
        Column(name="name", title="hook", cell=lambda o: o.name, width=16, grow=2, max_width=40,
               priority=0),
        Column(name="waiting", cell=lambda o: f"{o.waiting:,}", width=9, align="right", priority=0),
        Column(name="breaker", cell=breaker, width=26, grow=3, max_width=60, priority=0),
    )  # fmt: skip


def engine_lines(
    status: ServerStatus, backlog: Trend, free: Trend, now_ms: int, dot: str, *, old: bool = False
) -> list[StyledLine]:
    """Return the facts above the list, one line each; old facts have no forecasts."""
    lines = [_delivery(status, now_ms, dot, old=old)]
    if status.rates is not None:
        lines.append(_rates(status.rates, dot))
    lines.append(_waiting(status, None if old else backlog, now_ms, dot))
    lines += [] if old else _connections(status, now_ms, dot)
    for server in status.servers:
        since = moment(server.started_at, now_ms)
        words = f"{server.name}{dot}{server.version}{dot}process {server.pid}{dot}since {since}"
        words += f"{dot}number {server.number}" if len(status.servers) > 1 else ""
        lines.append(_fact("server", (words, "plain")))
    if status.database is not None:
        lines.append(_database(status.database, dot))
    if status.disk is not None:
        lines.append(_disk(status.disk, Trend() if old else free, dot))
    if status.keep is not None:
        periods = f"events {_days(status.keep.days)}, bodies {_days(status.keep.bodies_days)}"
        lines.append(_fact("kept", (periods, "plain")))
    return lines


def _fact(label: str, *pieces: StyledText) -> StyledLine:
    return ((f" {label:<10}", "quiet"), *pieces)


def _delivery(status: ServerStatus, now_ms: int, dot: str, *, old: bool) -> StyledLine:
    if old:
        return _fact("delivery", ("unknown until the server responds", "warn"))
    if status.paused is None:
        return _fact("delivery", ("sending", "good"))
    at_ms = from_rfc3339(status.paused.at)
    since = f"since {moment(at_ms, now_ms)} ({since_words(status.paused.at, now_ms)})"
    return _fact(
        "delivery",
        (f"! paused by {status.paused.by} {since}", "warn"),
        (f"{dot}only pings are sent", "plain"),
    )


def _database(database: DatabaseInfo, dot: str) -> StyledLine:
    size = "" if database.size is None else f"{dot}{in_bytes(database.size)}"
    log = "" if not database.wal_size else f", write-ahead log {in_bytes(database.wal_size)}"
    where: StyledText = (f"{dot}{database.location}", "quiet")
    return _fact("database", (f"{database.kind} {database.version}{size}{log}", "plain"), where)


def _rates(rates: Rates, dot: str) -> StyledLine:
    text = (
        f"{rates.accepted_per_s:.1f} events, {rates.delivered_per_s:.1f} delivered,"
        f" {rates.failed_per_s:.1f} failed a second{dot}{rates.in_flight:,} in flight"
    )
    return _fact("rates", (text, "plain"))


def _connections(status: ServerStatus, now_ms: int, dot: str) -> list[StyledLine]:
    """Return a line for a lack of connections, and one for a recent shortage of the machine."""
    connections = status.connections
    if connections is None:
        return []
    lines: list[StyledLine] = []
    if connections.waiting:
        in_use = f"{connections.in_use:,} of {connections.most:,} outbound connections in use"
        lines.append(_fact("outbound", (f"{in_use}{dot}hooks take turns", "warn")))
    last = connections.shortage
    if last is not None and now_ms - from_rfc3339(last.at) < _SHORTAGE_SHOWN_MS:
        times = counted(sum(last.counts.values()), "delivery") + " returned unsent"
        lines.append(
            _fact("shortage", (f"{last.message}, {since_words(last.at, now_ms)}", "bad"),
                  (f"{dot}{times}{dot}{last.advice}", "plain"))
        )  # fmt: skip
    return lines


def _waiting(status: ServerStatus, trend: Trend | None, now_ms: int, dot: str) -> StyledLine:
    backlog = status.backlog
    pieces: list[StyledText] = [(f"{backlog.count:,}", "plain" if backlog.count else "quiet")]
    if backlog.oldest_due_at is not None and trend is not None:
        due = since_words(backlog.oldest_due_at, now_ms)
        pieces.append((f"{dot}the oldest due {due}", "plain"))
    if trend is not None:
        pieces.append((f"{dot}{forecast(status, trend)}", "plain"))
    if backlog.held:
        pieces.append((f"{dot}{backlog.held:,} held by disabled hooks", "warn"))
    return _fact("waiting", *pieces)


def forecast(status: ServerStatus, trend: Trend) -> str:
    """Return when the backlog will be empty at the current rate."""
    if not status.backlog.count:
        return "nothing to send"
    if status.paused is not None:
        return "continues after the resume"
    if status.backlog.oldest_due_at is None:
        return "nothing due; the next attempts are scheduled"
    per_s = trend.per_s
    if per_s is None:
        return "the forecast needs some seconds"
    if per_s >= _STILL_PER_S:
        return f"grows by {per_s:,.1f} a second"
    left_s = trend.falls_to_s(0)
    if left_s is None or per_s > -_STILL_PER_S:
        return "stays as it is"
    return f"empty in about {_roughly(left_s)}"


def _disk(disk: Disk, free: Trend, dot: str) -> StyledLine:
    pieces: list[StyledText] = [(f"{in_bytes(disk.free)} of {in_bytes(disk.total)} free", "plain")]
    if disk.reserve:
        words = f"{dot}below {in_bytes(disk.reserve)} no events are accepted"
        pieces.append((words, "bad" if disk.free < 2 * disk.reserve else "quiet"))
    full_s = free.falls_to_s(disk.reserve) if free.span_ms >= _DISK_SPAN_MS else None
    if full_s is not None and full_s < _FORESEEN_DAYS * 86_400:
        pieces.append((f"{dot}reached in about {_roughly(full_s)} at the current rate", "warn"))
    return _fact("disk", *pieces)


def _days(days: float) -> str:
    return f"{days:g} days" if days else "no limit"


def _roughly(seconds: float) -> str:
    """Return a duration in one or two units: a forecast does not need seconds."""
    step = next((step for step in (86_400, 3600, 60) if seconds >= 2 * step), 1)
    return format_duration(max(round(seconds / step), 1) * step)


def report_lines(report: DoctorReport, key: KeyOf) -> list[StyledLine]:
    """Return the checks of the installation, failed ones first."""
    worst_first = {"fail": 0, "ok": 2}  # between: warnings, and states of a newer server
    lines: list[StyledLine] = []
    for check in sorted(report.checks, key=lambda entry: worst_first.get(entry.state, 1)):
        name: StyledText = (f"  {check.name:<14}", "quiet")
        state: StyledText = (f"{check.state:<4}", CHECK_TONES.get(check.state, "warn"))
        lines.append(((" ", "plain"), state, name, (check.value, "plain")))
        if check.advice:
            lines.append(((" " * 21, "plain"), (advice_here(check.advice, key), "quiet")))
    return lines
