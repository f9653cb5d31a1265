"""One run of one case: servers in separate homes, hooks that send to the sink, and their events.

The clock runs from the first offered event until no server has waiting deliveries. The result is
verified afterwards: only deliveries that are done in the store *and* arrived signed count.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns
from typing import TypeVar

import uvloop

from hooktui.bench.cases import BODY_BYTES, Case
from hooktui.bench.databases import Cost, Databases
from hooktui.bench.machine import cpu_s, memory_mb
from hooktui.bench.processes import child_process
from hooktui.bench.producer import PreparedRequest, offer_all, prepare
from hooktui.bench.reconcile import (
    Offered,
    Reconciliation,
    Refusals,
    SinkRequest,
    capacity_share,
    percentiles_ms,
    reconcile,
    refusals,
)
from hooktui.bench.seed_rows import fill
from hooktui.bench.server_process import ServerProcess
from hooktui.bench.sink import OK, POISONED, Sink, is_poisoned
from hooktui.client.calls import (
    Call,
    abort_replay,
    create_hook,
    create_replay,
    list_hooks,
    pause,
    resume,
)
from hooktui.client.sync_client import PlainClient
from hooktui.domain.clock import now_ms
from hooktui.domain.ids import encode, floor_at
from hooktui.domain.wire.pages import MAX_LIMIT
from hooktui.domain.wire.replays import ReplaySelection

T = TypeVar("T")

ACCOUNT = 1
STALLED_S = 30.0
"""Seconds without an arrival after which a case ends and missing deliveries count as lost."""
STALLED_KILLED_S = 90.0
"""The same after a kill: with a shared database, a lease of 60 s may have to expire."""
_REPLAYED = 20_000
"""Events for a replay that lasts longer than a measurement beside it."""
_LINES = 100
_STOP_S = 15.0
_POLL_S = 0.005
_HOSTILE_FIRST_S = 2.0
"""Seconds that a hostile caller is active before the first event is offered."""
_HUNG_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run of a case.

    Attributes:
        reconciliation: the comparison of accepted events and arrivals.
        per_s: counted deliveries per second.
        cpu_us: CPU of the servers per delivery, user and system, in microseconds.
        disk_bytes: bytes that the servers, or PostgreSQL's log, wrote per delivery.
        database_us: CPU of PostgreSQL per delivery, if known.
        sink_busy: the share of the time that the sink was busy.
        idle_mb: memory of a server before the first event.
        memory_mb: peak memory of a server.
        latency_ms: from an event's due time to its receipt: p50, p99, longest.
        restart_s: from the start after a kill to the first arrival.
        refused: the attempts that the receiver refused.
        at_once: requests in progress at the receiver at each arrival: median, most.
        capacity_share: the used share of the receiver's capacity, if that is limited.
    """

    reconciliation: Reconciliation
    per_s: float
    cpu_us: float
    disk_bytes: float
    database_us: float | None
    sink_busy: float
    idle_mb: float
    memory_mb: float
    latency_ms: tuple[float, float, float] | None
    restart_s: float | None
    refused: Refusals
    at_once: tuple[int, int]
    capacity_share: float | None


@dataclass
class BenchRun:
    """The servers with the hooks of a case.

    Attributes:
        database_url: the shared database; None: a file in the home of the only server.
        secrets: of the counted hooks, by number.
        idle_mb: memory of the first server before any request.
    """

    case: Case
    sink: Sink
    servers: Sequence[ServerProcess]
    databases: Databases
    database_url: str | None
    secrets: dict[int, str] = field(default_factory=dict)
    idle_mb: float = 0.0

    def start(self) -> None:
        """Start the servers, create the hooks, and add the old deliveries."""
        first, *others = self.servers
        first.start()
        self.idle_mb = memory_mb(first.pid, most=False)
        self._make_hooks()
        if self.case.old_rows:
            first.terminate(_STOP_S)
            where = self.database_url or first.paths.database
            fill(where, min(self.secrets), self.case.old_rows)
            first.start()
        for other in others:
            shutil.copy2(first.paths.key_file, other.paths.key_file)
            other.start()

    def run(self, deliveries: int) -> Run:
        """Offer events, wait until all are delivered, and verify them.

        Raises:
            Unavailable: the server refused an event.
        """
        case = self.case
        requests = prepare(case.events(deliveries), case.lines, BODY_BYTES)
        replayed = [] if case.replay_per_s is None else self._deliver_before(requests)
        first = encode("dlv", floor_at(now_ms()))
        self.sink.clear()
        offered = self._store_backlog(deliveries) if case.backlog else []
        with self._hostile_caller():
            before, sink_s, begun_ns = self._cost(), cpu_s(self.sink.pid), monotonic_ns()
            if case.backlog:
                self._call(resume())
            replay = self._start_replay()
            if case.only_replay:
                offered, replayed = replayed, []
            else:
                offered += self._offer(requests, case.per_s)
                if replay is not None:
                    self._call(abort_replay(replay, cancel_waiting=True))
            poisoned = _poisoned(case, offered)
            restarted_ns = self._restart(len(offered) // 4) if case.killed else None
            self._await_end(len(offered) * len(self.secrets) - len(poisoned))
        took_s = (monotonic_ns() - begun_ns) / 1e9
        at_once = self.sink.at_once()
        # The CPU time of a killed process cannot be read.
        after = before if case.killed else self._cost()
        sink_s = cpu_s(self.sink.pid) - sink_s
        arrivals = self._arrivals(beside=replayed)
        delivered = self._delivered(first)
        reconciliation = reconcile(offered, arrivals, delivered, self.secrets, poisoned)
        done = max(reconciliation.counted, 1)
        database_us = None
        if before.database_s is not None and after.database_s is not None:
            database_us = (after.database_s - before.database_s) / done * 1e6
        capacity_per_s = case.capacity_per_s
        return Run(
            reconciliation=reconciliation,
            per_s=reconciliation.counted / took_s,
            cpu_us=(after.servers_s - before.servers_s) / done * 1e6,
            disk_bytes=(after.disk_bytes - before.disk_bytes) / done,
            database_us=database_us,
            sink_busy=sink_s / took_s,
            idle_mb=self.idle_mb,
            memory_mb=max(memory_mb(server.pid, most=True) for server in self.servers),
            latency_ms=None if case.per_s is None else percentiles_ms(offered, arrivals),
            restart_s=None if restarted_ns is None else _first_after_s(arrivals, restarted_ns),
            refused=refusals(arrivals, begun_ns),
            at_once=at_once,
            capacity_share=(
                capacity_share(arrivals, begun_ns, capacity_per_s) if capacity_per_s else None
            ),
        )

    def _deliver_before(self, requests: Sequence[PreparedRequest]) -> list[Offered]:
        """Deliver the events of a replay before the clock starts; return them."""
        only = self.case.only_replay
        offered = self._offer(requests if only else prepare(_REPLAYED, _LINES, BODY_BYTES))
        self._await_end(len(offered) * len(self.secrets))
        return offered

    def _start_replay(self) -> str | None:
        """Start the replay of a case, if it has one; return its id."""
        rate = self.case.replay_per_s
        if rate is None:
            return None
        selection = ReplaySelection(hooks="all", mode="sent", since="1h")
        return self._call(create_replay(ACCOUNT, selection, rate_per_s=rate)).id

    def _store_backlog(self, deliveries: int) -> list[Offered]:
        """Pause the engine and offer the events that wait when the clock starts."""
        case = self.case
        self._call(pause())
        return self._offer(prepare(case.waiting_events(deliveries), case.lines, BODY_BYTES))

    def _offer(
        self, requests: Sequence[PreparedRequest], per_s: float | None = None
    ) -> list[Offered]:
        sockets = [server.paths.socket for server in self.servers]
        return uvloop.run(offer_all(sockets, requests, self.case.offered, per_s))

    def _call(self, call: Call[T]) -> T:
        with PlainClient(self.servers[0].address) as client:
            return client.call(call)

    @contextmanager
    def _hostile_caller(self) -> Iterator[None]:
        if not self.case.hostile:
            yield
            return
        socket = str(self.servers[0].paths.socket)
        with child_process(os.environ, "hooktui.bench.hostile_caller", socket):
            time.sleep(_HOSTILE_FIRST_S)
            yield

    def _make_hooks(self) -> None:
        counted = [(path, True, True) for path in self.case.paths]
        beside = [(path, False, True) for path in self.case.beside]
        disabled = [(OK, False, False)] * self.case.disabled
        with PlainClient(self.servers[0].address) as client:
            for number, (path, counts, active) in enumerate(counted + beside + disabled):
                host = f"127.0.0.{number % self.case.hosts + 1}"
                fields: dict[str, object] = {
                    "name": f"{self.case.name} {number}",
                    "url": self.sink.url(path, host, tls=self.case.tls),
                    "events": ["job"],
                    "active": active,
                    "retry_schedule_s": self.case.retry_schedule_s,
                    "timeout_s": _HUNG_TIMEOUT_S,
                    "verify_tls": not self.case.tls,  # the sink's certificate is self-signed
                }
                if self.case.in_flight is not None:
                    fields["max_in_flight"] = self.case.in_flight
                hook = client.call(create_hook(ACCOUNT, fields))
                if counts:
                    self.secrets[hook.id] = hook.secret

    def _restart(self, after: int) -> int:
        """Kill the first server and start it again; return the time of the start.

        A replay has sent some deliveries by then, and others are left.
        """
        while self.case.only_replay and self.sink.taken() < after:
            time.sleep(_POLL_S)
        self.servers[0].kill()
        started_ns = monotonic_ns()
        self.servers[0].start()
        return started_ns

    def _await_end(self, expected: int) -> None:
        """Wait until all has arrived and is stored, or nothing arrives any more.

        The store is queried only once the sink has everything.
        """
        accepted, changed = 0, time.monotonic()
        stalled_s = STALLED_KILLED_S if self.case.killed else STALLED_S
        while time.monotonic() - changed < stalled_s:
            now_taken = self.sink.taken()
            if now_taken >= expected and not self._waiting():
                return
            if now_taken != accepted:
                accepted, changed = now_taken, time.monotonic()
            time.sleep(_POLL_S)

    def _waiting(self) -> int:
        hooks = self._call(list_hooks(ACCOUNT, limit=MAX_LIMIT)).data
        return sum(hook.stats.waiting for hook in hooks if hook.id in self.secrets)

    def _arrivals(self, beside: Sequence[Offered]) -> list[SinkRequest]:
        """Return the requests of counted hooks, without those of events ``beside``."""
        others = {one.event for one in beside}
        return [
            arrival
            for arrival in self.sink.requests(self.secrets)
            if arrival.hook in self.secrets and arrival.event not in others
        ]

    def _delivered(self, first: str) -> set[str]:
        """Return the deliveries from an id on that are delivered in the store."""
        stored = self.servers[0].deliveries(status="delivered", first=first)
        return {delivery.id for delivery in stored if delivery.id >= first}

    def _cost(self) -> Cost:
        return self.databases.cost([server.pid for server in self.servers])


@contextmanager
def prepared(
    case: Case, sink: Sink, folder: Path, databases: Databases, environ: Mapping[str, str]
) -> Iterator[BenchRun]:
    """Start the servers for a case and create its hooks; kill and remove them at the end."""
    with (
        tempfile.TemporaryDirectory(prefix=f"{case.name}-", dir=folder) as work,
        databases.fresh() as url,
    ):
        homes = [Path(work) / str(number) for number in range(1, case.servers + 1)]
        servers = [ServerProcess(home, environ, url) for home in homes]
        try:
            bench_run = BenchRun(case, sink, servers, databases, url)
            bench_run.start()
            yield bench_run
        finally:
            for server in servers:
                server.kill()


def _poisoned(case: Case, offered: Sequence[Offered]) -> set[str]:
    if POISONED not in case.paths:
        return set()
    return {one.event for one in offered if is_poisoned(one.event.encode("ascii"))}


def _first_after_s(arrivals: Sequence[SinkRequest], started_ns: int) -> float | None:
    later = [arrival.arrived_ns for arrival in arrivals if arrival.arrived_ns > started_ns]
    return (min(later) - started_ns) / 1e9 if later else None
