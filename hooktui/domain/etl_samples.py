"""A sample body for each event type of the ETL catalogue, as its API would show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hooktui.domain import etl_resources
from hooktui.domain.etl_resources import Cluster, Component, Job

_MINUTE_MS: Final = 60_000

EMPTY: Final = "{}"
"""The sample of an unknown type."""


def sample(event_type: str, now_ms: int) -> str | None:
    """Return the indented body of an event that happens now; None: an unknown type."""
    make = _MAKERS.get(event_type)
    if make is None:
        return None
    return msgspec.json.format(msgspec.json.encode(make(now_ms)), indent=2).decode()


def _requested(now_ms: int) -> Cluster:
    return etl_resources.requested_cluster(
        identity=52,
        name="nightly",
        description=None,
        owner_id=27,
        nodes=3,
        kind="production",
        terminate_on_idle=True,
        time_to_idle=3600,
        region="amazon-web-services::us-east-1",
        zone="us-east-1b",
        instance_type="m4.large",
        creator=etl_resources.schedule(11, "every night"),
        at_ms=now_ms,
    )


def _available(now_ms: int) -> Cluster:
    return etl_resources.available(_requested(now_ms - 5 * _MINUTE_MS), now_ms)


def _idled(now_ms: int) -> Cluster:
    return etl_resources.idle(_available(now_ms - 60 * _MINUTE_MS), now_ms)


def _submitted(now_ms: int) -> Job:
    return etl_resources.submitted_job(
        identity=305,
        cluster_id=52,
        package_id=103,
        variables={"day": "'yesterday'"},
        owner_id=27,
        creator=etl_resources.member(27, "Ada"),
        at_ms=now_ms,
    )


def _started(now_ms: int) -> Job:
    return etl_resources.started(_submitted(now_ms - _MINUTE_MS), now_ms)


def _completed(now_ms: int) -> Job:
    component = Component("orders", "database_destination_component", ("id", "day", "total"))
    return etl_resources.completed(
        _started(now_ms - 10 * _MINUTE_MS), now_ms, component, "orders", 14_203
    )


def _failed(now_ms: int) -> Job:
    error = "orders: connection refused by the database at db.example.com:5432"
    return etl_resources.failed(_started(now_ms - 10 * _MINUTE_MS), now_ms, error)


_MAKERS: Final[Mapping[str, Callable[[int], Job | Cluster]]] = {
    "job.submitted": _submitted,
    "job.started": _started,
    "job.stopped": lambda now_ms: etl_resources.stopped(_started(now_ms - _MINUTE_MS), now_ms, 0.4),
    "job.completed": _completed,
    "job.failed": _failed,
    "cluster.requested": _requested,
    "cluster.available": _available,
    "cluster.terminated": lambda now_ms: etl_resources.terminated(_idled(now_ms), now_ms),
    "cluster.idled": _idled,
    "cluster.error": lambda now_ms: etl_resources.in_error(_requested(now_ms - _MINUTE_MS), now_ms),
}
