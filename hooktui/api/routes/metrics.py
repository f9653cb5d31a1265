"""``/metrics``: figures in the text format of Prometheus (0.0.4), from 0 at each start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from fastapi.responses import PlainTextResponse
from starlette.requests import Request
from starlette.responses import Response

from hooktui import __version__
from hooktui.api.parameters import make_router
from hooktui.api.routes.status import client_connections, disk_of
from hooktui.api.service import Service, in_turn, read, service_of
from hooktui.domain.clock import from_rfc3339, now_ms
from hooktui.domain.deliveries import Load
from hooktui.domain.ids import HookId
from hooktui.domain.machine import Condition
from hooktui.domain.wire.hooks import HookPace
from hooktui.domain.wire.server import Backlog, ClientConnections, DatabaseInfo, Disk
from hooktui.loop_watch import WATCH
from hooktui.store import queries

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MAX_HOOKS: Final = 200
"""Hooks in the metrics, each with three values."""

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; ``suffix`` is ``_sum`` or ``_count`` of a summary."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: name with its unit, kind, one line of help, and its values."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: tuple[Sample, ...]


def one(name: str, kind: Literal["counter", "gauge"], words: str, value: float) -> Metric:
    """Return a metric of one value."""
    return Metric(name, kind, words, (Sample(value),))


def by(
    label: str,
    name: str,
    kind: Literal["counter", "gauge"],
    words: str,
    values: Mapping[str, float],
) -> Metric:
    """Return a metric with a value for each value of a label."""
    samples = (Sample(value, ((label, key),)) for key, value in values.items())
    return Metric(name, kind, words, tuple(samples))


def exposition(metrics: Iterable[Metric]) -> str:
    """Return metrics in the text format."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [_line(metric.name, sample) for sample in metric.samples]
    return "\n".join(lines) + "\n"


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in sample.labels)
    inside = f"{{{labels}}}" if labels else ""
    # repr keeps every digit of a float and writes integers without a point.
    return f"{name}{sample.suffix}{inside} {sample.value!r}"


router = make_router("server")


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Show counters and gauges of all accounts in the text format of Prometheus."""
    service = service_of(request)
    now = now_ms()
    families = [
        *_of_server(service, await in_turn(request, service.store.info)),
        *_of_engine(service.engine.load()),
        *_of_hooks(await service.engine.paces(MAX_HOOKS)),
        *_of_clients(client_connections(service)),
        *_of_backlog(await read(request, queries.backlog, None, now), now),
        by("state", "hooktui_hooks", "gauge", "Hooks, by sending state.",
           await read(request, queries.hooks_by_state)),
        _commits(service),
        *await _of_alerts(request),
        *_of_disk(await disk_of(service)),
    ]  # fmt: skip
    return Response(exposition(families), headers={"Content-Type": MEDIA_TYPE})


def _of_server(service: Service, database: DatabaseInfo) -> list[Metric]:
    hold = WATCH.longest()
    labels = (("version", __version__), ("database", database.kind))
    families = [
        Metric("hooktui_build_info", "gauge", "The program, always 1.", (Sample(1, labels),)),
        one("process_start_time_seconds", "gauge", "When the server started, Unix time.",
            from_rfc3339(service.started_at) / 1000),
        one("hooktui_dispatcher_up", "gauge", "Whether due deliveries are being sent.",
            int(service.engine.working)),
        one("hooktui_loop_longest_hold_seconds", "gauge",
            "The longest time in the last minute that one task blocked the event loop.",
            0.0 if hold is None else hold.seconds),
        one("hooktui_paused", "gauge", "Whether all sending is paused.",
            int(service.store.paused)),
    ]  # fmt: skip
    sizes = {"database": database.size, "wal": database.wal_size}
    known = {name: size for name, size in sizes.items() if size is not None}
    if known:
        words = "Size of the database and of its log."
        families.append(by("file", "hooktui_database_bytes", "gauge", words, known))
    return families


def _of_engine(load: Load) -> list[Metric]:
    shortages = {} if load.shortage is None else load.shortage.counts
    return [
        one("hooktui_events_accepted_total", "counter", "Events accepted.", load.accepted),
        by("outcome", "hooktui_attempts_total", "counter", "Finished attempts, by outcome.",
           {outcome.value: number for outcome, number in load.outcomes.items()}),
        one("hooktui_attempts_in_flight", "gauge", "Attempts in progress.", load.in_flight),
        by("state", "hooktui_outbound_connections", "gauge", "Connections to receivers.",
           {"in_use": load.outbound, "idle": load.idle}),
        one("hooktui_outbound_connections_limit", "gauge",
            "Maximum number of connections to receivers.", load.most_outbound),
        by("condition", "hooktui_shortages_total", "counter",
           "Attempts that were not made because this machine lacked a resource.",
           {name: shortages.get(name, 0) for name in Condition}),
    ]  # fmt: skip


def _of_hooks(paces: Mapping[HookId, HookPace]) -> list[Metric]:
    shown = {str(hook): pace for hook, pace in paces.items()}
    return [
        by("hook", "hooktui_hook_in_flight", "gauge", "Attempts in progress, by hook.",
           {hook: pace.in_flight for hook, pace in shown.items()}),
        by("hook", "hooktui_hook_in_flight_limit", "gauge",
           "How many attempts of a hook may be in progress now.",
           {hook: pace.in_flight_limit for hook, pace in shown.items()}),
        by("hook", "hooktui_hook_overloads_total", "counter",
           "How often the limit of a hook was cut because its receiver was overloaded.",
           {hook: pace.overloads for hook, pace in shown.items()}),
    ]  # fmt: skip


async def _of_alerts(request: Request) -> list[Metric]:
    store = service_of(request).store
    totals = await read(request, queries.undelivered_totals)
    path = await read(request, queries.alert_path, None, list(store.alert_hooks()))
    return [
        by("type", "hooktui_alerts_open", "gauge", "Alerts that are not resolved, by type.",
           await read(request, queries.alerts_by_type)),
        Metric("hooktui_alert_path_up", "gauge",
               "Whether the hooks that subscribe to alerts work; no value without such a hook.",
               () if path.state == "none" else (Sample(int(path.state == "ok")),)),
        by("state", "hooktui_undelivered", "gauge", "Undelivered events, by state.",
           {"gave_up": totals.gave_up, "retrying": totals.retrying, "held": totals.held,
            "skipped": totals.skipped}),
        one("hooktui_replays_running", "gauge", "Replays that run.",
            await read(request, queries.count_running)),
        one("hooktui_undelivered_expired_total", "counter",
            "Undelivered events that retention deleted.", sum(store.expired.values())),
    ]  # fmt: skip


def _of_clients(clients: ClientConnections) -> list[Metric]:
    closed = {"refused": clients.refused, "evicted": clients.evicted, "unread": clients.reset}
    return [
        by("kind", "hooktui_client_connections", "gauge",
           "Connections of clients: over TCP with a valid token (known) or without, or local.",
           {"known": clients.known, "unknown": clients.unknown, "local": clients.local}),
        one("hooktui_client_connections_limit", "gauge", "The limit of those over TCP.",
            clients.most),
        by("reason", "hooktui_client_connections_closed_total", "counter",
           "Connections of clients that were closed because of a limit.", closed),
        one("hooktui_unsent_response_bytes", "gauge",
            "Bytes of responses that clients have not read.", clients.unsent_bytes),
        one("hooktui_held_bytes", "gauge",
            "Bytes of request bodies and unread responses in memory.", clients.held_bytes),
        one("hooktui_held_bytes_limit", "gauge", "The limit of those bytes.", clients.held_most),
    ]  # fmt: skip


def _of_backlog(backlog: Backlog, now: int) -> list[Metric]:
    due = backlog.oldest_due_at
    late_s = 0.0 if due is None else max(0, now - from_rfc3339(due)) / 1000
    return [
        one("hooktui_deliveries_waiting", "gauge", "Deliveries waiting to be sent.", backlog.count),
        one("hooktui_deliveries_held", "gauge", "Deliveries of disabled hooks.", backlog.held),
        one("hooktui_oldest_due_seconds", "gauge",
            "How long the oldest due delivery has been due; 0: nothing is due.", late_s),
    ]  # fmt: skip


def _commits(service: Service) -> Metric:
    samples = []
    for heartbeat in service.store.heartbeats:
        labels = (("writer", heartbeat.name),)
        samples.append(Sample(heartbeat.finished_s, labels, "_sum"))
        samples.append(Sample(heartbeat.finished_count, labels, "_count"))
    words = "Committed transactions, from their start until on disk."
    return Metric("hooktui_commit_seconds", "summary", words, tuple(samples))


def _of_disk(disk: Disk) -> list[Metric]:
    return [
        one("hooktui_disk_free_bytes", "gauge",
            "Space for events: free on the disk, less the log, and inside the database.",
            disk.free),
        one("hooktui_disk_total_bytes", "gauge", "Size of that file system.", disk.total),
        one("hooktui_disk_reserve_bytes", "gauge", "Below this, events are refused (507).",
            disk.reserve),
    ]  # fmt: skip
