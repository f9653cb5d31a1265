"""Simulates the queue: the throughput and latency of servers and databases of measured costs.

    python -m docs.tools.simulation [--servers 4 --database-us 80 ...]

Without options it prints the table of ``docs/understand/scale.md``. Each delivery waits for the
event loop of its server and for a core of its database. It holds a slot of its hook until the
receiver responds and the next delivery is claimed. The formulas are printed beside the result; each
checks the other.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

ACCEPT, SEND, RECORD = 0.3, 0.5, 0.2
"""Shares of a delivery's CPU at its server (profile: docs/understand/performance.md)."""
STORE, CLAIM, RESULT = 0.4, 0.2, 0.4
"""Shares of its CPU at PostgreSQL, each in a transaction of its own."""
ROWS = 500
"""The maximum number of deliveries in a transaction."""
_SEED = 3
_SIMULATED = 40_000
_CALM = 0.7
_WARM_UP = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Servers, their databases, and the costs of a delivery.

    Attributes:
        server_us: CPU of a server for a delivery; a server has one event loop, so it uses one core.
        sync_us: a delivery's share of the time in which the loop waits for the disk (SQLite).
        database_us: CPU of PostgreSQL for a delivery; 0: the servers use SQLite.
        database_cores: of each PostgreSQL server.
        commit_ms: for which a commit blocks the others of its database, because the feed has one
            order.
        trip_ms: round trips of a transaction to PostgreSQL, together.
        claim_ms: from a free slot to the next delivery in it.
        servers: their number; each has its own slots.
        databases: their number; accounts and servers are distributed over them evenly.
        hooks: their number; each gets an equal share of the deliveries.
        slots: of a hook at a server (``max_in_flight``).
        receiver_ms: average time of a receiver until it responds.
    """

    server_us: float = 76.0
    sync_us: float = 5.0
    database_us: float = 0.0
    database_cores: int = 8
    commit_ms: float = 0.5
    trip_ms: float = 1.0
    claim_ms: float = 3.0
    servers: int = 1
    databases: int = 1
    hooks: int = 100
    slots: int = 10
    receiver_ms: float = 50.0


@dataclass(frozen=True, slots=True)
class Limit:
    """The maximum number of deliveries a second, and the part that is fully used then."""

    per_s: float
    by: str


def limit_of(deployment: Deployment) -> Limit:
    """Return the limit by formula: that of the slowest part."""
    found = [
        Limit(
            deployment.servers * 1e6 / (deployment.server_us + deployment.sync_us),
            "CPU of the servers",
        )
    ]
    if deployment.database_us:
        cores = deployment.databases * deployment.database_cores
        found.append(Limit(cores * 1e6 / deployment.database_us, "CPU of PostgreSQL"))
        commits_per_s = deployment.databases * 1000 / deployment.commit_ms
        found.append(Limit(commits_per_s * ROWS / 3, "commits of PostgreSQL"))
    held_ms = deployment.receiver_ms + deployment.claim_ms
    slots = deployment.servers * deployment.hooks * deployment.slots
    found.append(Limit(slots * 1000 / held_ms, "slots of the hooks"))
    return min(found, key=lambda one: one.per_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result: deliveries a second, and the time from acceptance to the receiver."""

    per_s: float
    p50_ms: float
    p99_ms: float


def simulate(deployment: Deployment, per_s: float, deliveries: int, seed: int = _SEED) -> Outcome:
    """Simulate deliveries that arrive at random times, at an average rate."""
    return _Simulation(deployment, random.Random(seed)).run(per_s, deliveries)  # noqa: S311


class _Cores:
    """Cores that do one task after another, in the order of arrival."""

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count

    def serve(self, now_s: float, busy_s: float) -> float:
        """Return when a task that arrives now is done."""
        end_s = max(now_s, self._free_at[0]) + busy_s
        heapq.heapreplace(self._free_at, end_s)
        return end_s


_Step = Callable[[float], None]
_At = Callable[[float, _Step], None]


class _Slots:
    """The slots of one hook at one server, and the deliveries that wait for one."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.waiting: deque[_Step] = deque()


class _Database:
    """One PostgreSQL server: its cores, and its feed, to which one commit at a time is added."""

    def __init__(self, cores: int) -> None:
        self.cores = _Cores(cores)
        self.feed = _Cores(1)


class _Writer:
    """A connection to PostgreSQL: all that waits when it is free is one transaction."""

    def __init__(self, deployment: Deployment, database: _Database, at: _At) -> None:
        self._deployment = deployment
        self._database = database
        self._at = at
        self._waiting: deque[tuple[float, _Step]] = deque()
        self._busy = False

    def add(self, now_s: float, share: float, then: _Step) -> None:
        """Queue a share of a delivery; ``then`` is called after its commit."""
        self._waiting.append((share, then))
        if not self._busy:
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        count = min(len(self._waiting), ROWS)
        batch = [self._waiting.popleft() for _ in range(count)]
        self._busy = True
        work_s = sum(share for share, _ in batch) * self._deployment.database_us / 1e6
        worked_s = self._database.cores.serve(now_s, work_s)
        self._at(worked_s, lambda later: self._commit(later, [then for _, then in batch]))

    def _commit(self, now_s: float, thens: list[_Step]) -> None:
        deployment = self._deployment
        stored_s = self._database.feed.serve(now_s, deployment.commit_ms / 1000)
        self._at(stored_s + deployment.trip_ms / 1000, lambda later: self._committed(later, thens))

    def _committed(self, now_s: float, thens: list[_Step]) -> None:
        self._busy = False
        for then in thens:
            then(now_s)
        if self._waiting and not self._busy:
            self._begin(now_s)


class _Simulation:
    def __init__(self, deployment: Deployment, chance: random.Random) -> None:
        self._deployment = deployment
        self._chance = chance
        self._agenda: list[tuple[float, int, _Step]] = []
        self._numbered = 0
        self._loops = [_Cores(1) for _ in range(deployment.servers)]
        databases = [_Database(deployment.database_cores) for _ in range(deployment.databases)]
        of_server = [
            databases[number % deployment.databases] for number in range(deployment.servers)
        ]
        self._accepting = [_Writer(deployment, one, self._at) for one in of_server]
        self._working = [_Writer(deployment, one, self._at) for one in of_server]
        self._slots = [
            [_Slots(deployment.slots) for _ in range(deployment.hooks)] for _ in self._loops
        ]
        self._received: list[tuple[float, float]] = []
        self._ended: list[float] = []

    def run(self, per_s: float, deliveries: int) -> Outcome:
        arrived_s = 0.0
        for number in range(deliveries):
            arrived_s += self._chance.expovariate(per_s)
            server = number % self._deployment.servers
            hook = self._chance.randrange(self._deployment.hooks)
            self._at(arrived_s, partial(self._accept, server=server, hook=hook))
        while self._agenda:
            now_s, _, step = heapq.heappop(self._agenda)
            step(now_s)
        return self._outcome(arrived_s)

    def _at(self, when_s: float, step: _Step) -> None:
        self._numbered += 1
        heapq.heappush(self._agenda, (when_s, self._numbered, step))

    def _accept(self, now_s: float, server: int, hook: int) -> None:
        def committed(later_s: float) -> None:
            self._wait_for_slot(later_s, server, hook, begun_s=now_s)

        self._work(now_s, server, ACCEPT, self._accepting[server], STORE, committed)

    def _wait_for_slot(self, now_s: float, server: int, hook: int, begun_s: float) -> None:
        slots = self._slots[server][hook]

        def send(start_s: float) -> None:
            deployment = self._deployment
            busy_s = deployment.server_us * SEND / 1e6
            sent_s = self._loops[server].serve(start_s, busy_s)
            self._received.append((begun_s, sent_s))
            response_s = self._chance.expovariate(1000 / deployment.receiver_ms)
            self._at(sent_s + response_s, lambda later: self._responded(later, server, hook))

        if slots.free:
            slots.free -= 1
            send(now_s)
        else:
            slots.waiting.append(send)

    def _responded(self, now_s: float, server: int, hook: int) -> None:
        slots = self._slots[server][hook]
        working = self._working[server]
        if slots.waiting:
            self._claim(now_s, working, slots.waiting.popleft())
        else:
            slots.free += 1
        self._work(now_s, server, RECORD, working, RESULT, self._ended.append)

    def _claim(self, now_s: float, working: _Writer, send: _Step) -> None:
        def claimed(later_s: float) -> None:
            self._at(later_s + self._deployment.claim_ms / 1000, send)

        if self._deployment.database_us:
            working.add(now_s, CLAIM, claimed)
        else:
            claimed(now_s)

    def _work(
        self, now_s: float, server: int, share: float, writer: _Writer, stored: float, then: _Step
    ) -> None:
        """Use a share of a delivery's time at its server, then at its database."""
        deployment = self._deployment
        busy_s = (deployment.server_us * share + deployment.sync_us / 2) / 1e6
        done_s = self._loops[server].serve(now_s, busy_s)
        if deployment.database_us:
            self._at(done_s, lambda later: writer.add(later, stored, then))
        else:
            self._at(done_s, then)

    def _outcome(self, last_arrival_s: float) -> Outcome:
        begin_s = last_arrival_s * _WARM_UP
        waits = sorted((sent - begun) * 1000 for begun, sent in self._received if begun > begin_s)
        # The middle half: the first ones are still on their way, and the last ones have no load.
        quarter = len(self._ended) // 4
        took_s = self._ended[3 * quarter] - self._ended[quarter]
        return Outcome(
            per_s=2 * quarter / took_s,
            p50_ms=waits[len(waits) // 2],
            p99_ms=waits[len(waits) * 99 // 100],
        )


_SQLITE = Deployment()
_POSTGRES = Deployment(server_us=72.0, sync_us=0.0, database_us=58.0, hooks=1000)
SCENARIOS: tuple[tuple[str, Deployment], ...] = (
    ("1 server, SQLite", _SQLITE),
    ("the same, receivers take 500 ms", replace(_SQLITE, receiver_ms=500.0)),
    ("1 server, PostgreSQL", _POSTGRES),
    ("4 servers, 1 PostgreSQL", replace(_POSTGRES, servers=4)),
    ("16 servers, 1 PostgreSQL", replace(_POSTGRES, servers=16)),
    ("16 servers, 4 PostgreSQL", replace(_POSTGRES, servers=16, databases=4)),
)


def table(scenarios: Sequence[tuple[str, Deployment]], deliveries: int = _SIMULATED) -> list[str]:
    """Return the lines of a table: the limit by formula and simulated, and latency below it."""
    lines = [f"{'':<34}{'formula/s':>10}{'simulated/s':>13}{'p50 ms':>8}{'p99 ms':>8}  limited by"]
    for name, deployment in scenarios:
        limit = limit_of(deployment)
        full = simulate(deployment, limit.per_s, deliveries)
        calm = simulate(deployment, limit.per_s * _CALM, deliveries)
        lines.append(
            f"{name:<34}{limit.per_s:>10,.0f}{full.per_s:>13,.0f}{calm.p50_ms:>8.1f}"
            f"{calm.p99_ms:>8.1f}  {limit.by}"
        )
    return [*lines, f"p50 and p99: from acceptance to the receiver at {_CALM:.0%} of the limit"]


def main(arguments: Sequence[str]) -> None:
    """Print the table of the scenarios, or of one deployment that the options describe."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.tools.simulation",
        description="Simulate the throughput of a deployment.",
    )
    for one in fields(Deployment):
        kind = int if isinstance(one.default, int) else float
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, metavar=str(one.default))
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    scenarios = [("this deployment", Deployment(**given))] if given else SCENARIOS
    sys.stdout.write("\n".join(table(scenarios)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
