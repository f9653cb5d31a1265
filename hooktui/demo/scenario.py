"""An endless, seeded sequence of events of an invented account with clusters and jobs.

    cluster: requested → available → (jobs) → idled → terminated, or requested → error
    job:     submitted → started → completed | failed | stopped; some end before they start

Pure: the same seed, start and pace give the same events, byte by byte; another start changes only
the times.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from hooktui.domain import etl_resources
from hooktui.domain.etl_resources import Cluster, Component, Job


@dataclass(frozen=True, slots=True)
class ScenarioEvent:
    """One event of the scenario: its time (seconds after the start), its type, and its body."""

    at_s: float
    event_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A kind of cluster that this account runs repeatedly."""

    name: str
    description: str | None
    nodes: int
    kind: str
    region: str
    zone: str | None
    instance_type: str | None


@dataclass(frozen=True, slots=True)
class _Package:
    """A data flow: the names of its runs and their destinations."""

    id: int
    table: str
    output: str
    component: Component


_Life = Iterator[float]
"""The lifecycle of a cluster or job; yields each wait in seconds of its own time."""

_PLANS = (
    _Plan("Nightly", "Orders and returns", 2, "production",
          "amazon-web-services::us-east-1", "us-east-1b", "m3.xlarge"),
    _Plan("Finance month end", "Ledger, invoices and accruals", 8, "production",
          "amazon-web-services::eu-west-1", "eu-west-1a", "r4.2xlarge"),
    _Plan("Clickstream hourly", None, 6, "production",
          "amazon-web-services::us-east-1", "us-east-1d", "m3.xlarge"),
    _Plan("Sandbox Dana", "Trying the new customer model", 1, "sandbox",
          "amazon-web-services::us-east-1", None, None),
    _Plan("Backfill 2025", "Second attempt, smaller batches", 4, "production",
          "amazon-web-services::us-west-2", "us-west-2c", "m3.2xlarge"),
)  # fmt: skip

_PACKAGES = (
    _Package(434, "orders", "projected_results", Component(
        "destination7", "cloud_storage_destination_component", ("id", "account_name"))),
    _Package(435, "returns", "returns_daily", Component(
        "destination2", "redshift_destination_component", ("order_id", "reason", "amount"))),
    _Package(441, "invoices", "ledger_lines", Component(
        "destination1", "database_destination_component", ("invoice_id", "account", "amount"))),
    _Package(452, "sessions", "sessions_hourly", Component(
        "destination4", "bigquery_destination_component", ("session_id", "started", "pages"))),
    _Package(460, "customers", "customers_clean", Component(
        "destination3", "salesforce_destination_component", ("id", "email", "segment"))),
)  # fmt: skip

_CREATORS = (
    etl_resources.schedule(3, "Nightly orders"),
    etl_resources.schedule(7, "Hourly sessions"),
    etl_resources.schedule(9, "Month end"),
    etl_resources.member(11, "Dana"),
    etl_resources.member(14, "Zoë Brandt"),
)

_ERRORS = (
    "Package failed to execute.",
    "destination2: connection to warehouse.acme.example:5439 timed out after 60 s",
    "source1: s3://acme-exports/orders: Access Denied",
    "No space left on device: disk of node 2 is full",
    'destination1: duplicate key value violates unique constraint "invoices_pkey"',
    "source3: column amount: cannot cast “12,50 €” to decimal",
    "Out of memory in join4; try a cluster with more nodes",
)

_CLUSTER_ERROR = "Specified cluster is not available and is in erroneous state."
_OWNER_ID = 11
_AT_FIRST = 3
"""Clusters that are requested soon after the start, so that there is something to see."""


def scenario_events(seed: int, start_ms: int, pace: float = 1.0) -> Iterator[ScenarioEvent]:
    """Yield the events of an account, without end.

    Args:
        seed: another seed gives other events.
        start_ms: the start in milliseconds since the epoch, the base of all times in the bodies.
        pace: speed-up factor. At 1 clusters take minutes to start, at 60 seconds.
    """
    return _Account(seed, start_ms, pace).events()


class _Account:
    """The clock of the scenario, its random numbers, and the running lifecycles."""

    def __init__(self, seed: int, start_ms: int, pace: float) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - a scenario, not a secret
        self._start_ms = start_ms
        self._pace = pace
        self._now_s = 0.0
        self._cluster_ids = itertools.count(52)
        self._job_ids = itertools.count(157)
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, _Life]] = []
        self._happened: list[ScenarioEvent] = []

    def events(self) -> Iterator[ScenarioEvent]:
        """Resume one lifecycle after another, in the order of time."""
        self._wake(self._arrivals())
        while True:
            self._now_s, _, life = heapq.heappop(self._waiting)
            wait_s = next(life, None)
            happened, self._happened = self._happened, []
            yield from happened
            if wait_s is not None:
                self._wake(life, wait_s)

    def _arrivals(self) -> _Life:
        for number in itertools.count(1):
            self._wake(self._cluster_life(self._dice.choice(_PLANS)))
            yield self._between(20, 90) if number < _AT_FIRST else self._between(240, 420)

    def _cluster_life(self, plan: _Plan) -> _Life:
        cluster = self._request(plan)
        yield self._between(60, 200)
        if self._chance(0.15):
            yield from self._cluster_goes_wrong(cluster)
            return
        cluster = etl_resources.available(cluster, self._now_ms)
        self._happens("cluster.available", cluster)
        for _ in range(self._dice.randint(2, 4)):
            yield self._between(15, 60)
            yield from self._job_life(cluster)
        yield cluster.time_to_idle * self._pace
        cluster = etl_resources.idle(cluster, self._now_ms)
        self._happens("cluster.idled", cluster)
        yield self._between(30, 120)
        self._happens("cluster.terminated", etl_resources.terminated(cluster, self._now_ms))

    def _cluster_goes_wrong(self, cluster: Cluster) -> _Life:
        """Let a job wait for a cluster that fails: the job fails without having started."""
        job = self._submit(cluster, self._dice.choice(_PACKAGES)) if self._chance(0.5) else None
        yield self._between(20, 90)
        self._happens("cluster.error", etl_resources.in_error(cluster, self._now_ms))
        if job is not None:
            yield self._between(1, 5)
            self._happens("job.failed", etl_resources.failed(job, self._now_ms, _CLUSTER_ERROR))

    def _job_life(self, cluster: Cluster) -> _Life:
        package = self._dice.choice(_PACKAGES)
        job = self._submit(cluster, package)
        yield self._between(5, 40)
        if self._chance(0.08):
            self._happens("job.stopped", etl_resources.stopped(job, self._now_ms))
            return
        job = etl_resources.started(job, self._now_ms)
        self._happens("job.started", job)
        yield self._between(60, 420)
        fate = self._dice.random()
        if fate < 0.6:
            records = int(10 ** self._between(2, 7.5))
            job = etl_resources.completed(
                job, self._now_ms, package.component, package.output, records
            )
        elif fate < 0.85:
            job = etl_resources.failed(job, self._now_ms, self._dice.choice(_ERRORS))
        else:
            job = etl_resources.stopped(job, self._now_ms, round(self._between(0.05, 0.95), 2))
        self._happens(f"job.{job.status}", job)

    def _request(self, plan: _Plan) -> Cluster:
        cluster = etl_resources.requested_cluster(
            identity=next(self._cluster_ids),
            name=plan.name,
            description=plan.description,
            owner_id=_OWNER_ID,
            nodes=plan.nodes,
            kind=plan.kind,
            terminate_on_idle=self._chance(0.8),
            time_to_idle=max(1, round(self._dice.choice((300, 600, 900)) / self._pace)),
            region=plan.region,
            zone=plan.zone,
            instance_type=plan.instance_type,
            creator=self._dice.choice(_CREATORS),
            at_ms=self._now_ms,
        )
        self._happens("cluster.requested", cluster)
        return cluster

    def _submit(self, cluster: Cluster, package: _Package) -> Job:
        day = datetime.fromtimestamp(self._now_ms / 1000, UTC) - timedelta(days=1)
        job = etl_resources.submitted_job(
            identity=next(self._job_ids),
            cluster_id=cluster.id,
            package_id=package.id,
            variables={"table": package.table, "day": f"{day:%Y-%m-%d}"},
            owner_id=_OWNER_ID,
            creator=self._dice.choice(_CREATORS),
            at_ms=self._now_ms,
        )
        self._happens("job.submitted", job)
        return job

    @property
    def _now_ms(self) -> int:
        return self._start_ms + round(self._now_s * 1000)

    def _happens(self, event_type: str, resource: Job | Cluster) -> None:
        body = msgspec.json.encode(resource)
        self._happened.append(ScenarioEvent(self._now_s, event_type, body))

    def _wake(self, life: _Life, after_s: float = 0.0) -> None:
        at_s = self._now_s + after_s / self._pace
        heapq.heappush(self._waiting, (at_s, next(self._order), life))

    def _between(self, low_s: float, high_s: float) -> float:
        return self._dice.uniform(low_s, high_s)

    def _chance(self, share: float) -> bool:
        return self._dice.random() < share
