"""One case, once: a server in a home of its own, hooks that send to the sink, and events for them.

The clock runs from the first event offered to the moment when the server says that nothing waits.
Everything is verified afterwards: only what is done in the store *and* arrived signed counts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from hooktui.client.calls import create_hook, list_deliveries, list_hooks
from hooktui.client.plain import PlainClient
from hooktui.domain.clock import now_ms
from hooktui.domain.ids import encode, floor_at
from hooktui.proof.balance import Balance, balance, percentiles_ms
from hooktui.proof.cases import IN_FLIGHT, Case
from hooktui.proof.old_rows import fill
from hooktui.proof.producer import offer_all, prepare
from hooktui.proof.sink import Sink
from hooktui.proof.victim import Victim

BODY_BYTES = 1024
ACCOUNT = 1
STALLED_S = 30.0
"""After so long without an arrival a case is over, and what is missing counts as lost."""
_STOP_S = 15.0
_POLL_S = 0.005
_PAGE = 500
_HUNG_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a case came to.

    Attributes:
        balance: what arrived, and what did not.
        per_s: deliveries that count, a second.
        cpu_us: CPU of the server for each of them, user and system, in microseconds.
        memory_mb: the most that the server held.
        latency_ms: from an event's turn to its receipt: p50, p99, longest.
    """

    balance: Balance
    per_s: float
    cpu_us: float
    memory_mb: float
    latency_ms: tuple[float, float, float] | None


@dataclass
class Stand:
    """A server with the hooks of a case.

    Attributes:
        case: what is measured.
        sink: where the hooks send to.
        victim: the server.
        secrets: of the hooks that count, by number.
    """

    case: Case
    sink: Sink
    victim: Victim
    secrets: dict[int, str]

    def run(self, deliveries: int) -> Run:
        """Offer events, wait until everything is done, and verify it.

        Raises:
            Unavailable: the server refused an event.
        """
        case, pid = self.case, self._pid()
        requests = prepare(case.events(deliveries), case.lines, BODY_BYTES)
        first = encode("dlv", floor_at(now_ms()))
        self.sink.clear()
        cpu_s, begun = _cpu_s(pid), time.monotonic()
        offered = uvloop.run(
            offer_all(self.victim.places.socket, requests, case.offered, case.per_s)
        )
        self._await_end(len(offered) * len(self.secrets))
        took_s, cpu_s = time.monotonic() - begun, _cpu_s(pid) - cpu_s
        arrivals = [one for one in self.sink.arrivals(self.secrets) if one.hook in self.secrets]
        found = balance(offered, arrivals, self._delivered(first), self.secrets)
        done = max(found.counted, 1)
        return Run(
            found,
            found.counted / took_s,
            cpu_s / done * 1e6,
            _memory_mb(pid),
            percentiles_ms(offered, arrivals),
        )

    def make_hooks(self) -> None:
        """Make the hooks of the case."""
        counted = [(path, True) for path in self.case.paths]
        beside = [(path, False) for path in self.case.beside]
        with PlainClient(self.victim.address) as client:
            for number, (path, counts) in enumerate(counted + beside):
                host = f"127.0.0.{number % self.case.hosts + 1}"
                fields = {
                    "name": f"{self.case.name} {number}",
                    "url": self.sink.url(path, host),
                    "events": ["job"],
                    "max_in_flight": IN_FLIGHT,
                    "retry_schedule_s": self.case.retry_schedule_s,
                    "timeout_s": _HUNG_TIMEOUT_S,
                }
                hook = client.call(create_hook(ACCOUNT, fields))
                if counts:
                    self.secrets[hook.id] = hook.secret

    def add_old_rows(self) -> None:
        """Stop the server, put the old deliveries of the case under it, and start it again."""
        self.victim.terminate(_STOP_S)
        fill(self.victim.places.database, min(self.secrets), self.case.old_rows)
        self.victim.start()

    def _await_end(self, expected: int) -> None:
        """Return at the last commit; the store is asked only once the sink has everything."""
        taken, changed = 0, time.monotonic()
        while time.monotonic() - changed < STALLED_S:
            now_taken = self.sink.taken()
            if now_taken >= expected and not self._waiting():
                return
            if now_taken != taken:
                taken, changed = now_taken, time.monotonic()
            time.sleep(_POLL_S)

    def _waiting(self) -> int:
        with PlainClient(self.victim.address) as client:
            hooks = client.call(list_hooks(ACCOUNT, limit=_PAGE)).data
        return sum(hook.stats.waiting for hook in hooks if hook.id in self.secrets)

    def _delivered(self, first: str) -> set[str]:
        """Return the deliveries from ``first`` on that the store calls delivered."""
        found: set[str] = set()
        cursor: str | None = None
        with PlainClient(self.victim.address) as client:
            while True:
                page = client.call(
                    list_deliveries(ACCOUNT, status="delivered", limit=_PAGE, cursor=cursor)
                )
                found |= {one.id for one in page.data if one.id >= first}
                cursor = page.next
                if cursor is None or page.data[-1].id < first:
                    return found

    def _pid(self) -> int:
        if self.victim.process is None:
            raise RuntimeError("no server runs")
        return self.victim.process.pid


@contextmanager
def prepared(case: Case, sink: Sink, environ: Mapping[str, str]) -> Iterator[Stand]:
    """Start a server for a case and make its hooks; kill it and remove its home at the end."""
    with tempfile.TemporaryDirectory(prefix="hooktui-bench-") as folder:
        stand = Stand(case, sink, Victim(Path(folder), environ), {})
        try:
            stand.victim.start()
            stand.make_hooks()
            if case.old_rows:
                stand.add_old_rows()
            yield stand
        finally:
            stand.victim.kill()


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
