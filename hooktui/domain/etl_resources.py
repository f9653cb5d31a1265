"""Jobs and clusters as the ETL product's API shows them, and the change of each state transition.

Fields, their order, and the times that a state sets are those of the public API: a failed job sets
``failed_at`` and ``completed_at``, a stopped one only ``completed_at`` and may never have started.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

ACCOUNT = "acme"
API = f"https://api.xplenty.com/{ACCOUNT}/api"
WEB = f"https://xplenty.com/{ACCOUNT}"


class Creator(msgspec.Struct, frozen=True):
    """The person or schedule that requested a job or a cluster."""

    type: Literal["Schedule", "User"]
    id: int
    display_name: str
    url: str
    html_url: str


class Component(msgspec.Struct, frozen=True):
    """The part of a package that writes an output."""

    name: str
    type: str
    fields: tuple[str, ...]


class JobOutput(msgspec.Struct, frozen=True):
    """The data that a completed job wrote to one destination."""

    component: Component
    created_at: str
    id: int
    name: str
    preview_url: str
    records_count: int
    updated_at: str
    url: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a package on a cluster."""

    id: int
    status: str = "idle"
    variables: dict[str, str]
    owner_id: int
    progress: float = 0.0
    outputs_count: int = 0
    outputs: tuple[JobOutput, ...] = ()
    started_at: str | None = None
    created_at: str
    failed_at: str | None = None
    updated_at: str
    completed_at: str | None = None
    cluster_id: int
    package_id: int
    errors: str | None = None
    runtime_in_seconds: int = 0
    url: str
    html_url: str
    log_url: str
    creator: Creator


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Machines that run jobs."""

    id: int
    name: str
    description: str | None
    status: str = "pending"
    owner_id: int
    plan_id: int | None = 1
    nodes: int
    type: str
    created_at: str
    updated_at: str
    available_since: str | None = None
    terminated_at: str | None = None
    running_jobs_count: int = 0
    terminate_on_idle: bool
    time_to_idle: int
    terminated_on_idle: bool = False
    region: str
    zone: str | None
    master_instance_type: str | None
    slave_instance_type: str | None
    master_spot_price: float | None = None
    slave_spot_price: float | None = None
    master_spot_percentage: float | None = None
    slave_spot_percentage: float | None = None
    allow_fallback: bool = True
    stack: str = "white-everest"
    idle_since: str | None = None
    url: str
    html_url: str
    creator: Creator


def api_time(ms: int) -> str:
    """Return a time in the format of that API, in whole seconds."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def schedule(identity: int, name: str) -> Creator:
    """Return a schedule as a creator."""
    return Creator(
        "Schedule", identity, name, f"{API}/schedules/{identity}", f"{WEB}/schedules/{identity}"
    )


def member(identity: int, name: str) -> Creator:
    """Return a person as a creator."""
    return Creator(
        "User", identity, name, f"{API}/members/{identity}", f"{WEB}/settings/members/{identity}"
    )


def requested_cluster(
    *,
    identity: int,
    name: str,
    description: str | None,
    owner_id: int,
    nodes: int,
    kind: str,
    terminate_on_idle: bool,
    time_to_idle: int,
    region: str,
    zone: str | None,
    instance_type: str | None,
    creator: Creator,
    at_ms: int,
) -> Cluster:
    """Return a cluster that was just requested."""
    return Cluster(
        id=identity,
        name=name,
        description=description,
        owner_id=owner_id,
        nodes=nodes,
        type=kind,
        created_at=api_time(at_ms),
        updated_at=api_time(at_ms),
        terminate_on_idle=terminate_on_idle,
        time_to_idle=time_to_idle,
        region=region,
        zone=zone,
        master_instance_type=instance_type,
        slave_instance_type=instance_type,
        url=f"{API}/clusters/{identity}",
        html_url=f"{WEB}/clusters/{identity}",
        creator=creator,
    )


def available(cluster: Cluster, at_ms: int) -> Cluster:
    """Return a cluster on which jobs can run."""
    now = api_time(at_ms)
    return replace(cluster, status="available", updated_at=now, available_since=now)


def in_error(cluster: Cluster, at_ms: int) -> Cluster:
    """Return a cluster whose creation failed."""
    return replace(cluster, status="error", updated_at=api_time(at_ms))


def idle(cluster: Cluster, at_ms: int) -> Cluster:
    """Return a cluster on which no job has run for its ``time_to_idle``."""
    now = api_time(at_ms)
    return replace(cluster, status="idle", updated_at=now, idle_since=now)


def terminated(cluster: Cluster, at_ms: int) -> Cluster:
    """Return a terminated cluster: it was idle, or terminated by hand."""
    now = api_time(at_ms)
    return replace(
        cluster,
        status="terminated",
        updated_at=now,
        terminated_at=now,
        terminated_on_idle=cluster.terminate_on_idle,
    )


def submitted_job(
    *,
    identity: int,
    cluster_id: int,
    package_id: int,
    variables: dict[str, str],
    owner_id: int,
    creator: Creator,
    at_ms: int,
) -> Job:
    """Return a job that was just submitted."""
    return Job(
        id=identity,
        variables=variables,
        owner_id=owner_id,
        created_at=api_time(at_ms),
        updated_at=api_time(at_ms),
        cluster_id=cluster_id,
        package_id=package_id,
        url=f"{API}/jobs/{identity}",
        html_url=f"{WEB}/jobs/{identity}",
        log_url=f"{API}/jobs/{identity}/log",
        creator=creator,
    )


def started(job: Job, at_ms: int) -> Job:
    """Return a running job; its one output is announced but not written yet."""
    now = api_time(at_ms)
    return replace(job, status="running", updated_at=now, started_at=now, outputs_count=1)


def completed(job: Job, at_ms: int, component: Component, name: str, records: int) -> Job:
    """Return a job that wrote its output."""
    now = api_time(at_ms)
    identity = 364 + job.id
    url = f"{job.url}/outputs/{identity}"
    output = JobOutput(
        component=component,
        created_at=job.started_at or now,
        id=identity,
        name=name,
        preview_url=f"{url}/preview",
        records_count=records,
        updated_at=now,
        url=url,
    )
    return replace(_over(job, "completed", at_ms), progress=1.0, outputs_count=1, outputs=(output,))


def failed(job: Job, at_ms: int, error: str) -> Job:
    """Return a job that ended in an error, whether or not it ever started."""
    over = _over(job, "failed", at_ms)
    progress = 0.0 if job.started_at is None else 1.0
    return replace(over, progress=progress, errors=error, failed_at=over.completed_at)


def stopped(job: Job, at_ms: int, progress: float = 0.0) -> Job:
    """Return a job that was stopped at a ``progress`` of 0 to 1."""
    return replace(_over(job, "stopped", at_ms), progress=progress)


def _over(job: Job, status: str, at_ms: int) -> Job:
    now = api_time(at_ms)
    ran_s = 0
    if job.started_at is not None:
        ran_s = at_ms // 1000 - int(datetime.fromisoformat(job.started_at).timestamp())
    return replace(
        job,
        status=status,
        updated_at=now,
        completed_at=now,
        outputs_count=0,
        runtime_in_seconds=ran_s,
    )
