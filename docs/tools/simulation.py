"""A small simulation of the queue: what servers and databases of measured costs carry together.

    python -m docs.tools.simulation [--servers 4 --database-us 80 ...]

Without options it prints the table of ``docs/understand/scale.md``. Each delivery waits for the
event loop of its server and for a core of its database. It holds a slot of its hook until the
receiver responds and the next delivery is claimed. The formulas are printed beside the result, so
that each checks the other.
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
"""Shares of its CPU at PostgreSQL; each is a part of one transaction, so of three."""
ROWS = 500
"""Deliveries in one transaction at the most."""
_SEED = 3
_SIMULATED = 40_000
_CALM = 0.7
_WARM_UP = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """Servers, their databases, and what a delivery costs there.

    Attributes:
        server_us: CPU of a server for a delivery; a server is one event loop, so one core.
        sync_us: what a delivery's share of waiting for the disk keeps that loop (SQLite).
        database_us: CPU of PostgreSQL for a delivery; 0: the server is its own database.
        database_cores: of each PostgreSQL.
        commit_ms: that a commit keeps the others of its database waiting: one line of the feed is
            written and synced after the other.
        trip_ms: to PostgreSQL and back, for a whole transaction.
        claim_ms: from a slot that is free to what is sent next through it.
        servers: in all; each has its own slots.
        databases: that accounts are spread over, each with its share of the servers.
        hooks: that get all of it in equal parts.
        slots: of a hook at a server (``max_in_flight``).
        receiver_ms: until a receiver has answered.
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
    """What bounds a plant: deliveries a second, and the part that is then always busy."""

    per_s: float
    by: str


def limit_of(plant: Plant) -> Limit:
    """Return the limit by formula: that of the part with the least."""
    found = [Limit(plant.servers * 1e6 / (plant.server_us + plant.sync_us), "CPU of the servers")]
    if plant.database_us:
        cores = plant.databases * plant.database_cores
        found.append(Limit(cores * 1e6 / plant.database_us, "CPU of PostgreSQL"))
        commits_per_s = plant.databases * 1000 / plant.commit_ms
        found.append(Limit(commits_per_s * ROWS / 3, "commits of PostgreSQL"))
    held_ms = plant.receiver_ms + plant.claim_ms
    slots = plant.servers * plant.hooks * plant.slots
    found.append(Limit(slots * 1000 / held_ms, "slots of the hooks"))
    return min(found, key=lambda one: one.per_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation came to: deliveries a second, and ms from acceptance to the receiver."""

    per_s: float
    p50_ms: float
    p99_ms: float


def simulate(plant: Plant, per_s: float, deliveries: int, seed: int = _SEED) -> Outcome:
    """Let so many deliveries arrive at random moments, and follow each to its end."""
    return _Simulation(plant, random.Random(seed)).run(per_s, deliveries)  # noqa: S311


class _Cores:
    """Cores that take what comes in turn."""

    def __init__(self, count: int) -> None:
        self._free_at = [0.0] * count

    def serve(self, now_s: float, busy_s: float) -> float:
        """Return when something that comes now is done."""
        end_s = max(now_s, self._free_at[0]) + busy_s
        heapq.heapreplace(self._free_at, end_s)
        return end_s


_Step = Callable[[float], None]
_At = Callable[[float, _Step], None]


class _Slots:
    """The slots of one hook at one server, and who waits for one."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.waiting: deque[_Step] = deque()


class _Database:
    """One PostgreSQL: its cores, and the line in which commits follow each other."""

    def __init__(self, cores: int) -> None:
        self.cores = _Cores(cores)
        self.feed = _Cores(1)


class _Writer:
    """A connection to PostgreSQL: whatever waits when it is free goes into one transaction."""

    def __init__(self, plant: Plant, database: _Database, at: _At) -> None:
        self._plant = plant
        self._database = database
        self._at = at
        self._waiting: deque[tuple[float, _Step]] = deque()
        self._busy = False

    def add(self, now_s: float, share: float, then: _Step) -> None:
        """Store a share of a delivery; what comes then comes after the commit."""
        self._waiting.append((share, then))
        if not self._busy:
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        count = min(len(self._waiting), ROWS)
        batch = [self._waiting.popleft() for _ in range(count)]
        self._busy = True
        work_s = sum(share for share, _ in batch) * self._plant.database_us / 1e6
        worked_s = self._database.cores.serve(now_s, work_s)
        self._at(worked_s, lambda later: self._commit(later, [then for _, then in batch]))

    def _commit(self, now_s: float, thens: list[_Step]) -> None:
        plant = self._plant
        stored_s = self._database.feed.serve(now_s, plant.commit_ms / 1000)
        self._at(stored_s + plant.trip_ms / 1000, lambda later: self._committed(later, thens))

    def _committed(self, now_s: float, thens: list[_Step]) -> None:
        self._busy = False
        for then in thens:
            then(now_s)
        if self._waiting and not self._busy:
            self._begin(now_s)


class _Simulation:
    def __init__(self, plant: Plant, chance: random.Random) -> None:
        self._plant = plant
        self._chance = chance
        self._agenda: list[tuple[float, int, _Step]] = []
        self._numbered = 0
        self._loops = [_Cores(1) for _ in range(plant.servers)]
        databases = [_Database(plant.database_cores) for _ in range(plant.databases)]
        of_server = [databases[number % plant.databases] for number in range(plant.servers)]
        self._accepting = [_Writer(plant, one, self._at) for one in of_server]
        self._working = [_Writer(plant, one, self._at) for one in of_server]
        self._slots = [[_Slots(plant.slots) for _ in range(plant.hooks)] for _ in self._loops]
        self._received: list[tuple[float, float]] = []
        self._ended: list[float] = []

    def run(self, per_s: float, deliveries: int) -> Outcome:
        arrived_s = 0.0
        for number in range(deliveries):
            arrived_s += self._chance.expovariate(per_s)
            server = number % self._plant.servers
            hook = self._chance.randrange(self._plant.hooks)
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
            plant = self._plant
            busy_s = plant.server_us * SEND / 1e6
            sent_s = self._loops[server].serve(start_s, busy_s)
            self._received.append((begun_s, sent_s))
            answer_s = self._chance.expovariate(1000 / plant.receiver_ms)
            self._at(sent_s + answer_s, lambda later: self._answered(later, server, hook))

        if slots.free:
            slots.free -= 1
            send(now_s)
        else:
            slots.waiting.append(send)

    def _answered(self, now_s: float, server: int, hook: int) -> None:
        slots = self._slots[server][hook]
        working = self._working[server]
        if slots.waiting:
            self._claim(now_s, working, slots.waiting.popleft())
        else:
            slots.free += 1
        self._work(now_s, server, RECORD, working, RESULT, self._ended.append)

    def _claim(self, now_s: float, working: _Writer, send: _Step) -> None:
        def claimed(later_s: float) -> None:
            self._at(later_s + self._plant.claim_ms / 1000, send)

        if self._plant.database_us:
            working.add(now_s, CLAIM, claimed)
        else:
            claimed(now_s)

    def _work(
        self, now_s: float, server: int, share: float, writer: _Writer, stored: float, then: _Step
    ) -> None:
        """Take a share of a delivery's time at its server, then at its database."""
        plant = self._plant
        busy_s = (plant.server_us * share + plant.sync_us / 2) / 1e6
        done_s = self._loops[server].serve(now_s, busy_s)
        if plant.database_us:
            self._at(done_s, lambda later: writer.add(later, stored, then))
        else:
            self._at(done_s, then)

    def _outcome(self, last_arrival_s: float) -> Outcome:
        begin_s = last_arrival_s * _WARM_UP
        waits = sorted((sent - begun) * 1000 for begun, sent in self._received if begun > begin_s)
        # The middle half: neither while the first are on their way nor while the last drain.
        quarter = len(self._ended) // 4
        took_s = self._ended[3 * quarter] - self._ended[quarter]
        return Outcome(
            per_s=2 * quarter / took_s,
            p50_ms=waits[len(waits) // 2],
            p99_ms=waits[len(waits) * 99 // 100],
        )


_SQLITE = Plant()
_POSTGRES = Plant(server_us=72.0, sync_us=0.0, database_us=58.0, hooks=1000)
SCENARIOS: tuple[tuple[str, Plant], ...] = (
    ("1 server, SQLite", _SQLITE),
    ("the same, receivers take 500 ms", replace(_SQLITE, receiver_ms=500.0)),
    ("1 server, PostgreSQL", _POSTGRES),
    ("4 servers, 1 PostgreSQL", replace(_POSTGRES, servers=4)),
    ("16 servers, 1 PostgreSQL", replace(_POSTGRES, servers=16)),
    ("16 servers, 4 PostgreSQL", replace(_POSTGRES, servers=16, databases=4)),
)


def table(scenarios: Sequence[tuple[str, Plant]], deliveries: int = _SIMULATED) -> list[str]:
    """Return the lines of a table: the limit by formula and as simulated, and latency below it."""
    lines = [f"{'':<34}{'formula/s':>10}{'simulated/s':>13}{'p50 ms':>8}{'p99 ms':>8}  limited by"]
    for name, plant in scenarios:
        limit = limit_of(plant)
        full = simulate(plant, limit.per_s, deliveries)
        calm = simulate(plant, limit.per_s * _CALM, deliveries)
        lines.append(
            f"{name:<34}{limit.per_s:>10,.0f}{full.per_s:>13,.0f}{calm.p50_ms:>8.1f}"
            f"{calm.p99_ms:>8.1f}  {limit.by}"
        )
    return [*lines, f"p50 and p99: from acceptance to the receiver at {_CALM:.0%} of the limit"]


def main(arguments: Sequence[str]) -> None:
    """Print the table of the scenarios, or of one plant that the options describe."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.tools.simulation", description="What a plant carries."
    )
    for one in fields(Plant):
        kind = int if isinstance(one.default, int) else float
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=kind, metavar=str(one.default))
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    scenarios = [("this plant", Plant(**given))] if given else SCENARIOS
    sys.stdout.write("\n".join(table(scenarios)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
